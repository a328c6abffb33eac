//! What a campaign writes: a JSON line a case and one at the end, or a table.

use std::io::{self, Write};

use serde::Serialize;

use super::case::Case;
use super::judge::Verdict;
use super::options::Options;
use super::outcome::Outcome;
use super::record::CaseLine;
use super::tally::{Row, Tally};
use crate::json::write_line;

/// The last line.
#[derive(Serialize)]
struct EndLine {
    event: &'static str,
    cases: u64,
    activated: u64,
    detected: u64,
    silent_loss: u64,
    undetected_crash: u64,
    hang: u64,
    misreported: u64,
    live_lost: u64,
    report_broken: u64,
    breaches: u64,
    seed: u64,
    blind: Option<&'static str>,
    threads: u64,
    driver: &'static str,
}

pub(crate) fn write_case(out: &mut dyn Write, case: &Case, verdict: &Verdict) -> io::Result<()> {
    write_line(out, &CaseLine::of(case, verdict))
}

pub(crate) fn write_end(out: &mut dyn Write, options: &Options, tally: &Tally) -> io::Result<()> {
    let sum = tally.sum();
    let line = EndLine {
        event: "end",
        cases: sum.cases,
        activated: sum.activated,
        detected: sum.found,
        silent_loss: sum.outcome(Outcome::SilentLoss),
        undetected_crash: sum.outcome(Outcome::UndetectedCrash),
        hang: sum.outcome(Outcome::Hang),
        misreported: sum.outcome(Outcome::Misreported),
        live_lost: sum.lost,
        report_broken: sum.outcome(Outcome::ReportBroken),
        breaches: sum.breaches.len() as u64,
        seed: options.seed,
        blind: options.blind.map(gc_core::Check::id),
        threads: 1,
        driver: "mixed",
    };
    write_line(out, &line)
}

/// The table for people.
pub(crate) fn write_table(out: &mut dyn Write, tally: &Tally) -> io::Result<()> {
    write_rows(out, tally)?;
    write_breaches(out, tally)
}

/// The table without a word on promises, which takes a whole campaign.
pub(crate) fn write_rows(out: &mut dyn Write, tally: &Tally) -> io::Result<()> {
    writeln!(
        out,
        "{:<5}{:<24}{:<10}{:>6}{:>7}{:>7}  {:>15}{:>7}{:>7}{:>6}  found first by",
        "row", "fault", "level", "cases", "activ.", "found", "rate, 95 %", "cycles", "lost", "red"
    )?;
    for (subject, level, row) in tally.rows() {
        writeln!(
            out,
            "{:<5}{:<24}{:<10}{:>6}{:>7}{:>7}  {:>15}{:>7}{:>7}{:>6}  {}",
            subject.id(),
            subject.name(),
            level.id(),
            row.cases,
            row.activated,
            row.found,
            interval(row),
            row.cycles()
                .map_or("-".to_string(), |cycles| cycles.max.to_string()),
            row.lost,
            row.breaches.len(),
            checks(row)
        )?;
    }
    let sum = tally.sum();
    writeln!(out, "\n{} cases, {} activated", sum.cases, sum.activated)?;
    for (outcome, name) in Outcome::ALL {
        writeln!(out, "    {name:<20}{:>7}", sum.outcome(outcome))?;
    }
    Ok(())
}

/// Every promise that was broken.
pub(crate) fn write_breaches(out: &mut dyn Write, tally: &Tally) -> io::Result<()> {
    let breaches = tally.breaches();
    if breaches.is_empty() {
        return writeln!(out, "\nEvery promise was kept.");
    }
    writeln!(out, "\n{} promises broken", breaches.len())?;
    for (subject, level, case, breach) in breaches {
        let name = subject.name();
        writeln!(
            out,
            "    case {case:<6} {name:<24} {:<10} {breach}",
            level.id()
        )?;
    }
    Ok(())
}

/// Both ends of the interval of a row's rate, in percent.
pub(crate) fn interval(row: &Row) -> String {
    row.interval().map_or("-".to_string(), |interval| {
        format!("{:.0}-{:.0} %", interval.low * 100.0, interval.high * 100.0)
    })
}

/// The checks that found the fault first, the most frequent first.
pub(crate) fn checks(row: &Row) -> String {
    let mut checks: Vec<(&String, &u64)> = row.checks.iter().collect();
    checks.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let told = checks.iter().map(|(name, count)| format!("{name} {count}"));
    told.collect::<Vec<_>>().join(", ")
}
