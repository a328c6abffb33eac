//! The trace as a viewer reads it: JSON, phases inside their cycles, every violation.

use std::path::PathBuf;

use gc_core::{Builder, Check, Driver, Error, Heap, Policy, TraceError};
use serde_json::Value;

use crate::support::{break_record, chain};

fn builder() -> Builder {
    Heap::builder()
        .name("traced \"heap\"")
        .driver(Driver::Manual)
        .policy(Policy::MARK_UNHEALTHY)
        .reserve_bytes(64 << 20)
}

/// A cycle, one that is voided with a violation, and one more.
fn use_heap(heap: &Heap) {
    let mut mutator = heap.mutator();
    let root = chain(&mut mutator, 1000);
    heap.collect().unwrap();
    break_record(heap, &mut mutator, &root);
    heap.collect().unwrap();
}

fn events(text: &[u8]) -> Vec<Value> {
    let events: Value = serde_json::from_slice(text).expect("JSON");
    events.as_array().expect("an array").clone()
}

fn of<'a>(events: &'a [Value], category: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["cat"] == category)
        .collect()
}

/// Beginning and end in nanoseconds, which the file has exactly.
fn stretch(event: &Value) -> (u64, u64) {
    assert_eq!(event["ph"], "X");
    let ns = |field: &str| (event[field].as_f64().unwrap() * 1000.0).round() as u64;
    (ns("ts"), ns("ts") + ns("dur"))
}

/// What holds for every trace.
fn assert_sound(events: &[Value]) {
    let cycles = of(events, "cycle");
    for phase in of(events, "phase") {
        let number = &phase["args"]["cycle"];
        let cycle = cycles
            .iter()
            .find(|cycle| cycle["args"]["cycle"] == *number);
        // The cycle in progress at the end has phases alone.
        let Some(cycle) = cycle else { continue };
        let ((from, to), (begun, ended)) = (stretch(phase), stretch(cycle));
        assert!(
            begun <= from && from <= to && to <= ended,
            "{phase} outside {cycle}"
        );
        assert_eq!(
            (&phase["tid"], &phase["pid"]),
            (&cycle["tid"], &cycle["pid"])
        );
    }
    let mut stretches: Vec<_> = cycles.iter().map(|cycle| stretch(cycle)).collect();
    stretches.sort_unstable();
    assert!(
        stretches.windows(2).all(|pair| pair[0].1 <= pair[1].0),
        "cycles overlap"
    );
    for event in events {
        assert!(
            event["name"].is_string() && event["pid"].is_u64() && event["tid"].is_u64(),
            "{event}"
        );
        assert!(
            event["ph"] == "M" || event["ts"].as_f64().unwrap() >= 0.0,
            "{event}"
        );
    }
}

#[test]
fn cycles_hold_their_phases_and_violations_are_there() {
    let heap = builder().trace_events(1000).build().unwrap();
    use_heap(&heap);
    let mut text = Vec::new();
    heap.write_trace(&mut text).unwrap();
    let events = events(&text);
    assert_sound(&events);
    assert_eq!(events[0]["args"]["name"], "heap traced \"heap\"");
    let cycles = of(&events, "cycle");
    let stats = heap.stats();
    assert_eq!(
        cycles.len() as u64,
        stats.cycles_finished + stats.cycles_voided
    );
    assert_eq!(cycles[1]["args"]["voided"], "span-seal");
    let phases_of = |cycle: u64| -> Vec<&str> {
        let phases = of(&events, "phase").into_iter();
        let mut phases: Vec<&str> = phases
            .filter(|phase| phase["args"]["cycle"] == cycle)
            .map(|phase| phase["name"].as_str().unwrap())
            .collect();
        phases.dedup();
        phases
    };
    let all = [
        "arm",
        "settle",
        "snapshot",
        "mark",
        "terminate",
        "clear",
        "sweep",
    ];
    assert_eq!(phases_of(1), all);
    assert_eq!(phases_of(2), all[..6]);
    assert_eq!(of(&events, "handshake").len(), 3 * 3);
    let violations = of(&events, "violation");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0]["name"], Check::SpanSeal.id());
    let (begun, ended) = stretch(cycles[1]);
    let at_ns = (violations[0]["ts"].as_f64().unwrap() * 1000.0).round() as u64;
    assert!((begun..=ended).contains(&at_ns), "found when it was found");
    let levels = events.iter().filter(|event| event["ph"] == "C");
    let mut live = levels.map(|level| level["args"]["bytes_live"].as_u64().unwrap());
    assert_eq!(live.next_back(), Some(stats.bytes_live));
}

#[test]
fn memory_is_bounded_and_what_is_kept_is_the_end() {
    let heap = builder().trace_events(40).build().unwrap();
    for _ in 0..20 {
        heap.collect().unwrap();
    }
    let mut text = Vec::new();
    heap.write_trace(&mut text).unwrap();
    let events = events(&text);
    assert_sound(&events);
    assert_eq!(
        events.iter().filter(|event| event["ph"] != "M").count(),
        40 + 1
    );
    let last = of(&events, "cycle");
    assert_eq!(last.last().unwrap()["args"]["cycle"], 20);
    assert_eq!(events.last().unwrap()["args"]["moments_lost"], 0);
}

#[test]
fn a_heap_that_was_not_asked_keeps_no_trace() {
    let heap = builder().build().unwrap();
    heap.collect().unwrap();
    let refused = heap.write_trace(&mut Vec::new()).unwrap_err();
    assert!(matches!(refused, TraceError::NotKept), "{refused}");
}

fn scratch(name: &str) -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("softfail-trace-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn a_file_holds_all_and_ends_with_the_heap() {
    let directory = scratch("file");
    let path = directory.join("heap.trace.json");
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let heap = builder().driver(driver).trace_file(&path).build().unwrap();
        let born = std::fs::read_to_string(&path).unwrap();
        assert!(born.starts_with("[\n{\"name\":\"process_name\""), "{born}");
        std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    let mut mutator = heap.mutator();
                    for _ in 0..10 {
                        drop(chain(&mut mutator, 100));
                    }
                });
            }
            for _ in 0..5 {
                heap.collect().unwrap();
            }
        });
        let cycles = heap.stats().cycles_finished;
        drop(heap);
        let events = events(&std::fs::read(&path).unwrap());
        assert_sound(&events);
        assert!(of(&events, "cycle").len() as u64 >= cycles, "{driver:?}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_file_that_cannot_be_created_is_an_error_of_the_builder() {
    let path = scratch("none").join("missing").join("heap.trace.json");
    let refused = builder().trace_file(&path).build().unwrap_err();
    assert!(matches!(refused, Error::TraceFile { .. }), "{refused}");
    assert!(refused.to_string().starts_with("trace file /"), "{refused}");
}
