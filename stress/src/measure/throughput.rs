//! Binary trees: two mutators on one heap, each for itself, against one mutator alone.
//!
//! The collector is driven by the mutators themselves on both sides, so that two mutators have no
//! more to do for each tree than one has. What the machine allows two threads that share nothing is
//! told beside it, without a goal: two mutators with a heap each. So is what two mutators do with a
//! collector thread beside them, which are three threads for two cores.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use gc_core::{Driver, Edge, Gc, Heap, Mutator, Scope, Trace};

use super::{Extent, Figure, Goal, heap, median};
use crate::error::Error;

/// Levels of a tree.
const DEPTH: u32 = 13;
/// Twice the throughput, less what two threads may cost each other.
const SPEEDUP_MIN: f64 = 1.8;

#[derive(Trace)]
struct Tree<'gc> {
    left: Edge<'gc, Tree<'gc>>,
    right: Edge<'gc, Tree<'gc>>,
}

fn tree<'gc>(scope: Scope<'gc>, depth: u32) -> Result<Gc<'gc, Tree<'gc>>, Error> {
    let (left, right) = match depth {
        1 => (Edge::none(), Edge::none()),
        _ => (
            Edge::to(tree(scope, depth - 1)?),
            Edge::to(tree(scope, depth - 1)?),
        ),
    };
    Ok(scope.try_alloc(Tree { left, right })?)
}

fn nodes(tree: Gc<'_, Tree<'_>>) -> u64 {
    let below = |edge: &Edge<'_, Tree<'_>>| edge.get().map_or(0, nodes);
    1 + below(&tree.left) + below(&tree.right)
}

/// Builds, counts and forgets trees, and answers how many nodes they had.
pub(super) fn build_trees(mutator: &mut Mutator, trees: usize) -> Result<u64, Error> {
    let mut sum = 0;
    for _ in 0..trees {
        sum += mutator.enter(|scope| Ok::<_, Error>(nodes(tree(scope, DEPTH)?)))?;
    }
    Ok(sum)
}

/// One mutator's work. One of its trees stays all the while.
fn work(heap: &Heap, trees: usize, start: &Barrier) -> Result<u64, Error> {
    let mut mutator = heap.mutator();
    let kept = mutator.enter(|scope| Ok::<_, Error>(scope.root(tree(scope, DEPTH)?)));
    start.wait();
    let sum = build_trees(&mut mutator, trees);
    drop(kept?);
    sum
}

/// Who builds trees where.
#[derive(Clone, Copy)]
struct Side {
    driver: Driver,
    heaps: usize,
    /// They go round the heaps.
    mutators: usize,
}

impl Side {
    const fn new(driver: Driver, heaps: usize, mutators: usize) -> Self {
        Side {
            driver,
            heaps,
            mutators,
        }
    }
}

/// Trees a second of all mutators of a side together.
fn trees_per_second(side: Side, trees: usize) -> Result<f64, Error> {
    let heaps: Vec<Heap> = (0..side.heaps)
        .map(|_| heap(side.driver))
        .collect::<Result<_, _>>()?;
    let start = &Barrier::new(side.mutators + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = heaps
            .iter()
            .cycle()
            .take(side.mutators)
            .map(|heap| scope.spawn(move || work(heap, trees, start)))
            .collect();
        start.wait();
        let begun = Instant::now();
        for worker in workers {
            let sum = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            black_box(sum);
        }
        Ok((side.mutators * trees) as f64 / begun.elapsed().as_secs_f64())
    })
}

pub(super) fn measure(
    extent: Extent,
    tell: &mut dyn FnMut(Figure) -> Result<(), Error>,
) -> Result<(), Error> {
    let sides = [
        Side::new(Driver::Incremental, 1, 1),
        Side::new(Driver::Incremental, 1, 2),
        Side::new(Driver::Incremental, 2, 2),
        Side::new(Driver::Background(1), 1, 2),
    ];
    let mut rates = sides.map(|_| Vec::new());
    for _ in 0..extent.runs {
        for (side, rates) in sides.iter().zip(&mut rates) {
            rates.push(trees_per_second(*side, extent.trees)?);
        }
    }
    let [one, two, apart, beside] = rates.map(|mut rates| median(&mut rates));
    tell(Figure::new("throughput_1_mutator_rate", "trees/s", one))?;
    tell(Figure::new("throughput_2_mutators_rate", "trees/s", two))?;
    let speedup = Figure::new("throughput_2_mutators", "ratio", two / one);
    tell(speedup.with_goal(Goal::AtLeast(SPEEDUP_MIN)))?;
    tell(Figure::new("throughput_2_heaps", "ratio", apart / one))?;
    let shared = Figure::new("throughput_2_mutators_of_2_heaps", "ratio", two / apart);
    tell(shared)?;
    let speedup = Figure::new("throughput_2_mutators_background", "ratio", beside / one);
    tell(speedup)
}
