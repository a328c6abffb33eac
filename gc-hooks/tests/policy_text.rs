//! The text form of a policy: what it says, what it refuses, and that it refuses with care.

mod policies;

use std::env;
use std::ffi::OsStr;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use gc_hooks::{
    Check, Escalation, Origin, POLICY_VARIABLE, Policy, PolicyError, Rate, Response, Severity,
    Violation,
};
use policies::refused::REFUSED;
use policies::{any_policy, nearly_valid_text, settled, shuffled_text};
use proptest::prelude::*;

const CHILD_VARIABLE: &str = "GC_HOOKS_POLICY_CHILD";

fn parse(text: &str) -> Result<Policy, PolicyError> {
    text.parse()
}

fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

#[test]
fn the_operators_example_says_what_it_looks_like() {
    let text =
        "unhealthy,bad-pointer=abort,sweep-count=hook,rate=100/s,escalate=1000:abort,drain=10m";
    let expected = Policy::MARK_UNHEALTHY
        .with(Check::BadPointer, Response::Abort)
        .with(Check::SweepCount, Response::Hook)
        .with_rate(Rate {
            per_second: NonZeroU32::new(100).unwrap(),
        })
        .with_escalation(Escalation::after(number(1_000), Response::Abort))
        .with_drain(Duration::from_secs(600));
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn a_policy_prints_in_the_order_of_the_register() {
    let text = "drain=600s, escalate=007:abort ,bad-pointer=count,rate=1/s,sweep-count=hook";
    let expected = "abort,sweep-count=hook,bad-pointer=count,rate=1/s,escalate=7:abort,drain=10m";
    assert_eq!(parse(text).unwrap().to_string(), expected);
}

#[test]
fn a_ladder_has_steps_with_a_time_and_without() {
    let text = "count,escalate=1000/60s:abort,escalate=10:unhealthy,escalate=5/500ms:hook";
    let step = Escalation::within;
    let expected = Policy::COUNT
        .with_escalation(Escalation::after(number(10), Response::MarkUnhealthy))
        .with_escalation(step(
            number(1_000),
            Duration::from_secs(60),
            Response::Abort,
        ))
        .with_escalation(step(number(5), Duration::from_millis(500), Response::Hook));
    assert_eq!(parse(text), Ok(expected.clone()));
    assert_eq!(
        expected.to_string(),
        "count,escalate=10:unhealthy,escalate=5/500ms:hook,escalate=1000/1m:abort"
    );
}

#[test]
fn a_leak_stays_a_warning_and_a_real_dangling_pointer_does_not() {
    let policy = parse("abort,over-marking=count").unwrap();
    assert_eq!(policy.to_string(), "abort,over-marking=count");
    let response = |origin| {
        let violation = Violation::new(Check::FreePointer).with_origin(origin);
        policy.response_to(&violation)
    };
    assert_eq!(response(Origin::BarrierOld), Response::Count);
    assert_eq!(response(Origin::BarrierNew), Response::Abort);
    assert_eq!(response(Origin::Scan), Response::Abort);
}

#[test]
fn a_check_goes_before_its_severity_wherever_it_stands() {
    let texts = [
        "count,dangling=abort,zombie=hook",
        "count,zombie=hook,dangling=abort",
    ];
    for text in texts {
        let policy = parse(text).unwrap();
        assert_eq!(policy.to_string(), "count,dangling=abort,zombie=hook");
        let response = |check| policy.response_to(&Violation::new(check));
        assert_eq!(response(Check::Zombie), Response::Hook);
        assert_eq!(response(Check::BadPointer), Response::Abort);
        assert_eq!(response(Check::SweepCount), Response::Count);
    }
    // What the preset says anyway is said with a purpose when it stands beside a severity.
    let text = "abort,dangling=count,zombie=abort";
    assert_eq!(parse(text).unwrap().to_string(), text);
}

#[test]
fn a_policy_that_speaks_of_severities_keeps_a_preset_that_can_say_it() {
    let mut policy = Policy::ABORT.with_severity(Severity::OverMarking, Response::Hook);
    for &check in Check::ALL.iter().take(10) {
        policy = policy.with(check, Response::Count);
    }
    assert_eq!(parse(&policy.to_string()), Ok(policy));
}

#[test]
fn a_deadline_of_hooks_is_said_when_it_is_not_a_second() {
    let text = "count,hook-deadline=1s";
    assert_eq!(parse(text).unwrap().to_string(), "count");
    let text = "count,drain=1h,hook-deadline=90s";
    let policy = parse(text).unwrap();
    assert_eq!(policy.hook_deadline(), Duration::from_secs(90));
    assert_eq!(policy.to_string(), text);
}

#[test]
fn every_preset_stands_alone_and_prints_as_itself() {
    let presets = [
        ("abort", Policy::ABORT),
        ("unhealthy", Policy::MARK_UNHEALTHY),
        ("strict", Policy::STRICT),
        ("count", Policy::COUNT),
        ("hook", Policy::HOOK),
    ];
    for (name, preset) in presets {
        assert_eq!(preset.to_string(), name);
        assert_eq!(parse(name), Ok(preset));
    }
}

#[test]
fn a_text_without_a_preset_starts_with_the_default() {
    assert_eq!(
        parse("zombie=count"),
        Ok(Policy::default().with(Check::Zombie, Response::Count))
    );
}

#[test]
fn a_policy_prints_by_the_preset_that_leaves_the_least_to_say() {
    let mut policy = Policy::ABORT;
    for &check in Check::ALL {
        policy = policy.with(check, Response::Count);
    }
    let policy = policy.with(Check::Ledger, Response::Abort);
    assert_eq!(policy.to_string(), "count,ledger=abort");
}

#[test]
fn a_drain_prints_in_the_largest_unit_that_divides_it() {
    for (given, printed) in [
        ("1ms", "1ms"),
        ("1000ms", "1s"),
        ("90s", "90s"),
        ("120s", "2m"),
        ("60m", "1h"),
        ("48h", "48h"),
        ("18446744073709551615ms", "18446744073709551615ms"),
    ] {
        let policy = parse(&format!("count,drain={given}")).unwrap();
        assert_eq!(policy.to_string(), format!("count,drain={printed}"));
    }
}

#[test]
fn whatever_is_wrong_is_an_error_at_its_place() {
    for (text, position, word, problem) in REFUSED {
        let error = parse(text).expect_err(text);
        let found = (error.position, error.word.as_str(), error.problem);
        assert_eq!(found, (*position, *word, *problem), "{text:?}");
        assert_is_helpful(text, &error);
    }
}

#[test]
fn an_error_reads_like_this() {
    assert_eq!(
        parse("count,zombie=explode").unwrap_err().to_string(),
        "policy text, byte 13: unknown response \"explode\"; expected one of: abort, hook, \
         unhealthy, count"
    );
    assert_eq!(
        parse("rate=0/s").unwrap_err().to_string(),
        "policy text, byte 5: zero \"0\"; expected N/s with N from 1 to 4294967295, as in 100/s"
    );
    assert_eq!(
        parse("drain=1d").unwrap_err().to_string(),
        "policy text, byte 6: malformed time \"1d\"; expected N and a unit without a space, N \
         from 1, at most 18446744073709551615 ms, the unit one of: ms, s, m, h"
    );
}

/// The error stands within the text, quotes what stands there, and names every choice of its kind.
#[track_caller]
fn assert_is_helpful(text: &str, error: &PolicyError) {
    let rest = text
        .get(error.position..)
        .expect("the position is between two characters");
    assert!(rest.starts_with(&error.word), "{error}");
    let shown = error.to_string();
    assert!(
        shown.contains(&format!("byte {}: ", error.position)),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("{} {:?};", error.problem, error.word)),
        "{shown}"
    );

    let checks = Check::ALL.iter().map(|check| check.id());
    let responses = Response::ALL.iter().map(|response| response.id());
    let severities = Severity::ALL.iter().map(|severity| severity.id());
    let rules = ["rate", "escalate", "drain", "hook-deadline"].into_iter();
    let presets = ["abort", "unhealthy", "strict", "count", "hook"].into_iter();
    let choices: Vec<&str> = match error.problem {
        "empty item"
        | "unknown preset"
        | "preset after the first item"
        | "item without a value" => presets
            .chain(checks)
            .chain(severities)
            .chain(responses)
            .chain(rules)
            .collect(),
        "unknown check or rule" | "repeated" => checks.chain(severities).chain(rules).collect(),
        "repeated trigger" => vec!["steps of the ladder", "trigger"],
        "unknown response" | "malformed escalation" => responses.collect(),
        "malformed time" => vec!["ms", "s", "m", "h", "from 1"],
        "malformed rate" => vec!["N/s", "from 1 to 4294967295"],
        "malformed number" | "number too large" | "zero" => vec!["from 1"],
        other => panic!("a problem nobody thought of: {other}"),
    };
    for choice in choices {
        let is_named = if choice.contains(' ') {
            error.expected.contains(choice)
        } else {
            error
                .expected
                .split([',', ' ', ':', ';', '='])
                .any(|word| word == choice)
        };
        assert!(is_named, "{choice:?} is missing in: {shown}");
    }
}

/// Reads the variable in a process of its own, for setting one's own environment is unsafe.
fn read_env_in_child(value: Option<&OsStr>) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "the_policy_of_the_environment_is_read",
            "--nocapture",
        ])
        .env(CHILD_VARIABLE, "1")
        .env_remove(POLICY_VARIABLE);
    if let Some(value) = value {
        command.env(POLICY_VARIABLE, value);
    }
    String::from_utf8(command.output().unwrap().stderr).unwrap()
}

#[test]
fn the_policy_of_the_environment_is_read() {
    if env::var_os(CHILD_VARIABLE).is_some() {
        match Policy::from_env() {
            Ok(None) => eprint!("none"),
            Ok(Some(policy)) => eprint!("policy {policy}"),
            Err(error) => eprint!("byte {} {}", error.position, error.problem),
        }
        return;
    }
    let text = |text: &'static str| Some(OsStr::new(text));
    assert_eq!(read_env_in_child(None), "none");
    assert_eq!(
        read_env_in_child(text("hook,ledger=count")),
        "policy hook,ledger=count"
    );
    assert_eq!(read_env_in_child(text("")), "byte 0 empty item");
    assert_eq!(read_env_in_child(text("never")), "byte 0 unknown preset");
    let no_text = OsStr::from_bytes(b"abort,\xff=hook");
    assert_eq!(
        read_env_in_child(Some(no_text)),
        "byte 6 text that is not UTF-8"
    );
}

proptest! {
    #![proptest_config(settled())]

    #[test]
    fn random_text_never_panics_and_its_errors_help(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            assert_is_helpful(&text, &error);
        }
    }

    #[test]
    fn text_that_is_nearly_valid_reads_back_or_is_an_error_that_helps(text in nearly_valid_text()) {
        match parse(&text) {
            Ok(policy) => prop_assert_eq!(parse(&policy.to_string()), Ok(policy)),
            Err(error) => assert_is_helpful(&text, &error),
        }
    }

    #[test]
    fn any_policy_prints_as_text_that_reads_back_as_an_equal_one(policy in any_policy()) {
        let text = policy.to_string();
        let read = parse(&text);
        prop_assert_eq!(read.as_ref().map(Policy::to_string), Ok(text));
        prop_assert_eq!(read, Ok(policy));
    }

    #[test]
    fn the_order_of_items_and_the_spaces_round_them_mean_nothing(
        (policy, text) in any_policy().prop_flat_map(shuffled_text)
    ) {
        prop_assert_eq!(parse(&text), Ok(policy));
    }

    #[test]
    fn a_valid_text_cut_off_anywhere_reads_or_is_an_error_that_helps(
        policy in any_policy(), cut in any::<prop::sample::Index>()
    ) {
        let text = policy.to_string();
        let text = &text[..cut.index(text.len())];
        if let Err(error) = parse(text) {
            assert_is_helpful(text, &error);
        }
    }
}
