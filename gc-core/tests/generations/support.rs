//! The support of the threaded tests, but that heaps have generations.

use gc_core::{Builder, CheckLevel, Driver, Heap};

use crate::plain;
pub(crate) use crate::plain::*;

/// The smallest nursery, so that cycles come often.
pub(crate) const NURSERY_BYTES: usize = 64 << 10;

pub(crate) fn builder(driver: Driver) -> Builder {
    plain::builder(driver).generational(NURSERY_BYTES)
}

pub(crate) fn paranoid(driver: Driver) -> Heap {
    builder(driver)
        .checks(CheckLevel::Paranoid)
        .build()
        .unwrap()
}
