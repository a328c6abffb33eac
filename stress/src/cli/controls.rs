//! `gc-stress controls`: its arguments, and its reports while it runs.

use std::io::{self, Write};

use clap::Args;

use super::tolerate;
use crate::controls::{self, Condition, ControlsOptions, report};
use crate::error::Error;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 clean, 10 a false alarm, 64 usage, 70 the second \
opinion or the books of a heap are wrong, or an internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// Objects to mark, by all conditions together.
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    objects: u64,
    /// One condition alone: quiet, busy, junk, full or stopped.
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    only: Option<Condition>,
    /// Where all decisions come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

fn condition(text: &str) -> Result<Condition, String> {
    Condition::from_id(text).ok_or_else(|| {
        let ids: Vec<&str> = Condition::ALL.iter().map(|one| one.id()).collect();
        format!("choose one of {}", ids.join(", "))
    })
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let options = ControlsOptions {
        seed: arguments.seed,
        objects: arguments.objects,
        only: arguments.only,
    };
    let mut out = io::stdout().lock();
    tolerate(if arguments.json {
        report::write_json_begin(&mut out, &options)
    } else {
        report::write_opening(&mut out, &options)
    })?;
    let outcome = controls::run(&options, &mut |finding| {
        Ok(tolerate(if arguments.json {
            report::write_json_finding(&mut out, finding)
        } else {
            report::write_finding(&mut out, finding)
        })?)
    })?;
    tolerate(if arguments.json {
        report::write_json_end(&mut out, &outcome)
    } else {
        report::write_outcome(&mut out, &outcome)
    })?;
    tolerate(out.flush())?;
    Ok(outcome.exit_code())
}
