//! Handing violations on, and seeing to it that receivers come back.
//!
//! Called by the heap from outside the collector, holding nothing: user code runs in here. Either
//! whoever passes by delivers, or one thread of the heap's own does and all others only look after
//! it. Invariants: nothing but `hand_on` calls a receiver that need not be fast; no receiver is
//! called while an earlier call of it is under way; what is handed on to nobody, or not to all it
//! was for, is counted as suppressed. Deliberately absent: who calls, and when.

use std::time::Duration;

use crate::delivery::{Addressee, Delivery, Letter, ROUNDS_MAX, Turn};
use crate::hooks::Hooks;
use crate::last_words::{self, Ending};
use crate::receiver::{Receiver, Told, emit};
use crate::watch::{HOOK, SUBSCRIBERS};

/// Longest sleep of a thread that delivers, after which the drain and the calls in place are looked
/// at again.
const SLEEP_MAX: Duration = Duration::from_secs(1);

impl Hooks {
    /// Hands on what was waiting when it was called: a trace event (target `gc::violation`) for
    /// each violation, and a call of the policy's hook for those that are for it. Before that it
    /// reports receivers that have not come back, and afterwards ends the process if the heap has
    /// been unhealthy for longer than the policy's drain.
    ///
    /// Called from outside the collector, holding nothing: user code runs in here. One thread
    /// delivers at a time; a call that finds another at it, or comes from a hook, goes away at
    /// once. The other one then looks again, so that what was waiting when this was called is
    /// handed on by one of the two. What is recorded without a delivery after it waits for the next
    /// one, whoever makes it: what collector threads find while they hold something, what receivers
    /// cause, and what comes in a flood while another thread delivers.
    ///
    /// A delivery whose receiver has not come back within the policy's hook deadline is gone past:
    /// the next caller takes its turn, and goes on without the receiver until that comes back.
    ///
    /// May be called while a thread unwinds or ends. A receiver that needs thread-locals of its own
    /// may find them gone there, and panic.
    pub fn deliver(&self) -> Delivery {
        self.report_stalls();
        if let Some(failure) = self.record_failure() {
            self.report(failure.violation());
        }
        let delivery = self.deliver_waiting();
        self.end_if_drained();
        delivery
    }

    /// As [`Hooks::deliver`], but where a thread of the heap's own delivers, this only does what
    /// that thread cannot do for itself: it reports receivers that have not come back, and looks at
    /// the drain.
    pub fn deliver_or_leave(&self) -> Delivery {
        if !self.bell.is_answered() {
            return self.deliver();
        }
        self.report_stalls();
        self.end_if_drained();
        Delivery::of(Turn::Elsewhere)
    }

    /// A delivery would find nothing to do: nothing waits, nobody is being told anything, and there is no reason to end
    /// the process. A few loads, for those who come by often.
    #[inline]
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.health.is_healthy()
            && !self.watch.is_anyone_on_call()
            && !self.health.has_record_failure()
            && self.mailbox.is_empty()
    }

    /// Delivers on the calling thread whenever something waits, until [`Hooks::dismiss`]. Sleeps in
    /// between, and looks at the drain once a second. Says `ready` when it is the thread to wake.
    /// Comes back at once if there was such a thread before.
    pub fn deliver_until_dismissed(&self, ready: impl FnOnce()) {
        let is_first = self.bell.answer();
        ready();
        if !is_first {
            return;
        }
        while !self.bell.is_dismissed() {
            // Behind a turn taken something may be left; another that delivers looks again itself.
            if self.deliver().turn != Turn::Taken {
                self.bell.sleep(SLEEP_MAX);
            }
        }
        // What was posted before the bell was taken away.
        self.deliver();
    }

    /// Ends [`Hooks::deliver_until_dismissed`]. From then on whoever passes by delivers.
    pub fn dismiss(&self) {
        self.bell.dismiss();
    }

    /// Reports receivers that have not come back in time, as deliveries do. The answer is whether a
    /// call to the hook or to subscribers to trace events was reported, now or before, and is not
    /// back yet.
    #[must_use]
    pub fn find_stalled(&self) -> bool {
        self.report_stalls();
        self.is_stalled()
    }

    fn is_stalled(&self) -> bool {
        self.watch.is_overdue_in(SUBSCRIBERS) || self.watch.is_overdue_in(HOOK)
    }

    fn deliver_waiting(&self) -> Delivery {
        if self.is_delivering() {
            return Delivery::of(Turn::Nested);
        }
        // What receivers cause while they are told waits for the next delivery, so that this one
        // comes to an end.
        let mut waiting = self.mailbox.waiting();
        if waiting == 0 {
            return Delivery::of(Turn::Idle);
        }
        let is_lost = |session| self.watch.is_overdue_session(session);
        let Some(mut session) = self.mailbox.take_turn(is_lost) else {
            return Delivery::of(Turn::Busy);
        };
        let mut delivery = Delivery::of(Turn::Taken);
        for _ in 0..ROUNDS_MAX {
            for _ in 0..waiting {
                let Some(letter) = session.take() else { break };
                let was_overdue = self.hand_on(letter, session.number(), &mut delivery);
                if was_overdue && !session.renew() {
                    return delivery;
                }
            }
            match session.end() {
                None => return delivery,
                Some(kept) => session = kept,
            }
            waiting = self.mailbox.waiting();
        }
        delivery
    }

    /// Hands a letter on. The answer is whether a receiver was found overdue meanwhile, so that the
    /// turn may be lost.
    fn hand_on(&self, letter: Letter, session: u64, delivery: &mut Delivery) -> bool {
        let violation = &letter.violation;
        if let Some(rate) = self.policy().rate()
            && !self.mailbox.window().admits(rate, self.health.now())
        {
            self.suppress(delivery);
            return false;
        }
        let (mut is_told_to_all, mut was_overdue) = (true, false);
        let mut tell = |receiver: &Receiver, places, call: &dyn Fn()| {
            let clock = || self.nanoseconds();
            let Some(on_call) = self.watch.begin(places, session, violation, clock) else {
                is_told_to_all = false;
                return;
            };
            let told = receiver.tell(call);
            was_overdue |= on_call.end();
            if let Told::Panicked(panics) = told {
                delivery.panics += 1;
                self.report_panic(receiver, violation, panics);
            }
        };
        tell(&self.mailbox.subscribers, SUBSCRIBERS, &|| emit(violation));
        if letter.addressee == Addressee::Hook
            && let Some(hook) = self.policy().hook()
        {
            tell(&self.mailbox.hook, HOOK, &|| hook(violation));
        }
        if is_told_to_all {
            delivery.delivered += 1;
        } else {
            self.suppress(delivery);
        }
        was_overdue
    }

    fn suppress(&self, delivery: &mut Delivery) {
        self.health.suppress();
        delivery.suppressed += 1;
    }

    fn end_if_drained(&self) {
        // Last, so that what led here is handed on first; and whoever had the turn, for a hook may
        // hang.
        if self.is_drained() {
            last_words::abort(self.health.first().as_ref(), Ending::Drain);
        }
    }

    fn is_drained(&self) -> bool {
        let Some(drain) = self.policy().drain() else {
            return false;
        };
        let Some(since) = self.health.unhealthy_since() else {
            return false;
        };
        self.health.now().saturating_duration_since(since) >= drain
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
