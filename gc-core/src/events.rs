//! What the collector tells the world of its cycles: `tracing` events, and a line a cycle where one is
//! asked for, told where violations are delivered.
//!
//! The holder of the cycle's lock posts small summaries of fixed size here, in memory set aside when
//! the heap was built; whoever delivers tells them, holding nothing of the heap. One thread tells at
//! a time, so events come in the order of what they tell; one that finds another at it goes away.
//! Nothing is posted while no subscriber wants events of their level, and nobody the lines.
//!
//! Invariants: nothing here waits; no subscriber is called from anywhere else; a subscriber that
//! panics is caught, reported as `hook-panicked`, and not told again after its third panic. What
//! finds no room is lost and counted. Deliberately absent: events of violations, which gc-hooks emits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use gc_hooks::sync::{Mutex, thread_token};
use gc_hooks::{Check, Hooks, Phase, Violation};
use gc_sweep::CycleKind;
use tracing::level_filters::LevelFilter;

mod lines;

use lines::Lines;

/// Summaries that wait at most: those of some ten cycles.
const WAITING_MAX: usize = 32;
/// Summaries told in one go, so that a flood keeps no mutator for ever.
const TOLD_MAX: usize = 32;
/// Panics after which subscribers are told no more.
const PANICS_MAX: u32 = 3;
/// No thread tells.
const NOBODY: u64 = 0;

/// Something that happened to a cycle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Event {
    /// It was opened.
    Started {
        cycle: u32,
        kind: CycleKind,
        bytes_live: u64,
        bytes_goal: u64,
    },
    /// It has flipped: what is not marked is dead.
    Flipped {
        cycle: u32,
        /// By phase.
        spent: [Duration; Phase::ALL.len()],
        objects_marked: u64,
        bytes_marked: u64,
        bytes_live: u64,
        late_returns: u32,
        voided_before: u32,
    },
    /// It has ended without freeing anything.
    Voided {
        cycle: u32,
        ended: Instant,
        /// By phase.
        spent: [Duration; Phase::ALL.len()],
        reason: &'static str,
        voided_in_a_row: u32,
        has_stopped_reclaiming: bool,
    },
    /// Its sweep is over.
    Swept {
        cycle: u32,
        ended: Instant,
        spent: Duration,
        objects_freed: u64,
        bytes_freed: u64,
        bytes_live: u64,
        bytes_quarantined: u64,
        spans_swept: u64,
        spans_withdrawn: u64,
        bytes_returned: u64,
    },
}

/// See the module.
pub(crate) struct Events {
    waiting: ArrayQueue<Event>,
    /// Something may be waiting: one load for those who come by often.
    has_news: AtomicBool,
    /// Summaries that found no room.
    lost: AtomicU64,
    /// The thread that tells.
    teller: AtomicU64,
    panics: AtomicU32,
    /// A line a cycle is printed. Locked by the thread that tells.
    lines: Option<Mutex<Lines>>,
}

impl Events {
    pub(crate) fn new(has_lines: bool) -> Self {
        Events {
            waiting: ArrayQueue::new(WAITING_MAX),
            has_news: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            teller: AtomicU64::new(NOBODY),
            panics: AtomicU32::new(0),
            lines: has_lines.then(|| Mutex::new(Lines::new())),
        }
    }

    /// Leaves a summary for whoever delivers next.
    pub(crate) fn post(&self, event: Event) {
        if self.lines.is_none() && LevelFilter::current() < event.level() {
            return;
        }
        if self.waiting.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        // Release pairs with the Acquire of `tell`: who sees the news finds it in the queue.
        self.has_news.store(true, Ordering::Release);
    }

    /// Whether a subscriber runs on this thread.
    #[inline]
    pub(crate) fn is_telling_here(&self) -> bool {
        let teller = self.teller.load(Ordering::Relaxed);
        teller != NOBODY && teller == thread_token()
    }

    /// Whether something waits.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        // Acquire pairs with the Release of `post`.
        self.has_news.load(Ordering::Acquire)
    }

    /// Tells subscribers what waits. Called holding nothing.
    #[inline]
    pub(crate) fn tell(&self, heap: &'static str, hooks: &Hooks) {
        if self.has_news() {
            self.tell_waiting(heap, hooks);
        }
    }

    #[cold]
    fn tell_waiting(&self, heap: &'static str, hooks: &Hooks) {
        if !self.take_turn() {
            return;
        }
        // Taken back before the queue is emptied, so that what comes meanwhile is news again.
        self.has_news.store(false, Ordering::Relaxed);
        for _ in 0..TOLD_MAX {
            let Some(event) = self.waiting.pop() else {
                break;
            };
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if let Some(lines) = &self.lines {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.tell(heap, event, lost);
            }
            self.tell_one(heap, event, lost, hooks);
        }
        if !self.waiting.is_empty() {
            self.has_news.store(true, Ordering::Release);
        }
        // Release pairs with the Acquire of `take_turn`: events are told in order.
        self.teller.store(NOBODY, Ordering::Release);
    }

    fn take_turn(&self) -> bool {
        let took = self.teller.compare_exchange(
            NOBODY,
            thread_token(),
            // Acquire pairs with the Release at the end of `tell`.
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        took.is_ok()
    }

    fn tell_one(&self, heap: &'static str, event: Event, lost: u64, hooks: &Hooks) {
        if self.panics.load(Ordering::Relaxed) >= PANICS_MAX {
            return;
        }
        // What a subscriber leaves half done is its own: it is lent nothing of the heap but copies.
        let told = catch_unwind(AssertUnwindSafe(|| {
            if lost > 0 {
                tracing::warn!(target: "gc::cycle", heap, events = lost, "events lost");
            }
            event.emit(heap);
        }));
        if let Err(payload) = told {
            // Its destructor may panic in turn.
            core::mem::forget(payload);
            let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
            let violation = Violation::new(Check::HookPanicked)
                .with_reason("subscriber to trace events")
                .with_cycle(event.cycle())
                .with_number("panics", u64::from(panics));
            hooks.report(violation);
        }
    }
}

impl Event {
    fn level(self) -> LevelFilter {
        match self {
            Event::Voided { .. } => LevelFilter::WARN,
            _ => LevelFilter::INFO,
        }
    }

    fn cycle(self) -> u32 {
        match self {
            Event::Started { cycle, .. }
            | Event::Flipped { cycle, .. }
            | Event::Voided { cycle, .. }
            | Event::Swept { cycle, .. } => cycle,
        }
    }

    fn emit(self, heap: &'static str) {
        match self {
            Event::Started {
                cycle,
                kind,
                bytes_live,
                bytes_goal,
            } => tracing::info!(
                target: "gc::cycle", heap, cycle, kind = kind.id(), bytes_live, bytes_goal, "cycle started"
            ),
            Event::Flipped { .. } => self.emit_flip(heap),
            Event::Voided {
                cycle,
                reason,
                voided_in_a_row,
                has_stopped_reclaiming,
                ..
            } => tracing::warn!(
                target: "gc::cycle", heap, cycle, reason, voided_in_a_row, has_stopped_reclaiming,
                "cycle voided"
            ),
            Event::Swept {
                cycle,
                spent,
                objects_freed,
                bytes_freed,
                bytes_live,
                bytes_quarantined,
                spans_swept,
                spans_withdrawn,
                bytes_returned,
                ..
            } => tracing::info!(
                target: "gc::sweep", heap, cycle, sweep_us = micros(spent), objects_freed,
                bytes_freed, bytes_live, bytes_quarantined, spans_swept, spans_withdrawn,
                bytes_returned, "sweep finished"
            ),
        }
    }

    fn emit_flip(self, heap: &'static str) {
        let Event::Flipped {
            cycle,
            spent,
            objects_marked,
            bytes_marked,
            bytes_live,
            late_returns,
            voided_before,
        } = self
        else {
            return;
        };
        let of = |phase: Phase| micros(spent[phase as usize]);
        tracing::info!(
            target: "gc::cycle", heap, cycle, arm_us = of(Phase::Arm), settle_us = of(Phase::Settle),
            snapshot_us = of(Phase::Snapshot), mark_us = of(Phase::Mark),
            terminate_us = of(Phase::Terminate), clear_us = of(Phase::Clear), objects_marked,
            bytes_marked, bytes_live, late_returns, voided_before, "cycle flipped"
        );
    }
}

fn micros(spent: Duration) -> u64 {
    u64::try_from(spent.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_posted_where_nobody_listens() {
        assert_eq!(
            LevelFilter::current(),
            LevelFilter::OFF,
            "no subscriber is set"
        );
        let events = Events::new(false);
        events.post(Event::Started {
            kind: CycleKind::Full,
            cycle: 1,
            bytes_live: 0,
            bytes_goal: 0,
        });
        assert!(events.waiting.is_empty());
        assert_eq!(events.lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_thread_tells_at_a_time() {
        let events = Events::new(false);
        assert!(!events.is_telling_here());
        assert!(events.take_turn());
        assert!(events.is_telling_here() && !events.take_turn());
        std::thread::scope(|threads| {
            threads.spawn(|| assert!(!events.is_telling_here() && !events.take_turn()));
        });
    }
}
