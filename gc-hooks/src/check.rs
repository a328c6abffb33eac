//! The register of everything a heap checks about itself.
//!
//! Owns the names: the identifier operators write in a policy, the first line people search for, the
//! level that makes a check and how often it is paid for. Called by everyone, from any thread and
//! phase; all of it is constant data. Invariants: `Check::ALL[check as usize] == check`, and no two
//! checks share an identifier. Deliberately absent: how a check is made and how its damage is
//! contained; those stand where the check stands.

use std::fmt;

use crate::level::CheckLevel;

/// Whether a check speaks of the heap itself or of the world round it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CheckKind {
    /// The heap is not what it believes to be.
    Invariant,
    /// User code, a limit or the operating system misbehaves; the heap is as it should be.
    World,
}

/// How often a check is paid for: what a heap without faults spends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cost {
    /// Nothing: it is noticed when it happens.
    Event,
    /// Once a cycle, a handshake or a delivery.
    Cycle,
    /// Once for each span that is swept, leased or given back.
    Span,
    /// Once for each slot that is freed and handed out again.
    Slot,
    /// Once for each pointer that is marked or that a barrier reads, or for each store.
    Edge,
    /// A walk over the whole heap.
    Heap,
}

impl Cost {
    /// The name of the class in the docs.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Cost::Event => "event",
            Cost::Cycle => "cycle",
            Cost::Span => "span",
            Cost::Slot => "slot",
            Cost::Edge => "edge",
            Cost::Heap => "heap",
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// Writes the enum, the list and the five columns from one table, so that no check can be missing
/// from any of them.
macro_rules! register {
    ($($(#[$doc:meta])*
    $check:ident, $id:literal, $kind:ident, $cost:ident, $level:ident, $message:literal;)*) => {
        /// One thing that is believed always to hold, or one way the world may misbehave.
        ///
        /// The discriminants are indexes into tables of [`Check::COUNT`] entries, never a stored
        /// format.
        #[non_exhaustive]
        #[repr(u8)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Check {
            $($(#[$doc])* $check,)*
        }

        impl Check {
            /// Every check, in the order of their discriminants.
            pub const ALL: &'static [Check] = &[$(Check::$check,)*];

            /// How many checks there are: the length of every table indexed by one.
            pub const COUNT: usize = Self::ALL.len();

            /// The name of the check in policies, metrics and reports.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Check::$check => $id,)*
                }
            }

            /// What a failure says in its first line. Where Go throws on the same fault, this is
            /// Go's wording, and where Go only hangs or says nothing, another runtime's, so that a
            /// search for the line finds what others learnt about it.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Check::$check => $message,)*
                }
            }

            /// Whether the check speaks of the heap or of the world round it.
            #[must_use]
            pub const fn kind(self) -> CheckKind {
                match self {
                    $(Check::$check => CheckKind::$kind,)*
                }
            }

            /// What a heap without faults spends on the check, where it is made.
            #[must_use]
            pub const fn cost(self) -> Cost {
                match self {
                    $(Check::$check => Cost::$cost,)*
                }
            }

            /// The first level that makes the check. One that every level makes may do more at a
            /// higher one.
            #[must_use]
            pub const fn level(self) -> CheckLevel {
                match self {
                    $(Check::$check => CheckLevel::$level,)*
                }
            }
        }
    };
}

register! {
    /// A sweep finds more objects in a span than were ever handed out from it.
    SweepCount, "sweep-count", Invariant, Span, Lax, "sweep increased allocation count";
    /// A slot that was never handed out, or the tail of a span, is marked.
    Zombie, "zombie", Invariant, Span, Lax, "found pointer to free object";
    /// A pointer leads to no slot: to an unallocated span, outside the heap, to a span's tail,
    /// between two slots.
    BadPointer, "bad-pointer", Invariant, Edge, Lax, "found bad pointer in heap";
    /// A pointer leads to a free slot of a span that is in use.
    FreePointer, "free-pointer", Invariant, Edge, Default, "found bad pointer in heap";
    /// A barriered store reads its old value from memory that was never initialised.
    VirginSlot, "virgin-slot", Invariant, Edge, Paranoid,
        "found bad pointer in heap: store over virgin memory";
    /// The state word of a span names a state that cannot be.
    SpanState, "span-state", Invariant, Span, Lax, "sweep: bad span state";
    /// A span that was swept in this cycle is claimed for sweeping again.
    DoubleSweep, "double-sweep", Invariant, Span, Lax, "sweep: span swept twice";
    /// The generation of a span is one that no sweep can have left: ahead of the cycle, or more than
    /// one behind it.
    SweepGeneration, "sweep-generation", Invariant, Span, Lax,
        "sweep: bad span state: sweepgen out of step";
    /// A list of spans holds one that is not in use, or not in the state the list is for.
    SpanList, "span-list", Invariant, Span, Lax, "non in-use span in unswept list";
    /// The record of a span is not the one that was sealed when the span was cut.
    SpanSeal, "span-seal", Invariant, Span, Lax, "span record does not match its seal";
    /// The allocation count of a span and its state bytes disagree.
    AllocCount, "alloc-count", Invariant, Span, Lax,
        "span allocation count disagrees with its slots";
    /// A free slot was written to after the sweep had freed it.
    SlotDirty, "slot-dirty", Invariant, Slot, Paranoid, "free slot was written to after it was freed";
    /// An object's type descriptor is not one that was registered.
    Descriptor, "descriptor", Invariant, Span, Lax, "object has no registered descriptor";
    /// Grey work turns up after marking was found to be over.
    LateGrey, "late-grey", Invariant, Cycle, Lax, "non-empty mark queue after concurrent mark";
    /// The second opinion finds a reachable object that marking missed.
    UnmarkedReachable, "unmarked-reachable", Invariant, Heap, Paranoid,
        "checkmark found unmarked object";
    /// Fewer helpers passed a gate inwards than outwards.
    GateCount, "gate-count", Invariant, Cycle, Lax, "work.nwait > work.nproc";
    /// A root slot does not carry the generation its handle expects.
    RootTable, "root-table", Invariant, Event, Lax, "root slot does not match its handle";
    /// The pacer's numbers contradict each other.
    Pacer, "pacer", Invariant, Cycle, Lax, "produced a trigger greater than the heap goal";
    /// The books of the heap do not balance.
    Ledger, "ledger", Invariant, Heap, Lax, "heap accounts do not balance";
    /// More memory is quarantined than the heap was told to put up with.
    QuarantineLimit, "quarantine-limit", World, Event, Lax, "quarantine is over its limit";
    /// A destructor of a dead object panicked.
    DropPanicked, "drop-panicked", World, Event, Lax, "destructor of a dead object panicked";
    /// A receiver of violations (the hook, or a subscriber to trace events) panicked.
    HookPanicked, "hook-panicked", World, Event, Lax, "violation hook panicked";
    /// A hook used the heap that had called it.
    HookReentered, "hook-reentered", World, Event, Lax,
        "violation hook entered the heap that called it";
    /// A hook has not returned within its deadline.
    HookStalled, "hook-stalled", World, Cycle, Lax, "violation hook does not return";
    /// The operating system refused a call that can be done without.
    OsCall, "os-call", World, Event, Lax, "operating system refused a call";
    /// A violation could not be written to the durable record.
    RecordFailed, "record-failed", World, Event, Lax, "violation record could not be written";
    /// A mutator has not answered a handshake within the deadline: it stays inside.
    SafepointStalled, "safepoint-stalled", World, Cycle, Lax,
        "timeout detected: mutator did not reach the safepoint";
    /// A child of `fork` uses a heap whose collector threads and other mutators stayed in the parent.
    Forked, "forked", World, Event, Lax, "heap used on child side of fork";
}

impl Check {
    /// The check of that name, exactly as [`Check::id`] spells it.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Check> {
        Self::ALL.iter().copied().find(|check| check.id() == id)
    }

    /// Where the check stands in a table of [`Check::COUNT`] entries.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_identifier_is_its_own_and_leads_back_to_its_check() {
        let ids: BTreeSet<&str> = Check::ALL.iter().map(|check| check.id()).collect();
        assert_eq!(ids.len(), Check::COUNT);
        for check in Check::ALL {
            assert_eq!(Check::from_id(check.id()), Some(*check));
            assert_eq!(check.to_string(), check.id());
        }
    }

    #[test]
    fn an_identifier_is_the_kebab_case_of_its_variant() {
        for check in Check::ALL {
            let mut kebab = String::new();
            for letter in format!("{check:?}").chars() {
                if letter.is_uppercase() && !kebab.is_empty() {
                    kebab.push('-');
                }
                kebab.push(letter.to_ascii_lowercase());
            }
            assert_eq!(check.id(), kebab);
        }
    }

    #[test]
    fn an_unknown_identifier_names_no_check() {
        for id in ["", "Zombie", "bad_pointer", "bad-pointer ", "abort"] {
            assert_eq!(Check::from_id(id), None, "{id:?}");
        }
    }

    #[test]
    fn checks_of_the_world_are_exactly_these() {
        let world: Vec<&str> = Check::ALL
            .iter()
            .filter(|check| check.kind() == CheckKind::World)
            .map(|check| check.id())
            .collect();
        assert_eq!(
            world,
            [
                "quarantine-limit",
                "drop-panicked",
                "hook-panicked",
                "hook-reentered",
                "hook-stalled",
                "os-call",
                "record-failed",
                "safepoint-stalled",
                "forked"
            ]
        );
    }

    #[test]
    fn pointer_checks_open_with_the_line_people_search_for() {
        for check in [Check::BadPointer, Check::FreePointer, Check::VirginSlot] {
            assert!(
                check.message().starts_with("found bad pointer in heap"),
                "{check}"
            );
        }
        assert_eq!(
            Check::SweepCount.message(),
            "sweep increased allocation count"
        );
        assert_eq!(Check::Zombie.message(), "found pointer to free object");
    }

    #[test]
    fn a_message_is_one_line_that_begins_in_lower_case() {
        for check in Check::ALL {
            let message = check.message();
            assert!(
                message.starts_with(|first: char| first.is_ascii_lowercase()),
                "{check}"
            );
            assert!(!message.contains(['\n', '(', ')']), "{check}");
        }
    }
}
