//! The stress lab of Softfail: it breaks a managed heap on purpose and looks whether the heap
//! notices, says who did it, and keeps everything live unharmed; and it uses one as hard as it can,
//! breaking nothing, and looks whether anything is lost or reported all the same.
//!
//! The crate is a user with bad intentions. It works through the public interface of `gc-core`, and
//! an oracle outside the heap remembers what every live object must hold. With the manual driver a
//! run follows from its options alone, elapsed times aside; beside collector threads its decisions
//! do, and not when the collector comes by.
//!
//! # Map
//!
//! A module imports only modules above it. Unsafe code stands in `reflect`, `lab/machine` and `campaign`
//! and nowhere else.
//!
//! | module | owns |
//! |---|---|
//! | [`error`] | what can go wrong with a run itself |
//! | [`hash`], [`rng`] | content hashes; random numbers that are the same everywhere |
//! | [`driver`] | who advances the collector, as text |
//! | [`options`], [`audit`], [`outcome`] | what a run is told, and what it comes to |
//! | `ops`, `recorder` | the operation language and its file; what a workload does, written down |
//! | `reflect` | fibers, compiled and reflective calls: where the bug stands |
//! | `params`, `config`, `session` | what the service works on, each with its half of the oracle |
//! | `pace` | when the collector runs, and how far |
//! | `service`, `parked` | one thread's share of the service, and the mutators parked beside it |
//! | [`makefunc`] | the scenario: Go bug 30041, on one thread or on several |
//! | [`json`], [`human`] | its reports |
//! | [`lab`] | programs of operations: carried out, replayed, shrunk, told as stories |
//! | `zoo` | historical collector bugs as such programs |
//! | `graph`, [`soak`] | random graphs with an oracle; threads that share them for as long as one likes |
//! | [`search`] | programs by the thousand, written from a seed or from bytes, against the oracle of the lab |
//! | [`measure`] | the figures of the concurrency goals |
//! | [`controls`] | heaps that nobody breaks, under conditions that make detectors lie |
//! | `serve`, `load` | the service over HTTP, which drains when its heap turns; the load meanwhile; with `serve` alone |
//! | `campaign` | heaps broken on purpose by the thousand, and what is made of it; with `fault-inject` alone |
//! | [`inspect`], [`snapshot`] | the story of a durable record; of a heap snapshot |
//! | [`reach`] | which unsafe code of a program and its dependencies can be reached |
//! | `shards` | a campaign cut into shards, and their files put together; with `fault-inject` alone |
//! | `report` | a page with a campaign and recorded runs, drawn; with `fault-inject` alone |
//! | [`progress`] | a bar, on a terminal |
//! | [`cli`] | the command line |
//!
//! Deliberately absent: time as a cause of anything but the end of a soak and of a service, and faults injected into
//! the heap.

// A blank line between the modules keeps rustfmt from sorting them: the order is that of their
// imports.

pub mod hash;

pub mod driver;

mod ops;

pub mod error;

pub mod rng;

pub mod options;

pub mod audit;

pub mod outcome;

mod recorder;

mod reflect;

mod params;

mod config;

mod session;

mod pace;

mod service;

mod parked;

pub mod makefunc;

pub mod json;

pub mod human;

pub mod lab;

mod zoo;

mod graph;

pub mod soak;

pub mod search;

pub mod measure;

pub mod controls;

#[cfg(feature = "serve")]
pub mod serve;

#[cfg(feature = "serve")]
pub mod load;

#[cfg(feature = "fault-inject")]
pub mod campaign;

#[cfg(feature = "fault-inject")]
mod shards;

#[cfg(feature = "fault-inject")]
mod report;

pub mod inspect;

pub mod snapshot;

pub mod reach;

pub mod progress;

pub mod cli;
