//! Allocation profiles, read as protocol buffers, against what was allocated.

use std::collections::BTreeMap;

use gc_core::raw::RawGc;
use gc_core::{Driver, Edge, Gc, Heap, Policy, ProfileError, Scope};

use crate::support::{Node, chain, heap};

fn profiled(one_in_bytes: usize) -> Heap {
    Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .profile_one_in_bytes(one_in_bytes)
        .reserve_bytes(64 << 20)
        .build()
        .unwrap()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The fields of a message in order: their numbers, with a number or bytes.
fn message(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        fields.push(match key & 7 {
            0 => (key >> 3, varint(&mut bytes), &[][..]),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (inside, rest) = bytes.split_at(length);
                bytes = rest;
                (key >> 3, 0, inside)
            }
            wire => panic!("wire type {wire}"),
        });
    }
    fields
}

fn packed(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes));
    }
    numbers
}

/// Objects and bytes allocated and in use, by line of this file and type.
type Sites = BTreeMap<(u32, String), [u64; 4]>;

fn read(heap: &Heap) -> Sites {
    let mut profile = Vec::new();
    heap.write_profile(&mut profile).unwrap();
    let fields = message(&profile);
    let of = |number: u64| fields.iter().filter(move |field| field.0 == number);
    let strings: Vec<&str> = of(6)
        .map(|field| str::from_utf8(field.2).unwrap())
        .collect();
    assert_eq!(strings[0], "");
    let one = |fields: &[(u64, u64, &[u8])], number: u64| {
        let found = fields.iter().find(|field| field.0 == number);
        found.map_or(0, |field| field.1)
    };
    let types = of(1).map(|field| strings[one(&message(field.2), 1) as usize]);
    let types: Vec<&str> = types.collect();
    assert_eq!(
        types,
        [
            "alloc_objects",
            "alloc_space",
            "inuse_objects",
            "inuse_space"
        ]
    );
    let functions: BTreeMap<u64, &str> = of(5)
        .map(|field| message(field.2))
        .map(|function| (one(&function, 1), strings[one(&function, 2) as usize]))
        .collect();
    let lines: BTreeMap<u64, u32> = of(4)
        .map(|field| message(field.2))
        .map(|location| {
            let at = location.iter().find(|field| field.0 == 4).unwrap();
            let at = message(at.2);
            let (function, line) = (functions[&one(&at, 1)], one(&at, 2) as u32);
            assert!(function.ends_with(&format!(".rs:{line}")), "{function}");
            (one(&location, 1), line)
        })
        .collect();
    let sample = |bytes: &[u8]| {
        let fields = message(bytes);
        let bytes = |number: u64| fields.iter().find(|field| field.0 == number).unwrap().2;
        let label = message(bytes(3));
        assert_eq!(strings[one(&label, 1) as usize], "type");
        let name = strings[one(&label, 2) as usize].to_string();
        let amounts: [u64; 4] = packed(bytes(2)).try_into().unwrap();
        ((lines[&packed(bytes(1))[0]], name), amounts)
    };
    let sites: Sites = of(2).map(|field| sample(field.2)).collect();
    assert_eq!(sites.len(), of(2).count());
    sites
}

fn node<'gc>(id: u64) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
    }
}

/// Passed over: its caller counts.
#[track_caller]
fn make<'gc>(scope: Scope<'gc>, id: u64) -> Gc<'gc, Node<'gc>> {
    scope.alloc(node(id))
}

#[test]
fn with_every_allocation_sampled_the_counts_are_exact() {
    let heap = profiled(1);
    let shape = heap.register_shape("pair", 2, &[0]).unwrap();
    let mut mutator = heap.mutator();
    let mut lines = BTreeMap::new();
    let kept = mutator.enter(|scope| {
        lines.insert("dead", line!() + 1);
        (0..700).for_each(|id| _ = scope.alloc(node(id)));
        lines.insert("kept", line!() + 1);
        let kept: Vec<Gc<Node>> = (0..300).map(|id| make(scope, id)).collect();
        lines.insert("slice", line!() + 1);
        let kept = scope.alloc_slice(kept);
        lines.insert("text", line!() + 1);
        scope.alloc_str("text");
        lines.insert("large", line!() + 1);
        scope.alloc_slice([0_u8; 100_000]);
        lines.insert("shape", line!() + 1);
        let _: RawGc = scope.alloc_shape(shape).unwrap();
        scope.root(kept)
    });
    let before = read(&heap);
    let at = |sites: &Sites, place: &str| -> [u64; 4] {
        let found: Vec<_> = sites
            .iter()
            .filter(|((line, _), _)| *line == lines[place])
            .collect();
        assert_eq!(found.len(), 1, "{place}: {sites:?}");
        *found[0].1
    };
    assert_eq!(before.len(), lines.len(), "{before:?}");
    assert_eq!(at(&before, "dead"), [700, 11_200, 700, 11_200]);
    assert_eq!(at(&before, "kept"), [300, 4_800, 300, 4_800]);
    assert_eq!(at(&before, "text"), [1, 16, 1, 16]);
    assert_eq!(at(&before, "shape"), [1, 16, 1, 16]);
    assert_eq!(at(&before, "large")[0], 1);
    heap.collect().unwrap();
    let after = read(&heap);
    assert_eq!(at(&after, "dead"), [700, 11_200, 0, 0]);
    assert_eq!(at(&after, "kept"), [300, 4_800, 300, 4_800]);
    assert_eq!(at(&after, "large")[2..], [0, 0]);
    let in_use: u64 = after.values().map(|amounts| amounts[3]).sum();
    assert_eq!(in_use, heap.stats().bytes_live);
    let allocated: u64 = after.values().map(|amounts| amounts[1]).sum();
    assert_eq!(allocated, heap.stats().bytes_allocated_total);
    assert!(after.keys().any(|(_, name)| name == "pair"));
    assert!(heap.verify().unwrap().is_clean());
    drop(kept);
}

#[test]
fn samples_do_not_fall_in_with_a_pattern_of_the_program() {
    let heap = profiled(2048);
    let mut mutator = heap.mutator();
    let (mut one, mut other) = (0, 0);
    for _ in 0..100 {
        mutator.enter(|scope| {
            for id in 0..500 {
                // Turn and turn about, in runs whose lengths are powers of two.
                one = line!() + 1;
                scope.alloc(node(id));
                other = line!() + 1;
                scope.alloc(node(id));
            }
        });
        heap.collect().unwrap();
    }
    let sites = read(&heap);
    let of = |line: u32| -> [u64; 4] {
        let found = sites.iter().find(|((known, _), _)| *known == line);
        *found.unwrap().1
    };
    // 50,000 objects each, from some 390 samples each: five times the deviation to be expected.
    for allocated in [of(one), of(other)] {
        assert!((37_500..62_500).contains(&allocated[0]), "{sites:?}");
        assert_eq!(allocated[2], 0, "nothing is in use");
    }
    assert!(heap.ledger().unwrap().is_balanced());
    assert_eq!(heap.health().total(), 0);
}

#[test]
fn sampling_moves_no_object_and_threads_may_share_it() {
    let offsets = |heap: &Heap| -> Vec<Option<u64>> {
        let mut mutator = heap.mutator();
        let _kept = chain(&mut mutator, 500);
        heap.collect().unwrap();
        let root = chain(&mut mutator, 500);
        mutator.enter(|scope| {
            let first = scope.get(&root).ok();
            std::iter::successors(first, |node| node.next.get())
                .map(|node| heap.offset_of(node.into_raw().address()))
                .collect()
        })
    };
    assert_eq!(offsets(&profiled(64)), offsets(&profiled(0)));
    let heap = profiled(300);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| drop(chain(&mut heap.mutator(), 20_000)));
        }
    });
    heap.collect().unwrap();
    let allocated: u64 = read(&heap).values().map(|amounts| amounts[0]).sum();
    assert!(
        (45_000..75_000).contains(&allocated),
        "{allocated} of 60000"
    );
    assert!(heap.ledger().unwrap().is_balanced());
}

#[test]
fn a_heap_that_samples_nothing_has_no_profile() {
    let refused = heap("none").write_profile(&mut Vec::new()).unwrap_err();
    assert!(matches!(refused, ProfileError::NotSampled), "{refused}");
}
