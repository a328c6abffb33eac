//! The command line of `gc-stress`: arguments in, reports and an exit code out.
//!
//! Exit codes: 0 clean, 10 a violation was found and survived, 11 the expected violation is
//! missing, 64 the command line is wrong, 65 a file is malformed, 70 something that must not happen, 75 not done: run
//! again, it goes on. A policy that aborts ends the process by SIGABRT, with the report on standard error.

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{Args, Parser, Subcommand};
use gc_core::Checks;

use crate::driver::DriverChoice;
use crate::error::{EXIT_INTERNAL, EXIT_USAGE, Error};
use crate::measure::Extent;
use crate::progress::Bar;
use crate::soak::SoakOptions;
use crate::{measure, soak};

mod audit;
#[cfg(feature = "fault-inject")]
mod campaign;
mod controls;
mod inspect;
mod lab;
#[cfg(feature = "fault-inject")]
mod merge;
#[cfg(feature = "fault-inject")]
mod report;
mod run;
mod search;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "fault-inject")]
mod shard;
mod zoo;

/// Longest soak: a year.
const MINUTES_MAX: f64 = 525_600.0;
/// Least and most bytes of a nursery: a span, and more than any run allocates.
const NURSERY_BYTES: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 40;
/// Most threads of a run.
const THREADS_MAX: u64 = 256;

const SOAK_EXIT_CODES: &str = "Exit codes: 0 clean, 10 a violation was found and nothing was \
lost, 64 usage, 70 an object was lost, the accounts or the second opinion are wrong, or an \
internal error.";

const MEASURE_EXIT_CODES: &str = "Exit codes: 0 measured, whether goals are met or missed, 64 \
usage, 70 internal error.";

/// The stress lab of Softfail: reproduces collector corruption in a managed heap.
#[derive(Parser)]
#[command(name = "gc-stress", version, after_help = run::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the scenarios.
    List(zoo::ListArguments),
    /// Run a scenario.
    #[command(after_help = run::EXIT_CODES)]
    Run(run::Arguments),
    /// Carry a recorded program out once more, and compare what is reported with what was recorded.
    #[command(after_help = lab::REPLAY_EXIT_CODES)]
    Replay(lab::ReplayArguments),
    /// Take away what the first violation of a recorded program does not need.
    #[command(after_help = lab::SHRINK_EXIT_CODES)]
    Shrink(lab::ShrinkArguments),
    /// Let threads use a heap that nobody breaks, with an oracle beside it, for as long as one likes.
    #[command(after_help = SOAK_EXIT_CODES)]
    Soak(SoakArguments),
    /// Measure what the goals for several threads are about, each figure beside what it is compared
    /// with.
    #[command(after_help = MEASURE_EXIT_CODES)]
    Measure(MeasureArguments),
    /// Serve the incident over HTTP; leave rotation, drain and end when the heap turns unhealthy.
    #[cfg(feature = "serve")]
    #[command(after_help = serve::EXIT_CODES)]
    Serve(Box<serve::Arguments>),
    /// Keep requests to a service in flight, and count those that fail.
    #[cfg(feature = "serve")]
    #[command(after_help = serve::LOAD_EXIT_CODES)]
    Load(serve::LoadArguments),
    /// Break heaps on purpose, one in each child process, and measure what the checks make of it.
    #[cfg(feature = "fault-inject")]
    #[command(after_help = campaign::EXIT_CODES)]
    Campaign(campaign::Arguments),
    /// Put the files of shards together.
    #[cfg(feature = "fault-inject")]
    #[command(after_help = merge::EXIT_CODES)]
    Merge(merge::Arguments),
    /// Draw a campaign and recorded runs on one page.
    #[cfg(feature = "fault-inject")]
    #[command(after_help = report::EXIT_CODES)]
    Report(report::Arguments),
    /// Run one case of a campaign: what its children do.
    #[cfg(feature = "fault-inject")]
    #[command(hide = true)]
    CampaignCase(campaign::ChildArguments),
    /// Use heaps that nobody breaks under conditions that make detectors lie, and count false alarms.
    #[command(after_help = controls::EXIT_CODES)]
    Controls(controls::Arguments),
    /// Print the record of violations that a heap left in a file, or still writes.
    #[command(after_help = inspect::EXIT_CODES)]
    Inspect(inspect::Arguments),
    /// Say which unsafe code of a package and of what it depends on can be reached, and by which path.
    #[command(after_help = audit::EXIT_CODES)]
    Audit(audit::Arguments),
    /// Search for programs that a heap answers wrongly, for as long as one likes.
    #[command(after_help = search::EXIT_CODES)]
    Search(search::Arguments),
}

#[derive(Args)]
struct MeasureArguments {
    /// Small heaps and few runs: seconds instead of minutes, and no figures to rely on.
    #[arg(long)]
    quick: bool,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SoakArguments {
    /// Minutes of work; fractions are allowed. One, unless --ops says when to end.
    #[arg(long, value_name = "M", value_parser = minutes)]
    minutes: Option<f64>,
    /// Most operations.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    ops: Option<u64>,
    /// Busy threads.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = threads())]
    threads: u64,
    /// Who advances the collector: incremental, background or background:N.
    #[arg(long, value_name = "D", default_value_t = DriverChoice::BACKGROUND)]
    driver: DriverChoice,
    /// Where the decisions of all threads come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How hard the heap looks: lax, default or paranoid, and single checks switched by hand, such as
    /// "default,virgin-slot=on".
    #[arg(long, value_name = "CHECKS", default_value_t = Checks::default())]
    checks: Checks,
    /// The hard limit of the heap, in MiB.
    #[arg(long, value_name = "L", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    limit_mib: u64,
    /// Let the heap have generations: a young cycle each time about so many bytes were allocated.
    #[arg(long, value_name = "N", value_parser = nursery())]
    nursery_bytes: Option<u64>,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

/// Minutes of a soak.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if minutes > 0.0 && minutes <= MINUTES_MAX => Ok(minutes),
        _ => Err(format!(
            "choose a number above 0 and up to {MINUTES_MAX}, as 0.05 or 30"
        )),
    }
}

/// How many threads may be asked for.
fn threads() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=THREADS_MAX)
}

/// How large a nursery may be.
fn nursery() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(NURSERY_BYTES)
}

/// Runs the program on its arguments, the first of which is its name, and answers its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let command = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command,
        Err(error) => {
            // Nobody is left to tell when the message cannot be written either.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { 0 };
        }
    };
    let finished = catch_unwind(AssertUnwindSafe(|| match command {
        Command::List(arguments) => zoo::list(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => lab::replay(&arguments),
        Command::Shrink(arguments) => lab::shrink(&arguments),
        Command::Soak(arguments) => match soak_options(&arguments) {
            Ok(options) => run_soak(&arguments, &options),
            Err(problem) => {
                eprintln!("error: {problem}");
                Ok(EXIT_USAGE)
            }
        },
        Command::Measure(arguments) => run_measure(&arguments),
        Command::Controls(arguments) => controls::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(*arguments),
        #[cfg(feature = "serve")]
        Command::Load(arguments) => serve::run_load(arguments),
        Command::Search(arguments) => search::run(&arguments),
        #[cfg(feature = "fault-inject")]
        Command::Campaign(arguments) => campaign::run(&arguments),
        #[cfg(feature = "fault-inject")]
        Command::Merge(arguments) => merge::run(&arguments),
        #[cfg(feature = "fault-inject")]
        Command::Report(arguments) => report::run(&arguments),
        #[cfg(feature = "fault-inject")]
        Command::CampaignCase(arguments) => campaign::run_child(&arguments),
    }));
    match finished {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
        // The panic has printed its message.
        Err(_) => EXIT_INTERNAL,
    }
}

/// A reader that has gone away has seen enough; what the run means does not depend on it.
fn tolerate(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The options of a soak, or what is wrong with them.
fn soak_options(arguments: &SoakArguments) -> Result<SoakOptions, String> {
    if arguments.driver.is_manual() {
        return Err(
            "soak needs --driver incremental, background or background:N: with the manual driver \
             nobody would collect"
                .to_string(),
        );
    }
    Ok(SoakOptions {
        seed: arguments.seed,
        minutes: match (arguments.minutes, arguments.ops) {
            (None, None) => Some(1.0),
            (minutes, _) => minutes,
        },
        ops: arguments.ops,
        threads: arguments.threads as usize,
        driver: arguments.driver,
        checks: arguments.checks,
        limit_mib: arguments.limit_mib as usize,
        nursery_bytes: arguments.nursery_bytes.map(|bytes| bytes as usize),
    })
}

fn run_soak(arguments: &SoakArguments, options: &SoakOptions) -> Result<u8, Error> {
    let mut out = io::stdout().lock();
    tolerate(if arguments.json {
        soak::report::write_json_begin(&mut out, options)
    } else {
        soak::report::write_opening(&mut out, options)
    })?;
    let bar = if arguments.json {
        Bar::hidden()
    } else {
        Bar::for_soak(options)
    };
    let outcome = soak::run(options, &mut |ops, elapsed| bar.show_soak(ops, elapsed));
    bar.finish();
    let outcome = outcome?;
    tolerate(if arguments.json {
        soak::report::write_json_outcome(&mut out, &outcome)
    } else {
        soak::report::write_outcome(&mut out, &outcome)
    })?;
    tolerate(out.flush())?;
    Ok(outcome.exit_code())
}

fn run_measure(arguments: &MeasureArguments) -> Result<u8, Error> {
    let mut out = io::stdout().lock();
    let extent = if arguments.quick {
        Extent::QUICK
    } else {
        Extent::FULL
    };
    let mut figures = Vec::new();
    measure::run(extent, &mut |figure| {
        tolerate(if arguments.json {
            measure::report::write_json(&mut out, &figure)
        } else {
            measure::report::write_human(&mut out, &figure)
        })?;
        figures.push(figure);
        Ok(())
    })?;
    tolerate(if arguments.json {
        measure::report::write_json_end(&mut out, &figures, arguments.quick)
    } else {
        measure::report::write_human_end(&mut out, &figures)
    })?;
    Ok(0)
}
