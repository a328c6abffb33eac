//! What the machine does to a thread that uses no heap: how long it is kept from running.
//!
//! Two threads look at the clock and do nothing else. A pause of a mutator that lies across such a gap
//! is as long as the gap, whatever the heap does; so the longest pause says something of the heap only
//! where it exceeds the longest gap.

use std::thread;
use std::time::{Duration, Instant};

use super::{Extent, Figure};
use crate::error::Error;

/// A mutator and a collector thread.
const THREADS: usize = 2;
/// What a mutator's longest pause should stay below.
const GAP: Duration = Duration::from_millis(1);

/// The longest gap between two looks at the clock, and gaps of [`GAP`] or more.
fn gaps(time: Duration) -> (Duration, u32) {
    let begun = Instant::now();
    let (mut last, mut longest, mut long) = (begun, Duration::ZERO, 0);
    while last - begun < time {
        let now = Instant::now();
        let gap = now - last;
        longest = longest.max(gap);
        long += u32::from(gap >= GAP);
        last = now;
    }
    (longest, long)
}

pub(super) fn measure(
    extent: Extent,
    tell: &mut dyn FnMut(Figure) -> Result<(), Error>,
) -> Result<(), Error> {
    let time = Duration::from_millis(extent.gap_ms);
    let gaps = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| gaps(time))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join())
            .collect::<Result<Vec<_>, _>>()
    });
    let gaps = gaps.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let longest = gaps.iter().map(|(longest, _)| *longest).max();
    let longest_ns = longest.unwrap_or_default().as_nanos() as f64;
    let long: u32 = gaps.iter().map(|(_, long)| long).sum();
    let seconds = time.as_secs_f64() * THREADS as f64;
    tell(Figure::new("machine_gap_max", "ns", longest_ns))?;
    let rate = Figure::new("machine_gaps_of_1_ms", "gaps/s", f64::from(long) / seconds);
    tell(rate)
}
