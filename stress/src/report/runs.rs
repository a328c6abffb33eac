//! A recorded run as it is seen on the page: timelines, heap maps, and the story of a short one.
//!
//! Built from what `watched` saw. Operations are counted from 1, as everywhere that people read.

use std::path::Path;

use gc_core::Phase;

use super::drawing::{Scale, Segment, Tick, length, meaning};
use super::watched::{STORY_OPS_MAX, Shot, Stand, State, Watched, watch};
use super::{Body, Finding, Options};
use crate::error::Error;
use crate::lab::{self, Goal, Setup};
use crate::ops::{Trace, op_text};

/// Operations before and behind the first violation that are drawn once more, larger.
const FOCUS_BEFORE: usize = 60;
const FOCUS_BEHIND: usize = 20;
/// Both ends of the lanes.
const LANES_LEFT: f64 = 110.0;
const LANES_RIGHT: f64 = 950.0;

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

/// Lanes over operations.
pub(crate) struct Timeline {
    pub(crate) title: String,
    pub(crate) phases: Vec<Segment>,
    pub(crate) cycles: Vec<Segment>,
    pub(crate) life: Vec<Segment>,
    pub(crate) reports: Vec<Segment>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) ticks: Vec<Tick>,
}

/// A line across all lanes.
pub(crate) struct Mark {
    pub(crate) x: String,
    pub(crate) class: &'static str,
    pub(crate) anchor: &'static str,
    pub(crate) label: String,
}

/// The slots of a span, each coloured by its state byte.
pub(crate) struct HeapMap {
    pub(crate) title: String,
    pub(crate) facts: String,
    pub(crate) columns: usize,
    pub(crate) cell: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Class and outline of the slots of that class.
    pub(crate) paths: Vec<(&'static str, String)>,
    pub(crate) guilty: Option<(usize, usize)>,
    pub(crate) colour: u8,
    pub(crate) bytes: String,
    pub(crate) legend: Vec<Legend>,
    /// Colour and bytes after each operation, where they were kept.
    pub(crate) frames: Vec<Frame>,
    /// The operation that is shown, from 1.
    pub(crate) op: usize,
}

/// What one byte means, and how many slots have it.
pub(crate) struct Legend {
    pub(crate) class: &'static str,
    pub(crate) byte: String,
    pub(crate) meaning: String,
    pub(crate) slots: usize,
}

/// A span after an operation.
pub(crate) struct Frame {
    pub(crate) colour: u8,
    pub(crate) bytes: String,
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

/// The phases of a cycle in their order.
const PHASES: [Phase; 8] = [
    Phase::Idle,
    Phase::Arm,
    Phase::Settle,
    Phase::Snapshot,
    Phase::Mark,
    Phase::Terminate,
    Phase::Clear,
    Phase::Sweep,
];

/// The phases that were passed on the way from one stand to the next, the last one included.
fn passed(from: Stand, to: Stand) -> Vec<Phase> {
    let place = |phase: Phase| PHASES.iter().position(|known| *known == phase).unwrap_or(0);
    let (start, end) = (place(from.phase), place(to.phase));
    if (from.cycle, from.phase) == (to.cycle, to.phase) {
        return vec![to.phase];
    }
    if from.cycle == to.cycle {
        return match to.phase {
            Phase::Idle => PHASES[start + 1..]
                .iter()
                .copied()
                .chain([Phase::Idle])
                .collect(),
            _ if end > start => PHASES[start + 1..=end].to_vec(),
            phase => vec![phase],
        };
    }
    let rest = if start == 0 {
        &[][..]
    } else {
        &PHASES[start + 1..]
    };
    let begun = match to.phase {
        Phase::Idle => PHASES[1..].iter().copied().chain([Phase::Idle]).collect(),
        _ => PHASES[1..=end].to_vec(),
    };
    rest.iter().copied().chain(begun).collect()
}

fn timeline(title: String, watched: &Watched, window: std::ops::Range<usize>) -> Timeline {
    let scale = Scale {
        from: (window.start + 1) as f64,
        to: (window.end + 1) as f64,
        left: LANES_LEFT,
        right: LANES_RIGHT,
    };
    let mut marks = Vec::new();
    let mut mark = |op: usize, class: &'static str, label: String| {
        if window.contains(&op) {
            let x = scale.at(op as f64 + 1.5);
            let is_late = x > (LANES_LEFT + LANES_RIGHT) / 2.0;
            marks.push(Mark {
                x: length(x),
                class,
                anchor: if is_late { "end" } else { "start" },
                label,
            });
        }
    };
    if let Some((first, op)) = &watched.first {
        mark(*op, "reported", format!("{} at {}", first.check, op + 1));
    }
    let store = watched.outcome.first().and_then(|met| met.store);
    if let Some(store) = store.filter(|store| watched.first.is_none_or(|(_, op)| op != *store)) {
        mark(store, "stored", format!("brought in at {}", store + 1));
    }
    Timeline {
        title,
        phases: phases(watched, &scale, window.end),
        cycles: cycles(watched, &scale, window.end),
        life: life(watched, &scale, window.end),
        reports: watched
            .outcome
            .met
            .iter()
            .filter_map(|met| {
                let at = met.op as f64 + 1.0;
                let title = format!(
                    "operation {}: {} {} times",
                    met.op + 1,
                    met.check,
                    met.count
                );
                let width = (scale.to - scale.from) / 400.0;
                scale.segment(at, at + width.max(1.0), "report", title, "")
            })
            .collect(),
        marks,
        ticks: scale.ticks(8),
    }
}

fn phases(watched: &Watched, scale: &Scale, end: usize) -> Vec<Segment> {
    let mut last = Stand {
        op: 0,
        cycle: 0,
        phase: Phase::Idle,
    };
    let mut segments = Vec::new();
    let ends = watched
        .stands
        .iter()
        .skip(1)
        .map(|stand| stand.op)
        .chain([end]);
    for (stand, until) in watched.stands.iter().zip(ends) {
        let way = passed(last, *stand);
        let each = 1.0 / way.len() as f64;
        for (at, phase) in way.iter().enumerate() {
            let from = stand.op as f64 + 1.0 + each * at as f64;
            let is_last = at + 1 == way.len();
            let to = if is_last {
                until as f64 + 1.0
            } else {
                from + each
            };
            let title = format!("{phase}, cycle {}", stand.cycle);
            let class = format!("phase-{}", phase.id());
            segments.extend(scale.segment(from, to.max(from + each), &class, title, phase.id()));
        }
        last = *stand;
    }
    segments
}

fn cycles(watched: &Watched, scale: &Scale, end: usize) -> Vec<Segment> {
    let mut begun: Vec<(usize, u32)> = Vec::new();
    for stand in &watched.stands {
        if begun.last().is_none_or(|(_, cycle)| *cycle != stand.cycle) {
            begun.push((stand.op, stand.cycle));
        }
    }
    let ends = begun.iter().skip(1).map(|(op, _)| *op).chain([end]);
    begun
        .iter()
        .zip(ends)
        .filter_map(|((op, cycle), until)| {
            let class = if cycle.is_multiple_of(2) {
                "cycle-even"
            } else {
                "cycle-odd"
            };
            let (from, to) = (*op as f64 + 1.0, until as f64 + 1.0);
            scale.segment(
                from,
                to,
                class,
                format!("cycle {cycle}"),
                &cycle.to_string(),
            )
        })
        .collect()
}

fn life(watched: &Watched, scale: &Scale, end: usize) -> Vec<Segment> {
    let ends = watched
        .life
        .iter()
        .skip(1)
        .map(|state| state.op)
        .chain([end]);
    watched
        .life
        .iter()
        .zip(ends)
        .filter_map(|(State { op, byte, colour }, until)| {
            let (class, words) = meaning(*byte, *colour);
            let (from, to) = (*op as f64 + 1.0, until as f64 + 1.0);
            scale.segment(
                from,
                to,
                &format!("slot-{class}"),
                format!("{byte:#04x}: {words}"),
                class,
            )
        })
        .collect()
}

fn maps(watched: &Watched) -> Vec<HeapMap> {
    let mut maps = Vec::new();
    if let Some(shot) = &watched.at_first {
        let title = format!("Span {} when it was first reported", shot.view.first_page);
        let mut map = map(title, shot);
        map.frames = watched
            .frames
            .iter()
            .map(|frame| match frame {
                Some(shot) => Frame {
                    colour: shot.colour,
                    bytes: hex(&shot.view.states),
                },
                None => Frame {
                    colour: 0,
                    bytes: String::new(),
                },
            })
            .collect();
        maps.push(map);
    }
    for shot in &watched.at_end {
        let is_same = watched.at_first.as_ref().is_some_and(|first| {
            (first.view.first_page, &first.view.states) == (shot.view.first_page, &shot.view.states)
                && first.view.state == shot.view.state
        });
        if !is_same {
            maps.push(map(
                format!("Span {} at the end", shot.view.first_page),
                shot,
            ));
        }
    }
    maps
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn map(title: String, shot: &Shot) -> HeapMap {
    let view = &shot.view;
    let slots = view.states.len();
    let (columns, cell) = match slots {
        0..=64 => (16, 18),
        65..=512 => (32, 16),
        _ => (64, 12),
    };
    let mut paths: Vec<(&'static str, String)> = Vec::new();
    let mut legend: Vec<(u8, usize)> = Vec::new();
    for (slot, byte) in view.states.iter().enumerate() {
        let (class, _) = meaning(*byte, shot.colour);
        let (x, y, side) = (slot % columns * cell, slot / columns * cell, cell - 2);
        let square = format!("M{x} {y}h{side}v{side}h-{side}z");
        match paths.iter_mut().find(|(known, _)| *known == class) {
            Some((_, path)) => path.push_str(&square),
            None => paths.push((class, square)),
        }
        match legend.iter_mut().find(|(known, _)| known == byte) {
            Some((_, slots)) => *slots += 1,
            None => legend.push((*byte, 1)),
        }
    }
    legend.sort_unstable();
    let place = |slot: u32| {
        (
            slot as usize % columns * cell,
            slot as usize / columns * cell,
        )
    };
    HeapMap {
        title,
        facts: format!(
            "{}, {} slots of {} bytes, {}; {} objects in its books, {} slots withdrawn, last swept in cycle {}",
            view.type_name
                .map_or("?".to_string(), crate::outcome::type_name),
            slots,
            view.slot_bytes,
            view.state,
            view.alloc_count,
            view.slots_quarantined,
            view.generation
        ),
        columns,
        cell,
        width: columns * cell,
        height: slots.div_ceil(columns) * cell,
        paths,
        guilty: shot.slot.filter(|slot| (*slot as usize) < slots).map(place),
        colour: shot.colour,
        bytes: hex(&view.states),
        legend: legend
            .into_iter()
            .map(|(byte, slots)| {
                let (class, meaning) = meaning(byte, shot.colour);
                Legend {
                    class,
                    byte: format!("{byte:#04x}"),
                    meaning,
                    slots,
                }
            })
            .collect(),
        frames: Vec::new(),
        op: shot.op + 1,
    }
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
