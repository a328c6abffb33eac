//! The faults that a campaign injects: those that the heap offers, and some that only a program can
//! bring about.
//!
//! Constant data for judge and child alike. A fault says which checks may report it and what is promised
//! of it at each level; what is promised follows from its class and is stated nowhere else.

use std::sync::LazyLock;
use std::time::Duration;

use gc_core::fault::{CLASSES, Class, How, Moment, Stake};
use gc_core::{Check, CheckLevel};

use super::case::Rules;
use super::lab;

/// The last row of the catalogue whose faults strike pointers to slots, or their state bytes.
const LAST_OF_SLOTS: &str = "F11";

/// A fault by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Fault(usize);

/// One entry of the table.
pub(crate) struct Entry {
    pub(crate) class: &'static Class,
    /// Checks that may report what the fault is wrapped in, and do not count as finding it.
    pub(crate) also: &'static [Check],
    /// The policy it needs, if it needs one.
    pub(crate) rules: Option<Rules>,
    /// Bytes of quarantine that its heap puts up with, if not the default.
    pub(crate) quarantine_limit_bytes: Option<usize>,
    /// How long its heap waits for a mutator, if not the default.
    pub(crate) stall_deadline: Option<Duration>,
    /// Whether a driver of its own would take the cycle past where the fault belongs.
    pub(crate) is_manual: bool,
}

impl Entry {
    pub(crate) const fn of(class: &'static Class) -> Entry {
        Entry {
            class,
            also: &[],
            rules: None,
            quarantine_limit_bytes: None,
            stall_deadline: None,
            is_manual: false,
        }
    }
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let offered = CLASSES.iter().filter(|class| !is_of_program(class));
    offered.map(Entry::of).chain(lab::entries()).collect()
});

fn is_of_program(class: &Class) -> bool {
    let mut strokes = class.strokes.iter();
    strokes.any(|stroke| matches!(stroke.how, How::Program(_)))
}

/// What is promised of a fault at a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Promise {
    /// It is reported by the end of the next whole cycle and a verification.
    pub(crate) is_found: bool,
    /// What may be lost.
    pub(crate) may_lose: Loss,
}

/// How much of what is live a fault may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// Nothing.
    Nothing,
    /// The object that was struck, and what it alone leads to.
    Target,
    /// Anything.
    Anything,
}

impl Fault {
    /// Every fault, in the order of the table.
    pub(crate) fn all() -> impl Iterator<Item = Fault> {
        (0..ENTRIES.len()).map(Fault)
    }

    /// How many there are.
    pub(crate) fn count() -> usize {
        ENTRIES.len()
    }

    /// The fault at a place of the table, counted round and round.
    pub(crate) fn at(place: usize) -> Fault {
        Fault(place % ENTRIES.len())
    }

    /// The fault of that name.
    pub(crate) fn from_name(name: &str) -> Option<Fault> {
        Fault::all().find(|fault| fault.class().name == name)
    }

    pub(crate) fn entry(self) -> &'static Entry {
        &ENTRIES[self.0]
    }

    pub(crate) fn class(self) -> &'static Class {
        self.entry().class
    }

    pub(crate) fn name(self) -> &'static str {
        self.class().name
    }

    /// Whether it can share a case with another one.
    pub(crate) fn may_be_paired(self) -> bool {
        let entry = self.entry();
        entry.rules.is_none()
            && entry.quarantine_limit_bytes.is_none()
            && entry.stall_deadline.is_none()
            && !self.needs_generations()
    }

    /// Whether its heap must have generations.
    pub(crate) fn needs_generations(self) -> bool {
        self.class().needs_generations()
    }

    /// Whether its reports speak of a slot; the others speak of a span at most.
    pub(crate) fn is_of_slot(self) -> bool {
        self.class().id <= LAST_OF_SLOTS
    }

    /// Whether it strikes at a moment that a driver of its own would let pass.
    pub(crate) fn needs_manual(self) -> bool {
        let is_at_any_time = matches!(self.class().moment, Moment::Idle | Moment::Any);
        !is_at_any_time || self.entry().is_manual
    }

    /// Whether the check is one that finds the fault.
    pub(crate) fn is_found_by(self, check: &str) -> bool {
        self.class()
            .reporters
            .iter()
            .any(|reporter| reporter.id() == check)
    }

    /// Whether the check may be heard of in a case with the fault.
    pub(crate) fn allows(self, level: CheckLevel, check: &str) -> bool {
        let is_its = self.is_found_by(check) && !self.rules_out(level, check);
        is_its || self.entry().also.iter().any(|also| also.id() == check)
    }

    /// Whether a check that may find a lost mark has nothing to find at a level: pointers to what was freed too
    /// early are counted where they pass alone, and nothing is freed too early after a second opinion.
    fn rules_out(self, level: CheckLevel, check: &str) -> bool {
        let is_among = |checks: [Check; 2]| checks.map(Check::id).contains(&check);
        let is_count = is_among([Check::SweepCount, Check::AllocCount]);
        let is_pointer = is_among([Check::FreePointer, Check::BadPointer]);
        self.class().stake == Stake::WithoutSecondOpinion
            && (is_count && level >= Check::FreePointer.level()
                || (is_count || is_pointer) && self.has_second_opinion(level))
    }

    /// Whether the fault hides an object, which matters only when something leads there and nothing
    /// else does: where it does not matter there is nothing to find.
    pub(crate) fn may_not_matter(self) -> bool {
        matches!(
            self.class().stake,
            Stake::WithoutSecondOpinion | Stake::Open
        )
    }

    /// Whether the fault hides objects and a second opinion is asked for them.
    pub(crate) fn has_second_opinion(self, level: CheckLevel) -> bool {
        self.class().stake == Stake::WithoutSecondOpinion
            && level >= Check::UnmarkedReachable.level()
    }

    /// Whether its first report may name another place. Where a stale pointer passes, as in Go, so do those in
    /// the dead object that it leads to, and whichever of them is met first is told first.
    pub(crate) fn passes(self, level: CheckLevel) -> bool {
        let mut needed = [Check::FreePointer, Check::SweepCount].into_iter();
        let is_stale = needed.all(|check| self.is_found_by(check.id()));
        is_stale && level < Check::FreePointer.level()
    }

    /// What is promised at a level.
    pub(crate) fn promise(self, level: CheckLevel) -> Promise {
        let class = self.class();
        let is_looked_for = class.found_from.is_some_and(|from| from <= level);
        Promise {
            is_found: is_looked_for && !self.may_not_matter(),
            may_lose: match class.stake {
                Stake::Nothing => Loss::Nothing,
                Stake::WithoutSecondOpinion if self.has_second_opinion(level) => Loss::Nothing,
                Stake::Target => Loss::Target,
                Stake::WithoutSecondOpinion | Stake::Open => Loss::Anything,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_a_way_to_bring_it_about() {
        let names: BTreeSet<&str> = Fault::all().map(Fault::name).collect();
        assert_eq!(names.len(), Fault::count());
        for fault in Fault::all() {
            assert_eq!(Fault::from_name(fault.name()), Some(fault));
            assert!(!fault.class().strokes.is_empty());
        }
    }

    #[test]
    fn what_follows_from_a_lost_mark_depends_on_the_level() {
        let lost = Fault::from_name("grey-lost").unwrap();
        let told = |level: CheckLevel| {
            let checks = Check::ALL.iter();
            let allowed = checks.filter(|check| lost.allows(level, check.id()));
            allowed.copied().collect::<BTreeSet<Check>>()
        };
        let marks = [Check::LateGrey, Check::UnmarkedReachable];
        let pointers = [Check::BadPointer, Check::FreePointer];
        let counts = [Check::SweepCount, Check::AllocCount];
        let all = || marks.into_iter().chain(pointers);
        assert_eq!(told(CheckLevel::Paranoid), marks.into_iter().collect());
        assert_eq!(told(CheckLevel::Default), all().collect());
        assert_eq!(told(CheckLevel::Lax), all().chain(counts).collect());
    }

    #[test]
    fn a_higher_level_never_promises_less() {
        for fault in Fault::all() {
            let promises: Vec<Promise> = CheckLevel::ALL
                .iter()
                .map(|level| fault.promise(*level))
                .collect();
            for pair in promises.windows(2) {
                assert!(pair[0].is_found <= pair[1].is_found, "{}", fault.name());
                assert!(pair[0].may_lose as u8 >= pair[1].may_lose as u8);
            }
        }
    }
}
