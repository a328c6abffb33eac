//! Reads the line of an operation back.
//!
//! Invariants: what `ops/text.rs` writes reads back as the same operation; nothing in a line is ignored.

use gc_core::Phase;

use super::{CopyMode, Kind, Op, Word, Write};

/// Phases that a program may wait for.
const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Arm,
    Phase::Settle,
    Phase::Snapshot,
    Phase::Mark,
    Phase::Clear,
    Phase::Sweep,
];

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

fn read_plain(verb: &str, words: &mut Words<'_>) -> Result<Op, String> {
    if let Some((how, _)) = Write::ALL.iter().find(|(_, known)| *known == verb) {
        let object = words.number()?;
        let (field, value) = words.field()?;
        return Ok(Op::Write {
            how: *how,
            object,
            field,
            value,
        });
    }
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
        "store" => Op::Store {
            slot: words.number()?,
            value: words.word()?,
        },
        "copy" => Op::CopyBack {
            slot: words.number()?,
            value: words.word()?,
        },
        "revive" => Op::Revive {
            slot: words.number()?,
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
        "start-young" => Op::StartYoung,
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
        "collect-young" => Op::CollectYoung,
        "verify" => Op::Verify,
        "park" => Op::Park,
        "mark" => Op::Mark {
            number: words.number()?,
        },
        _ => return Err(format!("`{verb}` is no operation")),
    })
}
