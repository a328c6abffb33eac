//! What recording, replay and shrinking promise.

use std::time::Duration;

use gc_core::{CheckLevel, Policy};

use super::*;
use crate::makefunc::{self, Recording};
use crate::ops::{Expected, Regime};
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
    let nursery_bytes = options.nursery_bytes;
    Setup {
        policy: Policy::COUNT,
        checks: options.checks,
        reserve_bytes: 4 << 30,
        regime: Regime {
            nursery_bytes,
            ..Regime::default()
        },
        stop: Stop::Never,
    }
}

#[test]
fn a_recording_replays_with_the_same_violations_at_the_same_operations() {
    let mut met = 0;
    for level in CheckLevel::ALL {
        let young = Some(1 << 16);
        for (seed, threads, nursery_bytes) in
            [(1, 1, None), (2, 1, young), (3, 2, None), (4, 2, young)]
        {
            let options = Options {
                nursery_bytes,
                ..options(seed, *level, threads)
            };
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

/// A short recording, what it must still show, and how it is carried out.
fn recorded_goal() -> (Program, Goal, Setup) {
    // A seed that finds the bug soon.
    let options = Options {
        ops: 130,
        ..options(38, CheckLevel::Default, 1)
    };
    let (program, _) = recorded(&options);
    let setup = setup(&options);
    let goal = Goal::of(&run(&program, &setup).unwrap()).unwrap();
    (program, goal, setup)
}

#[test]
fn a_recording_shrinks_to_a_story_of_a_dozen_operations() {
    let (program, goal, setup) = recorded_goal();
    assert!(program.ops.len() > 5_000);
    let mut smaller = Vec::new();
    let shrunk = shrink(
        &program,
        &goal,
        &setup,
        Duration::MAX / 4,
        &mut |program, _| {
            smaller.push(program.ops.len());
            Ok(())
        },
    );
    let shrunk = shrunk.unwrap();
    assert!(shrunk.is_minimal && shrunk.program.ops.len() <= 12);
    assert!(smaller.is_sorted_by(|one, next| one >= next), "{smaller:?}");
    let outcome = run(&shrunk.program, &setup).unwrap();
    let met = outcome.first().unwrap();
    assert_eq!(
        (met.check, met.call_site()),
        (goal.check, goal.call_site.clone())
    );
    assert!(
        met.call_site()
            .unwrap()
            .starts_with("stress/src/reflect.rs:")
    );
    // No single operation can go.
    for at in 0..shrunk.program.ops.len() {
        let mut program = shrunk.program.clone();
        program.ops.remove(at);
        assert!(goal.met(&run(&program, &setup).unwrap()).is_none(), "{at}");
    }
}

#[test]
fn shrinking_that_is_out_of_time_says_so_and_goes_on_from_what_it_has() {
    let (program, goal, setup) = recorded_goal();
    let nothing = shrink(&program, &goal, &setup, Duration::ZERO, &mut |_, _| Ok(())).unwrap();
    assert!(!nothing.is_minimal && nothing.program == program && nothing.tried == 0);

    let mut saved = program.clone();
    let mut left = 20;
    let interrupted = shrink(
        &program,
        &goal,
        &setup,
        Duration::MAX / 4,
        &mut |program, _| {
            saved = program.clone();
            left -= 1;
            match left {
                0 => Err(Error::NoViolation),
                _ => Ok(()),
            }
        },
    );
    assert!(interrupted.is_err() && saved.ops.len() < program.ops.len());
    let resumed = shrink(&saved, &goal, &setup, Duration::MAX / 4, &mut |_, _| Ok(())).unwrap();
    assert!(resumed.is_minimal && resumed.program.ops.len() <= 12);
}
