//! Binary trees: one that lives, and many of growing depth that die at once.

use std::thread;
use std::time::Instant;

use super::{Outcome, sum, tree};
use crate::peer::{Peer, Setup, Variant};

/// The depth of the shortest-lived trees.
const DEPTH_MIN: u32 = 4;
/// A turn makes at least so many nodes.
const NODES_OF_A_TURN: u64 = 1024;

/// Allocates, walks and drops; the sum of all nodes seen.
fn work<P: Peer>(heap: &mut P::Heap, depth: u32) -> u64 {
    let mut total = P::turn(heap, |cx| {
        let stretch = tree::<P>(cx, depth + 1);
        let seen = sum::<P>(&stretch);
        P::free_tree(cx, stretch);
        seen
    });
    P::build(heap, |cx| P::put(cx, 0, Some(tree::<P>(cx, depth))));
    for short in (DEPTH_MIN..=depth).step_by(2) {
        let trees = 1u64 << (depth - short + DEPTH_MIN);
        let nodes = (1u64 << short) - 1;
        let of_a_turn = NODES_OF_A_TURN.div_ceil(nodes).min(trees);
        let mut made = 0;
        while made < trees {
            let now = of_a_turn.min(trees - made);
            made += now;
            total += P::turn(heap, |cx| {
                let mut seen = 0;
                for _ in 0..now {
                    let short_lived = tree::<P>(cx, short);
                    seen += sum::<P>(&short_lived);
                    P::free_tree(cx, short_lived);
                }
                seen
            });
        }
    }
    total
        + P::turn(heap, |cx| {
            P::get(cx, 0).map_or(0, |long_lived| sum::<P>(&long_lived))
        })
}

/// One thread.
pub fn run<P: Peer>(depth: u32, variant: Variant) -> Outcome {
    let mut heap = P::heap(&Setup::nodes(1, variant));
    let started = Instant::now();
    let total = work::<P>(&mut heap, depth);
    Outcome::new(total).with("time", "s", started.elapsed().as_secs_f64())
}

/// The same program on each of two threads of one heap.
pub fn run_two_threads<P: Peer>(depth: u32, variant: Variant) -> Outcome {
    let setup = Setup::nodes(1, variant);
    let mut heap = P::heap(&setup);
    let Some(partner) = P::partner(&heap) else {
        return Outcome::default();
    };
    let started = Instant::now();
    let other = thread::Builder::new()
        .stack_size(crate::child::STACK_BYTES)
        .spawn(move || work::<P>(&mut P::join(partner, &setup), depth))
        .expect("a second thread");
    let here = work::<P>(&mut heap, depth);
    let there = other.join().expect("the other thread's sum");
    Outcome::new(here + there).with("time", "s", started.elapsed().as_secs_f64())
}
