//! The text of an operation: a word for what it does, then its operands, all in one line.
//!
//! What is written reads back as the same operation. Invariant: nothing in a line is ignored.

use std::fmt;

use gc_core::Phase;

use super::{CopyMode, Kind, Op, Word};

/// Phases that a program may wait for.
const PHASES: [Phase; 4] = [Phase::Idle, Phase::Mark, Phase::Clear, Phase::Sweep];

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

    fn store(
        out: &mut fmt::Formatter<'_>,
        verb: &str,
        (object, field, value): (u32, u32, Word),
    ) -> fmt::Result {
        write!(out, "{verb} {object} {field}={value}")
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
            Op::Init {
                object,
                field,
                value,
            } => Line::store(out, "init", (object, field, value)),
            Op::Set {
                object,
                field,
                value,
            } => Line::store(out, "set", (object, field, value)),
            Op::SetBare {
                object,
                field,
                value,
            } => Line::store(out, "bare", (object, field, value)),
            Op::SetSwapped {
                object,
                field,
                value,
            } => Line::store(out, "swapped", (object, field, value)),
            Op::Hide {
                object,
                field,
                value,
            } => Line::store(out, "hide", (object, field, value)),
            Op::Store { slot, value } => write!(out, "store {slot} {value}"),
            Op::CopyBack { slot, value } => write!(out, "copy {slot} {value}"),
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
            Op::Step { units } => write!(out, "step {units}"),
            Op::Until { phase } => write!(out, "until {}", phase.id()),
            Op::Finish => out.write_str("finish"),
            Op::Collect => out.write_str("collect"),
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

/// The words of a line, taken one after the other.
struct Words<'a> {
    words: std::str::SplitAsciiWhitespace<'a>,
    kinds: &'a [Kind],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, String> {
        self.words
            .next()
            .ok_or_else(|| "an operand is missing".into())
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, String> {
        number(self.next()?)
    }

    fn kind(&mut self) -> Result<u16, String> {
        let name = self.next()?;
        self.known(name)
    }

    fn known(&self, name: &str) -> Result<u16, String> {
        let at = self.kinds.iter().position(|kind| kind.name == name);
        at.map(|at| at as u16)
            .ok_or_else(|| format!("no kind is called `{name}`"))
    }

    fn word(&mut self) -> Result<Word, String> {
        word(self.next()?)
    }

    fn field(&mut self) -> Result<(u32, Word), String> {
        field(self.next()?)
    }

    fn rest<T>(&mut self, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.words.by_ref().map(read).collect()
    }

    fn end(&mut self) -> Result<(), String> {
        match self.words.next() {
            None => Ok(()),
            Some(word) => Err(format!("`{word}` is one operand too many")),
        }
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no number, or too large"))
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("`{text}` is no hexadecimal number"))
}

fn word(text: &str) -> Result<Word, String> {
    match text.as_bytes().first() {
        Some(b'-') if text.len() == 1 => Ok(Word::Null),
        Some(b'~') => number(&text[1..]).map(Word::Stale),
        Some(b'=') => hexadecimal(&text[1..]).map(Word::Number),
        Some(b'@') => hexadecimal(&text[1..]).map(Word::InHeap),
        _ => match text.split_once('+') {
            Some((object, bytes)) => Ok(Word::Past(number(object)?, number(bytes)?)),
            None => number(text).map(Word::Object),
        },
    }
}

fn field(text: &str) -> Result<(u32, Word), String> {
    let (field, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no field: write FIELD=VALUE"))?;
    Ok((number(field)?, word(value)?))
}

/// Reads one operation.
pub(super) fn read(line: &str, kinds: &[Kind]) -> Result<Op, String> {
    let mut words = Words {
        words: line.split_ascii_whitespace(),
        kinds,
    };
    let verb = words.next()?;
    let op = match read_making(verb, &mut words)? {
        Some(op) => op,
        None => read_plain(verb, &mut words)?,
    };
    words.end()?;
    Ok(op)
}

fn read_making(verb: &str, words: &mut Words<'_>) -> Result<Option<Op>, String> {
    Ok(Some(match verb {
        "new" => Op::New {
            object: words.number()?,
            kind: words.kind()?,
            fields: words.rest(field)?,
        },
        "bytes" => Op::Bytes {
            object: words.number()?,
            bytes: words.number()?,
        },
        "call" => Op::Call {
            base: words.number()?,
            result: words.number()?,
            mode: match words.next()? {
                "barrier" => CopyMode::Barrier,
                "plain" => CopyMode::Plain,
                other => return Err(format!("`{other}` is neither `barrier` nor `plain`")),
            },
            arguments: words.rest(number)?,
        },
        "fill" => Op::Fill {
            slot: words.number()?,
            count: words.number()?,
            first: words.number()?,
            kind: words.kind()?,
            shared: match words.words.next() {
                Some(name) => Some((words.known(name)?, words.number()?)),
                None => None,
            },
        },
        "fault" => Op::Fault {
            class: words.next()?.to_string(),
            stroke: words.number()?,
            nth: words.number()?,
            object: words.words.next().map(number).transpose()?,
        },
        _ => return Ok(None),
    }))
}

/// An operation of an object, a field and a value.
fn store(words: &mut Words<'_>, make: impl Fn(u32, u32, Word) -> Op) -> Result<Op, String> {
    let object = words.number()?;
    let (field, value) = words.field()?;
    Ok(make(object, field, value))
}

fn read_plain(verb: &str, words: &mut Words<'_>) -> Result<Op, String> {
    Ok(match verb {
        "enter" => Op::Enter {
            mutator: words.number()?,
            stack: words.number()?,
        },
        "leave" => Op::Leave,
        "push" => Op::Push {
            slots: words.number()?,
        },
        "pop" => Op::Pop,
        "retire" => Op::Retire {
            from: words.number()?,
            count: words.number()?,
        },
        "init" | "set" | "bare" | "swapped" | "hide" => {
            return store(words, |object, field, value| match verb {
                "init" => Op::Init {
                    object,
                    field,
                    value,
                },
                "set" => Op::Set {
                    object,
                    field,
                    value,
                },
                "bare" => Op::SetBare {
                    object,
                    field,
                    value,
                },
                "swapped" => Op::SetSwapped {
                    object,
                    field,
                    value,
                },
                _ => Op::Hide {
                    object,
                    field,
                    value,
                },
            });
        }
        "store" => Op::Store {
            slot: words.number()?,
            value: words.word()?,
        },
        "copy" => Op::CopyBack {
            slot: words.number()?,
            value: words.word()?,
        },
        _ => return read_of_object(verb, words),
    })
}

fn read_of_object(verb: &str, words: &mut Words<'_>) -> Result<Op, String> {
    Ok(match verb {
        "root" => Op::Root {
            object: words.number()?,
        },
        "unroot" => Op::Unroot {
            object: words.number()?,
        },
        "get" => Op::Get {
            object: words.number()?,
        },
        "hold" => Op::Hold {
            object: words.number()?,
        },
        "release" => Op::Release {
            object: words.number()?,
        },
        "weak" => Op::Weak {
            weak: words.number()?,
            object: words.number()?,
        },
        "upgrade" => Op::Upgrade {
            weak: words.number()?,
        },
        "pair" => Op::Pair {
            pair: words.number()?,
            key: words.number()?,
            value: words.number()?,
        },
        "entry" => Op::Entry {
            pair: words.number()?,
        },
        "shade" => Op::Shade {
            old: words.word()?,
            new: words.word()?,
        },
        _ => return read_of_collector(verb, words),
    })
}

fn read_of_collector(verb: &str, words: &mut Words<'_>) -> Result<Op, String> {
    Ok(match verb {
        "start" => Op::Start,
        "step" => Op::Step {
            units: words.number()?,
        },
        "until" => {
            let name = words.next()?;
            let phase = PHASES.iter().find(|phase| phase.id() == name);
            Op::Until {
                phase: *phase.ok_or_else(|| format!("`{name}` is no phase to wait for"))?,
            }
        }
        "finish" => Op::Finish,
        "collect" => Op::Collect,
        "verify" => Op::Verify,
        "park" => Op::Park,
        "mark" => Op::Mark {
            number: words.number()?,
        },
        _ => return Err(format!("`{verb}` is no operation")),
    })
}
