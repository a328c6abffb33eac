//! The promises between threads, over every order in which a few of them can meet.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p gc-hooks --lib --release loom`. Under test are the
//! real health word, counters, ring, turn and delivery. Not under test are the insides of
//! crossbeam's queue and of the standard library's cell, into which loom cannot see: `store` puts
//! stand-ins in their place, which show other threads what the real ones promise to show. Invariant:
//! every model is small enough to be searched whole within its bound of preemptions.

use std::sync::Arc;

use loom::model::Builder;
use loom::thread;

use crate::clock::Clock;
use crate::delivery::{Addressee, Letter, Mailbox, Posted, Session};
use crate::ring::Ring;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::{Check, Health, Hooks, Policy, Response, Turn, Violation};

/// Searches every schedule in which a thread is put off at most `preemptions` times.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

fn sequences(recent: impl IntoIterator<Item = Violation>) -> Vec<u64> {
    recent.into_iter().map(|found| found.sequence).collect()
}

#[test]
fn a_health_that_turned_has_a_first_violation_and_no_count_is_lost() {
    model(3, || {
        let health = Health::new(Clock::monotonic());
        let recorders = [Check::Zombie, Check::Ledger].map(|check| {
            let health = health.clone();
            thread::spawn(move || {
                health.record(Violation::new(check));
                health.mark_unhealthy();
            })
        });
        if !health.is_healthy() {
            assert!(health.total() >= 1);
            assert!(health.first().is_some());
        }
        let (zombies, ledgers) = (health.count(Check::Zombie), health.count(Check::Ledger));
        assert!(zombies + ledgers <= health.total());
        for recorder in recorders {
            recorder.join().unwrap();
        }
        assert!(!health.is_healthy());
        assert!(health.unhealthy_since().is_some());
        assert_eq!(health.total(), 2);
        assert_eq!(
            (health.count(Check::Zombie), health.count(Check::Ledger)),
            (1, 1)
        );
        assert_eq!(health.first().map(|first| first.sequence), Some(1));
        assert_eq!(sequences(health.recent()), [1, 2]);
    });
}

#[test]
fn whoever_sees_health_turn_after_one_record_sees_that_record() {
    model(3, || {
        let health = Health::new(Clock::monotonic());
        let recorder = health.clone();
        let recorder = thread::spawn(move || {
            recorder.record(Violation::new(Check::LateGrey).with_cycle(4));
            recorder.mark_unhealthy();
        });
        if !health.is_healthy() {
            assert_eq!(health.first().map(|first| first.cycle), Some(4));
            assert_eq!(health.last().map(|last| last.cycle), Some(4));
            assert_eq!((health.total(), health.count(Check::LateGrey)), (1, 1));
        }
        recorder.join().unwrap();
    });
}

/// More is pushed than fits, so that writers push out what the reader is after.
#[test]
fn a_ring_is_read_whole_and_in_order_whatever_is_written_meanwhile() {
    model(3, || {
        let ring = Arc::new(Ring::new(2));
        let write = |numbers: &'static [u32]| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                for &number in numbers {
                    let violation = Violation::new(Check::Zombie).with_cycle(number);
                    let sequence = u64::from(number);
                    ring.push(Violation {
                        sequence,
                        ..violation
                    });
                }
            })
        };
        let writers = [write(&[1, 4]), write(&[2, 3])];
        let read = || -> Vec<Violation> { ring.read(|recent| recent.iter().copied().collect()) };
        let is_sound = |found: &[Violation]| {
            found.len() <= 2
                && found.iter().all(|one| one.sequence == u64::from(one.cycle))
                && found.is_sorted_by(|one, next| one.sequence < next.sequence)
        };
        let early = read();
        assert!(is_sound(&early));
        for writer in writers {
            writer.join().unwrap();
        }
        let late = read();
        assert!(is_sound(&late));
        assert_eq!(late.len(), 2);
        let newest = |found: &[Violation]| found.last().map(|last| last.sequence);
        assert!(
            newest(&late) >= newest(&early),
            "the newest never goes back"
        );
        assert_eq!(sequences(read()), sequences(late));
    });
}

/// The one that comes too late for the turn leaves its violation to the other.
#[test]
fn when_two_deliver_at_once_nothing_is_left_and_nothing_told_twice() {
    model(3, || {
        let inside = AtomicU64::new(0);
        let policy = Policy::on_violation(move |_| {
            assert_eq!(inside.fetch_add(1, Relaxed), 0, "two hooks at once");
            inside.fetch_sub(1, Relaxed);
        });
        let hooks = Arc::new(Hooks::new(policy));
        let run = |hooks: &Hooks| {
            hooks.report(Violation::new(Check::Zombie));
            hooks.deliver()
        };
        let others = Arc::clone(&hooks);
        let other = thread::spawn(move || run(&others));
        let (mine, others) = (run(&hooks), other.join().unwrap());
        assert_eq!(mine.delivered + others.delivered, 2);
        assert_eq!(mine.panics + others.panics, 0);
        assert!(mine.turn != Turn::Nested && others.turn != Turn::Nested);
        assert_eq!(hooks.deliver().turn, Turn::Idle);
        assert_eq!(
            (hooks.health().total(), hooks.health().suppressed()),
            (2, 0)
        );
    });
}

/// Here a second knock comes upon a first one that is not heard yet.
#[test]
fn no_knock_is_lost_among_several() {
    model(3, || {
        let mailbox = Arc::new(Mailbox::new());
        let drain = |session: Option<Session<'_>>| {
            let (mut under_way, mut taken) = (session, 0);
            while let Some(session) = under_way {
                taken += std::iter::from_fn(|| session.take()).count();
                under_way = session.end();
            }
            taken
        };
        let session = mailbox.take_turn();
        let others = [1, 2].map(|sequence| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                let violation = Violation::new(Check::Zombie);
                let posted = mailbox.post(Letter {
                    violation: Violation {
                        sequence,
                        ..violation
                    },
                    addressee: Addressee::Hook,
                });
                assert_eq!(posted, Posted::Waiting);
                drain(mailbox.take_turn())
            })
        });
        let mine = drain(session);
        let taken: usize = others.map(|other| other.join().unwrap()).iter().sum();
        assert_eq!(mine + taken, 2);
        assert_eq!(mailbox.waiting(), 0);
        assert!(mailbox.take_turn().is_some());
    });
}

/// A collector thread that holds something reports and does not deliver.
#[test]
fn what_is_reported_while_another_delivers_is_told_then_or_by_the_next_delivery() {
    model(3, || {
        let policy = Policy::HOOK.with(Check::Ledger, Response::MarkUnhealthy);
        let hooks = Arc::new(Hooks::new(policy));
        hooks.report(Violation::new(Check::Zombie));
        let reporter = Arc::clone(&hooks);
        let reporter = thread::spawn(move || reporter.report(Violation::new(Check::Ledger)));
        let early = hooks.deliver();
        assert!((1..=2).contains(&early.delivered));
        reporter.join().unwrap();
        let late = hooks.deliver();
        assert_eq!(early.delivered + late.delivered, 2);
        assert!(!hooks.health().is_healthy());
    });
}
