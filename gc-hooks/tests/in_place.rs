//! The hook that is called at the moment of a violation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;

use gc_hooks::{Check, Escalation, Hooks, Policy, Response, Turn, Violation};

/// What was called, in order: `true` for the hook in place, and what it was told of.
type Notebook = Arc<Mutex<Vec<(bool, u64)>>>;

/// Hooks with both hooks, which write down that they were called.
fn listening(policy: Policy) -> (Hooks, Notebook) {
    let heard = Notebook::default();
    let (in_place, later) = (Arc::clone(&heard), Arc::clone(&heard));
    let policy = policy
        .with_hook(move |found| later.lock().unwrap().push((false, found.sequence)))
        .with_in_place_hook(move |found| in_place.lock().unwrap().push((true, found.sequence)));
    (Hooks::new(policy), heard)
}

fn zombie() -> Violation {
    Violation::new(Check::Zombie)
}

#[test]
fn it_is_called_before_report_comes_back_and_before_the_other() {
    let (hooks, heard) = listening(Policy::HOOK);
    hooks.report(zombie());
    assert_eq!(*heard.lock().unwrap(), [(true, 1)]);
    hooks.report(zombie());
    hooks.deliver();
    let expected = [(true, 1), (true, 2), (false, 1), (false, 2)];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[test]
fn it_is_called_for_what_is_for_hooks_and_for_nothing_else() {
    for &response in Response::ALL {
        if response == Response::Abort {
            continue;
        }
        let (hooks, heard) = listening(Policy::COUNT.with(Check::Zombie, response));
        hooks.report(zombie());
        hooks.report(Violation::new(Check::Ledger));
        let expected: &[(bool, u64)] = match response {
            Response::Hook => &[(true, 1)],
            _ => &[],
        };
        assert_eq!(*heard.lock().unwrap(), expected, "{response}");
    }
}

#[test]
fn a_step_of_the_ladder_calls_it_too() {
    let step = Escalation::after(2.try_into().unwrap(), Response::Hook);
    let (hooks, heard) = listening(Policy::COUNT.with_escalation(step));
    for _ in 0..3 {
        hooks.report(zombie());
    }
    assert_eq!(*heard.lock().unwrap(), [(true, 2), (true, 3)]);
}

/// Hooks whose hook in place runs `act` on them.
fn acting(act: impl Fn(&Hooks) + Send + Sync + 'static) -> Arc<OnceLock<Hooks>> {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let of_hook = Arc::clone(&shared);
    let policy = Policy::HOOK.with_in_place_hook(move |_| act(of_hook.get().unwrap()));
    assert!(shared.set(Hooks::new(policy)).is_ok());
    shared
}

#[test]
fn what_it_causes_does_not_call_it_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let shared = acting(move |hooks| {
        counter.fetch_add(1, Relaxed);
        hooks.report(Violation::new(Check::Ledger));
        assert_eq!(hooks.deliver().turn, Turn::Nested);
    });
    let hooks = shared.get().unwrap();
    hooks.report(zombie());
    assert_eq!(calls.load(Relaxed), 1);
    assert_eq!(hooks.health().count(Check::Ledger), 1, "it is in the books");
    assert_eq!(hooks.deliver().delivered, 2, "and told later");
    hooks.report(zombie());
    assert_eq!(calls.load(Relaxed), 2);
}

#[test]
fn coming_back_into_the_heap_is_noticed_once_a_call() {
    let shared = acting(|hooks| {
        assert!(hooks.is_delivering());
        hooks.note_reentry();
        hooks.note_reentry();
    });
    let hooks = shared.get().unwrap();
    for times in 1..=2 {
        hooks.report(zombie());
        let health = hooks.health();
        assert_eq!(health.count(Check::HookReentered), times);
        assert_eq!(health.last().unwrap().numbers[0].value, 2 * times - 1);
    }
    assert!(!hooks.is_delivering());
}

#[test]
fn its_panics_are_caught_and_the_third_switches_it_off() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let shared = acting(move |_| {
        counter.fetch_add(1, Relaxed);
        panic!("a bad day");
    });
    let hooks = shared.get().unwrap();
    for (times, is_healthy) in [(1, true), (2, true), (3, false), (4, false)] {
        hooks.report(zombie().with_cycle(9));
        assert_eq!(calls.load(Relaxed), times.min(3));
        assert_eq!(hooks.health().is_healthy(), is_healthy);
    }
    let health = hooks.health();
    assert_eq!((health.total(), health.count(Check::HookPanicked)), (7, 3));
    let recent = health.recent();
    let panic = recent
        .iter()
        .find(|found| found.check == Check::HookPanicked);
    let panic = panic.unwrap();
    assert_eq!((panic.reason, panic.cycle), ("hook in place", 9));
    assert!(!hooks.is_delivering());
}

/// Reports when it is dropped, as containment does while a mutator's panic unwinds.
struct ReportsAtEnd<'a>(&'a Hooks);

impl Drop for ReportsAtEnd<'_> {
    fn drop(&mut self) {
        self.0.report(zombie());
    }
}

#[test]
fn it_may_panic_while_its_thread_unwinds() {
    let shared = acting(|_| panic!("a bad day"));
    let hooks = shared.get().unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _end = ReportsAtEnd(hooks);
        panic!("a worse one");
    }));
    let payload = unwound.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"a worse one"));
    assert_eq!(hooks.health().count(Check::HookPanicked), 1);
}

#[test]
fn several_threads_are_in_it_at_once_and_each_is_itself() {
    let barrier = Arc::new(Barrier::new(3));
    let meeting = Arc::clone(&barrier);
    let shared = acting(move |hooks| {
        meeting.wait();
        assert!(hooks.is_delivering());
        hooks.note_reentry();
    });
    let hooks = shared.get().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| hooks.report(zombie()));
        }
        assert!(!hooks.is_delivering());
    });
    let health = hooks.health();
    assert_eq!((health.total(), health.count(Check::HookReentered)), (6, 3));
}

#[test]
fn it_survives_the_policy_of_the_environment() {
    let (hooks, _) = listening(Policy::HOOK);
    let read: Policy = "hook,rate=1/s".parse().unwrap();
    assert!(!read.has_in_place_hook());
    assert!(read.with_hook_of(hooks.policy()).has_in_place_hook());
}
