//! The zoo: historical collector bugs, re-enacted in this heap by their own mechanisms.
//!
//! Each scenario is a program in the operation language (`ops`), written from a seed in a buggy and a fixed
//! form, with honest work of another mutator round it. It declares what finds it at each level, whether
//! something live is at risk, and what it teaches; [`run`] carries it out and compares.
//!
//! The first scenario is the workload `makefunc`, whose recording is its program.

use gc_core::{Check, CheckLevel, Checks, Policy};

use crate::error::{EXIT_FOUND, EXIT_INTERNAL, EXIT_MISSING, Error};
use crate::lab::{self, Outcome, Setup, Stop};
use crate::makefunc;
use crate::ops::{Header, Regime, Trace};
use crate::options::{CopyBack, Options};

mod book;
mod catalogue;
mod order;
mod over;
mod report;
mod script;
mod under;

pub(crate) use book::write_book;
pub(crate) use catalogue::all;
pub(crate) use report::{write_human, write_json, write_list, write_list_json};
use script::Script;

/// Operations of the workload in search of the first violation, for the page and its tests.
const WORKLOAD_OPS: u64 = 400;

/// What finds a bug at one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// The checks of which one reports first.
    pub(crate) checks: &'static [Check],
    /// Whether something live was lost by then, or is lost later.
    pub(crate) loses_live: bool,
}

/// What a run means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing was found, and nothing was to be found.
    Clean,
    /// What was to be found was found.
    Found,
    /// It was not.
    Missing,
    /// Something live was lost that the scenario does not give up, or the accounts do not balance.
    Broken,
}

impl Verdict {
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Verdict::Clean => "clean",
            Verdict::Found => "found",
            Verdict::Missing => "missing",
            Verdict::Broken => "broken",
        }
    }

    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::Found => EXIT_FOUND,
            Verdict::Missing => EXIT_MISSING,
            Verdict::Broken => EXIT_INTERNAL,
        }
    }
}

/// What is at stake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Risk {
    /// Nothing alive: only what is dead or no object is mistaken for something.
    Nothing,
    /// Something alive may be freed.
    Live,
}

/// Where the program of a scenario comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The recorded workload.
    Workload,
    /// It is written.
    Program(fn(&mut Script)),
    /// It is written, and strikes a fault of the heap: only with the feature `fault-inject`.
    Fault(fn(&mut Script)),
}

/// A historical bug.
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Where it happened, with its number there.
    pub(crate) bug: &'static str,
    /// The bug in a line.
    pub(crate) title: &'static str,
    /// What happened there.
    pub(crate) happened: &'static str,
    /// How it is re-enacted.
    pub(crate) mechanism: &'static str,
    /// What it teaches.
    pub(crate) lesson: &'static str,
    /// What is at stake.
    pub(crate) risk: Risk,
    /// What finds it, by level.
    pub(crate) found: [Found; 3],
    /// Its program.
    pub(crate) source: Source,
}

impl Scenario {
    /// The scenario of that name.
    pub(crate) fn from_name(name: &str) -> Option<&'static Scenario> {
        all().find(|scenario| scenario.name == name)
    }

    /// What finds it at a level.
    pub(crate) fn found_at(&self, level: CheckLevel) -> Found {
        self.found[match level {
            CheckLevel::Lax => 0,
            CheckLevel::Paranoid => 2,
            _ => 1,
        }]
    }
}

/// How a scenario is run.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Where its decisions come from.
    pub(crate) seed: u64,
    /// Whether the bug is there.
    pub(crate) is_buggy: bool,
    /// How hard the heap looks.
    pub(crate) checks: Checks,
    /// What follows from a violation.
    pub(crate) policy: Policy,
}

/// What a scenario came to.
pub(crate) struct Seen {
    /// Its program, with what was reported.
    pub(crate) trace: Trace,
    /// The operation that breaks the heap, by its place, where the script says so.
    pub(crate) cause: Option<usize>,
    /// What it came to.
    pub(crate) outcome: Outcome,
}

/// How far a report is from its cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Distance {
    /// Operations in between.
    pub(crate) ops: usize,
    /// Cycles in between.
    pub(crate) cycles: u32,
}

impl Seen {
    /// How far the first report is from its cause.
    pub(crate) fn distance(&self) -> Option<Distance> {
        let met = self.outcome.first()?;
        let cause = self.cause_of_first()?;
        let begun = self.outcome.cycle_at.get(cause)?;
        Some(Distance {
            ops: met.op.saturating_sub(cause),
            cycles: met.first?.cycle.saturating_sub(*begun),
        })
    }

    /// What it means.
    pub(crate) fn verdict(&self, scenario: &Scenario, request: &Request) -> Verdict {
        let found = scenario.found_at(request.checks.level());
        let is_lost = !self.outcome.lost.is_empty();
        let may_be_lost = request.is_buggy && found.loses_live;
        let first = self.outcome.first().map(|met| met.check);
        // Checks that were switched by hand may find it as they do at another level.
        let is_plain = request.checks == request.checks.level().into();
        let is_expected = first.is_some_and(|first| {
            let mut levels = scenario.found.iter();
            found.checks.contains(&first)
                || (!is_plain && levels.any(|found| found.checks.contains(&first)))
        });
        match first {
            _ if !self.outcome.is_ledger_balanced || (is_lost && !may_be_lost) => Verdict::Broken,
            None if !request.is_buggy => Verdict::Clean,
            Some(_) if !request.is_buggy || is_expected => Verdict::Found,
            _ => Verdict::Missing,
        }
    }

    /// The operation that broke the heap, by its place, as far as script or report know.
    pub(crate) fn cause_of_first(&self) -> Option<usize> {
        let met = self.outcome.first()?;
        // The workload has no script. A store that is reported as it is made is its own cause.
        Some(self.cause.or(met.store).unwrap_or(met.op))
    }
}

/// Carries a scenario out.
///
/// # Errors
///
/// The heap refuses to carry it out, or the build cannot strike its fault.
pub(crate) fn run(scenario: &Scenario, request: &Request) -> Result<Seen, Error> {
    let setup = Setup {
        policy: request.policy.clone(),
        checks: request.checks,
        reserve_bytes: lab::RESERVE_BYTES,
        regime: Regime::default(),
        stop: Stop::Never,
    };
    let (program, cause) = match scenario.source {
        Source::Workload => (recorded(request)?, None),
        Source::Program(write) => written(write, request),
        Source::Fault(write) if cfg!(feature = "fault-inject") => written(write, request),
        Source::Fault(_) => {
            return Err(Error::Request(format!(
                "{} strikes a fault inside the heap, which this build leaves out: build it with the feature \
                 `fault-inject`",
                scenario.name
            )));
        }
    };
    let outcome = lab::run(&program, &setup)?;
    let trace = Trace {
        header: Header {
            build: lab::this_build().to_string(),
            scenario: scenario.name.to_string(),
            seed: request.seed,
            policy: request.policy.to_string(),
            checks: request.checks.to_string(),
            threads: 1,
            regime: Regime::default(),
        },
        expected: outcome.expected(),
        lost: outcome.lost.len() as u64,
        program,
    };
    Ok(Seen {
        trace,
        cause,
        outcome,
    })
}

fn written(write: fn(&mut Script), request: &Request) -> (crate::ops::Program, Option<usize>) {
    let mut script = Script::new(request.seed, request.is_buggy);
    write(&mut script);
    let written = script.finish();
    (written.program, Some(written.cause))
}

/// A short run of the workload.
fn recorded(request: &Request) -> Result<crate::ops::Program, Error> {
    let options = Options {
        ops: WORKLOAD_OPS,
        checks: request.checks,
        copy_back: if request.is_buggy {
            CopyBack::Barriered
        } else {
            CopyBack::Plain
        },
        ..Options::new(request.seed)
    };
    let (_, recording) = makefunc::record(&options, &mut |_| {})?;
    Ok(recording.into_program())
}

#[cfg(test)]
mod tests;
