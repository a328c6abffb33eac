//! The scenarios, in the order of the page: what happened, how it is re-enacted, what it teaches, what finds it.
//!
//! Constant data. Invariant: what a scenario declares is what its program comes to at each level, for any
//! seed; a test carries all of them out.

use gc_core::Check;

use super::{Found, Scenario};

mod order;
mod over;
mod under;

const fn found(checks: &'static [Check]) -> Found {
    Found {
        checks,
        loses_live: false,
    }
}

/// Found when the harm is done.
const fn too_late(checks: &'static [Check]) -> Found {
    Found {
        checks,
        loses_live: true,
    }
}

const ALLOC_COUNT: &[Check] = &[Check::AllocCount];
const SWEEP_COUNT: &[Check] = &[Check::SweepCount];
const FREE_POINTER: &[Check] = &[Check::FreePointer];
const VIRGIN_SLOT: &[Check] = &[Check::VirginSlot];

/// What is found of a word that leads to a slot that was freed: `lax` lets the mark through.
const STALE: [Found; 3] = [found(SWEEP_COUNT), found(FREE_POINTER), found(FREE_POINTER)];
/// What is found of a word that leads to no slot at all.
const NOWHERE: [Found; 3] = [found(&[Check::BadPointer]); 3];
/// What is found of a live object that was not marked: the free slot that it left, or itself. (At `lax` the
/// stray mark of the edge that is left keeps it, unless its slot was taken before.)
const MISSED: [Found; 3] = [
    found(SWEEP_COUNT),
    too_late(FREE_POINTER),
    found(&[Check::UnmarkedReachable]),
];

/// Every scenario.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    let groups = [over::SCENARIOS, under::SCENARIOS, order::SCENARIOS];
    groups.into_iter().flatten()
}
