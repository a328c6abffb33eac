//! What the world may refuse: the typed errors of this crate.
//!
//! Owns the error types of the operating system (`OsError`), of allocation (`AllocError`), of building a space
//! (`SpaceError`) and of giving pages back (`PageFreeError`). Every file of the crate returns them; nobody builds
//! them outside the crate.
//!
//! Invariant: an error is plain data. It owns no heap memory, so that it can be made when no memory is left.
//!
//! Deliberately absent: broken invariants of the heap itself. Those are violations, reported through the hooks and
//! contained where they are found; an error here never stands for damaged state, and the state it leaves behind is
//! the state from before the call.

use std::fmt;

use thiserror::Error;

/// The calls that this crate makes to the operating system, by the purpose they serve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum OsCall {
    /// Mapping the address space of the heap.
    Reserve,
    /// Making freshly mapped address space inaccessible.
    Protect,
    /// Making a part of the reservation readable and writable.
    Commit,
    /// Advising huge pages for a committed part. A refusal costs speed only.
    AdviseHuge,
    /// Giving the memory of a committed part back.
    Release,
    /// Mapping a zeroed side table.
    MapTable,
}

impl OsCall {
    /// Every call, in the order of declaration.
    pub const ALL: &'static [OsCall] = &[
        OsCall::Reserve,
        OsCall::Protect,
        OsCall::Commit,
        OsCall::AdviseHuge,
        OsCall::Release,
        OsCall::MapTable,
    ];

    /// How many calls there are.
    pub const COUNT: usize = OsCall::ALL.len();

    /// The position of this call in [`OsCall::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for OsCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            OsCall::Reserve => "reserving address space (mmap)",
            OsCall::Protect => "closing reserved address space (mprotect)",
            OsCall::Commit => "committing memory (mprotect)",
            OsCall::AdviseHuge => "advising huge pages (madvise)",
            OsCall::Release => "releasing memory (madvise)",
            OsCall::MapTable => "mapping a side table (mmap)",
        })
    }
}

/// The operating system refused a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[error("{call} failed: {}", reason(.errno))]
pub struct OsError {
    /// The call that was refused.
    pub call: OsCall,
    /// The error number that the system gave for it. A request that this crate refuses on the system's behalf,
    /// because it reaches outside the mapping, carries `EINVAL`.
    pub errno: i32,
}

/// The system's own words for an error number.
fn reason(errno: &i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(*errno)
}

/// An allocation could not be served. The heap is as it was before the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AllocError {
    /// The request would take the heap over the limit that its owner set. A collection may make room.
    #[error(
        "heap limit reached: {requested_bytes} bytes requested, {bytes_in_use} of {limit_bytes} bytes in use"
    )]
    Limit {
        /// Size of the request, rounded up to whole pages.
        requested_bytes: usize,
        /// The limit.
        limit_bytes: usize,
        /// What spans hold now.
        bytes_in_use: usize,
    },
    /// The address space of the heap holds no free run that is long enough. A collection may make room.
    #[error(
        "address space exhausted: {requested_bytes} bytes requested from a reservation of {reserve_bytes} bytes"
    )]
    Exhausted {
        /// Size of the request, rounded up to whole pages.
        requested_bytes: usize,
        /// Size of the reservation.
        reserve_bytes: usize,
    },
    /// No collection can make room: the request is larger than the heap may ever be.
    #[error(
        "allocation too large: {requested_bytes} bytes requested, at most {bytes_max} bytes can be served"
    )]
    TooLarge {
        /// Size of the request as the caller gave it.
        requested_bytes: usize,
        /// The largest request that this heap could serve when empty.
        bytes_max: usize,
    },
    /// The heap knows as many types as it can.
    #[error("the heap already knows {types_max} types, as many as it can")]
    TooManyTypes {
        /// Types and shapes a heap can know.
        types_max: usize,
    },
    /// The class was never registered with this space.
    #[error("class {class} is not registered with this space")]
    UnknownClass {
        /// Number of the class.
        class: u32,
    },
    /// The operating system refused memory.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// A space could not be built. Nothing stays mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// A setting is out of its range.
    #[error("{setting} = {value} is out of range: {expected}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// The value it was given.
        value: usize,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The operating system refused the reservation or a side table.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// A run of pages could not be freed. The page heap refuses and keeps its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PageFreeError {
    /// The run reaches outside the pages that were ever handed out.
    #[error(
        "{pages} pages from page {first_page} reach outside the {pages_frontier} pages ever handed out"
    )]
    OutOfRange {
        /// First page of the refused run.
        first_page: u32,
        /// Length of the refused run.
        pages: u32,
        /// The first page that was never committed.
        pages_frontier: u32,
    },
    /// No run in use begins at this page: it was freed before, or the page lies inside another run.
    #[error("no run in use begins at page {first_page}")]
    NotInUse {
        /// First page of the refused run.
        first_page: u32,
    },
    /// The run in use at this page has another length.
    #[error("the run in use at page {first_page} has {pages_in_use} pages, not {pages}")]
    WrongLength {
        /// First page of the refused run.
        first_page: u32,
        /// Length that the caller gave.
        pages: u32,
        /// Length that was handed out.
        pages_in_use: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_stands_at_its_index() {
        for (index, call) in OsCall::ALL.iter().enumerate() {
            assert_eq!(call.index(), index);
        }
    }

    #[test]
    fn an_os_error_names_the_call_and_the_reason() {
        let error = OsError {
            call: OsCall::Commit,
            errno: 12,
        };
        let text = error.to_string();
        assert!(
            text.starts_with("committing memory (mprotect) failed: "),
            "{text}"
        );
        assert!(text.contains("os error 12"), "{text}");
        assert_eq!(AllocError::from(error).to_string(), text);
        assert_eq!(SpaceError::from(error).to_string(), text);
    }
}
