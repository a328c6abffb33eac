//! Faults that only a program can bring about, with the means of the public interface: a hook that
//! misbehaves, junk on a value stack, work after termination, a mutator that stays inside.
//!
//! Called in the child, on its one thread, with the mutator out of `enter`. Each answers whether the
//! fault took place. The room is unsafe because the unsafe layer of the heap is what is misused.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use gc_core::fault::{Aim, Bench, Class, How, Moment, Stake, Stroke, os};
use gc_core::raw::{self, RawGc, Stack};
use gc_core::{Check, CheckLevel, Found, Gc, Heap, Mutator, Phase, Violation};

use super::case::Rules;
use super::fault::Entry;

/// Steps after which a phase is given up.
const STEPS_MAX: usize = 100_000;
/// Slots behind one that are looked at.
const SLOTS_MAX: usize = 4_096;
/// Large objects, and bytes of each, that leave more than a heap keeps for itself.
const LARGE_OBJECTS: usize = 48;
const LARGE_BYTES: usize = 512 << 10;
/// Addresses that are looked up to no end.
const LOOKUPS: u64 = 200;

const OBJECT_BYTE: &[Check] = &[Check::SweepCount, Check::AllocCount, Check::Zombie];
const POINTERS: &[Check] = &[
    Check::VirginSlot,
    Check::FreePointer,
    Check::SweepCount,
    Check::AllocCount,
];

const fn call(name: &'static str, call: fn(&mut Bench<'_>) -> bool) -> Stroke {
    Stroke {
        name,
        how: How::Call(call),
    }
}

static VIRGIN_SLOT: Class = Class {
    id: "F01",
    name: "store-over-virgin-slot",
    title: "A barriered store goes to a stack slot that was never initialised, as in Go bug 30041.",
    aim: Aim::Free,
    moment: Moment::Marking,
    reporters: POINTERS,
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("set", store_over_virgin_slot)],
};

static EMPTY_VIRGIN_SLOT: Class = Class {
    id: "F01",
    name: "store-over-empty-slot",
    title: "A barriered store goes to a stack slot that was never initialised and happens to hold nothing.",
    aim: Aim::Nothing,
    moment: Moment::Idle,
    reporters: &[Check::VirginSlot],
    found_from: Some(CheckLevel::Paranoid),
    stake: Stake::Nothing,
    strokes: &[call("set", store_over_empty_slot)],
};

static NEVER_HANDED_OUT: Class = Class {
    id: "F23",
    name: "mark-on-unused-slot",
    title: "A slot that was never handed out carries a mark.",
    aim: Aim::Free,
    moment: Moment::Idle,
    reporters: &[Check::Zombie],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("state-byte", object_on_unused_slot)],
};

static RELEASE_REFUSED: Class = Class {
    id: "F31",
    name: "large-release-refused",
    title: "The system refuses to take back memory that large objects left.",
    aim: Aim::Nothing,
    moment: Moment::Idle,
    reporters: &[Check::OsCall],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("once", refuse_release)],
};

static LATE_GREY: Class = Class {
    id: "F17",
    name: "work-after-termination",
    title: "A barrier finds an unmarked object after marking was found to be over.",
    aim: Aim::Nothing,
    moment: Moment::Idle,
    reporters: &[Check::LateGrey],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("barrier", work_after_termination)],
};

static QUARANTINE: Class = Class {
    id: "F29",
    name: "quarantine-full",
    title: "Containment withdraws more memory than the heap was told to put up with.",
    aim: Aim::Free,
    moment: Moment::Idle,
    reporters: &[Check::QuarantineLimit],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("state-byte", object_on_free_slot)],
};

static HOOK_PANICS: Class = Class {
    id: "F32",
    name: "hook-panics",
    title: "A hook panics when it is told of a violation.",
    aim: Aim::Free,
    moment: Moment::Idle,
    reporters: &[Check::HookPanicked],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("panic", hook_that_panics)],
};

static HOOK_REENTERS: Class = Class {
    id: "F32",
    name: "hook-reenters",
    title: "A hook uses the heap that called it.",
    aim: Aim::Free,
    moment: Moment::Idle,
    reporters: &[Check::HookReentered],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("collect", hook_that_reenters)],
};

static STALL: Class = Class {
    id: "F35",
    name: "mutator-stays-inside",
    title: "A mutator does not answer a handshake within the deadline.",
    aim: Aim::Nothing,
    moment: Moment::Idle,
    reporters: &[Check::SafepointStalled],
    found_from: Some(CheckLevel::Lax),
    stake: Stake::Nothing,
    strokes: &[call("inside", stay_inside)],
};

static JUNK: Class = Class {
    id: "F28",
    name: "junk-looked-up",
    title: "Words that are no pointers are looked up, as a conservative scan would; nothing is wrong.",
    aim: Aim::Nothing,
    moment: Moment::Idle,
    reporters: &[],
    found_from: None,
    stake: Stake::Nothing,
    strokes: &[call("lookup", look_junk_up)],
};

/// The faults of this module.
pub(super) fn entries() -> [Entry; 10] {
    let with_hook = |class| Entry {
        also: OBJECT_BYTE,
        rules: Some(Rules::Hook),
        ..Entry::of(class)
    };
    [
        Entry::of(&VIRGIN_SLOT),
        Entry::of(&EMPTY_VIRGIN_SLOT),
        Entry::of(&NEVER_HANDED_OUT),
        Entry::of(&RELEASE_REFUSED),
        Entry {
            is_manual: true,
            ..Entry::of(&LATE_GREY)
        },
        Entry {
            also: OBJECT_BYTE,
            rules: Some(Rules::Unhealthy),
            quarantine_limit_bytes: Some(1),
            ..Entry::of(&QUARANTINE)
        },
        with_hook(&HOOK_PANICS),
        with_hook(&HOOK_REENTERS),
        Entry {
            stall_deadline: Some(Duration::ZERO),
            is_manual: true,
            ..Entry::of(&STALL)
        },
        Entry::of(&JUNK),
    ]
}

/// Steps a cycle to a phase, beginning one if need be. False when it never comes there.
pub(super) fn step_to(heap: &Heap, phase: Phase) -> bool {
    for _ in 0..STEPS_MAX {
        if heap.phase() == phase {
            return true;
        }
        if heap.phase() == Phase::Idle {
            heap.request_collect();
        }
        if heap.step(1).is_err() {
            return false;
        }
    }
    false
}

/// A frame is pushed over one that held a pointer which is stale by now, and stored into with the
/// barrier.
fn store_over_virgin_slot(bench: &mut Bench<'_>) -> bool {
    let stack = bench.mutator.stack(4);
    let stale = RawGc::from_word(bench.at);
    bench.mutator.enter(|scope| {
        let Ok(bytes) = scope.try_alloc_slice([1_u8, 2, 3]) else {
            return false;
        };
        let lays_junk = stack.push_frame(1).is_ok()
            // SAFETY: deliberately broken: the slot is gone before anybody reads it.
            && unsafe { stack.init(0, stale) }.is_ok()
            && stack.pop_frame().is_ok()
            && stack.push_frame(1).is_ok();
        // SAFETY: deliberately broken: the slot was never initialised.
        let is_stored = lays_junk && unsafe { stack.set(scope, 0, Some(bytes.into_raw())) }.is_ok();
        is_stored && stack.pop_frame().is_ok()
    })
}

fn store_over_empty_slot(bench: &mut Bench<'_>) -> bool {
    let stack = bench.mutator.stack(1);
    bench.mutator.enter(|scope| {
        let is_pushed = stack.push_frame(1).is_ok();
        // SAFETY: deliberately broken: the slot was never initialised. It holds no pointer.
        let is_stored = is_pushed && unsafe { stack.set(scope, 0, None) }.is_ok();
        is_stored && stack.pop_frame().is_ok()
    })
}

/// Marks the first slot behind the one aimed at that was never handed out.
fn object_on_unused_slot(bench: &mut Bench<'_>) -> bool {
    let Some(place) = bench.heap.locate(bench.at).place() else {
        return false;
    };
    let slots = (1..SLOTS_MAX).map(|slot| place.base + slot * place.slot_bytes);
    let heap = bench.heap;
    let is_unused = move |address: &usize| {
        let found = heap.locate(*address);
        matches!(found, Found::FreeSlot { stale_cycles: None, place: at } if at.span == place.span)
    };
    let mut unused = slots.into_iter().filter(is_unused);
    unused.next().is_some_and(|address| {
        let aimed_at = std::mem::replace(&mut bench.at, address);
        let is_done = object_on_free_slot(bench);
        bench.at = aimed_at;
        is_done
    })
}

fn refuse_release(bench: &mut Bench<'_>) -> bool {
    let is_littered = bench.mutator.enter(|scope| {
        (0..LARGE_OBJECTS).all(|_| scope.try_alloc_slice(vec![0_u8; LARGE_BYTES]).is_ok())
    });
    let calls = os::calls(os::Target::Any);
    let _armed = os::fail_nth(os::Target::Any, 0, os::Persistence::Once);
    let is_collected = (0..2).all(|_| bench.heap.collect().is_ok());
    is_littered && is_collected && os::calls(os::Target::Any) > calls
}

fn work_after_termination(bench: &mut Bench<'_>) -> bool {
    let dead = bench.mutator.enter(|scope| {
        let bytes = scope.try_alloc_slice([7_u8; 24]);
        bytes.ok().map(Gc::into_raw)
    });
    if dead.is_none() || !step_to(bench.heap, Phase::Clear) {
        return false;
    }
    // SAFETY: deliberately broken: the object is dead, though not yet swept.
    bench
        .mutator
        .enter(|scope| unsafe { raw::barrier(scope, dead, None) });
    true
}

/// What the stroke of that name does: the fault that the others are wrapped in.
fn object_on_free_slot(bench: &mut Bench<'_>) -> bool {
    let wrapped = Class::from_name("state-free-to-object");
    match wrapped
        .and_then(|class| class.strokes.first())
        .map(|stroke| stroke.how)
    {
        Some(How::Call(call)) => call(bench),
        _ => false,
    }
}

/// How the hook of a case behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Good,
    Panics,
    Reenters,
}

thread_local! {
    static MANNERS: Cell<Manners> = const { Cell::new(Manners::Good) };
    static HEAP: RefCell<Option<Heap>> = const { RefCell::new(None) };
}

fn hook_that_panics(bench: &mut Bench<'_>) -> bool {
    MANNERS.set(Manners::Panics);
    object_on_free_slot(bench)
}

fn hook_that_reenters(bench: &mut Bench<'_>) -> bool {
    MANNERS.set(Manners::Reenters);
    HEAP.set(Some(bench.heap.clone()));
    object_on_free_slot(bench)
}

/// What a hook does when it is told, once.
pub(super) fn behave(_violation: &Violation) {
    match MANNERS.replace(Manners::Good) {
        Manners::Good => {}
        Manners::Panics => std::panic::resume_unwind(Box::new("a hook that panics on purpose")),
        Manners::Reenters => {
            let heap = HEAP.take();
            // The answer is that it may not.
            let _ = heap.map(|heap| heap.collect());
        }
    }
}

fn stay_inside(bench: &mut Bench<'_>) -> bool {
    let heap = bench.heap;
    bench.mutator.enter(|_| {
        heap.request_collect();
        (0..64).all(|_| heap.step(64).is_ok())
    })
}

/// A stack with an object of an untyped shape in it, and the object's address.
pub(super) fn shaped(heap: &Heap, mutator: &mut Mutator) -> (Stack, Option<usize>) {
    let stack = mutator.stack(1);
    let shape = heap.register_shape("shaped", 4, &[0, 1]);
    let object = mutator.enter(|scope| {
        let object = scope.alloc_shape(shape.ok()?).ok()?;
        stack.push_frame(1).ok()?;
        // SAFETY: the object was just allocated, in the heap whose mutator owns the stack.
        unsafe { stack.init(0, Some(object)) }.ok()?;
        Some(object.address())
    });
    (stack, object)
}

fn look_junk_up(bench: &mut Bench<'_>) -> bool {
    let mut word = bench.heap.stats().bytes_live | 1;
    for _ in 0..LOOKUPS {
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let _ = bench.heap.locate(word as usize);
        let _ = bench.heap.locate(word as u32 as usize);
    }
    true
}
