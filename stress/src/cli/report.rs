//! `gc-stress report`: arguments, and exit codes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{merge, tolerate};
use crate::error::Error;
use crate::progress::Bar;
use crate::report;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 written, whatever it shows (`gc-stress merge` judges); 64 \
usage; 65 a file is missing, malformed, of another campaign or by another build, or there is nothing to show; 70 \
internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// Folders with files of shards (shard-*.jsonl) and traces (*.gctrace), or the files.
    #[arg(value_name = "DIR", required = true)]
    places: Vec<PathBuf>,
    /// Where the page goes, whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Shrink each trace that is too long for a story, for so many seconds at most.
    #[arg(long, value_name = "SECS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3600))]
    shrink: u64,
    /// Read what another build wrote all the same.
    #[arg(long)]
    allow_other_build: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let options = report::Options {
        places: arguments.places.clone(),
        is_other_build_allowed: arguments.allow_other_build,
        shrink_for: Duration::from_secs(arguments.shrink),
    };
    let bar = Bar::for_traces();
    let page = report::page(&options, &mut |done, traces| {
        bar.show_traces(done as u64, traces as u64);
    });
    bar.finish();
    let page = page?;
    let text = report::text(&page)?;
    merge::replace(&arguments.out, text.as_bytes())?;
    tolerate(writeln!(
        io::stdout(),
        "{}: {} bytes, {} findings to open. {}",
        arguments.out.display(),
        text.len(),
        page.findings.len(),
        page.verdict
    ))?;
    Ok(0)
}
