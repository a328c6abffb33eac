//! The text that a Prometheus server scrapes, against the statistics it comes from.

use gc_core::{Check, Heap, HeapStats, PauseHistogram, Phase, Severity, write_prometheus};

use crate::exposition::{self, Family};
use crate::support::{break_record, chain, heap};

fn scraped(stats: &[HeapStats]) -> Vec<Family> {
    let mut body = Vec::new();
    write_prometheus(&mut body, stats).unwrap();
    exposition::read(&String::from_utf8(body).unwrap())
}

fn family<'a>(families: &'a [Family], name: &str) -> &'a Family {
    let found = families.iter().find(|family| family.name == name);
    found.unwrap_or_else(|| panic!("no family {name}"))
}

/// A heap with garbage, cycles of both kinds, and a violation.
fn used(name: &'static str) -> Heap {
    let heap = heap(name);
    let mut mutator = heap.mutator();
    let root = chain(&mut mutator, 1000);
    drop(chain(&mut mutator, 500));
    heap.collect().unwrap();
    break_record(&heap, &mut mutator, &root);
    heap.collect().unwrap();
    heap
}

#[test]
fn every_figure_is_the_one_of_the_statistics() {
    let stats = used("shop").stats();
    assert_eq!((stats.cycles_voided, stats.violations), (1, 1));
    let families = scraped(std::slice::from_ref(&stats));
    let expected = [
        ("gc_healthy", u64::from(stats.is_healthy)),
        ("gc_reclaiming", 1),
        ("gc_quarantined_bytes", stats.bytes_quarantined),
        ("gc_heap_live_bytes", stats.bytes_live),
        ("gc_heap_goal_bytes", stats.bytes_goal),
        ("gc_heap_span_bytes", stats.bytes_in_spans),
        ("gc_heap_committed_bytes", stats.bytes_committed),
        ("gc_cycles_total", stats.cycles_finished),
        ("gc_cycles_young_total", stats.cycles_young),
        ("gc_cycles_voided_total", stats.cycles_voided),
        ("gc_cycle", u64::from(stats.cycle)),
        ("gc_cycle_running", 0),
        ("gc_marked_objects_total", stats.objects_marked_total),
        ("gc_allocated_bytes_total", stats.bytes_allocated_total),
        ("gc_freed_bytes_total", stats.bytes_freed_total),
        ("gc_freed_objects_total", 500),
        ("gc_roots", 0),
        ("gc_mutators", 0),
    ];
    for (name, value) in expected {
        let scraped = family(&families, name).value(name, &[("heap", "shop")]);
        assert_eq!(scraped, value as f64, "{name}");
    }
    assert!(stats.bytes_freed_total > 0 && !stats.is_healthy);
}

#[test]
fn violations_are_counted_by_check_and_severity() {
    let stats = used("shop").stats();
    let families = scraped(std::slice::from_ref(&stats));
    let violations = family(&families, "gc_violations_total");
    for &check in Check::ALL {
        let of_check = violations.samples.iter();
        let of_check = of_check.filter(|sample| sample.labels["check"] == check.id());
        let count: f64 = of_check.clone().map(|sample| sample.value).sum();
        assert!(of_check.count() > 0, "{check} has a series from the start");
        assert_eq!(
            count,
            f64::from(u8::from(check == Check::SpanSeal)),
            "{check}"
        );
    }
    let metadata = Severity::Metadata.id();
    let labels = [("check", "span-seal"), ("severity", metadata)];
    assert_eq!(violations.value("gc_violations_total", &labels), 1.0);
}

fn assert_agrees(family: &Family, labels: &[(&str, &str)], durations: &PauseHistogram) {
    let value = |suffix: &str| family.value(&format!("{}_{suffix}", family.name), labels);
    assert_eq!(value("count"), durations.count() as f64, "{labels:?}");
    let sum = durations.sum_ns() as f64 / 1e9;
    assert!(
        (value("sum") - sum).abs() < 1e-12 * sum.max(1.0),
        "{labels:?}"
    );
    // Every bucket is what the snapshot counts up to its bound.
    let buckets = family.samples.iter().filter(|sample| {
        let has =
            |&(label, value): &(&str, &str)| sample.labels.get(label).is_some_and(|is| is == value);
        sample.labels.contains_key("le") && labels.iter().all(has)
    });
    for bucket in buckets.clone() {
        let le: f64 = bucket.labels["le"].parse().unwrap();
        let counted = durations
            .buckets()
            .filter(|(upper_ns, _)| *upper_ns as f64 <= (le * 1e9).round());
        let count: u64 = counted.map(|(_, count)| count).sum();
        assert_eq!(bucket.value, count as f64, "{bucket:?}");
    }
    assert!(buckets.count() > 20);
}

#[test]
fn histograms_agree_with_the_statistics() {
    let stats = used("shop").stats();
    let families = scraped(std::slice::from_ref(&stats));
    assert!(stats.pauses.count() > 0);
    assert_agrees(
        family(&families, "gc_pause_seconds"),
        &[("heap", "shop")],
        &stats.pauses,
    );
    let phases = family(&families, "gc_phase_seconds");
    for &phase in Phase::ALL.iter().filter(|phase| **phase != Phase::Idle) {
        let spent = &stats.phases[phase as usize];
        assert_agrees(phases, &[("phase", &phase.to_string())], spent);
    }
    let counted = |phase: Phase| stats.phases[phase as usize].count();
    assert_eq!(counted(Phase::Idle), 0);
    assert_eq!(counted(Phase::Sweep), stats.cycles_finished);
    assert_eq!(
        counted(Phase::Arm),
        stats.cycles_finished + stats.cycles_voided
    );
    assert!(
        stats
            .phases
            .iter()
            .all(|phase| phase.max_ns() <= phase.sum_ns())
    );
}

#[test]
fn counters_and_buckets_never_fall() {
    let heap = used("shop");
    let before = scraped(&[heap.stats()]);
    let mut mutator = heap.mutator();
    let _root = chain(&mut mutator, 2000);
    heap.collect().unwrap();
    let after = scraped(&[heap.stats()]);
    for (before, after) in before
        .iter()
        .zip(&after)
        .filter(|(family, _)| family.kind != "gauge")
    {
        assert_eq!(before.samples.len(), after.samples.len(), "{}", before.name);
        for (before, after) in before.samples.iter().zip(&after.samples) {
            assert_eq!((&before.name, &before.labels), (&after.name, &after.labels));
            assert!(before.value <= after.value, "{before:?} {after:?}");
        }
    }
}

#[test]
fn several_heaps_share_one_exposition_and_odd_names_stay_in_their_quotes() {
    let odd = "a \"b\" \\ c\nd} 1";
    let families = scraped(&[heap("plain").stats(), heap(odd).stats()]);
    for family in &families {
        let of = |name: &str| {
            let samples = family.samples.iter();
            samples
                .filter(|sample| sample.labels["heap"] == name)
                .count()
        };
        assert_eq!(of("plain"), of(odd), "{}", family.name);
        assert_eq!(of("plain") + of(odd), family.samples.len());
    }
}

#[test]
fn the_handle_writes_its_own_heap_and_hands_on_what_the_writer_says() {
    let heap = used("shop");
    let mut body = Vec::new();
    heap.write_prometheus(&mut body).unwrap();
    let families = exposition::read(&String::from_utf8(body).unwrap());
    let cycles = family(&families, "gc_cycles_total");
    assert_eq!(cycles.value("gc_cycles_total", &[("heap", "shop")]), 2.0);
    let mut full: &mut [u8] = &mut [0; 100];
    let refused = heap.write_prometheus(&mut full).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WriteZero);
}
