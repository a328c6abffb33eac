//! Writes a program, one visit of a mutator after the other.
//!
//! Called for each program, on one thread, before there is a heap. What it decides comes from a chooser alone. Invariant:
//! a program that is not meant to break anything keeps every duty of a user of the unsafe layer; `model` says what may
//! be named, and slots that nobody wrote are not copied into. What a limit refuses when the program is carried out is not
//! known here, so under a limit a slot is written with nothing first, which makes it live whatever is refused.

use gc_core::{CheckLevel, Phase};

use super::chooser::Chooser;
use super::model::Model;
use super::swarm::{Action, Swarm};
use crate::ops::{ObjectId, Op, Program, Regime, Word, Write};

mod breaking;
mod objects;
mod slots;

/// Phases that a program waits for. Terminating is over within a step.
const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Arm,
    Phase::Settle,
    Phase::Snapshot,
    Phase::Mark,
    Phase::Clear,
    Phase::Sweep,
];
/// Steps along fields from what is at hand to what is named.
const STEPS_MAX: u32 = 3;
/// Numbers of weak references, and of ephemerons.
const WATCHES: u32 = 4;
/// Where the heap has generations, one cycle in so many that is asked for is to be full.
const FULL_ONE_IN: u32 = 4;
/// Breaking operations are one in so many.
const BREAKING_ONE_IN: u32 = 8;

/// A program, and what it was written for.
pub(super) struct Written {
    pub(super) program: Program,
    pub(super) level: CheckLevel,
    pub(super) mutators: u32,
    pub(super) regime: Regime,
}

/// Writes a program. At a level that is drawn, unless there is one.
pub(super) fn write(mut chooser: Chooser<'_>, level: Option<CheckLevel>, breaks: bool) -> Written {
    let swarm = Swarm::draw(&mut chooser, level, breaks);
    let mut writer = Writer {
        program: Program {
            kinds: swarm.kinds.clone(),
            ops: Vec::new(),
        },
        chooser,
        swarm,
        model: Model::default(),
    };
    while writer.program.ops.len() < writer.swarm.ops as usize && !writer.chooser.is_over() {
        writer.visit();
    }
    writer.rest();
    Written {
        program: writer.program,
        level: writer.swarm.level,
        mutators: writer.swarm.mutators,
        regime: writer.swarm.regime,
    }
}

/// See the module.
struct Writer<'b> {
    chooser: Chooser<'b>,
    swarm: Swarm,
    model: Model,
    program: Program,
}

impl Writer<'_> {
    fn op(&mut self, op: Op) {
        self.program.ops.push(op);
    }

    /// Some of the collector's work, and then a mutator inside.
    fn visit(&mut self) {
        for _ in 0..self.chooser.below(4) {
            if let Some(action) = self.chooser.pick(&self.swarm.outside) {
                self.outside(action);
            }
        }
        if self.swarm.breaking.contains(&Action::Strike) && self.chooser.one_in(4) {
            self.strike();
        }
        let mutator = self.chooser.below(self.swarm.mutators);
        let stack = self.chooser.below(self.swarm.stacks);
        self.model.seat = (mutator, stack);
        self.op(Op::Enter { mutator, stack });
        for _ in 0..self.chooser.within(1, 2 * self.swarm.stay) {
            let is_breaking =
                !self.swarm.breaking.is_empty() && self.chooser.one_in(BREAKING_ONE_IN);
            let among = if is_breaking {
                &self.swarm.breaking
            } else {
                &self.swarm.inside
            };
            if let Some(action) = self.chooser.pick(among) {
                self.inside(action);
            }
        }
        self.model.hand.clear();
        self.op(Op::Leave);
    }

    /// Brings the heap to rest: what is to be found is found by whole collections and a second opinion.
    fn rest(&mut self) {
        self.op(Op::Finish);
        for mutator in 0..self.swarm.mutators {
            self.op(Op::Enter { mutator, stack: 0 });
            self.op(Op::Leave);
            self.op(Op::Park);
        }
        self.op(Op::Collect);
        self.op(Op::Collect);
        self.op(Op::Verify);
    }

    fn outside(&mut self, action: Action) {
        match action {
            Action::Finish => self.op(Op::Finish),
            Action::Collect if self.is_young() => self.op(Op::CollectYoung),
            Action::Collect => self.op(Op::Collect),
            Action::Verify => self.op(Op::Verify),
            Action::Park => self.op(Op::Park),
            _ => self.anywhere(action),
        }
    }

    /// Whether the cycle that is asked for next may be young.
    fn is_young(&mut self) -> bool {
        self.swarm.regime.nursery_bytes.is_some() && !self.chooser.one_in(FULL_ONE_IN)
    }

    fn anywhere(&mut self, action: Action) {
        match action {
            Action::Start if self.is_young() => self.op(Op::StartYoung),
            Action::Start => self.op(Op::Start),
            Action::Step => {
                let units = self.chooser.within(1, self.swarm.units);
                self.op(Op::Step { units });
            }
            Action::Until => {
                let phase = self.chooser.pick(&PHASES).unwrap_or_default();
                self.op(Op::Until { phase });
            }
            Action::Unroot => {
                let at = self.chooser.below(self.model.roots.len() as u32) as usize;
                if at < self.model.roots.len() {
                    let object = self.model.roots.swap_remove(at);
                    self.op(Op::Unroot { object });
                }
            }
            _ => {}
        }
    }

    fn inside(&mut self, action: Action) {
        match action {
            Action::New | Action::Bytes | Action::Fill => self.make(action),
            Action::Push | Action::Pop | Action::Retire => self.frame(action),
            Action::Store | Action::CopyBack | Action::Call => self.slot(action),
            Action::Root | Action::Get => self.root(action),
            Action::Weak | Action::Upgrade | Action::Pair | Action::Entry => self.weak(action),
            Action::Set => {
                if let Some((object, field)) = self.word(true) {
                    let value = self.value();
                    self.written(Write::Set, object, field, value);
                }
            }
            Action::Shade => {
                let (old, new) = (self.value(), self.value());
                self.op(Op::Shade { old, new });
            }
            Action::Misstore | Action::Wild | Action::DeadCopy | Action::Revive | Action::Hold => {
                self.break_something(action);
            }
            _ => self.anywhere(action),
        }
    }

    /// An object that the mutator has from somewhere; asks a root for it where that is needed.
    fn object(&mut self) -> Option<ObjectId> {
        let near = self.model.at_hand();
        let far = self.model.roots.clone();
        let at = self.chooser.below((near.len() + far.len()) as u32) as usize;
        let mut object = match near.get(at) {
            Some(object) => *object,
            None => {
                let object = *far.get(at - near.len())?;
                self.get(object);
                object
            }
        };
        for _ in 0..self.chooser.below(STEPS_MAX + 1) {
            let Some(thing) = self.model.things.get(&object) else {
                break;
            };
            let targets: Vec<ObjectId> = thing
                .fields
                .values()
                .copied()
                .filter(|one| *one != 0)
                .collect();
            match self.chooser.pick(&targets) {
                Some(target) => object = target,
                None => break,
            }
        }
        Some(object)
    }

    fn get(&mut self, object: ObjectId) {
        self.op(Op::Get { object });
        self.model.hand.push(object);
    }

    /// Nothing, or an object.
    fn value(&mut self) -> Word {
        if self.chooser.one_in(4) {
            return Word::Null;
        }
        self.object().map_or(Word::Null, Word::Object)
    }

    /// A word of an object: one of its pointers, or one that is none.
    fn word(&mut self, is_pointer: bool) -> Option<(ObjectId, u32)> {
        let object = self.object()?;
        let kind = self.model.things.get(&object)?.kind?;
        let kind = self.swarm.kinds.get(usize::from(kind))?;
        let words = (1..kind.words).filter(|word| kind.pointers.contains(word) == is_pointer);
        let words: Vec<u32> = words.take(64).collect();
        Some((object, self.chooser.pick(&words)?))
    }

    fn written(&mut self, how: Write, object: ObjectId, field: u32, value: Word) {
        self.op(Op::Write {
            how,
            object,
            field,
            value,
        });
        if let Some(thing) = self.model.things.get_mut(&object) {
            thing.fields.insert(field, target(value));
        }
    }

    fn root(&mut self, action: Action) {
        if action == Action::Root {
            if let Some(object) = self.object() {
                self.op(Op::Root { object });
                self.model.roots.push(object);
            }
        } else if let Some(object) = self.chooser.pick(&self.model.roots) {
            self.get(object);
        }
    }

    fn weak(&mut self, action: Action) {
        let number = self.chooser.below(WATCHES);
        match action {
            Action::Weak => {
                if let Some(object) = self.object() {
                    self.op(Op::Weak {
                        weak: number,
                        object,
                    });
                    self.model.watches.insert(number, object);
                }
            }
            Action::Pair => {
                let (Some(key), Some(value)) = (self.object(), self.object()) else {
                    return;
                };
                self.op(Op::Pair {
                    pair: number,
                    key,
                    value,
                });
                self.model.pairs.insert(number, (key, value));
            }
            Action::Upgrade => {
                if let Some(object) = self.model.watches.get(&number).copied() {
                    self.op(Op::Upgrade { weak: number });
                    // What may be gone is not named.
                    if self.model.is_alive(object) {
                        self.model.hand.push(object);
                    }
                }
            }
            _ => {
                if let Some((key, value)) = self.model.pairs.get(&number).copied() {
                    self.op(Op::Entry { pair: number });
                    if self.model.is_alive(key) {
                        self.model.hand.extend([key, value]);
                    }
                }
            }
        }
    }
}

/// The object that a word is taken for; 0 for none.
fn target(value: Word) -> ObjectId {
    match value {
        Word::Object(object) => object,
        _ => 0,
    }
}
