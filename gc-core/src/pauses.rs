//! How long mutators were kept waiting, counted by duration.
//!
//! Owns the histogram that each mutator's record keeps and the snapshot that anyone may take of it; the
//! cycle counts its phases in the same way, under its lock.
//! `record` is called by the owner of the record alone (the mutator that is in, or the collector
//! that holds a mutator that is out), at the end of a pause, in any phase; `add_into` is called by
//! anyone at any time. Invariants: a duration is in exactly one bucket; a bucket is never wider than
//! an eighth of the shortest duration in it; no figure wraps. Deliberately absent: a clock, and what
//! counts as a pause.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Buckets a doubling, as a power of two.
const SPLIT_BITS: u32 = 3;

/// Durations below two to this many nanoseconds (64 ns) share the first bucket.
const LOWEST_BITS: u32 = 6;

/// Durations from two to this many nanoseconds on (17.2 s) share the last bucket.
const HIGHEST_BITS: u32 = 34;

const BUCKETS: usize = (((HIGHEST_BITS - LOWEST_BITS) << SPLIT_BITS) + 2) as usize;

/// Where a duration is counted.
const fn bucket_of(pause_ns: u64) -> usize {
    if pause_ns < 1 << LOWEST_BITS {
        return 0;
    }
    if pause_ns >= 1 << HIGHEST_BITS {
        return BUCKETS - 1;
    }
    let doubling = pause_ns.ilog2();
    let part = (pause_ns >> (doubling - SPLIT_BITS)) & ((1 << SPLIT_BITS) - 1);
    1 + ((doubling - LOWEST_BITS) << SPLIT_BITS) as usize + part as usize
}

/// The longest duration that is counted there.
const fn upper_ns(bucket: usize) -> u64 {
    if bucket == 0 {
        return (1 << LOWEST_BITS) - 1;
    }
    if bucket >= BUCKETS - 1 {
        return u64::MAX;
    }
    let place = bucket - 1;
    let shift = (place >> SPLIT_BITS) as u32 + LOWEST_BITS - SPLIT_BITS;
    let part = (place & ((1 << SPLIT_BITS) - 1)) as u64;
    (((1 << SPLIT_BITS) + part + 1) << shift) - 1
}

/// The pauses of one mutator. About a kilobyte, set aside with its record.
///
/// Only the owner of the record writes any of it, and one owner takes over from another through the record's
/// state word; so a load and a store do for an addition, and nothing is contended. Two writers at
/// once would lose counts and damage nothing.
pub(crate) struct Pauses {
    buckets: [AtomicU32; BUCKETS],
    count: AtomicU64,
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Pauses {
    pub(crate) const fn new() -> Pauses {
        Pauses {
            buckets: [const { AtomicU32::new(0) }; BUCKETS],
            count: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
        }
    }

    /// Counts a pause. Called by the owner alone.
    // Relaxed throughout: a figure is read for itself, and no memory is reached through one.
    pub(crate) fn record(&self, pause_ns: u64) {
        let bucket = &self.buckets[bucket_of(pause_ns)];
        bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
        let add = |figure: &AtomicU64, more: u64| {
            figure.store(figure.load(Relaxed).saturating_add(more), Relaxed);
        };
        add(&self.count, 1);
        add(&self.sum_ns, pause_ns);
        if pause_ns > self.max_ns.load(Relaxed) {
            self.max_ns.store(pause_ns, Relaxed);
        }
    }

    /// Adds what was counted so far. A pause that is being counted on another thread may be in one
    /// figure and not yet in the next.
    pub(crate) fn add_into(&self, histogram: &mut PauseHistogram) {
        for (total, bucket) in histogram.buckets.iter_mut().zip(&self.buckets) {
            *total = total.saturating_add(u64::from(bucket.load(Relaxed)));
        }
        histogram.count = histogram.count.saturating_add(self.count.load(Relaxed));
        histogram.sum_ns = histogram.sum_ns.saturating_add(self.sum_ns.load(Relaxed));
        histogram.max_ns = histogram.max_ns.max(self.max_ns.load(Relaxed));
    }
}

/// Durations, counted by length: a snapshot, in nanoseconds. Those of mutators that were kept waiting
/// ([`HeapStats::pauses`](crate::HeapStats::pauses)), which gave it its name, or those of a phase of
/// the cycle ([`HeapStats::phases`](crate::HeapStats::phases)).
///
/// Durations are counted in buckets, eight a doubling from 64 ns to 17 s, with one bucket below and
/// one above. So a quantile is never below the true one and at most 12.5 % above it, where it lies
/// between those two; the count, the mean and the maximum are exact. A snapshot that is taken while
/// mutators run may be short of what is being counted in that moment.
#[derive(Clone, PartialEq, Eq)]
pub struct PauseHistogram {
    buckets: [u64; BUCKETS],
    count: u64,
    sum_ns: u64,
    max_ns: u64,
}

impl PauseHistogram {
    /// How many pauses were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest pause, exactly, in nanoseconds. Zero when there was none.
    #[must_use]
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// All pauses together, in nanoseconds.
    #[must_use]
    pub const fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The mean pause in nanoseconds, rounded down. Zero when there was none.
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        self.sum_ns / self.count.max(1)
    }

    /// A duration in nanoseconds that the share `q` of all pauses did not exceed: the upper bound of
    /// the bucket in which the pause of that rank lies, or the maximum where that is less.
    ///
    /// At most 12.5 % above the true quantile for pauses from 64 ns to 17 s; a shorter one may be
    /// given as 63 ns, a longer one as the maximum. What is no share is taken for the nearer of 0
    /// and 1, and what is no number for 0. Zero when there was no pause.
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> u64 {
        let total = self.buckets.iter().copied().fold(0, u64::saturating_add);
        // The conversion to an integer stops at its ends, and takes what is not a number for zero.
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut passed = 0_u64;
        let reached = self.buckets().find(|(_, count)| {
            passed = passed.saturating_add(*count);
            passed >= rank
        });
        reached.map_or(self.max_ns, |(upper_ns, _)| upper_ns.min(self.max_ns))
    }

    /// Adds the pauses of another snapshot.
    pub fn merge(&mut self, other: &PauseHistogram) {
        for (mine, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*others);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Every bucket, the shortest durations first and empty ones included: the longest duration that
    /// is counted in it, in nanoseconds, and how many pauses were. The bound of the last is
    /// [`u64::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bounded = |(bucket, count): (usize, &u64)| (upper_ns(bucket), *count);
        self.buckets.iter().enumerate().map(bounded)
    }
}

impl Default for PauseHistogram {
    fn default() -> PauseHistogram {
        PauseHistogram {
            buckets: [0; BUCKETS],
            count: 0,
            sum_ns: 0,
            max_ns: 0,
        }
    }
}

/// The figures people ask for, not the buckets.
impl fmt::Debug for PauseHistogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PauseHistogram")
            .field("count", &self.count)
            .field("p50_ns", &self.quantile_ns(0.5))
            .field("p99_ns", &self.quantile_ns(0.99))
            .field("max_ns", &self.max_ns)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram_of(pauses_ns: &[u64]) -> PauseHistogram {
        let pauses = Pauses::new();
        for &pause_ns in pauses_ns {
            pauses.record(pause_ns);
        }
        let mut histogram = PauseHistogram::default();
        pauses.add_into(&mut histogram);
        histogram
    }

    #[test]
    fn buckets_leave_no_gap_and_are_an_eighth_of_their_shortest_duration_at_most() {
        for bucket in 0..BUCKETS {
            let upper = upper_ns(bucket);
            assert_eq!(bucket_of(upper), bucket);
            if bucket + 1 < BUCKETS {
                assert_eq!(bucket_of(upper + 1), bucket + 1);
            }
        }
        assert_eq!((bucket_of(0), upper_ns(0)), (0, 63));
        assert_eq!(upper_ns(BUCKETS - 2), (1 << HIGHEST_BITS) - 1);
        for bucket in 1..BUCKETS - 1 {
            let lower = upper_ns(bucket - 1) + 1;
            assert!((upper_ns(bucket) - lower + 1) * 8 <= lower, "{bucket}");
        }
    }

    #[test]
    fn without_pauses_every_figure_is_zero() {
        let none = PauseHistogram::default();
        assert_eq!((none.count(), none.max_ns(), none.mean_ns()), (0, 0, 0));
        assert_eq!((none.quantile_ns(0.0), none.quantile_ns(1.0)), (0, 0));
        assert!(none.buckets().all(|(_, count)| count == 0));
        assert!(format!("{none:?}").contains("p99_ns: 0, max_ns: 0"));
    }

    #[test]
    fn crooked_shares_are_taken_for_the_nearest_end() {
        let histogram = histogram_of(&[1_000, 2_000, 4_000]);
        for share in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0] {
            assert_eq!(histogram.quantile_ns(share), 1_023, "{share}");
        }
        for share in [1.0, 2.0, f64::INFINITY] {
            assert_eq!(histogram.quantile_ns(share), 4_000, "{share}");
        }
        assert_eq!(histogram.quantile_ns(0.5), 2_047);
    }

    #[test]
    fn figures_that_are_full_stay_full() {
        let pauses = Pauses::new();
        pauses.buckets[BUCKETS - 1].store(u32::MAX, Relaxed);
        pauses.record(u64::MAX);
        pauses.record(u64::MAX);
        let mut histogram = PauseHistogram::default();
        pauses.add_into(&mut histogram);
        assert_eq!(histogram.buckets[BUCKETS - 1], u64::from(u32::MAX));
        assert_eq!((histogram.count(), histogram.max_ns()), (2, u64::MAX));
        assert_eq!(histogram.mean_ns(), u64::MAX / 2);
    }

    /// Of every size, up to and beyond what has a bucket of its own.
    fn any_pause_ns() -> impl Strategy<Value = u64> {
        (0..40_u32, any::<u64>()).prop_map(|(bits, number)| number >> (63 - bits))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn figures_agree_with_a_sorted_list(
            mut pauses_ns in prop::collection::vec(any_pause_ns(), 1..200),
            share in 0.0..=1.0_f64,
        ) {
            let histogram = histogram_of(&pauses_ns);
            pauses_ns.sort_unstable();
            let (count, sum) = (pauses_ns.len(), pauses_ns.iter().sum::<u64>());
            prop_assert_eq!(histogram.count(), count as u64);
            prop_assert_eq!(histogram.mean_ns(), sum / count as u64);
            prop_assert_eq!(Some(&histogram.max_ns()), pauses_ns.last());
            let rank = ((share * count as f64).ceil() as usize).max(1);
            let (exact, given) = (pauses_ns[rank - 1], histogram.quantile_ns(share));
            prop_assert!(given >= exact && given <= histogram.max_ns());
            if (64..1 << HIGHEST_BITS).contains(&exact) {
                prop_assert!(given - exact <= exact / 8, "{given} for {exact}");
            }
        }

        #[test]
        fn merged_snapshots_are_the_snapshot_of_all(
            one in prop::collection::vec(any_pause_ns(), 0..50),
            other in prop::collection::vec(any_pause_ns(), 0..50),
        ) {
            let mut merged = histogram_of(&one);
            merged.merge(&histogram_of(&other));
            prop_assert_eq!(merged, histogram_of(&[one, other].concat()));
        }
    }
}
