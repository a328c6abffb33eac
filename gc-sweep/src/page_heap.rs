//! Which pages of the reservation are free, in use, released or not yet committed.
//!
//! Owns the book of pages and no memory: it deals in page numbers, and the caller's callbacks do what the numbers say.
//! A space keeps it behind a lock and comes here from any thread, in any phase, to cut a span, to give an empty one
//! back and, once a cycle, to release memory.
//!
//! ```text
//! 0            free and used runs, some free chunks released            frontier          pages_reserved
//! |--used--|--free--|--used--|--free----[released chunk]--|--used--|--free--|------never committed------|
//! ```
//!
//! Invariants ([`PageHeap::imbalance`] walks them):
//!
//! * runs in use and free runs, each in its map, cover the pages below the frontier exactly once;
//! * no free run touches another: neighbours coalesce when a run is freed;
//! * the frontier is a multiple of the chunk, and every page below it was committed once;
//! * a released chunk lies wholly inside a free run;
//! * `pages_in_use` is the sum of the runs in use and never exceeds the limit.
//!
//! A run is the shortest free one that fits and of those the one at the lowest address, so that the high end of the
//! heap falls empty first. The frontier moves only when no free run fits. Every refusal, of a caller's mistake and of
//! the operating system alike, leaves the book as it was.
//!
//! Deliberately absent: spans, and any order that is not that of the page numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::error::{AllocError, OsError, PageFreeError};
use crate::size_class::{CHUNK_PAGES, PAGE_BYTES};

/// The sizes of a page heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageHeapConfig {
    /// Pages of the reservation; rounded down to whole chunks.
    pub pages_reserved: u32,
    /// How many pages may be in use at once.
    pub pages_limit: Option<u32>,
    /// Free chunks that keep their memory, so that a heap that breathes does not fault its pages in each time.
    pub chunks_kept_min: u32,
}

/// Where the pages of the reservation are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PageUsage {
    /// Pages of the reservation.
    pub pages_reserved: u32,
    /// Pages in runs that were handed out and not freed.
    pub pages_in_use: u32,
    /// Pages that are committed and not released.
    pub pages_committed: u32,
    /// Pages whose memory was given back and which nobody has taken since.
    pub pages_released: u32,
    /// Released chunks that came into use again, in all.
    pub chunks_reused: u64,
}

/// What [`PageHeap::release_free_chunks`] did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[must_use = "a failure to release is reported by nobody else"]
pub struct Released {
    /// Chunks whose memory was given back.
    pub chunks: u32,
    /// The refusal that ended the work early. The chunk that it concerns keeps its memory.
    pub failure: Option<OsError>,
}

/// A run of pages: the first one, and how many.
#[derive(Clone, Copy)]
struct Run {
    first: u32,
    pages: u32,
}

/// The book of pages.
#[derive(Debug)]
pub struct PageHeap {
    /// Fixed at birth.
    config: PageHeapConfig,
    /// First page that was never committed.
    frontier: u32,
    /// Free runs: first page to length.
    free: BTreeMap<u32, u32>,
    /// The same runs as (length, first page): the best fit is the first at or behind (wanted length, 0).
    free_by_pages: BTreeSet<(u32, u32)>,
    /// Runs in use: first page to length. A free must name one exactly, so that a caller with a damaged length cannot
    /// give a neighbour's pages away.
    used: BTreeMap<u32, u32>,
    /// Numbers of the released chunks.
    released: BTreeSet<u32>,
    /// Sum of the lengths in `used`.
    pages_in_use: u32,
    /// Chunks that left `released` because a run took them.
    chunks_reused: u64,
}

/// The bytes of these pages, as offsets into the reservation.
pub fn bytes_of_pages(pages: Range<u32>) -> Range<usize> {
    pages.start as usize * PAGE_BYTES..pages.end as usize * PAGE_BYTES
}

/// How many pages hold this many bytes; `None` if no heap has so many.
pub fn pages_for_bytes(bytes: usize) -> Option<u32> {
    u32::try_from(bytes.div_ceil(PAGE_BYTES)).ok()
}

impl PageHeap {
    /// A heap with nothing committed.
    pub fn new(config: PageHeapConfig) -> PageHeap {
        let pages_reserved = config.pages_reserved - config.pages_reserved % CHUNK_PAGES;
        PageHeap {
            config: PageHeapConfig {
                pages_reserved,
                ..config
            },
            frontier: 0,
            free: BTreeMap::new(),
            free_by_pages: BTreeSet::new(),
            used: BTreeMap::new(),
            released: BTreeSet::new(),
            pages_in_use: 0,
            chunks_reused: 0,
        }
    }

    /// Takes a run of pages and returns its first page. When the frontier has to move, `commit` is called once with the
    /// whole chunks that it moves over, and a refusal is returned with the book unchanged. A request for no pages
    /// takes one, so that every run has an address of its own.
    ///
    /// The pages read as zero only if they were never used or come from a released chunk; nobody may count on it.
    pub fn alloc(
        &mut self,
        pages: u32,
        commit: impl FnOnce(Range<u32>) -> Result<(), OsError>,
    ) -> Result<u32, AllocError> {
        let pages = pages.max(1);
        self.admit(pages)?;
        let run = match self.best_fit(pages) {
            Some(run) => run,
            None => self.grow(pages, commit)?,
        };
        self.take(run, pages);
        Ok(run.first)
    }

    /// Gives a run back. It must be a run in use, whole.
    pub fn free(&mut self, first_page: u32, pages: u32) -> Result<(), PageFreeError> {
        if first_page
            .checked_add(pages)
            .is_none_or(|end| end > self.frontier)
        {
            return Err(PageFreeError::OutOfRange {
                first_page,
                pages,
                pages_frontier: self.frontier,
            });
        }
        match self.used.get(&first_page) {
            None => return Err(PageFreeError::NotInUse { first_page }),
            Some(&pages_in_use) if pages_in_use != pages => {
                return Err(PageFreeError::WrongLength {
                    first_page,
                    pages,
                    pages_in_use,
                });
            }
            Some(_) => self.used.remove(&first_page),
        };
        self.pages_in_use -= pages;
        self.join(Run {
            first: first_page,
            pages,
        });
        Ok(())
    }

    /// Gives the memory of whole free chunks back, from the highest address down, at most `budget` of them, and calls
    /// `release` with the pages of each. The lowest free chunks are kept up to the configured minimum. The first
    /// refusal ends the work.
    pub fn release_free_chunks(
        &mut self,
        budget: u32,
        mut release: impl FnMut(Range<u32>) -> Result<(), OsError>,
    ) -> Released {
        let resident: Vec<u32> = self
            .free
            .iter()
            .flat_map(|(&first, &pages)| first.div_ceil(CHUNK_PAGES)..(first + pages) / CHUNK_PAGES)
            .filter(|chunk| !self.released.contains(chunk))
            .collect();
        let candidates = resident.iter().skip(self.config.chunks_kept_min as usize);
        let mut outcome = Released::default();
        for &chunk in candidates.rev().take(budget as usize) {
            let first = chunk * CHUNK_PAGES;
            if let Err(error) = release(first..first + CHUNK_PAGES) {
                outcome.failure = Some(error);
                break;
            }
            self.released.insert(chunk);
            outcome.chunks += 1;
        }
        outcome
    }

    /// Where the pages are now.
    pub fn usage(&self) -> PageUsage {
        let pages_released = self.released.len() as u32 * CHUNK_PAGES;
        PageUsage {
            pages_reserved: self.config.pages_reserved,
            pages_in_use: self.pages_in_use,
            pages_committed: self.frontier - pages_released,
            pages_released,
            chunks_reused: self.chunks_reused,
        }
    }

    /// The first page that was never committed. No span begins at or behind it.
    pub fn frontier(&self) -> u32 {
        self.frontier
    }

    /// The runs in use, as first page and length, in the order of their pages.
    pub fn used_runs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.used.iter().map(|(&first, &pages)| (first, pages))
    }

    /// Refuses what the limit or the reservation can never or not now hold.
    fn admit(&self, pages: u32) -> Result<(), AllocError> {
        let pages_limit = self.config.pages_limit.unwrap_or(u32::MAX);
        let pages_max = pages_limit.min(self.config.pages_reserved);
        let requested_bytes = pages as usize * PAGE_BYTES;
        if pages > pages_max {
            return Err(AllocError::TooLarge {
                requested_bytes,
                bytes_max: pages_max as usize * PAGE_BYTES,
            });
        }
        // Cannot wrap: no limit lets more than `pages_limit` pages come into use.
        if pages > pages_limit - self.pages_in_use {
            return Err(AllocError::Limit {
                requested_bytes,
                limit_bytes: pages_limit as usize * PAGE_BYTES,
                bytes_in_use: self.pages_in_use as usize * PAGE_BYTES,
            });
        }
        Ok(())
    }

    fn best_fit(&self, pages: u32) -> Option<Run> {
        let &(pages, first) = self.free_by_pages.range((pages, 0)..).next()?;
        Some(Run { first, pages })
    }

    /// Moves the frontier until the run that ends there is long enough, and returns that run.
    fn grow(
        &mut self,
        pages: u32,
        commit: impl FnOnce(Range<u32>) -> Result<(), OsError>,
    ) -> Result<Run, AllocError> {
        let first = match self.free.last_key_value() {
            Some((&first, &pages)) if first + pages == self.frontier => first,
            _ => self.frontier,
        };
        let exhausted = AllocError::Exhausted {
            requested_bytes: pages as usize * PAGE_BYTES,
            reserve_bytes: self.config.pages_reserved as usize * PAGE_BYTES,
        };
        let frontier = first
            .checked_add(pages)
            .and_then(|end| end.checked_next_multiple_of(CHUNK_PAGES))
            .filter(|&frontier| frontier <= self.config.pages_reserved)
            .ok_or(exhausted)?;
        commit(self.frontier..frontier)?;
        let fresh = Run {
            first: self.frontier,
            pages: frontier - self.frontier,
        };
        self.frontier = frontier;
        Ok(self.join(fresh))
    }

    /// Moves the front of a free run into use.
    fn take(&mut self, run: Run, pages: u32) {
        self.remove_free(run);
        if run.pages > pages {
            self.insert_free(Run {
                first: run.first + pages,
                pages: run.pages - pages,
            });
        }
        self.used.insert(run.first, pages);
        self.pages_in_use += pages;
        let chunks = run.first / CHUNK_PAGES..=(run.first + pages - 1) / CHUNK_PAGES;
        while let Some(&chunk) = self.released.range(chunks.clone()).next() {
            self.released.remove(&chunk);
            self.chunks_reused += 1;
        }
    }

    /// Adds a free run, joined with the free runs that it touches, and returns the whole.
    fn join(&mut self, run: Run) -> Run {
        let mut whole = run;
        if let Some((&first, &pages)) = self.free.range(..run.first).next_back()
            && first + pages == run.first
        {
            self.remove_free(Run { first, pages });
            whole = Run {
                first,
                pages: pages + run.pages,
            };
        }
        let end = run.first + run.pages;
        if let Some(&pages) = self.free.get(&end) {
            self.remove_free(Run { first: end, pages });
            whole.pages += pages;
        }
        self.insert_free(whole);
        whole
    }

    fn insert_free(&mut self, run: Run) {
        self.free.insert(run.first, run.pages);
        self.free_by_pages.insert((run.pages, run.first));
    }

    fn remove_free(&mut self, run: Run) {
        self.free.remove(&run.first);
        self.free_by_pages.remove(&(run.pages, run.first));
    }

    /// Walks the whole book and names the first invariant that does not hold. For tests and for reports of a heap that
    /// is already in doubt: it takes time in proportion to the number of runs.
    pub fn imbalance(&self) -> Option<&'static str> {
        let by_pages: BTreeSet<(u32, u32)> = self
            .free
            .iter()
            .map(|(&first, &pages)| (pages, first))
            .collect();
        if by_pages != self.free_by_pages {
            return Some("the two indices of free runs differ");
        }
        let mut runs: Vec<(u32, u32, Kind)> = Vec::new();
        runs.extend(
            self.used
                .iter()
                .map(|(&first, &pages)| (first, pages, Kind::Used)),
        );
        runs.extend(
            self.free
                .iter()
                .map(|(&first, &pages)| (first, pages, Kind::Free)),
        );
        runs.sort_unstable_by_key(|&(first, ..)| first);
        let mut next = 0;
        let mut before = Kind::Used;
        for &(first, pages, kind) in &runs {
            if first != next || pages == 0 {
                return Some("runs overlap or leave a gap");
            }
            if kind == Kind::Free && before == Kind::Free {
                return Some("two free runs touch");
            }
            next = first + pages;
            before = kind;
        }
        if next != self.frontier || !self.frontier.is_multiple_of(CHUNK_PAGES) {
            return Some("the runs do not end at the frontier");
        }
        if self.pages_in_use != self.used.values().sum::<u32>() {
            return Some("pages in use are counted wrongly");
        }
        let is_inside_free = |chunk: &u32| {
            let first = chunk * CHUNK_PAGES;
            let run = self.free.range(..=first).next_back();
            run.is_some_and(|(&start, &pages)| start + pages >= first + CHUNK_PAGES)
        };
        (!self.released.iter().all(is_inside_free)).then_some("a released chunk is in use")
    }
}

/// What a run is, for the walk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Used,
    Free,
}
