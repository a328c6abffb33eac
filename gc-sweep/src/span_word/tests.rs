//! The protocol of the state word on loom's atomics, over every interleaving and every order that the language allows.
//!
//! What the holder of a span may touch alone stands in cells that loom watches for races. Run as
//! `RUSTFLAGS="--cfg loom" cargo test -p gc-sweep --lib --release loom`.
#![allow(unsafe_code)]

use gc_hooks::sync::Mutex;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::*;

type LoomWord = StateWord<gc_hooks::sync::atomic::AtomicU64>;

const OLD: u32 = 1;
const NEW: u32 = 2;

/// A span as its holders see it.
#[derive(Debug, Default)]
struct Model {
    word: LoomWord,
    /// Written by the lessee before it retires.
    handed_out: UnsafeCell<u32>,
    /// Written by the sweeper before it finishes.
    freed: UnsafeCell<u32>,
    /// How often the books were closed. Written by the one who ends the last holding.
    closed: UnsafeCell<u32>,
    /// Whether the span stands among the leased ones, as under the lock of its class.
    is_listed: Mutex<bool>,
}

// SAFETY: loom fails the test when two threads use a cell at once.
unsafe impl Sync for Model {}

impl Model {
    fn swept() -> Arc<Model> {
        let model = Model::default();
        model.word.begin(OLD);
        Arc::new(model)
    }

    fn leased() -> Arc<Model> {
        let model = Model::swept();
        assert!(model.word.lease().is_ok());
        *model.is_listed.lock().unwrap() = true;
        model
    }

    /// Closes the books: the caller sees what lessee and sweeper wrote.
    fn close(&self, handed_out: u32, freed: u32) {
        assert_eq!(read(&self.handed_out), handed_out);
        assert_eq!(read(&self.freed), freed);
        add(&self.closed);
    }

    fn retire(&self, freed_when_swept: impl Fn() -> u32) -> bool {
        add(&self.handed_out);
        let ended = {
            let mut is_listed = self.is_listed.lock().unwrap();
            *is_listed = false;
            self.word.retire()
        };
        match ended {
            Ended::Swept => {
                self.close(1, freed_when_swept());
                true
            }
            Ended::LeftToSweeper => false,
            ended => panic!("{ended:?}"),
        }
    }

    fn sweep_beside_lease(&self, claim: Claim) -> bool {
        assert_eq!(claim.kind(), ClaimKind::Leased);
        add(&self.freed);
        match self.word.finish(claim) {
            Ended::StillLeased => false,
            Ended::HandedOver(claim) => {
                self.close(1, 1);
                assert!(matches!(self.word.finish(claim), Ended::Swept));
                true
            }
            ended => panic!("{ended:?}"),
        }
    }

    fn state(&self) -> Option<SpanState> {
        self.word.load().state()
    }
}

fn read(cell: &UnsafeCell<u32>) -> u32 {
    // SAFETY: loom fails the test if anyone writes meanwhile.
    cell.with(|value| unsafe { *value })
}

fn add(cell: &UnsafeCell<u32>) {
    // SAFETY: loom fails the test if anyone reads or writes meanwhile.
    cell.with_mut(|value| unsafe { *value += 1 });
}

#[test]
fn loom_two_sweepers_one_claim() {
    loom::model(|| {
        let model = Model::swept();
        let sweep = |model: &Model| match model.word.claim(NEW) {
            Ok(claim) => {
                add(&model.freed);
                assert!(matches!(model.word.finish(claim), Ended::Swept));
                true
            }
            Err(Refusal::AlreadySwept(_)) => false,
            Err(Refusal::BadState(word)) => {
                assert_eq!(word.state(), Some(SpanState::Claimed));
                false
            }
            Err(refusal) => panic!("the word alone knows nothing of {refusal:?}"),
        };
        let other = Arc::clone(&model);
        let other = thread::spawn(move || sweep(&other));
        let won = [sweep(&model), other.join().unwrap()];
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        assert_eq!(read(&model.freed), 1);
        assert_eq!(model.word.load(), SpanWord::new(NEW, SpanState::Swept));
    });
}

#[test]
fn loom_a_holder_hands_its_span_to_the_next() {
    loom::model(|| {
        let model = Model::swept();
        let hold = |model: &Model| {
            let leased = model.word.lease().is_ok();
            if leased {
                add(&model.handed_out);
                assert!(matches!(model.word.retire(), Ended::Swept));
            }
            u32::from(leased)
        };
        let other = Arc::clone(&model);
        let other = thread::spawn(move || hold(&other));
        let leases = hold(&model) + other.join().unwrap();
        assert!(leases >= 1);
        assert_eq!(read(&model.handed_out), leases);
    });
}

#[test]
fn loom_a_lease_ends_beside_a_sweep_and_one_of_the_two_closes() {
    loom::model(|| {
        let model = Model::leased();
        let claim = model.word.claim(NEW).unwrap();
        let lessee = Arc::clone(&model);
        let lessee = thread::spawn(move || lessee.retire(|| 1));
        let closed = [model.sweep_beside_lease(claim), lessee.join().unwrap()];
        assert_ne!(closed[0], closed[1]);
        assert_eq!(read(&model.closed), 1);
        assert_eq!(model.word.load(), SpanWord::new(NEW, SpanState::Swept));
    });
}

#[test]
fn loom_a_claim_comes_before_or_after_the_end_of_a_lease() {
    loom::model(|| {
        let model = Model::leased();
        let lessee = Arc::clone(&model);
        let lessee = thread::spawn(move || {
            // Ended before any claim, the lease has the old generation, and nothing was freed.
            lessee.retire(|| u32::from(lessee.word.load().generation() == NEW))
        });
        let claim = {
            let is_listed = model.is_listed.lock().unwrap();
            is_listed.then(|| model.word.claim(NEW).unwrap())
        };
        let was_claimed = claim.is_some();
        let by_sweeper = claim.is_some_and(|claim| model.sweep_beside_lease(claim));
        let by_lessee = lessee.join().unwrap();
        assert_ne!(by_sweeper, by_lessee);
        assert_eq!(read(&model.closed), 1);
        let generation = if was_claimed { NEW } else { OLD };
        let word = SpanWord::new(generation, SpanState::Swept);
        assert_eq!(model.word.load(), word);
    });
}

#[test]
fn loom_a_withdrawal_is_final_whenever_it_comes() {
    loom::model(|| {
        let model = Model::swept();
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.word.withdraw(NEW));
        match model.word.claim(NEW) {
            Ok(claim) => {
                assert_eq!(claim.kind(), ClaimKind::Whole);
                let ended = model.word.finish(claim);
                assert!(matches!(ended, Ended::Swept | Ended::Quarantined));
            }
            Err(refusal) => {
                let word = SpanWord::new(NEW, SpanState::Quarantined);
                assert_eq!(refusal, Refusal::AlreadySwept(word));
            }
        }
        other.join().unwrap();
        assert_eq!(model.state(), Some(SpanState::Quarantined));
        assert!(model.word.lease().is_err());
        assert!(!model.word.release());
    });
}

#[test]
fn loom_a_withdrawal_beside_lease_and_sweep_ends_both() {
    loom::model(|| {
        let model = Model::leased();
        let claim = model.word.claim(NEW).unwrap();
        let lessee = Arc::clone(&model);
        let lessee = thread::spawn(move || lessee.word.retire());
        let doubter = Arc::clone(&model);
        let doubter = thread::spawn(move || doubter.word.withdraw(NEW));
        let ended = match model.word.finish(claim) {
            Ended::HandedOver(claim) => model.word.finish(claim),
            ended => ended,
        };
        assert!(!matches!(ended, Ended::BadState(_) | Ended::HandedOver(_)));
        assert!(!matches!(lessee.join().unwrap(), Ended::BadState(_)));
        doubter.join().unwrap();
        assert_eq!(model.state(), Some(SpanState::Quarantined));
    });
}
