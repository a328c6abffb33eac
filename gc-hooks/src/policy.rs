//! What follows from a failed check.
//!
//! Owns the table from check to response and the four rules round it: rate, escalation, drain,
//! hook. A policy is plain data, fixed before its heap is built and read from any thread in any
//! phase afterwards. Invariants: every check has a response; every rule is one that the text form
//! can say (a rate is never zero, a drain is whole milliseconds), so that what prints can be read
//! back. Deliberately absent: the text form itself, and carrying anything out.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use crate::check::{Check, CheckKind};
use crate::violation::Violation;

/// What follows once a violation is recorded and contained.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Response {
    /// Write the report to standard error and end the process by SIGABRT, at once.
    Abort,
    /// Call the policy's hook at the next delivery.
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

/// A further response from some number of violations on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Escalation {
    /// The first violation, counted from 1 over all checks of the heap, that gets the further
    /// response.
    pub after: NonZeroU64,
    /// What follows, besides what the table says for its check.
    pub response: Response,
}

/// The user's function. It may be called from any thread that delivers, one call at a time.
type HookFunction = Arc<dyn Fn(&Violation) + Send + Sync>;

/// What follows from each check, and the rules that hold for all of them.
///
/// ```
/// use gc_hooks::{Check, Policy, Response};
///
/// let policy = Policy::MARK_UNHEALTHY.with(Check::BadPointer, Response::Abort);
/// assert_eq!(policy.to_string(), "unhealthy,bad-pointer=abort");
/// assert_eq!("unhealthy,bad-pointer=abort".parse(), Ok(policy));
/// ```
#[derive(Clone)]
pub struct Policy {
    /// Indexed by `Check::index`.
    table: [Response; Check::COUNT],
    /// None: everything is handed on.
    rate: Option<Rate>,
    /// None: the table alone decides.
    escalation: Option<Escalation>,
    /// How long an unhealthy heap may live, in whole milliseconds and never zero. None: for ever.
    drain: Option<Duration>,
    /// None: a response of `Hook` ends at the trace event.
    hook: Option<HookFunction>,
}

impl Policy {
    /// A broken invariant ends the process, as a collector without hooks does. What the world does
    /// to the heap turns its health; a refused call to the operating system and a stalled mutator
    /// are counted, for either may pass and health never turns back. The default.
    pub const ABORT: Policy = Policy::from_table({
        let mut table = Self::by_kind(Response::Abort, Response::MarkUnhealthy);
        table[Check::OsCall.index()] = Response::Count;
        table[Check::SafepointStalled.index()] = Response::Count;
        table
    });

    /// A broken invariant turns the heap's health, and so do a misbehaving hook, a full quarantine
    /// and a use in a forked child. A panicking destructor, a refused call to the operating system
    /// and a stalled mutator are counted.
    pub const MARK_UNHEALTHY: Policy = Policy::from_table({
        let mut table = [Response::MarkUnhealthy; Check::COUNT];
        table[Check::DropPanicked.index()] = Response::Count;
        table[Check::OsCall.index()] = Response::Count;
        table[Check::SafepointStalled.index()] = Response::Count;
        table
    });

    /// Everything ends the process.
    pub const STRICT: Policy = Policy::from_table([Response::Abort; Check::COUNT]);

    /// Everything is recorded and nothing follows.
    pub const COUNT: Policy = Policy::from_table([Response::Count; Check::COUNT]);

    /// Everything is handed to the hook, which [`Policy::with_hook`] gives; without one, to trace
    /// events alone.
    pub const HOOK: Policy = Policy::from_table([Response::Hook; Check::COUNT]);

    const fn from_table(table: [Response; Check::COUNT]) -> Policy {
        Policy {
            table,
            rate: None,
            escalation: None,
            drain: None,
            hook: None,
        }
    }

    const fn by_kind(invariant: Response, world: Response) -> [Response; Check::COUNT] {
        let mut table = [invariant; Check::COUNT];
        let mut index = 0;
        while index < Check::COUNT {
            if let CheckKind::World = Check::ALL[index].kind() {
                table[index] = world;
            }
            index += 1;
        }
        table
    }

    /// [`Policy::HOOK`] with its hook: every violation is handed to `hook`.
    ///
    /// The hook is called later than the failure, from outside the collector, with nothing held. It
    /// may block and it may panic; it is switched off after three panics. It is not told of its own
    /// misdeeds ([`Check::HookPanicked`], [`Check::HookReentered`]), which would only repeat them.
    #[must_use]
    pub fn on_violation(hook: impl Fn(&Violation) + Send + Sync + 'static) -> Policy {
        Policy::HOOK.with_hook(hook)
    }

    /// Sets the function that a response of [`Response::Hook`] calls.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(&Violation) + Send + Sync + 'static) -> Policy {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Takes over the hook of another policy, so that rules read from text may call what only code
    /// can name.
    #[must_use]
    pub fn with_hook_of(mut self, other: &Policy) -> Policy {
        self.hook.clone_from(&other.hook);
        self
    }

    /// Sets what follows from one check.
    #[must_use]
    pub const fn with(mut self, check: Check, response: Response) -> Policy {
        self.table[check.index()] = response;
        self
    }

    /// Limits how many violations are handed on in a second.
    #[must_use]
    pub const fn with_rate(mut self, rate: Rate) -> Policy {
        self.rate = Some(rate);
        self
    }

    /// Adds a further response from some number of violations on.
    #[must_use]
    pub const fn with_escalation(mut self, escalation: Escalation) -> Policy {
        self.escalation = Some(escalation);
        self
    }

    /// Limits how long an unhealthy heap may live: the first delivery after that ends the process
    /// with a report. Counted in whole milliseconds, at least one.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Policy {
        let milliseconds = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX).max(1);
        self.drain = Some(Duration::from_millis(milliseconds));
        self
    }

    /// What follows from `check`, escalation aside.
    #[must_use]
    #[inline]
    pub fn response(&self, check: Check) -> Response {
        self.table[check.index()]
    }

    /// The limit on what is handed on.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// The further response from some number of violations on.
    #[must_use]
    pub const fn escalation(&self) -> Option<Escalation> {
        self.escalation
    }

    /// How long an unhealthy heap may live.
    #[must_use]
    pub const fn drain(&self) -> Option<Duration> {
        self.drain
    }

    /// Whether a hook is set.
    #[must_use]
    pub const fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// The hook itself, for the delivery that calls it.
    pub(crate) fn hook(&self) -> Option<&(dyn Fn(&Violation) + Send + Sync)> {
        self.hook.as_deref()
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::ABORT
    }
}

/// Equal in every rule, and calling the very same hook.
impl PartialEq for Policy {
    fn eq(&self, other: &Policy) -> bool {
        let is_same_hook = match (&self.hook, &other.hook) {
            (None, None) => true,
            (Some(mine), Some(others)) => Arc::ptr_eq(mine, others),
            (None, Some(_)) | (Some(_), None) => false,
        };
        is_same_hook
            && self.table == other.table
            && self.rate == other.rate
            && self.escalation == other.escalation
            && self.drain == other.drain
    }
}

impl Eq for Policy {}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks_with(policy: &Policy, response: Response) -> Vec<&'static str> {
        let has_it = |check: &&Check| policy.response(**check) == response;
        Check::ALL
            .iter()
            .filter(has_it)
            .map(|check| check.id())
            .collect()
    }

    #[test]
    fn the_default_aborts_on_every_broken_invariant_and_on_nothing_else() {
        let policy = Policy::default();
        for &check in Check::ALL {
            let is_abort = policy.response(check) == Response::Abort;
            assert_eq!(is_abort, check.kind() == CheckKind::Invariant, "{check}");
        }
        assert_eq!(
            checks_with(&policy, Response::Count),
            ["os-call", "safepoint-stalled"]
        );
    }

    #[test]
    fn mark_unhealthy_counts_only_what_leaves_the_heap_sound_and_the_hooks_working() {
        let policy = Policy::MARK_UNHEALTHY;
        assert_eq!(
            checks_with(&policy, Response::Count),
            ["drop-panicked", "os-call", "safepoint-stalled"]
        );
        assert_eq!(
            checks_with(&policy, Response::MarkUnhealthy).len(),
            Check::COUNT - 3
        );
    }

    #[test]
    fn the_even_presets_say_one_thing_of_every_check() {
        let presets = [
            (Policy::STRICT, Response::Abort),
            (Policy::COUNT, Response::Count),
            (Policy::HOOK, Response::Hook),
        ];
        for (policy, response) in presets {
            assert_eq!(checks_with(&policy, response).len(), Check::COUNT);
        }
    }

    #[test]
    fn a_single_check_is_changed_alone() {
        let policy = Policy::COUNT.with(Check::Zombie, Response::Abort);
        assert_eq!(checks_with(&policy, Response::Abort), ["zombie"]);
    }

    #[test]
    fn a_drain_is_whole_milliseconds_and_never_none_at_all() {
        let drain_of = |drain| Policy::COUNT.with_drain(drain).drain();
        assert_eq!(drain_of(Duration::ZERO), Some(Duration::from_millis(1)));
        assert_eq!(
            drain_of(Duration::from_micros(2_900)),
            Some(Duration::from_millis(2))
        );
        assert_eq!(
            drain_of(Duration::MAX),
            Some(Duration::from_millis(u64::MAX))
        );
    }

    #[test]
    fn policies_are_equal_when_their_rules_are_and_they_call_the_same_hook() {
        let with_hook = Policy::on_violation(|_| {});
        assert!(with_hook.has_hook() && !Policy::HOOK.has_hook());
        assert_eq!(with_hook, with_hook.clone());
        assert_ne!(with_hook, Policy::HOOK);
        assert_ne!(with_hook, Policy::on_violation(|_| {}));
        assert_eq!(Policy::HOOK.with_hook_of(&with_hook), with_hook);
        assert_ne!(Policy::HOOK, Policy::COUNT);
        assert_ne!(
            Policy::HOOK.with_drain(Duration::from_secs(1)),
            Policy::HOOK
        );
    }

    #[test]
    fn a_response_reads_back_what_it_prints() {
        for response in Response::ALL {
            assert_eq!(Response::from_id(&response.to_string()), Some(*response));
        }
        assert_eq!(Response::from_id("Abort"), None);
    }
}
