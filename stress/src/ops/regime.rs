//! Under which driver and limits, and with which nursery, a heap carries a program out: the optional lines of a trace's header.
//!
//! Plain data with its text. Invariants: what is not said is the manual driver, no limit and no nursery, so that files without these
//! lines mean what they always did; what is written reads back as the same regime; a driver whose work depends on
//! threads of its own is none that a trace can name.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use gc_core::Driver;

use crate::driver::DriverChoice;

/// Least and most bytes of a limit, and of a nursery.
const LIMIT_BYTES: RangeInclusive<usize> = 1 << 13..=1 << 40;
const NURSERY_BYTES: RangeInclusive<usize> = 1 << 16..=1 << 40;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regime {
    /// Who advances the collector: the program, or its mutators as well.
    pub driver: DriverChoice,
    /// Bytes of pages beyond which allocations are refused.
    pub limit_bytes: Option<usize>,
    /// Bytes of live objects above which mutators wait for the collector.
    pub soft_limit_bytes: Option<usize>,
    /// Bytes of a nursery; without one every cycle is full.
    pub nursery_bytes: Option<usize>,
}

impl Default for Regime {
    fn default() -> Self {
        Regime {
            driver: DriverChoice::MANUAL,
            limit_bytes: None,
            soft_limit_bytes: None,
            nursery_bytes: None,
        }
    }
}

impl Regime {
    /// Takes the value of a line of the header in. `None` where the line is of none of these keys.
    pub(super) fn take(&mut self, key: &str, value: &str) -> Option<Result<(), String>> {
        match key {
            "driver" => Some(driver(value).map(|driver| self.driver = driver)),
            "limit" => Some(limit(value).map(|bytes| self.limit_bytes = Some(bytes))),
            "soft-limit" => Some(limit(value).map(|bytes| self.soft_limit_bytes = Some(bytes))),
            "nursery" => Some(nursery(value).map(|bytes| self.nursery_bytes = Some(bytes))),
            _ => None,
        }
    }

    /// What is wrong with it as a whole.
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.soft_limit_bytes, self.limit_bytes) {
            (Some(soft), Some(hard)) if soft > hard => Err(format!(
                "a soft limit of {soft} bytes lies above the limit of {hard}"
            )),
            _ => Ok(()),
        }
    }
}

fn driver(text: &str) -> Result<DriverChoice, String> {
    let found = text.parse::<DriverChoice>().ok();
    found
        .filter(|choice| !matches!(choice.0, Driver::Background(_)))
        .ok_or_else(|| {
            format!("`{text}` is no driver that can be replayed: manual and incremental are")
        })
}

fn limit(text: &str) -> Result<usize, String> {
    bytes(text, "limit", LIMIT_BYTES)
}

fn nursery(text: &str) -> Result<usize, String> {
    bytes(text, "nursery", NURSERY_BYTES)
}

fn bytes(text: &str, what: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let found = text.parse().ok().filter(|bytes| range.contains(bytes));
    found.ok_or_else(|| {
        let (least, most) = range.into_inner();
        format!("`{text}` is no {what}: bytes from {least} to {most}")
    })
}

/// The lines of the header that say it, none of the manual driver without limits.
impl Display for Regime {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.driver != DriverChoice::MANUAL {
            writeln!(formatter, "driver {}", self.driver)?;
        }
        if let Some(bytes) = self.limit_bytes {
            writeln!(formatter, "limit {bytes}")?;
        }
        if let Some(bytes) = self.soft_limit_bytes {
            writeln!(formatter, "soft-limit {bytes}")?;
        }
        if let Some(bytes) = self.nursery_bytes {
            writeln!(formatter, "nursery {bytes}")?;
        }
        Ok(())
    }
}
