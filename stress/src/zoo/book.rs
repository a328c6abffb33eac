//! The page of the zoo: every scenario with what finds it, how far from the cause, and its smallest form.
//!
//! Everything on it is carried out while it is written, from one seed; no times stand in it, so that it is
//! the same on every machine.

use std::io::Write;
use std::time::Duration;

use gc_core::{Check, CheckLevel, Policy};

use super::report::counted;
use super::{Request, Risk, Scenario, Seen, Source, all, run};
use crate::error::Error;
use crate::lab::{self, Setup, Shrunk, Sites};

const HEAD: &str = include_str!("zoo.head.md");
/// The seed of everything on the page.
const SEED: u64 = 1;
/// Far more than shrinking takes, so that time does not decide what stands there.
const BUDGET: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes the page. `done` hears of every scenario.
///
/// # Errors
///
/// A scenario cannot be carried out, or the page not be written.
pub(crate) fn write_book(
    out: &mut dyn Write,
    done: &mut dyn FnMut(&'static str),
) -> Result<(), Error> {
    write!(out, "{HEAD}")?;
    writeln!(
        out,
        "| scenario | bug | at risk | `lax` | `default` | `paranoid` | shrunk |\n|---|---|---|---|---|---|---|"
    )?;
    let mut chapters = Vec::new();
    for scenario in all() {
        write_scenario(out, &mut chapters, scenario)?;
        done(scenario.name);
    }
    out.write_all(&chapters)?;
    Ok(())
}

/// A row of the table, and a chapter behind it.
fn write_scenario(
    row: &mut dyn Write,
    chapter: &mut Vec<u8>,
    scenario: &Scenario,
) -> Result<(), Error> {
    write!(
        row,
        "| [{}](#{}) | {} | {} ",
        scenario.name,
        scenario.name,
        scenario.bug,
        match scenario.risk {
            Risk::Nothing => "nothing alive",
            Risk::Live => "live objects",
        }
    )?;
    writeln!(
        chapter,
        "\n## {}\n\n*{}*: {}.\n\n**There.** {}\n\n**Here.** {}\n\n**Lesson.** {}\n",
        scenario.name,
        scenario.bug,
        scenario.title,
        scenario.happened,
        scenario.mechanism,
        scenario.lesson
    )?;
    if matches!(scenario.source, Source::Fault(_)) {
        writeln!(chapter, "Needs the feature `fault-inject`.\n")?;
    }
    writeln!(
        chapter,
        "| level | found first by | distance | live objects lost |\n|---|---|---|---|"
    )?;
    for level in CheckLevel::ALL {
        let seen = run(scenario, &request(*level))?;
        let check = seen.outcome.first().map_or("nothing", |met| met.check.id());
        write!(row, "| `{check}` ")?;
        let distance = seen.distance().map_or_else(String::new, |distance| {
            let cycles = counted(distance.cycles as usize, "cycle");
            format!("{}, {cycles}", counted(distance.ops, "operation"))
        });
        writeln!(
            chapter,
            "| `{level}` | `{check}` | {distance} | {} |",
            seen.outcome.lost.len()
        )?;
    }
    let figures = write_smallest(chapter, scenario)?;
    writeln!(row, "| {figures} |")?;
    Ok(())
}

fn request(level: CheckLevel) -> Request {
    Request {
        seed: SEED,
        is_buggy: true,
        checks: level.into(),
        policy: Policy::COUNT,
    }
}

/// The level at which a scenario is shrunk: what marking misses, where that itself is found.
pub(super) fn shrinking_level(scenario: &Scenario) -> CheckLevel {
    let found = scenario.found_at(CheckLevel::Paranoid);
    if found.checks == [Check::UnmarkedReachable] {
        CheckLevel::Paranoid
    } else {
        CheckLevel::Default
    }
}

/// The smallest form of a scenario that still shows the same.
pub(super) fn smallest(scenario: &Scenario) -> Result<(Seen, Shrunk, Setup), Error> {
    let request = request(shrinking_level(scenario));
    let seen = run(scenario, &request)?;
    let setup = lab::setup(&seen.trace.header)?;
    let goal = lab::goal(&seen.trace, &setup)?;
    let shrunk = lab::shrink(&seen.trace.program, &goal, &setup, BUDGET, &mut |_, _| {
        Ok(())
    })?;
    Ok((seen, shrunk, setup))
}

/// Tells the smallest form as a story. Answers its figures.
fn write_smallest(chapter: &mut Vec<u8>, scenario: &Scenario) -> Result<String, Error> {
    let (seen, shrunk, setup) = smallest(scenario)?;
    let outcome = lab::run(&shrunk.program, &setup)?;
    let (before, after) = (seen.trace.program.ops.len(), shrunk.program.ops.len());
    writeln!(
        chapter,
        "\nShrunk at `{}` from {before} operations to {after}, in {} programs:\n\n```text",
        shrinking_level(scenario),
        shrunk.tried
    )?;
    lab::write_sentences(chapter, &shrunk.program, &outcome, Sites::Files)?;
    writeln!(chapter, "```")?;
    Ok(format!("{before} to {after}"))
}
