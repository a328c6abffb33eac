//! Why a heap could not be built.

use std::io;
use std::path::PathBuf;

use gc_hooks::{ChecksError, PolicyError, RecordError};
use gc_sweep::{AllocError, SpaceError};

use super::COLLECTOR_THREADS_MAX;

/// A heap could not be built.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size is out of range, or the operating system refused the reservation.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// `GC_POLICY` could not be read as a policy.
    #[error("GC_POLICY: {0}")]
    Policy(#[from] PolicyError),
    /// The text of the checks is malformed.
    #[error(transparent)]
    Checks(#[from] ChecksError),
    /// The growth goal is out of range.
    #[error("growth of {percent} % is out of range: 1 to 10000")]
    Growth {
        /// The value given.
        percent: u32,
    },
    /// The nursery is too small.
    #[error("a nursery of {found} bytes is too small: at least {least}")]
    Nursery {
        /// The size given.
        found: usize,
        /// The smallest size.
        least: usize,
    },
    /// The number of collector threads is out of range.
    #[error("{threads} collector threads are out of range: 1 to {COLLECTOR_THREADS_MAX}")]
    CollectorThreads {
        /// The value given.
        threads: usize,
    },
    /// The soft limit lies above the limit.
    #[error("a soft limit of {soft_limit_bytes} bytes lies above the limit of {limit_bytes}")]
    SoftLimit {
        /// The soft limit given.
        soft_limit_bytes: usize,
        /// The limit given.
        limit_bytes: usize,
    },
    /// The operating system refused a thread.
    #[error("a thread of the heap could not be started: {0}")]
    Thread(io::ErrorKind),
    /// The durable record of violations could not be created.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The trace file could not be created.
    #[error("trace file {}: {kind}", path.display())]
    TraceFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// `GC_TRACE` says neither yes nor no.
    #[error("GC_TRACE: expected 0 or 1, found {found:?}")]
    TraceVariable {
        /// What it says.
        found: String,
    },
    /// The heap's own objects could not be set up.
    #[error(transparent)]
    Alloc(#[from] AllocError),
}
