//! The words of a policy text, and what is said when one of them is wrong.
//!
//! Owns the error, and the reading of single words: numbers, times, responses. Called while a text
//! is read, before a heap is built. Invariant: an error names the place, the word and the choices.
//! Deliberately absent: which word may stand where.

use std::num::NonZeroU64;
use std::time::Duration;

use thiserror::Error;

use crate::rules::Response;

/// The units of a time in milliseconds, the largest first: a time prints in the first one that
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

/// A piece of the text that knows where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Word<'t> {
    pub(crate) position: usize,
    pub(crate) text: &'t str,
}

impl<'t> Word<'t> {
    pub(crate) fn trimmed(self) -> Word<'t> {
        let text = self.text.trim_start_matches(' ');
        let position = self.position + self.text.len() - text.len();
        Word {
            position,
            text: text.trim_end_matches(' '),
        }
    }

    pub(crate) fn split_once(self, separator: char) -> Option<(Word<'t>, Word<'t>)> {
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

    /// The same place, and less of the text.
    pub(crate) fn shortened(self, text: &'t str) -> Word<'t> {
        Word { text, ..self }
    }

    pub(crate) fn error(self, problem: &'static str, expected: String) -> PolicyError {
        PolicyError {
            position: self.position,
            word: self.text.to_owned(),
            problem,
            expected,
        }
    }

    pub(crate) fn response(self) -> Result<Response, PolicyError> {
        let response = Response::from_id(self.text);
        response.ok_or_else(|| self.error("unknown response", format!("one of: {}", responses())))
    }

    /// A whole number from 1 to `most`, in digits alone.
    pub(crate) fn number(
        self,
        most: u64,
        expected: &dyn Fn() -> String,
    ) -> Result<NonZeroU64, PolicyError> {
        if self.text.is_empty() || !self.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.error("malformed number", expected()));
        }
        // Digits alone fail to be a number only by being too many.
        let number = self.text.parse::<u64>().ok();
        let number = number
            .filter(|number| *number <= most)
            .ok_or_else(|| self.error("number too large", expected()))?;
        NonZeroU64::new(number).ok_or_else(|| self.error("zero", expected()))
    }

    /// A number and a unit, at least a millisecond.
    pub(crate) fn time(self) -> Result<Duration, PolicyError> {
        let digits = self.text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = self.text.split_at(digits);
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(self.error("malformed time", expected_time()));
        };
        let number = self.shortened(number);
        let milliseconds = number.number(u64::MAX, &expected_time)?.get();
        let milliseconds = milliseconds
            .checked_mul(*size)
            .ok_or_else(|| number.error("number too large", expected_time()))?;
        Ok(Duration::from_millis(milliseconds))
    }
}

/// A time of whole milliseconds in the largest unit that divides it.
pub(crate) fn time_text(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let divides = |(_, size): &&(&str, u64)| milliseconds.is_multiple_of(u128::from(*size));
    let (unit, size) = UNITS.iter().find(divides).copied().unwrap_or(("ms", 1));
    format!("{}{unit}", milliseconds / u128::from(size))
}

pub(crate) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

pub(crate) fn responses() -> String {
    listed(Response::ALL.iter().map(|response| response.id()))
}

fn expected_time() -> String {
    let units = listed(UNITS.iter().rev().map(|(name, _)| *name));
    format!(
        "N and a unit without a space, N from 1, at most {} ms, the unit one of: {units}",
        u64::MAX
    )
}
