//! The report for programs: JSON lines, the last of which sums the run up.
//!
//! Keys stand in a fixed order, and nothing but `elapsed_ms` differs between two runs of the same
//! options with the manual driver. New keys may be added to the first lines; those of the last one are settled.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::options::{Configuration, CopyBack, Options};
use crate::outcome::{First, Outcome, Site, offset, type_name};

/// The first line: what the run was told.
#[derive(Serialize)]
struct Begin<'a> {
    event: &'static str,
    scenario: &'a str,
    seed: u64,
    ops: u64,
    fixed: bool,
    config_struct: bool,
    policy: String,
    checks: String,
    /// Absent where the heap has no generations.
    #[serde(skip_serializing_if = "Option::is_none")]
    nursery_bytes: Option<usize>,
    threads: usize,
    driver: String,
}

/// The first violation, with everything that is known of it.
#[derive(Serialize)]
struct FirstReport {
    event: &'static str,
    check: &'static str,
    message: String,
    at_op: u64,
    elapsed_ms: u64,
    cycle: u32,
    phase: &'static str,
    severity: &'static str,
    offset: Option<u64>,
    span: Option<u32>,
    slot: Option<u32>,
    type_name: Option<String>,
    origin: &'static str,
    holder: Option<u64>,
    field: Option<&'static str>,
    call_site: Option<String>,
    stale_cycles: Option<u32>,
    numbers: BTreeMap<&'static str, u64>,
}

/// Calls of the policy's hook.
#[derive(Serialize)]
struct HookReport {
    event: &'static str,
    deliveries: u64,
}

/// The last line.
#[derive(Serialize)]
struct End<'a> {
    event: &'static str,
    scenario: &'a str,
    seed: u64,
    fixed: bool,
    policy: String,
    checks: String,
    violations: BTreeMap<&'static str, u64>,
    first_violation: Option<FirstSummary>,
    healthy: bool,
    ops: u64,
    cycles: u32,
    live_checked: u64,
    live_damaged: u64,
    ledger_balanced: bool,
    quarantined_bytes: u64,
    threads: usize,
    driver: String,
}

/// The first violation in the last line.
#[derive(Serialize)]
struct FirstSummary {
    check: &'static str,
    message: String,
    at_op: u64,
    elapsed_ms: u64,
    call_site: Option<String>,
    origin: &'static str,
    stale_cycles: Option<u32>,
}

/// Writes what the run was told, before it begins.
pub fn write_begin(out: &mut dyn Write, scenario: &str, options: &Options) -> io::Result<()> {
    let begin = Begin {
        event: "begin",
        scenario,
        seed: options.seed,
        ops: options.ops,
        fixed: options.copy_back == CopyBack::Plain,
        config_struct: options.configuration == Configuration::ByValue,
        policy: options.policy.to_string(),
        checks: options.checks.to_string(),
        nursery_bytes: options.nursery_bytes,
        threads: options.threads,
        driver: options.driver.to_string(),
    };
    write_line(out, &begin)
}

/// Writes what came of it.
pub fn write_outcome(out: &mut dyn Write, scenario: &str, outcome: &Outcome) -> io::Result<()> {
    if let Some(first) = &outcome.first {
        write_line(out, &first_report(first))?;
    }
    if outcome.hook_deliveries > 0 {
        let deliveries = outcome.hook_deliveries;
        write_line(
            out,
            &HookReport {
                event: "hook",
                deliveries,
            },
        )?;
    }
    let options = &outcome.options;
    let end = End {
        event: "end",
        scenario,
        seed: options.seed,
        fixed: options.copy_back == CopyBack::Plain,
        policy: options.policy.to_string(),
        checks: options.checks.to_string(),
        violations: outcome
            .violations
            .iter()
            .map(|(check, count)| (check.id(), *count))
            .collect(),
        first_violation: outcome.first.as_ref().map(first_summary),
        healthy: outcome.is_healthy,
        ops: outcome.ops,
        cycles: outcome.cycles,
        live_checked: outcome.at_rest.checked,
        live_damaged: outcome.objects_damaged(),
        ledger_balanced: outcome.is_ledger_balanced,
        quarantined_bytes: outcome.quarantined_bytes,
        threads: options.threads,
        driver: options.driver.to_string(),
    };
    write_line(out, &end)
}

fn first_report(first: &First) -> FirstReport {
    let violation = &first.violation;
    FirstReport {
        event: "first_violation",
        check: violation.check.id(),
        message: violation.first_line().to_string(),
        at_op: first.at_op,
        elapsed_ms: first.elapsed_ms,
        cycle: violation.cycle,
        phase: violation.phase.id(),
        severity: violation.severity().id(),
        offset: offset(violation.address),
        span: violation.span,
        slot: violation.slot,
        type_name: violation.type_name.map(type_name),
        origin: violation.origin.id(),
        holder: violation.holder,
        field: violation.field,
        call_site: violation.call_site.map(|site| Site(site).to_string()),
        stale_cycles: violation.stale_cycles,
        numbers: violation
            .numbers
            .iter()
            .filter(|number| !number.label.is_empty())
            .map(|number| (number.label, number.value))
            .collect(),
    }
}

fn first_summary(first: &First) -> FirstSummary {
    let violation = &first.violation;
    FirstSummary {
        check: violation.check.id(),
        message: violation.first_line().to_string(),
        at_op: first.at_op,
        elapsed_ms: first.elapsed_ms,
        call_site: violation.call_site.map(|site| Site(site).to_string()),
        origin: violation.origin.id(),
        stale_cycles: violation.stale_cycles,
    }
}

/// Writes a violation as one line of its own.
#[cfg(feature = "fault-inject")]
pub(crate) fn write_violation(out: &mut dyn Write, found: &First) -> io::Result<()> {
    let report = FirstReport {
        event: "violation",
        ..first_report(found)
    };
    write_line(out, &report)
}

/// Writes one line.
pub(crate) fn write_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}
