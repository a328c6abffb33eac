//! A value stack beside what the program believes of its slots.
//!
//! The heap's stack knows which slots are live; here stands which object each of them holds, so that the
//! shadow can let it go when the slot dies. Used by the interpreter alone.

use gc_core::raw::{Stack, StackError};

use crate::ops::ObjectId;

/// See the module.
pub(super) struct Frames {
    pub(super) stack: Stack,
    /// First slot of each frame.
    bases: Vec<usize>,
    /// Object in each slot up to the top; 0 for none.
    objects: Vec<ObjectId>,
}

impl Frames {
    pub(super) fn new(stack: Stack) -> Self {
        Frames {
            stack,
            bases: Vec::new(),
            objects: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, slots: usize) -> Result<(), StackError> {
        self.stack.push_frame(slots)?;
        self.bases.push(self.objects.len());
        self.objects.resize(self.objects.len() + slots, 0);
        Ok(())
    }

    /// Pops the top frame. Answers what its slots held.
    pub(super) fn pop(&mut self) -> Result<Vec<ObjectId>, StackError> {
        self.stack.pop_frame()?;
        let base = self.bases.pop().unwrap_or_default();
        let held = self.objects.split_off(base.min(self.objects.len()));
        Ok(held.into_iter().filter(|object| *object != 0).collect())
    }

    /// Slots of the top frame.
    pub(super) fn slots(&self) -> usize {
        self.objects.len() - self.bases.last().map_or(self.objects.len(), |base| *base)
    }

    /// A slot of the top frame holds another object. Answers the one that it held.
    pub(super) fn replace(&mut self, slot: usize, object: ObjectId) -> ObjectId {
        let base = self.bases.last().copied().unwrap_or_default();
        let place = self.objects.get_mut(base + slot);
        place.map_or(0, |place| std::mem::replace(place, object))
    }

    /// Retires slots of the top frame. Answers what they held.
    pub(super) fn retire(
        &mut self,
        from: usize,
        count: usize,
    ) -> Result<Vec<ObjectId>, StackError> {
        self.stack.retire(from..from.saturating_add(count))?;
        let held = (from..from + count).map(|slot| self.replace(slot, 0));
        Ok(held.filter(|object| *object != 0).collect())
    }
}
