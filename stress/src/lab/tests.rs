//! What recording, replay and shrinking promise.

use gc_core::{CheckLevel, Policy};

use super::*;
use crate::makefunc::{self, Recording};
use crate::ops::Expected;
use crate::options::Options;

/// A short run of the incident, recorded.
fn recorded(options: &Options) -> (Program, Vec<Expected>) {
    let (_, Recording(recording)) = makefunc::record(options, &mut |_| {}).unwrap();
    recording
}

fn options(seed: u64, level: CheckLevel, threads: usize) -> Options {
    Options {
        ops: 400,
        checks: level.into(),
        threads,
        ..Options::new(seed)
    }
}

fn setup(options: &Options) -> Setup {
    Setup {
        policy: Policy::COUNT,
        checks: options.checks,
        reserve_bytes: 4 << 30,
    }
}

#[test]
fn a_recording_replays_with_the_same_violations_at_the_same_operations() {
    let mut met = 0;
    for level in CheckLevel::ALL {
        for (seed, threads) in [(1, 1), (2, 1), (3, 2)] {
            let options = options(seed, *level, threads);
            let (program, expected) = recorded(&options);
            let outcome = run(&program, &setup(&options)).unwrap();
            assert!(
                outcome.skipped.is_empty(),
                "{level} {seed}: {:?}",
                outcome.skipped
            );
            met += expected.len();
            assert_eq!(outcome.expected(), expected, "{level} {seed} {threads}");
            assert_eq!(outcome.lost, []);
        }
    }
    assert!(met > 50);
}
