//! The reports of a soak, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{SoakOptions, SoakOutcome};
use crate::json::write_line;

#[derive(Serialize)]
struct Begin {
    event: &'static str,
    scenario: &'static str,
    seed: u64,
    minutes: Option<f64>,
    ops: Option<u64>,
    checks: String,
    limit_mib: usize,
    nursery_bytes: Option<usize>,
    threads: usize,
    driver: String,
}

#[derive(Serialize)]
struct Loss<'a> {
    event: &'static str,
    seed: u64,
    what: &'a str,
}

#[derive(Serialize)]
struct FirstViolation {
    event: &'static str,
    seed: u64,
    report: String,
}

/// The last line.
#[derive(Serialize)]
struct End {
    event: &'static str,
    scenario: &'static str,
    seed: u64,
    checks: String,
    minutes: f64,
    ops: u64,
    cycles: u64,
    nursery_bytes: Option<usize>,
    cycles_young: u64,
    cycles_voided: u64,
    objects_marked: u64,
    objects_checked: u64,
    lost: u64,
    violations: BTreeMap<&'static str, u64>,
    threads_churned: u64,
    limit_hits: u64,
    verifications: u64,
    verifications_failed: u64,
    bytes_left: u64,
    pause_max_us: f64,
    false_positives_below: Option<f64>,
    threads: usize,
    driver: String,
}

/// Writes what the soak was told, as JSON.
pub fn write_json_begin(out: &mut dyn Write, options: &SoakOptions) -> io::Result<()> {
    let begin = Begin {
        event: "begin",
        scenario: "soak",
        seed: options.seed,
        minutes: options.minutes,
        ops: options.ops,
        checks: options.checks.to_string(),
        limit_mib: options.limit_mib,
        nursery_bytes: options.nursery_bytes,
        threads: options.threads,
        driver: options.driver.to_string(),
    };
    write_line(out, &begin)
}

/// Writes what came of it, as JSON.
pub fn write_json_outcome(out: &mut dyn Write, outcome: &SoakOutcome) -> io::Result<()> {
    let options = &outcome.options;
    for what in &outcome.losses {
        let (event, seed) = ("lost", options.seed);
        write_line(out, &Loss { event, seed, what })?;
    }
    if let Some(first) = outcome.first {
        let first = FirstViolation {
            event: "first_violation",
            seed: options.seed,
            report: first.to_string(),
        };
        write_line(out, &first)?;
    }
    let has_none = outcome.violations.is_empty();
    let end = End {
        event: "end",
        scenario: "soak",
        seed: options.seed,
        checks: options.checks.to_string(),
        minutes: outcome.elapsed.as_secs_f64() / 60.0,
        ops: outcome.ops,
        cycles: outcome.cycles,
        nursery_bytes: options.nursery_bytes,
        cycles_young: outcome.cycles_young,
        cycles_voided: outcome.cycles_voided,
        objects_marked: outcome.objects_marked,
        objects_checked: outcome.objects_checked,
        lost: outcome.lost,
        violations: outcome
            .violations
            .iter()
            .map(|(check, count)| (check.id(), *count))
            .collect(),
        threads_churned: outcome.threads_churned,
        limit_hits: outcome.limit_hits,
        verifications: outcome.verifications,
        verifications_failed: outcome.verifications_failed,
        bytes_left: outcome.bytes_left,
        pause_max_us: outcome.pause_max.as_secs_f64() * 1e6,
        false_positives_below: has_none.then(|| outcome.false_positives_below()),
        threads: options.threads,
        driver: options.driver.to_string(),
    };
    write_line(out, &end)
}

/// Writes what is about to happen.
pub fn write_opening(out: &mut dyn Write, options: &SoakOptions) -> io::Result<()> {
    let nursery = options
        .nursery_bytes
        .map(|bytes| format!(", nursery {bytes} bytes"));
    writeln!(
        out,
        "gc-stress soak: seed {}, {} threads, driver {}, checks {}, limit {} MiB{}\n
Threads build, change, share and drop random graphs, and are themselves replaced; an oracle
outside the heap knows every id, every content and every edge. Nothing is broken on purpose:
a violation is a false alarm, and an object that is not as the oracle knows it is lost.",
        options.seed,
        options.threads,
        options.driver,
        options.checks,
        options.limit_mib,
        nursery.unwrap_or_default()
    )?;
    out.flush()
}

/// Writes what came of it.
pub fn write_outcome(out: &mut dyn Write, outcome: &SoakOutcome) -> io::Result<()> {
    let mut line = |key: &str, value: String| writeln!(out, "    {key:<18}{value}");
    line(
        "time",
        format!("{:.2} minutes", outcome.elapsed.as_secs_f64() / 60.0),
    )?;
    line(
        "operations",
        format!(
            "{} by {} threads, one after the other",
            outcome.ops, outcome.threads_churned
        ),
    )?;
    line(
        "cycles",
        format!("{}, {} voided", outcome.cycles, outcome.cycles_voided),
    )?;
    if outcome.options.nursery_bytes.is_some() {
        line("young cycles", outcome.cycles_young.to_string())?;
    }
    line("limit reached", format!("{} times", outcome.limit_hits))?;
    line("longest pause", format!("{:?}", outcome.pause_max))?;
    line(
        "looks",
        format!("{}, {} lost", outcome.objects_checked, outcome.lost),
    )?;
    line(
        "second opinion",
        format!(
            "asked {} times, {} times not clean",
            outcome.verifications, outcome.verifications_failed
        ),
    )?;
    line("left at the end", format!("{} bytes", outcome.bytes_left))?;
    for (check, count) in &outcome.violations {
        line("VIOLATION", format!("{check}, {count} times"))?;
    }
    if outcome.violations.is_empty() {
        line(
            "false positives",
            format!(
                "0 in {} objects marked: rate below {:.1e} at 95 %",
                outcome.objects_marked,
                outcome.false_positives_below()
            ),
        )?;
    }
    write_failures(out, outcome)?;
    let verdict = match outcome.exit_code() {
        0 => "clean",
        10 => "a violation, and nothing lost",
        _ => "DAMAGED",
    };
    writeln!(out, "\nVERDICT         {verdict}")
}

/// Writes what was lost and what was found, with the seed.
fn write_failures(out: &mut dyn Write, outcome: &SoakOutcome) -> io::Result<()> {
    for what in &outcome.losses {
        writeln!(out, "LOST, seed {}: {what}", outcome.options.seed)?;
    }
    if let Some(first) = outcome.first {
        writeln!(
            out,
            "FIRST VIOLATION, seed {}:\n{first}",
            outcome.options.seed
        )?;
    }
    Ok(())
}
