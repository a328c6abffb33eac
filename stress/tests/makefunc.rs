//! Scenario `makefunc` over many seeds: what is found at each level of checking, that the controls
//! are clean, and that nothing live is ever harmed.
//!
//! Runs are shorter than those of the command line, so that unoptimised builds are quick; what a
//! seed finds first does not depend on the length of the run.

use gc_core::{Check, CheckLevel, Checks, Origin, Policy};
use stress::makefunc;
use stress::options::{Configuration, CopyBack, Options};
use stress::outcome::{Outcome, Site, Verdict};

/// Enough for every seed below to find its first violation.
const OPS: u64 = 1_500;
/// The same where most cycles are young ones, which leave fewer addresses behind that are stale.
const OPS_YOUNG: u64 = 3_000;
/// Enough for some dozen cycles of a control.
const OPS_CONTROL: u64 = 600;

fn run(options: &Options) -> Outcome {
    makefunc::run(options, &mut |_| {}).unwrap()
}

fn incident(seed: u64, checks: impl Into<Checks>) -> Outcome {
    run(&Options {
        ops: OPS,
        checks: checks.into(),
        ..Options::new(seed)
    })
}

/// What must hold of every run, whatever it found.
fn assert_contained(outcome: &Outcome) {
    let seed = outcome.options.seed;
    assert_eq!(outcome.objects_damaged(), 0, "seed {seed}");
    assert!(outcome.at_rest.checked > 1_000, "seed {seed}");
    assert!(outcome.is_ledger_balanced, "seed {seed}");
    assert!(
        outcome.verification.is_clean(),
        "seed {seed}: {:?}",
        outcome.verification
    );
}

/// What must be known of the first violation: who made the store, and what the barrier did.
fn assert_blamed(outcome: &Outcome) -> Check {
    let seed = outcome.options.seed;
    let violation = outcome
        .first
        .as_ref()
        .unwrap_or_else(|| panic!("seed {seed}"))
        .violation;
    assert_eq!(
        violation.origin,
        Origin::BarrierOld,
        "seed {seed}: {violation}"
    );
    let site = violation
        .call_site
        .map(|site| Site(site).to_string())
        .unwrap_or_default();
    let line = site
        .strip_prefix("stress/src/reflect.rs:")
        .and_then(|rest| rest.split(':').next());
    let line: usize = line
        .and_then(|line| line.parse().ok())
        .unwrap_or_else(|| panic!("{site}"));
    let source = include_str!("../src/reflect.rs")
        .lines()
        .nth(line - 1)
        .unwrap_or_default();
    assert!(source.contains("GUILTY"), "seed {seed}: {source}");
    assert_eq!(outcome.verdict(), Verdict::Survived, "seed {seed}");
    assert_eq!(outcome.ops_after_first, OPS, "seed {seed}");
    assert!(!outcome.is_healthy, "seed {seed}");
    violation.check
}

fn has(outcome: &Outcome, check: Check) -> bool {
    outcome.violations.iter().any(|(found, _)| *found == check)
}

#[test]
fn default_checks_find_the_bad_pointer_at_the_mark_or_the_barrier() {
    let (mut found, mut dated) = (Vec::new(), 0);
    for seed in 1..=20 {
        let outcome = incident(seed, CheckLevel::Default);
        assert_contained(&outcome);
        let check = assert_blamed(&outcome);
        assert!(
            matches!(check, Check::BadPointer | Check::FreePointer),
            "seed {seed}: {check}"
        );
        let violation = outcome.first.as_ref().unwrap().violation;
        assert!(
            violation
                .first_line()
                .to_string()
                .starts_with("found bad pointer in heap")
        );
        // A span that was cut anew since does not know when its slots were freed.
        assert_ne!(violation.stale_cycles, Some(0), "seed {seed}");
        dated += usize::from(violation.stale_cycles.is_some());
        assert!(violation.address.is_some(), "seed {seed}");
        assert_eq!(outcome.quarantined_bytes, 0, "seed {seed}");
        found.push(check);
    }
    assert!(found.contains(&Check::BadPointer) && found.contains(&Check::FreePointer));
    assert!(dated >= 15, "only {dated} of 20 reports say when it died");
}

#[test]
fn a_pointer_into_a_span_is_reported_with_span_slot_and_type() {
    let outcomes = (1..=5).map(|seed| incident(seed, CheckLevel::Default));
    let free_slots = outcomes
        .filter_map(|outcome| outcome.first)
        .filter(|first| first.violation.check == Check::FreePointer)
        .map(|first| first.violation);
    let mut seen = 0;
    for violation in free_slots {
        assert!(
            violation.span.is_some() && violation.slot.is_some(),
            "{violation}"
        );
        let name = violation.type_name.unwrap_or_default();
        assert!(name.starts_with("stress::config::Setting"), "{violation}");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn lax_checks_show_both_messages_of_go() {
    let (mut bad_pointer, mut sweep_count) = (false, false);
    for seed in 1..=20 {
        let outcome = incident(seed, CheckLevel::Lax);
        assert_contained(&outcome);
        assert_blamed(&outcome);
        bad_pointer |= has(&outcome, Check::BadPointer);
        sweep_count |= has(&outcome, Check::SweepCount);
        // Refused even here is a free slot that never held an object of its span's type.
        let first = outcome.first.as_ref().unwrap().violation;
        let is_refused = first.check == Check::FreePointer;
        assert!(!is_refused || first.stale_cycles.is_none(), "seed {seed}");
    }
    assert!(bad_pointer, "found bad pointer in heap");
    assert!(sweep_count, "sweep increased allocation count");
}

#[test]
fn paranoid_checks_find_the_guilty_store_itself() {
    for seed in 1..=20 {
        let outcome = incident(seed, CheckLevel::Paranoid);
        assert_contained(&outcome);
        assert_eq!(assert_blamed(&outcome), Check::VirginSlot, "seed {seed}");
        assert!(outcome.first.as_ref().unwrap().at_op <= 3, "seed {seed}");
    }
}

#[test]
fn the_fix_is_clean_at_every_level() {
    for seed in 1..=100 {
        let checks = CheckLevel::ALL[seed as usize % CheckLevel::ALL.len()];
        let copy_back = CopyBack::Plain;
        let outcome = run(&Options {
            ops: OPS_CONTROL,
            checks: checks.into(),
            copy_back,
            ..Options::new(seed)
        });
        assert_contained(&outcome);
        assert_eq!(outcome.violations, [], "seed {seed}, {checks}");
        assert_eq!(outcome.verdict(), Verdict::Clean, "seed {seed}");
        assert!(outcome.cycles > 3, "seed {seed}");
    }
}

#[test]
fn without_the_large_struct_there_is_nothing_to_find() {
    for seed in 1..=100 {
        let configuration = Configuration::LeftOut;
        let outcome = run(&Options {
            ops: OPS_CONTROL,
            configuration,
            ..Options::new(seed)
        });
        assert_contained(&outcome);
        assert_eq!(outcome.violations, [], "seed {seed}");
        assert_eq!(outcome.verdict(), Verdict::Clean, "seed {seed}");
    }
}

#[test]
fn what_is_found_first_does_not_depend_on_what_follows_from_it() {
    let first = |policy: Policy| {
        let outcome = run(&Options {
            ops: OPS,
            policy,
            ..Options::new(3)
        });
        let first = outcome.first.unwrap();
        (
            first.violation.check,
            first.at_op,
            first.violation.address,
            outcome.violations,
        )
    };
    let counted = first(Policy::COUNT);
    assert_eq!(counted, first(Policy::MARK_UNHEALTHY));
    assert_eq!(counted, first(Policy::HOOK));
}

#[test]
fn young_cycles_find_the_incident_and_lose_nothing() {
    for seed in 1..=20 {
        let generational = Options {
            ops: OPS_YOUNG,
            nursery_bytes: Some(1 << 16),
            ..Options::new(seed)
        };
        let outcome = run(&generational);
        assert_contained(&outcome);
        assert_eq!(outcome.verdict(), Verdict::Survived, "seed {seed}");
        let fixed = run(&Options {
            ops: OPS_CONTROL,
            copy_back: CopyBack::Plain,
            ..generational
        });
        assert_contained(&fixed);
        assert_eq!(fixed.violations, [], "seed {seed}");
    }
}

#[test]
fn too_short_a_run_misses_the_violation() {
    let outcome = run(&Options {
        ops: 5,
        ..Options::new(1)
    });
    assert_eq!(outcome.verdict(), Verdict::Missing);
    assert_eq!((outcome.ops, outcome.ops_after_first), (5, 0));
}

#[test]
fn harm_to_anything_live_outweighs_what_was_survived() {
    let mut outcome = incident(1, CheckLevel::Default);
    assert_eq!(outcome.verdict().exit_code(), 10);
    outcome.at_rest.damaged = 1;
    assert_eq!(
        (outcome.verdict(), outcome.objects_damaged()),
        (Verdict::Damaged, 1)
    );
    outcome.at_rest.damaged = 0;
    outcome.under_way.damaged = 1;
    assert_eq!(
        (outcome.verdict(), outcome.objects_damaged()),
        (Verdict::Damaged, 1)
    );
    outcome.under_way.damaged = 0;
    outcome.is_ledger_balanced = false;
    assert_eq!(outcome.verdict().exit_code(), 70);
}
