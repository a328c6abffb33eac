//! Reads the report that a heap leaves on standard error when its policy ends the process.
//!
//! The report is for people; this reads no more of it than the judge needs, and calls it whole only when
//! its closing line is there.

use super::wire::Told;

/// The line that closes a report.
const CLOSING: &str = "softfail: policy abort";

/// The report at the end of some text. `None` when it is not whole.
pub(crate) fn read(text: &str) -> Option<Told> {
    let (report, _) = text.rsplit_once(CLOSING)?;
    let value = |key: &str| {
        let mut lines = report.lines();
        lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "))
    };
    Some(Told {
        check: value("check")?.to_string(),
        at_op: 0,
        cycle: value("cycle")?.parse().ok()?,
        span: value("span").and_then(|span| span.parse().ok()),
        slot: value("slot").and_then(|slot| slot.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "noise before\nfound bad pointer in heap (pointer to free slot)
  check: free-pointer
  sequence: 1
  cycle: 2
  phase: mark
  span: 4
  slot: 17
softfail: policy abort
";

    #[test]
    fn a_whole_report_is_read() {
        let told = read(REPORT).unwrap();
        assert_eq!((told.check.as_str(), told.cycle), ("free-pointer", 2));
        assert_eq!((told.span, told.slot), (Some(4), Some(17)));
    }

    #[test]
    fn a_report_that_is_cut_off_is_none() {
        for end in 1..REPORT.len() - 2 {
            assert_eq!(read(&REPORT[..end]), None, "{end}");
        }
        assert_eq!(read("softfail: policy abort"), None);
    }
}
