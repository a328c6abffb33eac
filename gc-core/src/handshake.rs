//! Answers to the collector's handshakes.
//!
//! A mutator answers `Arm` and `Settle` at its polls; `Snapshot` only with empty hands, which means
//! at an edge of `enter`, or by the collector for a mutator that is out. All functions but [`round`]
//! are called by the owner of the record's state word.
//!
//! What each answer promises (DESIGN 4.2): after `Arm` every store of this mutator shades; after
//! `Settle` no barrier is running that began before its `Arm`; after `Snapshot` its roots are
//! shaded and it allocates in the birth colour of the cycle, and not before.

use std::time::Instant;

use gc_hooks::{Origin, Phase};

#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::local::{Barrier, Local};
use crate::record::Record;
use crate::request::{Handshake, Request};
use crate::shared::Shared;

/// Answers what may be answered while the mutator holds pointers, and turns the barrier off once a
/// cycle has flipped.
#[inline]
pub(crate) fn poll(shared: &Shared, record: &Record, local: &Local) {
    answer(
        shared,
        record,
        local,
        shared.world.request().without_snapshot(),
    );
}

/// Answers everything that is asked, for a mutator with empty hands on its own thread.
#[inline]
pub(crate) fn answer_at_edge(shared: &Shared, record: &Record, local: &Local) {
    answer(shared, record, local, shared.world.request());
}

#[inline]
fn answer(shared: &Shared, record: &Record, local: &Local, asked: Request) {
    if !record.answered().covers(asked) {
        answer_timed(shared, record, local, asked);
    }
    rest_barrier(shared, local);
}

#[cold]
fn answer_timed(shared: &Shared, record: &Record, local: &Local, asked: Request) {
    let begun = Instant::now();
    answer_up_to(shared, record, local, asked);
    record.paused_since(begun);
    if let Some(timeline) = &shared.timeline {
        timeline.post_answer(asked.cycle(), begun);
    }
    shared.signal.answered();
}

/// After the flip, and after a voided cycle, barriers find no work: turning them off is only for
/// speed, so any poll may do it.
#[inline]
fn rest_barrier(shared: &Shared, local: &Local) {
    if local.barrier.get().shades() && matches!(shared.world.phase(), Phase::Idle | Phase::Sweep) {
        local.barrier.set(shared.resting_barrier());
    }
}

/// Answers everything that is asked, on behalf of a mutator with empty hands.
pub(crate) fn answer_parked(shared: &Shared, record: &Record, local: &Local) {
    let asked = shared.world.request();
    if !record.answered().covers(asked) {
        answer_up_to(shared, record, local, asked);
    }
    rest_barrier(shared, local);
}

/// Gives the outstanding answers in order.
fn answer_up_to(shared: &Shared, record: &Record, local: &Local, asked: Request) {
    for handshake in record.answered().outstanding(asked) {
        match handshake {
            #[cfg(feature = "fault-inject")]
            Handshake::Arm if shared.hooks.strikes(Site::BarrierLate) => {
                shared.hand_over(&local.notes);
                local.barrier_colour.set(asked.kept().marked());
            }
            Handshake::Arm => arm(shared, local, asked),
            Handshake::Snapshot => snapshot(shared, local, asked),
            Handshake::Settle | Handshake::None => {}
        }
        record.answer(asked.with_handshake(handshake));
    }
}

/// From here on a mutator notes nothing, until it has taken its snapshot: what it stores is grey.
fn arm(shared: &Shared, local: &Local, asked: Request) {
    shared.hand_over(&local.notes);
    local.barrier_colour.set(asked.kept().marked());
    local.barrier.set(Barrier::Grey);
}

fn snapshot(shared: &Shared, local: &Local, asked: Request) {
    for stack in local.stacks() {
        #[cfg(feature = "fault-inject")]
        if shared.hooks.strikes(Site::StackUnscanned) {
            continue;
        }
        stack
            .live_words()
            .for_each(|address| shared.shade_root(address, asked.kept(), Origin::Stack));
    }
    // From here on new objects are black, so every slot that a run still owes to its span's count
    // belongs to an object that this cycle cannot free.
    local.for_each_run(|run| shared.space.sync(run));
    local.colour.set(asked.kept().born());
    local.barrier.set(Barrier::Black);
}

/// One round of the collector: answers for the mutators that are out. `true` when every mutator
/// has answered what is asked.
pub(crate) fn round(shared: &Shared) -> bool {
    let asked = shared.world.request();
    let mut all = true;
    for record in shared.world.records() {
        if record.answered().covers(asked) {
            continue;
        }
        all &= record
            .with_held(|local| answer_parked(shared, &record, local))
            .is_some();
    }
    all
}
