//! When the collector runs, and how far: drawn from the seed.
//!
//! The heap is driven by hand, in steps of drawn sizes between and inside the `enter`s of the
//! workload, so that lookups meet every phase a cycle has. Steps are small against the heap, so a
//! cycle marks and sweeps over many operations, as a concurrent collector does.
//!
//! Deliberately absent: time, and the heap's own pacing.

use gc_core::{Heap, Phase};

use crate::error::Error;
use crate::rng::Rng;

/// Most operations between two cycles.
const IDLE_OPS_MAX: u64 = 128;
/// Most work units of a step between two operations: a cycle takes some dozens of operations.
const UNITS_BETWEEN_MAX: u64 = 384;
/// Most work units of a step inside an operation.
const UNITS_INSIDE_MAX: u64 = 96;

/// The driver of the collector.
pub(crate) struct Pace {
    rng: Rng,
    /// Operations to go before the next cycle is asked for.
    idle_ops: u64,
}

impl Pace {
    pub(crate) fn new(rng: Rng) -> Self {
        Pace { rng, idle_ops: 0 }
    }

    /// Between two operations: asks for a cycle when it is time, and advances one that runs.
    pub(crate) fn between(&mut self, heap: &Heap) -> Result<(), Error> {
        if heap.phase() == Phase::Idle {
            if self.idle_ops > 0 {
                self.idle_ops -= 1;
                return Ok(());
            }
            heap.request_collect();
            self.idle_ops = self.rng.within(0..=IDLE_OPS_MAX);
        }
        if self.rng.one_in(4) {
            return Ok(());
        }
        let units = self.rng.within(1..=UNITS_BETWEEN_MAX);
        heap.step(units as usize)?;
        Ok(())
    }

    /// Inside an operation: now and then advances a cycle that runs.
    pub(crate) fn inside(&mut self, heap: &Heap) -> Result<(), Error> {
        if heap.phase() != Phase::Idle && self.rng.one_in(4) {
            let units = self.rng.within(1..=UNITS_INSIDE_MAX);
            heap.step(units as usize)?;
        }
        Ok(())
    }
}
