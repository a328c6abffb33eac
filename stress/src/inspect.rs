//! The story of a durable record, for people and for programs.
//!
//! Called by the command line with a record that was read already; works on plain data. Invariant: keys
//! stand in a fixed order, the summary comes first, and the first violation before the others.
//! Deliberately absent: reading the file, which is `gc-core`'s.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::SystemTime;

use gc_core::{PreviousRecord, RECORD_SCHEMA, RecordedViolation, Utc};
use serde::Serialize;

use crate::json::write_line;
use crate::outcome::offset;

/// The first line: everything but the violations.
#[derive(Serialize)]
struct Summary<'a> {
    event: &'static str,
    schema: u64,
    heap: &'a str,
    process: u32,
    version: &'a str,
    started: String,
    closed: Option<String>,
    unhealthy_since: Option<String>,
    total: u64,
    suppressed: u64,
    unkept: u64,
    violations: BTreeMap<&'a str, u64>,
    unfinished: &'a [u64],
    damaged: Vec<String>,
}

/// A violation that was written whole.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    sequence: u64,
    recorded: String,
    check: &'a str,
    message: String,
    cycle: u32,
    phase: &'a str,
    severity: &'a str,
    offset: Option<u64>,
    span: Option<u32>,
    slot: Option<u32>,
    type_name: Option<&'a str>,
    origin: &'a str,
    holder: Option<u64>,
    field: Option<&'a str>,
    call_site: Option<String>,
    stale_cycles: Option<u32>,
    numbers: BTreeMap<&'a str, u64>,
}

/// Writes all that is in a record, for people.
pub fn write_human(out: &mut dyn Write, record: &PreviousRecord) -> io::Result<()> {
    writeln!(out, "{record}")
}

/// Writes all that is in a record as JSON lines: the summary, the first violation, the last ones.
pub fn write_json(out: &mut dyn Write, record: &PreviousRecord) -> io::Result<()> {
    let counts = record.counts().iter();
    let summary = Summary {
        event: "record",
        schema: RECORD_SCHEMA,
        heap: record.heap(),
        process: record.process(),
        version: record.version(),
        started: utc(record.started()),
        closed: record.closed().map(utc),
        unhealthy_since: record.unhealthy_since().map(utc),
        total: record.total(),
        suppressed: record.suppressed(),
        unkept: record.unkept(),
        violations: counts.map(|(check, count)| (&**check, *count)).collect(),
        unfinished: record.unfinished(),
        damaged: record.damaged().iter().map(ToString::to_string).collect(),
    };
    write_line(out, &summary)?;
    if let Some(first) = record.first() {
        write_line(out, &line("first_violation", first))?;
    }
    for violation in record.recent() {
        write_line(out, &line("violation", violation))?;
    }
    Ok(())
}

fn line<'a>(event: &'static str, violation: &'a RecordedViolation) -> Line<'a> {
    let numbers = violation.numbers.iter();
    Line {
        event,
        sequence: violation.sequence,
        recorded: utc(violation.recorded),
        check: &violation.check,
        message: violation.first_line(),
        cycle: violation.cycle,
        phase: &violation.phase,
        severity: &violation.severity,
        offset: offset(violation.address),
        span: violation.span,
        slot: violation.slot,
        type_name: violation.type_name.as_deref(),
        origin: &violation.origin,
        holder: violation.holder,
        field: violation.field.as_deref(),
        call_site: violation.call_site.as_ref().map(ToString::to_string),
        stale_cycles: violation.stale_cycles,
        numbers: numbers.map(|(label, value)| (&**label, *value)).collect(),
    }
}

fn utc(time: SystemTime) -> String {
    Utc(time).to_string()
}
