//! Over-marking: a word that is no pointer, or leads to something dead, is taken for a pointer.

use gc_core::Phase;

use super::script::{Script, write};
use crate::ops::{ObjectId, Op, Word, Write};

/// Bytes of a setting.
const SETTING_BYTES: u32 = 32;
/// Five pages: the object has a span of its own, and there is no slack behind it.
const WHOLE_PAGES: u32 = 5 * 8192;

/// Objects that an earlier call left in slots of its frame, dead and swept since. The frame stays.
fn residue(script: &mut Script, slots: std::ops::Range<u32>) -> Vec<ObjectId> {
    let setting = script.kind("setting", SETTING_BYTES / 8, &[]);
    let (from, count) = (slots.start, slots.end - slots.start);
    script.enter();
    script.op(Op::Push { slots: 12 });
    script.keep_span(setting);
    let mut left = Vec::new();
    for slot in slots {
        let object = script.new_object(setting, &[]);
        script.store(slot, Word::Object(object));
        left.push(object);
    }
    script.op(Op::Retire { from, count });
    script.leave();
    script.sweep_dead();
    script.bustle();
    left
}

pub(super) fn assign_scratch(script: &mut Script) {
    residue(script, 4..6);
    let setting = script.kind("setting", SETTING_BYTES / 8, &[]);
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    let value = script.new_object(setting, &[]);
    if !script.is_buggy() {
        script.store(4, Word::Null);
        script.store(5, Word::Null);
    }
    script.cause();
    for slot in 4..6 {
        script.op(Op::CopyBack {
            slot,
            value: Word::Object(value),
        });
    }
    script.op(Op::Retire { from: 4, count: 2 });
    script.leave();
}

pub(super) fn method_value(script: &mut Script) {
    let frame = script.kind("heap-frame", 4, &[1, 2]);
    let receiver = script.kind("receiver", 2, &[]);
    script.enter();
    script.keep_span(receiver);
    let held = script.new_object(receiver, &[]);
    let arguments = script.new_object(frame, &[(1, Word::Object(held))]);
    script.root(arguments);
    script.leave();
    residue(script, 3..4);
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    let next = script.new_object(frame, &[(1, Word::Object(held))]);
    script.root(next);
    let value = Word::Object(next);
    script.cause();
    script.either(
        Op::CopyBack { slot: 3, value },
        Op::Store { slot: 3, value },
    );
    script.either(
        write(Write::Bare, arguments, 1, Word::Null),
        write(Write::Set, arguments, 1, Word::Null),
    );
    script.op(Op::Retire { from: 3, count: 1 });
    script.leave();
}

pub(super) fn array_fill(script: &mut Script) {
    let array = script.kind("array", 4, &[1, 2]);
    let value = script.kind("value", 2, &[]);
    script.enter();
    script.keep_span(value);
    let old: Vec<ObjectId> = (0..2).map(|_| script.new_object(value, &[])).collect();
    script.new_object(
        array,
        &[(1, Word::Object(old[0])), (2, Word::Object(old[1]))],
    );
    script.leave();
    script.sweep_dead();
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    let fill = script.new_object(value, &[]);
    let uncleared = [(1, Word::Stale(old[0])), (2, Word::Stale(old[1]))];
    let fields: &[(u32, Word)] = if script.is_buggy() { &uncleared } else { &[] };
    let fresh = script.new_object(array, fields);
    script.root(fresh);
    script.cause();
    for field in 1..3 {
        script.write(Write::Set, fresh, field, Word::Object(fill));
    }
    script.leave();
}

pub(super) fn code_pointer(script: &mut Script) {
    let table = script.kind("itab", 4, &[]);
    script.enter();
    let table = script.new_object(table, &[]);
    script.root(table);
    script.write(Write::Hide, table, 1, Word::InHeap(0x80_0000));
    script.leave();
    script.background();
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    script.cause();
    script.either(
        write(Write::Pun, table, 1, Word::InHeap(0x80_0100)),
        write(Write::Hide, table, 1, Word::InHeap(0x80_0100)),
    );
    script.leave();
}

/// Two objects in neighbouring slots, of which the second is dead and swept. Answers the first, rooted.
fn beside_a_free_slot(script: &mut Script) -> ObjectId {
    let frame = script.kind("call-frame", 4, &[1]);
    script.enter();
    let object = script.new_object(frame, &[]);
    script.root(object);
    script.new_object(frame, &[]);
    script.leave();
    script.sweep_dead();
    script.bustle();
    object
}

pub(super) fn zero_size_result(script: &mut Script) {
    let frame = beside_a_free_slot(script);
    script.enter();
    script.op(Op::Push { slots: 4 });
    script.cause();
    let (slot, past) = (0, Word::Past(frame, SETTING_BYTES));
    script.either(
        Op::Store { slot, value: past },
        Op::Store {
            slot,
            value: Word::Object(frame),
        },
    );
    script.leave();
}

pub(super) fn call_method(script: &mut Script) {
    let frame = beside_a_free_slot(script);
    let value = script.kind("reflect-value", 2, &[1]);
    script.enter();
    let value = script.new_object(value, &[]);
    script.root(value);
    script.cause();
    script.either(
        write(Write::Set, value, 1, Word::Past(frame, SETTING_BYTES)),
        write(Write::Set, value, 1, Word::Object(frame)),
    );
    script.leave();
}

pub(super) fn zero_size_object(script: &mut Script) {
    script.background();
    script.enter();
    let buffer = script.bytes(WHOLE_PAGES);
    script.root(buffer);
    script.bytes(WHOLE_PAGES);
    script.leave();
    script.sweep_dead();
    script.enter();
    script.op(Op::Push { slots: 4 });
    script.cause();
    script.either(
        Op::Store {
            slot: 1,
            value: Word::Past(buffer, WHOLE_PAGES),
        },
        Op::Store {
            slot: 1,
            value: Word::Object(buffer),
        },
    );
    script.leave();
    script.op(Op::Collect);
}

pub(super) fn derived_pointer(script: &mut Script) {
    let wide = script.kind("wide", 8, &[]);
    script.background();
    script.enter();
    script.op(Op::Push { slots: 4 });
    let object = script.new_object(wide, &[]);
    script.root(object);
    script.cause();
    script.either(
        Op::Store {
            slot: 2,
            value: Word::Past(object, 16),
        },
        Op::Store {
            slot: 2,
            value: Word::Object(object),
        },
    );
    script.leave();
    // The safepoint falls here: a moment later the slot holds a whole pointer again.
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    script.store(2, Word::Object(object));
    script.op(Op::Retire { from: 2, count: 1 });
    script.leave();
}

pub(super) fn unsafe_offset(script: &mut Script) {
    let node = script.kind("record", 4, &[1]);
    script.background();
    script.enter();
    let base = script.new_object(node, &[]);
    let holder = script.new_object(node, &[]);
    script.root(base);
    script.root(holder);
    script.cause();
    script.either(
        write(Write::Set, holder, 1, Word::Past(base, 1 << 23)),
        write(Write::Set, holder, 1, Word::Object(base)),
    );
    script.leave();
    script.bustle();
}

pub(super) fn live_temporary(script: &mut Script) {
    residue(script, 2..3);
    script.enter();
    script.cause();
    script.either(
        Op::Revive { slot: 2 },
        Op::Store {
            slot: 2,
            value: Word::Null,
        },
    );
    script.leave();
}

pub(super) fn resurrected(script: &mut Script) {
    let node = script.kind("dead-node", 4, &[1]);
    script.enter();
    script.op(Op::Push { slots: 4 });
    script.keep_span(node);
    let tail = script.new_object(node, &[]);
    let head = script.new_object(node, &[(1, Word::Object(tail))]);
    script.store(0, Word::Object(head));
    script.op(Op::Retire { from: 0, count: 1 });
    script.leave();
    script.until(Phase::Sweep);
    script.bustle();
    script.enter();
    script.cause();
    script.either(
        Op::Revive { slot: 0 },
        Op::Store {
            slot: 0,
            value: Word::Null,
        },
    );
    script.leave();
}
