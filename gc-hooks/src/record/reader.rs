//! What a record says, taken from its bytes.
//!
//! Called by whoever reads a file: at the next start, in the monitor, in the inspector; also while the
//! heap that writes it lives. Works on a copy of the bytes and trusts nothing in it. Invariants: a
//! violation is given only when its entry is whole and its checksum right; an entry that was begun and
//! not finished is told apart from one that was damaged; whatever the header promises is checked before
//! it is used. Deliberately absent: files, and how it is told.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::{RecordError, Section};
use super::layout::entry::{self, has};
use super::layout::{
    COUNTERS, FILE_BYTES, FIRST_AT, MAGIC, SCHEMA, SLOTS, WINDOW, WORD_BYTES, checksum, end_mark,
    header, slot_at, summary, text, word,
};
use super::told::{CallSite, Entry, PreviousRecord, RecordedViolation};
use crate::terms::Address;

/// Whether a file that begins with these bytes is a record, of whatever schema.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    word(bytes, header::MAGIC) == MAGIC
}

/// The number of the process that wrote a record, and when it started in ticks of the machine.
pub(super) fn writer_of(bytes: &[u8]) -> (u64, u64) {
    (
        word(bytes, header::PROCESS),
        word(bytes, header::PROCESS_TICKS),
    )
}

/// Reads a record.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<PreviousRecord, RecordError> {
    let checks = check_header(path, bytes)?;
    let mut record = PreviousRecord {
        path: path.to_path_buf(),
        process: u32::try_from(word(bytes, header::PROCESS)).unwrap_or(0),
        started: time(word(bytes, header::STARTED_MS)),
        heap: text(bytes, header::HEAP),
        version: text(bytes, header::VERSION),
        closed: some_time(word(bytes, summary::CLOSED_MS)),
        unhealthy_since: some_time(word(bytes, summary::UNHEALTHY_MS)),
        total: word(bytes, summary::TOTAL),
        suppressed: word(bytes, summary::SUPPRESSED),
        unkept: word(bytes, summary::UNKEPT),
        counts: (0..checks)
            .map(|index| {
                let count = word(bytes, summary::count(index));
                (text(bytes, header::check_id(index)), count)
            })
            .filter(|(_, count)| *count > 0)
            .collect(),
        first: None,
        recent: Vec::new(),
        unfinished: Vec::new(),
        damaged: Vec::new(),
    };
    match entry_at(bytes, FIRST_AT) {
        Entry::Whole(first) => record.first = Some(*first),
        Entry::Never => {}
        Entry::Begun(sequence) => record.unfinished.push(sequence),
        Entry::Damaged => record.damaged.push(Section::First),
    }
    for slot in 0..SLOTS {
        match entry_at(bytes, slot_at(slot)) {
            Entry::Never => {}
            Entry::Whole(violation) => record.recent.push(*violation),
            Entry::Begun(sequence) => record.unfinished.push(sequence),
            Entry::Damaged => record.damaged.push(Section::Slot(slot)),
        }
    }
    record.recent.sort_by_key(|violation| violation.sequence);
    // The first violation is written in two places, and may be whole in the other one.
    let recent = &record.recent;
    let is_whole = |sequence: u64| recent.iter().any(|whole| whole.sequence == sequence);
    record.unfinished.retain(|sequence| !is_whole(*sequence));
    record.unfinished.sort_unstable();
    record.unfinished.dedup();
    if record.first.is_none() {
        // The ring may have it though its own place was not finished.
        let oldest = record.recent.first();
        record.first = oldest.filter(|oldest| oldest.sequence == 1).cloned();
    }
    let newest = record.recent.last().map_or(0, |newest| newest.sequence);
    record
        .recent
        .retain(|violation| violation.sequence + WINDOW > newest);
    Ok(record)
}

/// Checks all that the header says. Answers how many checks have a counter.
fn check_header(path: &Path, bytes: &[u8]) -> Result<usize, RecordError> {
    let path = || path.to_path_buf();
    let truncated = |expected: usize| RecordError::Truncated {
        path: path(),
        bytes: bytes.len() as u64,
        expected: expected as u64,
    };
    if bytes.is_empty() {
        return Err(truncated(FILE_BYTES));
    }
    if bytes.len() >= WORD_BYTES && !is_record(bytes) {
        return Err(RecordError::Foreign { path: path() });
    }
    if bytes.len() < header::SCHEMA + WORD_BYTES {
        return Err(truncated(FILE_BYTES));
    }
    let schema = word(bytes, header::SCHEMA);
    if schema != SCHEMA {
        return Err(RecordError::Schema {
            path: path(),
            found: schema,
        });
    }
    if bytes.len() < FILE_BYTES {
        return Err(truncated(FILE_BYTES));
    }
    if checksum(&bytes[..header::CHECKSUM]) != word(bytes, header::CHECKSUM) {
        return Err(RecordError::Checksum {
            path: path(),
            section: Section::Header,
            at: header::CHECKSUM as u64,
        });
    }
    let wrong = |at: usize, what: &'static str, expected: u64| RecordError::Layout {
        path: path(),
        at: at as u64,
        what,
        found: word(bytes, at),
        expected,
    };
    for (at, what, expected) in [
        (header::FILE_BYTES, "file bytes", FILE_BYTES),
        (header::ENTRY_BYTES, "entry bytes", entry::BYTES),
        (header::SLOTS, "slots", SLOTS),
    ] {
        if word(bytes, at) != expected as u64 {
            return Err(wrong(at, what, expected as u64));
        }
    }
    match usize::try_from(word(bytes, header::CHECKS)) {
        Ok(checks) if checks <= COUNTERS => Ok(checks),
        _ => Err(wrong(header::CHECKS, "checks", COUNTERS as u64)),
    }
}

/// What stands in the place of an entry.
pub(super) fn entry_at(bytes: &[u8], at: usize) -> Entry {
    let bytes = bytes.get(at..at + entry::BYTES).unwrap_or(&[]);
    let begun = word(bytes, entry::BEGIN);
    if begun == 0 {
        let is_blank = bytes.iter().all(|byte| *byte == 0);
        return if is_blank {
            Entry::Never
        } else {
            Entry::Damaged
        };
    }
    if word(bytes, entry::END) != end_mark(begun) {
        return Entry::Begun(begun);
    }
    let Range { start, end } = entry::BODY;
    let is_right = bytes.get(start..end).map(checksum) == Some(word(bytes, entry::CHECKSUM));
    if is_right && word(bytes, entry::SEQUENCE) == begun {
        Entry::Whole(Box::new(violation(bytes)))
    } else {
        Entry::Damaged
    }
}

fn violation(bytes: &[u8]) -> RecordedViolation {
    let flags = word(bytes, entry::FLAGS);
    let has = |bit: u64| flags & bit != 0;
    let low = |at: usize| word(bytes, at) as u32;
    let high = |at: usize| (word(bytes, at) >> 32) as u32;
    let address = word(bytes, entry::ADDRESS);
    RecordedViolation {
        sequence: word(bytes, entry::SEQUENCE),
        recorded: time(word(bytes, entry::RECORDED_MS)),
        check: text(bytes, entry::CHECK),
        message: text(bytes, entry::MESSAGE),
        reason: text(bytes, entry::REASON),
        cycle: low(entry::CYCLE_AND_STALE),
        phase: text(bytes, entry::PHASE),
        severity: text(bytes, entry::SEVERITY),
        address: has(has::ADDRESS).then(|| match has(has::OFFSET) {
            true => Address::Offset(address),
            false => Address::Raw(address),
        }),
        span: has(has::SPAN).then(|| low(entry::SPAN_AND_SLOT)),
        slot: has(has::SLOT).then(|| high(entry::SPAN_AND_SLOT)),
        type_name: has(has::TYPE_NAME).then(|| text(bytes, entry::TYPE_NAME)),
        origin: text(bytes, entry::ORIGIN),
        holder: has(has::HOLDER).then(|| word(bytes, entry::HOLDER)),
        field: has(has::FIELD).then(|| text(bytes, entry::FIELD)),
        call_site: has(has::CALL_SITE).then(|| CallSite {
            file: text(bytes, entry::FILE),
            line: low(entry::LINE_AND_COLUMN),
            column: high(entry::LINE_AND_COLUMN),
        }),
        stale_cycles: has(has::STALE_CYCLES).then(|| high(entry::CYCLE_AND_STALE)),
        numbers: (0..entry::NUMBERS)
            .map(|index| {
                let value = word(bytes, entry::number(index));
                (text(bytes, entry::label(index)), value)
            })
            .filter(|(label, _)| !label.is_empty())
            .collect(),
    }
}

/// A time that was stored. One that no clock can show is the beginning of time.
fn time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or(UNIX_EPOCH)
}

fn some_time(milliseconds: u64) -> Option<SystemTime> {
    (milliseconds != 0).then(|| time(milliseconds))
}
