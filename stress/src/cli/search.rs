//! `gc-stress search`: its arguments, its bar and its reports while it runs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gc_core::CheckLevel;

use super::tolerate;
use crate::error::Error;
use crate::progress::Bar;
use crate::search::{self, SearchOptions, report};

/// Longest search when nobody says otherwise.
const BUDGET_DEFAULT: Duration = Duration::from_secs(60);

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 nothing found in programs that break nothing; 10 something was \
reported: falsely, or with --with-faults as it should be; 11 with --with-faults, nothing was reported; 64 usage; 65 a \
trace cannot be written; 70 something live was lost, the accounts do not balance, the heap refused something other than by a program's limit or panicked, or an \
internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// Longest time, as 90s, 30m or 2h. A minute, unless --programs or --until-findings says when to end.
    #[arg(long, value_name = "T", value_parser = budget)]
    budget: Option<Duration>,
    /// Most programs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    programs: Option<u64>,
    /// End when so many different findings are there: by sort, check and call site.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    until_findings: Option<u64>,
    /// Where all decisions come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How hard every heap looks: lax, default or paranoid; drawn for each program, unless it is said.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    checks: Option<CheckLevel>,
    /// Break the heaps on purpose: what is reported then is what was to be found.
    #[arg(long)]
    with_faults: bool,
    /// Where traces of findings are written.
    #[arg(short, long, value_name = "DIR", default_value = "findings")]
    out: PathBuf,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

fn budget(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    let number: Option<u64> = number.parse().ok().filter(|number| *number > 0);
    let total = number
        .and_then(|number| number.checked_mul(seconds))
        .filter(|total| *total > 0);
    total
        .map(Duration::from_secs)
        .ok_or_else(|| "choose a number and s, m or h, as 30m".to_string())
}

fn level(text: &str) -> Result<CheckLevel, String> {
    let mut levels = CheckLevel::ALL.iter().copied();
    let found = levels.find(|level| level.to_string() == text);
    found.ok_or_else(|| "choose one of lax, default, paranoid".to_string())
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let is_bounded = arguments.programs.is_some() || arguments.until_findings.is_some();
    let options = SearchOptions {
        seed: arguments.seed,
        budget: arguments.budget.or((!is_bounded).then_some(BUDGET_DEFAULT)),
        programs: arguments.programs,
        until_findings: arguments.until_findings,
        breaks: arguments.with_faults,
        level: arguments.checks,
        directory: arguments.out.clone(),
    };
    let mut out = io::stdout().lock();
    tolerate(if arguments.json {
        report::write_json_begin(&mut out, &options)
    } else {
        report::write_opening(&mut out, &options)
    })?;
    let bar = if arguments.json {
        Bar::hidden()
    } else {
        Bar::for_search(options.programs, options.budget)
    };
    let searched = search::run(&options, &mut |programs, elapsed, finding| {
        bar.show_search(programs, elapsed);
        let Some(finding) = finding else {
            return Ok(());
        };
        bar.aside(|| {
            tolerate(if arguments.json {
                report::write_json_finding(&mut out, finding)
            } else {
                report::write_finding(&mut out, finding)
            })
        })?;
        Ok(())
    });
    bar.finish();
    let outcome = searched?;
    tolerate(if arguments.json {
        report::write_json_end(&mut out, &options, &outcome)
    } else {
        report::write_outcome(&mut out, &outcome)
    })?;
    tolerate(out.flush())?;
    Ok(outcome.exit_code())
}
