//! The checks of one heap, joined to what follows from them.
//!
//! Owns the order of things when a check fails: record, respond, and later, elsewhere, deliver.
//! `holds` and `report` are called by anyone from any thread in any phase, under any lock of the
//! heap: they take no lock, allocate nothing and call no user code but a hook in place, which is
//! held to the same. Invariants: a violation is in the books before anything follows from it; the
//! hook in place is called before the letter for the other is posted, and not for what it causes
//! itself. The heap's own witness is no user code. Deliberately absent: containment, which stands on the line after the check; delivery;
//! any state shared between heaps.

use std::fmt;
use std::time::Instant;

use crate::bell::Bell;
use crate::check::Check;
use crate::clock::Clock;
use crate::delivery::{Addressee, Letter, Mailbox, Posted};
#[cfg(feature = "fault-inject")]
use crate::fault::Faults;
use crate::health::Health;
use crate::ladder::Ladder;
use crate::last_words::{self, Ending};
use crate::policy::Policy;
use crate::receiver::{Receiver, Told};
use crate::rules::Response;
use crate::violation::Violation;
use crate::watch::{IN_PLACE, Watch};

/// Who is shown every violation.
type Witness = Box<dyn Fn(&Violation) + Send + Sync>;

/// The checks of one heap. Shared by everything in the heap, by reference or in an `Arc`.
pub struct Hooks {
    /// Fixed at birth.
    policy: Policy,
    /// Written here alone, except that anyone may turn it.
    pub(crate) health: Health,
    /// When the heap was built: the beginning of time for the ladder and the watch.
    born: Instant,
    /// Counted in by `report`.
    ladder: Ladder,
    /// Filled by `report`, emptied by `deliver`.
    pub(crate) mailbox: Mailbox,
    /// Calls of user code that are under way.
    pub(crate) watch: Watch,
    /// The hook that `report` calls.
    pub(crate) in_place: Receiver,
    /// Rung by `report`.
    pub(crate) bell: Bell,
    /// Shown every violation by `report`. Fixed before the hooks are shared.
    witness: Option<Witness>,
    #[cfg(feature = "fault-inject")]
    pub(crate) faults: Faults,
}

impl Hooks {
    /// Hooks for one heap. All memory that recording needs is set aside here.
    #[must_use]
    pub fn new(policy: Policy) -> Hooks {
        Hooks::with_health(policy, Health::new(Clock::monotonic()))
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(crate) fn with_clock(policy: Policy, clock: Clock) -> Hooks {
        Hooks::with_health(policy, Health::new(clock))
    }

    pub(crate) fn with_health(policy: Policy, health: Health) -> Hooks {
        Hooks {
            born: health.now(),
            ladder: Ladder::new(&policy),
            policy,
            health,
            mailbox: Mailbox::new(),
            watch: Watch::new(),
            in_place: Receiver::new("hook in place"),
            bell: Bell::new(),
            witness: None,
            #[cfg(feature = "fault-inject")]
            faults: Faults::new(),
        }
    }

    /// Shows every violation to the heap itself, right after it is in the books: on the thread that found
    /// it, in any phase, under any lock. The witness takes no lock, allocates nothing and comes back at
    /// once.
    pub fn set_witness(&mut self, witness: impl Fn(&Violation) + Send + Sync + 'static) {
        self.witness = Some(Box::new(witness));
    }

    /// A handle that anyone may poll from any thread.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The rules this heap lives by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Checks, and gives the condition back, so that the next line can contain the damage. `detail`
    /// is built only when the condition is false; the check it is filed under is `check`.
    #[must_use = "a failed check is contained on the next line"]
    #[inline]
    pub fn holds(&self, check: Check, condition: bool, detail: impl FnOnce() -> Violation) -> bool {
        #[cfg(feature = "fault-inject")]
        let condition = condition || self.is_blind(check);
        if !condition {
            self.fail(check, detail);
        }
        condition
    }

    #[cold]
    #[inline(never)]
    fn fail(&self, check: Check, detail: impl FnOnce() -> Violation) {
        self.report(Violation { check, ..detail() });
    }

    /// Records a violation, then does what the policy says. Comes back unless that is to abort.
    #[cold]
    pub fn report(&self, violation: Violation) {
        #[cfg(feature = "fault-inject")]
        if self.is_blind(violation.check) {
            return;
        }
        let violation = self.health.record(violation);
        if let Some(witness) = &self.witness {
            witness(&violation);
        }
        let record_failure = self.record_failure();
        let clock = || self.nanoseconds();
        let due = self.ladder.due(&self.policy, &violation, clock);
        if due.has(Response::Abort) {
            last_words::abort(Some(&violation), Ending::Policy);
        }
        if due.has(Response::MarkUnhealthy) {
            self.health.mark_unhealthy();
        }
        let is_for_hook = due.has(Response::Hook) && !is_of_hooks(violation.check);
        if is_for_hook {
            self.tell_in_place(&violation);
        }
        let addressee = if is_for_hook {
            Addressee::Hook
        } else {
            Addressee::Subscribers
        };
        let posted = self.mailbox.post(Letter {
            violation,
            addressee,
        });
        if posted == Posted::NoRoom {
            self.health.suppress();
        }
        self.bell.ring();
        if let Some(failure) = record_failure {
            // Once: what has failed is not tried again.
            self.report(failure.violation());
        }
    }

    /// Calls the hook in place, unless this thread is in it already.
    fn tell_in_place(&self, violation: &Violation) {
        let Some(hook) = self.policy.in_place_hook() else {
            return;
        };
        if self.watch.is_in_place() {
            return;
        }
        // Sequence numbers serve as numbers of calls: there is one call for each.
        let session = violation.sequence;
        let clock = || self.nanoseconds();
        let Some(on_call) = self.watch.begin(IN_PLACE, session, violation, clock) else {
            return;
        };
        let told = self.in_place.tell(|| hook(violation));
        let _was_overdue = on_call.end();
        if let Told::Panicked(panics) = told {
            self.report_panic(&self.in_place, violation, panics);
        }
    }

    /// The time since the heap was built, for those who count it.
    pub(crate) fn nanoseconds(&self) -> u64 {
        let age = self.health.now().saturating_duration_since(self.born);
        u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether the calling thread is inside a hook of this heap, called by a delivery or in place,
    /// or inside a subscriber to its trace events. It may not use the heap then.
    #[must_use]
    #[inline]
    pub fn is_delivering(&self) -> bool {
        self.watch.is_on_call()
    }
}

/// Whether a check is one of hooks. To tell them would only repeat it.
const fn is_of_hooks(check: Check) -> bool {
    matches!(
        check,
        Check::HookPanicked | Check::HookReentered | Check::HookStalled
    )
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hooks")
            .field("policy", &self.policy)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
