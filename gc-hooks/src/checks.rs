//! Which checks a heap makes: a level, and single checks switched by hand.
//!
//! Owns the choice and its text form for operators. Read once, before a heap is built. Invariants:
//! only a check that some level leaves out can be switched, since memory safety rests on the others;
//! nothing in a text is ignored; what prints reads back as the same choice. Deliberately absent:
//! what follows from a failed check, which is the policy's.
//!
//! ```text
//! checks = [level] {"," check "=" ("on" | "off")}    with no level it starts from `default`
//! level  = "lax" | "default" | "paranoid"
//! ```

use std::env;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::check::Check;
use crate::level::CheckLevel;

/// The environment variable that operators set.
pub const CHECKS_VARIABLE: &str = "GC_CHECKS";

/// The checks a heap makes.
///
/// ```
/// use gc_hooks::{Check, CheckLevel, Checks};
///
/// let checks: Checks = "default,slot-dirty=on".parse()?;
/// assert!(checks.makes(Check::SlotDirty) && !checks.makes(Check::VirginSlot));
/// assert_eq!(checks, Checks::at(CheckLevel::Default).with(Check::SlotDirty)?);
/// # Ok::<(), gc_hooks::ChecksError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Checks {
    level: CheckLevel,
    /// Bits by the index of the check: those that are not as the level has them.
    switched: u64,
}

const _: () = assert!(Check::COUNT <= u64::BITS as usize);

impl Checks {
    /// The checks of a level.
    #[must_use]
    pub const fn at(level: CheckLevel) -> Checks {
        Checks { level, switched: 0 }
    }

    /// These checks and one more.
    ///
    /// # Errors
    /// [`ChecksError::Fixed`] for a check that every level makes.
    pub fn with(self, check: Check) -> Result<Checks, ChecksError> {
        self.switch(check, true)
    }

    /// These checks but for one.
    ///
    /// # Errors
    /// [`ChecksError::Fixed`] for a check that every level makes: memory safety rests on it. A
    /// policy that counts it keeps it quiet.
    pub fn without(self, check: Check) -> Result<Checks, ChecksError> {
        self.switch(check, false)
    }

    fn switch(self, check: Check, is_made: bool) -> Result<Checks, ChecksError> {
        if check.level() == CheckLevel::Lax {
            return Err(ChecksError::Fixed { check });
        }
        let bit = 1 << check.index();
        let differs = is_made != (check.level() <= self.level);
        let switched = if differs {
            self.switched | bit
        } else {
            self.switched & !bit
        };
        Ok(Checks { switched, ..self })
    }

    /// The level these checks start from. What a level does beyond making checks goes by this.
    #[must_use]
    #[inline]
    pub const fn level(self) -> CheckLevel {
        self.level
    }

    /// Whether a check is made.
    #[must_use]
    #[inline]
    pub fn makes(self, check: Check) -> bool {
        (check.level() <= self.level) != (self.switched & (1 << check.index()) != 0)
    }

    /// The checks that the environment variable [`CHECKS_VARIABLE`] names; none when it is not set.
    ///
    /// # Errors
    /// The text names no choice of checks.
    pub fn from_env() -> Result<Option<Checks>, ChecksError> {
        let Some(value) = env::var_os(CHECKS_VARIABLE) else {
            return Ok(None);
        };
        match value.into_string() {
            Ok(text) => text.parse().map(Some),
            Err(value) => Err(ChecksError::Text {
                position: 0,
                word: value.to_string_lossy().into_owned(),
                problem: "text that is not UTF-8",
                expected: expected_level(),
            }),
        }
    }
}

impl From<CheckLevel> for Checks {
    fn from(level: CheckLevel) -> Checks {
        Checks::at(level)
    }
}

/// The level, then what differs from it in the order of the register.
impl fmt::Display for Checks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.level)?;
        for &check in Check::ALL {
            if self.switched & (1 << check.index()) != 0 {
                let switch = if self.makes(check) { "on" } else { "off" };
                write!(formatter, ",{check}={switch}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Checks {
    type Err = ChecksError;

    fn from_str(text: &str) -> Result<Checks, ChecksError> {
        let mut checks = Checks::default();
        let mut seen = 0_u64;
        let mut position = 0;
        for (place, item) in text.split(',').enumerate() {
            let word = item.trim_matches(' ');
            let position_of_word = position + item.len() - item.trim_start_matches(' ').len();
            position += item.len() + 1;
            let error = |problem, expected| ChecksError::Text {
                position: position_of_word,
                word: word.to_owned(),
                problem,
                expected,
            };
            let Some((id, switch)) = word.split_once('=') else {
                match word.parse() {
                    Ok(level) if place == 0 => checks = Checks::at(level),
                    Ok(_) => return Err(error("level after the first item", expected_switch())),
                    Err(_) if place == 0 => return Err(error("unknown level", expected_level())),
                    Err(_) => return Err(error("check without a switch", expected_switch())),
                }
                continue;
            };
            let Some(check) = Check::from_id(id) else {
                return Err(error("unknown check", expected_switch()));
            };
            if seen & (1 << check.index()) != 0 {
                return Err(error("repeated", expected_switch()));
            }
            seen |= 1 << check.index();
            checks = match switch {
                "on" => checks.with(check)?,
                "off" => checks.without(check)?,
                _ => return Err(error("neither on nor off", expected_switch())),
            };
        }
        Ok(checks)
    }
}

fn expected_level() -> String {
    let levels: Vec<&str> = CheckLevel::ALL.iter().map(|level| level.id()).collect();
    format!("a level ({}) or {}", levels.join(", "), expected_switch())
}

fn expected_switch() -> String {
    let can_be = |check: &&Check| check.level() > CheckLevel::Lax;
    let ids: Vec<&str> = Check::ALL
        .iter()
        .filter(can_be)
        .map(|check| check.id())
        .collect();
    format!(
        "CHECK=on or CHECK=off, where CHECK is one of {}",
        ids.join(", ")
    )
}

/// A choice of checks that cannot be.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ChecksError {
    /// Every level makes this check.
    #[error(
        "check {check} cannot be switched: every level makes it, since the heap's safety rests on what it contains; \
         a policy of {check}=count keeps it quiet"
    )]
    Fixed {
        /// The check.
        check: Check,
    },
    /// A text that names no choice.
    #[error("checks text, byte {position}: {problem} {word:?}; expected {expected}")]
    Text {
        /// Bytes from the start of the text to the offending word.
        position: usize,
        /// The offending word; empty where one is missing.
        word: String,
        /// What is wrong with it.
        problem: &'static str,
        /// What could stand there, with every choice.
        expected: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_makes_what_its_column_says() {
        for &level in CheckLevel::ALL {
            for &check in Check::ALL {
                let is_made = Checks::at(level).makes(check);
                assert_eq!(is_made, check.level() <= level, "{check} at {level}");
            }
        }
    }

    #[test]
    fn a_switch_changes_one_check_and_switching_back_changes_nothing() {
        for &level in CheckLevel::ALL {
            let checks = Checks::at(level);
            for &check in Check::ALL
                .iter()
                .filter(|check| check.level() > CheckLevel::Lax)
            {
                let (on, off) = (checks.with(check).unwrap(), checks.without(check).unwrap());
                assert!(on.makes(check) && !off.makes(check));
                assert!(on == checks || off == checks);
                assert_eq!(off.with(check).unwrap(), on);
                for &other in Check::ALL.iter().filter(|other| **other != check) {
                    assert_eq!(on.makes(other), checks.makes(other));
                }
            }
        }
    }

    #[test]
    fn a_check_that_safety_rests_on_cannot_be_switched() {
        let error = Checks::default().without(Check::BadPointer).unwrap_err();
        assert_eq!(
            error,
            ChecksError::Fixed {
                check: Check::BadPointer
            }
        );
        assert!(error.to_string().contains("bad-pointer=count"), "{error}");
        assert_eq!("lax,bad-pointer=off".parse::<Checks>(), Err(error));
    }

    #[test]
    fn what_prints_reads_back() {
        for text in [
            "lax",
            "default",
            "paranoid",
            "default,slot-dirty=on",
            "lax,virgin-slot=on",
        ] {
            let checks: Checks = text.parse().unwrap();
            assert_eq!(checks.to_string(), text);
        }
        let checks: Checks = " paranoid , unmarked-reachable=off ".parse().unwrap();
        assert_eq!(checks.to_string(), "paranoid,unmarked-reachable=off");
        assert_eq!("default,slot-dirty=off".parse(), Ok(Checks::default()));
        assert_eq!(
            "slot-dirty=on".parse(),
            Checks::default().with(Check::SlotDirty)
        );
    }

    #[test]
    fn a_text_that_says_nothing_is_an_error_that_names_the_place_and_the_choices() {
        for (text, at, problem) in [
            ("", 0, "unknown level"),
            ("Lax", 0, "unknown level"),
            ("lax,paranoid", 4, "level after the first item"),
            ("lax, slot-dirty", 5, "check without a switch"),
            ("lax,slot-dirt=on", 4, "unknown check"),
            ("lax,slot-dirty=yes", 4, "neither on nor off"),
            ("slot-dirty=on,slot-dirty=on", 14, "repeated"),
            ("lax,", 4, "check without a switch"),
        ] {
            let error = text.parse::<Checks>().unwrap_err();
            let ChecksError::Text {
                position,
                problem: found,
                expected,
                ..
            } = &error
            else {
                panic!("{text:?}: {error}");
            };
            assert_eq!((*position, *found), (at, problem), "{text:?}");
            assert!(expected.contains("unmarked-reachable"), "{expected}");
        }
    }
}
