//! `gc-stress merge`: arguments, and exit codes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::tolerate;
use crate::error::Error;
use crate::shards;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 whole, and every promise was kept; 10 whole, and a \
promise was broken (of a campaign with --blind: as it must be); 11 whole, of a campaign with --blind, and no \
promise was broken; 64 usage; 65 a file is missing, malformed, of another campaign or by another build; 70 a \
case has two verdicts, or an internal error; 75 cases are missing: run their shards again.";

/// How it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// A table for a terminal.
    Text,
    /// A page.
    Markdown,
    /// JSON lines: what was put together, then what an uncut campaign writes.
    Json,
    /// A test report for build servers: a test a case.
    Junit,
}

#[derive(Args)]
pub(super) struct Arguments {
    /// Folders with files of shards, or the files.
    #[arg(value_name = "DIR", required = true)]
    places: Vec<PathBuf>,
    /// How it is told.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Write to this file instead of standard output, whole or not at all.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Put files of another build together all the same.
    #[arg(long)]
    allow_other_build: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let merged = shards::merge(&arguments.places, arguments.allow_other_build)?;
    let mut told = Vec::new();
    match arguments.format {
        Format::Text => shards::write_text(&mut told, &merged),
        Format::Markdown => shards::write_markdown(&mut told, &merged),
        Format::Json => shards::write_json(&mut told, &merged),
        Format::Junit => shards::write_junit(&mut told, &merged),
    }?;
    match &arguments.out {
        Some(path) => replace(path, &told)?,
        None => tolerate(io::stdout().lock().write_all(&told))?,
    }
    Ok(merged.exit_code())
}

/// Writes a file, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_os_string();
    unfinished.push(".unfinished");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}
