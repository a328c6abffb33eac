//! The report of a heap that ends its process.
//!
//! Called by `Hooks` from whatever thread found the violation, possibly inside the allocator, with
//! the heap in any state: so it takes no lock, allocates nothing and formats into a fixed buffer on
//! its own stack. Invariants: the first line on standard error is the violation's first line; the
//! closing line is always whole, however long the report; the report goes out in one write where
//! the descriptor takes it, so that two threads do not mix their lines. Deliberately absent: a
//! backtrace (symbolising allocates and locks) and any attempt to save the heap.

use std::fmt::{self, Write};

use crate::violation::Violation;

/// What a pipe takes in one piece (`PIPE_BUF` on Linux).
const REPORT_BYTES_MAX: usize = 4096;

/// Set aside for the closing line.
const CLOSING_BYTES_MAX: usize = 128;

/// Why the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The policy's response to the violation.
    Policy,
    /// The heap was unhealthy for longer than the policy's drain.
    Drain,
}

impl Ending {
    const fn closing(self) -> &'static str {
        match self {
            Ending::Policy => "softfail: policy abort",
            Ending::Drain => "softfail: drain deadline passed, abort",
        }
    }
}

/// Writes the report to standard error and ends the process by SIGABRT.
pub(crate) fn abort(cause: Option<&Violation>, ending: Ending) -> ! {
    let mut report = Report::new();
    report.compose(cause, ending);
    write_to_stderr(report.bytes());
    std::process::abort()
}

/// Writes one line to standard error, as far as it fits.
pub(crate) fn notice(line: fmt::Arguments<'_>) {
    let mut report = Report::new();
    report.limit = REPORT_BYTES_MAX - 1;
    let _ = report.write_fmt(line);
    report.limit = REPORT_BYTES_MAX;
    let _ = report.write_str("\n");
    write_to_stderr(report.bytes());
}

/// Text in a fixed buffer. What does not fit is cut off between two characters.
struct Report {
    bytes: [u8; REPORT_BYTES_MAX],
    length: usize,
    limit: usize,
}

impl Report {
    const fn new() -> Report {
        Report {
            bytes: [0; REPORT_BYTES_MAX],
            length: 0,
            limit: REPORT_BYTES_MAX,
        }
    }

    fn compose(&mut self, cause: Option<&Violation>, ending: Ending) {
        self.limit = REPORT_BYTES_MAX - CLOSING_BYTES_MAX;
        if let Some(violation) = cause {
            // An error means the report was cut off, which the closing line below is set aside for.
            let _ = write!(self, "{violation}");
        }
        self.limit = REPORT_BYTES_MAX;
        if self.length > 0 {
            let _ = self.write_str("\n");
        }
        let _ = writeln!(self, "{}", ending.closing());
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.limit.saturating_sub(self.length);
        let mut taken = text.len().min(room);
        while !text.is_char_boundary(taken) {
            taken -= 1;
        }
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// Nobody is left to tell of an error, so one only ends the attempt.
fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written.min(bytes.len())..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;

    fn composed(cause: Option<&Violation>, ending: Ending) -> String {
        let mut report = Report::new();
        report.compose(cause, ending);
        String::from_utf8(report.bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_report_is_the_violation_and_a_closing_line() {
        let violation = Violation::new(Check::SweepCount).with_cycle(3);
        let expected = format!("{violation}\nsoftfail: policy abort\n");
        assert_eq!(composed(Some(&violation), Ending::Policy), expected);
    }

    #[test]
    fn a_drain_without_any_violation_still_says_why_it_ends() {
        assert_eq!(
            composed(None, Ending::Drain),
            "softfail: drain deadline passed, abort\n"
        );
    }

    #[test]
    fn a_report_too_long_for_the_buffer_keeps_its_first_and_its_closing_line() {
        let long: &'static str = "ü".repeat(REPORT_BYTES_MAX).leak();
        let violation = Violation::new(Check::Zombie).with_type_name(long);
        let text = composed(Some(&violation), Ending::Policy);
        assert!(text.len() <= REPORT_BYTES_MAX);
        assert!(text.starts_with("found pointer to free object\n"));
        assert!(text.ends_with("ü\nsoftfail: policy abort\n"));
    }

    #[test]
    fn text_that_just_fits_is_whole_and_one_byte_more_is_cut() {
        let mut report = Report::new();
        assert!(report.write_str(&"x".repeat(REPORT_BYTES_MAX)).is_ok());
        assert_eq!(report.bytes().len(), REPORT_BYTES_MAX);
        assert!(report.write_str("y").is_err());
        assert_eq!(report.bytes().len(), REPORT_BYTES_MAX);
    }

    #[test]
    fn a_character_that_fits_only_in_part_is_left_out() {
        let mut report = Report::new();
        report.limit = 5;
        assert!(report.write_str("üüü").is_err());
        assert_eq!(report.bytes(), "üü".as_bytes());
    }

    #[test]
    fn every_closing_line_fits_its_place() {
        for ending in [Ending::Policy, Ending::Drain] {
            assert!(ending.closing().len() + 2 <= CLOSING_BYTES_MAX);
        }
    }
}
