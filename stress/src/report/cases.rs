//! A campaign as it is seen on the page: the table by fault and level, distances from the cause, and the
//! cases worth a look.

use gc_core::CheckLevel;

use super::drawing::{Histogram, Scale, Segment, Tick, length};
use super::lanes::Mark;
use super::{Body, Card, Finding};
use crate::campaign::{Kind, Outcome, Reading, Row};
use crate::shards::Merged;

/// Width of the bar in a cell.
const BAR_WIDTH: f64 = 130.0;
/// Most cases that are shown one by one.
const CASES_MAX: usize = 300;

/// See the module.
pub(crate) struct CampaignView {
    pub(crate) seed: u64,
    pub(crate) cases: String,
    pub(crate) build: String,
    pub(crate) digest: String,
    pub(crate) gaps: usize,
    pub(crate) rows: Vec<FaultRow>,
    pub(crate) outcomes: Vec<(&'static str, &'static str, u64)>,
    pub(crate) histograms: Vec<Histogram>,
}

/// A fault at every level.
pub(crate) struct FaultRow {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) cells: Vec<Cell>,
}

/// A fault at one level.
pub(crate) struct Cell {
    pub(crate) level: &'static str,
    pub(crate) activated: u64,
    pub(crate) found: u64,
    pub(crate) broken: usize,
    pub(crate) segments: Vec<Segment>,
    pub(crate) title: String,
}

/// A case.
pub(crate) struct CaseView {
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) ticks: Vec<Tick>,
    pub(crate) command: String,
}

/// The class by which an outcome is coloured.
fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::DetectedContained => "contained",
        Outcome::DetectedAborted => "aborted",
        Outcome::DetectedLate => "late",
        Outcome::Benign => "benign",
        Outcome::SilentLoss => "loss",
        Outcome::UndetectedCrash => "crash",
        Outcome::Hang => "hang",
        Outcome::Misreported => "misreported",
        Outcome::ReportBroken => "broken",
    }
}

fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::DetectedContained | Outcome::DetectedAborted => "good",
        Outcome::Benign => "plain",
        Outcome::DetectedLate => "odd",
        _ => "bad",
    }
}

/// What the page begins with.
pub(crate) fn cards(merged: &Merged) -> Vec<Card> {
    let sum = merged.tally.sum();
    let controls = merged
        .readings
        .values()
        .filter(|reading| reading.case.kind == Kind::Control);
    let (mut count, mut alarms) = (0, 0);
    for reading in controls {
        count += 1;
        alarms += u64::from(reading.verdict.outcome != Outcome::Benign);
    }
    let worst = sum.outcome(Outcome::SilentLoss);
    let broken = sum.breaches.len();
    let card = |label, value: String, tone| Card { label, value, tone };
    let rate = sum
        .rate()
        .map_or("–".to_string(), |rate| format!("{:.0} %", rate * 100.0));
    let is_bad = |bad: bool| if bad { "bad" } else { "good" };
    vec![
        card(
            "cases",
            format!("{} of {}", merged.readings.len(), merged.cases),
            "plain",
        ),
        card("faults that took place", sum.activated.to_string(), "plain"),
        card("of these found", format!("{} ({rate})", sum.found), "plain"),
        card("promises broken", broken.to_string(), is_bad(broken > 0)),
        card("lost in silence", worst.to_string(), is_bad(worst > 0)),
        card(
            "false alarms in controls",
            format!("{alarms} of {count}"),
            is_bad(alarms > 0),
        ),
        card(
            "two verdicts",
            merged.conflicts.len().to_string(),
            is_bad(!merged.conflicts.is_empty()),
        ),
    ]
}

impl CampaignView {
    pub(crate) fn of(merged: &Merged) -> Self {
        let mut rows: Vec<FaultRow> = Vec::new();
        for (subject, level, row) in merged.tally.rows() {
            let cell = cell(level, row);
            match rows.last_mut().filter(|last| last.name == subject.name()) {
                Some(last) => last.cells.push(cell),
                None => rows.push(FaultRow {
                    id: subject.id(),
                    name: subject.name(),
                    cells: vec![cell],
                }),
            }
        }
        let levels = CheckLevel::ALL.iter().copied();
        for row in &mut rows {
            let mut cells: Vec<Cell> = Vec::new();
            for level in levels.clone() {
                let known = row.cells.iter().position(|cell| cell.level == level.id());
                cells.push(known.map_or_else(
                    || cell(level, &Row::default()),
                    |at| row.cells.swap_remove(at),
                ));
            }
            row.cells = cells;
        }
        let sum = merged.tally.sum();
        CampaignView {
            seed: merged.options.seed,
            cases: format!(
                "{}..{}",
                merged.options.cases.start, merged.options.cases.end
            ),
            build: merged.build.clone(),
            digest: merged.digest(),
            gaps: merged.gaps.len(),
            rows,
            outcomes: Outcome::ALL
                .into_iter()
                .map(|(outcome, name)| (class(outcome), name, sum.outcome(outcome)))
                .collect(),
            histograms: histograms(merged),
        }
    }
}

fn cell(level: CheckLevel, row: &Row) -> Cell {
    let scale = Scale {
        from: 0.0,
        to: row.cases as f64,
        left: 0.0,
        right: BAR_WIDTH,
    };
    let (mut segments, mut from, mut told) = (Vec::new(), 0.0, Vec::new());
    for (outcome, name) in Outcome::ALL {
        let count = row.outcome(outcome);
        let to = from + count as f64;
        let title = format!("{name}: {count}");
        segments.extend(scale.segment(from, to, class(outcome), title.clone(), ""));
        if count > 0 {
            told.push(title);
        }
        from = to;
    }
    Cell {
        level: level.id(),
        activated: row.activated,
        found: row.found,
        broken: row.breaches.len(),
        segments,
        title: format!("{} cases. {}", row.cases, told.join(", ")),
    }
}

/// Distances from the cause, in operations and in cycles, by level.
fn histograms(merged: &Merged) -> Vec<Histogram> {
    let mut histograms = Vec::new();
    for unit in ["operations", "cycles"] {
        for level in CheckLevel::ALL {
            let readings = merged.readings.values();
            let of_level = readings.filter(|reading| reading.case.level == *level);
            let values: Vec<u64> = of_level
                .filter_map(|Reading { verdict, .. }| match unit {
                    "operations" => verdict.ops_to_find,
                    _ => verdict.cycles_to_find.map(u64::from),
                })
                .collect();
            let title = format!("{unit} at {level}");
            histograms.push(Histogram::doubling(title, &values, unit));
        }
    }
    histograms
}

/// Adds the cases that are worth a look, the worst first. Answers how many there was no room for.
pub(crate) fn add_findings(findings: &mut Vec<Finding>, merged: &Merged) -> usize {
    for conflict in &merged.conflicts {
        if let Some(reading) = merged.readings.get(&conflict.case) {
            let mut finding = finding(reading, merged.options.seed);
            finding.kind = "two verdicts";
            finding.tone = "bad";
            finding.id = format!("conflict-{}-{}", conflict.case, findings.len());
            finding.summary = format!(
                "{} says {}; {} says {}",
                conflict.here.0, conflict.here.1, conflict.there.0, conflict.there.1
            );
            findings.push(finding);
        }
    }
    let rank = |reading: &Reading| match (reading.verdict.breach, tone(reading.verdict.outcome)) {
        (Some(_), _) => 0,
        (None, "bad") => 1,
        (None, "odd") => 2,
        _ => 3,
    };
    let mut worth: Vec<&Reading> = merged
        .readings
        .values()
        .filter(|reading| rank(reading) < 3)
        .collect();
    worth.sort_by_key(|reading| (rank(reading), reading.case.index));
    let left_out = worth.len().saturating_sub(CASES_MAX);
    let shown = worth.into_iter().take(CASES_MAX);
    findings.extend(shown.map(|reading| finding(reading, merged.options.seed)));
    left_out
}

fn finding(reading: &Reading, seed: u64) -> Finding {
    let Reading { case, verdict } = reading;
    let summary = match (&verdict.found, verdict.breach) {
        (_, Some(breach)) => format!("broken promise: {breach}"),
        (Some(told), None) => format!("first reported by {}", told.check),
        (None, None) => "nothing was reported".to_string(),
    };
    let why = if verdict.why.is_empty() {
        String::new()
    } else {
        format!(" – {}", verdict.why)
    };
    Finding {
        id: format!("case-{}", case.index),
        kind: verdict.outcome.id(),
        tone: if verdict.breach.is_some() {
            "bad"
        } else {
            tone(verdict.outcome)
        },
        title: format!("case {}: {case} at {}", case.index, case.level),
        summary: format!("{summary}{why}"),
        body: Body::Case(case_view(reading, seed)),
    }
}

fn case_view(reading: &Reading, seed: u64) -> CaseView {
    let Reading { case, verdict } = reading;
    let scale = Scale {
        from: 0.0,
        to: case.ops as f64,
        left: 0.0,
        right: 900.0,
    };
    let struck = case.strike_at as f64;
    let found = verdict.found.as_ref().map(|told| told.at_op as f64);
    let until = found.unwrap_or(scale.to).max(struck);
    let stretches = [
        (0.0, struck, "sound", "before the fault"),
        (struck, until, "unseen", "the fault is there, unseen"),
        (until, scale.to, "seen", "it was reported"),
    ];
    let segments = stretches
        .into_iter()
        .filter_map(|(from, to, class, title)| {
            scale.segment(from, to, class, title.to_string(), class)
        });
    let mark = |at: f64, class, label: String| {
        let x = scale.at(at);
        Mark {
            x: length(x),
            class,
            anchor: if x > 450.0 { "end" } else { "start" },
            label,
        }
    };
    let mut marks = vec![mark(
        struck,
        "stored",
        format!("fault at {}", case.strike_at),
    )];
    if let Some(told) = &verdict.found {
        let label = format!("{} at {}", told.check, told.at_op);
        marks.push(mark(told.at_op as f64, "reported", label));
    }
    CaseView {
        facts: facts(reading),
        segments: segments.collect(),
        marks,
        ticks: scale.ticks(8),
        command: format!(
            "gc-stress campaign --seed {seed} --cases {}..{} --json",
            case.index,
            case.index + 1
        ),
    }
}

fn facts(reading: &Reading) -> Vec<(&'static str, String)> {
    let Reading { case, verdict } = reading;
    let mut facts = vec![
        ("outcome", verdict.outcome.id().to_string()),
        (
            "took place",
            if verdict.is_activated { "yes" } else { "no" }.to_string(),
        ),
        (
            "policy, driver",
            format!("{}, {}", case.rules.id(), case.driver_id()),
        ),
        ("live objects lost", verdict.lost.to_string()),
        (
            "quarantined",
            format!("{} bytes", verdict.quarantined_bytes),
        ),
    ];
    let distance = verdict.ops_to_find.zip(verdict.cycles_to_find);
    if let Some((ops, cycles)) = distance {
        facts.push(("distance", format!("{ops} operations, {cycles} cycles")));
    }
    if !verdict.why.is_empty() {
        facts.push(("why", verdict.why.clone()));
    }
    facts
}
