//! `gc-stress serve` and `gc-stress load`: their arguments and exit codes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gc_core::{Checks, Policy};

use super::{THREADS_MAX, tolerate};
use crate::driver::DriverChoice;
use crate::error::{EXIT_FOUND, EXIT_USAGE, Error};
use crate::load::{self, LoadOptions};
use crate::serve::{Bug, ServeOptions, Server};

/// Longest time that can be asked for: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 asked to leave (SIGTERM), heap healthy, 10 left with \
an unhealthy heap, everything in flight finished, 64 usage, or an address that cannot be listened at, 65 a \
file that holds something else, 70 internal error, 75 the drain deadline cut requests. A policy that aborts ends the \
process by SIGABRT. A supervisor should start the service anew after all but 0, 64 and 65.";

/// Exit codes, for the help text.
pub(super) const LOAD_EXIT_CODES: &str =
    "Exit codes: 0 no request failed, 10 some did, 64 usage, 70 internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// Where HTTP is served; port 0 lets the system choose.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where HAProxy's agent-check asks.
    #[arg(long, value_name = "ADDRESS:PORT")]
    agent: Option<String>,
    /// Remember here which balancers the agent told to drain, so that the next process says "ready" to them.
    #[arg(long, value_name = "FILE", requires = "agent")]
    agent_state: Option<PathBuf>,
    /// Name of the instance.
    #[arg(long, value_name = "NAME", default_value = "gc-stress", value_parser = name)]
    instance: String,
    /// Worker threads, each with mutators of its own.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=THREADS_MAX))]
    threads: u64,
    /// Who advances the collector: incremental, background or background:N.
    #[arg(long, value_name = "D", default_value_t = DriverChoice::BACKGROUND)]
    driver: DriverChoice,
    /// What follows from a violation. Without it GC_POLICY decides, else "unhealthy".
    #[arg(long, value_name = "SPEC")]
    policy: Option<Policy>,
    /// How hard the heap looks.
    #[arg(long, value_name = "CHECKS", default_value_t = Checks::default())]
    checks: Checks,
    /// Write violations down in this file, which outlives the process: see `inspect`.
    #[arg(long, value_name = "FILE")]
    health_record: Option<PathBuf>,
    /// Where the decisions of the workload come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Operations of the service in a request.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    operations: u32,
    #[command(flatten)]
    bug: BugArguments,
    #[command(flatten)]
    drain: DrainArguments,
}

/// When the bug comes.
#[derive(Args)]
struct BugArguments {
    /// Copy results back through the write barrier, as Go did before its fix, from the beginning.
    #[arg(long)]
    buggy: bool,
    /// The same, after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    bug_after: Option<Duration>,
    /// The same, once this path is asked for.
    #[arg(long, value_name = "PATH", value_parser = path)]
    bug_on_request: Option<String>,
}

/// How the instance leaves.
#[derive(Args)]
struct DrainArguments {
    /// /readyz answers 404 instead of 503 when the instance leaves.
    #[arg(long)]
    readyz_404: bool,
    /// An instance that left accepts until nothing has come in for so long: more than balancers take to notice.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    quiet: Duration,
    /// So long after it left, an instance is gone.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    drain_deadline: Duration,
    /// Fleet guard: an unhealthy instance waits for a random time up to this before it leaves.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    fleet_delay: Duration,
    /// Fleet guard: an unhealthy instance leaves only with this lease, which one instance has at a time.
    #[arg(long, value_name = "FILE")]
    lease: Option<PathBuf>,
    /// How long an instance that left may take to come back, before others get the lease.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    return_max: Duration,
}

#[derive(Args)]
pub(super) struct LoadArguments {
    /// The service, or the balancer before it.
    #[arg(value_name = "HOST:PORT")]
    authority: String,
    /// Requests in flight.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1000))]
    in_flight: u64,
    /// How many of them are long ones.
    #[arg(long, value_name = "N", default_value_t = 8)]
    long: u64,
    /// How long a long request lasts, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    long_ms: u64,
    /// How long the others last, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 20)]
    short_ms: u64,
    /// When to end. Without it, at SIGTERM or SIGINT.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!(
            "choose a number from 0 to {SECONDS_MAX}, as 0.5 or 30"
        )),
    }
}

fn name(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.chars().all(is_name) {
        Ok(text.to_string())
    } else {
        Err("choose letters, digits, `-`, `_` and `.`".to_string())
    }
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_string())
    } else {
        Err("a path begins with /".to_string())
    }
}

/// Serves until the instance has left.
pub(super) fn run(arguments: Arguments) -> Result<u8, Error> {
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("error: {problem}");
            return Ok(EXIT_USAGE);
        }
    };
    let server = Server::start(options, Box::new(io::stdout()))?;
    Ok(server.join()?.exit_code())
}

fn options(arguments: Arguments) -> Result<ServeOptions, String> {
    if arguments.driver.is_manual() {
        return Err(
            "serve needs --driver incremental, background or background:N: with the manual driver nobody \
             would collect"
                .to_string(),
        );
    }
    let policy = match arguments.policy {
        Some(policy) => policy,
        None => Policy::from_env()
            .map_err(|error| format!("GC_POLICY: {error}"))?
            .unwrap_or(Policy::MARK_UNHEALTHY),
    };
    let (bug, drain) = (arguments.bug, arguments.drain);
    Ok(ServeOptions {
        agent: arguments.agent,
        agent_state: arguments.agent_state,
        instance: arguments.instance,
        threads: arguments.threads as usize,
        driver: arguments.driver,
        policy,
        checks: arguments.checks,
        health_record: arguments.health_record,
        seed: arguments.seed,
        bug: Bug {
            is_on: bug.buggy,
            after: bug.bug_after,
            on_request: bug.bug_on_request,
        },
        operations: arguments.operations,
        is_404: drain.readyz_404,
        quiet: drain.quiet,
        drain_deadline: drain.drain_deadline,
        fleet_delay: drain.fleet_delay,
        lease: drain.lease,
        return_max: drain.return_max,
        is_signalled: true,
        ..ServeOptions::new(&arguments.listen)
    })
}

/// Loads a service and says how it went.
pub(super) fn run_load(arguments: LoadArguments) -> Result<u8, Error> {
    let outcome = load::run(LoadOptions {
        authority: arguments.authority,
        in_flight: arguments.in_flight as usize,
        long: arguments.long as usize,
        long_ms: arguments.long_ms,
        short_ms: arguments.short_ms,
        lasting: arguments.seconds,
        patience: Duration::from_secs(30),
    })?;
    let mut line = Vec::new();
    outcome.write(&mut line)?;
    tolerate(io::stdout().lock().write_all(&line))?;
    Ok(if outcome.failed() == 0 { 0 } else { EXIT_FOUND })
}
