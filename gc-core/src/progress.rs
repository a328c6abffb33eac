//! How far the collector has come, for whoever does not hold the cycle's lock.
//!
//! Written by the holder of the cycle's lock (helpers add what they marked), read by mutators that
//! ask whether a cycle is due, by waiters and by statistics. Counters and flags are relaxed: each
//! stands for itself.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use gc_hooks::Phase;
use gc_hooks::sync::Mutex;
use gc_sweep::{CycleKind, GRANULE_BYTES};

use crate::pacer::{Pacer, Payer};
use crate::pauses::{PauseHistogram, Pauses};

/// What is requested, each more than the one before.
const NOTHING: u8 = 0;
const ANY_KIND: u8 = 1;
const FULL: u8 = 2;

/// What a finished cycle did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CycleReport {
    /// Number of the cycle, from 1.
    pub cycle: u32,
    /// What it looked at.
    pub kind: CycleKind,
    /// Objects marked.
    pub objects_marked: u64,
    /// Bytes of their slots.
    pub bytes_marked: u64,
    /// Bytes of slots freed by the sweep.
    pub bytes_freed: u64,
    /// Bytes allocated and not freed at the end of the cycle.
    pub bytes_live: u64,
}

/// Whether the collector still gives memory back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reclaiming {
    /// Cycles run.
    On,
    /// Too many cycles in a row had to be voided: nothing is freed any more.
    Stopped,
}

/// See the module.
pub(crate) struct Progress {
    /// What the next step in `Idle` opens: nothing, a cycle of any kind, a full one. One word, so that whoever
    /// takes a request takes its kind with it.
    requested: AtomicU8,
    /// The last full cycle that was opened.
    full_opened: AtomicU32,
    /// Bytes allocated since the last cycle at which a young one is due; `None` without generations.
    nursery_bytes: Option<u64>,
    /// Bytes in use at the end of the last cycle.
    bytes_settled: AtomicU64,
    pub(crate) cycles_young: AtomicU64,
    has_stopped_reclaiming: AtomicBool,
    pub(crate) cycles_finished: AtomicU64,
    pub(crate) cycles_voided: AtomicU64,
    pub(crate) objects_marked_total: AtomicU64,
    /// What helpers have marked in the cycle in progress.
    objects_marked: AtomicU64,
    bytes_marked: AtomicU64,
    /// The pacer as of the last cycle's end, field by field: a reader that mixes two cycles' fields
    /// starts a cycle a little early or late.
    payer: Payer,
    growth_percent: u64,
    limit_bytes: u64,
    bytes_live: AtomicU64,
    objects_expected: AtomicU64,
    /// Bytes ever handed out and ever freed were found wrong.
    is_flow_doubted: AtomicBool,
    /// An allocation was refused at the limit since the last cycle ended.
    is_pressed: AtomicBool,
    /// How long each phase of each cycle took. Written by the holder of the cycle's lock.
    phases: [Pauses; Phase::ALL.len()],
    last: Mutex<Option<CycleReport>>,
    last_full: Mutex<Option<CycleReport>>,
}

impl Progress {
    pub(crate) fn new(
        payer: Payer,
        growth_percent: u64,
        limit_bytes: u64,
        nursery_bytes: Option<u64>,
    ) -> Self {
        Progress {
            requested: AtomicU8::new(NOTHING),
            full_opened: AtomicU32::new(0),
            nursery_bytes,
            bytes_settled: AtomicU64::new(0),
            cycles_young: AtomicU64::new(0),
            has_stopped_reclaiming: AtomicBool::new(false),
            cycles_finished: AtomicU64::new(0),
            cycles_voided: AtomicU64::new(0),
            objects_marked_total: AtomicU64::new(0),
            objects_marked: AtomicU64::new(0),
            bytes_marked: AtomicU64::new(0),
            payer,
            growth_percent,
            limit_bytes,
            bytes_live: AtomicU64::new(0),
            objects_expected: AtomicU64::new(0),
            is_flow_doubted: AtomicBool::new(false),
            is_pressed: AtomicBool::new(false),
            phases: [const { Pauses::new() }; Phase::ALL.len()],
            last: Mutex::new(None),
            last_full: Mutex::new(None),
        }
    }

    /// Whether newborn objects are told from those that a cycle has marked.
    #[inline]
    pub(crate) fn has_generations(&self) -> bool {
        self.nursery_bytes.is_some()
    }

    /// Asks for a cycle of this kind; one that may be young is full where that is due. `true` when nobody had
    /// asked before.
    pub(crate) fn request(&self, kind: CycleKind) -> bool {
        let wanted = match kind {
            CycleKind::Young => ANY_KIND,
            CycleKind::Full => FULL,
        };
        // The load keeps the line shared while a request is pending.
        self.requested.load(Ordering::Relaxed) < wanted
            && self.requested.fetch_max(wanted, Ordering::Relaxed) == NOTHING
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed) != NOTHING
    }

    /// Takes the request back: a cycle opens, or never will. Answers what was asked for, if anything was.
    pub(crate) fn take_request(&self) -> Option<CycleKind> {
        if !self.is_requested() {
            return None;
        }
        match self.requested.swap(NOTHING, Ordering::Relaxed) {
            NOTHING => None,
            ANY_KIND => Some(CycleKind::Young),
            _ => Some(CycleKind::Full),
        }
    }

    /// Whether the heap has grown so far, to so many bytes in use, that what is old is to be looked at.
    pub(crate) fn is_full_due(&self, bytes_used: u64) -> bool {
        bytes_used >= self.pacer().trigger_bytes()
    }

    /// A full cycle is opened.
    pub(crate) fn note_full(&self, cycle: u32) {
        self.full_opened.store(cycle, Ordering::Relaxed);
    }

    /// The last full cycle that was opened.
    pub(crate) fn full_opened(&self) -> u32 {
        self.full_opened.load(Ordering::Relaxed)
    }

    /// The size in bytes at which the next cycle starts, young or full.
    pub(crate) fn due_bytes(&self, pacer: &Pacer) -> u64 {
        let trigger_bytes = pacer.trigger_bytes();
        self.nursery_bytes.map_or(trigger_bytes, |nursery_bytes| {
            let nursery_bytes = pacer.nursery_bytes(nursery_bytes);
            let settled = self.bytes_settled.load(Ordering::Relaxed);
            trigger_bytes.min(settled.saturating_add(nursery_bytes))
        })
    }

    pub(crate) fn reclaiming(&self) -> Reclaiming {
        if self.has_stopped_reclaiming.load(Ordering::Relaxed) {
            Reclaiming::Stopped
        } else {
            Reclaiming::On
        }
    }

    pub(crate) fn stop_reclaiming(&self) {
        self.has_stopped_reclaiming.store(true, Ordering::Relaxed);
    }

    /// The goals that follow from the last cycle.
    pub(crate) fn pacer(&self) -> Pacer {
        let mut pacer = Pacer::new(self.payer, self.growth_percent, self.limit_bytes);
        pacer.finish_cycle(
            self.bytes_live.load(Ordering::Relaxed),
            self.objects_expected.load(Ordering::Relaxed),
        );
        pacer
    }

    /// An allocation was refused at the limit: the next edges of `enter` wait for a cycle.
    pub(crate) fn press(&self) {
        self.is_pressed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.is_pressed.load(Ordering::Relaxed)
    }

    /// Adds what a marker has done in the cycle in progress.
    pub(crate) fn add_marked(&self, objects: u64, bytes: u64) {
        self.objects_marked.fetch_add(objects, Ordering::Relaxed);
        self.bytes_marked.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Objects and bytes marked since the last call.
    pub(crate) fn take_marked(&self) -> (u64, u64) {
        (
            self.objects_marked.swap(0, Ordering::Relaxed),
            self.bytes_marked.swap(0, Ordering::Relaxed),
        )
    }

    /// What the goals follow from.
    pub(crate) fn set_survived(&self, bytes_live: u64, objects_marked: u64) {
        self.bytes_live.store(bytes_live, Ordering::Relaxed);
        self.objects_expected
            .store(objects_marked, Ordering::Relaxed);
    }

    /// From now on nothing is paced by bytes handed out and freed.
    pub(crate) fn doubt_flow(&self) {
        self.is_flow_doubted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_flow_doubted(&self) -> bool {
        self.is_flow_doubted.load(Ordering::Relaxed)
    }

    /// Counts what a cycle has spent in a phase. Called by the holder of the cycle's lock.
    pub(crate) fn add_phase(&self, phase: Phase, spent: Duration) {
        let spent_ns = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.phases[phase as usize].record(spent_ns);
    }

    /// How long each phase took in the cycles so far, by phase.
    pub(crate) fn phases(&self) -> Vec<PauseHistogram> {
        let snapshot = |phase: &Pauses| {
            let mut histogram = PauseHistogram::default();
            phase.add_into(&mut histogram);
            histogram
        };
        self.phases.iter().map(snapshot).collect()
    }

    /// Takes over what a cycle did.
    pub(crate) fn finish(&self, report: CycleReport) {
        self.bytes_settled
            .store(report.bytes_live, Ordering::Relaxed);
        // The goals follow from what lives, which a young cycle does not find out.
        if report.kind == CycleKind::Full {
            let survived = Pacer::survived(self.payer, report.bytes_marked, report.bytes_live);
            self.set_survived(survived, report.objects_marked);
            let mut last = self
                .last_full
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = Some(report.clone());
        } else {
            self.cycles_young.fetch_add(1, Ordering::Relaxed);
            // No more can have lived than is there, once the young are gone that were counted in.
            let (bytes, objects) = (&self.bytes_live, &self.objects_expected);
            bytes.fetch_min(report.bytes_live, Ordering::Relaxed);
            objects.fetch_min(report.bytes_live / GRANULE_BYTES as u64, Ordering::Relaxed);
        }
        self.is_pressed.store(false, Ordering::Relaxed);
        self.cycles_finished.fetch_add(1, Ordering::Relaxed);
        self.objects_marked_total
            .fetch_add(report.objects_marked, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    /// The last cycle that ended, if it has at least the number `cycle`. Who asks for a full one is told of no
    /// other.
    pub(crate) fn finished_since(&self, cycle: u32, kind: CycleKind) -> Option<CycleReport> {
        let last = match kind {
            CycleKind::Full => &self.last_full,
            CycleKind::Young => &self.last,
        };
        let last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().filter(|report| report.cycle >= cycle)
    }
}
