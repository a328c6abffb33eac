//! Which objects belong to a graph.
//!
//! Found by one walk over the heap, in the order of addresses. Of objects that containment keeps and
//! nothing is known to lead to, the addresses alone are told: what they held may be gone.

use std::collections::{HashMap, HashSet};

use gc_sweep::{Kept, Span, SpanState, StateByte};

use crate::ephemeron;
use crate::scan::{self, Scanned, Trust};
use crate::shared::Shared;

/// The addresses of a graph's objects, in order, and which of them may be scanned.
pub(super) struct Members {
    pub(super) addresses: Vec<usize>,
    /// By number: its pointers lead to objects.
    pub(super) are_alive: Vec<bool>,
}

/// Whether containment has withdrawn what stands there.
pub(super) fn is_withdrawn(span: &Span, byte: StateByte) -> bool {
    byte.is_quarantined() || span.state() == Some(SpanState::Quarantined)
}

impl Members {
    /// What is marked or was born since, and what containment keeps.
    pub(super) fn marked(shared: &Shared, kept: Kept) -> Members {
        Members::of(shared, &mut |_, byte| kept.has(byte))
    }

    /// What roots and the words of value stacks lead to, and what containment keeps.
    pub(super) fn reachable(shared: &Shared, roots: &[usize], stack_words: &[usize]) -> Members {
        let mut seen = HashSet::new();
        let mut waiting: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut stack = [roots, stack_words].concat();
        let mut children = Vec::new();
        while let Some(address) = stack.pop() {
            if !shared.state(address).is_object() || !seen.insert(address) {
                continue;
            }
            stack.extend(waiting.remove(&address).unwrap_or_default());
            if let Some((key, value)) = ephemeron::entry_at(shared, address) {
                if seen.contains(&key) {
                    stack.push(value);
                } else {
                    waiting.entry(key).or_default().push(value);
                }
            }
            let Some(span) = shared.space.span_of(address) else {
                continue;
            };
            let mut from = Some(0);
            while let Some(item) = from {
                let found = &mut children;
                let scanned = scan::scan(&shared.types, span, address, item, Trust::Sealed, found);
                stack.append(&mut children);
                from = match scanned {
                    Scanned::Until(next) => Some(next),
                    Scanned::Whole | Scanned::NoDescriptor => None,
                };
            }
        }
        Members::of(shared, &mut |address, _| seen.contains(&address))
    }

    fn of(shared: &Shared, is_alive: &mut dyn FnMut(usize, StateByte) -> bool) -> Members {
        let mut members = Members {
            addresses: Vec::new(),
            are_alive: Vec::new(),
        };
        shared.space.for_each_object(&mut |address, span, byte| {
            let is_alive = is_alive(address, byte);
            if is_alive || is_withdrawn(span, byte) {
                members.addresses.push(address);
                members.are_alive.push(is_alive);
            }
        });
        members
    }

    /// The number of the object at an address. The walk that found them went by address.
    pub(super) fn number_of(&self, address: usize) -> Option<u32> {
        let number = self.addresses.binary_search(&address).ok()?;
        Some(number as u32)
    }
}
