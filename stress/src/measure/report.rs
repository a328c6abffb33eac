//! The figures, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::{Figure, Goal, cores};
use crate::json::write_line;

#[derive(Serialize)]
struct Line<'a> {
    metric: &'a str,
    unit: &'a str,
    value: f64,
    goal: Option<String>,
    met: Option<bool>,
}

/// The last line. Each figure has its own threads and driver; here stand the most of them.
#[derive(Serialize)]
struct End {
    event: &'static str,
    scenario: &'static str,
    quick: bool,
    cores: usize,
    goals: usize,
    goals_met: usize,
    threads: usize,
    driver: &'static str,
}

fn goal_text(goal: Goal) -> String {
    match goal {
        Goal::AtMost(most) => format!("<= {most}"),
        Goal::AtLeast(least) => format!(">= {least}"),
    }
}

/// Writes one figure, as JSON.
pub fn write_json(out: &mut dyn Write, figure: &Figure) -> io::Result<()> {
    let line = Line {
        metric: &figure.metric,
        unit: figure.unit,
        value: figure.value,
        goal: figure.goal.map(goal_text),
        met: figure.goal.map(|goal| goal.is_met_by(figure.value)),
    };
    write_line(out, &line)?;
    out.flush()
}

/// Writes the last line, as JSON.
pub fn write_json_end(out: &mut dyn Write, figures: &[Figure], quick: bool) -> io::Result<()> {
    let (goals, goals_met) = count(figures);
    let end = End {
        event: "end",
        scenario: "measure",
        quick,
        cores: cores(),
        goals,
        goals_met,
        threads: 2,
        driver: "background:2",
    };
    write_line(out, &end)
}

/// Writes one figure.
pub fn write_human(out: &mut dyn Write, figure: &Figure) -> io::Result<()> {
    let value = match figure.unit {
        "ratio" => format!("{:.2}", figure.value),
        unit => format!("{:.0} {unit}", figure.value),
    };
    let verdict = figure.goal.map_or(String::new(), |goal| {
        let met = if goal.is_met_by(figure.value) {
            "met"
        } else {
            "MISSED"
        };
        format!("   goal {}: {met}", goal_text(goal))
    });
    writeln!(out, "{:<36}{value:>18}{verdict}", figure.metric)?;
    out.flush()
}

/// Writes the last line.
pub fn write_human_end(out: &mut dyn Write, figures: &[Figure]) -> io::Result<()> {
    let (goals, goals_met) = count(figures);
    writeln!(
        out,
        "\n{goals_met} of {goals} goals met, on {} cores",
        cores()
    )
}

/// Goals, and goals met.
fn count(figures: &[Figure]) -> (usize, usize) {
    let goals = || {
        figures
            .iter()
            .filter_map(|figure| Some((figure.goal?, figure.value)))
    };
    let met = goals()
        .filter(|(goal, value)| goal.is_met_by(*value))
        .count();
    (goals().count(), met)
}
