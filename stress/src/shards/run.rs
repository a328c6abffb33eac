//! Running a shard, from wherever its file ends.
//!
//! Called by the command line, which listens to signals. Lines are written as cases end, each in one piece,
//! so that whatever happens to the process costs the cases in flight at most. One process at a time writes a
//! file: it holds a lock on it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::file::{self, Entry, Manifest, ShardFile, malformed, unusable};
use super::place::Shard;
use crate::campaign::{self, Case, Options, Tally, report};
use crate::error::Error;
use crate::json::write_line;

/// How far a shard is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Progress {
    /// Cases of the shard, and those that are done.
    pub(crate) cases: u64,
    pub(crate) done: u64,
    /// Of these, those that an earlier process did.
    pub(crate) before: u64,
    /// Cases whose fault a check found, and cases that broke a promise.
    pub(crate) found: u64,
    pub(crate) broken: u64,
}

/// How a shard ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    pub(crate) path: PathBuf,
    pub(crate) progress: Progress,
    pub(crate) is_complete: bool,
}

/// A file that this process alone may write.
struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    fn open(path: &Path) -> Result<(Self, Vec<u8>), Error> {
        let io = |error: io::Error| unusable(path, &error);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::Busy {
                    file: path.display().to_string(),
                });
            }
            Err(error) => return Err(io(error.into())),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let path = path.to_path_buf();
        Ok((Writer { file, path }, bytes))
    }

    fn told<T>(&self, result: io::Result<T>) -> Result<T, Error> {
        result.map_err(|error| unusable(&self.path, &error))
    }

    /// Forgets what stands behind so many bytes.
    fn cut(&self, bytes: u64) -> Result<(), Error> {
        self.told(self.file.set_len(bytes))
    }

    /// Writes lines in one piece.
    fn write(&mut self, lines: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let written = lines(&mut bytes).and_then(|()| self.file.write_all(&bytes));
        self.told(written)
    }

    fn sync(&self) -> Result<(), Error> {
        self.told(self.file.sync_all())
    }
}

/// Runs what is missing of a shard. When `stop` is set, the cases in flight are finished and the rest is
/// left for another time. With `is_fresh` what is there is thrown away first.
pub(crate) fn run(
    options: &Options,
    shard: Shard,
    folder: &Path,
    is_fresh: bool,
    stop: &AtomicBool,
    show: &mut dyn FnMut(Progress),
) -> Result<Ending, Error> {
    let path = file::path_of(folder, shard);
    fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
    let (mut writer, bytes) = Writer::open(&path)?;
    let bytes = if is_fresh { Vec::new() } else { bytes };
    let there = file::read(&path, &bytes)?;
    let manifest = Manifest::of(options, shard);
    refuse_other(&there, &manifest)?;
    writer.cut(there.bytes_whole)?;
    let mut cases = options.selected();
    cases.retain(|case| shard.has(case.index));
    let (mut tally, mut progress) = (Tally::default(), Progress::default());
    progress.cases = cases.len() as u64;
    let mut done = BTreeSet::new();
    for Entry { reading, .. } in &there.entries {
        if done.insert(reading.case.index) {
            tally.add(&reading.case, &reading.verdict);
            progress.add(&reading.verdict);
        }
    }
    progress.before = progress.done;
    let missing: Vec<Case> = cases
        .into_iter()
        .filter(|case| !done.contains(&case.index))
        .collect();
    if !there.is_complete {
        if there.manifest.is_none() {
            writer.write(|line| write_line(line, &manifest))?;
        }
        show(progress);
        campaign::run_cases(options, &missing, stop, &mut |at, verdict| {
            writer.write(|line| report::write_case(line, &missing[at], &verdict))?;
            tally.add(&missing[at], &verdict);
            progress.add(&verdict);
            show(progress);
            Ok(())
        })?;
        if progress.done == progress.cases {
            writer.write(|line| report::write_end(line, options, &tally))?;
        }
        writer.sync()?;
    }
    Ok(Ending {
        path,
        progress,
        is_complete: progress.done == progress.cases,
    })
}

impl Progress {
    fn add(&mut self, verdict: &campaign::Verdict) {
        self.done += 1;
        self.found += u64::from(verdict.is_found);
        self.broken += u64::from(verdict.breach.is_some());
    }
}

fn refuse_other(there: &ShardFile, manifest: &Manifest) -> Result<(), Error> {
    let differs = there
        .manifest
        .as_ref()
        .and_then(|found| found.other_shard(manifest));
    match differs {
        None => Ok(()),
        Some(differs) => Err(malformed(
            &there.path,
            1,
            format!(
                "the file is of another run, so this one cannot go on with it: {differs}; --fresh throws it \
                 away"
            ),
        )),
    }
}
