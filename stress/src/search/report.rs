//! The reports of a search: for people, and as JSON lines.
//!
//! Called by the command line while the search runs and when it is over. Invariant: a search without findings never says
//! that there is nothing to find; it says which rates it excludes.

use std::io::{self, Write};

pub use self::json::{write_json_begin, write_json_end, write_json_finding};
use super::{Again, Finding, SearchOptions, SearchOutcome, Signature};

mod json;

/// Clean programs, for each program in which a bug was seen once, that exclude it with 95 % confidence: the logarithm
/// of 20, rounded up.
const CLEAN_FOR_EACH: u64 = 3;

/// The rarest bug that so many clean programs exclude at 95 %: one that shows in more than one of so many.
fn excluded_one_in(programs: u64) -> u64 {
    programs / CLEAN_FOR_EACH
}

/// Programs that must be clean before a bug may be called gone that was seen so often in so many.
fn clean_needed(programs: u64, times: u64) -> u64 {
    CLEAN_FOR_EACH * programs.div_ceil(times.max(1))
}

fn what(breaks: bool) -> &'static str {
    if breaks {
        "programs that break the heap"
    } else {
        "programs that break nothing"
    }
}

/// Writes what the search was told.
///
/// # Errors
///
/// Those of the writer.
pub fn write_opening(out: &mut dyn Write, options: &SearchOptions) -> io::Result<()> {
    let level = options
        .level
        .map_or("drawn".to_string(), |level| level.to_string());
    writeln!(
        out,
        "gc-stress search: seed {}, {}, checks {level}\n",
        options.seed,
        what(options.breaks)
    )
}

/// Writes a finding when it is new.
///
/// # Errors
///
/// Those of the writer.
pub fn write_finding(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    writeln!(
        out,
        "{}, program {}, {} operations, checks {}\n          {}",
        title(finding),
        finding.program,
        finding.ops,
        finding.level,
        again(finding)
    )
}

/// What to do to see it again.
fn again(finding: &Finding) -> String {
    match &finding.again {
        Again::Trace(file) => file.display().to_string(),
        Again::Command(command) => {
            format!(
                "{command}\n          which does not do exactly the same again: threads are interleaved anew"
            )
        }
    }
}

/// Writes what came of the search.
///
/// # Errors
///
/// Those of the writer.
pub fn write_outcome(out: &mut dyn Write, outcome: &SearchOutcome) -> io::Result<()> {
    if !outcome.findings.is_empty() {
        writeln!(out)?;
    }
    let levels = outcome
        .levels
        .iter()
        .map(|(level, programs)| format!("{programs} {level}"));
    writeln!(
        out,
        "PROGRAMS        {} ({}) in {:.1} s",
        outcome.programs,
        levels.collect::<Vec<_>>().join(", "),
        outcome.elapsed.as_secs_f64()
    )?;
    writeln!(
        out,
        "                {} operations, {} of them without operands; {} cycles, {} live objects compared",
        outcome.ops, outcome.skipped, outcome.cycles, outcome.live_checked
    )?;
    write_regimes(out, outcome)?;
    if outcome.breaks {
        writeln!(
            out,
            "BROKEN          {} reported on, {} lost something live, {} of these without a report, {} cut short",
            outcome.reported, outcome.lost, outcome.lost_in_silence, outcome.cut_short
        )?;
    }
    write_findings(out, outcome)
}

/// Drivers, threads, generations and limits.
fn write_regimes(out: &mut dyn Write, outcome: &SearchOutcome) -> io::Result<()> {
    let drivers = outcome.drivers.iter();
    let drivers = drivers.map(|(driver, programs)| format!("{programs} {driver}"));
    let threads = outcome.threads.iter();
    let threads = threads.map(|(threads, programs)| format!("{programs} on {threads}"));
    writeln!(
        out,
        "DRIVERS         {}\nTHREADS         {}",
        drivers.collect::<Vec<_>>().join(", "),
        threads.collect::<Vec<_>>().join(", ")
    )?;
    let threaded = &outcome.threaded;
    if threaded.programs > 0 {
        writeln!(
            out,
            "                {} programs were short soaks: {} operations, {} refused by the limit; {} cycles, {} looks",
            threaded.programs, threaded.ops, threaded.refused, threaded.cycles, threaded.looks
        )?;
    }
    writeln!(
        out,
        "GENERATIONS     {} programs in a heap with them",
        outcome.generational
    )?;
    writeln!(
        out,
        "LIMITS          {} on one thread with one; {} of them met it: {} operations refused, {} left without operands",
        outcome.limited, outcome.limits_met, outcome.refused, outcome.left_without
    )
}

/// The findings with what it takes to call them gone, or what is excluded where there are none.
fn write_findings(out: &mut dyn Write, outcome: &SearchOutcome) -> io::Result<()> {
    let kind = what(outcome.breaks);
    if outcome.findings.is_empty() {
        return writeln!(
            out,
            "FINDINGS        none, which is no all-clear: with 95 % confidence it excludes a bug that shows in more\n\
             \x20               than one of {} {kind}; a bug seen once in m programs needs 3m clean ones",
            excluded_one_in(outcome.programs)
        );
    }
    writeln!(
        out,
        "FINDINGS        {} different ones, in {} of {} {kind}",
        outcome.findings.len(),
        outcome.found,
        outcome.programs
    )?;
    for finding in &outcome.findings {
        write_times(out, outcome, finding)?;
    }
    let next = outcome
        .findings
        .first()
        .map(|finding| match &finding.again {
            Again::Trace(file) => format!("gc-stress shrink {} -o small.gctrace", file.display()),
            Again::Command(command) => command.clone(),
        });
    writeln!(out, "\nNEXT            {}", next.unwrap_or_default())
}

/// How often a finding came up, and what it takes to call it gone.
fn write_times(out: &mut dyn Write, outcome: &SearchOutcome, finding: &Finding) -> io::Result<()> {
    write!(out, "{:>15} {}", finding.times, title(finding))?;
    if outcome.breaks {
        return writeln!(out);
    }
    let needed = clean_needed(outcome.programs, finding.times);
    writeln!(
        out,
        "; once it is mended, {needed} clean programs exclude it at 95 %"
    )
}

/// Its sort, its check and its detail.
fn title(finding: &Finding) -> String {
    let Signature {
        sort,
        check,
        detail,
    } = &finding.signature;
    let detail = detail.as_ref().map(|detail| format!(" at {detail}"));
    format!(
        "{:<9} {}{}",
        sort.id(),
        check.unwrap_or("no check"),
        detail.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_three_holds_to_its_confidence() {
        for programs in [30, 300, 30_000] {
            let rate = 1.0 / excluded_one_in(programs) as f64;
            let chance_to_see_nothing = (1.0 - rate).powf(programs as f64);
            assert!(
                chance_to_see_nothing < 0.05,
                "{programs}: {chance_to_see_nothing}"
            );
        }
        assert_eq!(
            (
                clean_needed(1000, 1),
                clean_needed(1000, 4),
                clean_needed(1000, 3)
            ),
            (3000, 750, 1002)
        );
        // Nothing was looked at, and nothing is excluded.
        assert_eq!(excluded_one_in(2), 0);
    }
}
