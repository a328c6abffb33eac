//! Events of cycles: in order, with what they promise, from outside the collector.
//!
//! One subscriber for the whole process, since collector threads have no other; each test looks at
//! the events that carry the name of its heap.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gc_core::{Check, CollectError, Driver, Edge, Heap, Policy, Trace};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[derive(Trace)]
struct Node<'gc> {
    id: u64,
    next: Edge<'gc, Node<'gc>>,
}

/// An event as a subscriber hears it.
#[derive(Clone, Debug)]
struct Told {
    target: &'static str,
    level: Level,
    message: String,
    texts: BTreeMap<&'static str, String>,
    numbers: BTreeMap<&'static str, u64>,
}

impl Told {
    fn number(&self, name: &str) -> u64 {
        let found = self.numbers.get(name);
        *found.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl Visit for Told {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.insert(field.name(), value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.texts.insert(field.name(), value.to_string());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.numbers.insert(field.name(), u64::from(value));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

type Callback = Arc<dyn Fn(&Told) + Send + Sync>;

#[derive(Default)]
struct Heard {
    /// By name of the heap.
    events: BTreeMap<String, Vec<Told>>,
    callbacks: BTreeMap<String, Callback>,
}

static HEARD: LazyLock<Mutex<Heard>> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(Listener).unwrap();
    Mutex::default()
});

fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut told = Told {
            target: event.metadata().target(),
            level: *event.metadata().level(),
            message: String::new(),
            texts: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        event.record(&mut told);
        let Some(heap) = told.texts.get("heap").cloned() else {
            return;
        };
        let callback = {
            let mut heard = heard();
            heard
                .events
                .entry(heap.clone())
                .or_default()
                .push(told.clone());
            heard.callbacks.get(&heap).cloned()
        };
        if let Some(callback) = callback {
            callback(&told);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn heap(name: &'static str, driver: Driver) -> Heap {
    drop(heard());
    Heap::builder()
        .name(name)
        .driver(driver)
        .policy(Policy::COUNT)
        .reserve_bytes(64 << 20)
        .build()
        .unwrap()
}

fn events_of(name: &str) -> Vec<Told> {
    heard().events.get(name).cloned().unwrap_or_default()
}

/// Allocates so many objects and keeps the last one.
fn fill(heap: &Heap, objects: u64) -> gc_core::Root<Node<'static>> {
    heap.mutator().enter(|scope| {
        let mut last = scope.alloc(Node {
            id: 0,
            next: Edge::none(),
        });
        for id in 1..objects {
            last = scope.alloc(Node {
                id,
                next: Edge::none(),
            });
        }
        assert_eq!(last.id, objects - 1);
        assert!(last.next.is_none());
        scope.root(last)
    })
}

#[test]
fn a_cycle_is_told_in_order_and_its_numbers_add_up() {
    let heap = heap("orderly", Driver::Manual);
    let kept = fill(&heap, 10_000);
    let report = heap.collect().unwrap();
    let events = events_of("orderly");
    let said: Vec<_> = events
        .iter()
        .map(|told| (told.target, told.message.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("gc::cycle", "cycle started"),
            ("gc::cycle", "cycle flipped"),
            ("gc::sweep", "sweep finished"),
        ]
    );
    assert!(
        events
            .iter()
            .all(|told| told.level == Level::INFO && told.number("cycle") == 1)
    );
    let [started, flipped, swept] = events.try_into().unwrap();
    assert_eq!(flipped.number("objects_marked"), 1);
    assert_eq!(flipped.number("bytes_marked"), report.bytes_marked);
    for phase in [
        "arm_us",
        "settle_us",
        "snapshot_us",
        "mark_us",
        "terminate_us",
        "clear_us",
    ] {
        flipped.number(phase);
    }
    assert_eq!(
        (
            flipped.number("voided_before"),
            flipped.number("late_returns")
        ),
        (0, 0)
    );
    assert_eq!(started.number("bytes_live"), flipped.number("bytes_live"));
    assert!(started.number("bytes_goal") > started.number("bytes_live"));
    assert_eq!(swept.number("objects_freed"), 9_999);
    assert_eq!(swept.number("bytes_freed"), 9_999 * report.bytes_marked);
    assert_eq!(
        swept.number("bytes_live"),
        flipped.number("bytes_live") - swept.number("bytes_freed")
    );
    assert_eq!(swept.number("bytes_live"), report.bytes_live);
    assert!(swept.number("spans_swept") > 1);
    for name in ["spans_withdrawn", "bytes_quarantined"] {
        assert_eq!(swept.number(name), 0, "{name}");
    }
    swept.number("bytes_returned");
    swept.number("sweep_us");
    drop(kept);
}

#[test]
fn a_voided_cycle_is_told_with_its_reason() {
    let heap = heap("voided", Driver::Manual);
    let _kept = fill(&heap, 100);
    heap.request_collect();
    while heap.phase() != gc_core::Phase::Mark {
        heap.step(1).unwrap();
    }
    heap.fault().skew_marking_gate(-1);
    heap.collect().unwrap();
    let events = events_of("voided");
    let voided: Vec<_> = events
        .iter()
        .filter(|told| told.message == "cycle voided")
        .collect();
    assert_eq!(voided.len(), 1);
    let voided = voided[0];
    assert_eq!((voided.target, voided.level), ("gc::cycle", Level::WARN));
    assert_eq!(voided.texts["reason"], "gate-count");
    assert_eq!(voided.number("voided_in_a_row"), 1);
    assert_eq!(voided.number("has_stopped_reclaiming"), 0);
    let flipped = events
        .iter()
        .find(|told| told.message == "cycle flipped")
        .unwrap();
    assert_eq!(
        (flipped.number("cycle"), flipped.number("voided_before")),
        (2, 1)
    );
}

#[test]
fn a_withdrawn_span_is_counted_in_the_sweep_that_withdrew_it() {
    let heap = heap("withdrawn", Driver::Manual);
    let kept = fill(&heap, 1000);
    let address = heap
        .mutator()
        .enter(|scope| scope.get(&kept).unwrap().into_raw().address());
    assert!(heap.fault().space().add_alloc_count(address, 1));
    heap.collect().unwrap();
    heap.collect().unwrap();
    let withdrawn: Vec<u64> = events_of("withdrawn")
        .iter()
        .filter(|told| told.target == "gc::sweep")
        .map(|told| told.number("spans_withdrawn"))
        .collect();
    assert_eq!(withdrawn, [1, 0]);
}

/// What a subscriber gets when it uses the heap that tells it.
fn use_heap(heap: &Heap) -> Vec<CollectError> {
    let stats = heap.stats();
    assert!(stats.cycle > 0 && heap.health().total() == 0);
    heap.request_collect();
    let delivery = heap.deliver();
    assert_eq!(delivery.delivered, 0);
    [
        heap.collect().err(),
        heap.step(1).err(),
        heap.verify().err(),
        heap.ledger().err(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn a_subscriber_holds_no_lock_of_the_heap_and_may_not_drive_it() {
    for (name, driver) in [
        ("nosy by hand", Driver::Manual),
        ("nosy beside mutators", Driver::Incremental),
        ("nosy beside threads", Driver::Background(2)),
    ] {
        let heap = heap(name, driver);
        let refused = Arc::new(Mutex::new(Vec::new()));
        let callback: Callback = {
            // The subscriber outlives the heap's own handles, so it takes it away at the end.
            let (heap, refused) = (heap.clone(), Arc::clone(&refused));
            Arc::new(move |_| refused.lock().unwrap().push(use_heap(&heap)))
        };
        heard().callbacks.insert(name.to_string(), callback);
        for _ in 0..3 {
            drop(fill(&heap, 1000));
            heap.collect().unwrap();
            heap.deliver();
        }
        heap.mutator().enter(|_| ());
        let callback = heard().callbacks.remove(name);
        drop(callback);
        let refused = refused.lock().unwrap();
        assert!(refused.len() >= 3, "{name}: {} events", refused.len());
        for errors in refused.iter() {
            assert_eq!(errors, &[CollectError::InsideHook; 4], "{name}");
        }
        assert!(heap.ledger().unwrap().is_balanced());
    }
}

#[test]
fn a_subscriber_that_panics_is_contained_reported_and_told_no_more() {
    let heap = heap("panicky", Driver::Manual);
    heard()
        .callbacks
        .insert("panicky".to_string(), Arc::new(|_| panic!("a bad day")));
    for _ in 0..3 {
        drop(fill(&heap, 100));
        heap.collect().unwrap();
    }
    assert_eq!(heap.health().count(Check::HookPanicked), 3);
    assert_eq!(heap.health().total(), 3);
    assert_eq!(events_of("panicky").len(), 3);
    assert!(heap.verify().unwrap().is_clean());
}
