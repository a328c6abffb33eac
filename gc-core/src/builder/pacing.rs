//! What collections are paced by, from the settings and from the reservation that the system gave.
//!
//! Used once, while a heap is built.

use crate::pacer::Payer;
use crate::progress::Progress;

/// The settings. Limits that are not set are `usize::MAX`.
pub(super) struct Pacing {
    pub(super) payer: Payer,
    pub(super) growth_percent: u32,
    pub(super) soft_limit_bytes: usize,
    pub(super) limit_bytes: usize,
    pub(super) nursery_bytes: Option<usize>,
}

impl Pacing {
    pub(super) fn progress(&self, reserve_bytes: usize) -> Progress {
        let nursery_bytes = self.nursery_bytes.map(|bytes| bytes as u64);
        Progress::new(
            self.payer,
            u64::from(self.growth_percent),
            self.goal_limit_bytes(reserve_bytes),
            nursery_bytes,
        )
    }

    /// Bytes of live objects that the pacer's goal stays below: the soft limit, and an eighth less than
    /// the limit and the reservation, which count the pages of spans, full or not.
    fn goal_limit_bytes(&self, reserve_bytes: usize) -> u64 {
        let hard = self.limit_bytes.min(reserve_bytes);
        self.soft_limit_bytes.min(hard - hard / 8) as u64
    }
}
