//! The search: programs by the thousand, each with operations, limits, a driver and a level drawn for it, against an oracle.
//!
//! Called by the command line, and by a fuzzer that chooses the decisions itself, on one thread. The program of an
//! index follows from the seed alone. What is found is written as a trace, which can be replayed and shrunk; and the
//! trace of the program that is being carried out stands in a file of its own, so that one that ends the process
//! can be had too. A share of the programs that break nothing are short soaks, with threads that really run at once: of
//! these the command line stands where others have a trace.
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
pub use self::outcome::{Again, Finding, SearchOutcome, Threaded};
use self::write::Written;
use crate::error::Error;
use crate::hash::content_hash;
use crate::lab;
use crate::ops::{Header, Op, Trace};
use crate::rng::Rng;
use crate::soak::SoakOptions;

mod chooser;
mod judge;
mod model;
mod outcome;
mod regime;
pub mod report;
mod swarm;
#[cfg(test)]
mod tests;
mod threaded;
mod write;

/// The trace of the program that is being carried out.
const RUNNING: &str = "running.gctrace";
/// The command line of the one that is being carried out, if it has threads.
const RUNNING_THREADS: &str = "running.command";

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
        outcome: SearchOutcome::new(options.breaks),
    };
    let is_below = |count: u64, most: Option<u64>| most.is_none_or(|most| count < most);
    while is_below(search.outcome.programs, options.programs)
        && is_below(search.outcome.findings.len() as u64, options.until_findings)
        && options.budget.is_none_or(|budget| begun.elapsed() < budget)
    {
        let number = search.outcome.programs;
        let drawn = threaded::drawn(options.seed, number, options.level);
        let is_new = match drawn.filter(|_| !options.breaks) {
            Some(drawn) => search.threaded(number, &drawn)?,
            None => search.program(number)?,
        };
        let finding = search.outcome.findings.last().filter(|_| is_new);
        progress(number + 1, begun.elapsed(), finding)?;
    }
    for name in [RUNNING, RUNNING_THREADS] {
        // The one of a search without such a program is not there.
        let _ = fs::remove_file(options.directory.join(name));
    }
    search.outcome.elapsed = begun.elapsed();
    Ok(search.outcome)
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
        let name = format!("search-{}-{number}.gctrace", self.options.seed);
        let file = self.options.directory.join(name);
        let Some(signature) = verdict.signature.filter(|found| self.is_new(found)) else {
            return Ok(false);
        };
        if let Some(outcome) = &verdict.outcome {
            trace.expected = outcome.expected();
            trace.lost = outcome.lost.len() as u64;
        }
        trace.write(&file)?;
        self.add(Finding {
            signature,
            program: number,
            ops: trace.program.ops.len() as u64,
            level: written.level,
            again: Again::Trace(file),
            times: 1,
        });
        Ok(true)
    }

    /// Carries a program with threads out. Whether it showed something new.
    fn threaded(&mut self, number: u64, options: &SoakOptions) -> Result<bool, Error> {
        let command = threaded::command(options);
        let running = self.options.directory.join(RUNNING_THREADS);
        fs::write(&running, format!("{command}\n")).map_err(|error| malformed(&running, &error))?;
        let (signature, outcome) = threaded::run(options);
        let level = options.checks.level();
        let sum = &mut self.outcome;
        sum.begin(level, &options.driver, options.threads);
        sum.generational += u64::from(options.nursery_bytes.is_some());
        sum.threaded.programs += 1;
        sum.cut_short += u64::from(outcome.is_none());
        if let Some(outcome) = &outcome {
            sum.threaded.ops += outcome.ops;
            sum.threaded.cycles += outcome.cycles;
            sum.threaded.looks += outcome.objects_checked;
            sum.threaded.refused += outcome.limit_hits;
        }
        let Some(signature) = signature.filter(|found| self.is_new(found)) else {
            return Ok(false);
        };
        self.add(Finding {
            signature,
            program: number,
            ops: options.ops.unwrap_or_default(),
            level,
            again: Again::Command(command),
            times: 1,
        });
        Ok(true)
    }

    /// Counts a program with a finding. Whether it is the first of its kind.
    fn is_new(&mut self, signature: &Signature) -> bool {
        self.outcome.found += 1;
        let known = self.known.get(signature);
        if let Some(known) = known {
            self.outcome.findings[*known].times += 1;
        }
        known.is_none()
    }

    fn add(&mut self, finding: Finding) {
        let at = self.outcome.findings.len();
        self.known.insert(finding.signature.clone(), at);
        self.outcome.findings.push(finding);
    }

    fn count(&mut self, written: &Written, verdict: &Verdict) {
        let sum = &mut self.outcome;
        sum.begin(written.level, &written.regime.driver, 1);
        sum.ops += written.program.ops.len() as u64;
        sum.generational += u64::from(written.regime.nursery_bytes.is_some());
        sum.limited += u64::from(written.regime.limit_bytes.is_some());
        if let Some(outcome) = &verdict.outcome {
            let (is_reported, is_lost) = (!outcome.met.is_empty(), !outcome.lost.is_empty());
            let refused = outcome.refused.len();
            let skipped = (outcome.skipped.len() - refused) as u64;
            if refused > 0 {
                sum.limits_met += 1;
                sum.refused += refused as u64;
                sum.left_without += skipped;
            } else {
                sum.skipped += skipped;
            }
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

/// The operation that makes a fault of the register stay, whatever the program does.
#[cfg(feature = "fault-inject")]
fn planted(class: &str) -> Option<Op> {
    let known = gc_core::fault::Class::from_name(class)?;
    let stroke = known.strokes.iter().position(|one| one.name == "always")?;
    Some(Op::Fault {
        class: class.to_string(),
        stroke: stroke as u32,
        nth: 0,
        object: None,
    })
}

/// A build without faults has none to plant.
#[cfg(not(feature = "fault-inject"))]
fn planted(_class: &str) -> Option<Op> {
    None
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
            regime: written.regime,
        },
        program: written.program.clone(),
        expected: Vec::new(),
        lost: 0,
    }
}

/// Carries out the honest program that some bytes decide, for a fuzzer. With a fault, by the name of its class, the heap
/// has that one from the beginning, so that a fuzzer can be seen to find it.
///
/// # Errors
///
/// What was found, and the trace that shows it, written into the directory; or there is no such fault.
pub fn fuzz(bytes: &[u8], directory: &Path, fault: Option<&str>) -> Result<(), String> {
    let mut written = write::write(Chooser::Read(bytes), None, false);
    if let Some(class) = fault {
        let op = planted(class).ok_or_else(|| format!("there is no fault {class} to plant"))?;
        written.program.ops.insert(0, op);
    }
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
