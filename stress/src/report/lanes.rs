//! Timelines: what the collector did, what became of the slot in question, and what was reported, over the
//! operations of a run.
//!
//! An operation is a stretch of its own; phases that are passed within one share it. Operations are counted
//! from 1.

use gc_core::Phase;

use super::drawing::{Scale, Segment, Tick, length, meaning};
use super::watched::{Stand, State, Watched};

/// Both ends of the lanes.
const LANES_LEFT: f64 = 110.0;
const LANES_RIGHT: f64 = 950.0;

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

/// The lanes of a run, or of a part of it.
pub(crate) fn timeline(
    title: String,
    watched: &Watched,
    window: std::ops::Range<usize>,
) -> Timeline {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_one_stand_to_the_next_leads_through_every_phase() {
        let stand = |cycle, phase| Stand {
            op: 0,
            cycle,
            phase,
        };
        let way =
            |from: (u32, Phase), to: (u32, Phase)| passed(stand(from.0, from.1), stand(to.0, to.1));
        use Phase::{Arm, Clear, Idle, Mark, Settle, Snapshot, Sweep, Terminate};
        assert_eq!(way((1, Idle), (1, Idle)), [Idle]);
        assert_eq!(way((1, Idle), (2, Mark)), [Arm, Settle, Snapshot, Mark]);
        assert_eq!(way((2, Mark), (2, Idle)), [Terminate, Clear, Sweep, Idle]);
        assert_eq!(way((2, Terminate), (2, Mark)), [Mark]);
        let whole = [Arm, Settle, Snapshot, Mark, Terminate, Clear, Sweep, Idle];
        assert_eq!(way((1, Idle), (2, Idle)), whole);
        assert_eq!(way((1, Clear), (2, Arm)), [Sweep, Arm]);
    }
}
