//! Reports of a replay, for programs and for people.
//!
//! Everything in them follows from the file and the build: two replays of a file print the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::outcome::{Met, Outcome};
use crate::json::write_line;
use crate::ops::{Regime, Trace, op_text};
use crate::outcome::{offset, type_name};

/// The first line.
#[derive(Serialize)]
struct Begin<'a> {
    event: &'static str,
    scenario: &'a str,
    seed: u64,
    ops: usize,
    policy: &'a str,
    checks: &'a str,
    threads: usize,
    driver: String,
    limit_bytes: Option<usize>,
    soft_limit_bytes: Option<usize>,
    /// Absent where the heap has no generations.
    #[serde(skip_serializing_if = "Option::is_none")]
    nursery_bytes: Option<usize>,
    build: &'a str,
    same_build: bool,
}

/// What a check said of one operation.
#[derive(Serialize)]
struct Report<'a> {
    event: &'static str,
    op: usize,
    op_text: String,
    check: &'static str,
    count: u64,
    message: Option<String>,
    cycle: Option<u32>,
    phase: Option<&'static str>,
    severity: Option<&'static str>,
    offset: Option<u64>,
    span: Option<u32>,
    slot: Option<u32>,
    type_name: Option<String>,
    origin: Option<&'static str>,
    field: Option<&'a str>,
    call_site: Option<String>,
    store_op: Option<usize>,
    stale_cycles: Option<u32>,
    workload_op: u64,
}

/// A live object that is not what it should be.
#[derive(Serialize)]
struct LostReport {
    event: &'static str,
    op: usize,
    object: u32,
}

/// The first violation in the last line.
#[derive(Serialize)]
struct First {
    check: &'static str,
    op: usize,
    call_site: Option<String>,
    store_op: Option<usize>,
    workload_op: u64,
}

/// The last line.
#[derive(Serialize)]
struct End<'a> {
    event: &'static str,
    scenario: &'a str,
    seed: u64,
    violations: BTreeMap<&'static str, u64>,
    first_violation: Option<First>,
    as_recorded: bool,
    recorded: u64,
    missing: u64,
    unexpected: u64,
    healthy: bool,
    ops: usize,
    ops_skipped: usize,
    ops_refused: usize,
    cycles: u32,
    live_checked: usize,
    live_lost: usize,
    ledger_balanced: bool,
    quarantined_bytes: u64,
    threads: usize,
    driver: String,
}

/// How a replay differs from its recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Difference {
    /// Violations that were recorded.
    pub(crate) recorded: u64,
    /// Recorded, and not met at that operation.
    pub(crate) missing: u64,
    /// Met, and not recorded at that operation.
    pub(crate) unexpected: u64,
    /// Live objects lost beyond those that were lost when it was recorded.
    pub(crate) lost: u64,
}

impl Difference {
    /// Compares a replay with its recording.
    pub(crate) fn of(trace: &Trace, outcome: &Outcome) -> Self {
        let mut open: BTreeMap<(usize, &str), u64> = BTreeMap::new();
        for expected in &trace.expected {
            *open.entry((expected.op, expected.check.id())).or_default() += expected.count;
        }
        let recorded = open.values().sum();
        let mut unexpected = 0;
        for met in &outcome.met {
            let left = open.entry((met.op, met.check.id())).or_default();
            unexpected += met.count.saturating_sub(*left);
            *left = left.saturating_sub(met.count);
        }
        Difference {
            recorded,
            missing: open.values().sum(),
            unexpected,
            lost: (outcome.lost.len() as u64).saturating_sub(trace.lost),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_none(self) -> bool {
        self.missing == 0 && self.unexpected == 0 && self.lost == 0
    }
}

fn report<'a>(trace: &Trace, met: &'a Met) -> Report<'a> {
    let first = met.first.as_ref();
    let op = trace.program.ops.get(met.op);
    Report {
        event: "violation",
        op: met.op + 1,
        op_text: op.map_or_else(String::new, |op| op_text(op, &trace.program.kinds)),
        check: met.check.id(),
        count: met.count,
        message: first.map(|first| first.first_line().to_string()),
        cycle: first.map(|first| first.cycle),
        phase: first.map(|first| first.phase.id()),
        severity: first.map(|first| first.severity().id()),
        offset: first.and_then(|first| offset(first.address)),
        span: first.and_then(|first| first.span),
        slot: first.and_then(|first| first.slot),
        type_name: first.and_then(|first| first.type_name.map(type_name)),
        origin: first.map(|first| first.origin.id()),
        field: first.and_then(|first| first.field),
        call_site: met.call_site(),
        store_op: met.store.map(|op| op + 1),
        stale_cycles: first.and_then(|first| first.stale_cycles),
        workload_op: met.mark,
    }
}

/// Writes a replay as JSON lines. Operations are counted from 1.
pub(crate) fn write_json(
    out: &mut dyn Write,
    trace: &Trace,
    outcome: &Outcome,
    is_this_build: bool,
) -> io::Result<()> {
    let header = &trace.header;
    let begin = Begin {
        event: "begin",
        scenario: &header.scenario,
        seed: header.seed,
        ops: trace.program.ops.len(),
        policy: &header.policy,
        checks: &header.checks,
        threads: header.threads,
        driver: header.regime.driver.to_string(),
        limit_bytes: header.regime.limit_bytes,
        soft_limit_bytes: header.regime.soft_limit_bytes,
        nursery_bytes: header.regime.nursery_bytes,
        build: &header.build,
        same_build: is_this_build,
    };
    write_line(out, &begin)?;
    write_events(out, trace, outcome)?;
    write_line(out, &end(trace, outcome))
}

fn end<'a>(trace: &'a Trace, outcome: &Outcome) -> End<'a> {
    let header = &trace.header;
    let difference = Difference::of(trace, outcome);
    End {
        event: "end",
        scenario: &header.scenario,
        seed: header.seed,
        violations: outcome
            .violations
            .iter()
            .map(|(check, count)| (check.id(), *count))
            .collect(),
        first_violation: outcome.first().map(|met| First {
            check: met.check.id(),
            op: met.op + 1,
            call_site: met.call_site(),
            store_op: met.store.map(|op| op + 1),
            workload_op: met.mark,
        }),
        as_recorded: difference.is_none(),
        recorded: difference.recorded,
        missing: difference.missing,
        unexpected: difference.unexpected,
        healthy: outcome.is_healthy,
        ops: outcome.ops,
        ops_skipped: outcome.skipped.len(),
        ops_refused: outcome.refused.len(),
        cycles: outcome.cycles,
        live_checked: outcome.live_checked,
        live_lost: outcome.lost.len(),
        ledger_balanced: outcome.is_ledger_balanced,
        quarantined_bytes: outcome.quarantined_bytes,
        threads: header.threads,
        driver: header.regime.driver.to_string(),
    }
}

/// Writes what was reported, and what was lost, as JSON lines.
pub(crate) fn write_events(
    out: &mut dyn Write,
    trace: &Trace,
    outcome: &Outcome,
) -> io::Result<()> {
    for met in &outcome.met {
        write_line(out, &report(trace, met))?;
    }
    for lost in &outcome.lost {
        let lost = LostReport {
            event: "lost",
            op: lost.op + 1,
            object: lost.object,
        };
        write_line(out, &lost)?;
    }
    Ok(())
}

/// Writes a replay for people.
pub(crate) fn write_human(out: &mut dyn Write, trace: &Trace, outcome: &Outcome) -> io::Result<()> {
    let header = &trace.header;
    writeln!(
        out,
        "gc-stress replay: {}, seed {}, checks {}, policy {}, {} operations\n",
        header.scenario,
        header.seed,
        header.checks,
        header.policy,
        trace.program.ops.len()
    )?;
    write_regime(out, trace, outcome)?;
    if let Some(met) = outcome.first() {
        write_first(out, trace, met)?;
    }
    for (check, count) in &outcome.violations {
        writeln!(out, "    {check:<20}{count:>8}")?;
    }
    let difference = Difference::of(trace, outcome);
    let same = if difference.missing == 0 && difference.unexpected == 0 {
        "every one at the operation where it was recorded".to_string()
    } else {
        format!(
            "{} missing, {} that were not recorded",
            difference.missing, difference.unexpected
        )
    };
    writeln!(
        out,
        "\nRECORDED        {} violations; {same}",
        difference.recorded
    )?;
    writeln!(
        out,
        "LIVE OBJECTS    {} checked, {} lost, {} lost when it was recorded",
        outcome.live_checked,
        outcome.lost.len(),
        trace.lost
    )?;
    let accounts = if outcome.is_ledger_balanced {
        "balanced"
    } else {
        "OUT OF BALANCE"
    };
    writeln!(
        out,
        "ACCOUNTS        {accounts}, {} bytes quarantined",
        outcome.quarantined_bytes
    )
}

/// Writes driver, limits and nursery, where they are not the usual ones.
fn write_regime(out: &mut dyn Write, trace: &Trace, outcome: &Outcome) -> io::Result<()> {
    let regime = &trace.header.regime;
    if *regime == Regime::default() {
        return Ok(());
    }
    let told = |bytes: Option<usize>| bytes.map_or("none".to_string(), |bytes| bytes.to_string());
    let nursery = regime
        .nursery_bytes
        .map(|bytes| format!(", nursery {bytes}"));
    writeln!(
        out,
        "driver {}, limit {}, soft limit {}{}: {} operations were refused\n",
        regime.driver,
        told(regime.limit_bytes),
        told(regime.soft_limit_bytes),
        nursery.unwrap_or_default(),
        outcome.refused.len()
    )
}

/// Writes the first report for people.
pub(crate) fn write_first(out: &mut dyn Write, trace: &Trace, met: &Met) -> io::Result<()> {
    let text = |op: usize| {
        let op = trace.program.ops.get(op);
        op.map_or_else(String::new, |op| op_text(op, &trace.program.kinds))
    };
    writeln!(
        out,
        "FIRST VIOLATION at operation {} of {}: {}",
        met.op + 1,
        trace.program.ops.len(),
        text(met.op)
    )?;
    if let Some(first) = &met.first {
        writeln!(out, "  {}", first.first_line())?;
        writeln!(
            out,
            "    check       {}, in cycle {}, phase {}",
            met.check, first.cycle, first.phase
        )?;
        writeln!(out, "    mark origin {}", first.origin)?;
    }
    if let Some(site) = met.call_site() {
        writeln!(out, "    call site   {site}, the guilty store")?;
    }
    if let Some(store) = met.store {
        writeln!(
            out,
            "    stored by   operation {}: {}",
            store + 1,
            text(store)
        )?;
    }
    if met.mark > 0 {
        writeln!(out, "    workload    operation {}", met.mark)?;
    }
    writeln!(out)
}
