//! A program as a story that a person reads, and as a Rust test that a person keeps.

use std::io::{self, Write};

use gc_core::Phase;

use super::Outcome;
use crate::ops::{CopyMode, Kind, ObjectId, Op, Program, Trace, Word, op_text};

/// Tells what a program does, one sentence an operation, and what the checks say of it.
pub(crate) fn write_story(out: &mut dyn Write, trace: &Trace, outcome: &Outcome) -> io::Result<()> {
    let program = &trace.program;
    writeln!(
        out,
        "{}, seed {}, checks {}: {} operations\n",
        trace.header.scenario,
        trace.header.seed,
        trace.header.checks,
        program.ops.len()
    )?;
    let mut teller = Teller {
        program,
        is_inside: false,
        frames: 0,
    };
    for (at, op) in program.ops.iter().enumerate() {
        writeln!(out, "{:>4}  {}", at + 1, teller.sentence(op))?;
        for met in outcome.met.iter().filter(|met| met.op == at) {
            let times = match met.count {
                1 => String::new(),
                count => format!(" ({count} times)"),
            };
            let message = met.first.map_or(met.check.message().to_string(), |first| {
                first.first_line().to_string()
            });
            writeln!(out, "      >> {message}: {}{times}", met.check)?;
            if let Some(first) = met.first {
                if first.origin == gc_core::Origin::BarrierOld {
                    writeln!(
                        out,
                        "         The barrier took a word that was never valid there for the old value."
                    )?;
                }
                if let Some(cycles) = first.stale_cycles {
                    writeln!(
                        out,
                        "         What it leads to was freed {cycles} cycles ago."
                    )?;
                }
            }
            if let Some(site) = met.call_site() {
                writeln!(out, "         The guilty store stands at {site}.")?;
            }
            if let Some(store) = met.store.filter(|store| *store != at) {
                writeln!(out, "         Operation {} brought it in.", store + 1)?;
            }
        }
        for lost in outcome.lost.iter().filter(|lost| lost.op == at) {
            writeln!(
                out,
                "      >> object {} was alive, and is lost.",
                lost.object
            )?;
        }
    }
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

/// Tells operations one after the other.
struct Teller<'p> {
    program: &'p Program,
    is_inside: bool,
    frames: usize,
}

impl Teller<'_> {
    fn kind(&self, kind: u16) -> &str {
        let kind: Option<&Kind> = self.program.kinds.get(usize::from(kind));
        kind.map_or("?", |kind| kind.name.as_str())
    }

    fn sentence(&mut self, op: &Op) -> String {
        match op {
            Op::Enter { mutator, stack } => {
                self.is_inside = true;
                format!("Mutator {mutator} runs on its stack {stack}.")
            }
            Op::Leave => {
                self.is_inside = false;
                "It comes out: what nothing leads to may be collected now.".into()
            }
            Op::Push { slots } => {
                self.frames += 1;
                format!(
                    "A frame of {slots} slots is pushed. Nobody clears it: its words are what was there."
                )
            }
            Op::Pop => {
                self.frames = self.frames.saturating_sub(1);
                "The frame is popped. Its slots are dead, its words stay.".into()
            }
            Op::Retire { from, count: 1 } => {
                format!("Slot {from} is dead. Its word stays.")
            }
            Op::Retire { from, count } => format!(
                "Slots {from} to {} are dead. Their words stay.",
                from + count - 1
            ),
            Op::Store { slot, value } => format!(
                "Compiled code stores {} into slot {slot}, by a plain store.",
                thing(*value)
            ),
            Op::CopyBack { slot, value } => format!(
                "{} is stored into slot {slot} through the write barrier.",
                capital(&thing(*value))
            ),
            Op::Call { .. } | Op::New { .. } | Op::Bytes { .. } | Op::Fill { .. } => {
                self.of_making(op)
            }
            _ => of_objects(op).unwrap_or_else(|| of_collector(op)),
        }
    }

    fn of_making(&self, op: &Op) -> String {
        match op {
            Op::Call {
                base,
                result,
                mode,
                arguments,
            } => {
                let slot = base + arguments.len() as u32;
                let how = match mode {
                    CopyMode::Barrier => {
                        "through the write barrier, which takes what it finds there for the old value"
                    }
                    CopyMode::Plain => "by a plain store",
                };
                format!(
                    "A reflective call of {} arguments answers object {result}. Its result is copied into \
                     slot {slot} of the caller {how}.",
                    arguments.len()
                )
            }
            Op::New {
                object,
                kind,
                fields,
            } => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(field, value)| format!("its word {field} leads to {}", thing(*value)))
                    .collect();
                let fields = if fields.is_empty() {
                    String::new()
                } else {
                    format!("; {}", fields.join(", "))
                };
                format!("Object {object}, a {}, is made{fields}.", self.kind(*kind))
            }
            Op::Bytes { object, bytes } => {
                format!("Object {object}, a text of {bytes} bytes, is made.")
            }
            Op::Fill {
                slot,
                count: 1,
                first,
                kind,
                shared: None,
            } => format!(
                "A struct is returned by value: a pointer to object {first}, a new {}, in slot {slot}.",
                self.kind(*kind)
            ),
            Op::Fill {
                slot,
                count,
                first,
                kind,
                ..
            } => format!(
                "A struct is returned by value: pointers to {count} new objects of kind {} in slots {slot} \
                 to {}. Objects are numbered from {first}.",
                self.kind(*kind),
                slot + count.saturating_sub(1)
            ),
            _ => String::new(),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn object(object: ObjectId) -> String {
    format!("object {object}")
}

fn thing(word: Word) -> String {
    match word {
        Word::Null => "nothing".into(),
        Word::Object(id) => object(id),
        Word::Past(id, bytes) => {
            format!("an address {bytes} bytes behind the beginning of object {id}")
        }
        Word::Stale(id) => format!("the address that object {id} once had"),
        Word::Number(number) => format!("the number {number:#x}, which is no pointer"),
        Word::InHeap(offset) => format!("a number that is the address {offset:#x} of the heap"),
    }
}

fn of_objects(op: &Op) -> Option<String> {
    Some(match op {
        Op::Init {
            object,
            field,
            value,
        } => format!(
            "Word {field} of object {object} is initialised with {}.",
            thing(*value)
        ),
        Op::Set {
            object,
            field,
            value,
        } => format!(
            "Word {field} of object {object} is set to {}, through the barrier.",
            thing(*value)
        ),
        Op::SetBare {
            object,
            field,
            value,
        } => format!(
            "Word {field} of object {object} is overwritten with {}, and the barrier is left out.",
            thing(*value)
        ),
        Op::SetSwapped {
            object,
            field,
            value,
        } => format!(
            "Word {field} of object {object} is set to {}; the barrier is told the new value for the old \
             one.",
            thing(*value)
        ),
        Op::Hide {
            object,
            field,
            value,
        } => format!(
            "Word {field} of object {object}, which its map calls no pointer, is set to {}.",
            thing(*value)
        ),
        Op::Root { object } => format!("Object {object} is rooted."),
        Op::Unroot { object } => format!("A root of object {object} is dropped."),
        Op::Get { object } => format!("Object {object} is read through its root."),
        Op::Hold { object } => format!(
            "The program keeps the address of object {object} as a number, unseen by the collector."
        ),
        Op::Release { object } => format!("It forgets the address of object {object}."),
        Op::Weak { weak, object } => format!("Weak reference {weak} to object {object} is made."),
        Op::Upgrade { weak } => format!("Weak reference {weak} is asked for its object."),
        Op::Pair { pair, key, value } => {
            format!("Ephemeron {pair} is made: key {key}, value {value}.")
        }
        Op::Entry { pair } => format!("Ephemeron {pair} is asked for its entry."),
        Op::Shade { old, new } => format!(
            "The bare barrier is told the old value {} and the new value {}.",
            thing(*old),
            thing(*new)
        ),
        _ => return None,
    })
}

fn of_collector(op: &Op) -> String {
    match op {
        Op::Start => "A cycle is asked for.".into(),
        Op::Step { units } => format!("The collector works, {units} units."),
        Op::Until { phase } => match phase {
            Phase::Mark => "A cycle runs up to marking: barriers are on.".into(),
            Phase::Clear => "The cycle runs on until marking is found to be over.".into(),
            phase => format!("The cycle runs up to phase {phase}."),
        },
        Op::Finish => "The cycle runs to its end.".into(),
        Op::Collect => {
            "A whole collection: what nothing leads to is swept, and its address is stale.".into()
        }
        Op::Verify => "Everything reachable is traced a second time.".into(),
        Op::Park => "The mutator gives back what it keeps for itself.".into(),
        Op::Fault { class, .. } => format!("The heap is broken on purpose: {class}."),
        Op::Mark { number } => format!("(Operation {number} of the workload.)"),
        _ => String::new(),
    }
}
