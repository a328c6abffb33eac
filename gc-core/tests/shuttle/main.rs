//! Whole cycles among several mutators, under shuttle's schedulers, beside a naive model.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p gc-core --test shuttle` runs them; in any other
//! build this file is empty. A thread gives way at locks and wherever `gc_hooks::sync::point`
//! stands: before each load or store that another thread's step may depend on. All else is one
//! step, and memory is sequentially consistent; orderings are loom's part (`loom_tests` in the
//! crate). What the threads do is drawn from shuttle's generator, so a schedule carries it too.
//!
//! A failure prints its schedule. To see it again, give it and the test's name:
//! `SHUTTLE_SCHEDULE=<schedule> RUSTFLAGS="--cfg shuttle" cargo test --release -p gc-core --test
//! shuttle <name>`. The seed of the search is fixed; `SHUTTLE_RANDOM_SEED` sets another one, and
//! `SHUTTLE_TIMES` multiplies the number of schedules.
#![cfg(shuttle)]

mod junk;
mod mutants;
mod objects;
mod oracle;
mod program;
mod scene;

use gc_core::{CheckLevel, Driver};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner};

use crate::objects::{Dropped, Guard, Plain};
use crate::scene::{Plan, Scene};

/// Which scheduler, and how many schedules.
#[derive(Clone, Copy)]
enum Search {
    Random(usize),
    /// With so many changes of priority at the worst places.
    Pct(usize, usize),
}

/// Any number would do; it is fixed so that the tests do the same every time.
const SEED: u64 = 0x5eed_0042;

fn config() -> Config {
    let mut config = Config::new();
    // Unoptimised frames of marker and tracing need more than the 60 KiB of a task by default.
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    config
}

fn run(scheduler: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    Runner::new(scheduler, config()).run(scenario);
}

/// Runs a scenario under many schedules, or under the one of a failure.
fn explore(search: Search, scenario: impl Fn() + Send + Sync + 'static) {
    if let Ok(schedule) = std::env::var("SHUTTLE_SCHEDULE") {
        return run(ReplayScheduler::new_from_encoded(&schedule), scenario);
    }
    let factor = std::env::var("SHUTTLE_TIMES").map_or(1, |times| times.parse().unwrap());
    match search {
        Search::Random(times) => {
            run(
                RandomScheduler::new_from_seed(SEED, times * factor),
                scenario,
            );
        }
        Search::Pct(times, depth) => {
            run(
                PctScheduler::new_from_seed(SEED, depth, times * factor),
                scenario,
            );
        }
    }
}

/// Two mutators, or three, and a collector.
fn plan(mutators: usize, driver: Driver, level: CheckLevel) -> Plan {
    Plan {
        mutators,
        driver,
        level,
        ..Plan::default()
    }
}

fn holds<G: Guard>(search: Search, plan: Plan) {
    explore(search, move || {
        let outcome = Scene::<G>::new(plan).play();
        assert_eq!(outcome.complaints, [""; 0], "{plan:?}");
    });
}

#[test]
fn two_mutators_at_random() {
    let plan = plan(2, Driver::Manual, CheckLevel::Default);
    holds::<Dropped>(Search::Random(6000), plan);
}

#[test]
fn two_mutators_by_priorities() {
    let plan = plan(2, Driver::Manual, CheckLevel::Default);
    holds::<Dropped>(Search::Pct(6000, 3), plan);
}

#[test]
fn three_mutators_at_random() {
    let plan = plan(3, Driver::Manual, CheckLevel::Default);
    holds::<Dropped>(Search::Random(3200), plan);
}

#[test]
fn three_mutators_by_priorities() {
    let plan = plan(3, Driver::Manual, CheckLevel::Default);
    holds::<Dropped>(Search::Pct(3200, 5), plan);
}

#[test]
fn mutators_that_sweep_for_themselves() {
    let plan = plan(2, Driver::Manual, CheckLevel::Default);
    holds::<Plain>(Search::Random(3200), plan);
    holds::<Plain>(Search::Pct(3200, 4), plan);
}

#[test]
fn mutators_that_mark_along() {
    let plan = plan(2, Driver::Incremental, CheckLevel::Default);
    holds::<Dropped>(Search::Random(2000), plan);
    holds::<Plain>(Search::Pct(2000, 4), plan);
}

#[test]
fn the_second_opinion_agrees() {
    let plan = plan(2, Driver::Manual, CheckLevel::Paranoid);
    holds::<Dropped>(Search::Random(2000), plan);
    holds::<Dropped>(Search::Pct(2000, 4), plan);
}

/// Cycles of both kinds, most of them young.
fn young(driver: Driver, level: CheckLevel) -> Plan {
    Plan {
        young: Some(4),
        enters: 16,
        ..plan(2, driver, level)
    }
}

#[test]
fn young_cycles_at_random() {
    let plan = young(Driver::Manual, CheckLevel::Default);
    holds::<Dropped>(Search::Random(3000), plan);
    holds::<Plain>(Search::Random(1000), plan);
}

#[test]
fn young_cycles_by_priorities() {
    let plan = young(Driver::Manual, CheckLevel::Default);
    holds::<Dropped>(Search::Pct(3000, 4), plan);
    holds::<Plain>(Search::Pct(1000, 3), plan);
}

#[test]
fn the_second_opinion_agrees_with_young_cycles() {
    let plan = young(Driver::Manual, CheckLevel::Paranoid);
    holds::<Dropped>(Search::Random(1500), plan);
    holds::<Dropped>(Search::Pct(1500, 4), plan);
}

#[test]
fn mutators_that_mark_along_in_young_cycles() {
    let plan = young(Driver::Incremental, CheckLevel::Default);
    holds::<Dropped>(Search::Random(1000), plan);
}

#[test]
fn level_lax_agrees() {
    let plan = plan(2, Driver::Manual, CheckLevel::Lax);
    holds::<Dropped>(Search::Random(1200), plan);
    holds::<Plain>(Search::Pct(1200, 3), plan);
}
