//! The operations that break a heap: stores that keep no duty, words that are no pointers, faults inside.
//!
//! Chosen only where the program is meant to break something. What comes of them is not foreseen here: an operation
//! whose operands do not exist does nothing.

use super::{Action, Writer, target};
use crate::ops::{CopyMode, Op, Word, Write};
use crate::search::model::Slot;

/// Faults inside the heap that it survives in the process that strikes them; the campaign has all, each in its own.
const CLASSES: [&str; 4] = [
    "state-object-to-free",
    "sweep-repeated",
    "pacer-skewed",
    "root-dropped-twice",
];
/// How far a word that looks like a pointer may be from the beginning of the heap.
const IN_HEAP: u32 = 1 << 22;

impl Writer<'_> {
    pub(super) fn break_something(&mut self, action: Action) {
        match action {
            Action::Misstore => self.misstore(),
            Action::Wild => self.wild(),
            Action::DeadCopy => {
                let slots = self.slots(false);
                match self.chooser.pick(&slots) {
                    Some(slot) => {
                        let value = self.value();
                        self.op(Op::CopyBack { slot, value });
                        self.model.top()[slot as usize] = Slot::Live(target(value));
                    }
                    None => self.call(CopyMode::Barrier),
                }
            }
            Action::Revive => {
                let slots = self.slots(false);
                if let Some(slot) = self.chooser.pick(&slots) {
                    self.op(Op::Revive { slot });
                    self.model.top()[slot as usize] = Slot::Live(0);
                }
            }
            _ => self.hold(),
        }
    }

    /// A number that the collector does not know of keeps an object, until it does not.
    fn hold(&mut self) {
        if let Some(object) = self.model.held.pop() {
            self.op(Op::Release { object });
        } else if let Some(object) = self.object() {
            self.op(Op::Hold { object });
            self.model.held.push(object);
        }
    }

    fn misstore(&mut self) {
        let all = [
            Write::Bare,
            Write::Swapped,
            Write::Init,
            Write::Hide,
            Write::Pun,
        ];
        let how = self.chooser.pick(&all).unwrap_or(Write::Bare);
        if let Some((object, field)) = self.word(!matches!(how, Write::Hide | Write::Pun)) {
            let value = self.value();
            self.written(how, object, field, value);
        }
    }

    /// A word that leads to no object, where a pointer is expected.
    fn wild(&mut self) {
        let word = match self.chooser.below(4) {
            0 => {
                let object = self.object();
                let bytes = self.chooser.within(1, 64);
                object.map_or(Word::Number(8), |object| Word::Past(object, bytes))
            }
            1 => Word::Stale(self.chooser.within(1, self.model.last().max(1))),
            2 => Word::InHeap(8 * u64::from(self.chooser.below(IN_HEAP / 8))),
            _ => Word::Number(u64::from(self.chooser.below(1 << 16)) << self.chooser.below(48)),
        };
        let slots = self.model.top().len() as u32;
        match self.chooser.below(3) {
            0 if slots > 0 => {
                let slot = self.chooser.below(slots);
                self.op(Op::Store { slot, value: word });
                self.model.top()[slot as usize] = Slot::Live(0);
            }
            1 => {
                if let Some((object, field)) = self.word(true) {
                    self.written(Write::Set, object, field, word);
                }
            }
            _ => {
                let new = self.value();
                self.op(Op::Shade { old: word, new });
            }
        }
    }

    /// A fault inside the heap.
    pub(super) fn strike(&mut self) {
        let class = self.chooser.pick(&CLASSES).unwrap_or(CLASSES[0]);
        let object = (self.model.last() > 0).then(|| self.chooser.within(1, self.model.last()));
        self.op(Op::Fault {
            class: class.to_string(),
            stroke: 0,
            nth: 0,
            object,
        });
    }
}
