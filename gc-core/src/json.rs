//! Text inside a JSON string, for the files that the heap writes.

use core::fmt;

/// Displays what stands between the quotes.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' => formatter.write_str("\\\"")?,
                '\\' => formatter.write_str("\\\\")?,
                c if c < ' ' => write!(formatter, "\\u{:04x}", u32::from(c))?,
                c => write!(formatter, "{c}")?,
            }
        }
        Ok(())
    }
}
