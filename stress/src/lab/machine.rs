//! The interpreter: carries a program out on a heap of its own, one operation after the other.
//!
//! Driven by one thread, with a driver that has no threads of its own, so that what happens follows from the program alone.
//! After each operation it notes what the checks have said, so that each violation has the operation at
//! which it was reported, and, where the program brought the doubtful address in, the one that did.
//!
//! An operation that is done outside of `enter` and needs one gets an `enter` to itself, on the stack
//! that was entered last.
//!
//! An allocation that a limit refuses, where the setup has one, is an operation that changes nothing, or the rest of a
//! `fill` that does not happen.
//!
//! Invariants: the shadow follows every operation that was carried out; an operation whose operands do
//! not exist changes nothing. What the program means to break is broken by the operations that say so;
//! the unsafe duties of all others are kept: pointers come from the shadow, and an object is looked at
//! before it is used.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use gc_core::raw::Shape;
use gc_core::{Check, Checks, Heap, Mutator, Policy, Root, Trace};

use super::frames::Frames;
use super::outcome::{Lost, Met, Outcome};
use super::shadow::Shadow;
use super::watch::Watcher;
use crate::error::Error;
use crate::ops::{Kind, ObjectId, Op, Program, Regime};

mod collector;
mod fault;
mod hands;
mod objects;
mod survey;
mod watches;

/// Slots of a stack.
const STACK_SLOTS: usize = 256;
/// How long a mutator waits at an edge: with nobody else inside it never has to, so that no clock ends the wait.
const EDGE_WAIT: Duration = Duration::from_secs(3600);
/// Mutators, and stacks of each, that a program may name.
const MEMBERS_MAX: u32 = 256;

/// What an object looks like through a root or a weak reference: nothing of it can be read.
#[derive(Trace)]
#[trace(leaf)]
pub(super) struct Opaque;

/// From which report on nothing more is carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// None: the program runs to its end.
    Never,
    /// The first.
    AtFirst,
    /// The first of a check that names that call site, or none.
    At(Check, Option<String>),
}

/// What a heap of the lab is built with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What follows from a violation.
    pub(crate) policy: Policy,
    /// How hard the heap looks.
    pub(crate) checks: Checks,
    /// Address space of the heap.
    pub(crate) reserve_bytes: usize,
    /// Who advances the collector, from where on allocations are refused, and whether there are generations.
    pub(crate) regime: Regime,
    /// How far a program is carried out.
    pub(crate) stop: Stop,
}

impl Setup {
    fn heap(&self) -> Result<Heap, Error> {
        let regime = &self.regime;
        let mut builder = Heap::builder()
            .name("lab")
            .driver(regime.driver.0)
            .edge_wait(EDGE_WAIT)
            .policy(self.policy.clone())
            .checks(self.checks)
            .reserve_bytes(self.reserve_bytes);
        if let Some(bytes) = regime.limit_bytes {
            builder = builder.limit_bytes(bytes);
        }
        if let Some(bytes) = regime.soft_limit_bytes {
            builder = builder.soft_limit_bytes(bytes);
        }
        if let Some(bytes) = regime.nursery_bytes {
            builder = builder.generational(bytes);
        }
        Ok(builder.build()?)
    }
}

/// A mutator and its stacks. The mutator is out of its place while it is inside.
#[derive(Default)]
struct Member {
    mutator: Option<Mutator>,
    stacks: Vec<Frames>,
}

/// Where the program stands.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Seat {
    mutator: usize,
    stack: usize,
}

/// See the module.
pub(super) struct Machine<'p> {
    heap: Heap,
    program: &'p Program,
    shapes: Vec<Option<Shape>>,
    shadow: Shadow,
    members: Vec<Member>,
    seat: Seat,
    /// What the mutator that is inside has allocated or read since it entered; each is pinned.
    hand: Vec<ObjectId>,
    roots: HashMap<ObjectId, Vec<Root<Opaque>>>,
    held: HashMap<ObjectId, u32>,
    watches: BTreeMap<u32, watches::Watch>,
    pairs: BTreeMap<u32, watches::Pair>,
    #[cfg(feature = "fault-inject")]
    struck: Vec<gc_core::fault::Struck>,
    /// Addresses of objects that are named when they may be gone.
    remembered: HashMap<ObjectId, Option<usize>>,
    /// The operation that last brought a doubtful address in.
    blame: HashMap<usize, usize>,
    base: Option<usize>,
    /// The operation that is being carried out.
    at: usize,
    total: u64,
    counts: Vec<u64>,
    met: Vec<Met>,
    lost: Vec<Lost>,
    skipped: Vec<usize>,
    refused: Vec<usize>,
    is_limited: bool,
    cycle_at: Vec<u32>,
    /// The cycle at the end of the operation before.
    cycle: u32,
    /// The operation of the workload that was marked last.
    mark: u64,
    stop: Stop,
    /// What the program was to be carried out for has been reported.
    is_over: bool,
    /// Who looks on, if anybody does.
    watcher: Option<&'p mut dyn Watcher>,
}

/// Carries a program out on a new heap.
pub(super) fn run(program: &Program, setup: &Setup) -> Result<Outcome, Error> {
    let heap = setup.heap()?;
    Machine::new(heap, program, setup).run()
}

/// As [`run`], with somebody who looks on.
#[cfg(feature = "fault-inject")]
pub(super) fn run_watched(
    program: &Program,
    setup: &Setup,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, Error> {
    let heap = setup.heap()?;
    let mut machine = Machine::new(heap, program, setup);
    machine.watcher = Some(watcher);
    machine.run()
}

impl<'p> Machine<'p> {
    fn new(heap: Heap, program: &'p Program, setup: &Setup) -> Self {
        Machine {
            heap,
            program,
            shapes: vec![None; program.kinds.len()],
            shadow: Shadow::default(),
            members: Vec::new(),
            seat: Seat::default(),
            hand: Vec::new(),
            roots: HashMap::new(),
            held: HashMap::new(),
            watches: BTreeMap::new(),
            pairs: BTreeMap::new(),
            #[cfg(feature = "fault-inject")]
            struck: Vec::new(),
            remembered: survey::remembered(program)
                .into_iter()
                .map(|id| (id, None))
                .collect(),
            blame: HashMap::new(),
            base: None,
            at: 0,
            total: 0,
            counts: vec![0; Check::COUNT],
            met: Vec::new(),
            lost: Vec::new(),
            skipped: Vec::new(),
            refused: Vec::new(),
            is_limited: setup.regime.limit_bytes.is_some(),
            cycle_at: Vec::new(),
            cycle: 0,
            mark: 0,
            watcher: None,
            stop: setup.stop.clone(),
            is_over: false,
        }
    }

    fn run(mut self) -> Result<Outcome, Error> {
        let ops = &self.program.ops;
        while let Some(op) = ops.get(self.at).filter(|_| !self.is_over) {
            match op {
                Op::Enter { mutator, stack } => {
                    let is_known = *mutator < MEMBERS_MAX && *stack < MEMBERS_MAX;
                    if is_known {
                        self.seat = Seat {
                            mutator: *mutator as usize,
                            stack: *stack as usize,
                        };
                        self.enter(true)?;
                    } else {
                        self.skipped.push(self.at);
                        self.at += 1;
                    }
                }
                _ if survey::needs_scope(op) => self.enter(false)?,
                _ => {
                    let is_done = self.outside(op)?;
                    self.done(is_done);
                }
            }
        }
        self.finish()
    }

    /// Goes inside at the operation that asks for it, and comes out after the one that ends it.
    fn enter(&mut self, is_long: bool) -> Result<(), Error> {
        let seat = self.seat;
        let mut mutator = self.take_mutator(seat)?;
        let result = mutator.enter(|scope| {
            if !is_long {
                let is_done = self.inside(scope)?;
                return Ok::<_, Error>(is_done);
            }
            self.done(true);
            while let Some(op) = self.program.ops.get(self.at) {
                if *op == Op::Leave || self.is_over {
                    break;
                }
                let is_done = self.inside(scope)?;
                self.done(is_done);
            }
            Ok(true)
        });
        self.members[seat.mutator].mutator = Some(mutator);
        for object in std::mem::take(&mut self.hand) {
            self.shadow.unpin(object);
        }
        let is_done = result?;
        self.done(is_done);
        Ok(())
    }

    /// The mutator of a seat, with the stack there.
    fn take_mutator(&mut self, seat: Seat) -> Result<Mutator, Error> {
        while self.members.len() <= seat.mutator {
            self.members.push(Member {
                mutator: Some(self.heap.mutator()),
                stacks: Vec::new(),
            });
        }
        let member = &mut self.members[seat.mutator];
        let mut mutator = member.mutator.take().ok_or(Error::NoFiber {
            fiber: seat.mutator,
        })?;
        while member.stacks.len() <= seat.stack {
            member.stacks.push(Frames::new(mutator.stack(STACK_SLOTS)));
        }
        Ok(mutator)
    }

    /// An operation has ended: notes what the checks have said meanwhile, and goes on to the next.
    fn done(&mut self, is_done: bool) {
        if !is_done {
            self.skipped.push(self.at);
        }
        self.account();
        self.cycle_at.push(self.cycle);
        self.cycle = self.heap.cycle();
        if let Some(watcher) = &mut self.watcher {
            watcher.after(self.at, &self.heap);
        }
        self.at += 1;
    }

    fn account(&mut self) {
        let health = self.heap.health();
        let total = health.total();
        if total == self.total {
            return;
        }
        let op = self.at.min(self.program.ops.len().saturating_sub(1));
        let seen = self.total;
        self.total = total;
        let recent = health.recent();
        for (check, counted) in Check::ALL.iter().zip(&mut self.counts) {
            let count = health.count(*check);
            if count == *counted {
                continue;
            }
            let first = recent
                .iter()
                .find(|violation| violation.check == *check && violation.sequence > seen)
                .copied();
            let address = first.and_then(|violation| offset(violation.address));
            let store = address
                .zip(self.base)
                .and_then(|(offset, base)| self.blame.get(&(base + offset as usize)))
                .copied();
            let met = Met {
                op,
                check: *check,
                count: count - *counted,
                first,
                store,
                mark: self.mark,
            };
            self.is_over |= match &self.stop {
                Stop::Never => false,
                Stop::AtFirst => true,
                Stop::At(check, site) => met.check == *check && met.call_site() == *site,
            };
            self.met.push(met);
            *counted = count;
        }
    }

    /// What it came to, when the last operation was done.
    fn finish(mut self) -> Result<Outcome, Error> {
        self.at = self.program.ops.len().saturating_sub(1);
        let live = self.shadow.live();
        let mut mutator = self.heap.mutator();
        mutator.enter(|scope| {
            for object in &live {
                self.is_there(scope, *object);
            }
        });
        drop(mutator);
        let is_ledger_balanced = self.heap.ledger()?.is_balanced();
        self.account();
        let stats = self.heap.stats();
        let violations = Check::ALL.iter().copied().zip(self.counts.iter().copied());
        Ok(Outcome {
            ops: self.program.ops.len(),
            violations: violations.filter(|(_, count)| *count > 0).collect(),
            met: std::mem::take(&mut self.met),
            lost: std::mem::take(&mut self.lost),
            skipped: std::mem::take(&mut self.skipped),
            refused: std::mem::take(&mut self.refused),
            cycle_at: std::mem::take(&mut self.cycle_at),
            live_checked: live.len(),
            is_healthy: stats.is_healthy,
            is_ledger_balanced,
            cycles: stats.cycle,
            quarantined_bytes: stats.bytes_quarantined,
        })
    }

    fn kind(&self, kind: u16) -> Option<&'p Kind> {
        self.program.kinds.get(usize::from(kind))
    }
}

fn offset(address: Option<gc_core::Address>) -> Option<u64> {
    crate::outcome::offset(address)
}
