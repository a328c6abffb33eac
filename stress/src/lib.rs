//! The stress lab of Softfail: it breaks a managed heap on purpose, deterministically, and looks
//! whether the heap notices, says who did it, and keeps everything live unharmed.
//!
//! The crate is a user with bad intentions. It works through the public interface of `gc-core`,
//! mostly its unsafe layer, and an oracle outside the heap remembers what every live object must
//! hold. A run follows from its options alone, elapsed times aside.
//!
//! # Map
//!
//! A module imports only modules above it. Unsafe code stands in `reflect` and nowhere else.
//!
//! | module | owns |
//! |---|---|
//! | [`error`] | what can go wrong with a run itself |
//! | [`hash`], [`rng`] | content hashes; random numbers that are the same everywhere |
//! | [`options`], [`audit`], [`outcome`] | what a run is told, and what it comes to |
//! | `reflect` | fibers, compiled and reflective calls: where the bug stands |
//! | `params`, `config`, `session` | what the service works on, each with its half of the oracle |
//! | `pace` | when the collector runs, and how far |
//! | [`makefunc`] | the scenario: Go bug 30041 |
//! | [`json`], [`human`], [`progress`] | reports |
//! | [`cli`] | the command line |
//!
//! Deliberately absent: threads, time as a cause of anything, and faults injected into the heap.

// A blank line between the modules keeps rustfmt from sorting them: the order is that of their
// imports.

pub mod error;

pub mod hash;

pub mod rng;

pub mod options;

pub mod audit;

pub mod outcome;

mod reflect;

mod params;

mod config;

mod session;

mod pace;

pub mod makefunc;

pub mod json;

pub mod human;

pub mod progress;

pub mod cli;
