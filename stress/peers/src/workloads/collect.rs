//! Whole collections of a heap in which everything lives, per object.

use std::time::Instant;

use super::{Outcome, sum, tree as complete_tree};
use crate::peer::{Peer, Setup, Variant};
use crate::random::Random;
use crate::size::Size;

/// Depth of the parts a tree is built from.
const DEPTH_PART: u32 = 12;
const COLLECTIONS: u32 = 2;
const OBJECTS_OF_A_TURN: usize = 1000;

/// Collects once to settle what building has begun, then measures.
fn measured<P: Peer>(heap: &mut P::Heap, objects: u64, checksum: u64) -> Outcome {
    P::collect(heap);
    let started = Instant::now();
    for _ in 0..COLLECTIONS {
        P::collect(heap);
    }
    let nanos = started.elapsed().as_nanos() as f64 / f64::from(COLLECTIONS);
    Outcome::new(checksum).with("object", "ns", nanos / objects as f64)
}

/// The upper part of a tree, over parts that are in slots.
fn crown<'a, P: Peer>(cx: P::Cx<'a>, slots: std::ops::Range<usize>) -> Option<P::Node<'a>> {
    if slots.len() <= 1 {
        return P::take(cx, slots.start);
    }
    let middle = slots.start + slots.len() / 2;
    let left = crown::<P>(cx, slots.start..middle);
    let right = crown::<P>(cx, middle..slots.end);
    Some(P::node(cx, left, right, 1))
}

/// A tree of `2^depth - 1` nodes, laid out in the order it is visited in.
pub fn tree<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let slots = 1usize << (size.collected_depth - DEPTH_PART);
    let mut heap = P::heap(&Setup::nodes(slots, variant));
    for slot in 0..slots {
        P::build(&mut heap, |cx| {
            P::put(cx, slot, Some(complete_tree::<P>(cx, DEPTH_PART)));
        });
    }
    let seen = P::build(&mut heap, |cx| {
        let root = crown::<P>(cx, 0..slots);
        let seen = root.as_ref().map_or(0, sum::<P>);
        P::put(cx, 0, root);
        seen
    });
    measured::<P>(&mut heap, seen, seen)
}

/// As many nodes in random order: a tree over that order, so that all are reachable, and edges of its leaves that lead
/// anywhere.
pub fn random<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let nodes = 1usize << size.collected_depth;
    let mut heap = P::heap(&Setup::nodes(1, variant));
    let mut random = Random::new(4);
    let mut order: Vec<u32> = (0..nodes as u32).collect();
    for at in (1..nodes).rev() {
        order.swap(at, random.index(at + 1));
    }
    let checksum = P::build(&mut heap, |cx| {
        let held: Vec<_> = (0..nodes)
            .map(|number| P::node(cx, None, None, number as u64))
            .collect();
        for at in 0..nodes {
            let node = &held[order[at] as usize];
            if let Some(child) = order.get(2 * at + 1) {
                P::set_left(cx, node, &held[*child as usize]);
            }
            if let Some(child) = order.get(2 * at + 2) {
                P::set_right(cx, node, &held[*child as usize]);
            } else {
                P::set_right(cx, node, &held[random.index(nodes)]);
            }
        }
        let mut seen = 0u64;
        for node in &held {
            let left = P::left(node, |left| left.map_or(0, P::value));
            let right = P::right(node, |right| right.map_or(0, P::value));
            seen = seen.wrapping_add(left.wrapping_mul(3) ^ right);
        }
        P::put(cx, 0, Some(held[order[0] as usize].clone()));
        seen
    });
    drop(order);
    measured::<P>(&mut heap, nodes as u64, checksum)
}

/// A list: one object after the other, nothing to do ahead or at once.
pub fn list<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let mut heap = P::heap(&Setup::nodes(1, variant));
    for first in (0..size.elements).step_by(OBJECTS_OF_A_TURN) {
        P::build(&mut heap, |cx| {
            for number in first..size.elements.min(first + OBJECTS_OF_A_TURN) {
                let rest = P::take(cx, 0);
                P::put(cx, 0, Some(P::node(cx, rest, None, number as u64)));
            }
        });
    }
    let seen = P::turn(&mut heap, |cx| {
        let mut seen = 0u64;
        let mut at = P::get(cx, 0);
        while let Some(node) = at {
            seen = seen.wrapping_mul(31).wrapping_add(P::value(&node));
            at = P::left(&node, |next| next.cloned());
        }
        seen
    });
    measured::<P>(&mut heap, size.elements as u64, seen)
}

/// One array that leads to many leaves.
pub fn array<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let mut heap = P::heap(&Setup::nodes(size.elements, variant));
    for first in (0..size.elements).step_by(OBJECTS_OF_A_TURN) {
        P::build(&mut heap, |cx| {
            for slot in first..size.elements.min(first + OBJECTS_OF_A_TURN) {
                P::put(cx, slot, Some(P::node(cx, None, None, slot as u64)));
            }
        });
    }
    let elements = size.elements;
    let seen = P::turn(&mut heap, |cx| {
        (0..elements).fold(0u64, |seen, slot| {
            let value = P::get(cx, slot).map_or(0, |node| P::value(&node));
            seen.wrapping_mul(31).wrapping_add(value)
        })
    });
    measured::<P>(&mut heap, size.elements as u64, seen)
}
