//! `gc-stress list` and `gc-stress run`: their arguments and exit codes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gc_core::{Check, Checks, Policy, Response};

use super::{threads, tolerate};
use crate::driver::DriverChoice;
use crate::error::{EXIT_USAGE, Error};
use crate::options::{Configuration, CopyBack, OPS_DEFAULT, Options};
use crate::outcome::Outcome;
use crate::progress::Bar;
use crate::{human, json, lab, makefunc};

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 clean, 10 violation found and survived, 11 expected \
violation missing, 64 usage, 65 the recording cannot be written, 70 internal error or live data damaged. A policy that aborts ends \
the process by SIGABRT.";

#[derive(Args)]
pub(super) struct ListArguments {}

#[derive(Args)]
pub(super) struct Arguments {
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
    /// How hard the heap looks: lax, default or paranoid, and single checks switched by hand, such as
    /// "default,virgin-slot=on".
    #[arg(long, value_name = "CHECKS", default_value_t = Checks::default())]
    checks: Checks,
    /// Who advances the collector: manual, incremental, background or background:N.
    #[arg(long, value_name = "D", default_value_t = DriverChoice::MANUAL)]
    driver: DriverChoice,
    /// Threads that serve. More than one need another driver than manual, which steps the heap by
    /// the decisions of one thread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads())]
    threads: u64,
    /// Control: copy results back by a plain store, as Go's fix does.
    #[arg(long)]
    fixed: bool,
    /// Control: leave the large configuration struct out.
    #[arg(long)]
    no_config_struct: bool,
    /// Write down what the run does to its heap, for `replay` and `shrink`. It runs on one thread with the
    /// manual driver; several --threads then are logical ones, whose turns are drawn from the seed.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write violations down in this file, which outlives the process: see `inspect`.
    #[arg(long, value_name = "FILE")]
    health_record: Option<PathBuf>,
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

/// Runs the scenario that the command line names.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    match options(arguments) {
        Ok(options) => run_scenario(arguments, &options),
        Err(problem) => {
            eprintln!("error: {problem}");
            Ok(EXIT_USAGE)
        }
    }
}

/// Lists the scenarios.
pub(super) fn list(_arguments: &ListArguments) -> Result<u8, Error> {
    tolerate(write_list(&mut io::stdout().lock()))?;
    Ok(0)
}

fn write_list(out: &mut dyn Write) -> io::Result<()> {
    for scenario in Scenario::value_variants() {
        writeln!(out, "{:<10}{}", scenario.name(), scenario.summary())?;
    }
    Ok(())
}

/// The options of a run, or what is wrong with them or the environment.
fn options(arguments: &Arguments) -> Result<Options, String> {
    if arguments.record.is_some() && !arguments.driver.is_manual() {
        return Err(
            "--record needs the manual driver: with another one the machine decides when the collector \
             comes by, which cannot be written down"
                .to_string(),
        );
    }
    if arguments.threads > 1 && arguments.driver.is_manual() && arguments.record.is_none() {
        return Err(format!(
            "--threads {} needs --driver incremental, background or background:N: the manual driver \
             steps the heap by the decisions of one thread",
            arguments.threads
        ));
    }
    let policy = match &arguments.policy {
        Some(policy) => policy.clone(),
        None => Policy::from_env()
            .map_err(|error| format!("GC_POLICY: {error}"))?
            .unwrap_or(Policy::MARK_UNHEALTHY),
    };
    let is_deadly = Check::ALL
        .iter()
        .any(|check| policy.response(*check) == Response::Abort);
    if arguments.record.is_some() && is_deadly {
        return Err(
            "--record needs a policy that lets the process live to write the file, such as unhealthy"
                .to_string(),
        );
    }
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
        driver: arguments.driver,
        threads: arguments.threads as usize,
        health_record: arguments.health_record.clone(),
    })
}

/// Runs the scenario in its recorded form, and writes the recording.
fn record(name: &str, options: &Options, path: &Path, bar: &Bar) -> Result<Outcome, Error> {
    let (outcome, recording) = makefunc::record(options, &mut |progress| bar.show(progress))?;
    lab::trace_of(name, options, recording).write(path)?;
    Ok(outcome)
}

fn run_scenario(arguments: &Arguments, options: &Options) -> Result<u8, Error> {
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
    let outcome = match (arguments.scenario, &arguments.record) {
        (Scenario::Makefunc, None) => makefunc::run(options, &mut |progress| bar.show(progress)),
        (Scenario::Makefunc, Some(path)) => record(name, options, path, &bar),
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
