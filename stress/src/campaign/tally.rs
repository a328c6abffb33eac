//! Cases summed up: a row for each fault and level, and the whole campaign.
//!
//! Fed by one thread, in the order of the cases. Rows of pairs and controls stand by themselves.

use std::collections::BTreeMap;

use gc_core::CheckLevel;

use super::case::{Case, Kind};
use super::fault::Fault;
use super::judge::Verdict;
use super::outcome::Outcome;
use super::stats::{Interval, Spread, spread, wilson};

/// What a row is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Subject {
    Fault(Fault),
    Pairs,
    Controls,
}

/// The cases of one subject at one level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) cases: u64,
    pub(crate) activated: u64,
    /// Activated cases that a check found.
    pub(crate) found: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    ops_to_find: Vec<u64>,
    cycles_to_find: Vec<u64>,
    /// Reports whose place is known, and those that name it.
    pub(crate) places: u64,
    pub(crate) places_right: u64,
    /// Cases in which something live was lost, and how many objects in all.
    pub(crate) cases_losing: u64,
    pub(crate) lost: u64,
    pub(crate) lost_beyond_target: u64,
    /// The checks that found it first, and how often.
    pub(crate) checks: BTreeMap<String, u64>,
    /// Cases that broke a promise, each with what was broken.
    pub(crate) breaches: Vec<(u64, &'static str)>,
}

impl Row {
    fn add(&mut self, case: &Case, verdict: &Verdict) {
        self.cases += 1;
        self.outcomes[verdict.outcome as usize] += 1;
        self.cases_losing += u64::from(verdict.lost > 0);
        self.lost += verdict.lost;
        self.lost_beyond_target += verdict.lost_beyond_target;
        if verdict.is_activated {
            self.activated += 1;
            self.found += u64::from(verdict.is_found);
        }
        if let Some(told) = &verdict.found {
            *self.checks.entry(told.check.clone()).or_default() += 1;
        }
        self.ops_to_find.extend(verdict.ops_to_find);
        self.cycles_to_find
            .extend(verdict.cycles_to_find.map(u64::from));
        if let Some(is_right) = verdict.is_place_right {
            self.places += 1;
            self.places_right += u64::from(is_right);
        }
        self.breaches
            .extend(verdict.breach.map(|breach| (case.index, breach)));
    }

    /// The share of activated cases that were found.
    pub(crate) fn rate(&self) -> Option<f64> {
        (self.activated > 0).then(|| self.found as f64 / self.activated as f64)
    }

    pub(crate) fn interval(&self) -> Option<Interval> {
        wilson(self.found, self.activated)
    }

    pub(crate) fn ops(&self) -> Option<Spread> {
        spread(&self.ops_to_find)
    }

    pub(crate) fn cycles(&self) -> Option<Spread> {
        spread(&self.cycles_to_find)
    }

    pub(crate) fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    fn absorb(&mut self, other: &Row) {
        self.cases += other.cases;
        self.activated += other.activated;
        self.found += other.found;
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
        self.lost += other.lost;
        self.breaches.extend(&other.breaches);
    }
}

/// The whole campaign.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    rows: BTreeMap<(Subject, CheckLevel), Row>,
}

impl Tally {
    pub(crate) fn add(&mut self, case: &Case, verdict: &Verdict) {
        let subject = match case.kind {
            Kind::Fault => Subject::Fault(case.fault),
            Kind::Pair => Subject::Pairs,
            Kind::Control => Subject::Controls,
        };
        let row = self.rows.entry((subject, case.level)).or_default();
        row.add(case, verdict);
    }

    /// Rows by subject in the order of the table, then by level.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Subject, CheckLevel, &Row)> {
        self.rows
            .iter()
            .map(|((subject, level), row)| (*subject, *level, row))
    }

    /// All rows in one.
    pub(crate) fn sum(&self) -> Row {
        let mut sum = Row::default();
        for row in self.rows.values() {
            sum.absorb(row);
        }
        sum
    }

    /// Every broken promise: whose, at which level, in which case, and what.
    pub(crate) fn breaches(&self) -> Vec<(Subject, CheckLevel, u64, &'static str)> {
        let rows = self.rows();
        let of_row = |(subject, level, row): (Subject, CheckLevel, &Row)| {
            let breaches = row.breaches.clone().into_iter();
            breaches.map(move |(case, breach)| (subject, level, case, breach))
        };
        rows.flat_map(of_row).collect()
    }
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Fault(fault) => fault.name(),
            Subject::Pairs => "pairs",
            Subject::Controls => "controls",
        }
    }

    /// The row of the catalogue.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Subject::Fault(fault) => fault.class().id,
            Subject::Pairs => "F40",
            Subject::Controls => "-",
        }
    }
}
