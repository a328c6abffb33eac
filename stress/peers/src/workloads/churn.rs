//! A large live set, short-lived trees, and now and then a tree of the live set replaced.

use std::time::Instant;

use super::{Outcome, resident_kib, sum, tree};
use crate::peer::{Peer, Setup, Variant};
use crate::random::Random;
use crate::size::Size;

/// Of a tree of the live set: 4095 nodes.
const DEPTH_LIVE: u32 = 12;
/// Of a tree that dies at once: 255 nodes.
const DEPTH_SHORT: u32 = 8;
/// Short-lived trees of a round, after which one of the live set is replaced.
const SHORT_OF_A_ROUND: u64 = 16;
const NODE_BYTES: f64 = 32.0;

/// Nanoseconds per object allocated, and the process's peak over the payload of the live set.
pub fn run<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let before_kib = resident_kib("VmRSS:");
    let slots = size.churn_trees;
    let mut heap = P::heap(&Setup::nodes(slots, variant));
    for slot in 0..slots {
        P::build(&mut heap, |cx| {
            P::put(cx, slot, Some(tree::<P>(cx, DEPTH_LIVE)));
        });
    }
    let mut random = Random::new(1);
    let mut seen = 0;
    let started = Instant::now();
    for _ in 0..size.churn_rounds {
        for _ in 0..SHORT_OF_A_ROUND / 4 {
            seen += P::turn(&mut heap, |cx| {
                let mut seen = 0;
                for _ in 0..4 {
                    let short_lived = tree::<P>(cx, DEPTH_SHORT);
                    seen += sum::<P>(&short_lived);
                    P::free_tree(cx, short_lived);
                }
                seen
            });
        }
        let slot = random.index(slots);
        P::turn(&mut heap, |cx| {
            P::put(cx, slot, Some(tree::<P>(cx, DEPTH_LIVE)));
        });
    }
    let nanos = started.elapsed().as_nanos() as f64;
    let peak_kib = resident_kib("VmHWM:") - before_kib;
    for slot in 0..slots {
        seen += P::turn(&mut heap, |cx| {
            P::get(cx, slot).map_or(0, |tree| sum::<P>(&tree))
        });
    }
    let live_objects = (slots * ((1 << DEPTH_LIVE) - 1)) as f64;
    let of_a_round = SHORT_OF_A_ROUND * ((1 << DEPTH_SHORT) - 1) + ((1 << DEPTH_LIVE) - 1);
    let allocated = (size.churn_rounds as u64 * of_a_round) as f64;
    Outcome::new(seen)
        .with("object", "ns", nanos / allocated)
        .with(
            "peak/live",
            "x",
            peak_kib * 1024.0 / (live_objects * NODE_BYTES),
        )
}
