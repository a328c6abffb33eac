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
//! | `tally`, `report`, `docs` | tables |

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use gc_core::Check;

use self::case::Case;
use self::judge::Verdict;
pub use self::options::Options;
pub(crate) use self::tally::Tally;
use crate::error::Error;

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
pub(crate) mod report;
mod report_text;
mod shadow;
mod stats;
mod tally;
mod wire;

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
    let (next, mut tally) = (AtomicUsize::new(0), Tally::default());
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            let (cases, next, sender) = (&cases, &next, sender.clone());
            scope.spawn(move || {
                while let Some(at) = claim(next, cases.len()) {
                    let verdict = run_case(options, &cases[at]);
                    if sender.send((at, verdict)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting: Vec<Option<Verdict>> = vec![None; cases.len()];
        let mut told = 0;
        for (at, verdict) in receiver {
            waiting[at] = Some(verdict?);
            while let Some(verdict) = waiting.get_mut(told).and_then(Option::take) {
                tally.add(&cases[told], &verdict);
                told += 1;
                tell(cases.len(), &cases[told - 1], &verdict)?;
            }
        }
        Ok(tally)
    })
}

fn claim(next: &AtomicUsize, cases: usize) -> Option<usize> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    (at < cases).then_some(at)
}

fn run_case(options: &Options, case: &Case) -> Result<Verdict, Error> {
    let (root, blind) = (options.seed, options.blind);
    let transcript = parent::run(&options.program, root, case.index, blind, options.deadline);
    let transcript =
        transcript.map_err(|error| Error::Child(format!("case {}: {error}", case.index)))?;
    Ok(judge::judge(case, &transcript))
}

/// Children that run at once when nobody says: as many as the machine has processors.
pub fn jobs() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
