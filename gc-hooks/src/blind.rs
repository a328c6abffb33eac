//! Whether a check sees, and whether a site strikes.
//!
//! Asked by everyone, from any thread in any phase. With the feature `fault-inject` the heap's
//! [`Faults`](crate::fault::Faults) answer; without it every check sees and there are no sites.
//! Invariant: without the feature the question is a constant, which leaves no code behind.
//!
//! A blind check is as if it were not there: what it would find is neither reported nor contained, as
//! far as the heap can go on at all. That shows what else finds a fault. Where a check is also what keeps
//! the program from reading memory that is no object, that part of it stays.

use crate::check::Check;
#[cfg(feature = "fault-inject")]
use crate::fault::{Faults, Site};
use crate::hooks::Hooks;

impl Hooks {
    /// Whether a check looks away. Asked before a containment that [`Hooks::holds`] does not decide.
    #[cfg(feature = "fault-inject")]
    #[must_use]
    pub fn is_blind(&self, check: Check) -> bool {
        self.faults.is_blind(check)
    }

    /// Whether a check looks away. Asked before a containment that [`Hooks::holds`] does not decide.
    /// Always false but with the feature `fault-inject`.
    #[cfg(not(feature = "fault-inject"))]
    #[must_use]
    #[inline(always)]
    pub const fn is_blind(&self, _check: Check) -> bool {
        false
    }

    /// Makes a check look away, or look again.
    #[cfg(feature = "fault-inject")]
    pub fn set_blind(&self, check: Check, is_blind: bool) {
        self.faults.set_blind(check, is_blind);
    }

    /// What is armed in this heap, and what has struck.
    #[cfg(feature = "fault-inject")]
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether the fault of a site happens now. Asked by the site, once each time it is passed.
    #[cfg(feature = "fault-inject")]
    #[inline]
    pub fn strikes(&self, site: Site) -> bool {
        self.faults.strike(site)
    }
}
