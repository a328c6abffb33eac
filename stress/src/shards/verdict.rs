//! What merged files come to: as a table for a terminal, as a page of Markdown, and as JSON lines.
//!
//! Tables and lines are those of a campaign that was never cut; what is said besides is about files, gaps
//! and conflicts.

use std::io::{self, Write};

use serde::Serialize;

use super::merge::{Conflict, Merged};
use crate::campaign::{Outcome, report};
use crate::json::write_line;

/// Most numbers of missing cases that are listed for people.
const GAPS_SHOWN: usize = 20;

/// A case with two verdicts.
#[derive(Serialize)]
struct ConflictLine<'a> {
    event: &'static str,
    case: u64,
    here: &'a str,
    here_says: &'a str,
    there: &'a str,
    there_says: &'a str,
}

/// The first line.
#[derive(Serialize)]
struct MergeLine<'a> {
    event: &'static str,
    build: &'a str,
    files: usize,
    cases: u64,
    found: usize,
    complete: bool,
    gaps: &'a [u64],
    duplicates: u64,
    conflicts: usize,
    digest: String,
}

/// Writes JSON lines: what was put together, conflicts, and then exactly what an uncut campaign writes.
pub(crate) fn write_json(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let line = MergeLine {
        event: "merge",
        build: &merged.build,
        files: merged.files.len(),
        cases: merged.cases,
        found: merged.readings.len(),
        complete: merged.is_whole(),
        gaps: &merged.gaps,
        duplicates: merged.duplicates,
        conflicts: merged.conflicts.len(),
        digest: merged.digest(),
    };
    write_line(out, &line)?;
    for conflict in &merged.conflicts {
        let Conflict { case, here, there } = conflict;
        let line = ConflictLine {
            event: "conflict",
            case: *case,
            here: &here.0,
            here_says: &here.1,
            there: &there.0,
            there_says: &there.1,
        };
        write_line(out, &line)?;
    }
    for reading in merged.readings.values() {
        report::write_case(out, &reading.case, &reading.verdict)?;
    }
    report::write_end(out, &merged.options, &merged.tally)
}

/// Numbers as people read them: the first ones, and how many more.
fn listed(numbers: &[u64]) -> String {
    let shown = numbers.iter().take(GAPS_SHOWN).map(u64::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match numbers.len().saturating_sub(GAPS_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The verdict in a sentence.
pub(crate) fn sentence(merged: &Merged) -> String {
    let broken = merged.tally.breaches().len();
    if !merged.conflicts.is_empty() {
        format!(
            "Not deterministic: {} cases have two verdicts.",
            merged.conflicts.len()
        )
    } else if !merged.gaps.is_empty() {
        format!(
            "Incomplete: {} of {} cases are missing.",
            merged.gaps.len(),
            merged.cases
        )
    } else if broken > 0 {
        format!("{broken} promises broken.")
    } else {
        "Every promise was kept.".to_string()
    }
}

/// Writes what a terminal shows.
pub(crate) fn write_text(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    report::write_rows(out, &merged.tally)?;
    if !merged.tally.breaches().is_empty() {
        report::write_breaches(out, &merged.tally)?;
    }
    writeln!(
        out,
        "\n{} files, {} of {} cases, {} there more than once, digest {}",
        merged.files.len(),
        merged.readings.len(),
        merged.cases,
        merged.duplicates,
        merged.digest()
    )?;
    for file in merged.files.iter().filter(|file| !file.is_complete) {
        writeln!(
            out,
            "    {}: not at its end, {} cases{}",
            file.path.display(),
            file.cases,
            torn(file.is_torn)
        )?;
    }
    if !merged.gaps.is_empty() {
        writeln!(out, "    missing: {}", listed(&merged.gaps))?;
    }
    for conflict in &merged.conflicts {
        writeln!(out, "    case {} has two verdicts", conflict.case)?;
        for (place, says) in [&conflict.here, &conflict.there] {
            writeln!(out, "        {place}: {says}")?;
        }
    }
    writeln!(out, "{}", sentence(merged))
}

fn torn(is_torn: bool) -> &'static str {
    if is_torn {
        ", the last line torn and left out"
    } else {
        ""
    }
}

/// Text as a cell or a list item of Markdown holds it.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '&' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Writes a page.
pub(crate) fn write_markdown(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let options = &merged.options;
    writeln!(out, "# Campaign, seed {}\n", options.seed)?;
    writeln!(out, "**{}**\n", sentence(merged))?;
    writeln!(
        out,
        "Cases {}..{}: {} of {} are there, in {} files; {} more than once. Build `{}`, digest `{}`.\n",
        options.cases.start,
        options.cases.end,
        merged.readings.len(),
        merged.cases,
        merged.files.len(),
        merged.duplicates,
        merged.build,
        merged.digest()
    )?;
    if !merged.gaps.is_empty() {
        writeln!(out, "Missing: {}.\n", listed(&merged.gaps))?;
    }
    for conflict in &merged.conflicts {
        writeln!(out, "- case {} has two verdicts:", conflict.case)?;
        for (place, says) in [&conflict.here, &conflict.there] {
            writeln!(out, "  - {}: {}", cell(place), cell(says))?;
        }
    }
    if !merged.conflicts.is_empty() {
        writeln!(out)?;
    }
    write_rows(out, merged)?;
    writeln!(out, "\n| outcome | cases |\n|---|---|")?;
    let sum = merged.tally.sum();
    for (outcome, name) in Outcome::ALL {
        writeln!(out, "| {name} | {} |", sum.outcome(outcome))?;
    }
    write_broken(out, merged)?;
    write_files(out, merged)
}

fn write_broken(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let broken = merged
        .readings
        .values()
        .filter(|reading| reading.verdict.breach.is_some());
    for (place, reading) in broken.enumerate() {
        if place == 0 {
            writeln!(out, "\n## Broken promises\n")?;
        }
        writeln!(
            out,
            "- case {}: `{}` at `{}`: {}. {}",
            reading.case.index,
            reading.case,
            reading.case.level.id(),
            reading.verdict.breach.unwrap_or_default(),
            cell(&reading.verdict.why)
        )?;
    }
    Ok(())
}

fn write_files(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    writeln!(out, "\n| file | shard | cases | |\n|---|---|---|---|")?;
    for file in &merged.files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let end = if file.is_complete {
            "complete"
        } else {
            "not at its end"
        };
        writeln!(
            out,
            "| {} | {}/{} | {} | {end}{} |",
            cell(&name),
            file.shard,
            file.shards,
            file.cases,
            torn(file.is_torn)
        )?;
    }
    Ok(())
}

fn write_rows(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    writeln!(
        out,
        "| row | fault | level | cases | activated | found | 95 % | cycles | live lost | broken | found \
         first by |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for (subject, level, row) in merged.tally.rows() {
        let cycles = row
            .cycles()
            .map_or("–".to_string(), |cycles| cycles.max.to_string());
        writeln!(
            out,
            "| {} | `{}` | {} | {} | {} | {} | {} | {cycles} | {} | {} | {} |",
            subject.id(),
            subject.name(),
            level.id(),
            row.cases,
            row.activated,
            row.found,
            report::interval(row),
            row.lost,
            row.breaches.len(),
            cell(&report::checks(row))
        )?;
    }
    Ok(())
}
