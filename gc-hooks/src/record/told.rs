//! What a record says, for programs and for people.
//!
//! Owns the types that a reader fills and their text. Plain data in memory of its own, good after the
//! file is gone. Invariant: a violation reads as it would have been printed by its own process, but for
//! texts that were too long for their fields. Deliberately absent: bytes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::Section;
use super::utc::Utc;
use crate::check::Check;
use crate::terms::{Address, Origin};

/// What stands in the place of an entry.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Entry {
    /// Nothing was ever written there.
    Never,
    /// Whole.
    Whole(Box<RecordedViolation>),
    /// The violation of that number was being written when the process ended, or still is.
    Begun(u64),
    /// What stands there was not written by a heap.
    Damaged,
}

/// A place in the embedder's source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallSite {
    /// The file; the end of its path where that was too long.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for CallSite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A violation as it was written down: the terms are those of the version that wrote it.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordedViolation {
    /// Its place among the violations of its heap, counted from 1.
    pub sequence: u64,
    /// When it was recorded, by the clock of its machine.
    pub recorded: SystemTime,
    /// Identifier of the check.
    pub check: String,
    /// What the check said in its first line.
    pub message: String,
    /// What set it apart from others of its check; empty when the message said all.
    pub reason: String,
    /// The cycle it failed in.
    pub cycle: u32,
    /// The phase it failed in.
    pub phase: String,
    /// What it meant for live data.
    pub severity: String,
    /// The address in question.
    pub address: Option<Address>,
    /// First page of the span in question.
    pub span: Option<u32>,
    /// Slot within the span.
    pub slot: Option<u32>,
    /// Type of the objects in the span.
    pub type_name: Option<String>,
    /// Who asked for the mark.
    pub origin: String,
    /// Offset of the object whose scan led there.
    pub holder: Option<u64>,
    /// Type and field of the holder that led there.
    pub field: Option<String>,
    /// The store whose barrier led there.
    pub call_site: Option<CallSite>,
    /// How many cycles before the slot or the span had been freed.
    pub stale_cycles: Option<u32>,
    /// Figures of the check, by name.
    pub numbers: Vec<(String, u64)>,
}

impl RecordedViolation {
    /// The check, if this version has one of that name.
    #[must_use]
    pub fn known_check(&self) -> Option<Check> {
        Check::from_id(&self.check)
    }

    /// The line people search for.
    #[must_use]
    pub fn first_line(&self) -> String {
        if self.reason.is_empty() {
            self.message.clone()
        } else {
            format!("{} ({})", self.message, self.reason)
        }
    }
}

/// As a [`Violation`](crate::Violation) prints: the first line, then an indented `key: value` line for
/// each thing that is known. No line end after the last.
impl fmt::Display for RecordedViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.first_line())?;
        let mut line = |key: &str, value: Option<&dyn fmt::Display>| match value {
            Some(value) => write!(formatter, "\n  {key}: {value}"),
            None => Ok(()),
        };
        fn some<T: fmt::Display>(value: &Option<T>) -> Option<&dyn fmt::Display> {
            value.as_ref().map(|value| value as &dyn fmt::Display)
        }
        line("check", Some(&self.check))?;
        line("sequence", Some(&self.sequence))?;
        line("cycle", Some(&self.cycle))?;
        line("phase", Some(&self.phase))?;
        line("severity", Some(&self.severity))?;
        line("address", some(&self.address))?;
        line("span", some(&self.span))?;
        line("slot", some(&self.slot))?;
        line("type", some(&self.type_name))?;
        let is_known = self.origin != Origin::Unknown.id();
        line("origin", is_known.then_some(&self.origin as _))?;
        line("holder", some(&self.holder.map(Address::Offset)))?;
        line("field", some(&self.field))?;
        line("call site", some(&self.call_site))?;
        line("freed cycles ago", some(&self.stale_cycles))?;
        for (label, value) in &self.numbers {
            line(label, Some(value))?;
        }
        Ok(())
    }
}

/// What a heap wrote down before it ended, or has written down so far.
#[derive(Clone, PartialEq, Debug)]
pub struct PreviousRecord {
    pub(super) path: PathBuf,
    pub(super) process: u32,
    pub(super) started: SystemTime,
    pub(super) heap: String,
    pub(super) version: String,
    pub(super) closed: Option<SystemTime>,
    pub(super) unhealthy_since: Option<SystemTime>,
    pub(super) total: u64,
    pub(super) suppressed: u64,
    pub(super) unkept: u64,
    pub(super) counts: Vec<(String, u64)>,
    pub(super) first: Option<RecordedViolation>,
    pub(super) recent: Vec<RecordedViolation>,
    pub(super) unfinished: Vec<u64>,
    pub(super) damaged: Vec<Section>,
}

impl PreviousRecord {
    /// The file it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the process that wrote it.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }

    /// When its heap started, by the clock of its machine.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// The name of its heap.
    #[must_use]
    pub fn heap(&self) -> &str {
        &self.heap
    }

    /// The version of the library that wrote it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// When its heap ended in order. Without it the process died, or still runs.
    #[must_use]
    pub fn closed(&self) -> Option<SystemTime> {
        self.closed
    }

    /// When health turned, if it did.
    #[must_use]
    pub fn unhealthy_since(&self) -> Option<SystemTime> {
        self.unhealthy_since
    }

    /// Violations of all checks.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Violations that were recorded but not handed on, as of the last violation or the end.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Violations that were counted and whose details found no room.
    #[must_use]
    pub fn unkept(&self) -> u64 {
        self.unkept
    }

    /// Violations by identifier of their check; those that never failed are left out.
    #[must_use]
    pub fn counts(&self) -> &[(String, u64)] {
        &self.counts
    }

    /// Violations of one check.
    #[must_use]
    pub fn count(&self, check: Check) -> u64 {
        let mut counts = self.counts.iter();
        counts
            .find(|(id, _)| id == check.id())
            .map_or(0, |(_, count)| *count)
    }

    /// The first violation of all, if it was written whole.
    #[must_use]
    pub fn first(&self) -> Option<&RecordedViolation> {
        self.first.as_ref()
    }

    /// The newest violation that was written whole.
    #[must_use]
    pub fn last(&self) -> Option<&RecordedViolation> {
        self.recent.last()
    }

    /// The last violations that were written whole, 64 at most, the newest at the end.
    #[must_use]
    pub fn recent(&self) -> &[RecordedViolation] {
        &self.recent
    }

    /// Numbers of the violations that were being written when the process ended.
    #[must_use]
    pub fn unfinished(&self) -> &[u64] {
        &self.unfinished
    }

    /// Parts whose checksums are wrong: the file was written to by something else, or the machine went
    /// down.
    #[must_use]
    pub fn damaged(&self) -> &[Section] {
        &self.damaged
    }

    /// The record without details of violations but the newest `violations`: what a log has room for.
    #[must_use]
    pub fn tail(&self, violations: usize) -> Tail<'_> {
        Tail {
            record: self,
            violations,
        }
    }

    fn write_summary(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (heap, process) = (&self.heap, self.process);
        let version = &self.version;
        write!(
            formatter,
            "violation record of heap \"{heap}\" in process {process}, softfail {version}"
        )?;
        write!(formatter, "\n  started: {}", Utc(self.started))?;
        match self.closed {
            Some(closed) => write!(formatter, "\n  ended: in order, {}", Utc(closed))?,
            None => write!(formatter, "\n  ended: not in order, or still running")?,
        }
        match self.unhealthy_since {
            Some(since) => write!(formatter, "\n  health: unhealthy since {}", Utc(since))?,
            None => write!(formatter, "\n  health: healthy")?,
        }
        write!(formatter, "\n  violations: {}", self.total)?;
        for (check, count) in &self.counts {
            write!(formatter, "\n    {check}: {count}")?;
        }
        if self.suppressed > 0 {
            write!(formatter, "\n  not handed on: {}", self.suppressed)?;
        }
        if self.unkept > 0 {
            write!(formatter, "\n  counted without details: {}", self.unkept)?;
        }
        for sequence in &self.unfinished {
            write!(
                formatter,
                "\n  being written at the end: violation {sequence}"
            )?;
        }
        for section in &self.damaged {
            write!(formatter, "\n  damaged: {section}")?;
        }
        Ok(())
    }
}

/// Prints as the summary, the first violation and the newest ones. Made by [`PreviousRecord::tail`].
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    record: &'a PreviousRecord,
    violations: usize,
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        record.write_summary(formatter)?;
        let mut told = |which: &str, violation: &RecordedViolation| {
            let when = Utc(violation.recorded);
            write!(formatter, "\n\n{which}, recorded {when}\n{violation}")
        };
        if let Some(first) = &record.first {
            told("first violation", first)?;
        }
        let first = record.first.as_ref().map(|first| first.sequence);
        let newest = record.recent.len().saturating_sub(self.violations);
        for violation in &record.recent[newest..] {
            if Some(violation.sequence) != first {
                told(&format!("violation {}", violation.sequence), violation)?;
            }
        }
        Ok(())
    }
}

/// All of it. No line end after the last line.
impl fmt::Display for PreviousRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tail(usize::MAX).fmt(formatter)
    }
}
