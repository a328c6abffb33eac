//! The lab: a run is a program of operations that can be recorded, replayed and shrunk.
//!
//! A program comes from a recording of the workload, from a file, or from the zoo. It is carried out on a
//! heap of its own under the manual driver, so that it does the same every time; what the checks report is
//! told with the operation at which they did. A shrinker takes away what a violation does not need.

mod build;
mod frames;
mod machine;
mod outcome;
mod report;
mod shadow;
mod shrink;
mod simplify;
mod story;
mod watch;

use std::path::Path;

pub(crate) use build::this_build;
pub(crate) use machine::{Setup, Stop};
pub(crate) use outcome::Outcome;
pub(crate) use report::{Difference, write_events, write_first, write_human, write_json};
pub(crate) use shrink::{Goal, Shrunk, shrink};
pub(crate) use story::{Sites, write_ops, write_sentences, write_story, write_test};
#[cfg(feature = "fault-inject")]
pub(crate) use watch::Watcher;

use crate::error::Error;
use crate::makefunc::Recording;
use crate::ops::{Header, Program, Regime, Trace, TraceError};
use crate::options::Options;

/// Address space of a heap: as much as the workload's own has.
pub(crate) const RESERVE_BYTES: usize = crate::makefunc::RESERVE_BYTES;

/// Carries a program out on a new heap.
pub(crate) fn run(program: &Program, setup: &Setup) -> Result<Outcome, Error> {
    machine::run(program, setup)
}

/// As [`run`], with somebody who looks at the heap after each operation.
#[cfg(feature = "fault-inject")]
pub(crate) fn run_watched(
    program: &Program,
    setup: &Setup,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, Error> {
    machine::run_watched(program, setup, watcher)
}

/// The setup that the header of a trace asks for.
pub(crate) fn setup(header: &Header) -> Result<Setup, Error> {
    let policy = header.policy.parse();
    let checks = header.checks.parse();
    Ok(Setup {
        policy: policy.map_err(|error| Error::Header(format!("{error}")))?,
        checks: checks.map_err(|error| Error::Header(format!("{error}")))?,
        reserve_bytes: RESERVE_BYTES,
        regime: header.regime,
        stop: Stop::Never,
    })
}

/// The trace of a recorded run.
pub(crate) fn trace_of(scenario: &str, options: &Options, recording: Recording) -> Trace {
    let Recording((program, expected)) = recording;
    Trace {
        header: Header {
            build: this_build().to_string(),
            scenario: scenario.to_string(),
            seed: options.seed,
            policy: options.policy.to_string(),
            checks: options.checks.to_string(),
            threads: options.threads,
            regime: Regime {
                nursery_bytes: options.nursery_bytes,
                ..Regime::default()
            },
        },
        program,
        expected,
        lost: 0,
    }
}

/// Reads a trace. One that another build wrote is refused unless that is allowed.
pub(crate) fn read(path: &Path, is_other_build_allowed: bool) -> Result<(Trace, bool), Error> {
    let trace = Trace::read(path)?;
    let is_this_build = trace.header.build == this_build();
    if !is_this_build && !is_other_build_allowed {
        return Err(Error::Trace(TraceError::OtherBuild {
            found: trace.header.build,
            this: this_build().to_string(),
        }));
    }
    Ok((trace, is_this_build))
}

/// What a smaller form of a trace must still show. Where nothing live was lost that is known as soon as the
/// first report is.
pub(crate) fn goal(trace: &Trace, setup: &Setup) -> Result<Goal, Error> {
    let stop = if trace.lost == 0 {
        Stop::AtFirst
    } else {
        Stop::Never
    };
    let setup = Setup {
        stop,
        ..setup.clone()
    };
    Goal::of(&run(&trace.program, &setup)?).ok_or(Error::NoViolation)
}

/// What a replay came to, for tests that carry their program with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Operation, from 1, and check of the first violation.
    pub first_violation: Option<(usize, &'static str)>,
    /// Whether every violation was met at the operation where it was recorded, and no other was.
    pub is_as_recorded: bool,
    /// Live objects that were lost.
    pub live_lost: usize,
    /// Whether the accounts agreed at the end.
    pub is_ledger_balanced: bool,
}

/// Replays the text of a trace, whichever build wrote it.
///
/// # Errors
///
/// The text is no whole trace, or the heap refuses to carry it out.
pub fn replay_text(text: &str) -> Result<Replay, Error> {
    let trace = Trace::from_text(text)?;
    let outcome = run(&trace.program, &setup(&trace.header)?)?;
    Ok(Replay {
        first_violation: outcome.first().map(|met| (met.op + 1, met.check.id())),
        is_as_recorded: Difference::of(&trace, &outcome).is_none(),
        live_lost: outcome.lost.len(),
        is_ledger_balanced: outcome.is_ledger_balanced,
    })
}

#[cfg(test)]
mod tests;
