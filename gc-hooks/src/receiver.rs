//! Those who are told of violations, and their faults.
//!
//! Owns the count of a receiver's panics and the shape of the trace event. Called by the thread
//! that delivers, which holds nothing of the heap; for a hook in place, by any thread in any phase.
//! Invariants: no receiver's panic leaves this file; a receiver is not called again once its last
//! allowed panic is counted. Deliberately absent: who is told of what, how often and for how long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use crate::check::CheckKind;
use crate::violation::Violation;

/// A receiver that panicked this often is called no more.
pub(crate) const PANICS_MAX: u32 = 3;

/// Someone who is told of violations, and how often that went wrong.
pub(crate) struct Receiver {
    /// What reports call it.
    name: &'static str,
    /// Counted by whoever called it.
    panics: AtomicU32,
}

/// What came of a call to a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Heard,
    /// It panicked, this many times by now.
    Panicked(u32),
    /// It is switched off and was not called.
    Off,
}

impl Receiver {
    pub(crate) const fn new(name: &'static str) -> Receiver {
        Receiver {
            name,
            panics: AtomicU32::new(0),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_off(&self) -> bool {
        self.panics.load(Relaxed) >= PANICS_MAX
    }

    pub(crate) fn tell(&self, call: impl FnOnce()) -> Told {
        if self.is_off() {
            return Told::Off;
        }
        // What the receiver leaves half done is the receiver's own; nothing of the heap is lent to
        // it but a copy.
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(()) => Told::Heard,
            Err(payload) => {
                // The payload is the user's too, and its destructor may panic in turn: it is
                // leaked.
                std::mem::forget(payload);
                Told::Panicked(self.panics.fetch_add(1, Relaxed) + 1)
            }
        }
    }
}

/// Emits the trace event of a violation: an error for a broken invariant, a warning for what the
/// world did.
pub(crate) fn emit(violation: &Violation) {
    macro_rules! emit_at {
        ($level:expr) => {
            tracing::event!(
                target: "gc::violation",
                $level,
                check = violation.check.id(),
                sequence = violation.sequence,
                cycle = violation.cycle,
                phase = violation.phase.id(),
                severity = violation.severity().id(),
                address = violation.address.map(tracing::field::display),
                span = violation.span,
                slot = violation.slot,
                type_name = violation.type_name,
                origin = violation.origin.id(),
                call_site = violation.call_site.map(tracing::field::display),
                report = %violation,
                "{}",
                violation.first_line(),
            )
        };
    }
    match violation.check.kind() {
        CheckKind::Invariant => emit_at!(tracing::Level::ERROR),
        CheckKind::World => emit_at!(tracing::Level::WARN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_switched_off_by_its_last_panic() {
        let receiver = Receiver::new("hook");
        for panics in 1..=PANICS_MAX {
            assert_eq!(receiver.tell(|| {}), Told::Heard);
            assert_eq!(
                receiver.tell(|| panic!("a bad day")),
                Told::Panicked(panics)
            );
        }
        assert_eq!(receiver.tell(|| {}), Told::Off);
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_not_get_out() {
        struct Spite;
        impl Drop for Spite {
            fn drop(&mut self) {
                panic!("once more");
            }
        }
        let receiver = Receiver::new("hook");
        assert_eq!(
            receiver.tell(|| std::panic::panic_any(Spite)),
            Told::Panicked(1)
        );
    }
}
