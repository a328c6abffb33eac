//! Marking a random graph with two collector threads against one.
//!
//! No mutator is inside `enter`, so a cycle marks from the moment it is asked for until it sweeps;
//! arming and the snapshot of an idle heap take microseconds. The clock is read by a thread that
//! looks ten thousand times a second and gives its core away in between.

use std::thread;
use std::time::{Duration, Instant};

use gc_core::{Driver, Heap, Phase};

use super::items::Items;
use super::{Extent, Figure, Goal, heap, median};
use crate::error::Error;
use crate::rng::Rng;

/// Time between two looks at the phase.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// Twice as fast, less what two markers cost each other.
const SPEEDUP_MIN: f64 = 1.7;

/// One heap with its collector threads.
struct Side {
    heap: Heap,
    _items: Items,
    marks_ms: Vec<f64>,
}

impl Side {
    fn new(collectors: usize, mib: usize) -> Result<Self, Error> {
        let heap = heap(Driver::Background(collectors))?;
        let mut rng = Rng::for_purpose(1, "items");
        let items = Items::new(&mut heap.mutator(), mib, &mut rng)?;
        heap.collect()?;
        Ok(Side {
            heap,
            _items: items,
            marks_ms: Vec::new(),
        })
    }

    /// Runs a cycle and takes the time of its marking.
    fn mark(&mut self) {
        let before = self.heap.cycle();
        let begun = Instant::now();
        self.heap.request_collect();
        while self.heap.cycle() == before
            || !matches!(self.heap.phase(), Phase::Clear | Phase::Sweep | Phase::Idle)
        {
            thread::park_timeout(LOOK_EVERY);
        }
        self.marks_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        while self.heap.phase() != Phase::Idle {
            thread::park_timeout(LOOK_EVERY);
        }
    }
}

pub(super) fn measure(
    extent: Extent,
    tell: &mut dyn FnMut(Figure) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut one, mut two) = (
        Side::new(1, extent.mark_mib)?,
        Side::new(2, extent.mark_mib)?,
    );
    for _ in 0..extent.runs {
        one.mark();
        two.mark();
    }
    let objects = one.heap.collect()?.objects_marked;
    let (one, two) = (median(&mut one.marks_ms), median(&mut two.marks_ms));
    tell(Figure::new("marking_objects", "objects", objects as f64))?;
    tell(Figure::new("marking_1_collector_time", "ms", one))?;
    tell(Figure::new("marking_2_collectors_time", "ms", two))?;
    let per_object = one * 1e6 / objects.max(1) as f64;
    tell(Figure::new("marking_1_collector_object", "ns", per_object))?;
    let speedup = Figure::new("marking_2_collectors", "ratio", one / two);
    tell(speedup.with_goal(Goal::AtLeast(SPEEDUP_MIN)))
}
