//! What follows from violations that are many.
//!
//! Owns the steps of a policy's ladder with the memory they count in, and the answer to one
//! violation: everything that is due for it. Asked by the recorder from any thread in any phase,
//! without a lock. Invariants: a step comes on top of what the policy says and takes nothing back; a
//! step without a time begins at exactly its violation; one with a time lasts while so many fall
//! within it, as `crowd` counts. Deliberately absent: carrying anything out.

use crate::crowd::Crowd;
use crate::policy::Policy;
use crate::rules::{Escalation, Response};
use crate::violation::Violation;

/// What is due for one violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    /// Bits by response.
    responses: u8,
}

impl Due {
    const fn only(response: Response) -> Due {
        Due {
            responses: 1 << response as u8,
        }
    }

    fn add(&mut self, response: Response) {
        self.responses |= 1 << response as u8;
    }

    pub(crate) const fn has(self, response: Response) -> bool {
        self.responses & 1 << response as u8 != 0
    }
}

/// See the module.
pub(crate) struct Ladder {
    steps: Vec<(Escalation, Option<Crowd>)>,
}

impl Ladder {
    /// Sets aside what the steps of a policy count in.
    pub(crate) fn new(policy: &Policy) -> Ladder {
        let with_crowd = |step: &Escalation| (*step, step.within.map(Crowd::new));
        Ladder {
            steps: policy.ladder().iter().map(with_crowd).collect(),
        }
    }

    /// What is due for a violation that was just recorded. `nanoseconds` reads the clock and is
    /// asked once at most.
    pub(crate) fn due(
        &self,
        policy: &Policy,
        violation: &Violation,
        nanoseconds: impl FnOnce() -> u64,
    ) -> Due {
        let mut due = Due::only(policy.response_to(violation));
        let mut clock = Some(nanoseconds);
        let mut at = 0;
        for (step, crowd) in &self.steps {
            let violations = match crowd {
                None => violation.sequence,
                Some(crowd) => {
                    at = clock.take().map_or(at, |read| read());
                    crowd.add(at)
                }
            };
            if violations >= step.after.get() {
                due.add(step.response);
            }
        }
        due
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::check::Check;

    const MINUTE: u64 = 60_000_000_000;

    fn number(number: u64) -> NonZeroU64 {
        NonZeroU64::new(number).unwrap()
    }

    #[test]
    fn every_step_that_is_reached_is_due_with_what_the_policy_says() {
        let policy = Policy::COUNT
            .with_escalation(Escalation::after(number(2), Response::MarkUnhealthy))
            .with_escalation(Escalation::after(number(4), Response::Abort))
            .with_escalation(Escalation::within(
                number(3),
                Duration::from_nanos(MINUTE),
                Response::Hook,
            ));
        let ladder = Ladder::new(&policy);
        let due = |sequence, at| {
            let violation = Violation {
                sequence,
                ..Violation::new(Check::Zombie)
            };
            let due = ladder.due(&policy, &violation, || at);
            let is_due = |response: &&Response| due.has(**response);
            let due: Vec<&str> = (Response::ALL.iter().filter(is_due))
                .map(|response| response.id())
                .collect();
            due.join(" ")
        };
        assert_eq!(due(1, 0), "count");
        assert_eq!(due(2, 1), "unhealthy count");
        assert_eq!(due(3, 2), "hook unhealthy count");
        assert_eq!(due(4, 3), "abort hook unhealthy count");
        // A minute later the third of a minute is only the first of it again.
        assert_eq!(due(5, 2 * MINUTE), "abort unhealthy count");
        assert_eq!(due(6, 2 * MINUTE), "abort unhealthy count");
        assert_eq!(due(7, 2 * MINUTE), "abort hook unhealthy count");
    }

    #[test]
    fn without_a_time_the_clock_is_not_read() {
        let policy = Policy::ABORT.with_escalation(Escalation::after(number(1), Response::Count));
        let violation = Violation::new(Check::OsCall);
        let read = || -> u64 { panic!("nobody wants to know") };
        let due = Ladder::new(&policy).due(&policy, &violation, read);
        assert_eq!(due, Due::only(Response::Count));
    }
}
