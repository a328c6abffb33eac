//! Answers to the collector's handshakes.
//!
//! A mutator answers `Arm` and `Settle` at its polls; `Snapshot` is answered only with empty hands,
//! which here means by the collector for a mutator that is out. All functions are called by the
//! owner of the record's state word.
//!
//! What each answer promises (DESIGN 4.2): after `Arm` every store of this mutator shades; after
//! `Settle` no barrier is running that began before its `Arm`; after `Snapshot` its roots are
//! shaded and it allocates in the colour of the cycle, and not before.

use gc_hooks::{Origin, Phase};

use crate::shared::Shared;
use crate::world::{Barrier, Handshake, Local, Record};

/// Answers what may be answered inside `enter`, and turns the barrier off once a cycle has flipped.
pub(crate) fn poll(shared: &Shared, record: &Record, local: &Local) {
    let cycle = shared.world.cycle();
    let asked = shared.world.asked().min(Handshake::Settle);
    if record.answered(cycle) < asked {
        answer_up_to(shared, record, local, asked);
    }
    rest_barrier(shared, local);
}

/// After the flip, and after a voided cycle, barriers find no work: turning them off is only for
/// speed, so any poll may do it.
fn rest_barrier(shared: &Shared, local: &Local) {
    if local.barrier.get() != Barrier::Off
        && matches!(shared.world.phase(), Phase::Idle | Phase::Sweep)
    {
        local.barrier.set(Barrier::Off);
    }
}

/// Answers everything that is asked for a mutator with empty hands.
pub(crate) fn answer_parked(shared: &Shared, record: &Record, local: &Local) {
    let asked = shared.world.asked();
    if record.answered(shared.world.cycle()) < asked {
        answer_up_to(shared, record, local, asked);
    }
    rest_barrier(shared, local);
}

/// Gives the outstanding answers in order.
fn answer_up_to(shared: &Shared, record: &Record, local: &Local, asked: Handshake) {
    let cycle = shared.world.cycle();
    for handshake in [Handshake::Arm, Handshake::Settle, Handshake::Snapshot] {
        if record.answered(cycle) < handshake && handshake <= asked {
            match handshake {
                Handshake::Arm => arm(shared, local),
                Handshake::Snapshot => snapshot(shared, local),
                Handshake::Settle | Handshake::None => {}
            }
            record.answer(cycle, handshake);
        }
    }
}

fn arm(shared: &Shared, local: &Local) {
    local.barrier_colour.set(shared.world.colour());
    local.barrier.set(Barrier::Grey);
}

fn snapshot(shared: &Shared, local: &Local) {
    for stack in local.stacks() {
        stack
            .live_words()
            .for_each(|address| shared.shade_root(address, Origin::Stack));
    }
    // From here on new objects are black, so every slot that a run still owes to its span's count
    // belongs to an object that this cycle cannot free.
    local.for_each_run(|run| shared.space.sync(run));
    local.colour.set(shared.world.colour());
    local.barrier.set(Barrier::Black);
}

/// One round of the collector: answers for the mutators that are out. `true` when every mutator
/// has answered.
pub(crate) fn round(shared: &Shared, handshake: Handshake) -> bool {
    let cycle = shared.world.cycle();
    let mut all = true;
    for record in shared.world.records() {
        if record.answered(cycle) >= handshake {
            continue;
        }
        all &= record
            .with_held(|local| answer_parked(shared, &record, local))
            .is_some();
    }
    all
}
