//! Hooks that write down what they record, where it outlives the process.
//!
//! Owns how the durable record is joined to a heap: given at its birth, closed at its end, and told of
//! when it fails. Called at the birth and the end of a heap, and by the recorder from any thread in any
//! phase. Invariants: a record that fails is told of once, as a violation and on standard error, and
//! changes nothing else; a heap is as sound without its record. Deliberately absent: the record itself,
//! and what is written when, which stands in `health`.

use crate::clock::Clock;
use crate::health::Health;
use crate::hooks::Hooks;
use crate::last_words;
use crate::policy::Policy;
use crate::record::{Failure, HealthRecord, RecordError};

impl Hooks {
    /// Hooks for one heap that also write down what they record, where it outlives the process.
    #[must_use]
    pub fn with_record(policy: Policy, record: HealthRecord) -> Hooks {
        let health = Health::with_record(Clock::monotonic(), Some(record));
        Hooks::with_health(policy, health)
    }

    /// Hooks for one heap whose record could not be created: the first violation says so, and so does a
    /// line on standard error.
    #[must_use]
    pub fn without_record(policy: Policy, error: &RecordError) -> Hooks {
        let hooks = Hooks::new(policy);
        last_words::notice(format_args!("softfail: {error}; going on without it"));
        hooks.report(Failure::uncreated(error).violation());
        hooks
    }

    /// What keeps violations out of the durable record, once; the line about it is written here.
    pub(crate) fn record_failure(&self) -> Option<Failure> {
        let (failure, record) = self.health.record_failure()?;
        last_words::notice(format_args!(
            "softfail: violation record {}: {}; violations are no longer written there",
            record.path().display(),
            failure.reason()
        ));
        Some(failure)
    }
}

/// The heap ends: nobody is left to report anything.
impl Drop for Hooks {
    fn drop(&mut self) {
        self.health.close_record();
    }
}
