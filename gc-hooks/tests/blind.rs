//! A blind check is as if it were not there, and the others see on.

use std::cell::Cell;

use gc_hooks::{Check, Hooks, Policy, Violation};

#[test]
fn a_blind_check_holds_whatever_the_condition_and_reports_nothing() {
    let hooks = Hooks::new(Policy::MARK_UNHEALTHY);
    hooks.set_blind(Check::Zombie, true);
    assert!(hooks.is_blind(Check::Zombie) && !hooks.is_blind(Check::SweepCount));
    let asked = Cell::new(false);
    let detail = || {
        asked.set(true);
        Violation::new(Check::Zombie)
    };
    assert!(hooks.holds(Check::Zombie, false, detail));
    hooks.report(Violation::new(Check::Zombie));
    assert!(!asked.get(), "nobody asks what is not told");
    assert!(hooks.health().total() == 0 && hooks.health().is_healthy());

    assert!(!hooks.holds(Check::SweepCount, false, || {
        Violation::new(Check::SweepCount)
    }));
    assert_eq!(hooks.health().total(), 1);
    hooks.set_blind(Check::Zombie, false);
    assert!(!hooks.holds(Check::Zombie, false, || Violation::new(Check::Zombie)));
    assert_eq!(hooks.health().count(Check::Zombie), 1);
}
