//! The terms a violation is told in: when, on whose behalf, how bad, where, how many.
//!
//! Owns small closed vocabularies and their spelling in reports. Used by everyone, from any thread
//! and phase; all of it is plain data. Invariant: what prints is stable, since operators search for
//! it. Deliberately absent: what the terms mean to the machine behind them, which moves its phases
//! and finds its origins elsewhere.

use std::fmt;

/// Where a cycle stands. The register has it because every report says it; the heap's state machine
/// moves it.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    /// No cycle runs.
    #[default]
    Idle,
    /// Mutators turn their barriers on.
    Arm,
    /// Barriers begun before all were armed come to their end.
    Settle,
    /// Roots and stacks are shaded, a mutator at a time.
    Snapshot,
    /// Grey objects are scanned.
    Mark,
    /// Marking believes it is over and makes sure.
    Terminate,
    /// Weak pointers to dead objects are cleared.
    Clear,
    /// Dead slots are freed.
    Sweep,
}

impl Phase {
    /// Every phase, in the order a cycle goes through them: `ALL[phase as usize] == phase`.
    pub const ALL: &'static [Phase] = &[
        Phase::Idle,
        Phase::Arm,
        Phase::Settle,
        Phase::Snapshot,
        Phase::Mark,
        Phase::Terminate,
        Phase::Clear,
        Phase::Sweep,
    ];

    /// The name of the phase in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Phase::Idle => "idle",
            Phase::Arm => "arm",
            Phase::Settle => "settle",
            Phase::Snapshot => "snapshot",
            Phase::Mark => "mark",
            Phase::Terminate => "terminate",
            Phase::Clear => "clear",
            Phase::Sweep => "sweep",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// Who asked for the mark that went wrong.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Origin {
    /// The check cannot tell.
    #[default]
    Unknown,
    /// A root handle.
    Root,
    /// A live slot of a value stack.
    Stack,
    /// The scan of a marked object, named by the holder.
    Scan,
    /// The value a barriered store overwrites.
    BarrierOld,
    /// The value a barriered store writes.
    BarrierNew,
    /// An object allocated while marking is on.
    Allocation,
    /// The upgrade of a weak pointer.
    Resurrection,
    /// A newborn object that was stored, in a heap with generations.
    Remembered,
}

impl Origin {
    /// The name of the origin in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Origin::Unknown => "unknown",
            Origin::Root => "root",
            Origin::Stack => "stack",
            Origin::Scan => "scan",
            Origin::BarrierOld => "barrier-old",
            Origin::BarrierNew => "barrier-new",
            Origin::Allocation => "allocation",
            Origin::Resurrection => "resurrection",
            Origin::Remembered => "remembered",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// What a violation means for live data, the least harmful first.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The heap is as it should be; the world round it is not.
    World,
    /// Junk was only ever overwritten: at worst something dead is kept for a while.
    OverMarking,
    /// The collector's own books are wrong; objects may be untouched.
    Metadata,
    /// Something live leads to memory that is no object: a real dangling pointer.
    Dangling,
}

impl Severity {
    /// Every severity, the least harmful first: `ALL[severity as usize] == severity`.
    pub const ALL: &'static [Severity] = &[
        Severity::World,
        Severity::OverMarking,
        Severity::Metadata,
        Severity::Dangling,
    ];

    /// The severity of that name, exactly as [`Severity::id`] spells it.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Severity> {
        Self::ALL
            .iter()
            .copied()
            .find(|severity| severity.id() == id)
    }

    /// The name of the severity in policies and reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Severity::World => "world",
            Severity::OverMarking => "over-marking",
            Severity::Metadata => "metadata",
            Severity::Dangling => "dangling",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// A place in memory. Inside the heap it is said relative to the heap, so that two runs of one seed
/// report the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Address {
    /// Bytes from the start of the heap's reservation.
    Offset(u64),
    /// An absolute address outside the reservation.
    Raw(u64),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Offset(offset) => write!(formatter, "heap+{offset:#x}"),
            Address::Raw(address) => write!(formatter, "{address:#x}"),
        }
    }
}

/// A figure with its name. An empty label is an unused place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Number {
    /// What the figure counts.
    pub label: &'static str,
    /// The figure.
    pub value: u64,
}

impl Number {
    /// A place without a figure.
    pub(crate) const UNUSED: Number = Number {
        label: "",
        value: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_stand_in_the_order_a_cycle_goes_through_them() {
        let names: Vec<String> = Phase::ALL.iter().map(Phase::to_string).collect();
        assert_eq!(
            names.join(" "),
            "idle arm settle snapshot mark terminate clear sweep"
        );
        for (place, phase) in Phase::ALL.iter().enumerate() {
            assert_eq!(*phase as usize, place);
        }
        assert_eq!(Phase::default(), Phase::Idle);
    }

    #[test]
    fn origins_and_severities_print_in_kebab_case() {
        assert_eq!(Origin::BarrierOld.to_string(), "barrier-old");
        assert_eq!(Origin::BarrierNew.to_string(), "barrier-new");
        assert_eq!(Origin::Resurrection.to_string(), "resurrection");
        assert_eq!(Origin::default().to_string(), "unknown");
        assert_eq!(Severity::OverMarking.to_string(), "over-marking");
    }

    #[test]
    fn severities_are_ordered_by_what_they_mean_for_live_data() {
        assert!(Severity::World < Severity::OverMarking);
        assert!(Severity::OverMarking < Severity::Metadata);
        assert!(Severity::Metadata < Severity::Dangling);
        for (place, &severity) in Severity::ALL.iter().enumerate() {
            assert_eq!(severity as usize, place);
            assert_eq!(Severity::from_id(severity.id()), Some(severity));
        }
    }

    #[test]
    fn an_address_says_whether_it_is_counted_from_the_heap() {
        assert_eq!(Address::Offset(0x2000).to_string(), "heap+0x2000");
        assert_eq!(Address::Raw(0x7f00_0000).to_string(), "0x7f000000");
    }

    #[test]
    fn terms_pad_in_a_column() {
        assert_eq!(
            format!("{:>9}|{:<6}|", Phase::Settle, Severity::World),
            "   settle|world |"
        );
    }
}
