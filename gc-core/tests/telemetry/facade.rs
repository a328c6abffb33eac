//! The reporter for the `metrics` facade, with a recorder that writes everything down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gc_core::{MetricsReporter, Phase};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::support::{break_record, chain, heap};

/// What was reported last, and how many durations, by name and labels.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<BTreeMap<String, (f64, usize)>>>);

/// The place of one series.
struct Series(Written, String);

impl Series {
    fn set(&self, value: f64, count: usize) {
        let mut written = self.0.0.lock().unwrap();
        let entry = written.entry(self.1.clone()).or_default();
        *entry = (value, entry.1 + count);
    }
}

impl CounterFn for Series {
    fn increment(&self, _: u64) {
        panic!("counters are reported as they stand");
    }
    fn absolute(&self, value: u64) {
        self.set(value as f64, 1);
    }
}

impl GaugeFn for Series {
    fn increment(&self, _: f64) {
        panic!("gauges are reported as they are");
    }
    fn decrement(&self, _: f64) {
        panic!("gauges are reported as they are");
    }
    fn set(&self, value: f64) {
        Series::set(self, value, 1);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.set(value, 1);
    }
    fn record_many(&self, value: f64, count: usize) {
        self.set(value, count);
    }
}

impl Written {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        Arc::new(Series(
            self.clone(),
            format!("{} {}", key.name(), labels.join(" ")),
        ))
    }

    fn of(&self, series: &str) -> (f64, usize) {
        let written = self.0.lock().unwrap();
        *written
            .get(series)
            .unwrap_or_else(|| panic!("no {series} in {written:?}"))
    }
}

impl Recorder for Written {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[test]
fn the_facade_is_told_what_the_statistics_say_and_each_duration_once() {
    let (heap, written) = (heap("shop"), Written::default());
    let mut mutator = heap.mutator();
    let root = chain(&mut mutator, 100);
    heap.collect().unwrap();
    let mut reporter = MetricsReporter::new(&heap);
    metrics::with_local_recorder(&written, || {
        reporter.report();
        reporter.report();
    });
    assert_eq!(written.of("gc_healthy heap=shop"), (1.0, 2));
    assert_eq!(written.of("gc_phase_seconds heap=shop phase=sweep").1, 1);
    break_record(&heap, &mut mutator, &root);
    heap.collect().unwrap();
    metrics::with_local_recorder(&written, || reporter.report());
    let stats = heap.stats();
    assert_eq!(written.of("gc_healthy heap=shop").0, 0.0);
    assert_eq!(
        written.of("gc_cycles_total heap=shop").0,
        stats.cycles_finished as f64
    );
    assert_eq!(
        written.of("gc_heap_live_bytes heap=shop").0,
        stats.bytes_live as f64
    );
    let violations = "gc_violations_total heap=shop check=span-seal severity=metadata";
    assert_eq!(written.of(violations).0, 1.0);
    let pauses = written.of("gc_pause_seconds heap=shop");
    assert_eq!(pauses.1 as u64, stats.pauses.count());
    assert!(pauses.0 <= stats.pauses.max_ns() as f64 / 1e9);
    let arms = stats.phases[Phase::Arm as usize].count();
    assert_eq!(
        written.of("gc_phase_seconds heap=shop phase=arm").1 as u64,
        arms
    );
}
