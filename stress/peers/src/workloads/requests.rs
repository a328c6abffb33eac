//! A server: a table of live entries, and requests that read some and replace some.
//!
//! A closed loop on one thread: a request begins when the one before it has ended, so that a pause delays one request
//! alone.

use std::time::Instant;

use hdrhistogram::Histogram;

use super::Outcome;
use crate::peer::{Peer, Setup, Variant};
use crate::random::Random;
use crate::size::Size;

const READ: usize = 8;
const REPLACED: usize = 4;
const ENTRIES_OF_A_TURN: usize = 64;
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// A chain of two entries in a slot: about 200 bytes.
fn fill<P: Peer>(cx: P::Cx<'_>, slot: usize, random: &mut Random) {
    let key = random.below(1 << 20);
    let second = P::entry(cx, key + 1, 4 + random.index(8), None);
    let first = P::entry(cx, key, 4 + random.index(8), Some(second));
    P::put_entry(cx, slot, first);
}

fn serve<P: Peer>(cx: P::Cx<'_>, entries: usize, random: &mut Random) -> u64 {
    let mut seen = 0u64;
    for _ in 0..READ {
        seen = seen.wrapping_add(P::sum_entry(cx, random.index(entries)));
    }
    for _ in 0..REPLACED {
        fill::<P>(cx, random.index(entries), random);
    }
    seen
}

/// Latencies in microseconds, and requests a second.
pub fn run<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let entries = size.entries;
    let mut heap = P::heap(&Setup {
        node_slots: 1,
        entry_slots: entries,
        is_server: true,
        variant,
    });
    let mut random = Random::new(2);
    for first in (0..entries).step_by(ENTRIES_OF_A_TURN) {
        P::turn(&mut heap, |cx| {
            for slot in first..entries.min(first + ENTRIES_OF_A_TURN) {
                fill::<P>(cx, slot, &mut random);
            }
        });
    }
    let mut latencies =
        Histogram::<u64>::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("the bounds are sound");
    let mut seen = 0u64;
    let started = Instant::now();
    let mut last = started;
    for _ in 0..size.requests {
        let of_this = P::turn(&mut heap, |cx| serve::<P>(cx, entries, &mut random));
        seen = seen.wrapping_add(of_this);
        let now = Instant::now();
        latencies.saturating_record((now - last).as_nanos() as u64);
        last = now;
    }
    let seconds = started.elapsed().as_secs_f64();
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    Outcome::new(seen)
        .with("throughput", "1/s", size.requests as f64 / seconds)
        .with("p50", "us", micros(0.5))
        .with("p99", "us", micros(0.99))
        .with("p99.9", "us", micros(0.999))
        .with("p99.99", "us", micros(0.9999))
        .with("max", "us", micros(1.0))
}
