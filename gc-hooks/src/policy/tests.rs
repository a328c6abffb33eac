//! The presets check by check, and which word goes before which.

use std::num::NonZeroU64;

use super::*;
use crate::terms::Origin;

fn checks_with(policy: &Policy, response: Response) -> Vec<&'static str> {
    let has_it = |check: &&Check| policy.response(**check) == response;
    Check::ALL
        .iter()
        .filter(has_it)
        .map(|check| check.id())
        .collect()
}

#[test]
fn the_default_aborts_on_every_broken_invariant_and_on_nothing_else() {
    let policy = Policy::default();
    for &check in Check::ALL {
        let is_abort = policy.response(check) == Response::Abort;
        assert_eq!(is_abort, check.kind() == CheckKind::Invariant, "{check}");
    }
    assert_eq!(
        checks_with(&policy, Response::Count),
        ["os-call", "record-failed", "safepoint-stalled"]
    );
}

#[test]
fn mark_unhealthy_counts_only_what_leaves_the_heap_sound_and_the_hooks_working() {
    let policy = Policy::MARK_UNHEALTHY;
    assert_eq!(
        checks_with(&policy, Response::Count),
        [
            "drop-panicked",
            "os-call",
            "record-failed",
            "safepoint-stalled"
        ]
    );
    assert_eq!(
        checks_with(&policy, Response::MarkUnhealthy).len(),
        Check::COUNT - 4
    );
}

#[test]
fn the_even_presets_say_one_thing_of_every_check() {
    let presets = [
        (Policy::STRICT, Response::Abort),
        (Policy::COUNT, Response::Count),
        (Policy::HOOK, Response::Hook),
    ];
    for (policy, response) in presets {
        assert_eq!(checks_with(&policy, response).len(), Check::COUNT);
    }
}

#[test]
fn a_single_check_is_changed_alone() {
    let policy = Policy::COUNT.with(Check::Zombie, Response::Abort);
    assert_eq!(checks_with(&policy, Response::Abort), ["zombie"]);
}

/// A violation of every severity that `check` can have, as far as its origin decides.
fn told(check: Check, origin: Origin) -> Violation {
    Violation::new(check).with_origin(origin)
}

#[test]
fn a_severity_speaks_for_its_violations_and_for_no_others() {
    let policy = Policy::COUNT.with_severity(Severity::Dangling, Response::Abort);
    for &check in Check::ALL {
        let is_invariant = check.kind() == CheckKind::Invariant;
        let expected = |is_abort| match is_abort {
            true => Response::Abort,
            false => Response::Count,
        };
        let response = |origin| policy.response_to(&told(check, origin));
        assert_eq!(response(Origin::Scan), expected(is_invariant), "{check}");
        assert_eq!(response(Origin::BarrierOld), Response::Count, "{check}");
        let is_dangling = told(check, Origin::Unknown).severity() == Severity::Dangling;
        assert_eq!(response(Origin::Unknown), expected(is_dangling), "{check}");
    }
    assert_eq!(
        policy.response_of_severity(Severity::Dangling),
        Some(Response::Abort)
    );
    assert_eq!(policy.response_of_severity(Severity::Metadata), None);
}

#[test]
fn the_world_is_a_severity_too() {
    let policy = Policy::STRICT.with_severity(Severity::World, Response::Count);
    for &check in Check::ALL {
        let is_count = policy.response_to(&Violation::new(check)) == Response::Count;
        assert_eq!(is_count, check.kind() == CheckKind::World, "{check}");
    }
}

#[test]
fn a_check_that_is_named_goes_before_its_severity_whichever_is_said_first() {
    let (check, severity) = (Check::FreePointer, Severity::OverMarking);
    let policies = [
        Policy::COUNT
            .with(check, Response::Hook)
            .with_severity(severity, Response::Abort),
        Policy::COUNT
            .with_severity(severity, Response::Abort)
            .with(check, Response::Hook),
    ];
    assert_eq!(policies[0], policies[1]);
    for policy in policies {
        let named = told(check, Origin::BarrierOld);
        let other = told(Check::BadPointer, Origin::BarrierOld);
        assert_eq!(policy.response_to(&named), Response::Hook);
        assert_eq!(policy.response_to(&other), Response::Abort);
    }
}

#[test]
fn a_check_that_is_named_with_what_the_preset_says_is_named_all_the_same() {
    let policy = Policy::ABORT.with(Check::Zombie, Response::Abort);
    assert_eq!(policy, Policy::ABORT, "as long as nothing else is said");
    let counted = |policy: Policy| policy.with_severity(Severity::Dangling, Response::Count);
    assert_ne!(counted(policy.clone()), counted(Policy::ABORT));
    let zombie = told(Check::Zombie, Origin::Scan);
    assert_eq!(counted(policy).response_to(&zombie), Response::Abort);
}

#[test]
fn a_ladder_is_in_order_and_has_one_step_for_each_trigger() {
    let number = |number| NonZeroU64::new(number).unwrap();
    let minute = Duration::from_secs(60);
    let steps = [
        Escalation::after(number(10), Response::MarkUnhealthy),
        Escalation::after(number(1_000), Response::Abort),
        Escalation::within(number(500), Duration::from_secs(1), Response::Hook),
        Escalation::within(number(100), minute, Response::Abort),
        Escalation::within(number(200), minute, Response::Abort),
    ];
    let mut policy = Policy::COUNT;
    for step in steps.iter().rev() {
        policy = policy.with_escalation(*step);
    }
    assert_eq!(policy.ladder(), steps);
    let replaced = Escalation::within(number(100), minute, Response::Count);
    let policy = policy.with_escalation(replaced);
    assert_eq!(policy.ladder().len(), steps.len());
    assert_eq!(policy.ladder()[3], replaced);
}

#[test]
fn times_are_whole_milliseconds_and_never_none_at_all() {
    let policy = Policy::COUNT
        .with_drain(Duration::ZERO)
        .with_hook_deadline(Duration::from_micros(2_900));
    assert_eq!(policy.drain(), Some(Duration::from_millis(1)));
    assert_eq!(policy.hook_deadline(), Duration::from_millis(2));
    assert_eq!(Policy::COUNT.hook_deadline(), Duration::from_secs(1));
}

#[test]
fn policies_are_equal_when_their_rules_are_and_they_call_the_same_hooks() {
    let with_hook = Policy::on_violation(|_| {});
    assert!(with_hook.has_hook() && !Policy::HOOK.has_hook());
    assert_eq!(with_hook, with_hook.clone());
    assert_ne!(with_hook, Policy::HOOK);
    assert_ne!(with_hook, Policy::on_violation(|_| {}));
    assert_eq!(Policy::HOOK.with_hook_of(&with_hook), with_hook);
    let in_place = with_hook.clone().with_in_place_hook(|_| {});
    assert!(in_place.has_in_place_hook() && !with_hook.has_in_place_hook());
    assert_ne!(in_place, with_hook);
    assert_eq!(Policy::HOOK.with_hook_of(&in_place), in_place);
    assert_ne!(Policy::HOOK, Policy::COUNT);
    let second = Duration::from_secs(1);
    assert_ne!(Policy::HOOK.with_drain(second), Policy::HOOK);
    assert_eq!(Policy::HOOK.with_hook_deadline(second), Policy::HOOK);
    assert_ne!(Policy::HOOK.with_hook_deadline(2 * second), Policy::HOOK);
}
