//! Who advances the collector, as the command line says it: `manual`, `incremental`, `background`
//! or `background:N`.

use std::fmt;
use std::str::FromStr;

use gc_core::Driver;
use thiserror::Error;

/// Most collector threads that can be asked for.
const COLLECTORS_MAX: usize = 64;

/// A driver that can be read and written as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DriverChoice(pub Driver);

/// Text that names no driver.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "`{text}` is no driver: choose manual, incremental, background or background:N with 1 to \
     {COLLECTORS_MAX} collector threads"
)]
pub struct DriverError {
    text: String,
}

impl DriverChoice {
    /// The scenario itself says when the collector works, and how much.
    pub const MANUAL: DriverChoice = DriverChoice(Driver::Manual);
    /// One collector thread.
    pub const BACKGROUND: DriverChoice = DriverChoice(Driver::Background(1));

    /// Whether the scenario steps the collector by hand.
    pub fn is_manual(self) -> bool {
        self.0 == Driver::Manual
    }
}

impl FromStr for DriverChoice {
    type Err = DriverError;

    fn from_str(text: &str) -> Result<Self, DriverError> {
        let driver = match text.split_once(':') {
            None => match text {
                "manual" => Some(Driver::Manual),
                "incremental" => Some(Driver::Incremental),
                "background" => Some(Driver::Background(1)),
                _ => None,
            },
            Some(("background", threads)) => threads
                .parse()
                .ok()
                .filter(|threads| (1..=COLLECTORS_MAX).contains(threads))
                .map(Driver::Background),
            Some(_) => None,
        };
        driver.map(DriverChoice).ok_or_else(|| DriverError {
            text: text.to_string(),
        })
    }
}

impl fmt::Display for DriverChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Driver::Manual => formatter.write_str("manual"),
            Driver::Incremental => formatter.write_str("incremental"),
            Driver::Background(1) => formatter.write_str("background"),
            Driver::Background(threads) => write!(formatter, "background:{threads}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        for text in [
            "manual",
            "incremental",
            "background",
            "background:2",
            "background:64",
        ] {
            assert_eq!(text.parse::<DriverChoice>().unwrap().to_string(), text);
        }
        assert_eq!("background:1".parse(), Ok(DriverChoice::BACKGROUND));
    }

    #[test]
    fn what_is_no_driver_is_refused_with_the_choices() {
        for text in [
            "",
            "Manual",
            "background:",
            "background:0",
            "background:65",
            "manual:1",
        ] {
            let message = text.parse::<DriverChoice>().unwrap_err().to_string();
            assert!(
                message.contains("manual, incremental, background"),
                "{message}"
            );
            assert!(message.contains(&format!("`{text}`")), "{message}");
        }
    }
}
