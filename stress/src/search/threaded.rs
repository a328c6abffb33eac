//! Programs with threads that really run at once: short soaks, drawn from the seed and an index.
//!
//! Called by the search for a share of its programs, on its thread; the soak has threads of its own. How these are
//! interleaved is up to the machine, so that such a program cannot be carried out again exactly: what is told of a
//! finding is the command line that does the same with other luck. The oracle is that of the soak, outside the heap.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gc_core::{CheckLevel, Driver};

use super::judge::{Signature, Sort, told};
use crate::driver::DriverChoice;
use crate::error::Error;
use crate::outcome::Site;
use crate::rng::Rng;
use crate::soak::{self, SoakOptions, SoakOutcome};

/// One program in so many has threads.
const ONE_IN: u64 = 16;
/// Operations of all its threads together.
const OPS: std::ops::RangeInclusive<u64> = 200..=1600;
/// Busy threads.
const THREADS: std::ops::RangeInclusive<u64> = 1..=4;
/// Limits in MiB: from one that is met again and again to one that is hardly met.
const LIMITS_MIB: [usize; 3] = [1, 2, 16];
/// The nursery of every other program: the smallest, so that young cycles come often.
const NURSERY_BYTES: usize = 64 << 10;
/// Who may advance the collector.
const DRIVERS: [Driver; 4] = [
    Driver::Incremental,
    Driver::Background(1),
    Driver::Background(2),
    Driver::Background(3),
];

/// What the program of an index is told, if it is one with threads.
pub(super) fn drawn(seed: u64, number: u64, level: Option<CheckLevel>) -> Option<SoakOptions> {
    let mut rng = Rng::of_thread(seed, "search-threads", number);
    if !rng.one_in(ONE_IN) {
        return None;
    }
    let drawn = CheckLevel::ALL[rng.index(CheckLevel::ALL.len())];
    Some(SoakOptions {
        seed: rng.next_u64(),
        minutes: None,
        ops: Some(rng.within(OPS)),
        threads: rng.within(THREADS) as usize,
        driver: DriverChoice(DRIVERS[rng.index(DRIVERS.len())]),
        checks: level.unwrap_or(drawn).into(),
        limit_mib: LIMITS_MIB[rng.index(LIMITS_MIB.len())],
        nursery_bytes: rng.one_in(2).then_some(NURSERY_BYTES),
    })
}

/// The command line that does the same.
pub(super) fn command(options: &SoakOptions) -> String {
    let nursery = options.nursery_bytes;
    let nursery = nursery.map(|bytes| format!(" --nursery-bytes {bytes}"));
    format!(
        "gc-stress soak --seed {} --ops {} --threads {} --driver {} --checks {} --limit-mib {}{}",
        options.seed,
        options.ops.unwrap_or_default(),
        options.threads,
        options.driver,
        options.checks,
        options.limit_mib,
        nursery.unwrap_or_default()
    )
}

/// What one program came to; without an outcome it did not come to its end.
pub(super) fn run(options: &SoakOptions) -> (Option<Signature>, Option<SoakOutcome>) {
    let failed = |sort, detail| Signature {
        sort,
        check: None,
        detail,
    };
    match catch_unwind(AssertUnwindSafe(|| soak::run(options, &mut |_, _| ()))) {
        Err(_) => (Some(failed(Sort::Panicked, None)), None),
        Ok(Err(error)) => (Some(failed(Sort::Refused, Some(refused(&error)))), None),
        Ok(Ok(outcome)) => (signature(&outcome), Some(outcome)),
    }
}

fn refused(error: &Error) -> String {
    format!("a soak: {}", told(error))
}

fn signature(outcome: &SoakOutcome) -> Option<Signature> {
    let sort = match () {
        () if outcome.lost > 0 => Sort::Lost,
        () if outcome.is_damaged() => Sort::Accounts,
        () if outcome.violations_total() > 0 => Sort::Reported,
        () => return None,
    };
    let first = outcome.first.as_ref();
    let site = first.and_then(|first| first.call_site);
    Some(Signature {
        sort,
        check: outcome.violations.first().map(|(check, _)| check.id()),
        detail: Some(site.map_or("a soak".to_string(), |site| Site(site).to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gc_core::Check;

    /// The programs with threads among the first of a seed.
    fn first() -> Vec<SoakOptions> {
        let drawn = (0..4000).filter_map(|number| drawn(1, number, None));
        drawn.collect()
    }

    #[test]
    fn threads_drivers_limits_and_levels_are_all_drawn() {
        let programs = first();
        assert!((150..350).contains(&programs.len()), "{}", programs.len());
        for threads in 1..=4 {
            assert!(programs.iter().any(|one| one.threads == threads));
        }
        for driver in DRIVERS {
            assert!(programs.iter().any(|one| one.driver.0 == driver));
        }
        for limit in LIMITS_MIB {
            assert!(programs.iter().any(|one| one.limit_mib == limit));
        }
        for nursery in [None, Some(NURSERY_BYTES)] {
            assert!(programs.iter().any(|one| one.nursery_bytes == nursery));
        }
        let commands: Vec<String> = programs.iter().map(command).collect();
        assert_eq!(commands, first().iter().map(command).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_oracle_of_a_soak_sees_is_a_finding() {
        let options = SoakOptions {
            ops: Some(60),
            ..first().remove(0)
        };
        let (found, outcome) = run(&options);
        let clean = outcome.unwrap();
        assert_eq!((found, clean.ops), (None, 60));
        let sort = |outcome: &SoakOutcome| signature(outcome).map(|found| found.sort);
        let lost = SoakOutcome {
            lost: 1,
            ..clean.clone()
        };
        let unbalanced = SoakOutcome {
            bytes_left: 8,
            ..clean.clone()
        };
        let reported = SoakOutcome {
            violations: vec![(Check::FreePointer, 2)],
            ..clean
        };
        assert_eq!(sort(&lost), Some(Sort::Lost));
        assert_eq!(sort(&unbalanced), Some(Sort::Accounts));
        assert_eq!(sort(&reported), Some(Sort::Reported));
        let found = signature(&reported).unwrap();
        assert_eq!(found.check, Some(Check::FreePointer.id()));
    }
}
