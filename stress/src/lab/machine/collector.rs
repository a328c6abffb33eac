//! Operations that need no scope: the collector's steps, and what the program holds outside of `enter`.

use gc_core::{Phase, Scope, StepProgress};

use super::Machine;
use crate::error::Error;
use crate::ops::{ObjectId, Op};

/// Units of a step on the way to a phase, and of one to the end of a cycle.
const UNITS_FINE: usize = 1;
const UNITS_COARSE: usize = 1 << 16;
/// Steps after which a phase is given up.
const STEPS_MAX: usize = 1 << 20;

impl Machine<'_> {
    /// An operation that needs no scope, done outside.
    pub(super) fn outside(&mut self, op: &Op) -> Result<bool, Error> {
        match op {
            Op::Finish => {
                self.advance_until(None, Phase::Idle, UNITS_COARSE)?;
            }
            Op::Collect => {
                self.heap.collect()?;
            }
            Op::CollectYoung => {
                self.heap.collect_young()?;
            }
            Op::Verify => {
                self.heap.verify()?;
            }
            Op::Park => {
                let mut mutator = self.take_mutator(self.seat)?;
                mutator.parked(|| ());
                self.members[self.seat.mutator].mutator = Some(mutator);
            }
            Op::Fault {
                class,
                stroke,
                nth,
                object,
            } => return self.strike(class, *stroke, *nth, *object),
            Op::Leave => return Ok(false),
            _ => return self.anywhere(None, op),
        }
        Ok(true)
    }

    /// An operation that can be done inside and outside.
    pub(super) fn anywhere(&mut self, scope: Option<Scope<'_>>, op: &Op) -> Result<bool, Error> {
        match op {
            Op::Start => self.heap.request_collect(),
            Op::StartYoung => self.heap.request_collect_young(),
            Op::Step { units } => {
                self.heap.step(*units as usize)?;
            }
            Op::Until { phase } => {
                if self.heap.phase() == Phase::Idle {
                    self.heap.request_collect();
                }
                return self.advance_until(scope, *phase, UNITS_FINE);
            }
            Op::Mark { number } => self.mark = *number,
            Op::Unroot { object } => return Ok(self.unroot(*object)),
            Op::Hold { object } => {
                if self.shadow.get(*object).is_none() {
                    return Ok(false);
                }
                self.shadow.pin(*object);
                *self.held.entry(*object).or_default() += 1;
            }
            Op::Release { object } => match self.held.get_mut(object) {
                Some(times @ 1..) => {
                    *times -= 1;
                    self.shadow.unpin(*object);
                }
                _ => return Ok(false),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Steps the cycle up to a phase. False when it does not come there.
    fn advance_until(
        &mut self,
        scope: Option<Scope<'_>>,
        phase: Phase,
        units: usize,
    ) -> Result<bool, Error> {
        for _ in 0..STEPS_MAX {
            if self.heap.phase() == phase {
                return Ok(true);
            }
            let before = self.heap.phase();
            let report = self.heap.step(units)?;
            let is_waiting = report.progress != StepProgress::Working;
            if let Some(scope) = scope.filter(|_| is_waiting) {
                scope.poll();
            }
            if is_waiting && report.phase == before && report.phase != phase {
                let is_answered = self.heap.step(units)?.phase != before;
                if !is_answered {
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Drops one root of an object.
    fn unroot(&mut self, object: ObjectId) -> bool {
        let Some(roots) = self
            .roots
            .get_mut(&object)
            .filter(|roots| !roots.is_empty())
        else {
            return false;
        };
        drop(roots.remove(0));
        if roots.is_empty() {
            self.roots.remove(&object);
        }
        self.shadow.unpin(object);
        true
    }
}
