//! What hooks and subscribers do wrong, and what follows from it for them.
//!
//! Called by whoever called one, and by whoever looks after those that do not come back; from any
//! thread, for a hook in place in any phase. Invariants: a misdeed is reported as a violation like
//! any other, and no hook is told of it; where somebody who relies on a hook hears nothing from then
//! on, the health turns whatever the policy says, for that is the word that anyone may poll.
//! Deliberately absent: who is switched off and when, which `receiver` and `watch` know.

use crate::check::Check;
use crate::hooks::Hooks;
use crate::receiver::{PANICS_MAX, Receiver};
use crate::violation::Violation;
use crate::watch::{IN_PLACE, Overdue, SUBSCRIBERS};

impl Hooks {
    /// Says that a hook uses the heap that called it. Reported once for each delivery and for each
    /// call in place; outside of both it says nothing.
    pub fn note_reentry(&self) {
        if let Some(sequence) = self.watch.first_reentry() {
            self.report(
                Violation::new(Check::HookReentered).with_number("told of violation", sequence),
            );
        }
    }

    /// Reports a panic of a receiver. It is filed under the cycle and phase of the violation that
    /// the receiver was told of.
    pub(crate) fn report_panic(&self, receiver: &Receiver, told: &Violation, panics: u32) {
        let violation = Violation::new(Check::HookPanicked)
            .with_reason(receiver.name())
            .with_cycle(told.cycle)
            .with_phase(told.phase)
            .with_number("told of violation", told.sequence)
            .with_number("panics", u64::from(panics));
        self.report(violation);
        let is_subscriber = std::ptr::eq(receiver, &raw const self.mailbox.subscribers);
        if panics >= PANICS_MAX && !is_subscriber {
            self.health.mark_unhealthy();
        }
    }

    /// Reports the calls of receivers that have lasted for too long, each once.
    pub(crate) fn report_stalls(&self) {
        if !self.watch.is_anyone_on_call() {
            return;
        }
        // The clock is read before the look, as that asks for.
        let now = self.nanoseconds();
        let deadline = u64::try_from(self.policy().hook_deadline().as_nanos()).unwrap_or(u64::MAX);
        self.watch.look(now, deadline, |overdue| {
            self.report(stalled(self.receiver_at(overdue.place), &overdue));
            self.health.mark_unhealthy();
        });
    }

    fn receiver_at(&self, place: usize) -> &Receiver {
        if SUBSCRIBERS.contains(&place) {
            &self.mailbox.subscribers
        } else if IN_PLACE.contains(&place) {
            &self.in_place
        } else {
            &self.mailbox.hook
        }
    }
}

fn stalled(receiver: &Receiver, overdue: &Overdue) -> Violation {
    Violation::new(Check::HookStalled)
        .with_reason(receiver.name())
        .with_cycle(overdue.cycle)
        .with_phase(overdue.phase)
        .with_number("told of violation", overdue.told)
        .with_number("waited ms", overdue.waited_nanoseconds / 1_000_000)
}
