//! The smallest program with a managed heap: a ring of objects, a root, a weak reference, two collections.
//!
//! `cargo run -p gc-core --example hello_heap`
//!
//! It builds three people who point at each other in a ring, keeps one of them by a root, and
//! collects twice: once while the root lives, once after it is gone. Reference counting would keep
//! the ring for ever; the second collection reclaims it. It prints what it finds and exits 0.

use std::error::Error;
use std::process::ExitCode;

use gc_core::{Edge, Heap, Policy, Trace};

/// A traced type carries the brand of its heap. Fields that never change may be any `Trace` type;
/// a pointer that changes after allocation is an `Edge`.
#[derive(Trace)]
struct Person<'gc> {
    name: &'static str,
    next: Edge<'gc, Person<'gc>>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello_heap: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // A broken invariant marks the heap unhealthy instead of ending the process, and GC_POLICY has
    // the last word.
    let heap = Heap::builder()
        .name("hello")
        .policy(Policy::MARK_UNHEALTHY)
        .policy_from_env()?
        .build()?;
    let mut mutator = heap.mutator();

    // Managed pointers are `Copy` and live inside `enter` alone. A `Root` is what leaves it.
    let ada = mutator.enter(|scope| {
        let person = |name| {
            scope.alloc(Person {
                name,
                next: Edge::none(),
            })
        };
        let [ada, grace, edsger] = ["Ada", "Grace", "Edsger"].map(person);
        for (from, to) in [(ada, grace), (grace, edsger), (edsger, ada)] {
            from.next.set(scope, to);
        }
        scope.root(ada)
    });

    let held = heap.collect()?;
    println!(
        "while Ada is rooted: {} objects marked, {} bytes freed",
        held.objects_marked, held.bytes_freed
    );

    let names = mutator.enter(|scope| {
        let mut names = Vec::new();
        let first = scope.get(&ada)?;
        let mut person = Some(first);
        while let Some(current) = person.filter(|_| names.len() < 4) {
            names.push(current.name);
            person = current.next.get();
        }
        Ok::<_, gc_core::RootError>(names)
    })?;
    println!("round the ring: {}", names.join(" -> "));

    drop(ada);
    let dropped = heap.collect()?;
    println!(
        "after the root is gone: {} objects marked, {} bytes freed",
        dropped.objects_marked, dropped.bytes_freed
    );

    let (health, ledger) = (heap.health(), heap.ledger()?);
    println!(
        "healthy: {}, accounts balanced: {}",
        health.is_healthy(),
        ledger.is_balanced()
    );
    Ok(())
}
