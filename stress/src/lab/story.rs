//! A program as a story that a person reads, and as a Rust test that a person keeps.

use std::io::{self, Write};

use gc_core::{Check, Origin};

use super::outcome::{Met, Outcome};
use crate::ops::{Program, Trace, op_text};
use teller::Teller;

mod teller;

/// How call sites are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sites {
    /// File, line and column.
    Exact,
    /// The file alone, for pages that must not change with every line above a store.
    Files,
}

/// Tells what a program does, one sentence an operation, and what the checks say of it.
pub(crate) fn write_story(out: &mut dyn Write, trace: &Trace, outcome: &Outcome) -> io::Result<()> {
    let header = &trace.header;
    writeln!(
        out,
        "{}, seed {}, checks {}: {} operations\n",
        header.scenario,
        header.seed,
        header.checks,
        trace.program.ops.len()
    )?;
    write_sentences(out, &trace.program, outcome, Sites::Exact)?;
    writeln!(
        out,
        "\n{} live objects at the end, {} lost; accounts {}",
        outcome.live_checked,
        outcome.lost.len(),
        if outcome.is_ledger_balanced {
            "balanced"
        } else {
            "OUT OF BALANCE"
        }
    )
}

/// Writes the sentences of a story.
pub(crate) fn write_sentences(
    out: &mut dyn Write,
    program: &Program,
    outcome: &Outcome,
    sites: Sites,
) -> io::Result<()> {
    let teller = Teller(program);
    for (at, op) in program.ops.iter().enumerate() {
        writeln!(out, "{:>4}  {}", at + 1, teller.sentence(op))?;
        for met in outcome.met.iter().filter(|met| met.op == at) {
            write_met(out, at, met, sites)?;
        }
        for lost in outcome.lost.iter().filter(|lost| lost.op == at) {
            writeln!(
                out,
                "      >> object {} was alive, and is lost.",
                lost.object
            )?;
        }
    }
    Ok(())
}

/// What a check says of an operation.
fn write_met(out: &mut dyn Write, at: usize, met: &Met, sites: Sites) -> io::Result<()> {
    let times = match met.count {
        1 => String::new(),
        count => format!(" ({count} times)"),
    };
    let message = met.first.map_or(met.check.message().to_string(), |first| {
        first.first_line().to_string()
    });
    writeln!(out, "      >> {message}: {}{times}", met.check)?;
    if let Some(first) = met.first {
        let is_of_pointer = matches!(
            first.check,
            Check::BadPointer | Check::FreePointer | Check::VirginSlot
        );
        if is_of_pointer && first.origin == Origin::BarrierOld {
            writeln!(
                out,
                "         The barrier took a word that was never valid there for the old value."
            )?;
        }
        match first.stale_cycles {
            Some(1) => writeln!(out, "         What it leads to was freed a cycle ago.")?,
            Some(cycles) => {
                writeln!(
                    out,
                    "         What it leads to was freed {cycles} cycles ago."
                )?;
            }
            None => {}
        }
    }
    if let Some(site) = met.call_site() {
        let site = match sites {
            Sites::Exact => site,
            Sites::Files => site.split(':').next().unwrap_or_default().to_string(),
        };
        writeln!(out, "         The guilty store stands at {site}.")?;
    }
    match met.store.filter(|store| *store != at) {
        Some(store) => writeln!(out, "         Operation {} brought it in.", store + 1),
        None => Ok(()),
    }
}

/// Writes the operations alone, as the file has them.
pub(crate) fn write_ops(out: &mut dyn Write, program: &Program) -> io::Result<()> {
    for op in &program.ops {
        writeln!(out, "{}", op_text(op, &program.kinds))?;
    }
    Ok(())
}

/// Writes a test that carries the program with it.
pub(crate) fn write_test(out: &mut dyn Write, trace: &Trace, outcome: &Outcome) -> io::Result<()> {
    let (op, check) = outcome
        .first()
        .map_or((0, "none"), |met| (met.op + 1, met.check.id()));
    let name = format!("{}_{}", trace.header.scenario, check).replace('-', "_");
    writeln!(out, "#[test]\nfn {name}_at_operation_{op}() {{")?;
    writeln!(
        out,
        "    let replay = stress::lab::replay_text(\n        \"\\"
    )?;
    for line in trace.to_text().lines() {
        writeln!(out, "{line}\\n\\")?;
    }
    writeln!(out, "\",\n    )\n    .unwrap();")?;
    writeln!(
        out,
        "    assert_eq!(replay.first_violation, Some(({op}, \"{check}\")));"
    )?;
    writeln!(out, "    assert!(replay.is_as_recorded);")?;
    writeln!(
        out,
        "    assert_eq!(replay.live_lost, {});\n}}",
        outcome.lost.len()
    )
}
