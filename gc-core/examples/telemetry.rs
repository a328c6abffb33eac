//! What a heap tells the world of itself, in files: snapshots, a profile, a trace, metrics.
//!
//! `telemetry DIRECTORY` runs a small shop and writes there `before.heapsnapshot` and, after more sessions
//! have come and the products have gone, `after.heapsnapshot`, for Chrome's developer tools and
//! `gc-stress inspect`; `heap.pprof` for `go tool pprof`; `heap.trace.json` for `ui.perfetto.dev`;
//! `metrics.prom` as Prometheus scrapes it. Says in JSON lines what the heap itself counts.

use std::fs::File;
use std::path::{Path, PathBuf};

use gc_core::{Driver, Edge, Gc, Heap, Mutator, Policy, Root, Trace, Weak};

#[derive(Trace)]
struct Shop<'gc> {
    sessions: Edge<'gc, Session<'gc>>,
    products: Edge<'gc, Product<'gc>>,
}

#[derive(Trace)]
struct Session<'gc> {
    user: Gc<'gc, str>,
    basket: Gc<'gc, [Gc<'gc, Product<'gc>>]>,
    previous: Edge<'gc, Session<'gc>>,
}

#[derive(Trace)]
struct Product<'gc> {
    price: u64,
    /// A ring: what is bought together.
    bought_with: Edge<'gc, Product<'gc>>,
    last_viewer: Option<Weak<'gc, Session<'gc>>>,
    next: Edge<'gc, Product<'gc>>,
}

fn stock(
    mutator: &mut Mutator,
    shop: &Root<Shop<'static>>,
    products: u64,
) -> Result<(), gc_core::RootError> {
    mutator.enter(|scope| {
        let shop = scope.get(shop)?;
        for price in 1..=products {
            let viewer = shop.sessions.get().map(|session| scope.downgrade(session));
            let product = scope.alloc(Product {
                price,
                bought_with: Edge::none(),
                last_viewer: viewer,
                next: Edge::none(),
            });
            product.next.set(scope, shop.products.get());
            product
                .bought_with
                .set(scope, product.next.get().unwrap_or(product));
            shop.products.set(scope, product);
        }
        Ok(())
    })
}

fn visit(
    mutator: &mut Mutator,
    shop: &Root<Shop<'static>>,
    sessions: u64,
) -> Result<(), gc_core::RootError> {
    mutator.enter(|scope| {
        let shop = scope.get(shop)?;
        for number in 0..sessions {
            let wanted = std::iter::successors(shop.products.get(), |product| product.next.get());
            let basket = scope.alloc_slice(
                wanted
                    .filter(|product| product.price % 7 == number % 7)
                    .take(3),
            );
            let session = scope.alloc(Session {
                user: scope.alloc_str(&format!("user {number}")),
                basket,
                previous: Edge::none(),
            });
            session.previous.set(scope, shop.sessions.get());
            shop.sessions.set(scope, session);
        }
        Ok(())
    })
}

/// Writes a snapshot and says what the heap itself counts.
fn snapshot(heap: &Heap, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let summary = heap.snapshot(&mut File::create(path)?)?;
    let (stats, verified) = (heap.stats(), heap.verify()?);
    println!(
        "{{\"file\":\"{}\",\"objects\":{},\"bytes\":{},\"edges\":{},\"heap_objects_reachable\":{},\"heap_bytes_live\":{}}}",
        path.display(),
        summary.objects,
        summary.bytes,
        summary.edges,
        verified.objects_reachable,
        stats.bytes_live
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let heap = Heap::builder()
        .name("shop")
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .profile_one_in_bytes(256)
        .trace_file(directory.join("heap.trace.json"))
        .build()?;
    let mut mutator = heap.mutator();
    let shop = mutator.enter(|scope| {
        let shop = Shop {
            sessions: Edge::none(),
            products: Edge::none(),
        };
        scope.root(scope.alloc(shop))
    });
    stock(&mut mutator, &shop, 500)?;
    visit(&mut mutator, &shop, 200)?;
    stock(&mut mutator, &shop, 50)?;
    snapshot(&heap, &directory.join("before.heapsnapshot"))?;
    visit(&mut mutator, &shop, 100)?;
    mutator.enter(|scope| scope.get(&shop).map(|shop| shop.products.set(scope, None)))?;
    snapshot(&heap, &directory.join("after.heapsnapshot"))?;
    heap.write_profile(&mut File::create(directory.join("heap.pprof"))?)?;
    heap.write_prometheus(&mut File::create(directory.join("metrics.prom"))?)?;
    Ok(())
}
