//! What a cycle did and how long it took: for its report, and for events.
//!
//! Written by the cycle at its turning points, under its lock. Deliberately absent: anything that decides
//! what the cycle does.

use std::time::{Duration, Instant};

use gc_hooks::Phase;
use gc_sweep::{CycleKind, Usage};

use crate::events::Event;
use crate::progress::{CycleReport, Reclaiming};
use crate::request::Handshake;
use crate::shared::Shared;
use crate::timeline::Moment;

/// See the module.
pub(super) struct Tally {
    number: u32,
    kind: CycleKind,
    /// By phase.
    spent: [Duration; Phase::ALL.len()],
    /// By phase: whether the cycle went through it.
    was_in: [bool; Phase::ALL.len()],
    /// When the cycle was opened.
    opened: Instant,
    /// When the phase in progress began.
    since: Instant,
    /// When the last handshake was asked for.
    asked: Instant,
    /// The cycle has ended: what comes until the next one is no part of it.
    is_over: bool,
    /// Objects and their bytes, as of the flip.
    marked: (u64, u64),
    at_flip: Usage,
}

impl Tally {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Tally {
            number: 0,
            kind: CycleKind::Full,
            spent: [Duration::ZERO; Phase::ALL.len()],
            was_in: [false; Phase::ALL.len()],
            opened: now,
            since: now,
            asked: now,
            is_over: true,
            marked: (0, 0),
            at_flip: Usage::default(),
        }
    }

    /// A cycle is opened.
    pub(super) fn open(&mut self, shared: &Shared, number: u32, kind: CycleKind) {
        *self = Tally {
            number,
            kind,
            is_over: false,
            ..Tally::new()
        };
        shared.progress.take_marked();
        shared.events.post(Event::Started {
            cycle: number,
            kind,
            bytes_live: shared.totals().bytes_used(),
            bytes_goal: shared.progress.pacer().goal_bytes(),
        });
    }

    /// A phase ends and another one begins.
    pub(super) fn leave(&mut self, shared: &Shared, phase: Phase) {
        let now = Instant::now();
        if let Some(timeline) = &shared.timeline
            && !self.is_over
            && phase != Phase::Idle
        {
            timeline.post(Moment::Phase {
                cycle: self.number,
                phase,
                at: timeline.stretch(self.since, now),
            });
        }
        self.spent[phase as usize] += now - self.since;
        self.was_in[phase as usize] = true;
        self.since = now;
    }

    /// The cycle is about to flip.
    pub(super) fn flip(&mut self, shared: &Shared, late_returns: u32, voided_before: u32) {
        self.leave(shared, Phase::Clear);
        self.count_phases(shared);
        self.marked = shared.progress.take_marked();
        self.at_flip = shared.space.usage();
        let (objects_marked, bytes_marked) = self.marked;
        shared.events.post(Event::Flipped {
            cycle: self.number,
            spent: self.spent,
            objects_marked,
            bytes_marked,
            bytes_live: shared.totals().bytes_used(),
            late_returns,
            voided_before,
        });
    }

    /// A handshake is asked for.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = now;
    }

    /// Everyone has answered.
    pub(super) fn answered(&self, shared: &Shared, handshake: Handshake) {
        if let Some(timeline) = &shared.timeline {
            timeline.post(Moment::Handshake {
                cycle: self.number,
                handshake,
                at: timeline.stretch(self.asked, Instant::now()),
            });
        }
    }

    /// The cycle has ended when its last phase did.
    fn end(&mut self, shared: &Shared, voided: Option<&'static str>, bytes_freed: u64) {
        self.is_over = true;
        let Some(timeline) = &shared.timeline else {
            return;
        };
        timeline.post(Moment::Cycle {
            cycle: self.number,
            at: timeline.stretch(self.opened, self.since),
            voided,
            bytes_freed,
        });
        timeline.post(Moment::Level {
            bytes_live: shared.totals().bytes_used(),
            bytes_goal: shared.progress.pacer().goal_bytes(),
            bytes_quarantined: shared.space.usage().bytes_quarantined,
            at_ns: timeline.ns(self.since),
        });
    }

    /// Counts what the cycle has spent in each phase it went through up to the flip.
    fn count_phases(&self, shared: &Shared) {
        for (&phase, &spent) in Phase::ALL.iter().zip(&self.spent) {
            let is_counted = !matches!(phase, Phase::Idle | Phase::Sweep);
            if is_counted && self.was_in[phase as usize] {
                shared.progress.add_phase(phase, spent);
            }
        }
    }

    /// The cycle ends without freeing anything.
    pub(super) fn void(&mut self, shared: &Shared, reason: &'static str, voided_in_a_row: u32) {
        self.count_phases(shared);
        self.end(shared, Some(reason), 0);
        shared.events.post(Event::Voided {
            cycle: self.number,
            ended: self.since,
            spent: self.spent,
            reason,
            voided_in_a_row,
            has_stopped_reclaiming: shared.progress.reclaiming() == Reclaiming::Stopped,
        });
    }

    /// The sweep is over.
    pub(super) fn finish(&mut self, shared: &Shared) -> CycleReport {
        self.leave(shared, Phase::Sweep);
        let sweep = self.spent[Phase::Sweep as usize];
        shared.progress.add_phase(Phase::Sweep, sweep);
        let (before, usage) = (self.at_flip, shared.space.usage());
        let bytes_freed = usage
            .bytes_freed_total
            .saturating_sub(before.bytes_freed_total);
        let bytes_live = shared.totals().bytes_used();
        self.end(shared, None, bytes_freed);
        shared.events.post(Event::Swept {
            cycle: self.number,
            ended: self.since,
            spent: self.spent[Phase::Sweep as usize],
            objects_freed: usage
                .objects_freed_total
                .saturating_sub(before.objects_freed_total),
            bytes_freed,
            bytes_live,
            bytes_quarantined: usage.bytes_quarantined,
            // Every span that was in use at the flip was due.
            spans_swept: before.spans,
            spans_withdrawn: usage
                .spans_quarantined
                .saturating_sub(before.spans_quarantined),
            bytes_returned: usage.bytes_released.saturating_sub(before.bytes_released),
        });
        let (objects_marked, bytes_marked) = self.marked;
        CycleReport {
            cycle: self.number,
            kind: self.kind,
            objects_marked,
            bytes_marked,
            bytes_freed,
            bytes_live,
        }
    }
}
