//! The place of a span among the spans of its class: which list, and between which neighbours.
//!
//! Part of a span's record; written by `lists` alone, under the lock of the class. Relaxed throughout: the lock
//! carries the order.
//!
//! Neighbours and place are two parts, so that a record has no gap between its fields.
//!
//! Invariant: zero means in no list, so that a fresh record is in none.
//!
//! Deliberately absent: the lists.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The list of its class that a span stands in. Written under the lock of the class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Listed {
    /// In none: held by a sweeper, or on its way.
    Nowhere = 0,
    /// Swept, with free slots.
    Partial = 1,
    /// Swept, without.
    Full = 2,
    /// Not yet swept in this cycle.
    Unswept = 3,
    /// Leased.
    Leased = 4,
    /// Quarantined.
    Quarantined = 5,
}

impl Listed {
    /// Those that name a list.
    pub(crate) const LISTS: [Listed; 5] = [
        Listed::Partial,
        Listed::Full,
        Listed::Unswept,
        Listed::Leased,
        Listed::Quarantined,
    ];
}

/// Which list one record is in.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Standing {
    listed: AtomicU8,
    /// Epoch of the class when the span was put into its list.
    epoch: AtomicU8,
}

impl Standing {
    pub(crate) fn reset(&self) {
        self.set(Listed::Nowhere, 0);
    }

    pub(crate) fn listed(&self) -> Listed {
        match self.listed.load(Ordering::Relaxed) {
            1 => Listed::Partial,
            2 => Listed::Full,
            3 => Listed::Unswept,
            4 => Listed::Leased,
            5 => Listed::Quarantined,
            _ => Listed::Nowhere,
        }
    }

    pub(crate) fn epoch(&self) -> u8 {
        self.epoch.load(Ordering::Relaxed)
    }

    #[cfg(feature = "fault-inject")]
    pub(crate) fn fault_set(&self, listed: u8) {
        self.listed.store(listed, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, listed: Listed, epoch: u8) {
        self.listed.store(listed as u8, Ordering::Relaxed);
        self.epoch.store(epoch, Ordering::Relaxed);
    }
}

/// The neighbours of one record in its list.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Link {
    /// As first page + 1; 0 is none.
    next: AtomicU32,
    previous: AtomicU32,
}

impl Link {
    pub(crate) fn reset(&self) {
        self.set_next(None);
        self.set_previous(None);
    }

    pub(crate) fn next(&self) -> Option<u32> {
        self.next.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(crate) fn previous(&self) -> Option<u32> {
        self.previous.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(crate) fn set_next(&self, page: Option<u32>) {
        self.next
            .store(page.map_or(0, |page| page + 1), Ordering::Relaxed);
    }

    pub(crate) fn set_previous(&self, page: Option<u32>) {
        self.previous
            .store(page.map_or(0, |page| page + 1), Ordering::Relaxed);
    }
}
