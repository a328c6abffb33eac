//! The trace events of a heap, as a subscriber sees them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use gc_hooks::{Check, Hooks, Phase, Policy, Turn, Violation};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A subscriber that writes events down, or panics. Clones share what is written.
#[derive(Clone, Default)]
struct Events {
    taken: Arc<Mutex<Vec<Taken>>>,
    manner: Manner,
}

#[derive(Clone, Copy, Default)]
enum Manner {
    #[default]
    WritesDown,
    Panics,
}

/// One event.
#[derive(Clone)]
struct Taken {
    target: &'static str,
    level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Events {
    fn that_panic() -> Events {
        Events {
            manner: Manner::Panics,
            ..Events::default()
        }
    }

    /// Runs `act` with this as the subscriber of the calling thread.
    fn capture(&self, act: impl FnOnce()) {
        tracing::subscriber::with_default(self.clone(), act);
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gc::")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if matches!(self.manner, Manner::Panics) {
            panic!("the subscriber has a bad day");
        }
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let metadata = event.metadata();
        let taken = Taken {
            target: metadata.target(),
            level: *metadata.level(),
            fields: fields.0,
        };
        self.taken.lock().unwrap().push(taken);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[test]
fn every_violation_becomes_a_trace_event_at_delivery() {
    let events = Events::default();
    let hooks = Hooks::new(Policy::COUNT);
    events.capture(|| {
        hooks.report(
            Violation::new(Check::BadPointer)
                .with_cycle(3)
                .with_phase(Phase::Mark)
                .with_reason("pointer to unallocated span")
                .with_span(16),
        );
        hooks.report(Violation::new(Check::OsCall));
        assert!(events.taken().is_empty());
        hooks.deliver();
    });
    let events = events.taken();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (events[0].target, events[0].level),
        ("gc::violation", tracing::Level::ERROR)
    );
    assert_eq!(events[1].level, tracing::Level::WARN);
    let expected = [
        (
            "message",
            "found bad pointer in heap (pointer to unallocated span)",
        ),
        ("check", "bad-pointer"),
        ("sequence", "1"),
        ("cycle", "3"),
        ("phase", "mark"),
        ("severity", "dangling"),
        ("span", "16"),
        ("origin", "unknown"),
    ];
    for (field, value) in expected {
        assert_eq!(
            events[0].fields.get(field).map(String::as_str),
            Some(value),
            "{field}"
        );
    }
    assert!(
        !events[0].fields.contains_key("slot"),
        "what is not known is not said"
    );
}

#[test]
fn a_panicking_subscriber_does_not_keep_the_hook_from_hearing() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    let hooks = Hooks::new(Policy::on_violation(move |_| {
        counter.fetch_add(1, Relaxed);
    }));
    let events = Events::that_panic();
    events.capture(|| {
        for _ in 0..5 {
            hooks.report(Violation::new(Check::Zombie));
        }
        assert_eq!(hooks.deliver().panics, 3);
        while hooks.deliver().turn != Turn::Idle {}
    });
    assert_eq!(heard.load(Relaxed), 5);
    assert_eq!(hooks.health().count(Check::HookPanicked), 3);
    assert_eq!(
        hooks.health().last().unwrap().reason,
        "subscriber to trace events"
    );
    assert!(hooks.health().is_healthy(), "the hook still hears");
}
