//! The search: programs by the thousand, each with operations, limits and a level drawn for it, against an oracle.
//!
//! Called by the command line, and by a fuzzer that chooses the decisions itself, on one thread. The program of an
//! index follows from the seed alone. What is found is written as a trace, which can be replayed and shrunk; and the
//! trace of the program that is being carried out stands in a file of its own, so that one that ends the process
//! can be had too.
//!
//! Deliberately absent: any claim that a heap without findings has no faults. Reports say what a search of that length
//! excludes, and no more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gc_core::{CheckLevel, Policy};

use self::chooser::Chooser;
use self::judge::Verdict;
pub use self::judge::{Signature, Sort};
use self::write::Written;
use crate::error::{EXIT_FOUND, EXIT_INTERNAL, EXIT_MISSING, Error};
use crate::hash::content_hash;
use crate::lab;
use crate::ops::{Header, Trace};
use crate::rng::Rng;

mod chooser;
mod judge;
mod model;
pub mod report;
mod swarm;
#[cfg(test)]
mod tests;
mod write;

/// The trace of the program that is being carried out.
const RUNNING: &str = "running.gctrace";

/// What a search is told.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Where all decisions come from.
    pub seed: u64,
    /// Longest time.
    pub budget: Option<Duration>,
    /// Most programs.
    pub programs: Option<u64>,
    /// Ends when so many different findings are there.
    pub until_findings: Option<u64>,
    /// Whether programs break the heap on purpose.
    pub breaks: bool,
    /// The level of all programs, unless it is drawn.
    pub level: Option<CheckLevel>,
    /// Where traces are written.
    pub directory: PathBuf,
}

/// Something found, when it was first seen.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is.
    pub signature: Signature,
    /// The program, from 0.
    pub program: u64,
    /// Its operations.
    pub ops: usize,
    /// The level that it ran at.
    pub level: CheckLevel,
    /// Its trace.
    pub file: PathBuf,
    /// Programs that showed it.
    pub times: u64,
}

/// What came of a search.
#[derive(Clone, Debug)]
pub struct SearchOutcome {
    /// Programs carried out.
    pub programs: u64,
    /// Their operations, and how many of those had operands that did not exist.
    pub ops: u64,
    /// Operations whose operands did not exist.
    pub skipped: u64,
    /// Cycles begun.
    pub cycles: u64,
    /// Live objects compared at the end of programs.
    pub live_checked: u64,
    /// Programs by level, in the order of the levels.
    pub levels: Vec<(CheckLevel, u64)>,
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

/// Told after each program: how many are done, for how long, and what the last one showed that is new.
pub type Progress<'p> = dyn FnMut(u64, Duration, Option<&Finding>) -> Result<(), Error> + 'p;

/// Searches. `progress` hears of the programs that are done, and of each new finding.
///
/// # Errors
///
/// A trace cannot be written, or `progress` fails.
pub fn run(options: &SearchOptions, progress: &mut Progress<'_>) -> Result<SearchOutcome, Error> {
    let begun = Instant::now();
    fs::create_dir_all(&options.directory)
        .map_err(|error| malformed(&options.directory, &error))?;
    let mut search = Search {
        options,
        known: BTreeMap::new(),
        outcome: empty(options),
    };
    let is_below = |count: u64, most: Option<u64>| most.is_none_or(|most| count < most);
    while is_below(search.outcome.programs, options.programs)
        && is_below(search.outcome.findings.len() as u64, options.until_findings)
        && options.budget.is_none_or(|budget| begun.elapsed() < budget)
    {
        let number = search.outcome.programs;
        let is_new = search.program(number)?;
        let finding = search.outcome.findings.last().filter(|_| is_new);
        progress(number + 1, begun.elapsed(), finding)?;
    }
    let _ = fs::remove_file(options.directory.join(RUNNING));
    search.outcome.elapsed = begun.elapsed();
    Ok(search.outcome)
}

fn empty(options: &SearchOptions) -> SearchOutcome {
    SearchOutcome {
        programs: 0,
        ops: 0,
        skipped: 0,
        cycles: 0,
        live_checked: 0,
        levels: CheckLevel::ALL.iter().map(|level| (*level, 0)).collect(),
        reported: 0,
        lost: 0,
        lost_in_silence: 0,
        cut_short: 0,
        found: 0,
        findings: Vec::new(),
        breaks: options.breaks,
        elapsed: Duration::ZERO,
    }
}

fn malformed(path: &Path, error: &std::io::Error) -> Error {
    Error::Malformed {
        file: path.display().to_string(),
        problem: error.to_string(),
    }
}

/// A search, in the middle of it.
struct Search<'o> {
    options: &'o SearchOptions,
    known: BTreeMap<Signature, usize>,
    outcome: SearchOutcome,
}

impl Search<'_> {
    /// Writes a program, carries it out and judges it. Whether it showed something new.
    fn program(&mut self, number: u64) -> Result<bool, Error> {
        let rng = Rng::of_thread(self.options.seed, "search", number);
        let written = write::write(Chooser::Drawn(rng), self.options.level, self.options.breaks);
        let mut trace = trace_of(&written, self.options.seed);
        trace.write(&self.options.directory.join(RUNNING))?;
        let verdict = judge::judge(&written, &lab::setup(&trace.header)?, self.options.breaks);
        self.count(&written, &verdict);
        let Some(signature) = verdict.signature else {
            return Ok(false);
        };
        self.outcome.found += 1;
        if let Some(known) = self.known.get(&signature) {
            self.outcome.findings[*known].times += 1;
            return Ok(false);
        }
        let name = format!("search-{}-{number}.gctrace", self.options.seed);
        let file = self.options.directory.join(name);
        if let Some(outcome) = &verdict.outcome {
            trace.expected = outcome.expected();
            trace.lost = outcome.lost.len() as u64;
        }
        trace.write(&file)?;
        self.known
            .insert(signature.clone(), self.outcome.findings.len());
        self.outcome.findings.push(Finding {
            signature,
            program: number,
            ops: trace.program.ops.len(),
            level: written.level,
            file,
            times: 1,
        });
        Ok(true)
    }

    fn count(&mut self, written: &Written, verdict: &Verdict) {
        let sum = &mut self.outcome;
        sum.programs += 1;
        sum.ops += written.program.ops.len() as u64;
        let levels = sum.levels.iter_mut();
        for (_, programs) in levels.filter(|(level, _)| *level == written.level) {
            *programs += 1;
        }
        if let Some(outcome) = &verdict.outcome {
            let (is_reported, is_lost) = (!outcome.met.is_empty(), !outcome.lost.is_empty());
            sum.skipped += outcome.skipped.len() as u64;
            sum.cycles += u64::from(outcome.cycles);
            sum.live_checked += outcome.live_checked as u64;
            sum.reported += u64::from(is_reported);
            sum.lost += u64::from(is_lost);
            sum.lost_in_silence += u64::from(is_lost && !is_reported);
        } else {
            sum.cut_short += 1;
        }
    }
}

/// The trace of a program that was not carried out yet.
fn trace_of(written: &Written, seed: u64) -> Trace {
    Trace {
        header: Header {
            build: lab::this_build().to_string(),
            scenario: "search".to_string(),
            seed,
            policy: Policy::COUNT.to_string(),
            checks: written.level.to_string(),
            threads: written.mutators as usize,
        },
        program: written.program.clone(),
        expected: Vec::new(),
        lost: 0,
    }
}

/// Carries out the honest program that some bytes decide, for a fuzzer.
///
/// # Errors
///
/// What was found, and the trace that shows it, written into the directory.
pub fn fuzz(bytes: &[u8], directory: &Path) -> Result<(), String> {
    let written = write::write(Chooser::Read(bytes), None, false);
    let mut trace = trace_of(&written, 0);
    let setup = lab::setup(&trace.header).map_err(|error| error.to_string())?;
    let verdict = judge::judge(&written, &setup, false);
    let Some(Signature {
        sort,
        check,
        detail,
    }) = verdict.signature
    else {
        return Ok(());
    };
    if let Some(outcome) = &verdict.outcome {
        trace.expected = outcome.expected();
        trace.lost = outcome.lost.len() as u64;
    }
    let file = directory.join(format!("fuzz-{:016x}.gctrace", content_hash(bytes)));
    trace.write(&file).map_err(|error| error.to_string())?;
    let (check, detail) = (check.unwrap_or("-"), detail.unwrap_or_default());
    Err(format!(
        "{}: {check} {detail}: {}",
        sort.id(),
        file.display()
    ))
}
