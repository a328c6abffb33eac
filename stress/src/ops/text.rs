//! The text of an operation: a word for what it does, then its operands, all in one line.
//!
//! Deliberately absent: how a line is read (`ops/read.rs`).

use std::fmt;

use super::{CopyMode, Kind, Op, Word, Write};

impl Write {
    /// Every way, by its verb.
    pub(super) const ALL: [(Write, &str); 6] = [
        (Write::Init, "init"),
        (Write::Set, "set"),
        (Write::Bare, "bare"),
        (Write::Swapped, "swapped"),
        (Write::Hide, "hide"),
        (Write::Pun, "pun"),
    ];

    fn verb(self) -> &'static str {
        Write::ALL[self as usize].1
    }
}

impl fmt::Display for Word {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Null => out.write_str("-"),
            Word::Object(object) => write!(out, "{object}"),
            Word::Past(object, bytes) => write!(out, "{object}+{bytes}"),
            Word::Stale(object) => write!(out, "~{object}"),
            Word::Number(number) => write!(out, "={number:x}"),
            Word::InHeap(offset) => write!(out, "@{offset:x}"),
        }
    }
}

/// An operation beside the kinds that it names.
pub(super) struct Line<'a>(pub(super) &'a Op, pub(super) &'a [Kind]);

impl Line<'_> {
    fn kind(&self, kind: u16) -> &str {
        self.1
            .get(usize::from(kind))
            .map_or("?", |kind| kind.name.as_str())
    }

    fn write_making(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Op::New {
                object,
                kind,
                fields,
            } => {
                write!(out, "new {object} {}", self.kind(*kind))?;
                fields
                    .iter()
                    .try_for_each(|(field, value)| write!(out, " {field}={value}"))
            }
            Op::Bytes { object, bytes } => write!(out, "bytes {object} {bytes}"),
            Op::Call {
                base,
                result,
                mode,
                arguments,
            } => {
                let mode = match mode {
                    CopyMode::Barrier => "barrier",
                    CopyMode::Plain => "plain",
                };
                write!(out, "call {base} {result} {mode}")?;
                arguments
                    .iter()
                    .try_for_each(|argument| write!(out, " {argument}"))
            }
            Op::Fill {
                slot,
                count,
                first,
                kind,
                shared,
            } => {
                write!(out, "fill {slot} {count} {first} {}", self.kind(*kind))?;
                match shared {
                    Some((kind, group)) => write!(out, " {} {group}", self.kind(*kind)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            Op::New { .. } | Op::Bytes { .. } | Op::Call { .. } | Op::Fill { .. } => {
                self.write_making(out)
            }
            Op::Enter { mutator, stack } => write!(out, "enter {mutator} {stack}"),
            Op::Leave => out.write_str("leave"),
            Op::Push { slots } => write!(out, "push {slots}"),
            Op::Pop => out.write_str("pop"),
            Op::Retire { from, count } => write!(out, "retire {from} {count}"),
            Op::Write {
                how,
                object,
                field,
                value,
            } => write!(out, "{} {object} {field}={value}", how.verb()),
            Op::Store { slot, value } => write!(out, "store {slot} {value}"),
            Op::CopyBack { slot, value } => write!(out, "copy {slot} {value}"),
            Op::Revive { slot } => write!(out, "revive {slot}"),
            Op::Root { object } => write!(out, "root {object}"),
            Op::Unroot { object } => write!(out, "unroot {object}"),
            Op::Get { object } => write!(out, "get {object}"),
            Op::Hold { object } => write!(out, "hold {object}"),
            Op::Release { object } => write!(out, "release {object}"),
            Op::Weak { weak, object } => write!(out, "weak {weak} {object}"),
            Op::Upgrade { weak } => write!(out, "upgrade {weak}"),
            Op::Pair { pair, key, value } => write!(out, "pair {pair} {key} {value}"),
            Op::Entry { pair } => write!(out, "entry {pair}"),
            Op::Shade { old, new } => write!(out, "shade {old} {new}"),
            Op::Start => out.write_str("start"),
            Op::StartYoung => out.write_str("start-young"),
            Op::Step { units } => write!(out, "step {units}"),
            Op::Until { phase } => write!(out, "until {}", phase.id()),
            Op::Finish => out.write_str("finish"),
            Op::Collect => out.write_str("collect"),
            Op::CollectYoung => out.write_str("collect-young"),
            Op::Verify => out.write_str("verify"),
            Op::Park => out.write_str("park"),
            Op::Fault {
                ref class,
                stroke,
                nth,
                object,
            } => {
                write!(out, "fault {class} {stroke} {nth}")?;
                object.map_or(Ok(()), |object| write!(out, " {object}"))
            }
            Op::Mark { number } => write!(out, "mark {number}"),
        }
    }
}
