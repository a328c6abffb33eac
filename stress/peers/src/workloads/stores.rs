//! Random pointer stores into a graph that lives, while no collection is going on.

use std::time::Instant;

use super::Outcome;
use crate::peer::{Peer, Setup, Variant};
use crate::random::Random;
use crate::size::Size;

const NODES_SMALL: usize = 1000;
const STORES_OF_A_TURN: usize = 1_000_000;

fn graph<P: Peer>(nodes: usize, stores: usize, variant: Variant) -> (f64, u64) {
    let mut heap = P::heap(&Setup::nodes(nodes, variant));
    for slot in 0..nodes {
        P::build(&mut heap, |cx| {
            P::put(cx, slot, Some(P::node(cx, None, None, slot as u64)));
        });
    }
    // No cycle starts by itself while nothing is allocated.
    P::collect(&mut heap);
    let mut random = Random::new(3);
    let mut nanos = 0;
    let mut checksum = 0u64;
    for _ in 0..stores.div_ceil(STORES_OF_A_TURN) {
        let (elapsed, seen) = P::turn(&mut heap, |cx| {
            let held: Vec<_> = (0..nodes).filter_map(|slot| P::get(cx, slot)).collect();
            let started = Instant::now();
            for _ in 0..STORES_OF_A_TURN / 2 {
                let (from, to) = (random.index(nodes), random.index(nodes));
                P::set_left(cx, &held[from], &held[to]);
                P::set_right(cx, &held[to], &held[from]);
            }
            let elapsed = started.elapsed().as_nanos();
            let mut seen = 0u64;
            for (at, node) in held.iter().enumerate() {
                let left = P::left(node, |left| left.map_or(0, P::value));
                let right = P::right(node, |right| right.map_or(0, P::value));
                seen = seen.wrapping_add((left + 3 * right).wrapping_mul(at as u64));
            }
            (elapsed, seen)
        });
        nanos += elapsed;
        checksum = checksum.wrapping_add(seen);
    }
    let made = stores.div_ceil(STORES_OF_A_TURN) * STORES_OF_A_TURN;
    (nanos as f64 / made as f64, checksum)
}

/// Nanoseconds per store, two random numbers for two stores included, in cache and out of it.
pub fn run<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let (small, seen_small) = graph::<P>(NODES_SMALL, size.stores, variant);
    let (large, seen_large) = graph::<P>(size.stores_large, size.stores, variant);
    Outcome::new(seen_small.wrapping_add(seen_large))
        .with("store, small", "ns", small)
        .with("store, large", "ns", large)
}
