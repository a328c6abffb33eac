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
//! outside the collector, holding nothing.
//!
//! The modules stand in the order of their imports: a module uses only those above it. Deliberately
//! absent: anything that knows memory, objects or threads of the heap, and any state that outlives
//! or is shared between heaps.

#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod sync;

mod check;

mod terms;

mod violation;

mod policy;

mod policy_text;

mod clock;

mod store;

mod ring;

mod health;

mod last_words;

mod receiver;

mod window;

mod delivery;

mod hooks;

#[cfg(all(test, loom))]
mod loom_tests;

pub use check::{Check, CheckKind, CheckLevel, LevelError};
pub use delivery::{Delivery, Turn};
pub use health::{Health, RECENT_MAX};
pub use hooks::Hooks;
pub use policy::{Escalation, Policy, Rate, Response};
pub use policy_text::{POLICY_VARIABLE, PolicyError};
pub use terms::{Address, Number, Origin, Phase, Severity};
pub use violation::{FirstLine, Violation};
