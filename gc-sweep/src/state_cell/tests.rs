//! The accesses to state bytes on loom's atomics, with the slots behind them in cells that loom watches for races.
//!
//! A mark that comes too late is left to the shuttle tests: loom lets a load after both see the mark although the store
//! of the sweeper came behind it. Run as `RUSTFLAGS="--cfg loom" cargo test -p gc-sweep --lib --release loom`.
#![allow(unsafe_code)]

use gc_hooks::sync::atomic::AtomicU8;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::*;

const WHITE: Colour = Colour::FIRST;
const BLACK: Colour = Colour::FIRST.next();
const FREED: StateByte = StateByte::freed_at(3);

/// What a dead object left in its slot, and what a constructor writes.
const DEAD: u32 = 1;
const BUILT: u32 = 2;

/// Two slots of a leased span: one free, one with a dead object.
struct Span {
    cells: [AtomicU8; 2],
    slots: [UnsafeCell<u32>; 2],
}

// SAFETY: loom fails the test when two threads use a slot at once.
unsafe impl Sync for Span {}

impl Span {
    fn new() -> Arc<Span> {
        Arc::new(Span {
            cells: [0, StateByte::object(WHITE).bits()].map(AtomicU8::new),
            slots: [0, DEAD].map(UnsafeCell::new),
        })
    }

    fn state(&self, slot: usize) -> StateByte {
        load(&self.cells[slot])
    }

    fn read(&self, slot: usize) -> u32 {
        // SAFETY: loom fails the test if anyone writes meanwhile.
        self.slots[slot].with(|value| unsafe { *value })
    }

    /// As the lessee does with a slot that it found free.
    fn build(&self, slot: usize) {
        // SAFETY: loom fails the test if anyone reads or writes meanwhile.
        self.slots[slot].with_mut(|value| unsafe { *value = BUILT });
        publish(&self.cells[slot], BLACK);
    }

    /// As the sweeper does with a dead object: reaps it, then frees its slot.
    fn sweep(&self, slot: usize) -> bool {
        let state = self.state(slot);
        let is_dead = state.is_object() && !state.has_colour(BLACK);
        if is_dead {
            assert_eq!(self.read(slot), DEAD);
            free(&self.cells[slot], FREED);
        }
        is_dead
    }

    /// As a marker does that came by a pointer to the slot.
    fn look(&self, slot: usize) {
        if self.state(slot).has_colour(BLACK) {
            assert_eq!(self.read(slot), BUILT);
        }
    }
}

#[test]
fn loom_a_slot_is_built_beside_one_that_dies_and_is_built_again() {
    loom::model(|| {
        let span = Span::new();
        let sweeper = Arc::clone(&span);
        let sweeper = thread::spawn(move || assert!(sweeper.sweep(1) && !sweeper.sweep(0)));
        let marker = Arc::clone(&span);
        let marker = thread::spawn(move || {
            marker.look(1);
            marker.look(0);
        });
        span.build(0);
        let found_free = span.state(1).is_free();
        if found_free {
            span.build(1);
        }
        sweeper.join().unwrap();
        marker.join().unwrap();
        assert_eq!(span.state(0), StateByte::object(BLACK));
        let last = if found_free {
            StateByte::object(BLACK)
        } else {
            FREED
        };
        assert_eq!(span.state(1), last);
    });
}

#[test]
fn loom_of_two_marks_one_is_made_and_passes_on_the_value() {
    loom::model(|| {
        let span = Span::new();
        let builder = Arc::clone(&span);
        // SAFETY: loom fails the test if anyone reads or writes meanwhile.
        span.slots[0].with_mut(|value| unsafe { *value = BUILT });
        let builder = thread::spawn(move || publish(&builder.cells[0], WHITE));
        let mark = |span: &Span| {
            let state = span.state(0);
            state.has_colour(WHITE) && exchange(&span.cells[0], state, state.with_colour(BLACK))
        };
        let other = Arc::clone(&span);
        let other = thread::spawn(move || {
            let made = mark(&other);
            other.look(0);
            made
        });
        let made = [mark(&span), other.join().unwrap()];
        span.look(0);
        builder.join().unwrap();
        assert!(!(made[0] && made[1]));
        assert_eq!(span.state(0).has_colour(BLACK), made[0] || made[1]);
    });
}
