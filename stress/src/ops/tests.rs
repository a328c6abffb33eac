//! What the text of a program promises: it reads back as the same program, or is refused.

use gc_core::{Check, Driver, Phase};
use proptest::prelude::*;

use super::file::checksum;
use super::*;
use crate::driver::DriverChoice;

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        Just(Word::Null),
        any::<u32>().prop_map(Word::Object),
        any::<(u32, u32)>().prop_map(|(object, bytes)| Word::Past(object, bytes)),
        any::<u32>().prop_map(Word::Stale),
        any::<u64>().prop_map(Word::Number),
        any::<u64>().prop_map(Word::InHeap),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop::sample::select(Write::ALL.map(|(how, _)| how).to_vec())
}

fn phase() -> impl Strategy<Value = Phase> {
    // One does not stay in `Terminate`, so nobody can wait for it.
    let phases = Phase::ALL.iter().copied();
    let phases: Vec<Phase> = phases.filter(|phase| *phase != Phase::Terminate).collect();
    prop::sample::select(phases)
}

fn of_objects() -> impl Strategy<Value = Op> {
    let fields = || prop::collection::vec((any::<u32>(), word()), 0..4);
    let id = any::<u32>;
    prop_oneof![
        (id(), 0..2_u16, fields()).prop_map(|(object, kind, fields)| Op::New {
            object,
            kind,
            fields
        }),
        (id(), id()).prop_map(|(object, bytes)| Op::Bytes { object, bytes }),
        (write(), id(), id(), word()).prop_map(|(how, object, field, value)| Op::Write {
            how,
            object,
            field,
            value
        }),
        (
            id(),
            id(),
            id(),
            0..2_u16,
            prop::option::of((0..2_u16, id()))
        )
            .prop_map(|(slot, count, first, kind, shared)| Op::Fill {
                slot,
                count,
                first,
                kind,
                shared
            }),
        (
            id(),
            id(),
            prop::sample::select(vec![CopyMode::Barrier, CopyMode::Plain]),
            prop::collection::vec(id(), 0..3)
        )
            .prop_map(|(base, result, mode, arguments)| Op::Call {
                base,
                result,
                mode,
                arguments
            }),
        id().prop_map(|object| Op::Root { object }),
        id().prop_map(|object| Op::Unroot { object }),
        id().prop_map(|object| Op::Get { object }),
        id().prop_map(|object| Op::Hold { object }),
        id().prop_map(|object| Op::Release { object }),
        (id(), id()).prop_map(|(weak, object)| Op::Weak { weak, object }),
        id().prop_map(|weak| Op::Upgrade { weak }),
        (id(), id(), id()).prop_map(|(pair, key, value)| Op::Pair { pair, key, value }),
        id().prop_map(|pair| Op::Entry { pair }),
        (word(), word()).prop_map(|(old, new)| Op::Shade { old, new }),
    ]
}

fn of_seats() -> impl Strategy<Value = Op> {
    let id = any::<u32>;
    prop_oneof![
        (id(), id()).prop_map(|(mutator, stack)| Op::Enter { mutator, stack }),
        Just(Op::Leave),
        id().prop_map(|slots| Op::Push { slots }),
        Just(Op::Pop),
        (id(), id()).prop_map(|(from, count)| Op::Retire { from, count }),
        (id(), word()).prop_map(|(slot, value)| Op::Store { slot, value }),
        (id(), word()).prop_map(|(slot, value)| Op::CopyBack { slot, value }),
        id().prop_map(|slot| Op::Revive { slot }),
        Just(Op::Start),
        Just(Op::StartYoung),
        id().prop_map(|units| Op::Step { units }),
        phase().prop_map(|phase| Op::Until { phase }),
        Just(Op::Finish),
        Just(Op::Collect),
        Just(Op::CollectYoung),
        Just(Op::Verify),
        Just(Op::Park),
        ("[a-z][a-z-]{0,9}", id(), id(), prop::option::of(id())).prop_map(
            |(class, stroke, nth, object)| Op::Fault {
                class,
                stroke,
                nth,
                object
            }
        ),
        any::<u64>().prop_map(|number| Op::Mark { number }),
    ]
}

fn trace() -> impl Strategy<Value = Trace> {
    let op = prop_oneof![of_objects(), of_seats()];
    (
        prop::collection::vec(op, 1..24),
        any::<(u64, u64)>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(ops, (seed, lost), at)| Trace {
            expected: vec![Expected {
                op: at.index(ops.len()),
                check: Check::FreePointer,
                count: 1 + seed % 9,
            }],
            header: Header {
                build: "0.1.0 some build".into(),
                scenario: "made-up".into(),
                seed,
                policy: "count".into(),
                checks: "default,virgin-slot=on".into(),
                threads: 1,
                regime: Regime {
                    limit_bytes: (seed % 2 == 0).then_some(1 << 20),
                    nursery_bytes: (seed % 3 == 0).then_some(1 << 16),
                    ..Regime::default()
                },
            },
            program: Program {
                kinds: kinds(),
                ops,
            },
            lost,
        })
}

fn kinds() -> Vec<Kind> {
    let kind = |name: &str, words, pointers: &[u32]| Kind {
        name: name.into(),
        words,
        pointers: pointers.to_vec(),
    };
    vec![kind("leaf", 1, &[]), kind("node", 4, &[1, 3])]
}

fn short() -> Trace {
    let ops = vec![
        Op::New {
            object: 1,
            kind: 1,
            fields: vec![(1, Word::Null)],
        },
        Op::Collect,
    ];
    Trace {
        header: Header {
            build: "b".into(),
            scenario: "s".into(),
            seed: 7,
            policy: "count".into(),
            checks: "lax".into(),
            threads: 1,
            regime: Regime::default(),
        },
        program: Program {
            kinds: kinds(),
            ops,
        },
        expected: Vec::new(),
        lost: 0,
    }
}

proptest! {
    #[test]
    fn a_trace_reads_back_as_it_was_written(trace in trace()) {
        let text = trace.to_text();
        prop_assert_eq!(Trace::from_text(&text).unwrap(), trace);
    }
}

#[test]
fn a_trace_that_was_cut_off_anywhere_is_refused() {
    let text = short().to_text();
    for end in 0..text.len() {
        let refused = Trace::from_text(&text[..end]).unwrap_err();
        let is_told = matches!(refused, TraceError::Truncated | TraceError::Foreign)
            || matches!(
                refused,
                TraceError::Version { .. } | TraceError::Corrupt { .. }
            );
        assert!(is_told, "{end}: {refused}");
    }
    let without_its_end = text.rfind("end ").unwrap();
    let refused = Trace::from_text(&text[..without_its_end]).unwrap_err();
    assert!(matches!(refused, TraceError::Truncated), "{refused}");
}

#[test]
fn a_trace_with_any_bit_flipped_is_refused() {
    let text = short().to_text();
    for at in 0..text.len() {
        for bit in 0..7 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(Trace::from_text(&flipped).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn another_version_and_another_file_are_told_apart() {
    let text = short().to_text();
    let other = text.replacen("softfail-trace 1", "softfail-trace 2", 1);
    let refused = Trace::from_text(&other).unwrap_err();
    assert!(
        matches!(refused, TraceError::Version { ref found } if found == "2"),
        "{refused}"
    );
    let refused = Trace::from_text("{\"event\":\"begin\"}\n").unwrap_err();
    assert!(matches!(refused, TraceError::Foreign), "{refused}");
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    for (line, text, problem) in [
        ("collect", "colect", "`colect` is no operation"),
        ("collect", "collect 1", "`1` is one operand too many"),
        ("collect", "step", "an operand is missing"),
        ("collect", "step x", "`x` is no number, or too large"),
        (
            "collect",
            "step 4294967296",
            "`4294967296` is no number, or too large",
        ),
        (
            "collect",
            "until terminate",
            "`terminate` is no phase to wait for",
        ),
        ("collect", "set 1 2", "`2` is no field: write FIELD=VALUE"),
        ("collect", "new 2 tree", "no kind is called `tree`"),
        ("collect", "store 1 =xyz", "`xyz` is no hexadecimal number"),
        (
            "kind leaf 1 -",
            "kind leaf 1 0",
            "a kind has 1 to 4096 words",
        ),
        (
            "kind leaf 1 -",
            "kind leaf 0 -",
            "a kind has 1 to 4096 words",
        ),
        ("ops 2", "ops 3", "3 operations were announced, 2 are there"),
        ("seed 7", "sead 7", "`seed` and its value are expected here"),
    ] {
        let whole = short().to_text();
        let body = &whole[..whole.rfind("end ").unwrap()];
        let body = body.replacen(&format!("\n{line}\n"), &format!("\n{text}\n"), 1);
        let sealed = format!("{body}end {}\n", checksum(&body));
        let refused = Trace::from_text(&sealed).unwrap_err();
        let TraceError::Malformed {
            line: at,
            problem: told,
        } = refused
        else {
            panic!("{text}: {refused}");
        };
        assert!(told.contains(problem), "{text}: {told}");
        assert!(
            problem.contains("announced") || whole.lines().nth(at - 1) == Some(line),
            "{text}: line {at}"
        );
    }
}

#[test]
fn driver_and_limits_are_optional_and_nothing_malformed_is_taken() {
    let with = |lines: &str| {
        let text = short().to_text();
        let (body, _) = text.rsplit_once("end ").unwrap();
        let body = body.replace("threads 1\n", &format!("threads 1\n{lines}"));
        Trace::from_text(&format!("{body}end {}\n", checksum(&body)))
    };
    assert_eq!(with("").unwrap().header.regime, Regime::default());
    let regime =
        with("driver incremental\nlimit 65536\nsoft-limit 16384\nnursery 65536\n").unwrap();
    assert_eq!(
        regime.header.regime,
        Regime {
            driver: DriverChoice(Driver::Incremental),
            limit_bytes: Some(65536),
            soft_limit_bytes: Some(16384),
            nursery_bytes: Some(65536),
        }
    );
    assert_eq!(Trace::from_text(&regime.to_text()).unwrap(), regime);
    for (lines, named) in [
        ("driver background\n", "manual and incremental are"),
        ("driver\n", "is expected here"),
        ("limit 12\n", "`12` is no limit: bytes from 8192"),
        ("limit 64k\n", "`64k` is no limit"),
        ("soft-limit -1\n", "`-1` is no limit"),
        ("limit 65536\nsoft-limit 65537\n", "lies above the limit"),
        ("nursery 65535\n", "`65535` is no nursery: bytes from 65536"),
        ("limit 65536\nlimit 65536\n", "is expected here"),
        ("speed 3\n", "`soft-limit`"),
    ] {
        let refused = with(lines).unwrap_err();
        assert!(
            matches!(refused, TraceError::Malformed { .. }),
            "{lines}: {refused}"
        );
        assert!(refused.to_string().contains(named), "{lines}: {refused}");
    }
}
