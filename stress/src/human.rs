//! The report for people: what is re-enacted, what was found, what was done about it, and whether
//! anything live came to harm.
//!
//! Written for someone who has never heard of the incident and has half a minute.

use std::io::{self, Write};

use gc_core::{Check, Checks, Origin, Policy, Response, Severity, Violation};

use crate::config::POINTER_WORDS;
use crate::makefunc::CONNECTIONS;
use crate::options::{Configuration, CopyBack, OPS_DEFAULT, Options};
use crate::outcome::{First, Outcome, Site, Verdict, type_name};

/// Writes what is about to be re-enacted.
pub fn write_opening(out: &mut dyn Write, options: &Options) -> io::Result<()> {
    writeln!(
        out,
        "gc-stress makefunc: seed {}, checks {}, policy {}{}\n",
        options.seed,
        options.checks,
        options.policy,
        engine(options)
    )?;
    writeln!(
        out,
        "Go bug 30041, re-enacted. {CONNECTIONS} connections, each with a stack of its own, serve requests.
A handler looks up runtime parameters through reflective functions, whose results are
copied into its outgoing area with a barriered store. Nobody clears that area: its words
are what earlier calls left there. On the connection's last request that was a
configuration struct, returned by value: {POINTER_WORDS} pointers to settings that have died since and
were swept. While a cycle marks, the barrier takes such a word for the old value of the
slot, and shades it."
    )?;
    if !options.is_deterministic() {
        writeln!(
            out,
            "\nNOT DETERMINISTIC: the seed decides what is asked for, and the machine when the collector
comes by. Each thread has connections of its own, and parked ones beside it."
        )?;
    }
    if options.copy_back == CopyBack::Plain {
        writeln!(
            out,
            "\nCONTROL --fixed: results are copied back by a plain store, as Go's fix does."
        )?;
    }
    if options.configuration == Configuration::LeftOut {
        writeln!(
            out,
            "\nCONTROL --no-config-struct: the large struct is left out."
        )?;
    }
    out.flush()
}

/// Writes what came of it.
pub fn write_outcome(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    match &outcome.first {
        Some(first) => {
            write_first(out, first)?;
            write_response(out, outcome, first)?;
            write_further(out, outcome)?;
        }
        None => writeln!(
            out,
            "\nNO VIOLATION    in {} operations and {} cycles, {} ms",
            outcome.ops, outcome.cycles, outcome.elapsed_ms
        )?,
    }
    write_verdict(out, outcome)?;
    writeln!(out, "\nREPLAY          {}", replay(&outcome.options))
}

fn write_first(out: &mut dyn Write, first: &First) -> io::Result<()> {
    let violation = &first.violation;
    writeln!(
        out,
        "\nFIRST VIOLATION at operation {}, after {} ms\n  {}",
        first.at_op,
        first.elapsed_ms,
        violation.first_line()
    )?;
    let mut line = |key: &str, value: String| writeln!(out, "    {key:<12}{value}");
    line(
        "check",
        format!(
            "{}, in cycle {}, phase {}",
            violation.check, violation.cycle, violation.phase
        ),
    )?;
    if let Some(address) = violation.address {
        line("address", format!("{address}, {}", place(violation)))?;
    }
    if let Some(name) = violation.type_name {
        line("type", type_name(name))?;
    }
    for number in violation
        .numbers
        .iter()
        .filter(|number| !number.label.is_empty())
    {
        line(number.label, number.value.to_string())?;
    }
    if violation.origin != Origin::Unknown {
        line(
            "mark origin",
            format!("{}: {}", violation.origin, meaning(violation.severity())),
        )?;
    }
    if let Some(site) = violation.call_site {
        line("call site", format!("{}, the guilty store", Site(site)))?;
    }
    match violation.stale_cycles {
        Some(1) => line("died", "1 cycle ago".to_string()),
        Some(cycles) => line("died", format!("{cycles} cycles ago")),
        None => Ok(()),
    }
}

fn place(violation: &Violation) -> String {
    match (violation.span, violation.slot) {
        (Some(span), Some(slot)) => format!("span {span}, slot {slot}"),
        (Some(span), None) => format!("span {span}"),
        (None, _) => "in no span".to_string(),
    }
}

fn meaning(severity: Severity) -> &'static str {
    match severity {
        Severity::OverMarking => "junk was overwritten; nothing live leads there",
        Severity::Dangling => "something live leads there",
        _ => "the collector's own books",
    }
}

fn write_response(out: &mut dyn Write, outcome: &Outcome, first: &First) -> io::Result<()> {
    let done = match outcome.options.policy.response_to(&first.violation) {
        Response::Abort => "abort".to_string(),
        Response::Hook => "hook: handed to the policy's hook, outside the collector".to_string(),
        Response::MarkUnhealthy => {
            "unhealthy: the heap calls itself unhealthy for good".to_string()
        }
        Response::Count => "count: recorded, and nothing else".to_string(),
    };
    writeln!(out, "\nPOLICY          {done}")?;
    if outcome.hook_deliveries > 0 {
        writeln!(
            out,
            "                the hook was called {} times in all",
            outcome.hook_deliveries
        )?;
    }
    writeln!(
        out,
        "CONTAINED       {}",
        containment(first.violation.check)
    )
}

/// What the heap did on the line after the check.
fn containment(check: Check) -> &'static str {
    match check {
        Check::BadPointer | Check::FreePointer => {
            "the pointer was neither marked nor followed; the store itself was done"
        }
        Check::VirginSlot => {
            "the store was done as one into a fresh slot: the junk was not looked at"
        }
        Check::SweepCount | Check::AllocCount => {
            "nothing in the span was freed; recounted, and withdrawn from use"
        }
        Check::Zombie => "the slot was withdrawn from use, and not followed",
        Check::LateGrey => "the cycle went back to marking before it freed anything",
        _ => "what was in doubt is kept rather than reused",
    }
}

fn write_further(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let state = if outcome.is_healthy {
        "still healthy"
    } else {
        "while unhealthy"
    };
    writeln!(
        out,
        "\nSERVED ON       {} further operations {state}; {} cycles and {} ms in all",
        outcome.ops_after_first, outcome.cycles, outcome.elapsed_ms
    )?;
    for (check, count) in &outcome.violations {
        writeln!(out, "    {check:<20}{count:>8}")?;
    }
    Ok(())
}

fn write_verdict(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let verdict = match outcome.verdict() {
        Verdict::Clean => "clean, as a control must be",
        Verdict::Survived => "survived",
        Verdict::Missing => "the expected violation did not come up",
        Verdict::Damaged => "NOT CONTAINED",
    };
    writeln!(out, "\nVERDICT         {verdict}")?;
    let (rest, way) = (outcome.at_rest, outcome.under_way);
    writeln!(
        out,
        "    live objects    {} checked at rest, {} damaged",
        rest.checked, rest.damaged
    )?;
    writeln!(
        out,
        "    on the way      {} looks, {} damaged",
        way.checked, way.damaged
    )?;
    let second = &outcome.verification;
    writeln!(
        out,
        "    second opinion  {} objects reachable, {} bad pointers",
        second.objects_reachable, second.pointers_bad
    )?;
    let accounts = if outcome.is_ledger_balanced {
        "balanced"
    } else {
        "OUT OF BALANCE"
    };
    writeln!(
        out,
        "    accounts        {accounts}, {} bytes in {} spans quarantined",
        outcome.quarantined_bytes, outcome.quarantined_spans
    )
}

/// The command that does the same again, as far as the seed decides.
fn replay(options: &Options) -> String {
    let mut command = format!("gc-stress run makefunc --seed {}", options.seed);
    if options.ops != OPS_DEFAULT {
        command += &format!(" --ops {}", options.ops);
    }
    if options.policy != Policy::MARK_UNHEALTHY {
        command += &format!(" --policy {}", options.policy);
    }
    if options.checks != Checks::default() {
        command += &format!(" --checks {}", options.checks);
    }
    if options.copy_back == CopyBack::Plain {
        command += " --fixed";
    }
    if options.configuration == Configuration::LeftOut {
        command += " --no-config-struct";
    }
    if !options.driver.is_manual() {
        command += &format!(" --driver {}", options.driver);
    }
    if options.threads != 1 {
        command += &format!(" --threads {}", options.threads);
    }
    if let Some(bytes) = options.nursery_bytes {
        command += &format!(" --nursery-bytes {bytes}");
    }
    if !options.is_deterministic() {
        command += "   (another order of events each time)";
    }
    command
}

/// Driver and threads, where they are not the usual ones.
fn engine(options: &Options) -> String {
    match (options.is_deterministic(), options.threads) {
        (true, _) => String::new(),
        (false, 1) => format!(", driver {}, 1 thread", options.driver),
        (false, threads) => format!(", driver {}, {threads} threads", options.driver),
    }
}
