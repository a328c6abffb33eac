//! The arithmetic of the tables: intervals of rates, and the middle and the ends of distances.
//!
//! Used by `tally` and `promise` when all cases are in. Deliberately absent: anything that knows what
//! is being counted.

/// The normal quantile of a two-sided interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Both ends of the 95 % interval of a rate, as shares of one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Wilson's score interval of `successes` in `trials`: right also for few trials and for rates near
/// nothing and all, where the usual approximation is not. `None` without a trial.
pub(crate) fn wilson(successes: u64, trials: u64) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let (n, rate) = (trials as f64, successes.min(trials) as f64 / trials as f64);
    let square = Z * Z;
    let centre = rate + square / (2.0 * n);
    let margin = Z * (rate * (1.0 - rate) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    Some(Interval {
        low: ((centre - margin) / scale).clamp(0.0, 1.0),
        high: ((centre + margin) / scale).clamp(0.0, 1.0),
    })
}

/// The middle and the far end of some distances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spread {
    pub(crate) median: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// The spread of some values, by the nearest rank. `None` without a value.
pub(crate) fn spread(values: &[u64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    Some(Spread {
        median: at(50),
        p99: at(99),
        max: sorted[last],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: Option<Interval>, low: f64, high: f64) -> bool {
        found
            .is_some_and(|found| (found.low - low).abs() < 5e-4 && (found.high - high).abs() < 5e-4)
    }

    /// The values that Newcombe gives for the method (Statistics in Medicine 17, 1998, table I).
    #[test]
    fn wilson_gives_the_published_intervals() {
        assert!(is_near(wilson(81, 263), 0.2553, 0.3662));
        assert!(is_near(wilson(15, 148), 0.0624, 0.1605));
        assert!(is_near(wilson(0, 20), 0.0, 0.1611));
        assert!(is_near(wilson(1, 29), 0.0061, 0.1718));
    }

    #[test]
    fn an_interval_holds_its_rate_and_mirrors() {
        for trials in 1..60 {
            for successes in 0..=trials {
                let found = wilson(successes, trials).unwrap();
                let other = wilson(trials - successes, trials).unwrap();
                let rate = successes as f64 / trials as f64;
                assert!(found.low <= rate + 1e-12 && rate <= found.high + 1e-12);
                assert!((found.low - (1.0 - other.high)).abs() < 1e-9);
            }
        }
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn a_spread_takes_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let all = spread(&hundred).unwrap();
        assert_eq!((all.median, all.p99, all.max), (50, 99, 100));
        let one = spread(&[7]).unwrap();
        assert_eq!((one.median, one.p99, one.max), (7, 7, 7));
        assert_eq!(spread(&[]), None);
    }
}
