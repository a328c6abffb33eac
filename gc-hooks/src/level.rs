//! How hard a heap looks.
//!
//! Owns the names of the levels. Constant data, used by everyone. Invariant: each level makes every
//! check that the ones before it make. Deliberately absent: which checks a level makes, which is a
//! column of the register (`check`), and single checks switched by hand (`checks`).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How hard the heap looks. Run-time data, so that the binary that is tested is the one that is
/// shipped.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum CheckLevel {
    /// As Go: a stray mark goes through, and the sweep finds it.
    Lax,
    /// The state byte of every pointer is looked at when it is marked and when the barrier reads
    /// it.
    #[default]
    Default,
    /// Everything of `Default`, the guilty store by its call site, and a second opinion every
    /// cycle.
    Paranoid,
}

impl CheckLevel {
    /// Every level, the least curious first.
    pub const ALL: &'static [CheckLevel] =
        &[CheckLevel::Lax, CheckLevel::Default, CheckLevel::Paranoid];

    /// The name of the level on a command line and in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            CheckLevel::Lax => "lax",
            CheckLevel::Default => "default",
            CheckLevel::Paranoid => "paranoid",
        }
    }
}

impl fmt::Display for CheckLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

impl FromStr for CheckLevel {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let level = Self::ALL.iter().copied().find(|level| level.id() == text);
        level.ok_or_else(|| LevelError {
            word: text.to_owned(),
        })
    }
}

/// A word that names no level of checking.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("unknown level of checking {word:?}; choices: lax, default, paranoid")]
pub struct LevelError {
    /// The word as it was given.
    pub word: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_what_it_prints() {
        for level in CheckLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(*level));
        }
        assert_eq!(CheckLevel::default(), CheckLevel::Default);
    }

    #[test]
    fn an_unknown_level_is_an_error_that_names_every_choice() {
        let error = "Paranoid".parse::<CheckLevel>().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("\"Paranoid\""), "{text}");
        for level in CheckLevel::ALL {
            assert!(text.contains(level.id()), "{text}");
        }
    }
}
