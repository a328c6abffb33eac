//! `gc-stress replay` and `gc-stress shrink`, and what `run --record` adds: arguments and exit codes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::tolerate;
use crate::error::{EXIT_FOUND, EXIT_INTERNAL, EXIT_MISSING, Error};
use crate::json::write_line;
use crate::lab::{self, Difference, Outcome, Setup, Shrunk};
use crate::ops::Trace;
use crate::progress::Bar;

/// Longest that shrinking takes when nobody says otherwise, in seconds.
const BUDGET_DEFAULT: u64 = 60;
/// Time between two savings of what shrinking has reached.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Exit codes, for the help text.
pub(super) const REPLAY_EXIT_CODES: &str = "Exit codes: 0 replayed, as recorded, without a violation; 10 \
replayed as recorded, with its violations, and no more live objects lost than when it was recorded; 11 other violations than were recorded; \
64 usage; 65 the file is truncated, corrupt, of another version or by another build; 70 something live was \
lost that was not lost before, the accounts do not balance, or an internal error.";

/// Exit codes, for the help text.
pub(super) const SHRINK_EXIT_CODES: &str = "Exit codes: 0 shrunk, whether or not time was up; 64 usage; 65 \
the file is truncated, corrupt, of another version or by another build, cannot be written, or shows no \
violation; 70 internal error.";

/// How a program is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// Sentences that a person reads.
    Story,
    /// A Rust test that carries the program with it.
    Test,
    /// The operations, as the file has them.
    Ops,
}

#[derive(Args)]
pub(super) struct ReplayArguments {
    /// The trace: see `run --record`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the program instead of what came of it.
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<Format>,
    /// Replay a trace of another build all the same, with a warning.
    #[arg(long)]
    allow_other_build: bool,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ShrinkArguments {
    /// The trace: see `run --record`. What shrinking wrote may be given again.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the smallest trace goes. While shrinking goes on, the smallest so far stands there.
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
    /// Seconds after which it ends with what it has.
    #[arg(long, value_name = "SECS", default_value_t = BUDGET_DEFAULT, value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,
    /// How the result is printed.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "story",
        conflicts_with = "json"
    )]
    format: Format,
    /// Shrink a trace of another build all the same, with a warning.
    #[arg(long)]
    allow_other_build: bool,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

fn read(file: &std::path::Path, is_other_build_allowed: bool) -> Result<(Trace, bool), Error> {
    let (trace, is_this_build) = lab::read(file, is_other_build_allowed)?;
    if !is_this_build {
        eprintln!(
            "warning: the trace was written by {}, and this is {}: it may do other things",
            trace.header.build,
            lab::this_build()
        );
    }
    Ok((trace, is_this_build))
}

fn show(out: &mut dyn Write, format: Format, trace: &Trace, outcome: &Outcome) -> io::Result<()> {
    match format {
        Format::Story => lab::write_story(out, trace, outcome),
        Format::Test => lab::write_test(out, trace, outcome),
        Format::Ops => lab::write_ops(out, &trace.program),
    }
}

pub(super) fn replay(arguments: &ReplayArguments) -> Result<u8, Error> {
    let (trace, is_this_build) = read(&arguments.file, arguments.allow_other_build)?;
    let outcome = lab::run(&trace.program, &lab::setup(&trace.header)?)?;
    let mut out = io::stdout().lock();
    tolerate(match arguments.format {
        Some(format) => show(&mut out, format, &trace, &outcome),
        None if arguments.json => lab::write_json(&mut out, &trace, &outcome, is_this_build),
        None => lab::write_human(&mut out, &trace, &outcome),
    })?;
    tolerate(out.flush())?;
    Ok(exit_code(&trace, &outcome))
}

fn exit_code(trace: &Trace, outcome: &Outcome) -> u8 {
    let difference = Difference::of(trace, outcome);
    if difference.lost > 0 || !outcome.is_ledger_balanced {
        EXIT_INTERNAL
    } else if !difference.is_none() {
        EXIT_MISSING
    } else if outcome.met.is_empty() {
        0
    } else {
        EXIT_FOUND
    }
}

/// A smaller program was found.
#[derive(Serialize)]
struct Shrank {
    event: &'static str,
    ops: usize,
    tried: u64,
}

/// The last line.
#[derive(Serialize)]
struct End {
    event: &'static str,
    ops_before: usize,
    ops_after: usize,
    check: &'static str,
    call_site: Option<String>,
    minimal: bool,
    tried: u64,
    threads: usize,
    driver: String,
    elapsed_ms: u64,
}

pub(super) fn shrink(arguments: &ShrinkArguments) -> Result<u8, Error> {
    let begun = Instant::now();
    let (trace, _) = read(&arguments.file, arguments.allow_other_build)?;
    let setup = lab::setup(&trace.header)?;
    let goal = lab::goal(&trace, &setup)?;
    let budget = Duration::from_secs(arguments.budget).saturating_sub(begun.elapsed());
    let mut out = io::stdout().lock();
    let bar = if arguments.json {
        Bar::hidden()
    } else {
        Bar::for_shrinking(trace.program.ops.len() as u64)
    };
    let (mut saved, mut told) = (begun, usize::MAX);
    let shrunk = lab::shrink(&trace.program, &goal, &setup, budget, &mut |program, at| {
        bar.show_shrinking(at.ops as u64, at.tried);
        if saved.elapsed() >= SAVE_EVERY {
            save(&trace, program, &setup, &arguments.out)?;
            saved = Instant::now();
        }
        if arguments.json && at.ops <= told / 2 {
            told = at.ops;
            let event = Shrank {
                event: "shrank",
                ops: at.ops,
                tried: at.tried,
            };
            tolerate(write_line(&mut out, &event))?;
        }
        Ok(())
    })?;
    bar.finish();
    let (smallest, outcome) = save(&trace, &shrunk.program, &setup, &arguments.out)?;
    tolerate(if arguments.json {
        let end = End {
            event: "end",
            ops_before: trace.program.ops.len(),
            ops_after: smallest.program.ops.len(),
            check: goal.check.id(),
            call_site: goal.call_site,
            minimal: shrunk.is_minimal,
            tried: shrunk.tried,
            threads: trace.header.threads,
            driver: trace.header.regime.driver.to_string(),
            elapsed_ms: begun.elapsed().as_millis() as u64,
        };
        write_line(&mut out, &end)
    } else {
        show(&mut out, arguments.format, &smallest, &outcome)
    })?;
    if !arguments.json && arguments.format == Format::Story {
        let before = trace.program.ops.len();
        tolerate(write_summary(&mut out, before, &shrunk, begun.elapsed()))?;
    }
    tolerate(out.flush())?;
    Ok(0)
}

fn write_summary(
    out: &mut dyn Write,
    before: usize,
    shrunk: &Shrunk,
    elapsed: Duration,
) -> io::Result<()> {
    writeln!(
        out,
        "\nSHRUNK          from {before} operations to {}, in {} programs and {} ms{}",
        shrunk.program.ops.len(),
        shrunk.tried,
        elapsed.as_millis(),
        if shrunk.is_minimal {
            ""
        } else {
            "; time was up, give it again to go on"
        }
    )
}

/// Writes a program with what is reported of it.
fn save(
    trace: &Trace,
    program: &crate::ops::Program,
    setup: &Setup,
    path: &std::path::Path,
) -> Result<(Trace, Outcome), Error> {
    let outcome = lab::run(program, setup)?;
    let mut header = trace.header.clone();
    header.build = lab::this_build().to_string();
    let smaller = Trace {
        header,
        program: program.clone(),
        expected: outcome.expected(),
        lost: outcome.lost.len() as u64,
    };
    smaller.write(path)?;
    Ok((smaller, outcome))
}
