//! What an instance tells of itself: one line an event, `key=value` words, for logs and scripts.
//!
//! ```text
//! t=1764322211.123 instance=a event=leaving reason=unhealthy in_flight=17
//! ```
//!
//! Called by the tasks of the runtime, few times in the life of an instance. A value with a space or a
//! quotation mark stands in quotation marks, with a backslash before each inside. A reader that has gone
//! away is tolerated: the service goes on.

use std::fmt::Write as _;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const DEADLINE_PASSED: &str = "the drain deadline has passed with connections open";

/// Writes one line.
pub(super) fn tell(out: &mut dyn Write, instance: &str, event: &str, words: &[(&str, &str)]) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let line = line(now.as_millis(), instance, event, words);
    // Nobody is left to tell when standard output is gone.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn line(now_ms: u128, instance: &str, event: &str, words: &[(&str, &str)]) -> String {
    let mut line = format!("t={}.{:03}", now_ms / 1000, now_ms % 1000);
    for (key, value) in [("instance", instance), ("event", event)]
        .iter()
        .chain(words)
    {
        // Writing to a string does not fail.
        let _ = if value.contains([' ', '"', '=']) || value.is_empty() {
            write!(line, " {key}={value:?}")
        } else {
            write!(line, " {key}={value}")
        };
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_made_of_words() {
        let words = [("message", "found \"it\""), ("n", "3"), ("none", "")];
        assert_eq!(
            line(1_234_005, "a", "unhealthy", &words),
            "t=1234.005 instance=a event=unhealthy message=\"found \\\"it\\\"\" n=3 none=\"\"\n"
        );
    }
}
