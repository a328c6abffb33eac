//! What may be wrong in a Softfail heap, and what then follows.
//!
//! The crate owns the register of checks ([`Check`]), the fixed-size record of one failed check
//! ([`Violation`]), the rules that say what follows ([`Policy`], [`Response`]), what anyone may
//! poll ([`Health`]) and the one object that joins them for a heap ([`Hooks`]).
//!
//! A check is an expression, and the next line contains the damage:
//!
//! ```
//! use gc_hooks::{Check, Hooks, Policy, Violation};
//!
//! let hooks = Hooks::new(Policy::MARK_UNHEALTHY);
//! let (allocated, marked) = (3_u64, 4_u64);
//! let detail = || {
//!     let violation = Violation::new(Check::SweepCount).with_cycle(7);
//!     violation.with_number("allocated", allocated).with_number("marked", marked)
//! };
//! if !hooks.holds(Check::SweepCount, marked <= allocated, detail) {
//!     // contain: quarantine the span, compute nothing from `marked`
//! }
//! assert!(!hooks.health().is_healthy());
//! ```
//!
//! Recording is a few atomics in memory set aside beforehand: no lock, no allocation, no user code.
//! It may be done from any thread in any phase, also while the thread unwinds or ends. What is slow
//! or not ours (trace events, the user's hook) waits until the heap calls [`Hooks::deliver`] from
//! outside the collector, holding nothing. Hooks with a [`HealthRecord`] also write each violation
//! into a file that is mapped shared, and so outlives a process that is killed; [`previous_record`]
//! reads it, and a [`monitor`] tells of the death.
//!
//! The modules stand in the order of their imports: a module uses only those above it. Deliberately
//! absent: anything that knows memory, objects or threads of the heap, and any state that is shared
//! between heaps.

#![deny(unsafe_code)]

#[doc(hidden)]
pub mod sync;

mod level;

mod check;

mod checks;

#[cfg(feature = "fault-inject")]
pub mod fault;

mod terms;

mod violation;

pub mod record;

pub mod monitor;

mod rules;

mod policy;

mod policy_word;

mod policy_text;

mod clock;

#[doc(hidden)]
pub mod patience;

mod store;

mod ring;

mod health;

mod last_words;

mod receiver;

mod window;

mod crowd;

mod ladder;

mod watch;

mod delivery;

mod bell;

mod hooks;

mod misdeeds;

mod postman;

mod durable;

mod blind;

#[cfg(all(test, loom))]
mod loom_tests;

pub use check::{Check, CheckKind, Cost};
pub use checks::{CHECKS_VARIABLE, Checks, ChecksError};
pub use delivery::{Delivery, Turn};
pub use health::{Health, RECENT_MAX};
pub use hooks::Hooks;
pub use level::{CheckLevel, LevelError};
pub use policy::Policy;
pub use policy_text::POLICY_VARIABLE;
pub use policy_word::PolicyError;
pub use record::{HealthRecord, PreviousRecord, RecordError, RecordedViolation, previous_record};
pub use rules::{Escalation, Rate, Response, WITHIN_MAX};
pub use terms::{Address, Number, Origin, Phase, Severity};
pub use violation::{FirstLine, Violation};
