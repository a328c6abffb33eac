//! The reports of a search as JSON lines.
//!
//! Called by the command line. Invariant: everything that differs from run to run of the same seed is the time, and what
//! stands in `threaded` behind its first two members.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{clean_needed, excluded_one_in};
use crate::json::write_line;
use crate::search::{Again, Finding, SearchOptions, SearchOutcome};

#[derive(Serialize)]
struct Begin {
    event: &'static str,
    seed: u64,
    with_faults: bool,
    checks: Option<String>,
    programs: Option<u64>,
    budget_ms: Option<u64>,
    until_findings: Option<u64>,
}

#[derive(Serialize)]
struct FindingLine<'a> {
    event: &'static str,
    sort: &'static str,
    check: Option<&'a str>,
    detail: Option<&'a str>,
    program: u64,
    ops: u64,
    checks: String,
    /// The trace, of a program on one thread.
    file: Option<String>,
    /// The command line, of a program with threads.
    command: Option<&'a str>,
}

#[derive(Serialize)]
struct Times<'a> {
    sort: &'static str,
    check: Option<&'a str>,
    detail: Option<&'a str>,
    times: u64,
    clean_needed: u64,
}

#[derive(Serialize)]
struct End<'a> {
    event: &'static str,
    seed: u64,
    with_faults: bool,
    programs: u64,
    ops: u64,
    skipped: u64,
    cycles: u64,
    live_checked: u64,
    /// Programs by driver, and by the threads that really ran at once.
    drivers: &'a BTreeMap<String, u64>,
    programs_by_threads: &'a BTreeMap<usize, u64>,
    generational: u64,
    limited: u64,
    limits_met: u64,
    refused: u64,
    left_without: u64,
    threaded: Soaks,
    reported: u64,
    lost: u64,
    lost_in_silence: u64,
    cut_short: u64,
    found: u64,
    findings: Vec<Times<'a>>,
    /// Of programs; absent where something was found.
    excluded_one_in: Option<u64>,
    /// Most that really ran at once in a program.
    threads: usize,
    driver: &'static str,
    elapsed_ms: u64,
}

/// Programs with threads. All but the first two differs from run to run.
#[derive(Serialize)]
struct Soaks {
    programs: u64,
    ops: u64,
    cycles: u64,
    looks: u64,
    refused: u64,
}

/// Writes what the search was told, as a line.
///
/// # Errors
///
/// Those of the writer.
pub fn write_json_begin(out: &mut dyn Write, options: &SearchOptions) -> io::Result<()> {
    let begin = Begin {
        event: "begin",
        seed: options.seed,
        with_faults: options.breaks,
        checks: options.level.map(|level| level.to_string()),
        programs: options.programs,
        budget_ms: options.budget.map(|budget| budget.as_millis() as u64),
        until_findings: options.until_findings,
    };
    write_line(out, &begin)
}

/// Writes a finding when it is new, as a line.
///
/// # Errors
///
/// Those of the writer.
pub fn write_json_finding(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let (file, command) = match &finding.again {
        Again::Trace(file) => (Some(file.display().to_string()), None),
        Again::Command(command) => (None, Some(command.as_str())),
    };
    let line = FindingLine {
        event: "finding",
        sort: finding.signature.sort.id(),
        check: finding.signature.check,
        detail: finding.signature.detail.as_deref(),
        program: finding.program,
        ops: finding.ops,
        checks: finding.level.to_string(),
        file,
        command,
    };
    write_line(out, &line)
}

/// Writes what came of the search: the last line.
///
/// # Errors
///
/// Those of the writer.
pub fn write_json_end(
    out: &mut dyn Write,
    options: &SearchOptions,
    outcome: &SearchOutcome,
) -> io::Result<()> {
    let threaded = &outcome.threaded;
    let times = |finding: &Finding| clean_needed(outcome.programs, finding.times);
    let findings = outcome.findings.iter().map(|finding| Times {
        sort: finding.signature.sort.id(),
        check: finding.signature.check,
        detail: finding.signature.detail.as_deref(),
        times: finding.times,
        clean_needed: times(finding),
    });
    let end = End {
        event: "end",
        seed: options.seed,
        with_faults: outcome.breaks,
        programs: outcome.programs,
        ops: outcome.ops,
        skipped: outcome.skipped,
        cycles: outcome.cycles,
        live_checked: outcome.live_checked,
        drivers: &outcome.drivers,
        programs_by_threads: &outcome.threads,
        generational: outcome.generational,
        limited: outcome.limited,
        limits_met: outcome.limits_met,
        refused: outcome.refused,
        left_without: outcome.left_without,
        threaded: Soaks {
            programs: threaded.programs,
            ops: threaded.ops,
            cycles: threaded.cycles,
            looks: threaded.looks,
            refused: threaded.refused,
        },
        reported: outcome.reported,
        lost: outcome.lost,
        lost_in_silence: outcome.lost_in_silence,
        cut_short: outcome.cut_short,
        found: outcome.found,
        findings: findings.collect(),
        excluded_one_in: outcome
            .findings
            .is_empty()
            .then(|| excluded_one_in(outcome.programs)),
        threads: outcome.threads.keys().max().copied().unwrap_or(1),
        driver: "mixed",
        elapsed_ms: outcome.elapsed.as_millis() as u64,
    };
    write_line(out, &end)
}
