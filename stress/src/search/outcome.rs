//! What came of a search: counts and findings, as plain values that reports are written from.
//!
//! Filled by the search, on its thread. Invariant: everything but the time, and what programs with threads came to,
//! follows from the options.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use gc_core::CheckLevel;

use super::judge::{Signature, Sort};
use crate::driver::DriverChoice;
use crate::error::{EXIT_FOUND, EXIT_INTERNAL, EXIT_MISSING};

/// How a program is carried out again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Again {
    /// By its trace, exactly.
    Trace(PathBuf),
    /// By a command line, with threads that are interleaved otherwise.
    Command(String),
}

/// What programs with threads came to. All but the first two is up to the machine.
#[derive(Clone, Debug, Default)]
pub struct Threaded {
    /// Programs.
    pub programs: u64,
    /// Their operations.
    pub ops: u64,
    /// Cycles that ran to their end.
    pub cycles: u64,
    /// Looks of the oracle.
    pub looks: u64,
    /// Operations that the limit refused.
    pub refused: u64,
}

/// Something found, when it was first seen.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is.
    pub signature: Signature,
    /// The program, from 0.
    pub program: u64,
    /// Its operations.
    pub ops: u64,
    /// The level that it ran at.
    pub level: CheckLevel,
    /// How it is carried out again.
    pub again: Again,
    /// Programs that showed it.
    pub times: u64,
}

/// What came of a search.
#[derive(Clone, Debug)]
pub struct SearchOutcome {
    /// Programs carried out.
    pub programs: u64,
    /// Operations of those on one thread.
    pub ops: u64,
    /// Operations whose operands did not exist, of programs that were refused nothing.
    pub skipped: u64,
    /// Cycles begun.
    pub cycles: u64,
    /// Live objects compared at the end of programs.
    pub live_checked: u64,
    /// Programs by level, in the order of the levels.
    pub levels: Vec<(CheckLevel, u64)>,
    /// Programs by driver, as the command line says it.
    pub drivers: BTreeMap<String, u64>,
    /// Programs by the threads that really ran at once.
    pub threads: BTreeMap<usize, u64>,
    /// Programs whose heap has generations.
    pub generational: u64,
    /// Programs with a limit, on one thread.
    pub limited: u64,
    /// Those of them that were refused something by it.
    pub limits_met: u64,
    /// Operations that were refused by it.
    pub refused: u64,
    /// Operations of these programs that had no operands, most of them for want of what was refused.
    pub left_without: u64,
    /// What those with threads came to.
    pub threaded: Threaded,
    /// Programs of which something was reported.
    pub reported: u64,
    /// Programs that lost something live.
    pub lost: u64,
    /// Programs that lost something live, and nothing was reported.
    pub lost_in_silence: u64,
    /// Programs that were not carried out to their end.
    pub cut_short: u64,
    /// Programs with a finding.
    pub found: u64,
    /// Different findings, in the order in which they were first seen.
    pub findings: Vec<Finding>,
    /// Whether programs were meant to break the heap.
    pub breaks: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl SearchOutcome {
    /// That of a search that has not begun.
    pub(super) fn new(breaks: bool) -> Self {
        SearchOutcome {
            programs: 0,
            ops: 0,
            skipped: 0,
            cycles: 0,
            live_checked: 0,
            levels: CheckLevel::ALL.iter().map(|level| (*level, 0)).collect(),
            drivers: BTreeMap::new(),
            threads: BTreeMap::new(),
            generational: 0,
            limited: 0,
            limits_met: 0,
            refused: 0,
            left_without: 0,
            threaded: Threaded::default(),
            reported: 0,
            lost: 0,
            lost_in_silence: 0,
            cut_short: 0,
            found: 0,
            findings: Vec::new(),
            breaks,
            elapsed: Duration::ZERO,
        }
    }

    /// Counts a program.
    pub(super) fn begin(&mut self, level: CheckLevel, driver: &DriverChoice, threads: usize) {
        self.programs += 1;
        let levels = self.levels.iter_mut();
        for (_, programs) in levels.filter(|(one, _)| *one == level) {
            *programs += 1;
        }
        *self.drivers.entry(driver.to_string()).or_default() += 1;
        *self.threads.entry(threads).or_default() += 1;
    }

    /// What the program ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let sorts = || self.findings.iter().map(|finding| finding.signature.sort);
        if sorts().any(|sort| sort != Sort::Reported) {
            EXIT_INTERNAL
        } else if sorts().next().is_some() {
            EXIT_FOUND
        } else if self.breaks {
            EXIT_MISSING
        } else {
            0
        }
    }
}
