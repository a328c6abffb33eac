//! What a heap holds and has done, in Prometheus' text format.
//!
//! Works on [`HeapStats`] that somebody took before, on any thread, and holds nothing of a heap.
//! Invariants: names and labels are interface, as are those of checks; units are base units; each
//! family is written once, with the series of all heaps below it, in the order given; within one
//! histogram the buckets never fall and the last one is the count. Deliberately absent: a server.

use std::io::{self, Write};

use gc_hooks::Phase;

use crate::pauses::PauseHistogram;
use crate::progress::Reclaiming;
use crate::stats::HeapStats;

/// The shortest bound of a histogram is a nanosecond below two to this many nanoseconds (1.02 us).
const LOWEST_BOUND_BITS: u32 = 10;

/// A figure of a heap, and how it is called.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    help: &'static str,
    pub(crate) value: fn(&HeapStats) -> u64,
}

const fn figure(name: &'static str, help: &'static str, value: fn(&HeapStats) -> u64) -> Figure {
    Figure { name, help, value }
}

/// What goes up and down.
pub(crate) const GAUGES: [Figure; 15] = [
    figure(
        "gc_healthy",
        "Whether every violation so far left the heap healthy (1) or one turned its health (0).",
        |heap| u64::from(heap.is_healthy),
    ),
    figure(
        "gc_reclaiming",
        "Whether the heap still frees memory (1) or has stopped after too many voided cycles (0).",
        |heap| u64::from(heap.reclaiming == Reclaiming::On),
    ),
    figure(
        "gc_quarantined_bytes",
        "Bytes withdrawn from use by containment.",
        |heap| heap.bytes_quarantined,
    ),
    figure(
        "gc_quarantined_spans",
        "Spans withdrawn from use by containment.",
        |heap| heap.spans_quarantined,
    ),
    figure(
        "gc_quarantined_slots",
        "Single slots withdrawn from use by containment.",
        |heap| heap.slots_quarantined,
    ),
    figure("gc_heap_live_bytes", "Bytes of allocated slots.", |heap| {
        heap.bytes_live
    }),
    figure(
        "gc_heap_goal_bytes",
        "Size the heap aims not to exceed before the next cycle has ended.",
        |heap| heap.bytes_goal,
    ),
    figure(
        "gc_heap_span_bytes",
        "Bytes of pages that belong to spans.",
        |heap| heap.bytes_in_spans,
    ),
    figure("gc_heap_spans", "Spans in use.", |heap| heap.spans),
    figure(
        "gc_heap_committed_bytes",
        "Bytes obtained from the operating system for objects.",
        |heap| heap.bytes_committed,
    ),
    figure(
        "gc_heap_released_bytes",
        "Bytes given back to the operating system and not taken again.",
        |heap| heap.bytes_released,
    ),
    figure("gc_mutators", "Mutators of the heap.", |heap| {
        heap.mutators as u64
    }),
    figure("gc_roots", "Roots in existence.", |heap| heap.roots as u64),
    figure(
        "gc_cycle",
        "Number of the cycle in progress, or of the last one.",
        |heap| u64::from(heap.cycle),
    ),
    figure(
        "gc_cycle_running",
        "Whether a cycle is in progress (1) or none is (0).",
        |heap| u64::from(heap.phase != Phase::Idle),
    ),
];

/// What only ever goes up.
pub(crate) const COUNTERS: [Figure; 8] = [
    figure("gc_cycles_total", "Cycles that ran to their end.", |heap| {
        heap.cycles_finished
    }),
    figure(
        "gc_cycles_young_total",
        "Cycles that ran to their end and looked at newborn objects alone.",
        |heap| heap.cycles_young,
    ),
    figure(
        "gc_cycles_voided_total",
        "Cycles ended without freeing anything, because something was in doubt.",
        |heap| heap.cycles_voided,
    ),
    figure(
        "gc_marked_objects_total",
        "Objects marked by all finished cycles.",
        |heap| heap.objects_marked_total,
    ),
    figure(
        "gc_allocated_bytes_total",
        "Bytes of slots handed out since the heap was built.",
        |heap| heap.bytes_allocated_total,
    ),
    figure(
        "gc_freed_bytes_total",
        "Bytes of slots freed since the heap was built.",
        |heap| heap.bytes_freed_total,
    ),
    figure(
        "gc_freed_objects_total",
        "Objects freed since the heap was built.",
        |heap| heap.objects_freed_total,
    ),
    figure(
        "gc_violations_suppressed_total",
        "Violations that were recorded and not handed on to events and hooks.",
        |heap| heap.violations_suppressed,
    ),
];

/// Writes what heaps hold and have done in Prometheus' text format, version 0.0.4: one exposition for all
/// heaps of a process, which the label `heap` tells apart by the names given to their builders.
/// Heaps that are to be told apart need different names.
///
/// # Errors
///
/// Those of the writer.
///
/// ```
/// use gc_core::{Heap, write_prometheus};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (shop, cache) = (Heap::builder().name("shop").build()?, Heap::builder().name("cache").build()?);
/// let mut body = Vec::new();
/// write_prometheus(&mut body, &[shop.stats(), cache.stats()])?;
/// let body = String::from_utf8(body)?;
/// assert!(body.contains("gc_healthy{heap=\"shop\"} 1\ngc_healthy{heap=\"cache\"} 1\n"));
/// # Ok(())
/// # }
/// ```
pub fn write_prometheus(out: &mut (impl Write + ?Sized), heaps: &[HeapStats]) -> io::Result<()> {
    for (figures, kind) in [(&GAUGES[..], "gauge"), (&COUNTERS[..], "counter")] {
        for figure in figures {
            write_head(out, figure.name, kind, figure.help)?;
            for heap in heaps {
                let value = (figure.value)(heap);
                writeln!(
                    out,
                    "{}{{heap=\"{}\"}} {value}",
                    figure.name,
                    Escaped(heap.name)
                )?;
            }
        }
    }
    write_violations(out, heaps)?;
    write_pauses(out, heaps)?;
    write_phases(out, heaps)
}

fn write_head(
    out: &mut (impl Write + ?Sized),
    name: &str,
    kind: &str,
    help: &str,
) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_violations(out: &mut (impl Write + ?Sized), heaps: &[HeapStats]) -> io::Result<()> {
    let help = "Violations of the heap's checks, by what they meant for live data.";
    write_head(out, "gc_violations_total", "counter", help)?;
    for heap in heaps {
        for violations in &heap.violations_counted {
            writeln!(
                out,
                "gc_violations_total{{heap=\"{}\",check=\"{}\",severity=\"{}\"}} {}",
                Escaped(heap.name),
                violations.check.id(),
                violations.severity.id(),
                violations.count
            )?;
        }
    }
    Ok(())
}

fn write_pauses(out: &mut (impl Write + ?Sized), heaps: &[HeapStats]) -> io::Result<()> {
    let help = "How long mutators were kept from their work.";
    write_head(out, "gc_pause_seconds", "histogram", help)?;
    for heap in heaps {
        let labels = format!("heap=\"{}\"", Escaped(heap.name));
        write_histogram(out, "gc_pause_seconds", &labels, &heap.pauses)?;
    }
    Ok(())
}

fn write_phases(out: &mut (impl Write + ?Sized), heaps: &[HeapStats]) -> io::Result<()> {
    let help = "How long the phases of cycles took, voided cycles included.";
    write_head(out, "gc_phase_seconds", "histogram", help)?;
    for heap in heaps {
        let counted = Phase::ALL.iter().zip(&heap.phases);
        for (phase, spent) in counted.filter(|(phase, _)| **phase != Phase::Idle) {
            let labels = format!("heap=\"{}\",phase=\"{phase}\"", Escaped(heap.name));
            write_histogram(out, "gc_phase_seconds", &labels, spent)?;
        }
    }
    Ok(())
}

/// A bucket a doubling, each with a bound that is one of the snapshot's own, so that its count is exact.
fn write_histogram(
    out: &mut (impl Write + ?Sized),
    name: &str,
    labels: &str,
    durations: &PauseHistogram,
) -> io::Result<()> {
    // What is counted in this moment may be in one figure and not yet in another: the buckets are what
    // a reader holds against each other, so the count is theirs.
    let mut count = 0_u64;
    for (upper_ns, durations) in durations.buckets() {
        count = count.saturating_add(durations);
        let doublings = upper_ns.checked_add(1).filter(|end| end.is_power_of_two());
        if doublings.is_some_and(|end| end >= 1 << LOWEST_BOUND_BITS) {
            writeln!(
                out,
                "{name}_bucket{{{labels},le=\"{}\"}} {count}",
                Seconds(upper_ns)
            )?;
        }
    }
    writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
    writeln!(
        out,
        "{name}_sum{{{labels}}} {}",
        Seconds(durations.sum_ns())
    )?;
    writeln!(out, "{name}_count{{{labels}}} {count}")
}

/// Nanoseconds as seconds, exactly.
struct Seconds(u64);

impl core::fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest == 0 {
            return write!(formatter, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(formatter, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// The value of a label, with what ends it or its line escaped.
struct Escaped<'a>(&'a str);

impl core::fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => formatter.write_str("\\\\")?,
                '"' => formatter.write_str("\\\"")?,
                '\n' => formatter.write_str("\\n")?,
                c => write!(formatter, "{c}")?,
            }
        }
        Ok(())
    }
}
