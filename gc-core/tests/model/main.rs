//! Random programs over the public API beside a naive model: a graph in maps.
//!
//! The collector may step at every point, inside `enter` and outside, so each phase meets each
//! operation. The model knows what is reachable; the heap must keep that readable and intact, must
//! drop each object at most once and never while it is reachable, and after a full collection must hold
//! nothing else. Failing programs shrink; proptest prints the seed.

mod naive;
mod program;
mod real;

use proptest::test_runner::Config;
use proptest_state_machine::prop_state_machine;

use crate::real::Beside;

/// Programs a run; enough for a minute on two cores, and the same every time.
fn config() -> Config {
    Config {
        cases: 128,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x5eed_0041),
        ..Config::default()
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn stepped_by_hand_at_level_default(sequential 1..60 => Beside<false, 1>);

    #[test]
    fn stepped_by_hand_at_level_paranoid(sequential 1..60 => Beside<false, 2>);

    #[test]
    fn stepped_by_hand_at_level_lax(sequential 1..60 => Beside<false, 0>);

    #[test]
    fn driven_by_its_mutator(sequential 1..60 => Beside<true, 1>);

    #[test]
    fn with_generations_stepped_by_hand_at_level_default(sequential 1..60 => Beside<false, 1, true>);

    #[test]
    fn with_generations_stepped_by_hand_at_level_paranoid(sequential 1..60 => Beside<false, 2, true>);

    #[test]
    fn with_generations_driven_by_its_mutator(sequential 1..60 => Beside<true, 2, true>);
}
