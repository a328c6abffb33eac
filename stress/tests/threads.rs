//! Several threads: the incident beside collector threads, its controls, and a soak.
//!
//! What is found when differs from run to run; that it is found, that nothing is lost, and that the
//! controls find nothing does not.

use std::process::{Command, Output};

use gc_core::{CheckLevel, Checks, Policy};
use serde_json::Value;
use stress::driver::DriverChoice;
use stress::makefunc;
use stress::options::{Configuration, CopyBack, Options};
use stress::outcome::{Outcome, Verdict};
use stress::soak::{self, SoakOptions};

fn threaded(seed: u64, driver: &str, threads: usize) -> Options {
    Options {
        ops: 40_000,
        driver: driver.parse().unwrap(),
        threads,
        ..Options::new(seed)
    }
}

fn run(options: &Options) -> Outcome {
    makefunc::run(options, &mut |_| {}).unwrap()
}

/// What must hold of every run, whatever it found.
fn assert_contained(outcome: &Outcome) {
    let (seed, driver) = (outcome.options.seed, outcome.options.driver);
    assert_eq!(outcome.objects_damaged(), 0, "seed {seed}, {driver}");
    let threads = outcome.options.threads as u64;
    assert!(outcome.at_rest.checked > 1_000 * threads, "seed {seed}");
    assert!(outcome.is_ledger_balanced, "seed {seed}, {driver}");
    assert!(outcome.verification.is_clean(), "seed {seed}, {driver}");
}

#[test]
fn the_incident_is_found_and_survived_with_any_driver() {
    for (seed, driver, threads) in [
        (1, "background", 2),
        (2, "background:2", 3),
        (3, "incremental", 2),
        (4, "background", 1),
    ] {
        let outcome = run(&threaded(seed, driver, threads));
        assert_contained(&outcome);
        assert_eq!(
            outcome.verdict(),
            Verdict::Survived,
            "seed {seed}, {driver}"
        );
        assert!(!outcome.is_healthy && outcome.ops_after_first >= 40_000);
        let first = outcome.first.unwrap().violation;
        let site = first.call_site.map(|site| site.file().to_string());
        assert_eq!(site.as_deref(), Some("stress/src/reflect.rs"), "{first}");
    }
}

#[test]
fn controls_are_clean_beside_collector_threads() {
    for seed in 1..=3 {
        for checks in [CheckLevel::Default, CheckLevel::Paranoid] {
            let fixed = Options {
                ops: 10_000,
                copy_back: CopyBack::Plain,
                checks: checks.into(),
                ..threaded(seed, "background", 2)
            };
            let without = Options {
                configuration: Configuration::LeftOut,
                checks: Checks::default(),
                ..threaded(seed, "background:2", 2)
            };
            let without = Options {
                ops: 10_000,
                ..without
            };
            for options in [fixed, without] {
                let outcome = run(&options);
                assert_contained(&outcome);
                assert_eq!(outcome.violations, [], "seed {seed}");
                assert_eq!(outcome.verdict(), Verdict::Clean, "seed {seed}");
            }
        }
    }
}

#[test]
fn threads_share_the_operations_among_them() {
    let outcome = run(&Options {
        ops: 999,
        policy: Policy::COUNT,
        copy_back: CopyBack::Plain,
        ..threaded(5, "background", 4)
    });
    assert_eq!((outcome.ops, outcome.ops_after_first), (999, 0));
}

#[test]
fn a_soak_loses_nothing_and_finds_nothing() {
    for (driver, checks, ops, nursery_bytes) in [
        ("background", CheckLevel::Default, 80_000, None),
        ("background:2", CheckLevel::Paranoid, 40_000, None),
        ("incremental", CheckLevel::Default, 40_000, None),
        ("background", CheckLevel::Paranoid, 40_000, Some(1 << 16)),
    ] {
        let options = SoakOptions {
            seed: 1,
            minutes: None,
            ops: Some(ops),
            threads: 2,
            driver: driver.parse().unwrap(),
            checks: checks.into(),
            limit_mib: 16,
            nursery_bytes,
        };
        let outcome = soak::run(&options, &mut |_, _| {}).unwrap();
        assert_eq!(outcome.losses, [""; 0], "{driver}");
        let first = outcome.first.map(|violation| violation.to_string());
        assert_eq!(first, None, "{driver}");
        assert_eq!(
            (outcome.lost, outcome.violations_total()),
            (0, 0),
            "{driver}"
        );
        assert_eq!(outcome.bytes_left, 0, "{driver}");
        assert_eq!((outcome.verifications_failed, outcome.exit_code()), (0, 0));
        assert_eq!((outcome.ops, outcome.cycles_voided), (ops, 0), "{driver}");
        assert!(outcome.threads_churned >= ops / 1_024, "{driver}");
        assert!(
            outcome.objects_checked > ops && outcome.cycles > 2,
            "{driver}"
        );
        assert!(outcome.verifications >= 2, "{driver}");
        assert_eq!(
            outcome.cycles_young > 0,
            nursery_bytes.is_some(),
            "{driver}"
        );
        assert!(outcome.false_positives_below() < 1.0, "{driver}");
    }
}

#[test]
fn what_a_soak_lost_outweighs_what_it_found() {
    let options = SoakOptions {
        seed: 2,
        minutes: None,
        ops: Some(100),
        threads: 1,
        driver: DriverChoice::BACKGROUND,
        checks: Checks::default(),
        limit_mib: 16,
        nursery_bytes: None,
    };
    let mut outcome = soak::run(&options, &mut |_, _| {}).unwrap();
    assert_eq!(outcome.exit_code(), 0);
    outcome.violations = vec![(gc_core::Check::LateGrey, 2)];
    assert_eq!((outcome.exit_code(), outcome.violations_total()), (10, 2));
    outcome.lost = 1;
    outcome.losses = vec!["1 of 5 looks wrong: graph 0x1 of 3 nodes".to_string()];
    assert_eq!(outcome.exit_code(), 70);
    let mut story = Vec::new();
    soak::report::write_outcome(&mut story, &outcome).unwrap();
    let story = String::from_utf8(story).unwrap();
    assert!(
        story.contains("LOST, seed 2: 1 of 5 looks wrong"),
        "{story}"
    );
    assert!(
        story.contains("DAMAGED") && !story.contains("false positives"),
        "{story}"
    );
    outcome.lost = 0;
    for field in [0, 1] {
        outcome.bytes_left = field;
        outcome.verifications_failed = 1 - field;
        assert_eq!(outcome.exit_code(), 70);
    }
}

fn gc_stress(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gc-stress"))
        .args(line.split_whitespace())
        .env_remove("GC_POLICY")
        .output()
        .unwrap()
}

/// The last line of a run, which ends with its threads and its driver.
fn end_of(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.contains("\"threads\":"), "{last}");
    assert!(
        last.contains(",\"driver\":\"") && last.ends_with("\"}"),
        "{last}"
    );
    serde_json::from_str(last).unwrap()
}

#[test]
fn the_last_json_line_of_a_soak_has_every_figure() {
    let output = gc_stress("soak --ops 2000 --threads 3 --seed 7 --checks paranoid --json");
    assert_eq!(output.status.code(), Some(0));
    let end = end_of(&output);
    for key in [
        "minutes",
        "cycles",
        "cycles_voided",
        "objects_marked",
        "objects_checked",
        "lost",
        "violations",
        "threads_churned",
        "limit_hits",
        "pause_max_us",
        "false_positives_below",
    ] {
        assert!(!end[key].is_null(), "{key} in {end}");
    }
    assert_eq!(
        (&end["threads"], &end["driver"]),
        (&Value::from(3), &Value::from("background"))
    );
    assert_eq!(
        (&end["ops"], &end["lost"]),
        (&Value::from(2000), &Value::from(0))
    );
}

#[test]
fn the_reports_of_a_threaded_run_say_that_it_is_one() {
    let line = "run makefunc --fixed --ops 500 --seed 9 --driver background:2 --threads 2";
    let output = gc_stress(&format!("{line} --json"));
    assert_eq!(output.status.code(), Some(0));
    let end = end_of(&output);
    assert_eq!(
        (&end["threads"], &end["driver"]),
        (&Value::from(2), &Value::from("background:2"))
    );
    let output = gc_stress(line);
    let story = String::from_utf8(output.stdout).unwrap();
    assert!(story.contains("NOT DETERMINISTIC"), "{story}");
    assert!(
        story.contains("--driver background:2 --threads 2"),
        "{story}"
    );
}

/// A stray mark that outlived the flip would keep an object whose fields were swept, and a later scan
/// would call that a live pointer to dead memory.
#[test]
fn nothing_live_leads_to_dead_memory_in_the_incident() {
    for threads in [1, 3] {
        let line = "run makefunc --ops 40000 --policy unhealthy,dangling=abort --driver background";
        let output = gc_stress(&format!("{line} --threads {threads} --seed 6 --json"));
        let report = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(10),
            "{threads} threads: {report}"
        );
    }
}

#[test]
fn a_soak_ends_by_its_minutes_too() {
    let output = gc_stress("soak --minutes 0.002 --threads 1 --driver incremental");
    let story = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{story}");
    assert!(
        story.contains("rate below") && story.contains("clean"),
        "{story}"
    );
}
