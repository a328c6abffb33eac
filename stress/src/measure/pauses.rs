//! Pauses of a busy mutator beside a collector thread, on a small and on a large heap.
//!
//! The mutator serves requests on a graph that stays as large as it is. Cycles come by the heap's
//! growth, and some are asked for. What the heap counts as a pause is compared, and how long whole
//! requests take, as the mutator sees it, pauses or not.

use std::hint::black_box;
use std::time::Instant;

use gc_core::{Driver, Heap, Mutator, PauseHistogram};
use hdrhistogram::Histogram;

use super::items::Items;
use super::{Extent, Figure, Goal, builder};
use crate::error::Error;
use crate::rng::Rng;

/// The longest request that can be told from longer ones, and digits of each figure.
const REQUEST_MAX_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;
/// Turns that each heap has; they take turns so that both meet the same machine.
const TURNS: u64 = 4;
/// One request in so many asks for a cycle; the others come by growth.
const ONE_FORCED_IN: u64 = 400_000;
/// What a heap may grow by between two cycles, at least in percent of what is live: a large heap that
/// doubled first would hardly ever be collected.
const GROWTH_MIB: usize = 64;
const GROWTH_PERCENT: std::ops::RangeInclusive<usize> = 20..=100;
/// Requests between two looks at the cycles.
const REQUESTS_A_LOOK: u64 = 256;
/// The longest pause allowed on the large heap of the goals, and what 99.99 % stay below.
const PAUSE_MAX_NS: f64 = 1_000_000.0;
const PAUSE_P99_99_NS: f64 = 100_000.0;
/// How much longer pauses on the large heap may be for them not to grow with the heap.
const GROWTH_MAX: f64 = 2.0;
/// Shares of the pauses, by name.
const SHARES: [(&str, f64); 4] = [
    ("p50", 0.5),
    ("p99", 0.99),
    ("p99_99", 0.9999),
    ("max", 1.0),
];

struct Side {
    heap: Heap,
    mutator: Mutator,
    items: Items,
    rng: Rng,
    /// Pauses counted while the graph was built.
    before: PauseHistogram,
    requests_ns: Histogram<u64>,
}

impl Side {
    fn new(mib: usize) -> Result<Self, Error> {
        let growth = 100 * GROWTH_MIB / mib;
        let growth = growth.clamp(*GROWTH_PERCENT.start(), *GROWTH_PERCENT.end());
        let heap = builder(Driver::Background(1))
            .growth_percent(growth as u32)
            .build()?;
        let mut mutator = heap.mutator();
        let mut rng = Rng::for_purpose(mib as u64, "items");
        let items = Items::new(&mut mutator, mib, &mut rng)?;
        heap.collect()?;
        Ok(Side {
            before: heap.stats().pauses,
            heap,
            mutator,
            items,
            rng,
            requests_ns: Histogram::new_with_bounds(1, REQUEST_MAX_NS, DIGITS)
                .map_err(|error| Error::Histogram(error.to_string()))?,
        })
    }

    /// Serves requests until so many more cycles have ended.
    fn serve(&mut self, cycles: u64) -> Result<(), Error> {
        let last = self.heap.stats().cycles_finished + cycles;
        let mut served = 0;
        while served % REQUESTS_A_LOOK != 0 || self.heap.stats().cycles_finished < last {
            served += 1;
            if self.rng.one_in(ONE_FORCED_IN) {
                self.heap.request_collect();
            }
            let (items, rng) = (&self.items, &mut self.rng);
            let begun = Instant::now();
            black_box(self.mutator.enter(|scope| items.request(scope, rng))?);
            let took_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.requests_ns.saturating_record(took_ns.max(1));
        }
        Ok(())
    }

    /// The pause in nanoseconds that a share of those since the graph was built did not exceed: the
    /// upper end of a bucket that is an eighth wide.
    fn pause_ns(&self, share: f64) -> f64 {
        let pauses = self.heap.stats().pauses;
        let since: Vec<(u64, u64)> = pauses
            .buckets()
            .zip(self.before.buckets())
            .map(|((upper, now), (_, before))| (upper, now - before))
            .collect();
        let total: u64 = since.iter().map(|(_, count)| count).sum();
        let rank = ((share * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut passed = 0;
        let reached = since.iter().find(|(_, count)| {
            passed += count;
            passed >= rank
        });
        reached.map_or(0.0, |(upper, _)| (*upper).min(pauses.max_ns()) as f64)
    }
}

pub(super) fn measure(
    extent: Extent,
    tell: &mut dyn FnMut(Figure) -> Result<(), Error>,
) -> Result<(), Error> {
    let [small_mib, large_mib] = extent.pause_mib;
    let (mut small, mut large) = (Side::new(small_mib)?, Side::new(large_mib)?);
    for _ in 0..TURNS {
        for side in [&mut small, &mut large] {
            side.serve(extent.pause_cycles.div_ceil(TURNS))?;
        }
    }
    let mib = |metric: &str, mib: usize| Figure::new(metric, "MiB", mib as f64);
    tell(mib("pause_small_heap", small_mib))?;
    tell(mib("pause_large_heap", large_mib))?;
    for (name, share) in SHARES {
        let (in_small, in_large) = (small.pause_ns(share), large.pause_ns(share));
        let of_large = Figure::new(format!("pause_{name}_large"), "ns", in_large);
        let ratio = in_large / in_small.max(1.0);
        let ratio = Figure::new(format!("pause_{name}_ratio"), "ratio", ratio);
        tell(Figure::new(format!("pause_{name}_small"), "ns", in_small))?;
        tell(match name {
            "p99_99" => of_large.with_goal(Goal::AtMost(PAUSE_P99_99_NS)),
            "max" => of_large.with_goal(Goal::AtMost(PAUSE_MAX_NS)),
            _ => of_large,
        })?;
        tell(match name {
            "p99_99" => ratio.with_goal(Goal::AtMost(GROWTH_MAX)),
            _ => ratio,
        })?;
    }
    for (name, share) in SHARES {
        let took = |side: &Side| side.requests_ns.value_at_quantile(share) as f64;
        let (in_small, in_large) = (took(&small), took(&large));
        let ratio = in_large / in_small.max(1.0);
        tell(Figure::new(format!("request_{name}_small"), "ns", in_small))?;
        tell(Figure::new(format!("request_{name}_large"), "ns", in_large))?;
        tell(Figure::new(format!("request_{name}_ratio"), "ratio", ratio))?;
    }
    Ok(())
}
