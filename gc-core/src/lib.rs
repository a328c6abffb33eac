//! Softfail: a concurrent, non-moving, mark-sweep managed heap for Rust that fails soft.
//!
//! A program embeds a [`Heap`], takes a [`Mutator`], and works with `Copy` pointers inside
//! [`Mutator::enter`]. When the collector finds its own state broken, the check routes through a
//! [`Policy`]: abort, call a hook, mark the process unhealthy, or count. Whatever the response,
//! the damage is contained first: doubtful memory leaks, it is never reused.
//!
//! ```
//! use gc_core::{Edge, Heap, Policy, Trace};
//!
//! #[derive(Trace)]
//! struct Node<'gc> {
//!     name: String,
//!     next: Edge<'gc, Node<'gc>>,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let heap = Heap::builder().policy(Policy::MARK_UNHEALTHY).build()?;
//! let mut mutator = heap.mutator();
//! let root = mutator.enter(|scope| {
//!     let a = scope.alloc(Node { name: "a".into(), next: Edge::none() });
//!     let b = scope.alloc(Node { name: "b".into(), next: Edge::to(a) });
//!     a.next.set(scope, b); // a ring: reclaimed all the same once nobody holds it
//!     scope.root(a)
//! });
//! heap.collect()?;
//! let name = mutator.enter(|scope| Ok::<_, gc_core::RootError>(scope.get(&root)?.next.get().map(|b| b.name.clone())))?;
//! assert_eq!(name.as_deref(), Some("b"));
//! assert!(heap.health().is_healthy());
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! A module imports only modules above it. Unsafe code stands in `trace`, `trace_std`, `object`,
//! `local`, `record`, `scan`, `gc`, `weak`, `ephemeron`, `reap`, `root`, `edge`, `scope`, `upgrade` and
//! `raw`, and nowhere else.
//!
//! | module | owns |
//! |---|---|
//! | `json` | text in the files that the heap writes |
//! | `trace`, `trace_std` | the contract of traced types, and the standard library's share of it |
//! | `object` | objects in memory: descriptors, writing, scanning, dropping |
//! | `types` | what a span's type index means |
//! | `scan` | from one object to its children |
//! | `stores` | sampled stores |
//! | `stack`, `roots` | value stacks; the root table |
//! | `pauses` | how long mutators were kept from their work |
//! | `grey` | an object on its way to the marker |
//! | `palette`, `remembered` | the colours of a cycle; newborn objects that were stored |
//! | `request`, `local`, `record`, `world` | what is asked of mutators; one mutator; all of them |
//! | `gate`, `signal` | who helps the coordinator; who sleeps until what |
//! | `pacer`, `progress` | when to collect; how far the collector has come |
//! | `events`, `timeline` | what subscribers are told of cycles; what happened when |
//! | `profile` | sampled allocations |
//! | `shared` | the parts all of a heap's threads share; how a doubtful pointer is refused |
//! | `map` | the spans, for people |
//! | `handshake`, `barrier` | answers to the collector; what a pointer store does |
//! | `gc`, `weak`, `ephemeron` | the pointers |
//! | `mark`, `verify`, `graph` | the marker; the second opinion; the graph of a snapshot |
//! | `reap` | destructors |
//! | `audit` | whether what collections are paced by can be true |
//! | `cycle`, `engine` | the state machine; who may advance it |
//! | `crew`, `drive` | collector threads; the drivers |
//! | `retention`, `snapshot` | why an object is alive; the whole graph as a file |
//! | `stats`, `prometheus` | what a heap holds and has done; the same for a scraper |
//! | `root`, `scope`, `upgrade`, `edge`, `mutator`, `builder`, `heap` | handles |
//! | `facade` | the figures of a heap for the crate `metrics`, with the feature of that name |
//! | [`raw`] | the unsafe layer for embedders |

mod json;

mod trace;
mod trace_std;

mod object;

mod types;

mod scan;

mod stores;

mod stack;

mod pauses;

mod roots;

mod grey;

mod palette;

mod request;

mod remembered;

mod local;

mod record;

mod world;

mod gate;

mod late;

mod signal;

mod pacer;

mod progress;

mod events;

mod timeline;

mod profile;

mod shared;

mod map;

mod handshake;

mod barrier;

mod gc;

mod weak;

mod ephemeron;

mod mark;

mod verify;

mod graph;

mod reap;

mod audit;

mod cycle;

mod engine;

mod crew;

mod courier;

mod drive;

mod retention;

mod snapshot;

mod stats;

mod prometheus;

mod root;

mod scope;

mod upgrade;

mod edge;

mod mutator;

mod builder;

mod heap;

#[cfg(feature = "metrics")]
mod facade;

pub mod raw;

#[cfg(feature = "fault-inject")]
pub mod fault;

pub use gc_core_derive::Trace;
pub use gc_hooks::record::{
    CallSite, FileCall, SCHEMA as RECORD_SCHEMA, Section as RecordSection, Utc,
};
pub use gc_hooks::{
    Address, CHECKS_VARIABLE, Check, CheckKind, CheckLevel, Checks, ChecksError, Cost, Delivery,
    Escalation, Health, LevelError, Number, Origin, Phase, Policy, PolicyError, Rate, Response,
    Severity, Turn, Violation,
};
pub use gc_hooks::{PreviousRecord, RecordError, RecordedViolation, monitor, previous_record};
pub use gc_sweep::{AllocError, CycleKind, Found, Ledger, Place, QuarantineReleased, SpaceError};

pub use crate::builder::{Builder, Error};
pub use crate::drive::{Driver, ShutdownError};
pub use crate::edge::Edge;
pub use crate::engine::{CollectError, StepProgress, StepReport};
pub use crate::ephemeron::Ephemeron;
#[cfg(feature = "metrics")]
pub use crate::facade::MetricsReporter;
pub use crate::gc::Gc;
pub use crate::heap::Heap;
pub use crate::map::SpanReport;
pub use crate::mutator::Mutator;
pub use crate::object::Object;
pub use crate::pauses::PauseHistogram;
pub use crate::profile::ProfileError;
pub use crate::progress::{CycleReport, Reclaiming};
pub use crate::prometheus::write_prometheus;
pub use crate::retention::{RetentionError, RetentionPath, RetentionStep};
pub use crate::root::{Root, RootError};
pub use crate::scope::Scope;
pub use crate::snapshot::{SnapshotError, SnapshotHold, SnapshotSummary};
pub use crate::stats::{HeapStats, ViolationCount};
pub use crate::timeline::TraceError;
pub use crate::trace::{Trace, Tracer};
pub use crate::verify::VerifyReport;
pub use crate::weak::Weak;

/// What derived code names and nobody else should.
#[doc(hidden)]
pub mod __private {
    /// Conflicts with the blanket implementation when a derived type implements `Drop`.
    pub trait MayNotImplDrop {}
    #[allow(drop_bounds)]
    impl<T: Drop> MayNotImplDrop for T {}
}

/// The README's code blocks are tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
