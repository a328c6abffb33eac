//! A recorded run as it is seen on the page: facts, timelines, maps, and the story of a short one.
//!
//! Built from what `watched` saw; `lanes` and `maps` draw. Operations are counted from 1, as everywhere that people read.

use std::path::Path;

use super::lanes::{Timeline, timeline};
use super::maps::{HeapMap, maps};
use super::watched::{STORY_OPS_MAX, Watched, watch};
use super::{Body, Finding, Options};
use crate::error::Error;
use crate::lab::{self, Goal, Setup};
use crate::ops::{Trace, op_text};

/// Operations before and behind the first violation that are drawn once more, larger.
const FOCUS_BEFORE: usize = 60;
const FOCUS_BEHIND: usize = 20;
/// See the module.
pub(crate) struct RunView {
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) violations: Vec<(&'static str, u64)>,
    pub(crate) timelines: Vec<Timeline>,
    pub(crate) maps: Vec<HeapMap>,
    pub(crate) story: Vec<Sentence>,
    pub(crate) story_note: String,
    pub(crate) command: String,
}

/// A line of a story.
pub(crate) struct Sentence {
    /// The operation, from 1, of a line that is one.
    pub(crate) op: Option<usize>,
    pub(crate) text: String,
    pub(crate) is_report: bool,
}

/// A trace as a finding.
pub(crate) fn finding(number: usize, path: &Path, options: &Options) -> Result<Finding, Error> {
    let (mut trace, is_this_build) = lab::read(path, options.is_other_build_allowed)?;
    let setup = lab::setup(&trace.header)?;
    let mut note = String::new();
    let before = trace.program.ops.len();
    if before > STORY_OPS_MAX && !options.shrink_for.is_zero() {
        trace = shrunk(trace, &setup, options)?;
        let after = trace.program.ops.len();
        note = format!("Shrunk for this page from {before} operations to {after}.");
    }
    let watched = watch(&trace.program, &setup)?;
    let file = path.display().to_string();
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let check = watched.first.map(|(first, _)| first.check.id());
    let summary = match &watched.first {
        Some((first, op)) => format!(
            "{} at operation {} of {}: {}",
            first.check,
            op + 1,
            trace.program.ops.len(),
            first.first_line()
        ),
        None => format!("no violation in {} operations", trace.program.ops.len()),
    };
    if !is_this_build {
        note += " Another build recorded it: it may do other things here.";
    }
    Ok(Finding {
        id: format!("run-{number}"),
        kind: "recorded run",
        tone: if !watched.outcome.lost.is_empty() {
            "bad"
        } else if check.is_some() {
            "odd"
        } else {
            "good"
        },
        title: format!("{}: {name}", trace.header.scenario),
        summary,
        body: Body::Run(Box::new(view(&trace, &watched, &file, note)?)),
    })
}

/// The trace as far as it is needed for its first violation.
fn shrunk(trace: Trace, setup: &Setup, options: &Options) -> Result<Trace, Error> {
    let Some(goal) = Goal::of(&lab::run(&trace.program, setup)?) else {
        return Ok(trace);
    };
    let budget = options.shrink_for;
    let shrunk = lab::shrink(&trace.program, &goal, setup, budget, &mut |_, _| Ok(()))?;
    Ok(Trace {
        program: shrunk.program,
        ..trace
    })
}

fn view(trace: &Trace, watched: &Watched, file: &str, note: String) -> Result<RunView, Error> {
    let ops = trace.program.ops.len();
    let mut timelines = vec![timeline("The whole run".to_string(), watched, 0..ops)];
    if let Some((_, first)) = watched.first
        && ops > 2 * (FOCUS_BEFORE + FOCUS_BEHIND)
    {
        let window = first.saturating_sub(FOCUS_BEFORE)..(first + FOCUS_BEHIND).min(ops);
        let title = format!("Operations {} to {}", window.start + 1, window.end);
        timelines.push(timeline(title, watched, window));
    }
    let (story, story_note) = if ops <= STORY_OPS_MAX {
        (story(trace, watched)?, note)
    } else {
        let how = format!(
            "{note} The program has {ops} operations, which is no story. Shrinking makes it one: gc-stress \
             shrink {file} -o small.gctrace, or gc-stress report --shrink 30."
        );
        (Vec::new(), how.trim().to_string())
    };
    Ok(RunView {
        facts: facts(trace, watched),
        violations: watched
            .outcome
            .violations
            .iter()
            .map(|(check, count)| (check.id(), *count))
            .collect(),
        timelines,
        maps: maps(watched),
        story,
        story_note,
        command: format!("gc-stress replay {file}"),
    })
}

fn facts(trace: &Trace, watched: &Watched) -> Vec<(&'static str, String)> {
    let (header, outcome) = (&trace.header, &watched.outcome);
    let mut facts = vec![
        (
            "recorded under",
            format!(
                "seed {}, policy {}, checks {}",
                header.seed, header.policy, header.checks
            ),
        ),
        ("operations", trace.program.ops.len().to_string()),
        ("cycles", outcome.cycles.to_string()),
    ];
    if let Some((first, op)) = &watched.first {
        let text = trace.program.ops.get(*op);
        let text = text.map_or_else(String::new, |op| op_text(op, &trace.program.kinds));
        facts.push(("first report", first.first_line().to_string()));
        facts.push(("at operation", format!("{}: {text}", op + 1)));
        facts.push((
            "in cycle",
            format!("{}, phase {}", first.cycle, first.phase),
        ));
        if let Some(span) = first.span {
            let slot = first
                .slot
                .map_or(String::new(), |slot| format!(", slot {slot}"));
            facts.push(("in span", format!("{span}{slot}")));
        }
    }
    if let Some(met) = outcome.first() {
        if let Some(site) = met.call_site() {
            facts.push(("guilty store", site));
        }
        if let Some(store) = met.store {
            facts.push(("brought in by", format!("operation {}", store + 1)));
        }
    }
    facts.push((
        "live objects",
        format!(
            "{} checked, {} lost",
            outcome.live_checked,
            outcome.lost.len()
        ),
    ));
    facts.push((
        "quarantined",
        format!("{} bytes", outcome.quarantined_bytes),
    ));
    facts
}

fn story(trace: &Trace, watched: &Watched) -> Result<Vec<Sentence>, Error> {
    let mut text = Vec::new();
    lab::write_story(&mut text, trace, &watched.outcome)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // The first line says what the page says above; the last one, behind an empty one, as well.
    let lines = text.lines().skip(2).take_while(|line| !line.is_empty());
    Ok(lines
        .map(|line| {
            let line = line.trim();
            let number = line.split_once("  ");
            match number.and_then(|(number, text)| Some((number.parse().ok()?, text))) {
                Some((op, text)) => Sentence {
                    op: Some(op),
                    text: text.to_string(),
                    is_report: false,
                },
                None => Sentence {
                    op: None,
                    text: line.trim_start_matches(">> ").to_string(),
                    is_report: true,
                },
            }
        })
        .collect())
}
