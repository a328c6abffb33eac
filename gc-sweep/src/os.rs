//! The only room that names the operating system: address space, memory, side tables, poisoning.
//!
//! Owns `Reservation`, the one contiguous piece of address space in which all objects lie, and `Mapped`, the zeroed
//! mappings of the side tables. A space makes both at its birth and drops them at its end; the page heap's commit and
//! release callbacks come here in between, from whichever thread holds the page heap. `fork` below has the mark that
//! tells a process from its children; `pattern` writes into free slots and reads them.
//!
//! ```text
//! mapping          base (2 MiB aligned)                                  base + bytes
//!    |--skipped-----|--committed: read, write--|--reserved: no access------|--skipped--|
//! ```
//!
//! Invariants:
//!
//! * `base % CHUNK_BYTES == 0`, `bytes % CHUNK_BYTES == 0`, and the whole range lies inside the mapping;
//! * memory is zero when it is committed first, and again after it was released;
//! * a refused call changes nothing that a second try would not change again: every call here may be repeated.
//!
//! Every failure is an [`OsError`]. Huge page advice alone may fail unseen, since nothing but speed hangs on it; the
//! refusals are counted.
//!
//! Deliberately absent: which parts are committed. The page heap keeps that book; here stands only the highest
//! committed byte, for the sake of unpoisoning.

#![allow(unsafe_code)]

#[cfg(feature = "fault-inject")]
pub mod fault;

mod fork;

mod pattern;

use std::ffi::c_void;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use memmap2::{MmapOptions, MmapRaw};
use rustix::io::Errno;
use rustix::mm::{Advice, MprotectFlags};

use crate::error::{OsCall, OsError};
use crate::size_class::{CHUNK_BYTES, PAGE_BYTES};

pub use fork::ForkMark;

/// Address space of the heap, committed and released by parts. Dropping it unmaps everything.
pub struct Reservation {
    /// The mapping with its slack on both sides. Written at birth.
    mapping: MmapRaw,
    /// Bytes between the mapping's begin and `base`. Written at birth.
    skipped_bytes: usize,
    /// Usable length. Written at birth.
    bytes: usize,
    /// End of the highest part that was ever committed, as an offset. Written by `commit`, read by `drop`.
    committed_end: AtomicUsize,
    /// How often huge pages were refused. Written by `commit`.
    huge_refusals: AtomicU64,
}

impl Reservation {
    /// Reserves address space without memory behind it, rounded up to whole chunks. When the system refuses, half as
    /// much is tried, down to `bytes_min`; the error of the last try is returned.
    pub fn new(bytes_wanted: usize, bytes_min: usize) -> Result<Reservation, OsError> {
        let bytes_min = bytes_min.max(1);
        let mut bytes = bytes_wanted.max(bytes_min);
        loop {
            let error = match Reservation::try_new(bytes) {
                Ok(reservation) => return Ok(reservation),
                Err(error) => error,
            };
            if bytes == bytes_min {
                return Err(error);
            }
            bytes = (bytes / 2).max(bytes_min);
        }
    }

    fn try_new(bytes: usize) -> Result<Reservation, OsError> {
        let refused = out_of_memory(OsCall::Reserve);
        let bytes = bytes.checked_next_multiple_of(CHUNK_BYTES).ok_or(refused)?;
        let mapped_bytes = bytes.checked_add(CHUNK_BYTES).ok_or(refused)?;
        let mapping = map_zeroed(OsCall::Reserve, mapped_bytes)?;
        // The address leaves the world of pointers here, once; whoever turns an address of the heap back into a
        // pointer finds the provenance exposed.
        let address = mapping.as_mut_ptr().expose_provenance();
        let reservation = Reservation {
            skipped_bytes: address.next_multiple_of(CHUNK_BYTES) - address,
            mapping,
            bytes,
            committed_end: AtomicUsize::new(0),
            huge_refusals: AtomicU64::new(0),
        };
        #[cfg(feature = "fault-inject")]
        fault::strike(OsCall::Protect)?;
        // SAFETY: the range is exactly the fresh mapping, which nothing refers to yet.
        let closed = unsafe {
            rustix::mm::mprotect(
                reservation.mapping.as_mut_ptr().cast::<c_void>(),
                reservation.mapping.len(),
                MprotectFlags::empty(),
            )
        };
        checked(OsCall::Protect, closed)?;
        Ok(reservation)
    }

    /// Address of the first byte, a multiple of the chunk.
    #[inline]
    pub fn base(&self) -> usize {
        self.pointer(0).addr()
    }

    /// Usable length, a multiple of the chunk.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The byte at this offset, with the provenance of the mapping. Valid for access only while the offset lies in a
    /// committed part.
    #[inline]
    pub fn pointer(&self, offset: usize) -> *mut u8 {
        self.mapping
            .as_mut_ptr()
            .wrapping_add(self.skipped_bytes)
            .wrapping_add(offset)
    }

    /// How often the system refused huge pages for a part that it committed.
    pub fn huge_refusals(&self) -> u64 {
        self.huge_refusals.load(Relaxed)
    }

    /// Makes a range of offsets readable and writable. It is zero unless it was committed before and not released
    /// since. Both ends are multiples of the page.
    pub fn commit(&self, range: Range<usize>) -> Result<(), OsError> {
        let (start, bytes) = self.part(OsCall::Commit, &range)?;
        #[cfg(feature = "fault-inject")]
        fault::strike(OsCall::Commit)?;
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: `part` has checked that the range lies inside this mapping; giving access takes nothing from anyone.
        let opened = unsafe { rustix::mm::mprotect(start, bytes, access) };
        checked(OsCall::Commit, opened)?;
        self.committed_end.fetch_max(range.end, Relaxed);
        if self.advise_huge(start, bytes).is_err() {
            self.huge_refusals.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn advise_huge(&self, start: *mut c_void, bytes: usize) -> Result<(), OsError> {
        #[cfg(feature = "fault-inject")]
        fault::strike(OsCall::AdviseHuge)?;
        // SAFETY: the caller got the range from `part`, so it lies inside this mapping; the advice changes no content.
        let advised = unsafe { rustix::mm::madvise(start, bytes, Advice::LinuxHugepage) };
        checked(OsCall::AdviseHuge, advised)
    }

    /// Gives the memory of a range of offsets back. The range stays committed and reads as zero from now on. Both ends
    /// are multiples of the page.
    pub fn release(&self, range: Range<usize>) -> Result<(), OsError> {
        let (start, bytes) = self.part(OsCall::Release, &range)?;
        #[cfg(feature = "fault-inject")]
        fault::strike(OsCall::Release)?;
        // SAFETY: `part` has checked that the range lies inside this mapping, whose bytes are reached by raw pointers
        // alone; whoever dereferences one there answers for the slot being in use, and pages in use are not released.
        let released = unsafe { rustix::mm::madvise(start, bytes, Advice::LinuxDontNeed) };
        checked(OsCall::Release, released)
    }

    /// Pointer and length of a range of offsets; refuses one that is empty, unaligned or reaches outside.
    fn part(&self, call: OsCall, range: &Range<usize>) -> Result<(*mut c_void, usize), OsError> {
        let is_aligned =
            range.start.is_multiple_of(PAGE_BYTES) && range.end.is_multiple_of(PAGE_BYTES);
        if range.start >= range.end || range.end > self.bytes || !is_aligned {
            return Err(OsError {
                call,
                errno: Errno::INVAL.raw_os_error(),
            });
        }
        Ok((
            self.pointer(range.start).cast::<c_void>(),
            range.end - range.start,
        ))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // The address range may serve a later mapping, which must not inherit our poison.
        unpoison(self.base(), self.committed_end.load(Relaxed));
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reservation")
            .field("base", &format_args!("{:#x}", self.base()))
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A zeroed mapping for a side table. Memory stands behind a page of it only once the page is written.
pub struct Mapped {
    mapping: MmapRaw,
}

impl Mapped {
    /// Maps this many bytes of zeros.
    pub fn zeroed(bytes: usize) -> Result<Mapped, OsError> {
        let mapping = map_zeroed(OsCall::MapTable, bytes)?;
        advise_huge_behind(&mapping);
        Ok(Mapped { mapping })
    }

    /// The first byte. Aligned to at least 4096 bytes, valid for reads and writes of [`Mapped::bytes`] bytes for as
    /// long as this value lives.
    #[inline]
    pub fn pointer(&self) -> *mut u8 {
        self.mapping.as_mut_ptr()
    }

    /// Length of the mapping.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.mapping.len()
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mapped")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Advises huge pages for a table behind its first two megabytes, which are all that a small heap writes: those of the
/// state table speak of 32 MiB. A marker goes through the tables of a large heap at random.
fn advise_huge_behind(mapping: &MmapRaw) {
    let first = mapping.as_mut_ptr().addr();
    let start = (first + CHUNK_BYTES).next_multiple_of(CHUNK_BYTES);
    let end = (first + mapping.len()) / CHUNK_BYTES * CHUNK_BYTES;
    if start >= end {
        return;
    }
    let behind = mapping.as_mut_ptr().wrapping_add(start - first);
    // SAFETY: the range lies inside the mapping, to which nothing refers yet; the advice changes no content.
    let _either_way =
        unsafe { rustix::mm::madvise(behind.cast(), end - start, Advice::LinuxHugepage) };
}

fn map_zeroed(call: OsCall, bytes: usize) -> Result<MmapRaw, OsError> {
    #[cfg(feature = "fault-inject")]
    fault::strike(call)?;
    let mapped = MmapOptions::new().len(bytes).no_reserve_swap().map_anon();
    match mapped {
        Ok(mapping) => Ok(MmapRaw::from(mapping)),
        // A length beyond `isize` is refused before it reaches the system and carries no error number.
        Err(error) => Err(OsError {
            call,
            errno: error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error()),
        }),
    }
}

/// The refusal of a length that no address space holds, made here because the system cannot even be asked.
pub(crate) fn out_of_memory(call: OsCall) -> OsError {
    OsError {
        call,
        errno: Errno::NOMEM.raw_os_error(),
    }
}

fn checked(call: OsCall, result: Result<(), Errno>) -> Result<(), OsError> {
    result.map_err(|errno| OsError {
        call,
        errno: errno.raw_os_error(),
    })
}

#[cfg(softfail_asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(address: *const c_void, bytes: usize);
    fn __asan_unpoison_memory_region(address: *const c_void, bytes: usize);
}

/// Tells AddressSanitizer that nobody may touch these bytes. They lie in a committed part of a live reservation. Does
/// nothing unless the build sets `softfail_asan`.
#[inline]
pub fn poison(address: usize, bytes: usize) {
    #[cfg(softfail_asan)]
    // SAFETY: the call writes shadow memory alone and never follows the pointer.
    unsafe {
        __asan_poison_memory_region(std::ptr::without_provenance(address), bytes);
    }
    #[cfg(not(softfail_asan))]
    let _ = (address, bytes);
}

/// Tells AddressSanitizer that these bytes may be touched again. Does nothing unless the build sets `softfail_asan`.
#[inline]
pub fn unpoison(address: usize, bytes: usize) {
    #[cfg(softfail_asan)]
    // SAFETY: the call writes shadow memory alone and never follows the pointer.
    unsafe {
        __asan_unpoison_memory_region(std::ptr::without_provenance(address), bytes);
    }
    #[cfg(not(softfail_asan))]
    let _ = (address, bytes);
}

#[cfg(test)]
mod tests;
