//! `gc-stress run`: its arguments and exit codes, and the workload. Scenarios of the zoo: `cli/zoo.rs`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gc_core::{Check, Checks, Policy, Response};

use super::{nursery, threads, tolerate};
use crate::driver::DriverChoice;
use crate::error::{EXIT_USAGE, Error};
use crate::options::{Configuration, CopyBack, OPS_DEFAULT, Options};
use crate::outcome::Outcome;
use crate::progress::Bar;
use crate::zoo::{self, Request, Scenario, Source};
use crate::{human, json, lab, makefunc};

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 clean, 10 violation found and survived, 11 expected \
violation missing, 64 usage, 65 the recording cannot be written, 70 internal error or live data damaged. A policy that aborts ends \
the process by SIGABRT.";

#[derive(Args)]
pub(super) struct Arguments {
    /// The scenario: see `list`.
    #[arg(value_name = "NAME", value_parser = scenario())]
    scenario: &'static Scenario,
    /// Where every decision of the run comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Of makefunc alone: most operations in search of the first violation, and operations served after it; 100000 unless it is said.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    ops: Option<u64>,
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
    /// Of makefunc alone: threads that serve. More than one need another driver than manual, which steps the heap by
    /// the decisions of one thread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads())]
    threads: u64,
    /// Of makefunc alone: let the heap have generations, and ask for young cycles: one is due each time about so many
    /// bytes were allocated.
    #[arg(long, value_name = "N", value_parser = nursery())]
    nursery_bytes: Option<u64>,
    /// With the bug. It is the default.
    #[arg(long, conflicts_with = "fixed")]
    buggy: bool,
    /// Control: without it. Of makefunc: copy results back by a plain store, as Go's fix does.
    #[arg(long)]
    fixed: bool,
    /// Control of makefunc: leave the large configuration struct out.
    #[arg(long)]
    no_config_struct: bool,
    /// Write down what the run does to its heap, for `replay` and `shrink`. It runs on one thread with the
    /// manual driver; several --threads then are logical ones, whose turns are drawn from the seed.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Of makefunc alone: write violations down in this file, which outlives the process: see `inspect`.
    #[arg(long, value_name = "FILE")]
    health_record: Option<PathBuf>,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

/// The scenario of a name.
fn scenario() -> impl TypedValueParser<Value = &'static Scenario> {
    let names = PossibleValuesParser::new(zoo::all().map(|scenario| scenario.name));
    names.try_map(|name| Scenario::from_name(&name).ok_or("no scenario has that name"))
}

/// Runs the scenario that the command line names.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let run = match arguments.scenario.source {
        Source::Workload => options(arguments).map(|options| run_workload(arguments, &options)),
        _ => request(arguments).map(|request| {
            let record = arguments.record.as_deref();
            super::zoo::run(arguments.scenario, &request, record, arguments.json)
        }),
    };
    run.unwrap_or_else(|problem| {
        eprintln!("error: {problem}");
        Ok(EXIT_USAGE)
    })
}

/// What a scenario of the zoo is told, or what is wrong with it.
fn request(arguments: &Arguments) -> Result<Request, String> {
    let strange = [
        ("--ops", arguments.ops.is_some()),
        ("--driver", !arguments.driver.is_manual()),
        ("--threads", arguments.threads != 1),
        ("--nursery-bytes", arguments.nursery_bytes.is_some()),
        ("--no-config-struct", arguments.no_config_struct),
        ("--health-record", arguments.health_record.is_some()),
    ];
    if let Some((option, _)) = strange.iter().find(|(_, is_given)| *is_given) {
        return Err(format!(
            "{option} belongs to makefunc: the other scenarios are programs of a fixed length, driven by hand"
        ));
    }
    Ok(Request {
        seed: arguments.seed,
        is_buggy: !arguments.fixed,
        checks: arguments.checks,
        policy: policy(arguments)?,
    })
}

/// The policy of a run, or what is wrong with it.
fn policy(arguments: &Arguments) -> Result<Policy, String> {
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
    Ok(policy)
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
    let policy = policy(arguments)?;
    Ok(Options {
        seed: arguments.seed,
        ops: arguments.ops.unwrap_or(OPS_DEFAULT),
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
        nursery_bytes: arguments.nursery_bytes.map(|bytes| bytes as usize),
        health_record: arguments.health_record.clone(),
    })
}

/// Runs the scenario in its recorded form, and writes the recording.
fn record(name: &str, options: &Options, path: &Path, bar: &Bar) -> Result<Outcome, Error> {
    let (outcome, recording) = makefunc::record(options, &mut |progress| bar.show(progress))?;
    lab::trace_of(name, options, recording).write(path)?;
    Ok(outcome)
}

fn run_workload(arguments: &Arguments, options: &Options) -> Result<u8, Error> {
    let name = arguments.scenario.name;
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
    let outcome = match &arguments.record {
        None => makefunc::run(options, &mut |progress| bar.show(progress)),
        Some(path) => record(name, options, path, &bar),
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
