//! Two hundred types in eight sizes, short lists of each in turn.

use std::time::Instant;

use super::Outcome;
use crate::peer::{Peer, Setup, Variant};
use crate::size::Size;

const LENGTH: u64 = 8;

/// Expands to one call for each of 25 types of `$words` words.
macro_rules! lists {
    ($peer:ident, $cx:ident, $seed:ident, $seen:ident, $words:literal: $($kind:literal)*) => {
        $($seen += $peer::typed_list::<$kind, $words>($cx, LENGTH, $seed);)*
    };
    ($peer:ident, $cx:ident, $seed:ident, $seen:ident, $($words:literal)*) => {
        $(lists!($peer, $cx, $seed, $seen, $words:
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);)*
    };
}

/// Nanoseconds per object.
pub fn run<P: Peer>(size: &Size, variant: Variant) -> Outcome {
    let mut heap = P::heap(&Setup::nodes(1, variant));
    let mut total = 0u64;
    let started = Instant::now();
    for seed in 0..size.type_rounds {
        total += P::turn(&mut heap, |cx| {
            let mut seen = 0u64;
            lists!(P, cx, seed, seen, 1 2 3 5 7 11 15 23);
            seen
        });
    }
    let nanos = started.elapsed().as_nanos() as f64;
    let objects = (size.type_rounds * 200 * LENGTH) as f64;
    Outcome::new(total).with("object", "ns", nanos / objects)
}
