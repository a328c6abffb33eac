//! A shop: one heap, one collector thread, worker threads that share a graph of managed objects.
//!
//! `cargo run -p gc-core --example threads`
//!
//! The catalogue is a graph with rings, reached through a `Root` of which each worker thread gets a
//! clone. A worker has a mutator of its own and handles requests, one `enter` each: it reads the
//! shared graph, shows a page from a cache of weak references, fills a cart, which is a ring and soon
//! garbage, and changes edges of shared products. Every sixteenth cart goes as a `Root` through a
//! channel to a shipping thread, which waits for it in `Mutator::parked`. Meanwhile the collector
//! thread marks and sweeps, and nobody is stopped for it.
//!
//! At the end the heap is shut down and the books are compared: what the workers took, what the
//! products say was sold, what was shipped, and whether every cart that is still reachable adds up.
//! Exits 0 when they agree, 1 when they do not or the heap is not healthy.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gc_core::{Driver, Edge, Gc, Heap, HeapStats, Policy, Root, Scope, Trace, Weak};

type AnyError = Box<dyn Error + Send + Sync>;

const WORKERS: u64 = 3;
const REQUESTS_OF_A_WORKER: u64 = 30_000;
const REQUESTS: u64 = WORKERS * REQUESTS_OF_A_WORKER;
const PRODUCTS: u64 = 1024;
/// Products on one shelf, which is a ring.
const SHELF: usize = 64;
const LINES_OF_A_CART: usize = 3;
/// One cart of so many is shipped.
const SHIPPED_ONE_OF: u64 = 16;
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

// ---- The managed graph ----

/// A product, which all workers read and change at once. Plain fields never change; a number that
/// threads change together is an atomic, a pointer is an `Edge`. A `Cell` would do on one thread, and
/// would keep the roots of the whole graph there.
#[derive(Trace)]
struct Product<'gc> {
    number: u64,
    price_cents: u64,
    sold: AtomicU64,
    /// The next product on the shelf; the last one leads to the first.
    next: Edge<'gc, Product<'gc>>,
    /// What somebody bought with it, most recently.
    bought_with: Edge<'gc, Product<'gc>>,
    last_sale: Edge<'gc, Line<'gc>>,
    /// The page that shows it, until the collector takes it.
    page: Edge<'gc, Weak<'gc, str>>,
}

/// A managed slice of pointers: the catalogue.
type Catalogue<'gc> = [Gc<'gc, Product<'gc>>];

/// A cart and its lines lead to each other.
#[derive(Trace)]
struct Cart<'gc> {
    cents: u64,
    lines: Edge<'gc, Line<'gc>>,
}

#[derive(Trace)]
struct Line<'gc> {
    cart: Gc<'gc, Cart<'gc>>,
    product: Gc<'gc, Product<'gc>>,
    quantity: u64,
    next: Option<Gc<'gc, Line<'gc>>>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("threads: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), AnyError> {
    let heap = Heap::builder()
        .name("shop")
        .driver(Driver::Background(1))
        .soft_limit_bytes(64 << 20)
        .limit_bytes(256 << 20)
        .policy(Policy::MARK_UNHEALTHY)
        .policy_from_env()?
        .build()?;
    let catalogue = heap.mutator().enter(build)?;
    let (taken, shipped) = open_shop(&heap, &catalogue)?;

    let last = heap.shutdown(SHUTDOWN_DEADLINE)?;
    println!("served  {REQUESTS} requests: {taken:?}");
    println!("shipped {} carts", shipped.number);
    print_stats(&heap.stats());
    compare(&heap, &catalogue, &taken, &shipped)?;

    drop(catalogue);
    // After the shutdown the heap is driven by hand.
    let collected = heap.collect()?;
    println!(
        "objects {} with the catalogue, {} without",
        last.objects_marked, collected.objects_marked
    );
    let is_sound = heap.health().is_healthy() && heap.ledger()?.is_balanced();
    insist(collected.objects_marked == 0, "something outlived its root")?;
    insist(is_sound, "the heap is not healthy")
}

/// Fills the shelves.
fn build(scope: Scope<'_>) -> Result<Root<Catalogue<'static>>, gc_core::AllocError> {
    let mut products = Vec::new();
    for number in 0..PRODUCTS {
        products.push(scope.try_alloc(Product {
            number,
            price_cents: 100 + number * 7 % 900,
            sold: AtomicU64::new(0),
            next: Edge::none(),
            bought_with: Edge::none(),
            last_sale: Edge::none(),
            page: Edge::none(),
        })?);
    }
    for shelf in products.chunks(SHELF) {
        let followers = shelf.iter().cycle().skip(1);
        for (product, follower) in shelf.iter().zip(followers) {
            product.next.set(scope, *follower);
        }
    }
    Ok(scope.root(scope.try_alloc_slice(products)?))
}

// ---- The threads ----

/// What a worker did.
#[derive(Debug, Default)]
struct Taken {
    cents: u64,
    pages_rendered: u64,
    pages_cached: u64,
    to_ship: Carts,
}

/// Carts, and what they come to.
#[derive(Debug, Default, PartialEq)]
struct Carts {
    number: u64,
    cents: u64,
}

/// Runs all threads to their end and adds up what the workers did.
fn open_shop(
    heap: &Heap,
    catalogue: &Root<Catalogue<'static>>,
) -> Result<(Taken, Carts), AnyError> {
    let (outbox, inbox) = mpsc::channel();
    let shipping = spawn("shipping", {
        let heap = heap.clone();
        move || ship(&heap, &inbox)
    })?;
    let mut workers = Vec::new();
    for seed in 1..=WORKERS {
        let (heap, catalogue, outbox) = (heap.clone(), catalogue.clone(), outbox.clone());
        let serve = move || serve(&heap, &catalogue, &outbox, Random(seed));
        workers.push(spawn("worker", serve)?);
    }
    // The shipping thread ends when nobody can send any more.
    drop(outbox);
    let mut total = Taken::default();
    for worker in workers {
        let taken = join(worker)?;
        total.cents += taken.cents;
        total.pages_rendered += taken.pages_rendered;
        total.pages_cached += taken.pages_cached;
        total.to_ship.number += taken.to_ship.number;
        total.to_ship.cents += taken.to_ship.cents;
    }
    Ok((total, join(shipping)?))
}

/// A thread, and the result of what it was started for.
type Running<T> = JoinHandle<Result<T, AnyError>>;

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, AnyError> + Send + 'static,
) -> Result<Running<T>, AnyError> {
    Ok(thread::Builder::new().name(name.into()).spawn(work)?)
}

fn join<T>(thread: Running<T>) -> Result<T, AnyError> {
    thread.join().map_err(|_| "a thread panicked")?
}

/// Handles requests. The thread's mutator gives back what it holds when it is dropped.
fn serve(
    heap: &Heap,
    catalogue: &Root<Catalogue<'static>>,
    outbox: &Sender<Root<Cart<'static>>>,
    mut random: Random,
) -> Result<Taken, AnyError> {
    let mut mutator = heap.mutator();
    let mut taken = Taken::default();
    for request in 0..REQUESTS_OF_A_WORKER {
        let to_ship = mutator.enter(|scope| {
            let products: &[_] = scope.get(catalogue)?.as_ref();
            show_page(scope, random.one_of(products)?, &mut taken)?;
            let cart = buy(scope, products, &mut random)?;
            taken.cents += cart.cents;
            if request % SHIPPED_ONE_OF > 0 {
                return Ok(None);
            }
            taken.to_ship.number += 1;
            taken.to_ship.cents += cart.cents;
            Ok::<_, AnyError>(Some(scope.root(cart)))
        })?;
        // Outside `enter`: what blocks here keeps no cycle waiting.
        if let Some(cart) = to_ship {
            outbox.send(cart).map_err(|_| "nobody ships any more")?;
        }
    }
    Ok(taken)
}

/// Shows a product, from the cache as long as the collector has not taken the page.
fn show_page<'gc>(
    scope: Scope<'gc>,
    product: Gc<'gc, Product<'gc>>,
    taken: &mut Taken,
) -> Result<(), AnyError> {
    let cached = product.page.get().and_then(|page| scope.upgrade(*page));
    let page = if let Some(page) = cached {
        taken.pages_cached += 1;
        page
    } else {
        taken.pages_rendered += 1;
        let text = format!("product {}\n{:200}", product.number, "description");
        let page = scope.try_alloc_str(&text)?;
        let entry = scope.try_alloc(scope.downgrade(page))?;
        product.page.set(scope, entry);
        page
    };
    let title = page.lines().next().and_then(|line| line.split_once(' '));
    let shown = title.and_then(|(_, number)| number.parse().ok());
    insist(shown == Some(product.number), "that is another page")
}

/// Fills a cart, and has the products remember it.
fn buy<'gc>(
    scope: Scope<'gc>,
    products: &'gc Catalogue<'gc>,
    random: &mut Random,
) -> Result<Gc<'gc, Cart<'gc>>, AnyError> {
    let first = random.one_of(products)?;
    let mut wanted = [(first, 1); LINES_OF_A_CART];
    for (product, quantity) in &mut wanted {
        *product = random.one_of(products)?;
        *quantity = 1 + random.below(5);
    }
    let cents = wanted
        .iter()
        .map(|(product, quantity)| product.price_cents * quantity);
    let cart = scope.try_alloc(Cart {
        cents: cents.sum(),
        lines: Edge::none(),
    })?;
    let mut last = None;
    for (product, quantity) in wanted {
        let line = scope.try_alloc(Line {
            cart,
            product,
            quantity,
            next: last,
        })?;
        last = Some(line);
        product.sold.fetch_add(quantity, Ordering::Relaxed);
        // Whoever stores last is remembered; the cart that was there before may be garbage now.
        product.last_sale.set(scope, line);
        product.bought_with.set(scope, first);
    }
    cart.lines.set(scope, last);
    Ok(cart)
}

/// Ships carts until nobody can send one. While it waits, the mutator keeps nothing for itself.
fn ship(heap: &Heap, inbox: &Receiver<Root<Cart<'static>>>) -> Result<Carts, AnyError> {
    let mut mutator = heap.mutator();
    let mut shipped = Carts::default();
    while let Ok(cart) = mutator.parked(|| inbox.recv()) {
        shipped.number += 1;
        shipped.cents += mutator.enter(|scope| Ok::<_, AnyError>(total(scope.get(&cart)?)))?;
    }
    Ok(shipped)
}

/// What the lines of a cart come to.
fn total(cart: Gc<'_, Cart<'_>>) -> u64 {
    let lines = std::iter::successors(cart.lines.get(), |line| line.next);
    lines
        .map(|line| line.product.price_cents * line.quantity)
        .sum()
}

/// Numbers that look random, the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound.max(1)
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> Result<T, AnyError> {
        let at = usize::try_from(self.below(items.len() as u64))?;
        Ok(*items.get(at).ok_or("the catalogue is empty")?)
    }
}

// ---- The books ----

/// Compares what the threads say with what the graph says.
fn compare(
    heap: &Heap,
    catalogue: &Root<Catalogue<'static>>,
    taken: &Taken,
    shipped: &Carts,
) -> Result<(), AnyError> {
    let shown = taken.pages_rendered + taken.pages_cached;
    insist(shown == REQUESTS, "a page was not shown")?;
    insist(
        shipped == &taken.to_ship,
        "a cart was lost, or does not add up",
    )?;
    let sold = heap.mutator().enter(|scope| {
        let products: &[_] = scope.get(catalogue)?.as_ref();
        let mut sold = 0;
        for &product in products {
            sold += product.sold.load(Ordering::Relaxed) * product.price_cents;
            look_at(product)?;
        }
        Ok::<_, AnyError>(sold)
    })?;
    insist(
        sold == taken.cents,
        "the products say that something else was sold",
    )
}

/// The shelf is still a ring, and the last sale still adds up.
fn look_at<'gc>(product: Gc<'gc, Product<'gc>>) -> Result<(), AnyError> {
    let shelf = std::iter::successors(Some(product), |at| at.next.get());
    let is_ring = shelf
        .skip(SHELF)
        .take(1)
        .all(|last| Gc::ptr_eq(last, product));
    insist(is_ring && !product.next.is_none(), "a shelf is broken")?;
    if let Some(with) = product.bought_with.get() {
        insist(with.number < PRODUCTS, "bought with what is no product")?;
    }
    let Some(line) = product.last_sale.get() else {
        return Ok(());
    };
    insist(
        Gc::ptr_eq(line.product, product),
        "a sale of another product",
    )?;
    insist(
        total(line.cart) == line.cart.cents,
        "a cart does not add up",
    )
}

fn insist(holds: bool, otherwise: &'static str) -> Result<(), AnyError> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn print_stats(stats: &HeapStats) {
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    println!(
        "heap    {} cycles, {} bytes allocated, {} live",
        stats.cycles_finished, stats.bytes_allocated_total, stats.bytes_live
    );
    let pauses = &stats.pauses;
    println!(
        "pauses  {} counted: half below {:.1} us, 99 % below {:.1} us, the longest {:.1} us",
        pauses.count(),
        micros(pauses.quantile_ns(0.5)),
        micros(pauses.quantile_ns(0.99)),
        micros(pauses.max_ns())
    );
}
