//! Faults: what the heap offers to break, struck by a program.
//!
//! Without the feature `fault-inject` there are none, and the operation does nothing.

use super::Machine;
use crate::error::Error;
use crate::ops::ObjectId;

impl Machine<'_> {
    #[cfg(feature = "fault-inject")]
    pub(super) fn strike(
        &mut self,
        class: &str,
        stroke: u32,
        nth: u32,
        object: Option<ObjectId>,
    ) -> Result<bool, Error> {
        let class = gc_core::fault::Class::from_name(class);
        let Some(stroke) = class.and_then(|class| class.strokes.get(stroke as usize)) else {
            return Ok(false);
        };
        let address = match object {
            Some(object) => self.remembered.get(&object).copied().flatten(),
            None => Some(0),
        };
        let Some(address) = address else {
            return Ok(false);
        };
        self.blame.insert(address, self.at);
        let mut mutator = self.take_mutator(self.seat)?;
        let struck = stroke.strike(&self.heap, &mut mutator, address, u64::from(nth));
        self.members[self.seat.mutator].mutator = Some(mutator);
        let is_struck = !matches!(
            struck.state,
            gc_core::fault::State::Missed | gc_core::fault::State::Program
        );
        self.struck.push(struck);
        Ok(is_struck)
    }

    #[cfg(not(feature = "fault-inject"))]
    pub(super) fn strike(
        &mut self,
        _class: &str,
        _stroke: u32,
        _nth: u32,
        _object: Option<ObjectId>,
    ) -> Result<bool, Error> {
        Ok(false)
    }
}
