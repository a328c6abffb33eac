//! Under which driver and which limits, and with which nursery, a program is carried out.
//!
//! Drawn for each program, as everything else of it is. Both drivers do the same every time on one thread, so that what
//! is found is found again. Limits are as small as programs are: some are met, and then an allocation is refused
//! that the next collection makes room for.

use gc_core::Driver;

use super::chooser::Chooser;
use crate::driver::DriverChoice;
use crate::ops::Regime;

/// Limits, from one that a handful of kinds fills with a span each to one that few programs meet.
const LIMITS: [usize; 5] = [1 << 15, 1 << 16, 3 << 15, 1 << 17, 1 << 19];
/// Nurseries: the smallest, which an incremental driver fills at times, and one that only requests make use of.
const NURSERIES: [usize; 2] = [1 << 16, 1 << 22];
/// Soft limits, in quarters of the limit or of the smallest one.
const QUARTERS: [usize; 3] = [1, 2, 3];

pub(super) fn draw(chooser: &mut Chooser<'_>) -> Regime {
    let driver = if chooser.one_in(3) {
        DriverChoice(Driver::Incremental)
    } else {
        DriverChoice::MANUAL
    };
    let is_limited = chooser.one_in(3);
    let limit_bytes = chooser.pick(&LIMITS).filter(|_| is_limited);
    let is_soft = chooser.one_in(3);
    let quarters = chooser.pick(&QUARTERS).filter(|_| is_soft);
    let is_generational = chooser.one_in(2);
    let nursery_bytes = chooser.pick(&NURSERIES).filter(|_| is_generational);
    let whole = limit_bytes.unwrap_or(LIMITS[0]);
    Regime {
        driver,
        limit_bytes,
        soft_limit_bytes: quarters.map(|quarters| whole / 4 * quarters),
        nursery_bytes,
    }
}
