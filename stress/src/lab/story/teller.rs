//! One sentence for each operation.
//!
//! Pure: a sentence follows from the operation and the kinds of its program.

use gc_core::Phase;

use crate::ops::{CopyMode, Kind, ObjectId, Op, Program, Word, Write};

/// Tells operations one after the other.
pub(super) struct Teller<'p>(pub(super) &'p Program);

impl Teller<'_> {
    fn kind(&self, kind: u16) -> &str {
        let kind: Option<&Kind> = self.0.kinds.get(usize::from(kind));
        kind.map_or("?", |kind| kind.name.as_str())
    }

    pub(super) fn sentence(&self, op: &Op) -> String {
        match op {
            Op::Enter { mutator, stack } => {
                format!("Mutator {mutator} runs on its stack {stack}.")
            }
            Op::Leave => "It comes out: what nothing leads to may be collected now.".into(),
            Op::Push { slots } => format!(
                "A frame of {slots} slots is pushed. Nobody clears it: its words are what was there."
            ),
            Op::Pop => "The frame is popped. Its slots are dead, its words stay.".into(),
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
            Op::Revive { slot } => format!(
                "The stack map calls slot {slot} live, though nothing was stored there: its word is what \
                 an earlier frame left."
            ),
            Op::CopyBack { slot, value } => format!(
                "{} is stored into slot {slot} through the write barrier.",
                capital(&thing(*value))
            ),
            Op::Call { .. } | Op::New { .. } | Op::Bytes { .. } | Op::Fill { .. } => {
                self.of_making(op)
            }
            Op::Write {
                how,
                object,
                field,
                value,
            } => of_write(*how, &format!("Word {field} of object {object}"), *value),
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
                {
                    let kind = self.kind(*kind);
                    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
                        "an"
                    } else {
                        "a"
                    };
                    format!("Object {object}, {article} {kind}, is made{fields}.")
                }
            }
            Op::Bytes { object, bytes } => {
                format!("Object {object}, a text of {bytes} bytes, is made.")
            }
            Op::Fill { .. } => self.of_fill(op),
            _ => String::new(),
        }
    }

    fn of_fill(&self, op: &Op) -> String {
        match op {
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

fn of_write(how: Write, place: &str, value: Word) -> String {
    let value = thing(value);
    match how {
        Write::Init => format!("{place} is initialised with {value}."),
        Write::Set => format!("{place} is set to {value}, through the barrier."),
        Write::Bare => {
            format!("{place} is overwritten with {value}, and the barrier is left out.")
        }
        Write::Swapped => {
            format!("{place} is set to {value}; the barrier is told the new value for the old one.")
        }
        Write::Hide => {
            format!("{place}, which its map calls no pointer, is set to {value}.")
        }
        Write::Pun => format!(
            "{place}, which is no pointer, is set to {value} through the barrier, as if it were one."
        ),
    }
}

fn of_collector(op: &Op) -> String {
    match op {
        Op::Start => "A cycle is asked for.".into(),
        Op::StartYoung => "A young cycle is asked for.".into(),
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
        Op::CollectYoung => {
            "A young cycle: what was born since the last one, and nothing leads to, is swept."
                .into()
        }
        Op::Verify => "Everything reachable is traced a second time.".into(),
        Op::Park => "The mutator gives back what it keeps for itself.".into(),
        Op::Fault { class, .. } => format!("The heap is broken on purpose: {class}."),
        Op::Mark { number } => format!("(Operation {number} of the workload.)"),
        _ => String::new(),
    }
}
