//! A line a cycle on standard error, for eyes and for `grep`.
//!
//! Written by the thread that tells events, when a cycle has ended: what it was told at the flip is
//! kept until then. A line is one write, so that those of several heaps do not mix. The fields and
//! their order are interface, and stand in OPERATIONS.md.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use gc_hooks::Phase;
use gc_sweep::CycleKind;

use super::{Event, micros};

/// What the next line begins with.
pub(super) struct Lines {
    /// When the heap was built, or a little later.
    born: Instant,
    kind: CycleKind,
    bytes_goal: u64,
    flipped: Option<Event>,
    /// Summaries lost since the last line.
    lost: u64,
}

impl Lines {
    pub(super) fn new() -> Self {
        Lines {
            born: Instant::now(),
            kind: CycleKind::Full,
            bytes_goal: 0,
            flipped: None,
            lost: 0,
        }
    }

    /// Prints the line of a cycle that has ended, and remembers what belongs to it until then.
    pub(super) fn tell(&mut self, heap: &str, event: Event, lost: u64) {
        self.lost += lost;
        match event {
            Event::Started {
                kind, bytes_goal, ..
            } => {
                self.kind = kind;
                self.bytes_goal = bytes_goal;
                self.flipped = None;
            }
            Event::Flipped { .. } => self.flipped = Some(event),
            Event::Voided { .. } | Event::Swept { .. } => {
                let line = self.line(heap, event);
                // Whoever closed standard error does not want it.
                let _closed = std::io::stderr().write_all(line.as_bytes());
            }
        }
    }

    /// The line of a cycle that has ended.
    fn line(&mut self, heap: &str, ended: Event) -> String {
        let mut line = format!("gc heap={heap:?} cycle={}", ended.cycle());
        // Writing into a string cannot fail.
        let _ = match ended {
            Event::Swept { .. } => self.write_finished(&mut line, ended),
            _ => self.write_voided(&mut line, ended),
        };
        let _ = writeln!(line, " lost={}", core::mem::take(&mut self.lost));
        line
    }

    fn write_finished(&mut self, line: &mut String, ended: Event) -> std::fmt::Result {
        let Event::Swept {
            cycle,
            ended,
            spent: sweep,
            objects_freed,
            bytes_freed,
            bytes_live,
            bytes_quarantined,
            bytes_returned,
            ..
        } = ended
        else {
            return Ok(());
        };
        let (mut spent, mut marked, mut before, mut late) = (Default::default(), (0, 0), 0, 0);
        if let Some(Event::Flipped {
            cycle: flipped,
            spent: phases,
            objects_marked,
            bytes_marked,
            bytes_live,
            late_returns,
            ..
        }) = self.flipped.take()
            && flipped == cycle
        {
            (spent, marked) = (phases, (objects_marked, bytes_marked));
            (before, late) = (bytes_live, late_returns);
        }
        spent[Phase::Sweep as usize] = sweep;
        self.write_times(line, "finished", ended, &spent)?;
        write!(
            line,
            " objects_marked={} bytes_marked={} objects_freed={objects_freed} bytes_freed={bytes_freed} \
             bytes_before={before} bytes_live={bytes_live} bytes_goal={} bytes_quarantined={bytes_quarantined} \
             bytes_returned={bytes_returned} late_returns={late} kind={}",
            marked.0,
            marked.1,
            self.bytes_goal,
            self.kind.id()
        )
    }

    fn write_voided(&self, line: &mut String, ended: Event) -> std::fmt::Result {
        let Event::Voided {
            ended,
            spent,
            reason,
            voided_in_a_row,
            has_stopped_reclaiming,
            ..
        } = ended
        else {
            return Ok(());
        };
        self.write_times(line, "voided", ended, &spent)?;
        write!(
            line,
            " reason={reason} voided_in_a_row={voided_in_a_row} stopped_reclaiming={}",
            u32::from(has_stopped_reclaiming)
        )
    }

    /// How it ended, when, and what it spent in which phase.
    fn write_times(
        &self,
        line: &mut String,
        outcome: &str,
        ended: Instant,
        spent: &[Duration; Phase::ALL.len()],
    ) -> std::fmt::Result {
        let at = ended.saturating_duration_since(self.born);
        write!(line, " outcome={outcome} at_us={}", micros(at))?;
        let phases = Phase::ALL.iter().zip(spent);
        for (phase, spent) in phases.filter(|(phase, _)| **phase != Phase::Idle) {
            write!(line, " {phase}_us={}", micros(*spent))?;
        }
        Ok(())
    }
}
