//! Frames and their slots: pushed, stored into, copied into, retired and popped.
//!
//! Invariant: the copy through the barrier goes into slots that are live, unless the program is meant to break something.

use super::{Action, Writer, target};
use crate::ops::{CopyMode, ObjectId, Op, Word};
use crate::search::model::Slot;

impl Writer<'_> {
    pub(super) fn frame(&mut self, action: Action) {
        match action {
            Action::Push => {
                let slots = self.chooser.within(1, self.swarm.slots);
                if self.model.has_room(slots) {
                    self.op(Op::Push { slots });
                    self.model.frames().push(vec![Slot::Dead; slots as usize]);
                }
            }
            Action::Pop => {
                if self.model.frames().pop().is_some() {
                    self.op(Op::Pop);
                }
            }
            _ => {
                let slots = self.model.top().len() as u32;
                if slots > 0 {
                    let from = self.chooser.below(slots);
                    let count = self.chooser.within(1, slots - from);
                    self.op(Op::Retire { from, count });
                    self.model.top()[from as usize..(from + count) as usize].fill(Slot::Dead);
                }
            }
        }
    }

    /// The slots of the top frame that are live, or those that are not.
    pub(super) fn slots(&mut self, is_live: bool) -> Vec<u32> {
        let slots = (0..).zip(self.model.top().iter());
        let wanted = slots.filter(|(_, slot)| (**slot != Slot::Dead) == is_live);
        wanted.map(|(at, _)| at).collect()
    }

    pub(super) fn slot(&mut self, action: Action) {
        if action == Action::Call {
            return self.call(CopyMode::Plain);
        }
        let slots = match action {
            Action::CopyBack => self.slots(true),
            _ => (0..self.model.top().len() as u32).collect(),
        };
        let Some(slot) = self.chooser.pick(&slots) else {
            return;
        };
        let value = self.value();
        if action == Action::Store {
            self.make_live(slot, 1);
        }
        self.op(match action {
            Action::CopyBack => Op::CopyBack { slot, value },
            _ => Op::Store { slot, value },
        });
        self.model.top()[slot as usize] = Slot::Live(target(value));
    }

    /// Makes slots live for certain, where an object that is to be stored there may have been refused.
    pub(super) fn make_live(&mut self, slot: u32, count: u32) {
        if self.swarm.regime.limit_bytes.is_some() {
            for slot in slot..slot + count {
                let value = Word::Null;
                self.op(Op::Store { slot, value });
            }
        }
    }

    pub(super) fn call(&mut self, mode: CopyMode) {
        let slots = self.model.top().len() as u32;
        let count = self.chooser.below(slots.min(4));
        let Some(result) = self.object().filter(|_| slots > 0) else {
            return;
        };
        let arguments: Vec<ObjectId> = (0..count).filter_map(|_| self.object()).collect();
        let taken = arguments.len() as u32 + 1;
        let base = self.chooser.below(slots - taken + 1);
        self.op(Op::Call {
            base,
            result,
            mode,
            arguments,
        });
        self.model.hand.push(result);
        self.model.top()[base as usize..(base + taken) as usize].fill(Slot::Dead);
    }
}
