//! The file of a shard: a manifest, a line a case, an end; JSON, one object a line.
//!
//! Written by the one process that runs the shard, a whole line at a time, and read when it goes on and when
//! shards are put together. A last line without its line feed was torn by whatever ended the process: it
//! is no part of the file. Everything else that cannot be understood is refused with its line.
//! `docs/src/CAMPAIGNS.md` describes the format.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gc_core::Check;
use serde::{Deserialize, Serialize};

use super::place::Shard;
use crate::campaign::{Options, Reading, build, read_case};
use crate::error::Error;

/// The version of the format.
const FORMAT: u64 = 1;

/// A file that cannot be read or written.
pub(crate) fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::Malformed {
        file: path.display().to_string(),
        problem: error.to_string(),
    }
}

/// A line that cannot be understood, or not here.
pub(crate) fn malformed(path: &Path, line: usize, problem: impl Into<String>) -> Error {
    Error::Malformed {
        file: format!("{}:{line}", path.display()),
        problem: problem.into(),
    }
}

/// What a shard was told: the first line of its file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    event: String,
    format: u64,
    pub(crate) build: String,
    pub(crate) seed: u64,
    pub(crate) cases_from: u64,
    pub(crate) cases_to: u64,
    pub(crate) shard: u64,
    pub(crate) shards: u64,
    pub(crate) levels: Vec<String>,
    pub(crate) faults: Vec<String>,
    pub(crate) blind: Option<String>,
    pub(crate) deadline_s: u64,
}

/// As much of any line as tells what it is.
#[derive(Deserialize)]
struct Kind {
    event: String,
    format: Option<u64>,
    cases: Option<u64>,
}

impl Manifest {
    pub(crate) fn of(options: &Options, shard: Shard) -> Self {
        Manifest {
            event: "manifest".to_string(),
            format: FORMAT,
            build: build().to_string(),
            seed: options.seed,
            cases_from: options.cases.start,
            cases_to: options.cases.end,
            shard: shard.index,
            shards: shard.count,
            levels: options
                .levels
                .iter()
                .map(|level| level.id().to_string())
                .collect(),
            faults: options.faults.clone(),
            blind: options.blind.map(|check| check.id().to_string()),
            deadline_s: options.deadline.as_secs(),
        }
    }

    /// The first thing in which another manifest is of another campaign: its name, and both values.
    pub(crate) fn other_campaign(&self, other: &Manifest) -> Option<String> {
        let told = |value: &dyn std::fmt::Debug| format!("{value:?}");
        let pairs = [
            ("build", told(&self.build), told(&other.build)),
            ("seed", told(&self.seed), told(&other.seed)),
            (
                "cases",
                told(&(self.cases_from..self.cases_to)),
                told(&(other.cases_from..other.cases_to)),
            ),
            ("levels", told(&self.levels), told(&other.levels)),
            ("faults", told(&self.faults), told(&other.faults)),
            ("blind", told(&self.blind), told(&other.blind)),
            (
                "deadline_s",
                told(&self.deadline_s),
                told(&other.deadline_s),
            ),
        ];
        let mut pairs = pairs.into_iter();
        let (name, mine, theirs) = pairs.find(|(_, mine, theirs)| mine != theirs)?;
        Some(format!("{name} is {mine} here, and {theirs} there"))
    }

    /// The first thing in which another manifest is of another shard or campaign.
    pub(crate) fn other_shard(&self, other: &Manifest) -> Option<String> {
        let pairs = [
            ("shard", self.shard, other.shard),
            ("shards", self.shards, other.shards),
        ];
        let mut pairs = pairs.into_iter();
        let differs = pairs.find(|(_, mine, theirs)| mine != theirs);
        self.other_campaign(other).or_else(|| {
            differs.map(|(name, mine, theirs)| format!("{name} is {mine} here, and {theirs} there"))
        })
    }

    /// The options that lead to this campaign.
    ///
    /// # Errors
    ///
    /// What they name that this build does not know.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let levels = self.levels.iter().map(|level| {
            let level = level.parse();
            level.map_err(|error| format!("levels: {error}"))
        });
        let blind = self.blind.as_ref().map(|id| {
            let check = Check::from_id(id);
            check.ok_or_else(|| format!("blind: `{id}` is no check"))
        });
        let options = Options {
            seed: self.seed,
            cases: self.cases_from..self.cases_to,
            levels: levels.collect::<Result<_, _>>()?,
            faults: self.faults.clone(),
            jobs: 1,
            blind: blind.transpose()?,
            deadline: Duration::from_secs(self.deadline_s),
            program: PathBuf::new(),
            is_apart: true,
        };
        match options.unknown_fault() {
            Some(name) => Err(format!("faults: `{name}` is no fault")),
            None => Ok(options),
        }
    }

    fn shard(&self) -> Result<Shard, String> {
        format!("{}/{}", self.shard, self.shards).parse()
    }
}

/// A case with the line it stands on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) line: usize,
    pub(crate) reading: Reading,
}

/// A file that was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ShardFile {
    pub(crate) path: PathBuf,
    /// None as long as not even the first line is whole.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) entries: Vec<Entry>,
    /// The last line says that every case is there.
    pub(crate) is_complete: bool,
    /// Bytes of whole lines.
    pub(crate) bytes_whole: u64,
    /// Whether something stands behind them.
    pub(crate) is_torn: bool,
}

/// Where the file of a shard stands.
pub(crate) fn path_of(folder: &Path, shard: Shard) -> PathBuf {
    folder.join(format!(
        "shard-{:04}-of-{:04}.jsonl",
        shard.index, shard.count
    ))
}

/// Whether a file is one of a shard, by its name.
pub(crate) fn is_shard_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("shard-") && name.ends_with(".jsonl")
}

/// Reads a file from its bytes.
///
/// # Errors
///
/// The first line that cannot be understood.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<ShardFile, Error> {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let mut file = ShardFile {
        path: path.to_path_buf(),
        manifest: None,
        entries: Vec::new(),
        is_complete: false,
        bytes_whole: whole as u64,
        is_torn: whole < bytes.len(),
    };
    for (at, line) in bytes[..whole]
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
    {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string());
        let added = text.and_then(|text| file.add(at + 1, text.trim_end_matches('\n')));
        added.map_err(|problem| malformed(path, at + 1, problem))?;
    }
    Ok(file)
}

impl ShardFile {
    fn add(&mut self, number: usize, line: &str) -> Result<(), String> {
        let kind: Kind = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Some(manifest) = &self.manifest else {
            return self.begin(&kind, line);
        };
        if self.is_complete {
            return Err("there is a line behind the end".to_string());
        }
        if kind.event == "end" {
            let cases = self.entries.len() as u64;
            if kind.cases != Some(cases) {
                return Err(format!(
                    "the end speaks of {} cases, and {cases} are there",
                    kind.cases
                        .map_or("no".to_string(), |cases| cases.to_string())
                ));
            }
            self.is_complete = true;
            return Ok(());
        }
        let reading = read_case(manifest.seed, line)?;
        let index = reading.case.index;
        let is_among = (manifest.cases_from..manifest.cases_to).contains(&index);
        if !is_among || !manifest.shard()?.has(index) {
            return Err(format!("case {index} does not belong to this shard"));
        }
        self.entries.push(Entry {
            line: number,
            reading,
        });
        Ok(())
    }

    fn begin(&mut self, kind: &Kind, line: &str) -> Result<(), String> {
        if kind.event != "manifest" {
            return Err(format!("a manifest is expected here, not `{}`", kind.event));
        }
        if kind.format != Some(FORMAT) {
            return Err(format!(
                "the format is {}, and this build reads {FORMAT}",
                kind.format
                    .map_or("missing".to_string(), |found| found.to_string())
            ));
        }
        let manifest: Manifest = serde_json::from_str(line).map_err(|error| error.to_string())?;
        manifest.shard()?;
        self.manifest = Some(manifest);
        Ok(())
    }
}
