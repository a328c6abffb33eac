//! The record of one failed check.
//!
//! Owns what a failure is able to say, and how it says it. Built by whoever makes the check, on its
//! own stack, in any phase; then copied from hand to hand. Invariants: a violation is `Copy`, of
//! fixed size and without heap data, so that recording one never allocates; its severity is never
//! stored but follows from the check and the origin. Deliberately absent: what to do about it, and
//! any look at the memory it speaks of.

use std::fmt;
use std::panic::Location;

use crate::check::{Check, CheckKind};
use crate::terms::{Address, Number, Origin, Phase, Severity};

/// One failed check: everything that was known at the moment it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which check failed.
    pub check: Check,
    /// The cycle it failed in.
    pub cycle: u32,
    /// The phase it failed in.
    pub phase: Phase,
    /// Its place among the violations of its heap, counted from 1. Written by `Hooks::report`; 0
    /// before.
    pub sequence: u64,
    /// What sets this failure apart from others of its check; empty when the message says all.
    pub reason: &'static str,
    /// The address in question.
    pub address: Option<Address>,
    /// First page of the span in question.
    pub span: Option<u32>,
    /// Slot within the span.
    pub slot: Option<u32>,
    /// Type of the objects in the span.
    pub type_name: Option<&'static str>,
    /// Who asked for the mark.
    pub origin: Origin,
    /// Offset of the object whose scan led here.
    pub holder: Option<u64>,
    /// Type and field of the holder that leads here, as far as they are known.
    pub field: Option<&'static str>,
    /// The store in the embedder's source whose barrier led here, or that put the pointer where a
    /// scan found it, as far as it is known.
    pub call_site: Option<&'static Location<'static>>,
    /// How many cycles ago the slot or the span was freed.
    pub stale_cycles: Option<u32>,
    /// Figures of the check, by name.
    pub numbers: [Number; 3],
}

// Rings hold these by value, and a check builds one on the stack of whatever thread it is on.
const _: () = assert!(size_of::<Violation>() <= 256);

impl Violation {
    /// A failure of `check` of which nothing else is known yet.
    #[must_use]
    pub const fn new(check: Check) -> Self {
        Violation {
            check,
            cycle: 0,
            phase: Phase::Idle,
            sequence: 0,
            reason: "",
            address: None,
            span: None,
            slot: None,
            type_name: None,
            origin: Origin::Unknown,
            holder: None,
            field: None,
            call_site: None,
            stale_cycles: None,
            numbers: [Number::UNUSED; 3],
        }
    }

    /// Says the cycle it failed in.
    #[must_use]
    pub const fn with_cycle(mut self, cycle: u32) -> Self {
        self.cycle = cycle;
        self
    }

    /// Says the phase it failed in.
    #[must_use]
    pub const fn with_phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// Says what sets this failure apart from others of its check.
    #[must_use]
    pub const fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// Says the address in question.
    #[must_use]
    pub const fn with_address(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// Says the span in question, by its first page.
    #[must_use]
    pub const fn with_span(mut self, span: u32) -> Self {
        self.span = Some(span);
        self
    }

    /// Says the slot within the span.
    #[must_use]
    pub const fn with_slot(mut self, slot: u32) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Says the type of the objects in the span.
    #[must_use]
    pub const fn with_type_name(mut self, type_name: &'static str) -> Self {
        self.type_name = Some(type_name);
        self
    }

    /// Says who asked for the mark.
    #[must_use]
    pub const fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Says the object whose scan led here, by its offset in the heap.
    #[must_use]
    pub const fn with_holder(mut self, holder: u64) -> Self {
        self.holder = Some(holder);
        self
    }

    /// Says which type and field of the holder lead here, if it is known.
    #[must_use]
    pub const fn with_field(mut self, field: Option<&'static str>) -> Self {
        self.field = field;
        self
    }

    /// Says the store whose barrier led here, if it is known.
    #[must_use]
    pub const fn with_call_site(mut self, call_site: Option<&'static Location<'static>>) -> Self {
        self.call_site = call_site;
        self
    }

    /// Says how many cycles ago the slot or the span was freed, if it is known.
    #[must_use]
    pub const fn with_stale_cycles(mut self, stale_cycles: Option<u32>) -> Self {
        self.stale_cycles = stale_cycles;
        self
    }

    /// Adds a figure in the first unused place. There are three places; a fourth figure is left
    /// out.
    #[must_use]
    pub const fn with_number(mut self, label: &'static str, value: u64) -> Self {
        let mut place = 0;
        while place < self.numbers.len() {
            if self.numbers[place].label.is_empty() {
                self.numbers[place] = Number { label, value };
                break;
            }
            place += 1;
        }
        self
    }

    /// What the failure means for live data.
    ///
    /// The origin decides where it is known: what came only from the overwritten value of a store
    /// kept something dead alive, what came from something live is a real dangling pointer. Where
    /// it is not known, a check of the collector's books speaks of the books, and a check of a
    /// pointer is taken for the worst it can be.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        if let CheckKind::World = self.check.kind() {
            return Severity::World;
        }
        match (self.origin, self.check) {
            (Origin::BarrierOld, _) => Severity::OverMarking,
            (
                Origin::Root
                | Origin::Stack
                | Origin::Scan
                | Origin::BarrierNew
                | Origin::Resurrection
                | Origin::Remembered,
                _,
            ) => Severity::Dangling,
            (
                Origin::Unknown | Origin::Allocation,
                Check::BadPointer
                | Check::FreePointer
                | Check::VirginSlot
                | Check::Zombie
                | Check::Descriptor
                | Check::UnmarkedReachable,
            ) => Severity::Dangling,
            (Origin::Unknown | Origin::Allocation, _) => Severity::Metadata,
        }
    }

    /// The line people search for: the check's message, and the reason in parentheses when there is
    /// one.
    #[must_use]
    pub const fn first_line(&self) -> FirstLine {
        FirstLine {
            message: self.check.message(),
            reason: self.reason,
        }
    }
}

/// Prints as the first line of a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstLine {
    message: &'static str,
    reason: &'static str,
}

impl fmt::Display for FirstLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message)?;
        if self.reason.is_empty() {
            Ok(())
        } else {
            write!(formatter, " ({})", self.reason)
        }
    }
}

/// The first line, then an indented `key: value` line for each thing that is known. No line end
/// after the last.
impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first_line())?;
        line(formatter, "check", Some(self.check))?;
        line(
            formatter,
            "sequence",
            (self.sequence != 0).then_some(self.sequence),
        )?;
        line(formatter, "cycle", Some(self.cycle))?;
        line(formatter, "phase", Some(self.phase))?;
        line(formatter, "severity", Some(self.severity()))?;
        line(formatter, "address", self.address)?;
        line(formatter, "span", self.span)?;
        line(formatter, "slot", self.slot)?;
        line(formatter, "type", self.type_name)?;
        line(
            formatter,
            "origin",
            (self.origin != Origin::Unknown).then_some(self.origin),
        )?;
        line(formatter, "holder", self.holder.map(Address::Offset))?;
        line(formatter, "field", self.field)?;
        line(formatter, "call site", self.call_site)?;
        line(formatter, "freed cycles ago", self.stale_cycles)?;
        for number in self
            .numbers
            .iter()
            .filter(|number| !number.label.is_empty())
        {
            line(formatter, number.label, Some(number.value))?;
        }
        Ok(())
    }
}

fn line(
    formatter: &mut fmt::Formatter<'_>,
    key: &str,
    value: Option<impl fmt::Display>,
) -> fmt::Result {
    match value {
        Some(value) => write!(formatter, "\n  {key}: {value}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_has_parentheses_only_round_a_reason() {
        let violation = Violation::new(Check::SweepCount);
        assert_eq!(
            violation.first_line().to_string(),
            "sweep increased allocation count"
        );
        let violation = violation.with_reason("4 of 3");
        assert_eq!(
            violation.first_line().to_string(),
            "sweep increased allocation count (4 of 3)"
        );
    }

    #[test]
    fn a_fourth_number_is_left_out() {
        let mut violation = Violation::new(Check::Ledger);
        for (label, value) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            violation = violation.with_number(label, value);
        }
        let labels = violation.numbers.map(|number| number.label);
        assert_eq!(labels, ["a", "b", "c"]);
    }

    #[test]
    fn the_origin_decides_the_severity_of_an_invariant() {
        let severity_of = |check, origin| Violation::new(check).with_origin(origin).severity();
        for &check in Check::ALL
            .iter()
            .filter(|check| check.kind() == CheckKind::Invariant)
        {
            assert_eq!(
                severity_of(check, Origin::BarrierOld),
                Severity::OverMarking,
                "{check}"
            );
            for origin in [
                Origin::Root,
                Origin::Stack,
                Origin::Scan,
                Origin::BarrierNew,
            ] {
                assert_eq!(
                    severity_of(check, origin),
                    Severity::Dangling,
                    "{check} {origin}"
                );
            }
        }
    }

    #[test]
    fn without_an_origin_books_are_metadata_and_pointers_the_worst_they_can_be() {
        for check in [
            Check::SweepCount,
            Check::AllocCount,
            Check::SpanState,
            Check::Ledger,
        ] {
            assert_eq!(
                Violation::new(check).severity(),
                Severity::Metadata,
                "{check}"
            );
        }
        for check in [
            Check::BadPointer,
            Check::FreePointer,
            Check::UnmarkedReachable,
        ] {
            assert_eq!(
                Violation::new(check).severity(),
                Severity::Dangling,
                "{check}"
            );
        }
    }

    #[test]
    fn what_the_world_does_is_never_more_than_the_world() {
        for &check in Check::ALL
            .iter()
            .filter(|check| check.kind() == CheckKind::World)
        {
            let violation = Violation::new(check).with_origin(Origin::Root);
            assert_eq!(violation.severity(), Severity::World, "{check}");
        }
    }
}
