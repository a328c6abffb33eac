//! `gc-stress inspect`: its arguments and its exit codes.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use gc_core::PreviousRecord;

use super::tolerate;
use crate::error::Error;
use crate::inspect;

/// The file is no record, or not a whole one.
const EXIT_MALFORMED: u8 = 65;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 printed, whatever the record holds, 64 usage, 65 \
the file cannot be read, is no record or is malformed, 70 internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// The record; the one before it has the same name and ".previous".
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    let record = match PreviousRecord::read(&arguments.file) {
        Ok(record) => record,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(EXIT_MALFORMED);
        }
    };
    let mut out = io::stdout().lock();
    tolerate(if arguments.json {
        inspect::write_json(&mut out, &record)
    } else {
        inspect::write_human(&mut out, &record)
    })?;
    tolerate(out.flush())?;
    Ok(0)
}
