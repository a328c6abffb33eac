//! Races, order and accounts: the right thing at the wrong moment, or once too often.

use gc_core::Phase;

use super::script::{Script, write};
use crate::ops::{ObjectId, Op, Word, Write};

/// A fault of the heap by the name of its class.
fn fault(class: &str, object: Option<ObjectId>) -> Op {
    Op::Fault {
        class: class.to_string(),
        stroke: 0,
        nth: 0,
        object,
    }
}

pub(super) fn late_metadata(script: &mut Script) {
    let block = script.kind("block", 4, &[1]);
    script.background();
    script.enter();
    script.keep_span(block);
    script.new_object(block, &[]);
    script.leave();
    script.sweep_dead();
    script.enter();
    let owner = script.new_object(block, &[]);
    script.root(owner);
    script.leave();
    script.bustle();
    script.cause();
    if script.is_buggy() {
        script.op(fault("state-object-to-free", Some(owner)));
    } else {
        script.op(Op::Get { object: owner });
    }
    script.bustle();
}

pub(super) fn publish_early(script: &mut Script) {
    let node = script.kind("packet", 4, &[1]);
    let value = script.kind("value", 2, &[]);
    script.enter();
    let list = script.new_object(node, &[]);
    script.root(list);
    script.keep_span(value);
    let old = script.new_object(value, &[]);
    script.new_object(node, &[(1, Word::Object(old))]);
    script.leave();
    script.sweep_dead();
    script.background();
    script.enter();
    // Where it is fixed the words are cleared before anybody can see them.
    let uncleared = [(1, Word::Stale(old))];
    let fields: &[(u32, Word)] = if script.is_buggy() { &uncleared } else { &[] };
    let packet = script.new_object(node, fields);
    script.cause();
    script.write(Write::Set, list, 1, Word::Object(packet));
    script.leave();
    script.op(Op::Collect);
    script.enter();
    let fresh = script.new_object(value, &[]);
    script.op(write(Write::Set, packet, 1, Word::Object(fresh)));
    script.leave();
}

pub(super) fn late_work(script: &mut Script) {
    let record = script.kind("deferred-call", 4, &[1]);
    script.background();
    script.enter();
    let record = script.new_object(record, &[]);
    script.either(Op::Hold { object: record }, Op::Root { object: record });
    script.leave();
    script.until(Phase::Clear);
    script.bustle();
    script.enter();
    script.cause();
    script.op(Op::Shade {
        old: Word::Object(record),
        new: Word::Null,
    });
    script.leave();
    script.op(Op::Finish);
    script.either(
        Op::Release { object: record },
        Op::Unroot { object: record },
    );
}

pub(super) fn weak_to_strong(script: &mut Script) {
    let cached = script.kind("cached-value", 4, &[1]);
    script.background();
    script.enter();
    script.op(Op::Push { slots: 4 });
    let target = script.new_object(cached, &[]);
    script.op(Op::Weak {
        weak: 1,
        object: target,
    });
    script.leave();
    script.until(Phase::Clear);
    script.bustle();
    script.enter();
    script.cause();
    if script.is_buggy() {
        // The handle is followed as it is, and its target is shaded as any new strong pointer's is.
        script.op(Op::Shade {
            old: Word::Stale(target),
            new: Word::Null,
        });
        script.store(0, Word::Stale(target));
    } else {
        script.op(Op::Upgrade { weak: 1 });
    }
    script.leave();
}

pub(super) fn unswept_entry(script: &mut Script) {
    let block = script.kind("block", 4, &[1]);
    script.background();
    script.enter();
    let kept = script.new_object(block, &[]);
    script.root(kept);
    script.new_object(block, &[]);
    script.leave();
    script.bustle();
    script.cause();
    if script.is_buggy() {
        script.op(fault("sweep-repeated", None));
    }
    script.sweep_dead();
}

pub(super) fn counter_underflow(script: &mut Script) {
    script.background();
    script.cause();
    if script.is_buggy() {
        script.op(fault("pacer-skewed", None));
    }
    script.op(Op::Collect);
    script.bustle();
}

pub(super) fn double_unroot(script: &mut Script) {
    let node = script.kind("record", 4, &[1]);
    script.background();
    script.enter();
    let object = script.new_object(node, &[]);
    script.root(object);
    script.leave();
    script.bustle();
    script.cause();
    if script.is_buggy() {
        script.op(fault("root-dropped-twice", Some(object)));
    }
    script.unroot(object);
    script.bustle();
}
