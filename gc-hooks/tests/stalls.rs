//! Subscribers to trace events that do not come back.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gc_hooks::{Check, Hooks, Policy, Violation};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Says that it is called, then waits to be let go.
struct Hangs {
    enter: Mutex<Sender<()>>,
    released: Mutex<Receiver<()>>,
}

impl Subscriber for Hangs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gc::")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, _event: &Event<'_>) {
        self.enter.lock().unwrap().send(()).unwrap();
        self.released.lock().unwrap().recv().unwrap();
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[test]
fn a_subscriber_that_hangs_does_not_keep_the_hook_from_hearing() {
    let (enter, entered) = channel();
    let (release, released) = channel();
    let subscriber = Hangs {
        enter: Mutex::new(enter),
        released: Mutex::new(released),
    };
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let notebook = Arc::clone(&heard);
    let policy = Policy::COUNT
        .with(Check::Zombie, gc_hooks::Response::Hook)
        .with_hook_deadline(Duration::from_millis(1))
        .with_hook(move |found| notebook.lock().unwrap().push(found.sequence));
    let hooks = Hooks::new(policy);
    let report = || hooks.report(Violation::new(Check::Zombie));
    report();
    thread::scope(|scope| {
        let hooks = &hooks;
        let stuck =
            scope.spawn(move || tracing::subscriber::with_default(subscriber, || hooks.deliver()));
        entered.recv().unwrap();
        report();
        // Whoever has no subscriber of its own goes past the one that hangs.
        while hooks.health().is_healthy() {
            hooks.deliver();
            thread::yield_now();
        }
        let last = hooks.health().last().unwrap();
        assert_eq!(
            (last.check, last.reason),
            (Check::HookStalled, "subscriber to trace events")
        );
        assert_eq!(*heard.lock().unwrap(), [2]);
        // The second was told to the hook alone, the stall to nobody.
        assert_eq!(hooks.health().suppressed(), 2);
        release.send(()).unwrap();
        // Back, it tells the hook of what it was at, and leaves the rest.
        assert_eq!(stuck.join().unwrap().delivered, 1);
    });
    assert_eq!(*heard.lock().unwrap(), [2, 1]);
    report();
    assert_eq!(hooks.deliver().delivered, 1);
    assert_eq!(hooks.health().count(Check::HookStalled), 1);
}
