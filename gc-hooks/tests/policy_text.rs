//! The text form of a policy: what it says, what it refuses, and that it refuses with care.

mod policies;

use std::env;
use std::ffi::OsStr;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use gc_hooks::{Check, Escalation, POLICY_VARIABLE, Policy, PolicyError, Rate, Response};
use policies::{any_policy, nearly_valid_text, settled, shuffled_text};
use proptest::prelude::*;

const CHILD_VARIABLE: &str = "GC_HOOKS_POLICY_CHILD";

fn parse(text: &str) -> Result<Policy, PolicyError> {
    text.parse()
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
        .with_escalation(Escalation {
            after: NonZeroU64::new(1_000).unwrap(),
            response: Response::Abort,
        })
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

/// Text, then position, word and problem of its error.
const REFUSED: &[(&str, usize, &str, &str)] = &[
    ("", 0, "", "empty item"),
    ("   ", 3, "", "empty item"),
    ("abort,", 6, "", "empty item"),
    (",abort", 0, "", "empty item"),
    ("abort,,zombie=hook", 6, "", "empty item"),
    ("abrot", 0, "abrot", "unknown preset"),
    ("Abort", 0, "Abort", "unknown preset"),
    ("zombie", 0, "zombie", "unknown preset"),
    (
        "zombie=hook,count",
        12,
        "count",
        "preset after the first item",
    ),
    ("abort, abort", 7, "abort", "preset after the first item"),
    ("abort,zombie", 6, "zombie", "item without a value"),
    ("abort,zombi=hook", 6, "zombi", "unknown check or rule"),
    ("abort,=hook", 6, "", "unknown check or rule"),
    ("abort,zombie =hook", 6, "zombie ", "unknown check or rule"),
    ("abort,RATE=1/s", 6, "RATE", "unknown check or rule"),
    ("zombie=", 7, "", "unknown response"),
    ("zombie= hook", 7, " hook", "unknown response"),
    ("zombie=strict", 7, "strict", "unknown response"),
    ("zombie=hook=count", 7, "hook=count", "unknown response"),
    (
        "zombie=hook,ledger=count,zombie=hook",
        25,
        "zombie",
        "repeated",
    ),
    ("rate=1/s,rate=1/s", 9, "rate", "repeated"),
    ("rate=1", 5, "1", "malformed rate"),
    ("rate=1/m", 5, "1/m", "malformed rate"),
    ("rate=/s", 5, "", "malformed number"),
    ("rate=+1/s", 5, "+1", "malformed number"),
    ("rate=1.5/s", 5, "1.5", "malformed number"),
    ("rate=0/s", 5, "0", "zero"),
    ("rate=4294967296/s", 5, "4294967296", "number too large"),
    (
        "rate=99999999999999999999/s",
        5,
        "99999999999999999999",
        "number too large",
    ),
    ("escalate=10", 9, "10", "malformed escalation"),
    ("escalate=:abort", 9, "", "malformed number"),
    ("escalate=0:abort", 9, "0", "zero"),
    ("escalate=ten:abort", 9, "ten", "malformed number"),
    ("escalate=10:die", 12, "die", "unknown response"),
    (
        "escalate=18446744073709551616:hook",
        9,
        "18446744073709551616",
        "number too large",
    ),
    ("drain=10", 6, "10", "malformed drain"),
    ("drain=m", 6, "", "malformed number"),
    ("drain=10 m", 6, "10 m", "malformed drain"),
    ("drain=1d", 6, "1d", "malformed drain"),
    ("drain=-1s", 6, "-1s", "malformed drain"),
    ("drain=000h", 6, "000", "zero"),
    (
        "drain=5124095576031h",
        6,
        "5124095576031",
        "number too large",
    ),
    ("abort\n", 0, "abort\n", "unknown preset"),
    (
        "abort,z\u{f6}mbie=hook",
        6,
        "z\u{f6}mbie",
        "unknown check or rule",
    ),
];

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
        "policy text, byte 6: malformed drain \"1d\"; expected N and a unit without a space, N \
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
    let rules = ["rate", "escalate", "drain"].into_iter();
    let presets = ["abort", "unhealthy", "strict", "count", "hook"].into_iter();
    let choices: Vec<&str> = match error.problem {
        "empty item"
        | "unknown preset"
        | "preset after the first item"
        | "item without a value" => presets
            .chain(checks)
            .chain(responses)
            .chain(rules)
            .collect(),
        "unknown check or rule" | "repeated" => checks.chain(rules).collect(),
        "unknown response" | "malformed escalation" => responses.collect(),
        "malformed drain" => vec!["ms", "s", "m", "h", "from 1"],
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
