//! The text form of a policy, for operators.
//!
//! Owns the grammar, both ways. Read once, before a heap is built. Invariants: nothing is ever
//! ignored, so a text either says a whole policy or is an error that names the place, the word and
//! the choices; what a policy prints reads back as an equal one, its hook aside. Deliberately
//! absent: hooks, which only code can name.
//!
//! ```text
//! policy = [preset] {"," item}    with no preset it starts from `abort`; spaces round items are free
//! preset = "abort" | "unhealthy" | "strict" | "count" | "hook"
//! item   = check "=" response | "rate=" N "/s" | "escalate=" N ":" response | "drain=" N unit
//! unit   = "ms" | "s" | "m" | "h"
//! ```

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::check::Check;
use crate::policy::{Escalation, Policy, Rate, Response};

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

/// The units of a drain in milliseconds, the largest first: a drain prints in the first one that
/// divides it.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A policy text that says no policy.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("policy text, byte {position}: {problem} {word:?}; expected {expected}")]
pub struct PolicyError {
    /// Bytes from the start of the text to the offending word.
    pub position: usize,
    /// The offending word; empty where one is missing.
    pub word: String,
    /// What is wrong with it.
    pub problem: &'static str,
    /// What could stand there, with every choice.
    pub expected: String,
}

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
            draft.read(
                Word {
                    position,
                    text: item,
                }
                .trimmed(),
                place,
            )?;
            position += item.len() + 1;
        }
        Ok(draft.finish())
    }
}

/// The canonical text: the preset that leaves the least to say, what differs from it in the order
/// of the register, then the rules. A hook has no text.
impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differing = |preset: &Policy| {
            let is_other = |check: &&Check| self.response(**check) != preset.response(**check);
            Check::ALL.iter().filter(is_other).count()
        };
        // The first of equals wins, as `min_by_key` keeps it.
        let Some((name, preset)) = PRESETS.iter().min_by_key(|(_, preset)| differing(preset))
        else {
            return Err(fmt::Error);
        };
        write!(formatter, "{name}")?;
        for &check in Check::ALL {
            if self.response(check) != preset.response(check) {
                write!(formatter, ",{check}={}", self.response(check))?;
            }
        }
        if let Some(Rate { per_second }) = self.rate() {
            write!(formatter, ",rate={per_second}/s")?;
        }
        if let Some(Escalation { after, response }) = self.escalation() {
            write!(formatter, ",escalate={after}:{response}")?;
        }
        if let Some(drain) = self.drain() {
            let milliseconds = drain.as_millis();
            let unit = UNITS
                .iter()
                .find(|(_, size)| milliseconds.is_multiple_of(u128::from(*size)));
            let (unit, size) = unit.copied().unwrap_or(("ms", 1));
            write!(
                formatter,
                ",drain={}{unit}",
                milliseconds / u128::from(size)
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format_args!("{self}");
        formatter
            .debug_struct("Policy")
            .field("text", &text)
            .field("has_hook", &self.has_hook())
            .finish()
    }
}

/// A piece of the text that knows where it stands.
#[derive(Clone, Copy)]
struct Word<'t> {
    position: usize,
    text: &'t str,
}

impl<'t> Word<'t> {
    fn trimmed(self) -> Word<'t> {
        let text = self.text.trim_start_matches(' ');
        let position = self.position + self.text.len() - text.len();
        Word {
            position,
            text: text.trim_end_matches(' '),
        }
    }

    fn split_once(self, separator: char) -> Option<(Word<'t>, Word<'t>)> {
        let (before, after) = self.text.split_once(separator)?;
        let position = self.position + before.len() + separator.len_utf8();
        Some((
            Word {
                position: self.position,
                text: before,
            },
            Word {
                position,
                text: after,
            },
        ))
    }

    fn error(self, problem: &'static str, expected: String) -> PolicyError {
        PolicyError {
            position: self.position,
            word: self.text.to_owned(),
            problem,
            expected,
        }
    }

    fn response(self) -> Result<Response, PolicyError> {
        let response = Response::from_id(self.text);
        response.ok_or_else(|| self.error("unknown response", expected_response()))
    }

    /// A whole number of at least one, in digits alone.
    fn number(self, expected: &dyn Fn() -> String) -> Result<NonZeroU64, PolicyError> {
        if self.text.is_empty() || !self.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.error("malformed number", expected()));
        }
        // Digits alone fail to be a number only by being too many.
        let number = self
            .text
            .parse::<u64>()
            .map_err(|_| self.error("number too large", expected()))?;
        NonZeroU64::new(number).ok_or_else(|| self.error("zero", expected()))
    }
}

/// What the text said so far. None is what it has not said, so that nothing is said twice.
struct Draft {
    preset: Option<Policy>,
    responses: [Option<Response>; Check::COUNT],
    rate: Option<Rate>,
    escalation: Option<Escalation>,
    drain: Option<Duration>,
}

impl Draft {
    const fn new() -> Draft {
        Draft {
            preset: None,
            responses: [None; Check::COUNT],
            rate: None,
            escalation: None,
            drain: None,
        }
    }

    fn read(&mut self, item: Word<'_>, place: usize) -> Result<(), PolicyError> {
        let Some((key, value)) = item.split_once('=') else {
            return self.read_bare(item, place);
        };
        match key.text {
            "rate" => set(&mut self.rate, key, || read_rate(value)),
            "escalate" => set(&mut self.escalation, key, || read_escalation(value)),
            "drain" => set(&mut self.drain, key, || read_drain(value)),
            id => match Check::from_id(id) {
                Some(check) => set(&mut self.responses[check.index()], key, || value.response()),
                None => Err(key.error("unknown check or rule", expected_key())),
            },
        }
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

    fn finish(self) -> Policy {
        let mut policy = self.preset.unwrap_or_default();
        for &check in Check::ALL {
            if let Some(response) = self.responses[check.index()] {
                policy = policy.with(check, response);
            }
        }
        if let Some(rate) = self.rate {
            policy = policy.with_rate(rate);
        }
        if let Some(escalation) = self.escalation {
            policy = policy.with_escalation(escalation);
        }
        if let Some(drain) = self.drain {
            policy = policy.with_drain(drain);
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
        return Err(key.error(
            "repeated",
            format!("each of these at most once: {}", keys()),
        ));
    }
    *place = Some(read()?);
    Ok(())
}

fn read_rate(value: Word<'_>) -> Result<Rate, PolicyError> {
    let Some(number) = value.text.strip_suffix("/s") else {
        return Err(value.error("malformed rate", expected_rate()));
    };
    let number = Word {
        position: value.position,
        text: number,
    };
    let per_second = NonZeroU32::try_from(number.number(&expected_rate)?);
    let per_second = per_second.map_err(|_| number.error("number too large", expected_rate()))?;
    Ok(Rate { per_second })
}

fn read_escalation(value: Word<'_>) -> Result<Escalation, PolicyError> {
    let Some((after, response)) = value.split_once(':') else {
        return Err(value.error("malformed escalation", expected_escalation()));
    };
    Ok(Escalation {
        after: after.number(&expected_escalation)?,
        response: response.response()?,
    })
}

fn read_drain(value: Word<'_>) -> Result<Duration, PolicyError> {
    let digits = value.text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.text.split_at(digits);
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(value.error("malformed drain", expected_drain()));
    };
    let number = Word {
        position: value.position,
        text: number,
    };
    let milliseconds = number.number(&expected_drain)?.get().checked_mul(*size);
    let milliseconds =
        milliseconds.ok_or_else(|| number.error("number too large", expected_drain()))?;
    Ok(Duration::from_millis(milliseconds))
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn keys() -> String {
    listed(
        Check::ALL
            .iter()
            .map(|check| check.id())
            .chain(["rate", "escalate", "drain"]),
    )
}

fn responses() -> String {
    listed(Response::ALL.iter().map(|response| response.id()))
}

fn expected_response() -> String {
    format!("one of: {}", responses())
}

fn expected_key() -> String {
    format!("one of: {}", keys())
}

fn expected_rate() -> String {
    format!("N/s with N from 1 to {}, as in 100/s", u32::MAX)
}

fn expected_escalation() -> String {
    format!(
        "N:RESPONSE with N from 1 to {} and RESPONSE one of: {}",
        u64::MAX,
        responses()
    )
}

fn expected_drain() -> String {
    let units = listed(UNITS.iter().rev().map(|(name, _)| *name));
    format!(
        "N and a unit without a space, N from 1, at most {} ms, the unit one of: {units}",
        u64::MAX
    )
}

fn expected_item() -> String {
    let presets = listed(PRESETS.iter().map(|(name, _)| *name));
    format!(
        "a preset in the first place alone, one of: {presets}; or CHECK=RESPONSE, rate=N/s, \
         escalate=N:RESPONSE, drain=N(ms|s|m|h); CHECK one of: {}; RESPONSE one of: {}",
        listed(Check::ALL.iter().map(|check| check.id())),
        responses()
    )
}
