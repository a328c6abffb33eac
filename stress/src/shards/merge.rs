//! Putting the files of shards together: what is missing, what is there twice, and what contradicts itself.
//!
//! Called by the command line. Reads and never writes, so doing it twice says the same twice; files may be
//! given more than once, by whichever names, and a case may stand in several of them. A case with two
//! verdicts is a finding of its own: a case follows from its number, so something in the heap, the lab or
//! the machine does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::file::{self, Entry, Manifest, ShardFile, malformed, unusable};
use crate::campaign::{CaseLine, Options, Reading, Tally, build};
use crate::error::{EXIT_FOUND, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_MISSING, Error};
use crate::hash::content_hash;

/// What one file brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Brought {
    pub(crate) path: PathBuf,
    pub(crate) shard: u64,
    pub(crate) shards: u64,
    pub(crate) cases: usize,
    pub(crate) is_complete: bool,
    pub(crate) is_torn: bool,
}

/// A case with two verdicts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Conflict {
    pub(crate) case: u64,
    /// Where each stands, and what it says that the other does not.
    pub(crate) here: (String, String),
    pub(crate) there: (String, String),
}

/// A campaign from its files.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) options: Options,
    pub(crate) build: String,
    pub(crate) files: Vec<Brought>,
    pub(crate) readings: BTreeMap<u64, Reading>,
    /// Cases that should be there.
    pub(crate) cases: u64,
    /// Those of them that are missing.
    pub(crate) gaps: Vec<u64>,
    /// Cases that stand in several places and say the same, each as often as that.
    pub(crate) duplicates: u64,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) tally: Tally,
}

impl Merged {
    /// Whether every case is there, with one verdict.
    pub(crate) fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.conflicts.is_empty()
    }

    /// What the program ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        if !self.conflicts.is_empty() {
            EXIT_INTERNAL
        } else if !self.gaps.is_empty() {
            EXIT_INTERRUPTED
        } else if !self.tally.breaches().is_empty() {
            EXIT_FOUND
        } else if self.options.blind.is_some() {
            EXIT_MISSING
        } else {
            0
        }
    }

    /// A hash over the verdicts of all cases that are there: the same however the campaign was cut.
    pub(crate) fn digest(&self) -> String {
        let lines = self.readings.values().map(|reading| {
            let line = serde_json::to_string(&CaseLine::of(&reading.case, &reading.verdict));
            line.unwrap_or_default()
        });
        let lines: Vec<String> = lines.collect();
        format!("{:016x}", content_hash(lines.join("\n").as_bytes()))
    }
}

/// Puts the files in some folders, or some files, together.
pub(crate) fn merge(places: &[PathBuf], is_other_build_allowed: bool) -> Result<Merged, Error> {
    let files = files_in(places)?;
    let mut read = Vec::new();
    for path in &files {
        let bytes = fs::read(path).map_err(|error| unusable(path, &error))?;
        read.push(file::read(path, &bytes)?);
    }
    let Some((path, first)) = read
        .iter()
        .find_map(|file| Some((&file.path, file.manifest.as_ref()?)))
    else {
        let place = places.first().map_or(Path::new("."), PathBuf::as_path);
        let problem = "no file of a shard there has its manifest yet";
        return Err(malformed(place, 1, problem));
    };
    refuse_strangers(path, first, &read, is_other_build_allowed)?;
    let options = first
        .options()
        .map_err(|problem| malformed(path, 1, problem))?;
    let expected: BTreeSet<u64> = options
        .selected()
        .into_iter()
        .map(|case| case.index)
        .collect();
    let mut merged = Merged {
        build: first.build.clone(),
        files: Vec::new(),
        readings: BTreeMap::new(),
        cases: expected.len() as u64,
        gaps: Vec::new(),
        duplicates: 0,
        conflicts: Vec::new(),
        tally: Tally::default(),
        options,
    };
    let mut places_of = BTreeMap::new();
    for file in &read {
        merged.take(file, &expected, &mut places_of)?;
    }
    let found = |case: &u64| merged.readings.contains_key(case);
    merged.gaps = expected
        .iter()
        .copied()
        .filter(|case| !found(case))
        .collect();
    for reading in merged.readings.values() {
        merged.tally.add(&reading.case, &reading.verdict);
    }
    Ok(merged)
}

impl Merged {
    fn take(
        &mut self,
        file: &ShardFile,
        expected: &BTreeSet<u64>,
        places: &mut BTreeMap<u64, String>,
    ) -> Result<(), Error> {
        let Some(manifest) = &file.manifest else {
            return Ok(());
        };
        self.files.push(Brought {
            path: file.path.clone(),
            shard: manifest.shard,
            shards: manifest.shards,
            cases: file.entries.len(),
            is_complete: file.is_complete,
            is_torn: file.is_torn,
        });
        for Entry { line, reading } in &file.entries {
            let case = reading.case.index;
            if !expected.contains(&case) {
                let problem = format!("case {case} is not among those that were chosen");
                return Err(malformed(&file.path, *line, problem));
            }
            let place = format!("{}:{line}", file.path.display());
            match self.readings.get(&case) {
                None => {
                    self.readings.insert(case, reading.clone());
                    places.insert(case, place);
                }
                Some(known) if known == reading => self.duplicates += 1,
                Some(known) => {
                    let (mine, theirs) = difference(known, reading);
                    let first = places.get(&case).cloned().unwrap_or_default();
                    self.conflicts.push(Conflict {
                        case,
                        here: (first, mine),
                        there: (place, theirs),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What two readings of a case say that differs, each in its own words.
fn difference(one: &Reading, other: &Reading) -> (String, String) {
    let fields = |reading: &Reading| {
        let line = serde_json::to_value(CaseLine::of(&reading.case, &reading.verdict));
        match line {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        }
    };
    let (one, other) = (fields(one), fields(other));
    let told = |fields: &serde_json::Map<String, serde_json::Value>| {
        let differing = fields
            .iter()
            .filter(|(name, _)| one.get(*name) != other.get(*name));
        let told = differing.map(|(name, value)| format!("{name} {value}"));
        told.collect::<Vec<_>>().join(", ")
    };
    (told(&one), told(&other))
}

/// The files of shards in some places, each once.
fn files_in(places: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    for place in places {
        let mut here = vec![place.clone()];
        if place.is_dir() {
            let entries = fs::read_dir(place).map_err(|error| unusable(place, &error))?;
            let paths = entries.map(|entry| Ok(entry?.path()));
            here = paths
                .collect::<std::io::Result<_>>()
                .map_err(|error| unusable(place, &error))?;
            here.retain(|path| file::is_shard_file(path));
            here.sort();
            if here.is_empty() {
                return Err(Error::Malformed {
                    file: place.display().to_string(),
                    problem: "there is no file of a shard (shard-*.jsonl)".to_string(),
                });
            }
        }
        for path in here {
            let real = fs::canonicalize(&path).map_err(|error| unusable(&path, &error))?;
            if seen.insert(real) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn refuse_strangers(
    path: &Path,
    first: &Manifest,
    read: &[ShardFile],
    is_other_build_allowed: bool,
) -> Result<(), Error> {
    if first.build != build() && !is_other_build_allowed {
        let problem = format!(
            "the file was written by another build, {}, and this is {}; --allow-other-build puts it together \
             all the same",
            first.build,
            build()
        );
        return Err(malformed(path, 1, problem));
    }
    for file in read {
        let differs = file
            .manifest
            .as_ref()
            .and_then(|found| found.other_campaign(first));
        if let Some(differs) = differs {
            let problem = format!(
                "this is of another campaign than {}: {differs}",
                path.display()
            );
            return Err(malformed(&file.path, 1, problem));
        }
    }
    Ok(())
}
