//! The count of what the oracle looked at and what it found damaged.

use std::ops::AddAssign;

/// Objects compared with what the oracle remembers of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Objects looked at.
    pub checked: u64,
    /// Objects that were not what they should be, or not there.
    pub damaged: u64,
}

impl Audit {
    /// Books one object.
    pub(crate) fn book(&mut self, is_sound: bool) {
        self.checked += 1;
        self.damaged += u64::from(!is_sound);
    }

    /// Books objects that were not found at all.
    pub(crate) fn book_missing(&mut self, objects: u64) {
        self.checked += objects;
        self.damaged += objects;
    }
}

impl AddAssign for Audit {
    fn add_assign(&mut self, other: Audit) {
        self.checked += other.checked;
        self.damaged += other.damaged;
    }
}
