//! Under-marking: something alive is not marked, and freed.
//!
//! A mutator is black from its snapshot on: what it makes is not scanned, and what it overwrites is shaded.
//! A live object is missed when its last old edge goes unshaded and a new object alone leads to it; or when
//! a mutator that is still grey hides a new object behind one that was scanned.

use gc_core::Phase;

use super::script::{Script, write};
use crate::ops::{ObjectId, Op, Word, Write};

/// Units that scan all that is there.
const UNITS_MANY: u32 = 4096;

/// A rooted object of two fields that lead to two others, and a cycle that begins to mark.
fn holder_of_two(script: &mut Script) -> (ObjectId, ObjectId, ObjectId) {
    let node = script.kind("node", 4, &[1, 2]);
    script.background();
    script.enter();
    let (left, right) = (script.new_object(node, &[]), script.new_object(node, &[]));
    let holder = script.new_object(node, &[(1, Word::Object(left)), (2, Word::Object(right))]);
    script.root(holder);
    script.leave();
    script.background();
    (holder, left, right)
}

/// The one that is moved is led to by a new object from here on.
fn move_to_new(script: &mut Script, moved: ObjectId) -> ObjectId {
    let node = script.kind("node", 4, &[1, 2]);
    let fresh = script.new_object(node, &[(1, Word::Object(moved))]);
    script.root(fresh);
    fresh
}

pub(super) fn map_assign(script: &mut Script) {
    let bucket = script.kind("bucket", 4, &[1, 2]);
    let key = script.kind("key", 2, &[]);
    script.background();
    script.enter();
    script.keep_span(key);
    let map = script.new_object(bucket, &[]);
    script.root(map);
    script.leave();
    script.background();
    script.enter();
    script.until(Phase::Snapshot);
    script.op(Op::Step { units: UNITS_MANY });
    let key = script.new_object(key, &[]);
    script.cause();
    script.either(
        write(Write::Bare, map, 1, Word::Object(key)),
        write(Write::Set, map, 1, Word::Object(key)),
    );
    script.leave();
    script.bustle();
}

pub(super) fn map_key(script: &mut Script) {
    let bucket = script.kind("bucket", 4, &[1, 2]);
    let key = script.kind("key", 2, &[]);
    script.background();
    script.enter();
    script.keep_span(key);
    let map = script.new_object(bucket, &[]);
    script.root(map);
    script.leave();
    script.enter();
    let key = script.new_object(key, &[]);
    script.cause();
    script.either(Op::Hold { object: key }, Op::Root { object: key });
    script.leave();
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    let grown = script.new_object(bucket, &[(1, Word::Object(key))]);
    script.write(Write::Set, map, 1, Word::Object(grown));
    script.either(Op::Release { object: key }, Op::Unroot { object: key });
    script.leave();
}

pub(super) fn shared_flag(script: &mut Script) {
    let (holder, left, right) = holder_of_two(script);
    script.enter();
    // The flag is read: no cycle marks, so the barrier is off for both stores.
    script.write(Write::Set, holder, 1, Word::Null);
    let _dead = left;
    script.leave();
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    move_to_new(script, right);
    script.cause();
    script.either(
        write(Write::Bare, holder, 2, Word::Null),
        write(Write::Set, holder, 2, Word::Null),
    );
    script.leave();
}

pub(super) fn swapped_barrier(script: &mut Script) {
    let (holder, left, right) = holder_of_two(script);
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    move_to_new(script, left);
    script.cause();
    script.either(
        write(Write::Swapped, holder, 1, Word::Object(right)),
        write(Write::Set, holder, 1, Word::Object(right)),
    );
    script.leave();
}

pub(super) fn closure_context(script: &mut Script) {
    let closure = script.kind("closure", 4, &[1]);
    let captured = script.kind("captured", 2, &[]);
    script.background();
    script.enter();
    script.op(Op::Push { slots: 8 });
    script.keep_span(captured);
    let captured = script.new_object(captured, &[]);
    let context = script.new_object(closure, &[(1, Word::Object(captured))]);
    script.store(2, Word::Object(context));
    script.cause();
    if script.is_buggy() {
        // The stub still has it in a register that no map names.
        script.op(Op::Hold { object: context });
        script.op(Op::Retire { from: 2, count: 1 });
    }
    script.leave();
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    move_to_new(script, captured);
    script.either(
        Op::Release { object: context },
        Op::Retire { from: 2, count: 1 },
    );
    script.leave();
}

pub(super) fn barrier_after_copy(script: &mut Script) {
    let (holder, left, _) = holder_of_two(script);
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    move_to_new(script, left);
    if !script.is_buggy() {
        script.op(Op::Shade {
            old: Word::Object(left),
            new: Word::Null,
        });
    }
    script.cause();
    script.write(Write::Bare, holder, 1, Word::Null);
    if script.is_buggy() {
        // The barrier looks at the slot after the copy, and finds what the copy left there.
        script.op(Op::Shade {
            old: Word::Null,
            new: Word::Null,
        });
    }
    script.leave();
}

pub(super) fn split_barrier(script: &mut Script) {
    let (holder, left, _) = holder_of_two(script);
    let shade = Op::Shade {
        old: Word::Object(left),
        new: Word::Null,
    };
    if script.is_buggy() {
        script.enter();
        script.op(shade.clone());
        script.leave();
    }
    // The preemption falls between the barrier and the store.
    script.until(Phase::Mark);
    script.bustle();
    script.enter();
    move_to_new(script, left);
    if !script.is_buggy() {
        script.op(shade);
    }
    script.cause();
    script.write(Write::Bare, holder, 1, Word::Null);
    script.leave();
}

pub(super) fn elided_barrier(script: &mut Script) {
    let node = script.kind("node", 4, &[1, 2]);
    script.background();
    script.enter();
    let map = script.new_object(node, &[]);
    script.root(map);
    script.leave();
    script.background();
    script.enter();
    script.until(Phase::Snapshot);
    let fresh = script.new_object(node, &[]);
    script.write(Write::Set, map, 1, Word::Object(fresh));
    script.op(Op::Step { units: UNITS_MANY });
    let value = script.new_object(node, &[]);
    script.cause();
    script.either(
        write(Write::Init, fresh, 1, Word::Object(value)),
        write(Write::Set, fresh, 1, Word::Object(value)),
    );
    script.leave();
    script.bustle();
}

pub(super) fn trace_map(script: &mut Script) {
    let short = script.kind("foreign-global", 4, &[1]);
    let whole = script.kind("global", 4, &[1, 2]);
    let value = script.kind("key", 2, &[]);
    script.background();
    script.enter();
    let kind = if script.is_buggy() { short } else { whole };
    script.keep_span(value);
    let global = script.new_object(kind, &[]);
    script.root(global);
    let value = script.new_object(value, &[]);
    script.cause();
    script.either(
        write(Write::Hide, global, 2, Word::Object(value)),
        write(Write::Set, global, 2, Word::Object(value)),
    );
    script.leave();
    script.sweep_dead();
    script.bustle();
    script.enter();
    let read = if script.is_buggy() {
        Word::Stale(value)
    } else {
        Word::Object(value)
    };
    let list = script.kind("list", 4, &[1]);
    let list = script.new_object(list, &[(1, read)]);
    script.root(list);
    script.leave();
}
