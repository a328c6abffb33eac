//! The terms a policy is said in.
//!
//! Owns the responses and the shapes of the rules round the table: rate and escalation. Plain data,
//! read from any thread in any phase. Invariant: every value of these types has a text, but for a
//! time that is no whole number of milliseconds, which a policy rounds. Deliberately absent: which
//! check gets which response, and carrying anything out.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// What follows once a violation is recorded and contained.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Response {
    /// Write the report to standard error and end the process by SIGABRT, at once.
    Abort,
    /// Call the policy's hooks: the one in place at once, the other at the next delivery.
    Hook,
    /// Turn the heap's health, for good.
    MarkUnhealthy,
    /// Nothing beyond the record.
    Count,
}

impl Response {
    /// Every response.
    pub const ALL: &'static [Response] = &[
        Response::Abort,
        Response::Hook,
        Response::MarkUnhealthy,
        Response::Count,
    ];

    /// The word for the response in a policy text.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Response::Abort => "abort",
            Response::Hook => "hook",
            Response::MarkUnhealthy => "unhealthy",
            Response::Count => "count",
        }
    }

    /// The response of that name, exactly as [`Response::id`] spells it.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Response> {
        Self::ALL
            .iter()
            .copied()
            .find(|response| response.id() == id)
    }
}

impl fmt::Display for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// How many violations are handed on, to trace events and the hook, in one second. What is over it
/// is recorded and counted as suppressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    /// Violations a second.
    pub per_second: NonZeroU32,
}

/// Violations that a step of the ladder can wait for within a time: a thousand times a thousand.
pub const WITHIN_MAX: u64 = 1_000_000;

/// A step of the ladder: a further response when violations are many, counted over all checks of
/// the heap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Escalation {
    /// How many are too many: the first violation, counted from 1, that gets the further response.
    /// At most [`WITHIN_MAX`] where they are counted within a time.
    pub after: NonZeroU64,
    /// Counts those of so long before each violation alone, in whole milliseconds. None: all since
    /// the heap was built.
    pub within: Option<Duration>,
    /// What follows, besides what the table says for its check.
    pub response: Response,
}

impl Escalation {
    /// From the violation of that number on.
    #[must_use]
    pub const fn after(after: NonZeroU64, response: Response) -> Escalation {
        Escalation {
            after,
            within: None,
            response,
        }
    }

    /// While so many fall within a time.
    #[must_use]
    pub const fn within(after: NonZeroU64, within: Duration, response: Response) -> Escalation {
        Escalation {
            after,
            within: Some(within),
            response,
        }
    }

    /// What sets it off. A ladder has one step for each.
    pub(crate) fn trigger(&self) -> (Option<Duration>, NonZeroU64) {
        (self.within, self.after)
    }

    /// As a text can say it.
    pub(crate) fn settled(self) -> Escalation {
        let Some(within) = self.within else {
            return self;
        };
        let most = NonZeroU64::new(WITHIN_MAX).unwrap_or(NonZeroU64::MIN);
        Escalation {
            after: self.after.min(most),
            within: Some(whole_milliseconds(within)),
            ..self
        }
    }
}

/// A duration as a text can say it: in whole milliseconds, at least one.
pub(crate) fn whole_milliseconds(duration: Duration) -> Duration {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(milliseconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_reads_back_what_it_prints() {
        for response in Response::ALL {
            assert_eq!(Response::from_id(&response.to_string()), Some(*response));
        }
        assert_eq!(Response::from_id("Abort"), None);
    }

    #[test]
    fn a_time_is_whole_milliseconds_and_never_none_at_all() {
        assert_eq!(whole_milliseconds(Duration::ZERO), Duration::from_millis(1));
        assert_eq!(
            whole_milliseconds(Duration::from_micros(2_900)),
            Duration::from_millis(2)
        );
        assert_eq!(
            whole_milliseconds(Duration::MAX),
            Duration::from_millis(u64::MAX)
        );
    }

    #[test]
    fn a_step_is_what_a_text_can_say() {
        let many = Escalation::after(NonZeroU64::MAX, Response::Abort);
        assert_eq!(many.settled(), many);
        let settled =
            Escalation::within(NonZeroU64::MAX, Duration::ZERO, Response::Abort).settled();
        assert_eq!(
            (settled.after.get(), settled.within),
            (WITHIN_MAX, Some(Duration::from_millis(1)))
        );
    }
}
