//! Reports of a scenario, and the list of all of them, for programs and for people.
//!
//! Everything in them follows from scenario, seed and build.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Distance, Request, Risk, Scenario, Seen, Source, Verdict, all};
use crate::json::write_line;
use crate::lab;
use crate::ops::op_text;

/// Columns of a line of prose.
const COLUMNS: usize = 96;

/// The first line of a run.
#[derive(Serialize)]
struct Begin<'a> {
    event: &'static str,
    scenario: &'a str,
    bug: &'a str,
    seed: u64,
    ops: usize,
    buggy: bool,
    policy: String,
    checks: String,
    expected: Vec<&'static str>,
    live_at_risk: bool,
}

/// The first violation in the last line.
#[derive(Serialize)]
struct First {
    check: &'static str,
    op: usize,
    call_site: Option<String>,
    cause_op: Option<usize>,
    distance_ops: Option<usize>,
    distance_cycles: Option<u32>,
}

/// The last line of a run.
#[derive(Serialize)]
struct End<'a> {
    event: &'static str,
    scenario: &'a str,
    seed: u64,
    buggy: bool,
    violations: BTreeMap<&'static str, u64>,
    first_violation: Option<First>,
    verdict: &'static str,
    healthy: bool,
    ops: usize,
    cycles: u32,
    live_checked: usize,
    live_lost: usize,
    ledger_balanced: bool,
    quarantined_bytes: u64,
    threads: usize,
    driver: &'static str,
}

/// Writes a run as JSON lines. Operations are counted from 1.
pub(crate) fn write_json(
    out: &mut dyn Write,
    scenario: &Scenario,
    request: &Request,
    seen: &Seen,
) -> io::Result<()> {
    let (outcome, expected) = (&seen.outcome, scenario.found_at(request.checks.level()));
    let expected = expected.checks.iter().map(|check| check.id());
    let begin = Begin {
        event: "begin",
        scenario: scenario.name,
        bug: scenario.bug,
        seed: request.seed,
        ops: seen.trace.program.ops.len(),
        buggy: request.is_buggy,
        policy: request.policy.to_string(),
        checks: request.checks.to_string(),
        expected: expected.filter(|_| request.is_buggy).collect(),
        live_at_risk: scenario.risk == Risk::Live,
    };
    write_line(out, &begin)?;
    lab::write_events(out, &seen.trace, outcome)?;
    let distance = seen.distance();
    let violations = outcome.violations.iter();
    let end = End {
        event: "end",
        scenario: scenario.name,
        seed: request.seed,
        buggy: request.is_buggy,
        violations: violations
            .map(|(check, count)| (check.id(), *count))
            .collect(),
        first_violation: outcome.first().map(|met| First {
            check: met.check.id(),
            op: met.op + 1,
            call_site: met.call_site(),
            cause_op: seen.cause_of_first().map(|op| op + 1),
            distance_ops: distance.map(|distance| distance.ops),
            distance_cycles: distance.map(|distance| distance.cycles),
        }),
        verdict: seen.verdict(scenario, request).id(),
        healthy: outcome.is_healthy,
        ops: outcome.ops,
        cycles: outcome.cycles,
        live_checked: outcome.live_checked,
        live_lost: outcome.lost.len(),
        ledger_balanced: outcome.is_ledger_balanced,
        quarantined_bytes: outcome.quarantined_bytes,
        threads: 1,
        driver: "manual",
    };
    write_line(out, &end)
}

/// Writes a run for people.
pub(crate) fn write_human(
    out: &mut dyn Write,
    scenario: &Scenario,
    request: &Request,
    seen: &Seen,
) -> io::Result<()> {
    writeln!(
        out,
        "gc-stress {}: {}, seed {}, checks {}, policy {}, {}\n",
        scenario.name,
        scenario.bug,
        request.seed,
        request.checks,
        request.policy,
        if request.is_buggy { "buggy" } else { "fixed" },
    )?;
    for (head, text) in [
        ("THERE", scenario.happened),
        ("HERE", scenario.mechanism),
        ("LESSON", scenario.lesson),
    ] {
        write_wrapped(out, head, text)?;
    }
    writeln!(out)?;
    let outcome = &seen.outcome;
    match outcome.first() {
        Some(met) => lab::write_first(out, &seen.trace, met)?,
        None => writeln!(
            out,
            "NO VIOLATION    in {} operations and {} cycles\n",
            outcome.ops, outcome.cycles
        )?,
    }
    write_distance(out, seen)?;
    for (check, count) in &outcome.violations {
        writeln!(out, "    {check:<20}{count:>8}")?;
    }
    write_verdict(out, scenario, request, seen)
}

fn write_distance(out: &mut dyn Write, seen: &Seen) -> io::Result<()> {
    let (Some(cause), Some(Distance { ops, cycles })) = (seen.cause_of_first(), seen.distance())
    else {
        return Ok(());
    };
    let program = &seen.trace.program;
    let op = program.ops.get(cause);
    let text = op.map_or_else(String::new, |op| op_text(op, &program.kinds));
    writeln!(
        out,
        "CAUSE           operation {}: {text}\n                {} and {} before the report",
        cause + 1,
        counted(ops, "operation"),
        counted(cycles as usize, "cycle")
    )
}

fn write_verdict(
    out: &mut dyn Write,
    scenario: &Scenario,
    request: &Request,
    seen: &Seen,
) -> io::Result<()> {
    let outcome = &seen.outcome;
    writeln!(
        out,
        "LIVE OBJECTS    {} checked, {} lost",
        outcome.live_checked,
        outcome.lost.len()
    )?;
    writeln!(
        out,
        "ACCOUNTS        {}, {} bytes quarantined",
        if outcome.is_ledger_balanced {
            "balanced"
        } else {
            "OUT OF BALANCE"
        },
        outcome.quarantined_bytes
    )?;
    let expected = scenario.found_at(request.checks.level());
    let checks: Vec<&str> = expected.checks.iter().map(|check| check.id()).collect();
    let checks = checks.join(" or ");
    writeln!(
        out,
        "VERDICT         {}",
        match seen.verdict(scenario, request) {
            Verdict::Clean => "clean: nothing to be found, nothing found".to_string(),
            Verdict::Found if !request.is_buggy => "FOUND SOMETHING in the fixed form".to_string(),
            Verdict::Found if outcome.lost.is_empty() =>
                "found as declared, and survived".to_string(),
            Verdict::Found =>
                "found as declared: at this level when the harm is done already".to_string(),
            Verdict::Missing => format!("MISSING: {checks} was to report first"),
            Verdict::Broken => "BROKEN: live data or accounts came to harm".to_string(),
        }
    )?;
    writeln!(
        out,
        "\nREPLAY          gc-stress run {} --seed {} --checks {}{}",
        scenario.name,
        request.seed,
        request.checks,
        if request.is_buggy { "" } else { " --fixed" }
    )
}

/// A number with its unit.
pub(super) fn counted(number: usize, unit: &str) -> String {
    match number {
        1 => format!("1 {unit}"),
        number => format!("{number} {unit}s"),
    }
}

/// Writes prose beside a head, in lines of a bounded width.
fn write_wrapped(out: &mut dyn Write, head: &str, text: &str) -> io::Result<()> {
    let mut line = format!("{head:<16}");
    let mut is_begun = false;
    for word in text.split_whitespace() {
        if is_begun && line.chars().count() + word.chars().count() >= COLUMNS {
            writeln!(out, "{line}")?;
            line = " ".repeat(16);
            is_begun = false;
        }
        if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    writeln!(out, "{line}")
}

/// A scenario in the list.
#[derive(Serialize)]
struct Entry<'a> {
    event: &'static str,
    scenario: &'a str,
    bug: &'a str,
    title: &'a str,
    happened: &'a str,
    mechanism: &'a str,
    lesson: &'a str,
    live_at_risk: bool,
    needs_fault_inject: bool,
    found: BTreeMap<&'static str, Declared>,
}

/// What finds a scenario at a level.
#[derive(Serialize)]
struct Declared {
    checks: Vec<&'static str>,
    live_lost: bool,
}

/// Lists the scenarios as JSON lines.
pub(crate) fn write_list_json(out: &mut dyn Write) -> io::Result<()> {
    for scenario in all() {
        let levels = gc_core::CheckLevel::ALL.iter();
        let found = levels.map(|level| {
            let found = scenario.found_at(*level);
            let declared = Declared {
                checks: found.checks.iter().map(|check| check.id()).collect(),
                live_lost: found.loses_live,
            };
            (level.id(), declared)
        });
        let entry = Entry {
            event: "scenario",
            scenario: scenario.name,
            bug: scenario.bug,
            title: scenario.title,
            happened: scenario.happened,
            mechanism: scenario.mechanism,
            lesson: scenario.lesson,
            live_at_risk: scenario.risk == Risk::Live,
            needs_fault_inject: matches!(scenario.source, Source::Fault(_)),
            found: found.collect(),
        };
        write_line(out, &entry)?;
    }
    Ok(())
}

/// Lists the scenarios, one a line.
pub(crate) fn write_list(out: &mut dyn Write) -> io::Result<()> {
    for scenario in all() {
        writeln!(
            out,
            "{:<20}{:<14}{}",
            scenario.name, scenario.bug, scenario.title
        )?;
    }
    Ok(())
}
