//! Strategies for policies and for texts that look like them.

pub mod refused;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use gc_hooks::{Check, Escalation, Policy, Rate, Response, Severity};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// The same cases in every run; a failure prints the smallest one and needs no file to be seen
/// again.
pub fn settled() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(30_041),
        ..ProptestConfig::default()
    }
}

fn any_response() -> impl Strategy<Value = Response> {
    select(Response::ALL)
}

fn any_escalation() -> impl Strategy<Value = Escalation> {
    let within = prop::option::of(any_time());
    (any::<NonZeroU64>(), within, any_response()).prop_map(|(after, within, response)| Escalation {
        after,
        within,
        response,
    })
}

/// Round numbers of every unit, crooked ones, and what a text cannot say exactly.
fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..200_u64, select(&[1, 1_000, 60_000, 3_600_000][..]))
            .prop_map(|(number, size)| Duration::from_millis(number * size)),
        any::<u64>().prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_nanos),
        Just(Duration::MAX),
    ]
}

/// A preset with some of its responses changed, and some of the rules.
pub fn any_policy() -> impl Strategy<Value = Policy> {
    let presets = [
        Policy::ABORT,
        Policy::MARK_UNHEALTHY,
        Policy::STRICT,
        Policy::COUNT,
        Policy::HOOK,
    ];
    let checks = prop::collection::vec((select(Check::ALL), any_response()), 0..30);
    let severities = prop::collection::vec((select(Severity::ALL), any_response()), 0..4);
    let rate = any::<Option<NonZeroU32>>();
    let ladder = prop::collection::vec(any_escalation(), 0..5);
    let times = (prop::option::of(any_time()), prop::option::of(any_time()));
    let preset = select(presets.to_vec());
    (preset, checks, severities, rate, ladder, times).prop_map(
        |(mut policy, checks, severities, rate, ladder, (drain, deadline))| {
            for (check, response) in checks {
                policy = policy.with(check, response);
            }
            for (severity, response) in severities {
                policy = policy.with_severity(severity, response);
            }
            if let Some(per_second) = rate {
                policy = policy.with_rate(Rate { per_second });
            }
            for step in ladder {
                policy = policy.with_escalation(step);
            }
            if let Some(drain) = drain {
                policy = policy.with_drain(drain);
            }
            if let Some(deadline) = deadline {
                policy = policy.with_hook_deadline(deadline);
            }
            policy
        },
    )
}

/// A policy and a text for it with its items shuffled behind the preset and spaces put round them.
pub fn shuffled_text(policy: Policy) -> impl Strategy<Value = (Policy, String)> {
    let text = policy.to_string();
    let mut items: Vec<String> = text.split(',').map(str::to_owned).collect();
    let preset = items.remove(0);
    let spaces = prop::collection::vec((0..3_usize, 0..3_usize), items.len() + 1);
    (Just(items).prop_shuffle(), spaces).prop_map(move |(items, spaces)| {
        let items = std::iter::once(&preset).chain(&items);
        let spaced = items.zip(spaces).map(|(item, (before, after))| {
            format!("{}{item}{}", " ".repeat(before), " ".repeat(after))
        });
        (policy.clone(), spaced.collect::<Vec<_>>().join(","))
    })
}

/// The words of the grammar in no order, with a little of what is not in it.
pub fn nearly_valid_text() -> impl Strategy<Value = String> {
    let check = select(Check::ALL).prop_map(|check| check.id().to_owned());
    let response = any_response().prop_map(|response| response.id().to_owned());
    let number = prop_oneof![
        (0..100_u64).prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        Just("99999999999999999999999".to_owned()),
    ];
    let words: &[&str] = &[
        ",",
        ",",
        ",",
        "=",
        "=",
        "=",
        ":",
        " ",
        "/s",
        "rate=",
        "escalate=",
        "drain=",
        "hook-deadline=",
        "over-marking=",
        "dangling",
        "/",
        "ms",
        "s",
        "m",
        "h",
        "strict",
        "unhealthy,",
        "+",
        "\u{e9}",
        "\u{1f980}",
        "\n",
        "\0",
    ];
    let sign = select(words).prop_map(str::to_owned);
    let item = (select(Check::ALL), any_response())
        .prop_map(|(check, response)| format!("{check}={response},"));
    let rule = (
        number.clone(),
        number.clone(),
        any_response(),
        select(&["ms", "s", "m", "h"][..]),
    )
        .prop_map(|(one, two, response, unit)| {
            format!(
                "rate={one}/s,escalate={two}:{response},escalate={one}/{two}{unit}:{response},\
                 drain={one}{unit},hook-deadline={two}{unit}"
            )
        });
    let word = prop_oneof![check, response, number, sign.clone(), sign, item, rule];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}
