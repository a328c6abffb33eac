//! Why an object is alive: the shortest way to it from a root or a value stack.
//!
//! Asked by programs inside `enter` and by operators for an address from a report. Everything stands
//! still meanwhile, as for `Heap::verify`. The search goes breadth first with a queue and a map of its
//! own, so a long chain costs memory and no recursion, and the way found is as short as any. It reads
//! the heap and writes nothing; what it finds damaged it passes over, since reporting is the
//! verifier's business.
//!
//! Weak references keep nothing alive and are no way to an object; an ephemeron is one to its value
//! once its key was reached otherwise. Deliberately absent: everything else that could be said of a
//! heap, such as all ways to an object, or what would die with it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;

use gc_hooks::{Address, Origin};
use gc_sweep::{Found, GRANULE_BYTES};

use crate::drive::Drive;
use crate::engine::CollectError;
use crate::ephemeron;
use crate::local::Local;
use crate::scan::{self, Field, Scanned, Trust};
use crate::shared::Shared;
use crate::verify;

/// Steps told at either end of a way; what lies between is counted.
const STEPS_AT_AN_END: usize = 32;

/// The way from a root or a value stack to an object.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RetentionPath {
    /// Where it begins: [`Origin::Root`] or [`Origin::Stack`].
    pub origin: Origin,
    /// The objects on it: the one that the root or the stack holds first, the one asked for last. Of
    /// more than 64, the first and the last 32.
    pub steps: Vec<RetentionStep>,
    /// Objects left out in the middle.
    pub steps_left_out: usize,
}

/// An object on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RetentionStep {
    /// Where it stands, from the heap's base.
    pub offset: u64,
    /// Its type.
    pub type_name: &'static str,
    /// Bytes of its slot.
    pub slot_bytes: u64,
    /// Its field that leads to the next object, or its type alone when that has no fields; none for the
    /// last object, and for an ephemeron's way to its value.
    pub field: Option<&'static str>,
    /// The word of an untyped shape that leads to the next object.
    pub word: Option<u32>,
}

/// Why a retention path could not be looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// The heap cannot stand still now.
    #[error(transparent)]
    Refused(#[from] CollectError),
    /// The address is not that of an object.
    #[error("no object stands at {address}: {reason}")]
    NoObject {
        /// The address asked for.
        address: Address,
        /// What stands there.
        reason: &'static str,
    },
}

/// A line for the origin and one for each step.
impl fmt::Display for RetentionPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.origin)?;
        for (at, step) in self.steps.iter().enumerate() {
            if at == STEPS_AT_AN_END && self.steps_left_out > 0 {
                write!(formatter, "\n  ({} more)", self.steps_left_out)?;
            }
            write!(formatter, "\n  {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RetentionStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {}",
            Address::Offset(self.offset),
            self.type_name
        )?;
        if let Some(field) = self.field {
            write!(formatter, ", by {field}")?;
        }
        match self.word {
            Some(word) => write!(formatter, ", word {word}"),
            None => Ok(()),
        }
    }
}

impl Drive {
    /// The way to the object at an address, with every mutator held but those that are inside on this
    /// thread, of which `own` is one.
    pub(crate) fn retention_path(
        &self,
        address: Address,
        own: Option<&Local>,
    ) -> Result<Option<RetentionPath>, RetentionError> {
        self.refuse_forked()?;
        self.while_stopped(|held| {
            let mut words = Vec::new();
            let held = held.iter().map(|record| record.local());
            held.chain(own)
                .for_each(|local| verify::words_of(local, &mut words));
            let target = object_at(&self.shared, address)?;
            Ok(Search::new(&self.shared, target).run(&words))
        })?
    }
}

/// The object whose slot covers an address.
fn object_at(shared: &Shared, address: Address) -> Result<usize, RetentionError> {
    let raw = match address {
        Address::Offset(offset) => shared.space.base().wrapping_add(offset as usize),
        Address::Raw(raw) => raw as usize,
    };
    match shared.space.find(raw - raw % GRANULE_BYTES) {
        Found::Object(place) | Found::Interior(place) => Ok(place.base),
        found => Err(RetentionError::NoObject {
            address,
            reason: found.reason(),
        }),
    }
}

/// How an object was reached first.
#[derive(Clone, Copy)]
enum Reached {
    From(Origin),
    /// From the object at this address.
    By(usize),
}

struct Search<'a> {
    shared: &'a Shared,
    target: usize,
    reached: HashMap<usize, Reached>,
    queue: VecDeque<usize>,
    children: Vec<usize>,
    /// Ephemeron cells that were reached before their keys, with their values, by key.
    waiting: HashMap<usize, Vec<(usize, usize)>>,
}

impl<'a> Search<'a> {
    fn new(shared: &'a Shared, target: usize) -> Self {
        Search {
            shared,
            target,
            reached: HashMap::new(),
            queue: VecDeque::new(),
            children: Vec::new(),
            waiting: HashMap::new(),
        }
    }

    fn run(mut self, stack_words: &[usize]) -> Option<RetentionPath> {
        let mut roots = Vec::new();
        self.shared.roots.addresses_into(&mut roots);
        for (addresses, origin) in [(&*roots, Origin::Root), (stack_words, Origin::Stack)] {
            for &address in addresses {
                self.reach(address, Reached::From(origin));
            }
        }
        while let Some(address) = self.queue.pop_front() {
            if address == self.target {
                return Some(self.path());
            }
            self.scan(address);
            self.follow_ephemerons(address);
        }
        None
    }

    /// Queues an object that was not reached before.
    fn reach(&mut self, address: usize, how: Reached) {
        if !self.shared.state(address).is_object() {
            return;
        }
        if let Entry::Vacant(entry) = self.reached.entry(address) {
            entry.insert(how);
            self.queue.push_back(address);
        }
    }

    fn scan(&mut self, address: usize) {
        let Some(span) = self.shared.space.span_of(address) else {
            return;
        };
        let mut from = Some(0);
        while let Some(item) = from {
            let mut children = core::mem::take(&mut self.children);
            let types = &self.shared.types;
            let scanned = scan::scan(types, span, address, item, Trust::Sealed, &mut children);
            for child in children.drain(..) {
                self.reach(child, Reached::By(address));
            }
            self.children = children;
            from = match scanned {
                Scanned::Until(next) => Some(next),
                Scanned::Whole | Scanned::NoDescriptor => None,
            };
        }
    }

    /// An ephemeron leads to its value once its key is reached.
    fn follow_ephemerons(&mut self, address: usize) {
        for (cell, value) in self.waiting.remove(&address).unwrap_or_default() {
            self.reach(value, Reached::By(cell));
        }
        let Some((key, value)) = ephemeron::entry_at(self.shared, address) else {
            return;
        };
        if self.reached.contains_key(&key) {
            self.reach(value, Reached::By(address));
        } else {
            self.waiting.entry(key).or_default().push((address, value));
        }
    }

    /// The way to the target, which was reached.
    fn path(&self) -> RetentionPath {
        let mut origin = Origin::Unknown;
        let mut addresses = vec![self.target];
        let mut at = self.target;
        while let Some(reached) = self.reached.get(&at) {
            match *reached {
                Reached::From(begin) => {
                    origin = begin;
                    break;
                }
                Reached::By(holder) => {
                    addresses.push(holder);
                    at = holder;
                }
            }
        }
        addresses.reverse();
        let left_out = addresses.len().saturating_sub(2 * STEPS_AT_AN_END);
        let is_told =
            |at: usize| left_out == 0 || at < STEPS_AT_AN_END || at >= STEPS_AT_AN_END + left_out;
        let steps = (0..addresses.len()).filter(|at| is_told(*at));
        RetentionPath {
            origin,
            steps: steps
                .map(|at| self.step(addresses[at], addresses.get(at + 1).copied()))
                .collect(),
            steps_left_out: left_out,
        }
    }

    fn step(&self, address: usize, next: Option<usize>) -> RetentionStep {
        let space = &self.shared.space;
        let mut step = RetentionStep {
            offset: space.offset_of(address).unwrap_or_default(),
            type_name: "",
            slot_bytes: 0,
            field: None,
            word: None,
        };
        let Some(span) = space.span_of(address) else {
            return step;
        };
        step.slot_bytes = span.slot_bytes() as u64;
        let types = &self.shared.types;
        if let Some(entry) = types.get(span.type_index()) {
            step.type_name = entry.name();
        }
        let is_ephemeron = ephemeron::entry_at(self.shared, address).is_some();
        match next.filter(|_| !is_ephemeron) {
            None => {}
            Some(next) => match scan::field_of(types, span, address, next) {
                Some(Field::Named(field)) => step.field = Some(field),
                Some(Field::Word(shape, word)) => {
                    (step.field, step.word) = (Some(shape), Some(word));
                }
                None => {}
            },
        }
        step
    }
}
