//! The words of a record while its heap lives, and what may be done to one of them at a time.
//!
//! Owns the one unsafe thing of the record: words of a file that is mapped shared. Written by
//! recorders from any thread in any phase. Invariants: every access is one atomic operation on one
//! whole word, so that a process can end before it or after it and never inside; nothing outside the
//! mapping is touched. Deliberately absent: the order in which words are written, which is the
//! writer's.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use memmap2::{MmapOptions, MmapRaw};

use super::layout::{FILE_BYTES, WORD_BYTES};

/// What a writer does to the words of a record. Places are offsets in bytes.
pub(super) trait Words {
    /// Reads a word, and with it all that was stored before it was published.
    fn load(&self, at: usize) -> u64;

    /// Writes a word that something published later will speak for.
    fn store(&self, at: usize, value: u64);

    /// Writes a word after all that was stored before.
    fn publish(&self, at: usize, value: u64);

    /// Writes a word if it still is what it was. Whoever succeeds writes what follows it alone.
    fn claim(&self, at: usize, current: u64, new: u64) -> bool;

    /// Adds one to a word.
    fn count(&self, at: usize);

    /// Makes a word at least this high.
    fn raise(&self, at: usize, value: u64);
}

/// The words of a mapped file.
pub(super) struct Mapped {
    map: MmapRaw,
}

impl Mapped {
    /// Maps the whole of a record, shared with its file.
    pub(super) fn new(file: &File) -> io::Result<Mapped> {
        let map = MmapOptions::new().len(FILE_BYTES).map_raw(file)?;
        Ok(Mapped { map })
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // What lies outside or across two words does not exist: the last word of the file, which no
        // entry of the layout ever names by mistake, stands for it.
        let is_word = at.is_multiple_of(WORD_BYTES) && at < FILE_BYTES;
        debug_assert!(is_word, "no word at {at}");
        let at = if is_word { at } else { FILE_BYTES - WORD_BYTES };
        // SAFETY: the mapping is `FILE_BYTES` long and `at` lies inside.
        let word = unsafe { self.map.as_mut_ptr().add(at) };
        // SAFETY: the mapping begins at a page, so the word is aligned; it is valid for as long as the
        // mapping, which outlives the borrow; this process reaches it through atomics alone.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }
}

impl Words for Mapped {
    fn load(&self, at: usize) -> u64 {
        // Acquire: pairs with the Release of `publish`.
        self.word(at).load(Acquire)
    }

    fn store(&self, at: usize, value: u64) {
        self.word(at).store(value, Relaxed);
    }

    fn publish(&self, at: usize, value: u64) {
        // Release: pairs with the Acquire of `load`.
        self.word(at).store(value, Release);
    }

    fn claim(&self, at: usize, current: u64, new: u64) -> bool {
        // Acquire keeps what follows from being stored before the claim; it pairs with nothing, since
        // `load` has seen the end of the entry before.
        self.word(at)
            .compare_exchange(current, new, Acquire, Relaxed)
            .is_ok()
    }

    fn count(&self, at: usize) {
        self.word(at).fetch_add(1, Relaxed);
    }

    fn raise(&self, at: usize, value: u64) {
        self.word(at).fetch_max(value, Relaxed);
    }
}
