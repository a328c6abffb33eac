//! What can go wrong with a run itself, as opposed to with the heap that it torments.
//!
//! Every module returns it; `cli` turns it into an exit code. A violation is never an error here:
//! finding one is what a run is for.

use std::io;

use gc_core::raw::StackError;
use gc_core::{AllocError, CollectError, RootError};
use thiserror::Error;

use crate::ops::TraceError;

/// A violation was found, and survived.
pub const EXIT_FOUND: u8 = 10;
/// What was recorded or expected did not come up.
pub const EXIT_MISSING: u8 = 11;
/// The command line is wrong.
pub const EXIT_USAGE: u8 = 64;
/// A file that the run was given is missing or malformed; of a trace also: truncated, corrupt, of another
/// version, or written by another build.
pub const EXIT_MALFORMED: u8 = 65;
/// Something that must not happen.
pub const EXIT_INTERNAL: u8 = 70;
/// It is not done: run again, it goes on where it ended.
pub const EXIT_INTERRUPTED: u8 = 75;

/// A run that could not be carried out, or whose story could not be told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The heap could not be built.
    #[error("the heap could not be built: {0}")]
    Build(#[from] gc_core::Error),
    /// The heap refused an allocation that the workload needs.
    #[error("an allocation was refused: {0}")]
    Alloc(#[from] AllocError),
    /// The collector refused to advance.
    #[error("the collector refused to advance: {0}")]
    Collect(#[from] CollectError),
    /// A root could not be read.
    #[error("a root could not be read: {0}")]
    Root(#[from] RootError),
    /// A frame or slot does not exist: a fault of the scenario.
    #[error("a value stack was misused: {0}")]
    Stack(#[from] StackError),
    /// A slot was read that holds no live pointer: a fault of the scenario.
    #[error("{slot} of the top frame holds no live pointer")]
    EmptySlot {
        /// The slot, in words.
        slot: String,
    },
    /// A value had another type than its user asked for: a fault of the scenario.
    #[error("a value of type {found} stands where {expected} was expected")]
    Kind {
        /// Type asked for.
        expected: &'static str,
        /// Type found.
        found: &'static str,
    },
    /// A reflective function was called with a wrong number of arguments: a fault of the scenario.
    #[error("a reflective function of {expected} arguments was called with {found}")]
    Arguments {
        /// Arguments of the function.
        expected: usize,
        /// Arguments given.
        found: usize,
    },
    /// There is no fiber of that number: a fault of the scenario.
    #[error("there is no fiber {fiber}")]
    NoFiber {
        /// The number.
        fiber: usize,
    },
    /// A child process did not tell what it was started for.
    #[error("a child process failed: {0}")]
    Child(String),
    /// A kind of objects of a program was refused.
    #[error("a kind of objects was refused: {0}")]
    Shape(#[from] gc_core::raw::ShapeError),
    /// A file is no trace that can be replayed, or could not be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A trace names a policy or checks that this build does not know.
    #[error("the header of the trace: {0}")]
    Header(String),
    /// There is nothing to shrink.
    #[error("the trace shows no violation when it is replayed, so there is nothing to shrink")]
    NoViolation,
    /// A histogram could not be made.
    #[error("a histogram could not be made: {0}")]
    Histogram(String),
    /// A file that the run was given is missing or malformed.
    #[error("{file}: {problem}")]
    Malformed {
        /// The file, and the line where one is known.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process writes the file that this one was to write.
    #[error("{file}: another process is writing this file")]
    Busy {
        /// The file.
        file: String,
    },
    /// The command line asks for what does not exist.
    #[error("{0}")]
    Request(String),
    /// The report could not be written.
    #[error("the report could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// What the program ends with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            // The command line names a place where no record can be.
            Error::Build(gc_core::Error::Record(_)) | Error::Request(_) => EXIT_USAGE,
            Error::Malformed { .. } => EXIT_MALFORMED,
            Error::Busy { .. } => EXIT_INTERRUPTED,
            Error::Trace(_) | Error::Header(_) | Error::NoViolation => EXIT_MALFORMED,
            _ => EXIT_INTERNAL,
        }
    }
}
