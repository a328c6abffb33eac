//! Why an object is alive: the way is the shortest one, it names what it passes, weak references are
//! none, and asking changes nothing.
#![allow(unsafe_code)]

use gc_core::{
    Address, Builder, CheckLevel, CollectError, Driver, Edge, Ephemeron, Gc, Heap, Mutator, Origin,
    Phase, Policy, RetentionError, RetentionPath, Root, Trace, Weak,
};

#[derive(Trace)]
struct Node<'gc> {
    left: Edge<'gc, Node<'gc>>,
    right: Edge<'gc, Node<'gc>>,
    weak: Option<Weak<'gc, Node<'gc>>>,
    ephemeron: Option<Ephemeron<'gc, Node<'gc>, Node<'gc>>>,
}

fn node<'gc>() -> Node<'gc> {
    Node {
        left: Edge::none(),
        right: Edge::none(),
        weak: None,
        ephemeron: None,
    }
}

fn builder() -> Builder {
    Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .reserve_bytes(64 << 20)
}

fn heap() -> (Heap, Mutator) {
    let heap = builder().build().unwrap();
    let mutator = heap.mutator();
    (heap, mutator)
}

fn at(heap: &Heap, object: Gc<'_, Node<'_>>) -> Address {
    Address::Offset(heap.offset_of(object.into_raw().address()).unwrap())
}

/// The fields on the way, without those of the last object, which leads on to nothing.
fn fields(path: &RetentionPath) -> Vec<&'static str> {
    let (last, before) = path.steps.split_last().unwrap();
    assert_eq!((last.field, last.word), (None, None));
    before
        .iter()
        .map(|step| step.field.unwrap_or("-"))
        .collect()
}

#[test]
fn the_shortest_way_is_told_with_its_fields() {
    let (heap, mut mutator) = heap();
    let (root, leaf) = mutator.enter(|scope| {
        // root -left-> a -left-> b -left-> leaf, and root -right-> c -right-> leaf; b leads back.
        let [root, a, b, c, leaf] = core::array::from_fn(|_| scope.alloc(node()));
        root.left.set(scope, a);
        a.left.set(scope, b);
        b.left.set(scope, leaf);
        b.right.set(scope, root);
        root.right.set(scope, c);
        c.right.set(scope, leaf);
        leaf.left.set(scope, leaf);
        (scope.root(root), at(&heap, leaf))
    });
    let path = heap.retention_path(leaf).unwrap().unwrap();
    assert_eq!(path.origin, Origin::Root);
    assert_eq!(fields(&path), ["Node.right", "Node.right"]);
    assert_eq!(path.steps_left_out, 0);
    assert!(
        path.steps
            .iter()
            .all(|step| step.type_name.contains("Node"))
    );
    assert!(path.steps.iter().all(|step| step.slot_bytes >= 32));
    assert_eq!(Address::Offset(path.steps[2].offset), leaf);
    let text = path.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("root", 4), "{text}");
    assert!(lines[1].contains("retention::Node"), "{text}");
    assert!(lines[1].ends_with(", by Node.right"), "{text}");
    // From inside, and for an address in the middle of the object, the answer is the same.
    mutator.enter(|scope| {
        let root = scope.get(&root).unwrap();
        let leaf = root.right.get().unwrap().right.get().unwrap();
        assert_eq!(scope.retention_path(leaf).unwrap(), Some(path.clone()));
    });
    let Address::Offset(offset) = leaf else {
        panic!("{leaf}");
    };
    assert_eq!(
        heap.retention_path(Address::Offset(offset + 8)).unwrap(),
        Some(path)
    );
}

#[test]
fn what_nothing_leads_to_has_no_way_and_a_weak_reference_is_none() {
    let (heap, mut mutator) = heap();
    let (root, lost, held) = mutator.enter(|scope| {
        let lost = scope.alloc(node());
        // A ring keeps nothing alive by itself.
        let other = scope.alloc(node());
        lost.left.set(scope, other);
        other.left.set(scope, lost);
        let holder = scope.alloc(Node {
            weak: Some(scope.downgrade(lost)),
            ..node()
        });
        assert_eq!(scope.retention_path(lost).unwrap(), None, "held here alone");
        (scope.root(holder), at(&heap, lost), at(&heap, holder))
    });
    assert_eq!(heap.retention_path(lost).unwrap(), None);
    assert_eq!(heap.retention_path(held).unwrap().unwrap().steps.len(), 1);
    heap.collect().unwrap();
    let gone = heap.retention_path(lost);
    assert_eq!(
        gone,
        Err(RetentionError::NoObject {
            address: lost,
            reason: "pointer to free slot"
        })
    );
    assert!(
        gone.unwrap_err()
            .to_string()
            .ends_with("pointer to free slot")
    );
    drop(root);
}

#[test]
fn an_ephemeron_is_a_way_to_its_value_once_its_key_is_reached() {
    let (heap, mut mutator) = heap();
    let (holder, key, value) = mutator.enter(|scope| {
        let (key, value) = (scope.alloc(node()), scope.alloc(node()));
        let holder = scope.alloc(Node {
            ephemeron: Some(scope.ephemeron(key, value)),
            ..node()
        });
        (scope.root(holder), scope.root(key), at(&heap, value))
    });
    let path = heap.retention_path(value).unwrap().unwrap();
    assert_eq!(fields(&path), ["Node.ephemeron", "-"]);
    drop(key);
    assert_eq!(heap.retention_path(value).unwrap(), None, "the key is dead");
    drop(holder);
}

#[test]
fn a_value_stack_is_an_origin_and_a_shape_tells_its_word() {
    use gc_core::raw;
    let (heap, mut mutator) = heap();
    let shape = heap.register_shape("pair", 2, &[0, 1]).unwrap();
    let stack = mutator.stack(4);
    let leaf = mutator.enter(|scope| {
        stack.push_frame(1).unwrap();
        let pair = scope.alloc_shape(shape).unwrap();
        let leaf = scope.alloc(node());
        // SAFETY: both are live objects of this heap, and word 1 is a pointer word.
        unsafe { raw::set_word(scope, pair, 1, Some(leaf.into_raw())) };
        // SAFETY: a live object of this heap, and the slot is written for the first time.
        unsafe { stack.init(0, Some(pair)) }.unwrap();
        let path = scope.retention_path(leaf).unwrap().unwrap();
        assert_eq!(path.origin, Origin::Stack, "a stack of the one who asks");
        at(&heap, leaf)
    });
    let path = heap.retention_path(leaf).unwrap().unwrap();
    assert_eq!(path.origin, Origin::Stack);
    assert_eq!(
        (path.steps[0].field, path.steps[0].word),
        (Some("pair"), Some(1))
    );
    assert!(path.to_string().starts_with("stack\n"), "{path}");
}

#[test]
fn a_long_chain_is_told_by_its_ends() {
    const LENGTH: usize = 50_000;
    let (heap, mut mutator) = heap();
    let (root, leaf) = mutator.enter(|scope| {
        let leaf = scope.alloc(node());
        let mut head = leaf;
        for _ in 1..LENGTH {
            head = scope.alloc(Node {
                left: Edge::to(head),
                ..node()
            });
        }
        (scope.root(head), at(&heap, leaf))
    });
    let path = heap.retention_path(leaf).unwrap().unwrap();
    assert_eq!((path.steps.len(), path.steps_left_out), (64, LENGTH - 64));
    assert_eq!(Address::Offset(path.steps[63].offset), leaf);
    assert!(path.to_string().contains("\n  (49936 more)\n"));
    drop(root);
}

#[test]
fn asking_changes_nothing_in_any_phase() {
    let heap = builder().checks(CheckLevel::Paranoid).build().unwrap();
    let mut mutator = heap.mutator();
    let (root, leaf) = mutator.enter(|scope| {
        let leaf = scope.alloc(node());
        for _ in 0..1000 {
            scope.alloc(node());
        }
        let root = scope.alloc(node());
        root.left.set(scope, leaf);
        (scope.root(root), at(&heap, leaf))
    });
    let path = heap.retention_path(leaf).unwrap();
    heap.request_collect();
    let mut phases = vec![heap.phase()];
    loop {
        let step = heap.step(1).unwrap();
        if phases.last() != Some(&step.phase) {
            phases.push(step.phase);
        }
        assert_eq!(
            heap.retention_path(leaf).unwrap(),
            path,
            "in {}",
            step.phase
        );
        if let Some(finished) = step.finished {
            assert_eq!(finished.objects_marked, 2);
            break;
        }
    }
    assert!(
        phases.contains(&Phase::Mark) && phases.contains(&Phase::Sweep),
        "{phases:?}"
    );
    assert!(heap.verify().unwrap().is_clean());
    drop(root);
}

#[test]
fn nobody_is_waited_for_who_cannot_come() {
    let (heap, mut mutator) = heap();
    let (root, leaf): (Root<Node<'static>>, _) = mutator.enter(|scope| {
        let leaf = scope.alloc(node());
        assert_eq!(
            heap.retention_path(at(&heap, leaf)),
            Err(CollectError::WouldDeadlock.into())
        );
        (scope.root(leaf), at(&heap, leaf))
    });
    std::thread::scope(|threads| {
        mutator.enter(|scope| {
            let inside = scope.get(&root).unwrap();
            let other = threads.spawn(|| {
                heap.mutator().enter(|scope| {
                    let own = scope.alloc(node());
                    scope.retention_path(own)
                })
            });
            assert_eq!(
                other.join().unwrap(),
                Err(CollectError::MutatorsInside.into())
            );
            assert!(inside.left.is_none());
        });
    });
    assert_eq!(heap.retention_path(leaf).unwrap().unwrap().steps.len(), 1);
    for outside in [Address::Raw(16), Address::Offset(1 << 40)] {
        let refused = heap.retention_path(outside);
        assert!(
            matches!(refused, Err(RetentionError::NoObject { .. })),
            "{refused:?}"
        );
    }
}
