//! Writes the program of a scenario, one operation after the other.
//!
//! Numbers objects and kinds, notes which operation is the cause, and puts honest work of another mutator
//! round it, drawn from the seed: that work shares no kind of objects with the scenario, so that it takes
//! none of its slots.

use gc_core::Phase;

use crate::ops::{Kind, ObjectId, Op, Program, Word, Write};
use crate::rng::Rng;

/// The mutator of the scenario, and the one that does honest work beside it.
const ACTOR: u32 = 0;
const NEIGHBOUR: u32 = 1;

/// See the module.
pub(crate) struct Script {
    program: Program,
    rng: Rng,
    last: ObjectId,
    cause: Option<usize>,
    /// What the neighbour hangs its work on.
    ledger: ObjectId,
    is_buggy: bool,
}

/// What a script comes to.
pub(crate) struct Written {
    pub(crate) program: Program,
    /// The operation that breaks the heap, by its place. A fixed program has one that does it right.
    pub(crate) cause: usize,
}

impl Script {
    pub(crate) fn new(seed: u64, is_buggy: bool) -> Self {
        let mut script = Script {
            program: Program::default(),
            rng: Rng::for_purpose(seed, "zoo"),
            last: 0,
            cause: None,
            ledger: 0,
            is_buggy,
        };
        let kind = script.kind("entry", 6, &[1, 2, 3]);
        script.op(Op::Enter {
            mutator: NEIGHBOUR,
            stack: 0,
        });
        script.ledger = script.new_object(kind, &[]);
        script.root(script.ledger);
        script.op(Op::Leave);
        script
    }

    /// The program, brought to rest: whatever is still to be found is found by two whole collections, by
    /// spans that are given back, and by a second opinion.
    pub(crate) fn finish(mut self) -> Written {
        self.op(Op::Finish);
        self.give_back();
        self.bustle();
        for _ in 0..2 {
            self.give_back();
            self.op(Op::Collect);
        }
        self.op(Op::Verify);
        Written {
            cause: self.cause.unwrap_or(0),
            program: self.program,
        }
    }

    pub(crate) fn is_buggy(&self) -> bool {
        self.is_buggy
    }

    pub(crate) fn op(&mut self, op: Op) {
        self.program.ops.push(op);
    }

    /// The next operation is the one that breaks the heap, or would.
    pub(crate) fn cause(&mut self) {
        self.cause = Some(self.program.ops.len());
    }

    /// One operation where the bug is, another where it is fixed.
    pub(crate) fn either(&mut self, buggy: Op, fixed: Op) {
        self.op(if self.is_buggy { buggy } else { fixed });
    }

    pub(crate) fn kind(&mut self, name: &str, words: u32, pointers: &[u32]) -> u16 {
        let kinds = &mut self.program.kinds;
        let known = kinds.iter().position(|kind| kind.name == name);
        known.unwrap_or_else(|| {
            kinds.push(Kind {
                name: name.to_string(),
                words,
                pointers: pointers.to_vec(),
            });
            kinds.len() - 1
        }) as u16
    }

    pub(crate) fn new_object(&mut self, kind: u16, fields: &[(u32, Word)]) -> ObjectId {
        self.last += 1;
        self.op(Op::New {
            object: self.last,
            kind,
            fields: fields.to_vec(),
        });
        self.last
    }

    pub(crate) fn bytes(&mut self, bytes: u32) -> ObjectId {
        self.last += 1;
        self.op(Op::Bytes {
            object: self.last,
            bytes,
        });
        self.last
    }

    pub(crate) fn root(&mut self, object: ObjectId) {
        self.op(Op::Root { object });
    }

    pub(crate) fn unroot(&mut self, object: ObjectId) {
        self.op(Op::Unroot { object });
    }

    pub(crate) fn write(&mut self, how: Write, object: ObjectId, field: u32, value: Word) {
        self.op(write(how, object, field, value));
    }

    pub(crate) fn store(&mut self, slot: u32, value: Word) {
        self.op(Op::Store { slot, value });
    }

    /// A rooted object that keeps the span of its kind in use: what dies beside it leaves a free slot, and
    /// no free pages that others may take.
    pub(crate) fn keep_span(&mut self, kind: u16) {
        let kept = self.new_object(kind, &[]);
        self.root(kept);
    }

    /// The actor goes inside.
    pub(crate) fn enter(&mut self) {
        self.op(Op::Enter {
            mutator: ACTOR,
            stack: 0,
        });
    }

    pub(crate) fn leave(&mut self) {
        self.op(Op::Leave);
    }

    pub(crate) fn until(&mut self, phase: Phase) {
        self.op(Op::Until { phase });
    }

    /// What nothing leads to is swept: its address is stale from here on.
    pub(crate) fn sweep_dead(&mut self) {
        self.give_back();
        self.op(Op::Collect);
    }

    /// Both mutators give back the spans that they keep.
    fn give_back(&mut self) {
        for mutator in [ACTOR, NEIGHBOUR] {
            self.op(Op::Enter { mutator, stack: 0 });
            self.op(Op::Leave);
            self.op(Op::Park);
        }
    }

    /// Honest work beside the scenario, in whatever phase the heap is; the collector does nothing.
    pub(crate) fn bustle(&mut self) {
        let entry = self.kind("entry", 6, &[1, 2, 3]);
        for _ in 0..1 + self.rng.index(3) {
            self.op(Op::Enter {
                mutator: NEIGHBOUR,
                stack: 0,
            });
            let mut chain = Word::Null;
            for _ in 0..1 + self.rng.index(6) {
                chain = Word::Object(self.new_object(entry, &[(1, chain)]));
            }
            if self.rng.index(2) == 0 {
                let bytes = 200 + 10 * self.rng.index(60) as u32;
                self.bytes(bytes);
            }
            let field = 1 + self.rng.index(3) as u32;
            self.write(Write::Set, self.ledger, field, chain);
            self.op(Op::Leave);
        }
    }

    /// Honest work with whole collections in between.
    pub(crate) fn background(&mut self) {
        for _ in 0..1 + self.rng.index(3) {
            self.bustle();
            if self.rng.index(2) == 0 {
                self.op(Op::Start);
                let units = 1 + self.rng.index(20) as u32;
                self.op(Op::Step { units });
                self.bustle();
            }
            self.op(Op::Finish);
        }
    }
}

pub(crate) fn write(how: Write, object: ObjectId, field: u32, value: Word) -> Op {
    Op::Write {
        how,
        object,
        field,
        value,
    }
}
