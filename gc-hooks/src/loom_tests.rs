//! The promises between threads, over every order in which a few of them can meet.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p gc-hooks --lib --release loom`. Under test are the
//! real health word, counters, ring, turn, watch, crowd and delivery. Not under test are the insides of
//! crossbeam's queue and of the standard library's cell, into which loom cannot see: `store` puts
//! stand-ins in their place, which show other threads what the real ones promise to show. Invariant:
//! every model is small enough to be searched whole within its bound of preemptions.

use std::sync::Arc;
use std::time::Duration;

use loom::model::Builder;
use loom::thread;

use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::delivery::{Addressee, Letter, Mailbox, Posted, Session};
use crate::ring::Ring;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::watch::{HOOK, Watch};
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
        let session = mailbox.take_turn(|_| false);
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
                drain(mailbox.take_turn(|_| false))
            })
        });
        let mine = drain(session);
        let taken: usize = others.map(|other| other.join().unwrap()).iter().sum();
        assert_eq!(mine + taken, 2);
        assert_eq!(mailbox.waiting(), 0);
        assert!(mailbox.take_turn(|_| false).is_some());
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

/// Each in a stretch of its own, so that only what passes the turnstile orders them.
#[test]
fn of_those_who_count_at_once_one_counts_them_all() {
    model(3, || {
        let crowd = Arc::new(Crowd::new(Duration::from_nanos(30)));
        let others = [10, 20].map(|at| {
            let crowd = Arc::clone(&crowd);
            thread::spawn(move || crowd.add(at))
        });
        let mine = crowd.add(0);
        let others = others.map(|other| other.join().unwrap());
        assert_eq!(others.into_iter().chain([mine]).max(), Some(3));
    });
}

/// The third comes when the first is out of the time, and takes its word.
#[test]
fn what_is_out_of_the_time_is_counted_by_nobody() {
    model(3, || {
        let crowd = Arc::new(Crowd::new(Duration::from_nanos(30)));
        crowd.add(0);
        let others = [20, 30].map(|at| {
            let crowd = Arc::clone(&crowd);
            thread::spawn(move || crowd.add(at))
        });
        let others = others.map(|other| other.join().unwrap());
        assert!(others.iter().all(|counted| (1..=2).contains(counted)));
        assert!(others.contains(&2));
    });
}

/// One is in a call that may be found overdue; the other looks, and goes past it if it is.
#[test]
fn a_turn_that_is_taken_away_is_held_by_one() {
    model(4, || {
        let (mailbox, watch) = (Arc::new(Mailbox::new()), Arc::new(Watch::new()));
        let holders = Arc::new(AtomicU64::new(0));
        let hold = |holders: &AtomicU64| {
            assert_eq!(holders.fetch_add(1, Relaxed), 0, "two hold the turn");
            holders.fetch_sub(1, Relaxed);
        };
        let mut session = mailbox.take_turn(|_| false).unwrap();
        let violation = Violation::new(Check::Zombie);
        let call = watch.begin(HOOK, session.number(), &violation, || 0);
        let other = {
            let (mailbox, watch) = (Arc::clone(&mailbox), Arc::clone(&watch));
            let holders = Arc::clone(&holders);
            thread::spawn(move || {
                watch.look(10, 10, |overdue| assert_eq!(overdue.waited_nanoseconds, 10));
                let is_lost = |session| watch.is_overdue_session(session);
                if let Some(session) = mailbox.take_turn(is_lost) {
                    hold(&holders);
                    drop(session);
                }
            })
        };
        let was_overdue = call.unwrap().end();
        if !was_overdue || session.renew() {
            hold(&holders);
            // The next call, in time: nobody may take it for the one before.
            let call = watch.begin(HOOK, session.number(), &violation, || 10);
            hold(&holders);
            if !call.unwrap().end() || session.renew() {
                hold(&holders);
            }
        }
        drop(session);
        other.join().unwrap();
        assert!(mailbox.take_turn(|_| false).is_some(), "it is free again");
    });
}
