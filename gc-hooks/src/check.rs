//! The register of everything a heap checks about itself, and how hard it looks.
//!
//! Owns the names: the identifier operators write in a policy, the first line people search for.
//! Called by everyone, from any thread and phase; all of it is constant data. Invariants:
//! `Check::ALL[check as usize] == check`, and no two checks share an identifier. Deliberately
//! absent: what a check costs, how it is made, and how its damage is contained; those stand where
//! the check stands.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Whether a check speaks of the heap itself or of the world round it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CheckKind {
    /// The heap is not what it believes to be.
    Invariant,
    /// User code, a limit or the operating system misbehaves; the heap is as it should be.
    World,
}

/// Writes the enum, the list and the three columns from one table, so that no check can be missing
/// from any of them.
macro_rules! register {
    ($($(#[$doc:meta])* $check:ident, $id:literal, $kind:ident, $message:literal;)*) => {
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
        }
    };
}

register! {
    /// A sweep finds more objects in a span than were ever handed out from it.
    SweepCount, "sweep-count", Invariant, "sweep increased allocation count";
    /// A slot that was never handed out, or the tail of a span, is marked.
    Zombie, "zombie", Invariant, "found pointer to free object";
    /// A pointer leads to no slot: to an unallocated span, outside the heap, to a span's tail,
    /// between two slots.
    BadPointer, "bad-pointer", Invariant, "found bad pointer in heap";
    /// A pointer leads to a free slot of a span that is in use.
    FreePointer, "free-pointer", Invariant, "found bad pointer in heap";
    /// A barriered store reads its old value from memory that was never initialised.
    VirginSlot, "virgin-slot", Invariant, "found bad pointer in heap: store over virgin memory";
    /// The state word of a span names a state that cannot be.
    SpanState, "span-state", Invariant, "sweep: bad span state";
    /// A span that was swept in this cycle is claimed for sweeping again.
    DoubleSweep, "double-sweep", Invariant, "sweep: span swept twice";
    /// The allocation count of a span and its state bytes disagree.
    AllocCount, "alloc-count", Invariant, "span allocation count disagrees with its slots";
    /// An object's type descriptor is not one that was registered.
    Descriptor, "descriptor", Invariant, "object has no registered descriptor";
    /// Grey work turns up after marking was found to be over.
    LateGrey, "late-grey", Invariant, "non-empty mark queue after concurrent mark";
    /// The second opinion finds a reachable object that marking missed.
    UnmarkedReachable, "unmarked-reachable", Invariant, "checkmark found unmarked object";
    /// A root slot does not carry the generation its handle expects.
    RootTable, "root-table", Invariant, "root slot does not match its handle";
    /// The books of the heap do not balance.
    Ledger, "ledger", Invariant, "heap accounts do not balance";
    /// More memory is quarantined than the heap was told to put up with.
    QuarantineLimit, "quarantine-limit", World, "quarantine is over its limit";
    /// A destructor of a dead object panicked.
    DropPanicked, "drop-panicked", World, "destructor of a dead object panicked";
    /// A receiver of violations (the hook, or a subscriber to trace events) panicked.
    HookPanicked, "hook-panicked", World, "violation hook panicked";
    /// A hook used the heap that had called it.
    HookReentered, "hook-reentered", World, "violation hook entered the heap that called it";
    /// The operating system refused a call that can be done without.
    OsCall, "os-call", World, "operating system refused a call";
    /// A mutator has not answered a handshake within the deadline: it stays inside.
    SafepointStalled, "safepoint-stalled", World, "timeout detected: mutator did not reach the safepoint";
    /// A child of `fork` uses a heap whose collector threads and other mutators stayed in the parent.
    Forked, "forked", World, "heap used on child side of fork";
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

/// How hard the heap looks. Run-time data, so that the binary that is tested is the one that is
/// shipped.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum CheckLevel {
    /// As Go: a stray mark goes through, and the sweep finds it.
    Lax,
    /// The state byte of every pointer is looked at when it is marked and when the barrier reads
    /// it.
    #[default]
    Default,
    /// Everything of `Default`, the guilty store by its call site, and a second opinion every
    /// cycle.
    Paranoid,
}

impl CheckLevel {
    /// Every level, the least curious first.
    pub const ALL: &'static [CheckLevel] =
        &[CheckLevel::Lax, CheckLevel::Default, CheckLevel::Paranoid];

    /// The name of the level on a command line and in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            CheckLevel::Lax => "lax",
            CheckLevel::Default => "default",
            CheckLevel::Paranoid => "paranoid",
        }
    }
}

impl fmt::Display for CheckLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

impl FromStr for CheckLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let level = Self::ALL.iter().copied().find(|level| level.id() == text);
        level.ok_or_else(|| LevelError {
            word: text.to_owned(),
        })
    }
}

/// A word that names no level of checking.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("unknown level of checking {word:?}; choices: lax, default, paranoid")]
pub struct LevelError {
    /// The word as it was given.
    pub word: String,
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
                "os-call",
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

    #[test]
    fn a_level_reads_back_what_it_prints() {
        for level in CheckLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(*level));
        }
        assert_eq!(CheckLevel::default(), CheckLevel::Default);
    }

    #[test]
    fn an_unknown_level_is_an_error_that_names_every_choice() {
        let error = "Paranoid".parse::<CheckLevel>().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("\"Paranoid\""), "{text}");
        for level in CheckLevel::ALL {
            assert!(text.contains(level.id()), "{text}");
        }
    }
}
