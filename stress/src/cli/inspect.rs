//! `gc-stress inspect`: its arguments and its exit codes.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use gc_core::PreviousRecord;

use super::tolerate;
use crate::error::{EXIT_USAGE, Error};
use crate::inspect;
use crate::snapshot::{self, Snapshot, Told};

/// The file is neither a record nor a snapshot, or not a whole one.
const EXIT_MALFORMED: u8 = 65;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 printed, whatever the file holds, 64 usage, or no object \
has that id, 65 the file cannot be read, is neither a record nor a heap snapshot, or is malformed, 70 \
internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// The record of violations (the one before it has the same name and ".previous"), or a
    /// .heapsnapshot.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
    /// Of a snapshot: why the object with this id is alive, and what dominates it.
    #[arg(long, value_name = "ID")]
    path: Option<u64>,
    /// Of a snapshot: what has changed since it, in this later one.
    #[arg(long, value_name = "OTHER", conflicts_with = "path")]
    diff: Option<PathBuf>,
    /// Of a snapshot: types and objects to list.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    if is_snapshot(&arguments.file) {
        return inspect_snapshot(arguments);
    }
    if arguments.path.is_some() || arguments.diff.is_some() {
        eprintln!(
            "error: {}: --path and --diff are for heap snapshots",
            arguments.file.display()
        );
        return Ok(EXIT_USAGE);
    }
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

/// Whether the file begins as JSON does, which no record does.
fn is_snapshot(path: &Path) -> bool {
    let mut first = [0];
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    read.is_ok_and(|bytes| bytes == 1 && first == *b"{")
}

fn inspect_snapshot(arguments: &Arguments) -> Result<u8, Error> {
    let first = match read(&arguments.file) {
        Ok(snapshot) => snapshot,
        Err(code) => return Ok(code),
    };
    let later = match arguments.diff.as_deref().map(read).transpose() {
        Ok(later) => later,
        Err(code) => return Ok(code),
    };
    let path_to = arguments.path.map(|id| (id, first.node_of(id)));
    if let Some((id, None)) = path_to {
        eprintln!(
            "error: {}: no object has the id {id}",
            arguments.file.display()
        );
        return Ok(EXIT_USAGE);
    }
    let told = Told {
        snapshot: later.as_ref().unwrap_or(&first),
        top: arguments.top,
        path_to: path_to.and_then(|(_, node)| node),
        since: later.as_ref().map(|_| &first),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    tolerate(if arguments.json {
        snapshot::write_json(&mut out, &told)
    } else {
        snapshot::write_human(&mut out, &told)
    })?;
    tolerate(out.flush())?;
    Ok(0)
}

/// Reads a snapshot, or says what is wrong and gives the exit code.
fn read(path: &Path) -> Result<Snapshot, u8> {
    let say = |error: &dyn Display| {
        eprintln!("error: heap snapshot {}: {error}", path.display());
        EXIT_MALFORMED
    };
    snapshot::read(path).map_err(|error| say(&error))
}
