//! The ladder by a clock that is moved by hand, and what hooks say of themselves.

use std::num::NonZeroU64;
use std::time::Duration;

use super::*;
use crate::clock::tests::HandClock;
use crate::rules::Escalation;

/// A step that turns the health at three violations within 64 seconds.
fn hooks_with_step(hands: &HandClock) -> Hooks {
    let (three, time) = (NonZeroU64::new(3).unwrap(), Duration::from_secs(64));
    let step = Escalation::within(three, time, Response::MarkUnhealthy);
    Hooks::with_clock(Policy::COUNT.with_escalation(step), hands.clock())
}

/// Reports a violation at each of those seconds. The answer is whether the health has turned.
fn report_at(seconds: &[u64]) -> bool {
    let hands = HandClock::new();
    let hooks = hooks_with_step(&hands);
    let mut now = 0;
    for &second in seconds {
        hands.advance(Duration::from_secs(second - now));
        now = second;
        hooks.report(Violation::new(Check::Zombie));
    }
    !hooks.health().is_healthy()
}

#[test]
fn a_step_with_a_time_is_reached_when_so_many_fall_within_it_and_not_before() {
    assert!(report_at(&[0, 0, 0]));
    assert!(report_at(&[0, 31, 62]));
    assert!(report_at(&[0, 100, 130, 162]));
    assert!(!report_at(&[0, 0]));
    assert!(!report_at(&[0, 64, 128, 192, 1_000]));
    assert!(!report_at(&[0, 0, 64, 64, 128, 128]));
}

#[test]
fn a_thousand_that_are_far_apart_are_never_too_many() {
    let seconds: Vec<u64> = (0..1_000).map(|times| times * 33).collect();
    assert!(!report_at(&seconds));
}

#[test]
fn the_policy_is_the_one_that_was_given() {
    assert_eq!(*Hooks::new(Policy::COUNT).policy(), Policy::COUNT);
}

#[test]
fn debug_says_the_policy_and_the_health() {
    let text = format!("{:?}", Hooks::new(Policy::MARK_UNHEALTHY));
    assert!(text.contains("text: unhealthy"), "{text}");
    assert!(text.contains("is_healthy: true"), "{text}");
}
