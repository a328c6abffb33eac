//! What follows from a failed check.
//!
//! Owns the table from check to response, what is said of a whole severity, the ladder, and the
//! other rules round them: rate, drain, hooks and their deadline. A policy is plain data, fixed
//! before its heap is built and read from any thread in any phase afterwards. Invariants: every
//! check has a response; what is said of a check goes before what is said of a severity, in whatever
//! order they were said; every rule is one that the text form can say (a rate is never zero, times
//! are whole milliseconds), so that what prints can be read back. Deliberately absent: the text form
//! itself, and carrying anything out.

use std::sync::Arc;
use std::time::Duration;

use crate::check::{Check, CheckKind};
use crate::rules::{Escalation, Rate, Response, whole_milliseconds};
use crate::terms::Severity;
use crate::violation::Violation;

/// How long a call to a hook may last before it is reported, unless the policy says otherwise.
pub(crate) const HOOK_DEADLINE: Duration = Duration::from_secs(1);

/// A user's function. It may be called from any thread.
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
    /// Indexed by `Check::index`: the preset, with what was said of single checks.
    table: [Response; Check::COUNT],
    /// Bits by the index of the check: those of which something was said by name.
    named: u64,
    /// Indexed by severity. None: the table decides.
    severities: [Option<Response>; Severity::ALL.len()],
    /// None: everything is handed on.
    rate: Option<Rate>,
    /// The steps in the order of their triggers, each of its own.
    ladder: Vec<Escalation>,
    /// How long an unhealthy heap may live, in whole milliseconds and never zero. None: for ever.
    drain: Option<Duration>,
    /// How long a call may last, in whole milliseconds and never zero.
    hook_deadline: Duration,
    /// None: a response of `Hook` ends at the trace event.
    hook: Option<HookFunction>,
    /// None: nothing is called at the moment of a violation.
    in_place: Option<HookFunction>,
}

const _: () = assert!(Check::COUNT <= u64::BITS as usize);

impl Policy {
    /// A broken invariant ends the process, as a collector without hooks does. What the world does
    /// to the heap turns its health; a refused call to the operating system, a violation that could
    /// not be written down and a stalled mutator are counted, for each may pass and health never
    /// turns back. The default.
    pub const ABORT: Policy = Policy::from_table({
        let mut table = Self::by_kind(Response::Abort, Response::MarkUnhealthy);
        table[Check::OsCall.index()] = Response::Count;
        table[Check::RecordFailed.index()] = Response::Count;
        table[Check::SafepointStalled.index()] = Response::Count;
        table
    });

    /// A broken invariant turns the heap's health, and so do a misbehaving hook, a full quarantine
    /// and a use in a forked child. A panicking destructor, a refused call to the operating system,
    /// a violation that could not be written down and a stalled mutator are counted.
    pub const MARK_UNHEALTHY: Policy = Policy::from_table({
        let mut table = [Response::MarkUnhealthy; Check::COUNT];
        table[Check::DropPanicked.index()] = Response::Count;
        table[Check::OsCall.index()] = Response::Count;
        table[Check::RecordFailed.index()] = Response::Count;
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
            named: 0,
            severities: [None; Severity::ALL.len()],
            rate: None,
            ladder: Vec::new(),
            drain: None,
            hook_deadline: HOOK_DEADLINE,
            hook: None,
            in_place: None,
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
    /// may block, up to the [deadline](Policy::with_hook_deadline), and it may panic; it is switched
    /// off after three panics. It is not told of misdeeds of hooks ([`Check::HookPanicked`],
    /// [`Check::HookReentered`], [`Check::HookStalled`]), which would only repeat them.
    #[must_use]
    pub fn on_violation(hook: impl Fn(&Violation) + Send + Sync + 'static) -> Policy {
        Policy::HOOK.with_hook(hook)
    }

    /// Sets the function that a response of [`Response::Hook`] calls at the next delivery.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(&Violation) + Send + Sync + 'static) -> Policy {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Sets a function that a response of [`Response::Hook`] calls in place: at the moment of the
    /// violation, on the thread that found it, before containment and before the hook of
    /// [`Policy::with_hook`], which is called as well if there is one.
    ///
    /// The thread may be anywhere in the heap, holding any of its locks, in the middle of a cycle, an
    /// allocation or a destructor, and it may be unwinding or ending. So the function
    ///
    /// - uses nothing of the heap but [`Health`](crate::Health), not even to drop a root: what can be
    ///   refused is refused and reported as `hook-reentered`, the rest may deadlock;
    /// - takes no lock that the thread may hold already, and waits for nobody;
    /// - is fast: mutators and the collector stand still behind it;
    /// - may be called on several threads at once, eight at most: when more are at it, or one has
    ///   been reported as stalled and is not back, a violation is told later alone.
    ///
    /// A panic is caught, and after three the function is called no more. A violation that it
    /// causes itself does not call it again.
    #[must_use]
    pub fn with_in_place_hook(
        mut self,
        hook: impl Fn(&Violation) + Send + Sync + 'static,
    ) -> Policy {
        self.in_place = Some(Arc::new(hook));
        self
    }

    /// Takes over the hooks of another policy, so that rules read from text may call what only code
    /// can name.
    #[must_use]
    pub fn with_hook_of(mut self, other: &Policy) -> Policy {
        self.hook.clone_from(&other.hook);
        self.in_place.clone_from(&other.in_place);
        self
    }

    /// Sets what follows from one check, whatever is said of its severity.
    #[must_use]
    pub const fn with(mut self, check: Check, response: Response) -> Policy {
        self.table[check.index()] = response;
        self.named |= 1 << check.index();
        self
    }

    /// Sets what follows from every violation of a severity, but for those of checks that
    /// [`Policy::with`] names, before or after.
    ///
    /// ```
    /// use gc_hooks::{Check, Origin, Policy, Response, Severity, Violation};
    ///
    /// let policy = Policy::ABORT.with_severity(Severity::OverMarking, Response::Count);
    /// let leak = Violation::new(Check::FreePointer).with_origin(Origin::BarrierOld);
    /// let dangling = Violation::new(Check::FreePointer).with_origin(Origin::Scan);
    /// assert_eq!(policy.response_to(&leak), Response::Count);
    /// assert_eq!(policy.response_to(&dangling), Response::Abort);
    /// ```
    #[must_use]
    pub const fn with_severity(mut self, severity: Severity, response: Response) -> Policy {
        self.severities[severity as usize] = Some(response);
        self
    }

    /// Limits how many violations are handed on in a second.
    #[must_use]
    pub const fn with_rate(mut self, rate: Rate) -> Policy {
        self.rate = Some(rate);
        self
    }

    /// Adds a step to the ladder: a further response when violations are many. One with the same
    /// trigger as an earlier one takes its place.
    #[must_use]
    pub fn with_escalation(mut self, step: Escalation) -> Policy {
        let step = step.settled();
        match (self.ladder).binary_search_by_key(&step.trigger(), Escalation::trigger) {
            Ok(place) => self.ladder[place] = step,
            Err(place) => self.ladder.insert(place, step),
        }
        self
    }

    /// Limits how long an unhealthy heap may live: the first delivery after that ends the process
    /// with a report. Counted in whole milliseconds, at least one.
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Policy {
        self.drain = Some(whole_milliseconds(drain));
        self
    }

    /// Limits how long a call to a hook, or to subscribers to trace events, may last before it is
    /// reported as `hook-stalled`. Counted in whole milliseconds, at least one. Default: one second.
    #[must_use]
    pub fn with_hook_deadline(mut self, deadline: Duration) -> Policy {
        self.hook_deadline = whole_milliseconds(deadline);
        self
    }

    /// What the table says of `check`, severities and ladder aside.
    #[must_use]
    #[inline]
    pub fn response(&self, check: Check) -> Response {
        self.table[check.index()]
    }

    /// What follows from a violation, the ladder aside.
    #[must_use]
    pub fn response_to(&self, violation: &Violation) -> Response {
        self.response_in(violation.check, violation.severity())
    }

    /// What follows from a violation of `check` that is so bad.
    pub(crate) fn response_in(&self, check: Check, severity: Severity) -> Response {
        let of_check = self.table[check.index()];
        if self.named & (1 << check.index()) != 0 {
            return of_check;
        }
        self.severities[severity as usize].unwrap_or(of_check)
    }

    /// What is said of a severity.
    #[must_use]
    pub const fn response_of_severity(&self, severity: Severity) -> Option<Response> {
        self.severities[severity as usize]
    }

    /// The limit on what is handed on.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// The steps of the ladder: those that count all violations first, then by their times, the
    /// least number first.
    #[must_use]
    pub fn ladder(&self) -> &[Escalation] {
        &self.ladder
    }

    /// How long an unhealthy heap may live.
    #[must_use]
    pub const fn drain(&self) -> Option<Duration> {
        self.drain
    }

    /// How long a call to a hook may last.
    #[must_use]
    pub const fn hook_deadline(&self) -> Duration {
        self.hook_deadline
    }

    /// Whether a hook is set that deliveries call.
    #[must_use]
    pub const fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// Whether a hook is set that is called in place.
    #[must_use]
    pub const fn has_in_place_hook(&self) -> bool {
        self.in_place.is_some()
    }

    /// The hook itself, for the delivery that calls it.
    pub(crate) fn hook(&self) -> Option<&(dyn Fn(&Violation) + Send + Sync)> {
        self.hook.as_deref()
    }

    /// The hook in place itself, for the thread that found a violation.
    pub(crate) fn in_place_hook(&self) -> Option<&(dyn Fn(&Violation) + Send + Sync)> {
        self.in_place.as_deref()
    }

    /// Whether the same follows from every violation of `check`, ladders aside.
    pub(crate) fn says_the_same_of(&self, check: Check, other: &Policy) -> bool {
        severities_of(check).iter().all(|&severity| {
            self.response_in(check, severity) == other.response_in(check, severity)
        })
    }

    /// Whether one response follows from every violation of `check`: the one the table says.
    pub(crate) fn says_one_thing_of(&self, check: Check) -> bool {
        severities_of(check)
            .iter()
            .all(|&severity| self.response_in(check, severity) == self.response(check))
    }
}

/// How bad a violation of `check` can be.
fn severities_of(check: Check) -> &'static [Severity] {
    match check.kind() {
        CheckKind::World => &[Severity::World],
        CheckKind::Invariant => &[
            Severity::OverMarking,
            Severity::Metadata,
            Severity::Dangling,
        ],
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::ABORT
    }
}

fn is_same(mine: Option<&HookFunction>, others: Option<&HookFunction>) -> bool {
    match (mine, others) {
        (None, None) => true,
        (Some(mine), Some(others)) => Arc::ptr_eq(mine, others),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Equal in what follows from every violation and in every rule, and calling the very same hooks.
impl PartialEq for Policy {
    fn eq(&self, other: &Policy) -> bool {
        let says_the_same = |check: &Check| self.says_the_same_of(*check, other);
        Check::ALL.iter().all(says_the_same)
            && is_same(self.hook.as_ref(), other.hook.as_ref())
            && is_same(self.in_place.as_ref(), other.in_place.as_ref())
            && self.rate == other.rate
            && self.ladder == other.ladder
            && self.drain == other.drain
            && self.hook_deadline == other.hook_deadline
    }
}

impl Eq for Policy {}

#[cfg(test)]
mod tests;
