//! The text form of a policy, for operators.
//!
//! Owns the grammar, both ways. Read once, before a heap is built. Invariants: nothing is ever
//! ignored, so a text either says a whole policy or is an error that names the place, the word and
//! the choices; what a policy prints reads back as an equal one, its hooks aside. Deliberately
//! absent: hooks, which only code can name.
//!
//! ```text
//! policy   = [preset] {"," item}    with no preset it starts from `abort`; spaces round items are free
//! preset   = "abort" | "unhealthy" | "strict" | "count" | "hook"
//! item     = check "=" response | severity "=" response | "rate=" N "/s"
//!          | "escalate=" N ["/" time] ":" response | "drain=" time | "hook-deadline=" time
//! severity = "world" | "over-marking" | "metadata" | "dangling"
//! time     = N ("ms" | "s" | "m" | "h")
//! ```

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::check::Check;
use crate::policy::{HOOK_DEADLINE, Policy};
use crate::policy_word::{PolicyError, Word, listed, responses, time_text};
use crate::rules::{Escalation, Rate, Response, WITHIN_MAX};
use crate::terms::Severity;

/// The environment variable that operators set.
pub const POLICY_VARIABLE: &str = "GC_POLICY";

/// The presets by name. Where two fit a policy equally well, it prints as the earlier one.
static PRESETS: [(&str, Policy); 5] = [
    ("abort", Policy::ABORT),
    ("unhealthy", Policy::MARK_UNHEALTHY),
    ("strict", Policy::STRICT),
    ("count", Policy::COUNT),
    ("hook", Policy::HOOK),
];

/// The keys that are neither a check nor a severity.
const RULES: [&str; 4] = ["rate", "escalate", "drain", "hook-deadline"];

impl Policy {
    /// The policy in the environment variable [`POLICY_VARIABLE`]; none when it is not set. One
    /// that is set but empty is an error like any other text.
    ///
    /// # Errors
    /// The text says no policy.
    pub fn from_env() -> Result<Option<Policy>, PolicyError> {
        env::var_os(POLICY_VARIABLE).map(read_variable).transpose()
    }
}

fn read_variable(value: OsString) -> Result<Policy, PolicyError> {
    let bytes = value.as_encoded_bytes();
    match str::from_utf8(bytes) {
        Ok(text) => text.parse(),
        Err(error) => {
            let position = error.valid_up_to();
            let word = String::from_utf8_lossy(&bytes[position..]).into_owned();
            Err(PolicyError {
                position,
                word,
                problem: "text that is not UTF-8",
                expected: expected_item(),
            })
        }
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Policy, PolicyError> {
        let mut draft = Draft::new();
        let mut position = 0;
        for (place, item) in text.split(',').enumerate() {
            let word = Word {
                position,
                text: item,
            };
            draft.read(word.trimmed(), place)?;
            position += item.len() + 1;
        }
        Ok(draft.finish())
    }
}

/// The canonical text: the preset that leaves the least to say, what is said of severities, what
/// else differs in the order of the register, then the rules. Hooks have no text.
impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidates = PRESETS.iter().filter_map(|(name, preset)| {
            let start = with_severities_of(preset.clone(), self);
            let items = items_beyond(self, &start)?;
            Some((name, items))
        });
        // The first of equals wins, as `min_by_key` keeps it. The preset that the policy was made
        // from is always among them.
        let Some((name, items)) = candidates.min_by_key(|(_, items)| items.len()) else {
            return Err(fmt::Error);
        };
        formatter.write_str(name)?;
        for &severity in Severity::ALL {
            if let Some(response) = self.response_of_severity(severity) {
                write!(formatter, ",{severity}={response}")?;
            }
        }
        for check in items {
            write!(formatter, ",{check}={}", self.response(check))?;
        }
        if let Some(Rate { per_second }) = self.rate() {
            write!(formatter, ",rate={per_second}/s")?;
        }
        for step in self.ladder() {
            write!(formatter, ",escalate={}", step.after)?;
            if let Some(within) = step.within {
                write!(formatter, "/{}", time_text(within))?;
            }
            write!(formatter, ":{}", step.response)?;
        }
        if let Some(drain) = self.drain() {
            write!(formatter, ",drain={}", time_text(drain))?;
        }
        if self.hook_deadline() != HOOK_DEADLINE {
            write!(
                formatter,
                ",hook-deadline={}",
                time_text(self.hook_deadline())
            )?;
        }
        Ok(())
    }
}

fn with_severities_of(mut policy: Policy, other: &Policy) -> Policy {
    for &severity in Severity::ALL {
        if let Some(response) = other.response_of_severity(severity) {
            policy = policy.with_severity(severity, response);
        }
    }
    policy
}

/// The checks to name for `start` to become `policy`. None when naming them cannot say it, for
/// `policy` says several things of one.
fn items_beyond(policy: &Policy, start: &Policy) -> Option<Vec<Check>> {
    let is_other = |check: &Check| !policy.says_the_same_of(*check, start);
    let items: Vec<Check> = Check::ALL.iter().copied().filter(is_other).collect();
    let can_be_named = |check: &Check| policy.says_one_thing_of(*check);
    items.iter().all(can_be_named).then_some(items)
}

impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format_args!("{self}");
        formatter
            .debug_struct("Policy")
            .field("text", &text)
            .field("has_hook", &self.has_hook())
            .field("has_in_place_hook", &self.has_in_place_hook())
            .finish()
    }
}

/// What the text said so far. None is what it has not said, so that nothing is said twice.
struct Draft {
    preset: Option<Policy>,
    responses: [Option<Response>; Check::COUNT],
    severities: [Option<Response>; Severity::ALL.len()],
    rate: Option<Rate>,
    ladder: Vec<Escalation>,
    drain: Option<Duration>,
    hook_deadline: Option<Duration>,
}

impl Draft {
    const fn new() -> Draft {
        Draft {
            preset: None,
            responses: [None; Check::COUNT],
            severities: [None; Severity::ALL.len()],
            rate: None,
            ladder: Vec::new(),
            drain: None,
            hook_deadline: None,
        }
    }

    fn read(&mut self, item: Word<'_>, place: usize) -> Result<(), PolicyError> {
        let Some((key, value)) = item.split_once('=') else {
            return self.read_bare(item, place);
        };
        match key.text {
            "rate" => return set(&mut self.rate, key, || read_rate(value)),
            "escalate" => return self.read_step(value),
            "drain" => return set(&mut self.drain, key, || value.time()),
            "hook-deadline" => return set(&mut self.hook_deadline, key, || value.time()),
            _ => {}
        }
        let response = if let Some(check) = Check::from_id(key.text) {
            &mut self.responses[check.index()]
        } else if let Some(severity) = Severity::from_id(key.text) {
            &mut self.severities[severity as usize]
        } else {
            return Err(key.error("unknown check or rule", format!("one of: {}", keys())));
        };
        set(response, key, || value.response())
    }

    fn read_bare(&mut self, item: Word<'_>, place: usize) -> Result<(), PolicyError> {
        let preset = PRESETS.iter().find(|(name, _)| *name == item.text);
        match preset {
            Some((_, preset)) if place == 0 => {
                self.preset = Some(preset.clone());
                Ok(())
            }
            Some(_) => Err(item.error("preset after the first item", expected_item())),
            None if item.text.is_empty() => Err(item.error("empty item", expected_item())),
            None if place == 0 => Err(item.error("unknown preset", expected_item())),
            None => Err(item.error("item without a value", expected_item())),
        }
    }

    fn read_step(&mut self, value: Word<'_>) -> Result<(), PolicyError> {
        let Some((trigger, response)) = value.split_once(':') else {
            return Err(value.error("malformed escalation", expected_escalation()));
        };
        let (after, within, most) = match trigger.split_once('/') {
            None => (trigger, None, u64::MAX),
            Some((after, within)) => (after, Some(within), WITHIN_MAX),
        };
        let step = Escalation {
            after: after.number(most, &expected_escalation)?,
            within: within.map(Word::time).transpose()?,
            response: response.response()?,
        };
        let has_its_trigger = |other: &Escalation| other.trigger() == step.trigger();
        if self.ladder.iter().any(has_its_trigger) {
            let expected = "steps of the ladder with a trigger each of its own".to_owned();
            return Err(trigger.error("repeated trigger", expected));
        }
        self.ladder.push(step);
        Ok(())
    }

    fn finish(self) -> Policy {
        let mut policy = self.preset.unwrap_or_default();
        for &severity in Severity::ALL {
            if let Some(response) = self.severities[severity as usize] {
                policy = policy.with_severity(severity, response);
            }
        }
        for &check in Check::ALL {
            if let Some(response) = self.responses[check.index()] {
                policy = policy.with(check, response);
            }
        }
        if let Some(rate) = self.rate {
            policy = policy.with_rate(rate);
        }
        policy = self
            .ladder
            .into_iter()
            .fold(policy, Policy::with_escalation);
        if let Some(drain) = self.drain {
            policy = policy.with_drain(drain);
        }
        if let Some(deadline) = self.hook_deadline {
            policy = policy.with_hook_deadline(deadline);
        }
        policy
    }
}

fn set<T>(
    place: &mut Option<T>,
    key: Word<'_>,
    read: impl FnOnce() -> Result<T, PolicyError>,
) -> Result<(), PolicyError> {
    if place.is_some() {
        let expected = format!("each of these at most once, but for escalate: {}", keys());
        return Err(key.error("repeated", expected));
    }
    *place = Some(read()?);
    Ok(())
}

fn read_rate(value: Word<'_>) -> Result<Rate, PolicyError> {
    let Some(number) = value.text.strip_suffix("/s") else {
        return Err(value.error("malformed rate", expected_rate()));
    };
    let number = value.shortened(number);
    let per_second = NonZeroU32::try_from(number.number(u64::from(u32::MAX), &expected_rate)?);
    let per_second = per_second.map_err(|_| number.error("number too large", expected_rate()))?;
    Ok(Rate { per_second })
}

fn checks() -> String {
    listed(Check::ALL.iter().map(|check| check.id()))
}

fn severities() -> String {
    listed(Severity::ALL.iter().map(|severity| severity.id()))
}

fn keys() -> String {
    format!(
        "{}, {}, {}",
        checks(),
        severities(),
        listed(RULES.into_iter())
    )
}

fn expected_rate() -> String {
    format!("N/s with N from 1 to {}, as in 100/s", u32::MAX)
}

fn expected_escalation() -> String {
    format!(
        "N:RESPONSE with N from 1 to {}, or N/TIME:RESPONSE with N from 1 to {WITHIN_MAX}, as in \
         1000/60s:abort, and RESPONSE one of: {}",
        u64::MAX,
        responses()
    )
}

fn expected_item() -> String {
    let presets = listed(PRESETS.iter().map(|(name, _)| *name));
    format!(
        "a preset in the first place alone, one of: {presets}; or CHECK=RESPONSE, \
         SEVERITY=RESPONSE, rate=N/s, escalate=N:RESPONSE, escalate=N/TIME:RESPONSE, drain=TIME, \
         hook-deadline=TIME; CHECK one of: {}; SEVERITY one of: {}; RESPONSE one of: {}; TIME as \
         in 10m",
        checks(),
        severities(),
        responses()
    )
}
