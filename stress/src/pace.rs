//! When the collector runs, and how far.
//!
//! When a cycle begins is drawn from the seed, counted in operations. With the manual driver so is
//! how far it gets: the heap is driven in steps of drawn sizes between and inside the `enter`s of
//! the workload, so that lookups meet every phase a cycle has; steps are small against the heap, so
//! a cycle marks and sweeps over many operations, as a concurrent collector does. Any other driver
//! runs the cycles by itself. The heap is far too small for them to come by its growth alone more
//! than now and then, so they are asked for here all the same: several hundred a second, no more
//! than a busy service of that allocation rate with a heap of that size would have.
//!
//! Each thread that serves has a pace of its own. Deliberately absent: time.

use gc_core::{Heap, Phase};

use crate::error::Error;
use crate::ops::Op;
use crate::options::Options;
use crate::recorder;
use crate::rng::Rng;

/// Most operations between two cycles.
const IDLE_OPS_MAX: u64 = 128;
/// Where the heap has generations, one request in so many is for a full cycle.
const FULL_ONE_IN: u64 = 4;
/// Most work units of a step between two operations: a cycle takes some dozens of operations.
const UNITS_BETWEEN_MAX: u64 = 384;
/// Most work units of a step inside an operation.
const UNITS_INSIDE_MAX: u64 = 96;

/// The driver of the collector.
pub(crate) struct Pace {
    rng: Rng,
    /// Operations to go before the next cycle is asked for.
    idle_ops: u64,
    /// Whether cycles are advanced here, too.
    is_stepping: bool,
    has_generations: bool,
}

impl Pace {
    pub(crate) fn new(rng: Rng, options: &Options) -> Self {
        Pace {
            rng,
            idle_ops: 0,
            is_stepping: options.driver.is_manual(),
            has_generations: options.nursery_bytes.is_some(),
        }
    }

    /// Between two operations: asks for a cycle when it is time, and advances one that runs.
    pub(crate) fn between(&mut self, heap: &Heap) -> Result<(), Error> {
        if heap.phase() == Phase::Idle {
            if self.idle_ops > 0 {
                self.idle_ops -= 1;
                return Ok(());
            }
            self.request(heap);
            self.idle_ops = self.rng.within(0..=IDLE_OPS_MAX);
        }
        if !self.is_stepping || self.rng.one_in(4) {
            return Ok(());
        }
        let units = self.rng.within(1..=UNITS_BETWEEN_MAX);
        step(heap, units)
    }

    /// Asks for a cycle: mostly a young one, where the heap has generations.
    fn request(&mut self, heap: &Heap) {
        if self.has_generations && !self.rng.one_in(FULL_ONE_IN) {
            heap.request_collect_young();
            recorder::tell(|_| Op::StartYoung);
        } else {
            heap.request_collect();
            recorder::tell(|_| Op::Start);
        }
    }

    /// Inside an operation: now and then advances a cycle that runs.
    pub(crate) fn inside(&mut self, heap: &Heap) -> Result<(), Error> {
        if self.is_stepping && heap.phase() != Phase::Idle && self.rng.one_in(4) {
            let units = self.rng.within(1..=UNITS_INSIDE_MAX);
            step(heap, units)?;
        }
        Ok(())
    }
}

fn step(heap: &Heap, units: u64) -> Result<(), Error> {
    heap.step(units as usize)?;
    recorder::tell(|_| Op::Step {
        units: units as u32,
    });
    Ok(())
}
