//! What can be wrong with a record as a file.
//!
//! Returned by whoever creates or reads one, before a heap starts or after it has ended. Invariant:
//! every error names its file, and where in it, as far as there is a place. Deliberately absent: what
//! goes wrong while a heap lives; that is a `record-failed` violation.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::layout::SCHEMA;

/// What was asked of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FileCall {
    /// Opening or creating it.
    Open,
    /// Making sure that nobody else writes it.
    Lock,
    /// Setting room on the disk aside.
    Allocate,
    /// Writing what it begins with.
    Write,
    /// Bringing that to the disk.
    Sync,
    /// Mapping it into memory.
    Map,
    /// Giving it its name, or another one.
    Rename,
    /// Asking for its length.
    Stat,
    /// Reading it.
    Read,
}

impl FileCall {
    /// Every call, in the order of the discriminants.
    pub const ALL: &'static [FileCall] = &[
        FileCall::Open,
        FileCall::Lock,
        FileCall::Allocate,
        FileCall::Write,
        FileCall::Sync,
        FileCall::Map,
        FileCall::Rename,
        FileCall::Stat,
        FileCall::Read,
    ];

    /// The name of the call in messages.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            FileCall::Open => "open",
            FileCall::Lock => "lock",
            FileCall::Allocate => "allocate",
            FileCall::Write => "write",
            FileCall::Sync => "sync",
            FileCall::Map => "map",
            FileCall::Rename => "rename",
            FileCall::Stat => "stat",
            FileCall::Read => "read",
        }
    }
}

impl fmt::Display for FileCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// A part of a record.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Section {
    /// What the record is and who wrote it.
    Header,
    /// The first violation.
    First,
    /// A slot of the ring.
    Slot(usize),
}

impl fmt::Display for Section {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Section::Header => formatter.write_str("header"),
            Section::First => formatter.write_str("first violation"),
            Section::Slot(slot) => write!(formatter, "slot {slot}"),
        }
    }
}

/// A record could not be created or read.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// The operating system refused a call.
    #[error("violation record {}: {call}: {}", .path.display(), io::Error::from_raw_os_error(*.errno))]
    File {
        /// What was asked of it.
        call: FileCall,
        /// The file.
        path: PathBuf,
        /// The error number.
        errno: i32,
    },
    /// Another heap writes to this record, in this process or another one.
    #[error("violation record {}: another heap writes to it (lock {})", .path.display(), .lock.display())]
    InUse {
        /// The record.
        path: PathBuf,
        /// The lock file that is taken.
        lock: PathBuf,
    },
    /// The file is no record, and is not replaced by one.
    #[error("violation record {}: byte 0: not a violation record", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The record has a layout that this version cannot read.
    #[error("violation record {}: byte 8: schema {found}, expected {SCHEMA}", .path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: u64,
    },
    /// The file ends before the record does.
    #[error("violation record {}: byte {bytes}: truncated, expected {expected} bytes", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// Length of a record.
        expected: u64,
    },
    /// A number in the header is not what it must be.
    #[error("violation record {}: byte {at}: {what} {found}, expected {expected}", .path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Offset of the number.
        at: u64,
        /// What the number says.
        what: &'static str,
        /// The number found.
        found: u64,
        /// What it must be, or at most be.
        expected: u64,
    },
    /// The header is not what was written.
    #[error("violation record {}: byte {at}: checksum of the {section} is wrong", .path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The part.
        section: Section,
        /// Offset of the checksum.
        at: u64,
    },
}
