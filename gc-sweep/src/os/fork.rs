//! Whether this process is a fork of the one in which a heap was made.
//!
//! The heap above asks at its doors, from any thread in any phase, since a child has the memory of a heap but none of
//! the threads that were at work on it. The mark is a page of its own that holds a 1 and that the system shows as zeros
//! to every child, so that the question is one load. Where the system refuses that, process ids are compared.
//!
//! Invariant: the page is written once, before the mark is handed out, and by nobody in this process afterwards.
//!
//! Deliberately absent: what follows from a fork. A child that runs in the memory of its parent (`vfork`) is none.

use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mm::Advice;

use super::{Mapped, checked};
use crate::error::{OsCall, OsError};
use crate::size_class::PAGE_BYTES;

/// Tells a process from its forked children.
#[derive(Debug)]
pub struct ForkMark {
    /// The page whose first byte is 1 in this process and 0 in a child; `None` where there can be no such page.
    page: Option<Mapped>,
    /// The process in which the mark was made. Written at birth.
    process: u32,
}

impl ForkMark {
    /// A mark of this process.
    pub fn new() -> ForkMark {
        ForkMark {
            page: marked_page().ok(),
            process: process::id(),
        }
    }

    /// This process is a fork of the one that made the mark, or a fork of such a one.
    #[inline]
    pub fn is_forked(&self) -> bool {
        match &self.page {
            // Relaxed: the byte changes between processes, never between threads.
            Some(page) => first_byte(page).load(Ordering::Relaxed) == 0,
            None => process::id() != self.process,
        }
    }
}

impl Default for ForkMark {
    fn default() -> ForkMark {
        ForkMark::new()
    }
}

fn marked_page() -> Result<Mapped, OsError> {
    let page = Mapped::zeroed(PAGE_BYTES)?;
    let start = page.pointer().cast();
    // SAFETY: the range is exactly a fresh private anonymous mapping; the advice changes nothing in this process.
    let advised = unsafe { rustix::mm::madvise(start, page.bytes(), Advice::LinuxWipeOnFork) };
    checked(OsCall::MapTable, advised)?;
    first_byte(&page).store(1, Ordering::Relaxed);
    Ok(page)
}

#[inline]
fn first_byte(page: &Mapped) -> &AtomicU8 {
    // SAFETY: the mapping is valid for reads and writes for as long as `page` is borrowed, and is reached through
    // atomics alone.
    unsafe { AtomicU8::from_ptr(page.pointer()) }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_int;

    use super::super::fault::{Persistence, Target, fail_nth};
    use super::*;

    unsafe extern "C" {
        fn fork() -> c_int;
        fn waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn _exit(status: c_int) -> !;
    }

    /// What a forked child answers.
    fn is_forked_in_child(mark: &ForkMark) -> bool {
        // SAFETY: the child asks the mark, which takes no lock and allocates nothing, and ends.
        let child = unsafe { fork() };
        if child == 0 {
            let status = c_int::from(mark.is_forked());
            // SAFETY: ends the child at once; nothing of the test runs in it.
            unsafe { _exit(status) };
        }
        assert!(child > 0);
        let mut status = 0;
        // SAFETY: waits for the child just made, which nobody else waits for.
        let waited = unsafe { waitpid(child, &raw mut status, 0) };
        assert_eq!(
            (waited, status & 0x7f),
            (child, 0),
            "the child ended itself"
        );
        status >> 8 == 1
    }

    #[test]
    fn a_child_knows_that_it_is_one() {
        let mark = ForkMark::new();
        assert!(mark.page.is_some());
        assert!(!mark.is_forked());
        assert!(is_forked_in_child(&mark));
        assert!(!mark.is_forked(), "nothing changes in the parent");
    }

    #[test]
    fn process_ids_serve_where_no_page_can_be_had() {
        let armed = fail_nth(Target::Call(OsCall::MapTable), 0, Persistence::Once);
        let mark = ForkMark::new();
        drop(armed);
        assert!(mark.page.is_none());
        assert!(!mark.is_forked());
        assert!(is_forked_in_child(&mark));
    }
}
