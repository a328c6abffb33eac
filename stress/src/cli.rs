//! The command line of `gc-stress`: arguments in, reports and an exit code out.
//!
//! Exit codes: 0 clean, 10 a violation was found and survived, 11 the expected violation is
//! missing, 64 the command line is wrong, 70 something that must not happen. A policy that aborts
//! ends the process by SIGABRT, with the report on standard error.

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{Args, Parser, Subcommand, ValueEnum};
use gc_core::{CheckLevel, Policy};

use crate::error::Error;
use crate::options::{Configuration, CopyBack, OPS_DEFAULT, Options};
use crate::progress::Bar;
use crate::{human, json, makefunc};

/// The command line is wrong.
pub const EXIT_USAGE: u8 = 64;
/// Something that must not happen.
pub const EXIT_INTERNAL: u8 = 70;

const EXIT_CODES: &str = "Exit codes: 0 clean, 10 violation found and survived, 11 expected \
violation missing, 64 usage, 70 internal error or live data damaged. A policy that aborts ends \
the process by SIGABRT.";

/// The stress lab of Softfail: reproduces collector corruption in a managed heap.
#[derive(Parser)]
#[command(name = "gc-stress", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the scenarios.
    List,
    /// Run a scenario.
    Run(RunArguments),
}

#[derive(Args)]
struct RunArguments {
    /// The scenario.
    scenario: Scenario,
    /// Where every decision of the run comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most operations in search of the first violation, and operations served after it.
    #[arg(long, default_value_t = OPS_DEFAULT, value_parser = clap::value_parser!(u64).range(1..))]
    ops: u64,
    /// What follows from a violation: abort, hook, unhealthy, count, strict, or a full policy such
    /// as "unhealthy,sweep-count=hook". Without it GC_POLICY decides, else "unhealthy".
    #[arg(long, value_name = "SPEC")]
    policy: Option<Policy>,
    /// How hard the heap looks: lax, default or paranoid.
    #[arg(long, value_name = "LEVEL", default_value_t = CheckLevel::Default)]
    checks: CheckLevel,
    /// Control: copy results back by a plain store, as Go's fix does.
    #[arg(long)]
    fixed: bool,
    /// Control: leave the large configuration struct out.
    #[arg(long)]
    no_config_struct: bool,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

/// What can be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Scenario {
    /// Go bug 30041: a reflective call writes its result through the write barrier.
    Makefunc,
}

impl Scenario {
    const fn name(self) -> &'static str {
        match self {
            Scenario::Makefunc => "makefunc",
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Scenario::Makefunc => {
                "Go bug 30041: a reflective call writes its result through the write barrier into \
                 a stack slot that was never initialised"
            }
        }
    }
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
        Command::List => Ok(tolerate(list(&mut io::stdout().lock())).map(|()| 0)?),
        Command::Run(arguments) => match options(&arguments) {
            Ok(options) => run_scenario(&arguments, &options),
            Err(problem) => {
                eprintln!("error: {problem}");
                Ok(EXIT_USAGE)
            }
        },
    }));
    match finished {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            EXIT_INTERNAL
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

fn list(out: &mut dyn Write) -> io::Result<()> {
    for scenario in Scenario::value_variants() {
        writeln!(out, "{:<10}{}", scenario.name(), scenario.summary())?;
    }
    Ok(())
}

/// The options of a run, or what is wrong with the environment.
fn options(arguments: &RunArguments) -> Result<Options, String> {
    let policy = match &arguments.policy {
        Some(policy) => policy.clone(),
        None => Policy::from_env()
            .map_err(|error| format!("GC_POLICY: {error}"))?
            .unwrap_or(Policy::MARK_UNHEALTHY),
    };
    Ok(Options {
        seed: arguments.seed,
        ops: arguments.ops,
        policy,
        checks: arguments.checks,
        copy_back: if arguments.fixed {
            CopyBack::Plain
        } else {
            CopyBack::Barriered
        },
        configuration: if arguments.no_config_struct {
            Configuration::LeftOut
        } else {
            Configuration::ByValue
        },
    })
}

fn run_scenario(arguments: &RunArguments, options: &Options) -> Result<u8, Error> {
    let name = arguments.scenario.name();
    let mut out = io::stdout().lock();
    let bar = if arguments.json {
        Bar::hidden()
    } else {
        Bar::new(options.ops)
    };
    tolerate(if arguments.json {
        json::write_begin(&mut out, name, options)
    } else {
        human::write_opening(&mut out, options)
    })?;
    let outcome = match arguments.scenario {
        Scenario::Makefunc => makefunc::run(options, &mut |progress| bar.show(progress)),
    };
    bar.finish();
    let outcome = outcome?;
    tolerate(if arguments.json {
        json::write_outcome(&mut out, name, &outcome)
    } else {
        human::write_outcome(&mut out, &outcome)
    })?;
    tolerate(out.flush())?;
    Ok(outcome.verdict().exit_code())
}
