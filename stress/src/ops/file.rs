//! The file of a program: a header, the operations, what was reported of each, and a checksum.
//!
//! Text, one thing a line; `docs/src/TRACES.md` describes it. A file is taken whole or refused: one that was
//! cut off, changed, or written in another version of the format says so. Whether another build wrote it
//! is looked at by who replays it. Deliberately absent: times and addresses, which differ from run to run.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use gc_core::Check;
use thiserror::Error;

use super::read;
use super::regime::Regime;
use super::text::Line;
use super::{Expected, Kind, Op, Program};
use crate::hash::content_hash;

/// What a file begins with; the number is the version of the format.
const MAGIC: &str = "softfail-trace";
const VERSION: u32 = 1;
/// Words of the largest kind.
const WORDS_MAX: u32 = 4096;

/// Why a file is no trace that can be replayed.
#[derive(Debug, Error)]
pub enum TraceError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// It does not begin as a trace does.
    #[error("this is no trace: the first line is not `{MAGIC} {VERSION}`")]
    Foreign,
    /// Another version of the format.
    #[error("the trace has format version {found}; this build reads version {VERSION}")]
    Version {
        /// The version that it has.
        found: String,
    },
    /// The last line is missing.
    #[error("the trace is truncated: the line `end` with its checksum is missing")]
    Truncated,
    /// The checksum is another one.
    #[error("the trace is corrupt: its checksum is {found}, and {computed} was computed")]
    Corrupt {
        /// As the file says.
        found: String,
        /// As it is.
        computed: String,
    },
    /// A line cannot be read.
    #[error("line {line} of the trace: {problem}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Another build wrote it.
    #[error(
        "the trace was written by another build, where the same operations may do other things: by {found}, \
         and this is {this}; --allow-other-build replays it all the same"
    )]
    OtherBuild {
        /// The build that wrote it.
        found: String,
        /// This build.
        this: String,
    },
}

/// What a trace was recorded under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The build that wrote it.
    pub build: String,
    /// The scenario.
    pub scenario: String,
    /// Where its decisions came from.
    pub seed: u64,
    /// What follows from a violation, as text.
    pub policy: String,
    /// How hard the heap looks, as text.
    pub checks: String,
    /// Logical mutators that took turns.
    pub threads: usize,
    /// Driver, limits and nursery of the heap.
    pub regime: Regime,
}

/// A program with what was reported of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// What it was recorded under.
    pub header: Header,
    /// What was done.
    pub program: Program,
    /// What was reported, in the order of the operations.
    pub expected: Vec<Expected>,
    /// Live objects that were lost, for all that was reported.
    pub lost: u64,
}

pub(super) fn checksum(body: &str) -> String {
    format!("{:016x}", content_hash(body.as_bytes()))
}

impl Trace {
    /// The text of the file.
    pub fn to_text(&self) -> String {
        let header = &self.header;
        let mut text = format!(
            "{MAGIC} {VERSION}\nbuild {}\nscenario {}\nseed {}\npolicy {}\nchecks {}\nthreads {}\n{}",
            header.build,
            header.scenario,
            header.seed,
            header.policy,
            header.checks,
            header.threads,
            header.regime,
        );
        for kind in &self.program.kinds {
            let pointers: Vec<String> = kind.pointers.iter().map(u32::to_string).collect();
            let pointers = if pointers.is_empty() {
                "-".to_string()
            } else {
                pointers.join(",")
            };
            // Writing into a string does not fail.
            let _ = writeln!(text, "kind {} {} {pointers}", kind.name, kind.words);
        }
        let _ = writeln!(text, "lost {}\nops {}", self.lost, self.program.ops.len());
        let mut expected = self.expected.iter().peekable();
        for (at, op) in self.program.ops.iter().enumerate() {
            let _ = writeln!(text, "{}", Line(op, &self.program.kinds));
            while let Some(met) = expected.next_if(|met| met.op == at) {
                let _ = writeln!(text, "! {} {}", met.check, met.count);
            }
        }
        let checksum = checksum(&text);
        let _ = writeln!(text, "end {checksum}");
        text
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// It is not a whole trace of this version.
    pub fn from_text(text: &str) -> Result<Self, TraceError> {
        let first = text.lines().next().unwrap_or_default();
        match first.split_once(' ') {
            Some((MAGIC, found)) if found != VERSION.to_string() => {
                return Err(TraceError::Version {
                    found: found.to_string(),
                });
            }
            Some((MAGIC, _)) => {}
            _ => return Err(TraceError::Foreign),
        }
        let whole = text.strip_suffix('\n').ok_or(TraceError::Truncated)?;
        let last = whole.rfind('\n').map_or(0, |at| at + 1);
        let found = whole[last..]
            .strip_prefix("end ")
            .ok_or(TraceError::Truncated)?;
        let computed = checksum(&text[..last]);
        if found != computed {
            return Err(TraceError::Corrupt {
                found: found.to_string(),
                computed,
            });
        }
        Reader::new(&text[..last]).read()
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As for [`Trace::from_text`]; also when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let text = std::fs::read(path).map_err(|error| io_error(path, error))?;
        let text = String::from_utf8(text).map_err(|_| TraceError::Foreign)?;
        Trace::from_text(&text)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TraceError> {
        let mut unfinished = path.as_os_str().to_os_string();
        unfinished.push(".unfinished");
        std::fs::write(&unfinished, self.to_text())
            .and_then(|()| std::fs::rename(&unfinished, path))
            .map_err(|error| io_error(path, error))
    }
}

/// An operation as text.
pub fn op_text(op: &Op, kinds: &[Kind]) -> String {
    Line(op, kinds).to_string()
}

fn io_error(path: &Path, error: io::Error) -> TraceError {
    TraceError::Io {
        path: path.display().to_string(),
        error,
    }
}

/// Reads a file whose checksum is right.
struct Reader<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    line: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut lines = text.lines().enumerate();
        // The first line was looked at.
        let _ = lines.next();
        Reader { lines, line: 1 }
    }

    fn malformed(&self, problem: impl Into<String>) -> TraceError {
        TraceError::Malformed {
            line: self.line,
            problem: problem.into(),
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        let (at, line) = self.lines.next()?;
        self.line = at + 1;
        Some(line)
    }

    /// The value of the next line, which must be of that key.
    fn value(&mut self, key: &str) -> Result<&'a str, TraceError> {
        let line = self.next().unwrap_or_default();
        match line.split_once(' ') {
            Some((found, value)) if found == key => Ok(value),
            _ => Err(self.malformed(format!("`{key}` and its value are expected here"))),
        }
    }

    fn number<N: std::str::FromStr>(&self, text: &str) -> Result<N, TraceError> {
        text.parse()
            .map_err(|_| self.malformed(format!("`{text}` is no number, or too large")))
    }

    fn read(mut self) -> Result<Trace, TraceError> {
        let build = self.value("build")?.to_string();
        let scenario = self.value("scenario")?.to_string();
        let seed = self.value("seed")?;
        let seed = self.number(seed)?;
        let policy = self.value("policy")?.to_string();
        let checks = self.value("checks")?.to_string();
        let threads = self.value("threads")?;
        let mut header = Header {
            build,
            scenario,
            seed,
            policy,
            checks,
            threads: self.number(threads)?,
            regime: Regime::default(),
        };
        let mut program = Program::default();
        let lost = self.settings(&mut header.regime, &mut program.kinds)?;
        let ops = self.value("ops")?;
        let ops: usize = self.number(ops)?;
        let expected = self.ops(&mut program)?;
        if program.ops.len() != ops {
            let found = program.ops.len();
            return Err(self.malformed(format!(
                "{ops} operations were announced, {found} are there"
            )));
        }
        Ok(Trace {
            header,
            program,
            expected,
            lost,
        })
    }

    /// The lines that may be missing, up to the one that says what was lost: driver and limits, and then kinds.
    fn settings(&mut self, regime: &mut Regime, kinds: &mut Vec<Kind>) -> Result<u64, TraceError> {
        let mut keys: Vec<&str> = Vec::new();
        loop {
            let line = self.next().unwrap_or_default();
            let (key, value) = line.split_once(' ').unwrap_or_default();
            match key {
                "kind" => kinds.push(self.kind(value)?),
                "lost" => return self.number(value),
                _ if kinds.is_empty() && !keys.contains(&key) => {
                    let taken = regime.take(key, value).unwrap_or_else(|| {
                        Err(
                            "`driver`, `limit`, `soft-limit`, `nursery`, `kind` or `lost` is expected here"
                                .into(),
                        )
                    });
                    let checked = taken.and_then(|()| regime.check());
                    checked.map_err(|problem| self.malformed(problem))?;
                    keys.push(key);
                }
                _ => return Err(self.malformed("`kind` or `lost` is expected here")),
            }
        }
    }

    fn kind(&self, text: &str) -> Result<Kind, TraceError> {
        let mut words = text.split(' ');
        let (Some(name), Some(size), Some(pointers), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(self.malformed("a kind has a name, its words and its pointer words"));
        };
        let pointers = match pointers {
            "-" => Vec::new(),
            list => list
                .split(',')
                .map(|word| self.number(word))
                .collect::<Result<_, _>>()?,
        };
        let kind = Kind {
            name: name.to_string(),
            words: self.number(size)?,
            pointers,
        };
        let is_ordered = kind.pointers.windows(2).all(|pair| pair[0] < pair[1]);
        let is_inside = kind
            .pointers
            .iter()
            .all(|word| (1..kind.words).contains(word));
        if !(1..=WORDS_MAX).contains(&kind.words) || !is_ordered || !is_inside {
            return Err(
                self.malformed("a kind has 1 to 4096 words, and its pointer words ascend from 1")
            );
        }
        Ok(kind)
    }

    fn ops(&mut self, program: &mut Program) -> Result<Vec<Expected>, TraceError> {
        let mut expected = Vec::new();
        while let Some(line) = self.next() {
            if let Some(met) = line.strip_prefix("! ") {
                expected.push(self.expected(met, program.ops.len())?);
                continue;
            }
            let op = read::read(line, &program.kinds);
            program
                .ops
                .push(op.map_err(|problem| self.malformed(problem))?);
        }
        Ok(expected)
    }

    fn expected(&self, text: &str, ops: usize) -> Result<Expected, TraceError> {
        let (check, count) = text.split_once(' ').unwrap_or((text, "1"));
        let check = Check::from_id(check);
        match (check, ops.checked_sub(1)) {
            (Some(check), Some(op)) => Ok(Expected {
                op,
                check,
                count: self.number(count)?,
            }),
            _ => Err(self.malformed("a check and its count are expected after an operation")),
        }
    }
}
