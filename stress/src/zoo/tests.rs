//! What every scenario promises, at every level and for many seeds.

use super::*;

/// Seeds with which every written scenario is carried out.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;
/// Seeds with which the second opinion is put to the proof.
const SEEDS_MANY: std::ops::RangeInclusive<u64> = 1..=32;

fn request(seed: u64, level: CheckLevel, is_buggy: bool) -> Request {
    Request {
        seed,
        is_buggy,
        checks: level.into(),
        policy: Policy::COUNT,
    }
}

/// The scenarios that this build can carry out.
fn possible() -> impl Iterator<Item = &'static Scenario> {
    let is_possible =
        |source| cfg!(feature = "fault-inject") || !matches!(source, Source::Fault(_));
    all().filter(move |scenario| is_possible(scenario.source))
}

fn seeds(scenario: &Scenario) -> std::ops::RangeInclusive<u64> {
    match scenario.source {
        Source::Workload => 1..=1,
        _ => SEEDS,
    }
}

#[test]
fn every_bug_is_found_at_every_level_by_the_check_that_it_declares() {
    for scenario in possible() {
        for level in CheckLevel::ALL {
            for seed in seeds(scenario) {
                let seen = run(scenario, &request(seed, *level, true)).unwrap();
                let what = format!("{} {level} {seed}: {:?}", scenario.name, seen.outcome.met);
                let found = scenario.found_at(*level);
                let first = seen.outcome.first().map(|met| met.check);
                assert!(
                    first.is_some_and(|first| found.checks.contains(&first)),
                    "{what}"
                );
                assert_eq!(!seen.outcome.lost.is_empty(), found.loses_live, "{what}");
                let verdict = seen.verdict(scenario, &request(seed, *level, true));
                assert_eq!(verdict, Verdict::Found, "{what}");
                assert!(seen.outcome.is_ledger_balanced, "{what}");
                assert!(seen.outcome.skipped.is_empty(), "{what}");
                assert!(seen.distance().is_some(), "{what}");
            }
        }
    }
}

#[test]
fn every_fix_is_silent_at_every_level() {
    for scenario in possible() {
        for level in CheckLevel::ALL {
            for seed in seeds(scenario) {
                let seen = run(scenario, &request(seed, *level, false)).unwrap();
                let what = format!("{} {level} {seed}: {:?}", scenario.name, seen.outcome.met);
                assert!(seen.outcome.met.is_empty(), "{what}");
                assert!(seen.outcome.lost.is_empty(), "{what}");
                assert!(seen.outcome.is_ledger_balanced, "{what}");
            }
        }
    }
}

#[test]
fn what_marking_misses_is_found_by_the_second_opinion_before_anything_is_lost() {
    let mut scenarios = 0;
    let missed = |scenario: &&Scenario| {
        let found = scenario.found_at(CheckLevel::Paranoid);
        scenario.risk == Risk::Live && !found.loses_live
    };
    for scenario in possible().filter(missed) {
        scenarios += 1;
        for seed in SEEDS_MANY {
            let seen = run(scenario, &request(seed, CheckLevel::Paranoid, true)).unwrap();
            let mut met = seen.outcome.met.iter();
            let missed = met.find(|met| met.check == Check::UnmarkedReachable);
            let what = format!("{} {seed}: {:?}", scenario.name, seen.outcome.met);
            let cycle = missed.and_then(|met| met.first).map(|first| first.cycle);
            // In the very cycle that missed it: nothing was freed in between.
            let cause = seen.cause.and_then(|at| seen.outcome.cycle_at.get(at));
            let due = cause.map(|at| (*at, at + 1));
            assert!(
                due.is_some_and(|(at, next)| cycle == Some(at) || cycle == Some(next)),
                "{what}"
            );
            assert_eq!(seen.outcome.lost, [], "{what}");
        }
    }
    assert!(scenarios >= 9);
}

#[test]
fn names_and_bugs_are_told_apart() {
    let mut names: Vec<&str> = all().map(|scenario| scenario.name).collect();
    let mut bugs: Vec<&str> = all().map(|scenario| scenario.bug).collect();
    assert!(names.len() >= 20);
    for list in [&mut names, &mut bugs] {
        let whole = list.len();
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), whole);
    }
    assert!(all().all(|scenario| Scenario::from_name(scenario.name).is_some()));
}

/// The page is what the command writes, so each scenario was carried out and shrunk for it by this build.
#[cfg(feature = "fault-inject")]
#[test]
fn the_page_is_the_one_that_the_command_writes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/ZOO.md");
    let mut page = Vec::new();
    write_book(&mut page, &mut |_| {}).unwrap();
    let page = String::from_utf8(page).unwrap();
    let checked_in = std::fs::read_to_string(path).unwrap();
    let differing = page
        .lines()
        .zip(checked_in.lines())
        .find(|(new, old)| new != old);
    assert_eq!(
        differing, None,
        "gc-stress list --markdown > docs/src/ZOO.md"
    );
    assert_eq!(page.len(), checked_in.len());
}
