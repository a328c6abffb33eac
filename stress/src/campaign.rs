//! Campaigns of faults: thousands of heaps are broken on purpose, one in each child process, and what
//! the checks make of it is measured.
//!
//! A case is a number. Everything a child does follows from the number and the root seed: the fault, the
//! level of checks, the policy, the program of operations, and the operation before which the fault
//! strikes. The judging process draws the same program for a graph of ids and hashes in memory that the
//! heap cannot reach, and compares what the child prints with it. See `outcome` for what may become of a
//! case; every case has exactly one outcome, and is *activated* only when its fault took place and a
//! cycle ran to its end over it, or a check spoke.
//!
//! What is promised of each fault at each level follows from its class. A case that breaks a promise
//! makes the campaign end with another exit code; rates are published all the same.
//!
//! | module | owns |
//! |---|---|
//! | `stats` | intervals and percentiles |
//! | `shadow`, `fixture`, `program` | what a heap must hold; the operations that change it |
//! | `fault`, `lab` | the faults, and what is promised of them |
//! | `case`, `options` | cases from numbers; which of them are run |
//! | `wire`, `child` | what a child tells; the child |
//! | `parent`, `report_text` | running a child; reading what it left |
//! | `outcome`, `judge`, `breach` | what became of a case, and whether that was promised |
//! | `record` | the line that a case leaves behind, and what it says when it is read again |
//! | `tally`, `report`, `docs` | tables |

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;

use gc_core::Check;

pub(crate) use self::case::{Case, Kind};
pub(crate) use self::judge::Verdict;
pub use self::options::Options;
pub(crate) use self::outcome::Outcome;
pub(crate) use self::record::{CaseLine, Reading, read_case};
pub(crate) use self::tally::{Row, Tally};
use crate::error::Error;
use crate::hash::content_hash;
use crate::lab::this_build;

mod breach;
mod case;
mod child;
pub(crate) mod docs;
mod fault;
mod fixture;
mod judge;
mod lab;
mod options;
mod outcome;
mod parent;
mod program;
mod record;
pub(crate) mod report;
mod report_text;
mod shadow;
mod stats;
mod tally;
mod wire;

/// Cases that tell two builds apart: every fault is among them.
const CASES_OF_BUILD: u64 = 200;

/// Names of everything that can be injected.
pub fn faults() -> Vec<&'static str> {
    fault::Fault::all().map(fault::Fault::name).collect()
}

/// A name among the chosen faults that no fault has.
pub fn unknown_fault(options: &Options) -> Option<&str> {
    options.unknown_fault()
}

/// Runs the child of one case on this thread and writes its lines.
///
/// # Errors
///
/// The heap of the case could not be built, or the lines could not be written.
pub fn run_child(
    root: u64,
    index: u64,
    blind: Option<Check>,
    out: &mut dyn io::Write,
) -> Result<(), Error> {
    child::run(&Case::of(root, index), blind, out)
}

/// Runs every case of a campaign, and calls `tell` with each in the order of their numbers.
pub(crate) fn run(
    options: &Options,
    tell: &mut dyn FnMut(usize, &Case, &Verdict) -> Result<(), Error>,
) -> Result<Tally, Error> {
    let cases = options.selected();
    let mut tally = Tally::default();
    let mut waiting: Vec<Option<Verdict>> = vec![None; cases.len()];
    let mut told = 0;
    run_cases(
        options,
        &cases,
        &AtomicBool::new(false),
        &mut |at, verdict| {
            waiting[at] = Some(verdict);
            while let Some(verdict) = waiting.get_mut(told).and_then(Option::take) {
                tally.add(&cases[told], &verdict);
                told += 1;
                tell(cases.len(), &cases[told - 1], &verdict)?;
            }
            Ok(())
        },
    )?;
    Ok(tally)
}

/// Runs some cases, and calls `tell` with the place and the verdict of each as it ends. Once `stop` is set
/// no further case is begun; those in flight are told. One whose child the same signal has ended is not.
pub(crate) fn run_cases(
    options: &Options,
    cases: &[Case],
    stop: &AtomicBool,
    tell: &mut dyn FnMut(usize, Verdict) -> Result<(), Error>,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                while let Some(at) = claim(next, cases.len(), stop) {
                    let verdict = run_case(options, &cases[at], stop).transpose();
                    if verdict.is_some_and(|verdict| sender.send((at, verdict)).is_err()) {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (at, verdict) in receiver {
            tell(at, verdict?)?;
        }
        Ok(())
    })
}

fn claim(next: &AtomicUsize, cases: usize, stop: &AtomicBool) -> Option<usize> {
    if stop.load(Ordering::Relaxed) {
        return None;
    }
    let at = next.fetch_add(1, Ordering::Relaxed);
    (at < cases).then_some(at)
}

/// Times that a case is run whose child somebody else ended.
const TRIES: u32 = 3;

/// Runs one case. A child that was told to end is no evidence: nothing in a case sends that signal, so the
/// case is run again, or, when the campaign is ending as well, left for another time.
fn run_case(options: &Options, case: &Case, stop: &AtomicBool) -> Result<Option<Verdict>, Error> {
    for _ in 0..TRIES {
        let transcript = parent::run(options, case.index);
        let transcript =
            transcript.map_err(|error| Error::Child(format!("case {}: {error}", case.index)))?;
        if !transcript.was_told_to_end() {
            return Ok(Some(judge::judge(case, &transcript)));
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    Err(Error::Child(format!(
        "case {}: somebody ended its child {TRIES} times",
        case.index
    )))
}

/// This build, as far as it can change what a campaign comes to: what changes the heap, and what changes the
/// cases.
pub(crate) fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let cases: Vec<Case> = (0..CASES_OF_BUILD)
            .map(|index| Case::of(1, index))
            .collect();
        let cases = content_hash(format!("{cases:?}").as_bytes()) as u32;
        format!("{}, cases {cases:08x}", this_build())
    })
}

/// Children that run at once when nobody says: as many as the machine has processors.
pub fn jobs() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
