//! `gc-stress list`, and `gc-stress run` for the scenarios of the zoo.

use std::io::{self, Write};
use std::path::Path;

use clap::Args;

use super::tolerate;
use crate::error::Error;
use crate::progress::Bar;
use crate::zoo::{self, Request, Scenario};

#[derive(Args)]
pub(super) struct ListArguments {
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Carry everything out, shrink it, and write the page `docs/src/ZOO.md`.
    #[arg(long)]
    markdown: bool,
}

/// Lists the scenarios.
pub(super) fn list(arguments: &ListArguments) -> Result<u8, Error> {
    let mut out = io::stdout().lock();
    if arguments.markdown {
        let bar = Bar::for_scenarios(zoo::all().count() as u64);
        let mut page = Vec::new();
        zoo::write_book(&mut page, &mut |name| bar.show_scenario(name))?;
        bar.finish();
        tolerate(out.write_all(&page))?;
    } else if arguments.json {
        tolerate(zoo::write_list_json(&mut out))?;
    } else {
        tolerate(zoo::write_list(&mut out))?;
    }
    tolerate(out.flush())?;
    Ok(0)
}

/// Runs a scenario, and writes its program down if that is wanted.
pub(super) fn run(
    scenario: &Scenario,
    request: &Request,
    record: Option<&Path>,
    is_json: bool,
) -> Result<u8, Error> {
    let seen = zoo::run(scenario, request)?;
    if let Some(path) = record {
        seen.trace.write(path)?;
    }
    let mut out = io::stdout().lock();
    tolerate(if is_json {
        zoo::write_json(&mut out, scenario, request, &seen)
    } else {
        zoo::write_human(&mut out, scenario, request, &seen)
    })?;
    tolerate(out.flush())?;
    Ok(seen.verdict(scenario, request).exit_code())
}
