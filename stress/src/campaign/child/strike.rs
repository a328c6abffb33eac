//! The moment of a fault: brings the heap to where the fault belongs, picks what to strike, and says
//! what it was.
//!
//! Called in the child before one operation of its program. Whoever strikes is the only one who knows
//! which span and slot are broken; that goes to the judge, and the heap's reports are compared with it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gc_core::fault::{Aim, Moment, Site, State, Struck};
use gc_core::{Found, Phase};

use super::objects::Bead;
use super::stage::{Stage, walk};
use crate::campaign::case::Case;
use crate::campaign::fault::Fault;
use crate::campaign::fixture::{BEAD_FIRST, BEADS, RELIC_FIRST, RELICS, is_kept};
use crate::campaign::lab::step_to;
use crate::campaign::program::Planner;
use crate::campaign::wire::Strike;
use crate::rng::Rng;

/// Most units of marking before an object is moved behind the marker's back.
const UNITS_BEFORE_MOVE: u64 = 60;

/// A fault in place.
pub(super) struct Planted {
    /// Keeps what was planted.
    _struck: Struck,
    /// The site that was armed, and how often it had struck before.
    pub(super) armed: Option<(Site, u64)>,
}

/// What a stroke is aimed at.
#[derive(Default)]
struct Target {
    address: usize,
    id: Option<u64>,
}

impl Stage {
    /// Injects one fault of a case.
    pub(super) fn strike(
        &mut self,
        case: &Case,
        fault: Fault,
        planner: &Planner,
        rng: &mut Rng,
    ) -> (Strike, Planted) {
        let class = fault.class();
        let stroke = &class.strokes[rng.index(class.strokes.len())];
        // Half of the faults that wait for something are met by an object that moves; the others by
        // whatever the program does.
        // What moves there is old, with which a fault of young cycles has nothing to do.
        let may_move = class.moment == Moment::Any && !fault.needs_generations();
        let is_moving = may_move && rng.one_in(2);
        let moment = if is_moving {
            Moment::Marking
        } else {
            class.moment
        };
        let target = self.target(class.aim, planner, rng);
        let is_there = self.reach(moment) && target.is_some();
        if is_moving {
            // A refusal leaves the phase as it was, which shows in what comes of the case.
            let _ = self.heap.step(rng.within(1..=UNITS_BEFORE_MOVE) as usize);
        }
        let target = target.unwrap_or_default();
        // What a fault in waiting will strike is not known.
        let is_in_waiting = class.moment == Moment::Any;
        let place = self.heap.locate(target.address).place();
        let place = place.filter(|_| !is_in_waiting);
        // A move is two stores.
        let nth = if is_moving { rng.below(2) } else { case.nth };
        let cycle = self.heap.cycle();
        let before = self.strikes_so_far();
        let struck = stroke.strike(&self.heap, &mut self.mutator, target.address, nth);
        if is_moving && catch_unwind(AssertUnwindSafe(|| self.move_a_bead())).is_err() {
            // A thread that was meant to die died here.
            self.replace_mutator();
        }
        let armed = match struck.state {
            State::Armed(site) => before.into_iter().find(|(at, _)| *at == site),
            State::Done | State::Missed | State::Program => None,
        };
        let is_struck = is_there && !matches!(struck.state, State::Missed | State::Program);
        let strike = Strike {
            op: 0,
            cycle,
            is_struck,
            site: stroke.name.to_string(),
            spans: place.iter().map(|place| place.span).collect(),
            // The slot behind is what a pointer past the end means.
            slots: place
                .iter()
                .flat_map(|place| [place.slot, place.slot + 1])
                .collect(),
            target: target.id.filter(|_| !is_in_waiting),
        };
        let _struck = struck;
        (strike, Planted { _struck, armed })
    }

    /// How often each site has struck.
    fn strikes_so_far(&self) -> Vec<(Site, u64)> {
        let fault = self.heap.fault();
        let sites = Site::ALL.iter();
        sites.map(|site| (*site, fault.strikes(*site))).collect()
    }

    /// Advances the collector to a moment. False when it never comes there.
    fn reach(&mut self, moment: Moment) -> bool {
        let phase = match moment {
            Moment::Any => return true,
            Moment::Idle => return self.heap.collect().is_ok(),
            Moment::Marking => Phase::Mark,
            Moment::Decided => Phase::Clear,
            Moment::Sweeping => Phase::Sweep,
        };
        // A cycle of its own, so that what the program did before is settled.
        self.heap.collect().is_ok() && step_to(&self.heap, phase)
    }

    /// Something that a stroke can be aimed at. `None` when there is no such thing.
    fn target(&mut self, aim: Aim, planner: &Planner, rng: &mut Rng) -> Option<Target> {
        match aim {
            Aim::Nothing => Some(Target {
                address: 0,
                id: None,
            }),
            Aim::Live => self.live(planner, rng),
            Aim::Free => {
                let from = rng.index(self.dead_relics.len());
                let (behind, ahead) = self.dead_relics.split_at(from);
                let mut dead = ahead.iter().chain(behind);
                let is_free = |address: &&usize| {
                    matches!(self.heap.locate(**address), Found::FreeSlot { .. })
                };
                dead.find(is_free).map(|address| Target {
                    address: *address,
                    id: None,
                })
            }
            Aim::Rooted => {
                let (root, address) = self.mutator.enter(|scope| {
                    let bead = scope.try_alloc(Bead::new(0, None)).ok()?;
                    Some((scope.root(bead), bead.address()))
                })?;
                self.doomed = Some(root);
                Some(Target { address, id: None })
            }
            Aim::Shaped => self.shaped.map(|address| Target { address, id: None }),
        }
    }

    /// A relic, a bead or a node of the program.
    fn live(&mut self, planner: &Planner, rng: &mut Rng) -> Option<Target> {
        let kind = rng.below(3);
        let (steps, path) = (rng.next_u64(), planner.path(rng));
        let (relics, long, roots) = (&self.relics, &self.long, &self.roots);
        self.mutator.enter(|scope| {
            if let Some(path) = path.filter(|_| kind == 0) {
                let node = walk(roots, scope, &path).ok()?;
                return Some(Target {
                    address: node.address(),
                    id: Some(node.id),
                });
            }
            if kind == 1 {
                let mut bead = scope.get(long).ok()?;
                for _ in 0..steps % BEADS {
                    bead = bead.next.get()?;
                }
                debug_assert!(bead.id > BEAD_FIRST);
                return Some(Target {
                    address: bead.address(),
                    id: Some(bead.id),
                });
            }
            let mut relic = scope.get(relics).ok()?;
            for _ in 0..steps % (RELICS / 2) {
                relic = relic.next.get()?;
            }
            debug_assert!(is_kept(relic.id - RELIC_FIRST));
            Some(Target {
                address: relic.address(),
                id: Some(relic.id),
            })
        })
    }

    /// Moves the only pointer to the last bead of the long chain into the short one: from where the
    /// marker has not been to where it has.
    fn move_a_bead(&mut self) {
        let (short, long) = (&self.short, &self.long);
        self.mutator.enter(|scope| {
            let (Ok(short), Ok(mut last)) = (scope.get(short), scope.get(long)) else {
                return;
            };
            while let Some(next) = last.next.get() {
                match next.next.get() {
                    Some(_) => last = next,
                    None => break,
                }
            }
            if short.next.is_none() {
                short.next.set(scope, last.next.get());
                last.next.set(scope, None);
            }
        });
    }
}
