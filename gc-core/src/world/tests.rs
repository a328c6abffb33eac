//! Handshake answers and weak upgrades over every interleaving and every order that loom knows.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p gc-core --lib --release loom`. Under test are the
//! real state word, answer word, request, phase and upgrade flag. What only the owner of the state
//! word touches stands in a cell that loom watches for races; nothing is ever read from it.
//! Deliberately absent: what an answer does, since the space is no part of a model.

use gc_hooks::sync::yield_now;
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc as Shared;
use loom::sync::atomic::{AtomicU32, fence};
use loom::thread;

use super::*;
use crate::request::{Colours, Handshake};

/// Searches every schedule in which a thread is put off at most `preemptions` times.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

const ASKED: Request = Request::new(1, Handshake::Snapshot, Colours::FIRST);

struct Case {
    world: World,
    record: Arc<Record>,
    /// Stands for the local part.
    local: UnsafeCell<()>,
    /// Stands for what an answer hands over. Read by the collector once all have answered.
    handed_over: UnsafeCell<()>,
    answers: AtomicU32,
}

impl Case {
    fn new() -> Shared<Case> {
        Shared::new(Case {
            world: World::new(),
            record: Arc::new(Record::new(Colours::FIRST.kept)),
            local: UnsafeCell::new(()),
            handed_over: UnsafeCell::new(()),
            answers: AtomicU32::new(0),
        })
    }

    /// What both sides do with the state word in hand, as `handshake::answer` does it.
    fn answer(&self) {
        self.local.with_mut(|_| ());
        let asked = self.world.request();
        if !self.record.answered().covers(asked) {
            self.handed_over.with_mut(|_| ());
            self.answers.fetch_add(1, Ordering::Relaxed);
            self.record.answer(asked);
        }
    }

    fn enter(&self) {
        let entered = self
            .record
            .with_entered(std::panic::Location::caller(), |_| {
                self.answer();
                self.local.with_mut(|_| ());
                self.answer();
            });
        assert!(entered.is_ok());
    }

    /// What the collector does until the mutator has answered, by itself or through it.
    fn wait_for_answer(&self) {
        while !self.record.answered().covers(ASKED) {
            if self.record.with_held(|_| self.answer()).is_none() {
                yield_now();
            }
        }
        self.handed_over.with(|_| ());
        assert_eq!(self.answers.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn loom_one_side_answers_and_the_other_sees_it() {
    model(3, || {
        let case = Case::new();
        let mutator = {
            let case = Shared::clone(&case);
            thread::spawn(move || {
                case.enter();
                case.enter();
            })
        };
        case.world.ask(ASKED);
        case.wait_for_answer();
        mutator.join().unwrap();
        assert_eq!(case.answers.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn loom_whoever_else_holds_the_record_is_waited_for() {
    model(2, || {
        let case = Case::new();
        let mutator = {
            let case = Shared::clone(&case);
            thread::spawn(move || case.enter())
        };
        let counter = {
            let case = Shared::clone(&case);
            thread::spawn(move || {
                case.record.with_held(|_| case.local.with_mut(|_| ()));
            })
        };
        case.world.ask(ASKED);
        case.wait_for_answer();
        mutator.join().unwrap();
        counter.join().unwrap();
        assert!(!case.record.is_in());
    });
}

#[test]
fn loom_a_newcomer_has_answered_all_that_is_asked() {
    model(3, || {
        let case = Case::new();
        let newcomer = {
            let case = Shared::clone(&case);
            thread::spawn(move || {
                let attached = case.world.attach(|asked| {
                    case.record.answer(asked);
                    Arc::clone(&case.record)
                });
                assert!(Arc::ptr_eq(&attached, &case.record));
            })
        };
        case.world.ask(ASKED);
        // A round that misses the newcomer comes before it, and then it has read the request.
        let known = case.world.records();
        newcomer.join().unwrap();
        assert!(case.record.answered().covers(ASKED) || !known.is_empty());
    });
}

/// An upgrade against a termination. Loom takes accesses that are SeqCst for acquire and release
/// alone, so what SeqCst adds is spelled out: a fence between each side's store and its load.
fn upgrade_against_termination(order: impl Fn() + Copy + Send + Sync + 'static) {
    model(4, move || {
        let case = Case::new();
        case.world.set_phase(Phase::Mark);
        let mutator = {
            let case = Shared::clone(&case);
            thread::spawn(move || {
                case.record.set_shading(true);
                order();
                let shades = case.world.phase() == Phase::Mark;
                if shades {
                    case.handed_over.with_mut(|_| ());
                    case.answers.store(1, Ordering::Relaxed);
                }
                case.record.set_shading(false);
                shades
            })
        };
        case.world.set_phase(Phase::Terminate);
        order();
        let is_decided = !case.record.is_shading();
        let seen = is_decided.then(|| case.answers.load(Ordering::Relaxed));
        let shaded = mutator.join().unwrap();
        if let Some(seen) = seen {
            assert_eq!(seen == 1, shaded, "decided without what an upgrade shaded");
        }
    });
}

#[test]
fn loom_a_termination_misses_no_upgrade() {
    upgrade_against_termination(|| fence(Ordering::SeqCst));
}

#[test]
#[should_panic(expected = "decided without what an upgrade shaded")]
fn loom_acquire_and_release_would_miss_an_upgrade() {
    upgrade_against_termination(|| ());
}
