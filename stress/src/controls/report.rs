//! The reports of the controls, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::{Condition, ControlsOptions, ControlsOutcome, Finding};
use crate::json::write_line;

/// The driver of every control.
const DRIVER: &str = "background";

#[derive(Serialize)]
struct Begin {
    event: &'static str,
    seed: u64,
    objects: u64,
    threads: usize,
    driver: &'static str,
}

/// One heap under one condition.
#[derive(Serialize, Deserialize)]
struct Line {
    event: String,
    condition: String,
    checks: String,
    objects_marked: u64,
    cycles: u64,
    refused: u64,
    stops: u64,
    violations: BTreeMap<String, u64>,
    first: Option<String>,
    is_sound: bool,
}

/// The last line.
#[derive(Serialize)]
struct End {
    event: &'static str,
    objects_marked: u64,
    violations: u64,
    false_positives_below: Option<f64>,
    is_sound: bool,
    threads: usize,
    driver: &'static str,
}

/// Writes what the controls were told, as JSON.
pub fn write_json_begin(out: &mut dyn Write, options: &ControlsOptions) -> io::Result<()> {
    let begin = Begin {
        event: "begin",
        seed: options.seed,
        objects: options.objects,
        threads: 1,
        driver: DRIVER,
    };
    write_line(out, &begin)
}

/// Writes one finding, as JSON.
pub fn write_json_finding(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let line = Line {
        event: "condition".to_string(),
        condition: finding.condition.id().to_string(),
        checks: finding.checks.clone(),
        objects_marked: finding.objects_marked,
        cycles: finding.cycles,
        refused: finding.refused,
        stops: finding.stops,
        violations: finding.violations.iter().cloned().collect(),
        first: finding.first.clone(),
        is_sound: finding.is_sound,
    };
    write_line(out, &line)
}

/// The first finding that a child has written among other lines.
pub(super) fn read_finding(text: &str) -> Option<Finding> {
    let line: Line = text
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())?;
    Some(Finding {
        condition: Condition::from_id(&line.condition)?,
        checks: line.checks,
        objects_marked: line.objects_marked,
        cycles: line.cycles,
        refused: line.refused,
        stops: line.stops,
        violations: line.violations.into_iter().collect(),
        first: line.first,
        is_sound: line.is_sound,
    })
}

/// Writes what they came to, as JSON.
pub fn write_json_end(out: &mut dyn Write, outcome: &ControlsOutcome) -> io::Result<()> {
    let end = End {
        event: "end",
        objects_marked: outcome.objects_marked(),
        violations: outcome.violations(),
        false_positives_below: outcome.false_positives_below(),
        is_sound: outcome.findings.iter().all(|one| one.is_sound),
        threads: 1,
        driver: DRIVER,
    };
    write_line(out, &end)
}

/// Writes what is about to happen.
pub fn write_opening(out: &mut dyn Write, options: &ControlsOptions) -> io::Result<()> {
    writeln!(
        out,
        "gc-stress controls: seed {}, {} objects to mark\n
Heaps that nobody breaks, under conditions that make detectors lie: a violation is a false alarm.\n
{:<10}{:<10}{:>15}{:>10}{:>10}{:>8}{:>8}",
        options.seed,
        options.objects,
        "condition",
        "checks",
        "objects marked",
        "cycles",
        "refused",
        "stops",
        "alarms"
    )?;
    out.flush()
}

/// Writes one finding.
pub fn write_finding(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    let alarms: u64 = finding.violations.iter().map(|(_, count)| count).sum();
    writeln!(
        out,
        "{:<10}{:<10}{:>15}{:>10}{:>10}{:>8}{:>8}",
        finding.condition.id(),
        finding.checks,
        finding.objects_marked,
        finding.cycles,
        finding.refused,
        finding.stops,
        alarms
    )?;
    if let Some(first) = &finding.first {
        writeln!(out, "{first}")?;
    }
    if !finding.is_sound {
        writeln!(
            out,
            "the second opinion or the books of this heap are wrong"
        )?;
    }
    out.flush()
}

/// Writes what they came to.
pub fn write_outcome(out: &mut dyn Write, outcome: &ControlsOutcome) -> io::Result<()> {
    let objects = outcome.objects_marked();
    match outcome.false_positives_below() {
        Some(bound) => writeln!(
            out,
            "\nno false alarm in {objects} objects marked: a rate below {bound:.1e} each, at 95 %"
        ),
        None => writeln!(
            out,
            "\n{} false alarms in {objects} objects marked",
            outcome.violations()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_that_is_written_can_be_read_again() {
        let finding = Finding {
            condition: Condition::Busy,
            checks: "default".to_string(),
            objects_marked: 7,
            cycles: 2,
            refused: 0,
            stops: 0,
            violations: vec![("ledger".to_string(), 3)],
            first: Some("two\nlines".to_string()),
            is_sound: false,
        };
        let mut text = b"{\"event\":\"begin\"}\n".to_vec();
        write_json_finding(&mut text, &finding).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(read_finding(&text), Some(finding));
        assert_eq!(read_finding("{\"event\":\"begin\"}\nnonsense"), None);
    }
}
