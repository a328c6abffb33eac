//! The workloads, written once over [`Peer`], and the child process that runs one of them on one peer.
//!
//! Each peer is a binary of its own (`src/bin/peer-*.rs`), so that its allocator is the process's only one and nothing of
//! another peer is compiled in. `peers` (`src/bin/peers`) starts them, one process a measurement, and compares.
//!
//! Deliberately absent: anything that would let a peer do other work than its rivals. Pointers, stores and turns are the
//! peer's; shapes, numbers and their order are the workload's, and every workload returns a checksum.

pub mod boxed;
pub mod chain;
pub mod child;
pub mod peer;
mod pointers;
pub mod random;
pub mod size;
pub mod workloads;

pub use crate::child::main;
pub use crate::peer::{Peer, Setup, Variant};
pub use crate::random::Random;
pub use crate::workloads::Workload;
