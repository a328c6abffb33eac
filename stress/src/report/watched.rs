//! A recorded run, carried out once more with somebody looking on.
//!
//! It is carried out twice, which does the same both times: the first time shows where the first violation
//! is, the second what the slot in question went through. What is kept is bounded: changes of phase and of
//! the slot's state byte, a few spans, and, of a short program alone, the span after each operation.

use gc_core::raw::SpanView;
use gc_core::{Heap, Phase, Violation};

use crate::error::Error;
use crate::lab::{self, Outcome, Setup, Watcher};
use crate::ops::Program;

/// Most spans that are kept at the end.
const SPANS_MAX: usize = 3;
/// The longest program of which the span is kept after each operation.
pub(crate) const STORY_OPS_MAX: usize = 120;
/// The most state bytes that are kept that way.
const FRAME_BYTES_MAX: usize = 1 << 19;

/// Where the collector stood from an operation on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stand {
    pub(crate) op: usize,
    pub(crate) cycle: u32,
    pub(crate) phase: Phase,
}

/// A span at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shot {
    pub(crate) view: SpanView,
    /// The number of the colour of the last cycle.
    pub(crate) colour: u8,
    /// The slot in question, if it is in this span.
    pub(crate) slot: Option<u32>,
    /// The operation after which it was seen.
    pub(crate) op: usize,
}

/// The state byte of the slot in question from an operation on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State {
    pub(crate) op: usize,
    pub(crate) byte: u8,
    pub(crate) colour: u8,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) outcome: Outcome,
    pub(crate) stands: Vec<Stand>,
    /// The first violation, and the operation at which it was reported.
    pub(crate) first: Option<(Violation, usize)>,
    /// The span in question when it was first reported, and spans with violations at the end.
    pub(crate) at_first: Option<Shot>,
    pub(crate) at_end: Vec<Shot>,
    pub(crate) life: Vec<State>,
    /// The span in question after each operation; empty where that is too much.
    pub(crate) frames: Vec<Option<Shot>>,
}

/// Looks for the first violation.
#[derive(Default)]
struct Seeker {
    ops: usize,
    stands: Vec<Stand>,
    first: Option<(Violation, usize)>,
    at_first: Option<Shot>,
    at_end: Vec<Shot>,
}

fn shot(heap: &Heap, span: u32, slot: Option<u32>, op: usize) -> Option<Shot> {
    Some(Shot {
        view: heap.view_span(span)?,
        colour: heap.colour(),
        slot,
        op,
    })
}

impl Watcher for Seeker {
    fn after(&mut self, op: usize, heap: &Heap) {
        let stand = Stand {
            op,
            cycle: heap.cycle(),
            phase: heap.phase(),
        };
        let is_same = |last: &Stand| (last.cycle, last.phase) == (stand.cycle, stand.phase);
        if !self.stands.last().is_some_and(is_same) {
            self.stands.push(stand);
        }
        let health = heap.health();
        if self.first.is_none() && health.total() > 0 {
            let recent = health.recent();
            let first = recent.iter().min_by_key(|violation| violation.sequence);
            self.first = first.map(|violation| (*violation, op));
            self.at_first = first.and_then(|first| shot(heap, first.span?, first.slot, op));
        }
        if op + 1 == self.ops {
            self.look_at_the_end(op, heap);
        }
    }
}

impl Seeker {
    /// Keeps the span in question, and those of other violations that were withdrawn in whole or in part.
    fn look_at_the_end(&mut self, op: usize, heap: &Heap) {
        let first = self
            .first
            .and_then(|(first, _)| Some((first.span?, first.slot)));
        self.at_end
            .extend(first.and_then(|(span, slot)| shot(heap, span, slot, op)));
        for violation in heap.health().recent() {
            let Some(shot) = violation
                .span
                .and_then(|span| shot(heap, span, violation.slot, op))
            else {
                continue;
            };
            let is_withdrawn = shot.view.state == "quarantined" || shot.view.slots_quarantined > 0;
            let is_known = |known: &Shot| known.view.first_page == shot.view.first_page;
            if is_withdrawn && !self.at_end.iter().any(is_known) && self.at_end.len() < SPANS_MAX {
                self.at_end.push(shot);
            }
        }
    }
}

/// Looks at one slot, and at its span where that is asked for.
struct Biographer {
    span: u32,
    slot: Option<u32>,
    /// Bytes from the start of the heap to the slot.
    offset: Option<u64>,
    has_frames: bool,
    life: Vec<State>,
    frames: Vec<Option<Shot>>,
}

impl Watcher for Biographer {
    fn after(&mut self, op: usize, heap: &Heap) {
        if let Some(byte) = self.offset.and_then(|offset| heap.state_byte(offset)) {
            let state = State {
                op,
                byte,
                colour: heap.colour(),
            };
            let is_same = |last: &State| (last.byte, last.colour) == (byte, state.colour);
            if !self.life.last().is_some_and(is_same) {
                self.life.push(state);
            }
        }
        if self.has_frames {
            self.frames.push(shot(heap, self.span, self.slot, op));
        }
    }
}

/// Carries a program out and looks on.
pub(crate) fn watch(program: &Program, setup: &Setup) -> Result<Watched, Error> {
    let ops = program.ops.len();
    let mut seeker = Seeker {
        ops,
        ..Seeker::default()
    };
    let outcome = lab::run_watched(program, setup, &mut seeker)?;
    let (mut life, mut frames) = (Vec::new(), Vec::new());
    if let Some(Shot { view, slot, .. }) = &seeker.at_first {
        let place = |slot: u32| view.offset + u64::from(slot) * view.slot_bytes as u64;
        let is_short = ops <= STORY_OPS_MAX && ops * view.states.len() <= FRAME_BYTES_MAX;
        let mut biographer = Biographer {
            span: view.first_page,
            slot: *slot,
            offset: slot.map(place),
            has_frames: is_short,
            life: Vec::new(),
            frames: Vec::new(),
        };
        lab::run_watched(program, setup, &mut biographer)?;
        (life, frames) = (biographer.life, biographer.frames);
    }
    Ok(Watched {
        outcome,
        stands: seeker.stands,
        first: seeker.first,
        at_first: seeker.at_first,
        at_end: seeker.at_end,
        life,
        frames,
    })
}
