//! The figures of a heap for the `metrics` facade, under the names of the Prometheus text.
//!
//! Called by whoever wants to report, as often as that one likes, outside the heap: it takes the heap's
//! statistics and hands them to the recorder. Invariant: a duration is handed on once. Deliberately
//! absent: a recorder, and a thread that reports.

use gc_hooks::Phase;

use crate::heap::Heap;
use crate::pauses::PauseHistogram;
use crate::prometheus::{COUNTERS, GAUGES};
use crate::stats::HeapStats;

/// Hands what a heap holds and has done to the recorder of the crate `metrics`, each time it is told
/// to: gauges as they are, counters as they stand, and those durations that were counted since the last
/// time, each as the upper bound of its bucket.
///
/// ```
/// # fn main() -> Result<(), gc_core::Error> {
/// let heap = gc_core::Heap::builder().name("shop").build()?;
/// let mut reporter = gc_core::MetricsReporter::new(&heap);
/// reporter.report(); // every ten seconds, say
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MetricsReporter {
    heap: Heap,
    pauses: PauseHistogram,
    phases: Vec<PauseHistogram>,
}

impl MetricsReporter {
    /// A reporter that has reported nothing yet.
    #[must_use]
    pub fn new(heap: &Heap) -> Self {
        MetricsReporter {
            heap: heap.clone(),
            pauses: PauseHistogram::default(),
            phases: vec![PauseHistogram::default(); Phase::ALL.len()],
        }
    }

    /// Reports what the heap holds and has done, to the recorder that is installed, or local.
    pub fn report(&mut self) {
        let stats = self.heap.stats();
        for figure in &GAUGES {
            metrics::gauge!(figure.name, "heap" => stats.name).set((figure.value)(&stats) as f64);
        }
        for figure in &COUNTERS {
            metrics::counter!(figure.name, "heap" => stats.name).absolute((figure.value)(&stats));
        }
        for violations in &stats.violations_counted {
            let (check, severity) = (violations.check.id(), violations.severity.id());
            let counter = metrics::counter!(
                "gc_violations_total", "heap" => stats.name, "check" => check, "severity" => severity
            );
            counter.absolute(violations.count);
        }
        self.report_durations(stats);
    }

    fn report_durations(&mut self, stats: HeapStats) {
        let pauses = metrics::histogram!("gc_pause_seconds", "heap" => stats.name);
        record(&pauses, &self.pauses, &stats.pauses);
        for (&phase, (before, now)) in Phase::ALL.iter().zip(self.phases.iter().zip(&stats.phases))
        {
            if phase != Phase::Idle {
                let name = phase.id();
                let spent =
                    metrics::histogram!("gc_phase_seconds", "heap" => stats.name, "phase" => name);
                record(&spent, before, now);
            }
        }
        (self.pauses, self.phases) = (stats.pauses, stats.phases);
    }
}

/// Hands on what was counted between two snapshots.
fn record(histogram: &metrics::Histogram, before: &PauseHistogram, now: &PauseHistogram) {
    for ((_, before), (upper_ns, counted)) in before.buckets().zip(now.buckets()) {
        let fresh = usize::try_from(counted.saturating_sub(before)).unwrap_or(usize::MAX);
        if fresh > 0 {
            let upper_ns = upper_ns.min(now.max_ns());
            histogram.record_many(upper_ns as f64 / 1e9, fresh);
        }
    }
}
