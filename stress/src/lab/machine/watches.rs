//! Weak references and ephemerons, each behind a root of its own.
//!
//! What they answer is compared with what the program knows: an object that is still reachable must be
//! answered, and what is answered is in hand.

use gc_core::{Ephemeron, Root, Scope, Trace, Weak};

use super::objects::opaque;
use super::{Lost, Machine, Opaque};
use crate::error::Error;
use crate::ops::{ObjectId, Op};
use gc_core::raw::RawGc;

#[derive(Trace)]
struct WeakBox<'gc> {
    weak: Weak<'gc, Opaque>,
}

#[derive(Trace)]
struct PairBox<'gc> {
    pair: Ephemeron<'gc, Opaque, Opaque>,
}

/// A weak reference and what it was made for.
pub(super) struct Watch {
    root: Root<WeakBox<'static>>,
    object: ObjectId,
}

/// An ephemeron and what it was made for.
pub(super) struct Pair {
    root: Root<PairBox<'static>>,
    key: ObjectId,
    value: ObjectId,
}

impl Machine<'_> {
    pub(super) fn use_weakly(&mut self, scope: Scope<'_>, op: &Op) -> Result<bool, Error> {
        match *op {
            Op::Weak { weak, object } => self.watch(scope, weak, object),
            Op::Upgrade { weak } => self.upgrade(scope, weak),
            Op::Pair { pair, key, value } => self.couple(scope, pair, key, value),
            Op::Entry { pair } => self.entry(scope, pair),
            _ => Ok(false),
        }
    }

    fn watch(&mut self, scope: Scope<'_>, weak: u32, object: ObjectId) -> Result<bool, Error> {
        let Some(raw) = self.usable(scope, object).and_then(RawGc::from_word) else {
            return Ok(false);
        };
        let reference = scope.try_downgrade(opaque(scope, raw))?;
        let root = scope.root(scope.try_alloc(WeakBox { weak: reference })?);
        self.shadow.watch(object, true);
        if let Some(old) = self.watches.insert(weak, Watch { root, object }) {
            self.shadow.watch(old.object, false);
        }
        Ok(true)
    }

    fn upgrade(&mut self, scope: Scope<'_>, weak: u32) -> Result<bool, Error> {
        let Some(watch) = self.watches.get(&weak) else {
            return Ok(false);
        };
        let (object, held) = (watch.object, scope.get(&watch.root)?);
        let is_answered = scope.upgrade(held.weak).is_some();
        self.compare(object, is_answered);
        if is_answered {
            self.take_up(object);
        }
        Ok(is_answered)
    }

    fn couple(
        &mut self,
        scope: Scope<'_>,
        pair: u32,
        key: ObjectId,
        value: ObjectId,
    ) -> Result<bool, Error> {
        let (Some(raw_key), Some(raw_value)) = (
            self.usable(scope, key).and_then(RawGc::from_word),
            self.usable(scope, value).and_then(RawGc::from_word),
        ) else {
            return Ok(false);
        };
        let ephemeron = scope.try_ephemeron(opaque(scope, raw_key), opaque(scope, raw_value))?;
        let root = scope.root(scope.try_alloc(PairBox { pair: ephemeron })?);
        self.shadow.watch(key, true);
        self.shadow.watch(value, true);
        if let Some(old) = self.pairs.insert(pair, Pair { root, key, value }) {
            self.shadow.watch(old.key, false);
            self.shadow.watch(old.value, false);
        }
        Ok(true)
    }

    fn entry(&mut self, scope: Scope<'_>, pair: u32) -> Result<bool, Error> {
        let Some(coupled) = self.pairs.get(&pair) else {
            return Ok(false);
        };
        let (key, value, held) = (coupled.key, coupled.value, scope.get(&coupled.root)?);
        let is_answered = scope.ephemeron_entry(held.pair).is_some();
        self.compare(key, is_answered);
        if is_answered {
            self.take_up(key);
            self.take_up(value);
        }
        Ok(is_answered)
    }

    /// An object that the program can still name is lost when a reference to it answers nothing.
    fn compare(&mut self, object: ObjectId, is_answered: bool) {
        if !is_answered && self.shadow.get(object).is_some() {
            self.shadow.lose(object);
            self.lost.push(Lost {
                op: self.at,
                object,
            });
        }
    }
}
