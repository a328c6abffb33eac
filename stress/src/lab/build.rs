//! Which build this is, as far as a program can tell the difference.
//!
//! A trace replays as it was recorded where the heap does the same things in the same order. That depends
//! on versions, the target and features; and on everything else that an engineer may change without
//! changing these, so a short program is carried out and what came of it is part of the answer.

use std::sync::OnceLock;

use gc_core::{CheckLevel, Driver, Phase, Policy};

use super::{Setup, Stop, run};
use crate::driver::DriverChoice;
use crate::hash::content_hash;
use crate::ops::{CopyMode, Kind, Op, Program, Regime, Word, Write};

/// Rounds of the probe.
const ROUNDS: u32 = 24;
/// A limit that the probe meets.
const PROBE_LIMIT_BYTES: usize = 1 << 15;

/// This build, in a line.
pub(crate) fn this_build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let faults = if cfg!(feature = "fault-inject") {
            "fault-inject"
        } else {
            "plain"
        };
        format!(
            "{} {}-{} {faults} {:08x}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS,
            behaviour(),
        )
    })
}

/// A hash over what the probe comes to at every level, under either driver, and where there is little room.
fn behaviour() -> u32 {
    let mut seen = String::new();
    let narrow = Regime {
        driver: DriverChoice(Driver::Incremental),
        limit_bytes: Some(PROBE_LIMIT_BYTES),
        ..Regime::default()
    };
    let regimes = [Regime::default(), narrow];
    let levels = CheckLevel::ALL.iter();
    for (level, regime) in levels.flat_map(|level| regimes.map(|regime| (level, regime))) {
        let setup = Setup {
            policy: Policy::COUNT,
            checks: (*level).into(),
            reserve_bytes: 1 << 26,
            regime,
            stop: Stop::Never,
        };
        // A probe that cannot be carried out is a difference too.
        seen += &match run(&probe(), &setup) {
            Ok(outcome) => format!(
                "{:?} {} {} {:?}",
                outcome.expected(),
                outcome.refused.len(),
                outcome.cycles,
                outcome.first().and_then(|met| met.first?.address)
            ),
            Err(error) => error.to_string(),
        };
    }
    content_hash(seen.as_bytes()) as u32
}

/// A program that meets the bug in several phases, beside honest work.
fn probe() -> Program {
    let kinds = vec![
        Kind {
            name: "leaf".into(),
            words: 4,
            pointers: Vec::new(),
        },
        Kind {
            name: "node".into(),
            words: 3,
            pointers: vec![1, 2],
        },
    ];
    let mut ops = vec![
        Op::Enter {
            mutator: 0,
            stack: 0,
        },
        Op::Push { slots: 32 },
        Op::New {
            object: 1,
            kind: 1,
            fields: Vec::new(),
        },
        Op::Root { object: 1 },
        Op::Leave,
    ];
    for round in 0..ROUNDS {
        add_round(&mut ops, round);
    }
    Program { kinds, ops }
}

/// A visit that leaves pointers behind in its frame, and a store over one of them.
fn add_round(ops: &mut Vec<Op>, round: u32) {
    let first = 100 * (round + 1);
    let stack = round % 2;
    ops.extend([
        Op::Enter { mutator: 0, stack },
        Op::Push { slots: 32 },
        Op::Fill {
            slot: 0,
            count: 24 + round % 5,
            first,
            kind: 1,
            shared: Some((0, 6)),
        },
        Op::Write {
            how: Write::Set,
            object: 1,
            field: 1 + round % 2,
            value: Word::Object(first + 1),
        },
        Op::Call {
            base: 28,
            result: 1,
            mode: CopyMode::Plain,
            arguments: Vec::new(),
        },
        Op::Retire { from: 0, count: 24 },
        Op::Call {
            base: round % 20,
            result: 1,
            mode: CopyMode::Barrier,
            arguments: Vec::new(),
        },
        Op::Pop,
        Op::Leave,
        Op::Start,
        Op::Step {
            units: 7 + 5 * round,
        },
    ]);
    if round % 6 == 5 {
        ops.push(Op::Until { phase: Phase::Idle });
    }
}
