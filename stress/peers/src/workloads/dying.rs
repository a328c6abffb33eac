//! Objects that die at once, by size. The figure is allocation, writing, and the object's share of all freeing.

use std::time::Instant;

use super::Outcome;
use crate::peer::{Peer, Setup, Variant};
use crate::size::Size;

const OBJECTS_OF_A_TURN: u64 = 1000;

/// Nanoseconds per object and the sum of what was read back, for objects of `N` words.
fn one<P: Peer, const N: usize>(heap: &mut P::Heap, objects: u64) -> (f64, u64) {
    let mut seen = 0u64;
    let turns = objects / OBJECTS_OF_A_TURN;
    let started = Instant::now();
    for turn in 0..turns {
        seen += P::turn(heap, |cx| {
            let first = turn * OBJECTS_OF_A_TURN;
            (first..first + OBJECTS_OF_A_TURN)
                .map(|seed| P::dying::<N>(cx, seed))
                .sum::<u64>()
        });
    }
    let nanos = started.elapsed().as_nanos() as f64;
    (nanos / (turns * OBJECTS_OF_A_TURN) as f64, seen)
}

/// Five sizes, one after the other on one heap.
pub fn run<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let mut heap = P::heap(&Setup::nodes(1, variant));
    let objects = size.dying_objects;
    let (of_16, seen_16) = one::<P, 2>(&mut heap, objects);
    let (of_32, seen_32) = one::<P, 4>(&mut heap, objects);
    let (of_64, seen_64) = one::<P, 8>(&mut heap, objects / 2);
    let (of_256, seen_256) = one::<P, 32>(&mut heap, objects / 4);
    let (of_1024, seen_1024) = one::<P, 128>(&mut heap, objects / 16);
    Outcome::new(seen_16 + seen_32 + seen_64 + seen_256 + seen_1024)
        .with("16 B", "ns", of_16)
        .with("32 B", "ns", of_32)
        .with("64 B", "ns", of_64)
        .with("256 B", "ns", of_256)
        .with("1024 B", "ns", of_1024)
}
