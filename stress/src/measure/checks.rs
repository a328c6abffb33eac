//! What the checks of the default level cost against `lax`, on one mutator that drives the collector
//! itself.
//!
//! The two heaps take turns, a short run each; the figure is the median of the ratios of neighbours,
//! so that a machine that slows down slows both.

use std::time::Instant;

use gc_core::{CheckLevel, Driver, Heap};

use super::items::Items;
use super::{Extent, Figure, Goal, builder, median, throughput};
use crate::error::Error;
use crate::rng::Rng;

/// Three percent.
const RATIO_MAX: f64 = 1.03;
/// Pairs of runs, for each run of the other measures.
const PAIRS: usize = 3;
/// Requests of a run.
const REQUESTS_PER_MIB: usize = 400;

/// A heap of one level with a graph on it.
struct Side {
    heap: Heap,
    items: Items,
    rng: Rng,
}

impl Side {
    fn new(level: CheckLevel, mib: usize) -> Result<Side, Error> {
        let heap = builder(Driver::Incremental).checks(level).build()?;
        let mut rng = Rng::for_purpose(1, "items");
        let items = Items::new(&mut heap.mutator(), mib, &mut rng)?;
        heap.collect()?;
        Ok(Side { heap, items, rng })
    }

    fn collect(&mut self) -> Result<(), Error> {
        self.heap.collect()?;
        Ok(())
    }

    fn serve(&mut self, requests: usize) -> Result<(), Error> {
        let mut mutator = self.heap.mutator();
        for _ in 0..requests {
            mutator.enter(|scope| self.items.request(scope, &mut self.rng))?;
        }
        Ok(())
    }
}

/// The median of how much longer the work takes at `default` than at `lax`.
fn ratio(
    sides: &mut [Side; 2],
    pairs: usize,
    work: &dyn Fn(&mut Side) -> Result<(), Error>,
) -> Result<f64, Error> {
    let mut ratios = Vec::new();
    for _ in 0..pairs {
        let mut seconds = [0.0; 2];
        for (side, seconds) in sides.iter_mut().zip(&mut seconds) {
            let begun = Instant::now();
            work(side)?;
            *seconds = begun.elapsed().as_secs_f64();
        }
        ratios.push(seconds[1] / seconds[0]);
    }
    Ok(median(&mut ratios))
}

pub(super) fn measure(
    extent: Extent,
    tell: &mut dyn FnMut(Figure) -> Result<(), Error>,
) -> Result<(), Error> {
    let mib = extent.mark_mib / 4 + 1;
    let pairs = extent.runs * PAIRS;
    let (trees, requests) = (extent.trees / 4 + 1, mib * REQUESTS_PER_MIB);
    let mut sides = [
        Side::new(CheckLevel::Lax, mib)?,
        Side::new(CheckLevel::Default, mib)?,
    ];
    let goal = Goal::AtMost(RATIO_MAX);
    let mut figure = |name: &str, value| tell(Figure::new(name, "ratio", value).with_goal(goal));
    let marking = ratio(&mut sides, pairs, &Side::collect)?;
    figure("checks_default_to_lax_collection", marking)?;
    let serving = ratio(&mut sides, pairs, &|side| side.serve(requests))?;
    figure("checks_default_to_lax_requests", serving)?;
    let building = ratio(&mut sides, pairs, &|side| {
        throughput::build_trees(&mut side.heap.mutator(), trees).map(|_| ())
    })?;
    figure("checks_default_to_lax_trees", building)
}
