//! Moments as Chrome's trace events: one JSON object a line.

use std::fmt;
use std::io::{self, Write};

use super::{Moment, Stretch};
use crate::json::Escaped;
use crate::request::Handshake;

/// The row of cycles and their phases in a viewer.
pub(super) const ROW_CYCLE: u64 = 1;
/// The row of handshakes.
const ROW_HANDSHAKES: u64 = 2;
/// Rows of threads that answer and find come behind.
const ROW_THREADS: u64 = 100;

/// The beginning of the array, with the names of process and rows.
pub(super) fn write_head(out: &mut impl Write, heap: &str) -> io::Result<()> {
    let heap = Escaped(heap);
    write!(
        out,
        "[\n{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"tid\":0,\"args\":{{\"name\":\"heap {heap}\"}}}}"
    )?;
    for (row, name) in [(ROW_CYCLE, "cycles"), (ROW_HANDSHAKES, "handshakes")] {
        write!(
            out,
            ",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{row},\"args\":{{\"name\":\"{name}\"}}}}"
        )?;
    }
    Ok(())
}

impl Moment {
    /// One trace event. All texts are identifiers of the heap's own, which need no escaping.
    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Moment::Cycle {
                cycle,
                at,
                voided,
                bytes_freed,
            } => {
                write_stretch(out, format_args!("cycle {cycle}"), "cycle", at, ROW_CYCLE)?;
                match voided {
                    Some(reason) => {
                        write!(out, "{{\"cycle\":{cycle},\"voided\":\"{reason}\"}}}}")
                    }
                    None => write!(out, "{{\"cycle\":{cycle},\"bytes_freed\":{bytes_freed}}}}}"),
                }
            }
            Moment::Phase { cycle, phase, at } => {
                write_stretch(out, format_args!("{phase}"), "phase", at, ROW_CYCLE)?;
                write!(out, "{{\"cycle\":{cycle}}}}}")
            }
            Moment::Handshake {
                cycle,
                handshake,
                at,
            } => {
                let name = name_of(handshake);
                write_stretch(out, format_args!("{name}"), "handshake", at, ROW_HANDSHAKES)?;
                write!(out, "{{\"cycle\":{cycle}}}}}")
            }
            Moment::Answer { cycle, thread, at } => {
                write_stretch(
                    out,
                    format_args!("answer"),
                    "answer",
                    at,
                    ROW_THREADS + thread,
                )?;
                write!(out, "{{\"cycle\":{cycle}}}}}")
            }
            Moment::Violation { .. } => self.write_violation(out),
            Moment::Level {
                bytes_live,
                bytes_goal,
                bytes_quarantined,
                at_ns,
            } => write!(
                out,
                "{{\"name\":\"heap\",\"ph\":\"C\",\"ts\":{},\"pid\":1,\"tid\":0,\"args\":{{\"bytes_live\":{bytes_live},\"bytes_goal\":{bytes_goal},\"bytes_quarantined\":{bytes_quarantined}}}}}",
                Micros(at_ns)
            ),
        }
    }

    fn write_violation(self, out: &mut impl Write) -> io::Result<()> {
        let Moment::Violation {
            check,
            severity,
            sequence,
            cycle,
            thread,
            at_ns,
        } = self
        else {
            return Ok(());
        };
        write!(
            out,
            "{{\"name\":\"{}\",\"cat\":\"violation\",\"ph\":\"i\",\"s\":\"p\",\"ts\":{},\"pid\":1,\"tid\":{},\"args\":{{\"cycle\":{cycle},\"sequence\":{sequence},\"severity\":\"{}\"}}}}",
            check.id(),
            Micros(at_ns),
            ROW_THREADS + thread,
            severity.id()
        )
    }
}

/// A complete event up to its arguments.
fn write_stretch(
    out: &mut impl Write,
    name: fmt::Arguments<'_>,
    category: &str,
    at: Stretch,
    row: u64,
) -> io::Result<()> {
    let spent_ns = at.ended_ns.saturating_sub(at.begun_ns);
    write!(
        out,
        "{{\"name\":\"{name}\",\"cat\":\"{category}\",\"ph\":\"X\",\"ts\":{},\"dur\":{},\"pid\":1,\"tid\":{row},\"args\":",
        Micros(at.begun_ns),
        Micros(spent_ns)
    )
}

fn name_of(handshake: Handshake) -> &'static str {
    match handshake {
        Handshake::None => "none",
        Handshake::Arm => "arm",
        Handshake::Settle => "settle",
        Handshake::Snapshot => "snapshot",
    }
}

/// Nanoseconds as microseconds, exactly.
pub(super) struct Micros(pub(super) u64);

impl fmt::Display for Micros {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
