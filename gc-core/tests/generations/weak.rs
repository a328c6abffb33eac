//! Weak references and ephemerons between the old and the young.

use gc_core::{Edge, Ephemeron, Gc, Mutator, Phase, Root, Scope, Trace, Weak};

use crate::scene::{Node, Scene, litter, node};
use crate::support::step_to;

#[derive(Trace)]
struct Watch<'gc> {
    weak: Weak<'gc, Node<'gc>>,
}

type Pair<'gc> = Ephemeron<'gc, Node<'gc>, Node<'gc>>;

/// Whoever holds it holds its pairs.
#[derive(Trace)]
struct Table<'gc> {
    pairs: Vec<Pair<'gc>>,
    next: Edge<'gc, Table<'gc>>,
}

fn watch(scope: Scope<'_>, target: u64) -> (Root<Watch<'static>>, Root<Node<'static>>) {
    let target = scope.alloc(node(target));
    let watch = scope.alloc(Watch {
        weak: scope.downgrade(target),
    });
    (scope.root(watch), scope.root(target))
}

fn target(mutator: &mut Mutator, watch: &Root<Watch<'static>>) -> Option<u64> {
    mutator.enter(|scope| {
        let weak = scope.get(watch).unwrap().weak;
        scope.upgrade(weak).map(|target| target.id)
    })
}

fn table<'gc>(scope: Scope<'gc>, pairs: Vec<Pair<'gc>>) -> Gc<'gc, Table<'gc>> {
    let next = Edge::none();
    scope.alloc(Table { pairs, next })
}

/// The numbers of keys and values of the table behind an old one.
fn entries(mutator: &mut Mutator, old: &Root<Table<'static>>) -> Vec<Option<(u64, u64)>> {
    mutator.enter(|scope| {
        let table = scope.get(old).unwrap().next.get().unwrap();
        let entries = table.pairs.iter().map(|pair| scope.ephemeron_entry(*pair));
        entries
            .map(|entry| entry.map(|(key, value)| (key.id, value.id)))
            .collect()
    })
}

/// A scene with an old table that has no pairs and leads to no other yet.
fn scene_with_table() -> (Scene, Root<Table<'static>>) {
    let mut scene = Scene::new();
    let old = (scene.mutator).enter(|scope| scope.root(table(scope, Vec::new())));
    scene.full();
    (scene, old)
}

#[test]
fn a_young_target_that_dies_leaves_its_reference_empty() {
    let mut scene = Scene::new();
    let (watch, target_root) = scene.mutator.enter(|scope| watch(scope, 7));
    drop(target_root);
    scene.young();
    assert_eq!(target(&mut scene.mutator, &watch), None);
    // Slots of the dead are handed out again; the reference must not see who comes after.
    scene.mutator.enter(|scope| litter(scope, 1000));
    assert_eq!(target(&mut scene.mutator, &watch), None);
    scene.young();
    assert_eq!(target(&mut scene.mutator, &watch), None);
    scene.assert_sound();
}

#[test]
fn an_old_target_is_found_by_young_references_until_a_full_cycle() {
    let mut scene = Scene::new();
    let (first, target_root) = scene.mutator.enter(|scope| watch(scope, 7));
    scene.young();
    let second = scene.mutator.enter(|scope| {
        let weak = scope.downgrade(scope.get(&target_root).unwrap());
        scope.root(scope.alloc(Watch { weak }))
    });
    scene.young();
    drop(target_root);
    for _ in 0..3 {
        scene.young();
        for watch in [&first, &second] {
            assert_eq!(target(&mut scene.mutator, watch), Some(7), "it is old");
        }
    }
    scene.full();
    for watch in [&first, &second] {
        assert_eq!(target(&mut scene.mutator, watch), None);
    }
    scene.young();
    scene.assert_sound();
}

/// A mutator that has taken its snapshot makes a target and a reference to it, and one that has not stores what
/// holds the reference: so the cell is marked in this cycle, and the target is newborn in the next.
#[test]
fn an_old_cell_loses_a_target_that_is_younger() {
    for is_held in [false, true] {
        let mut scene = Scene::new();
        let old = scene.mutator.enter(|scope| {
            let inert = scope.alloc(node(1));
            let weak = scope.downgrade(inert);
            scope.root(scope.alloc(Holder {
                watch: Edge::none(),
                _weak: weak,
            }))
        });
        scene.full();
        let mut black = scene.heap.mutator();
        let mut roots = Vec::new();
        let (heap, grey) = (&scene.heap, &mut scene.mutator);
        grey.enter(|scope| {
            heap.request_collect_young();
            for _ in 0..100 {
                scope.poll();
                heap.step(100).unwrap();
            }
            assert_eq!(heap.phase(), Phase::Snapshot, "this mutator is waited for");
            let (watch, target) = black.enter(|scope| watch(scope, 7));
            scope
                .get(&old)
                .unwrap()
                .watch
                .set(scope, scope.get(&watch).unwrap());
            roots.push(target);
        });
        scene.finish();
        if !is_held {
            roots.clear();
        }
        scene.young();
        let found = scene.mutator.enter(|scope| {
            let watch = scope.get(&old).unwrap().watch.get().unwrap();
            scope.upgrade(watch.weak).map(|target| target.id)
        });
        assert_eq!(found, is_held.then_some(7));
        drop(black);
        scene.assert_sound();
    }
}

#[derive(Trace)]
struct Holder<'gc> {
    watch: Edge<'gc, Watch<'gc>>,
    _weak: Weak<'gc, Node<'gc>>,
}

#[test]
fn an_old_key_keeps_a_young_value() {
    let (mut scene, old) = scene_with_table();
    let key = scene
        .mutator
        .enter(|scope| scope.root(scope.alloc(node(1))));
    scene.young();
    scene.mutator.enter(|scope| {
        let value = scope.alloc(node(2));
        let pair = scope.ephemeron(scope.get(&key).unwrap(), value);
        scope
            .get(&old)
            .unwrap()
            .next
            .set(scope, table(scope, vec![pair]));
    });
    for _ in 0..3 {
        scene.young();
        assert_eq!(entries(&mut scene.mutator, &old), [Some((1, 2))]);
    }
    drop(key);
    scene.young();
    assert_eq!(
        entries(&mut scene.mutator, &old),
        [Some((1, 2))],
        "it is old"
    );
    scene.full();
    assert_eq!(entries(&mut scene.mutator, &old), [None]);
    scene.assert_sound();
}

#[test]
fn a_young_key_that_dies_takes_its_value_along() {
    let (mut scene, old) = scene_with_table();
    let (value, key) = scene.mutator.enter(|scope| {
        let [a, b, value, other] = core::array::from_fn(|id| scope.alloc(node(id as u64)));
        // One that leads back to its key, which must not keep it.
        value.next.set(scope, scope.alloc(node(9)));
        let pairs = vec![scope.ephemeron(a, value), scope.ephemeron(b, other)];
        scope
            .get(&old)
            .unwrap()
            .next
            .set(scope, table(scope, pairs));
        (value.address(), scope.root(b))
    });
    scene.young();
    assert_eq!(entries(&mut scene.mutator, &old), [None, Some((1, 3))]);
    assert!(!scene.is_object(value));
    drop(key);
    scene.full();
    assert_eq!(entries(&mut scene.mutator, &old), [None, None]);
    scene.assert_sound();
}

#[test]
fn chains_of_values_that_are_keys_are_followed_from_the_old_to_the_young() {
    const LINKS: u64 = 40;
    let (mut scene, old) = scene_with_table();
    let first = scene
        .mutator
        .enter(|scope| scope.root(scope.alloc(node(0))));
    scene.young();
    let dead = scene.mutator.enter(|scope| {
        let mut key = scope.get(&first).unwrap();
        let mut pairs = Vec::new();
        for id in 1..=LINKS {
            let value = scope.alloc(node(id));
            pairs.push(scope.ephemeron(key, value));
            key = value;
        }
        // In an order in which a pass over the cells finds one link at the most.
        pairs.reverse();
        // And a chain that nothing leads into.
        let (lost, value) = (scope.alloc(node(100)), scope.alloc(node(101)));
        pairs.push(scope.ephemeron(lost, value));
        scope
            .get(&old)
            .unwrap()
            .next
            .set(scope, table(scope, pairs));
        value.address()
    });
    let links = |from: u64| {
        (1..=LINKS)
            .rev()
            .map(move |id| (id > from).then_some((id - 1, id)))
    };
    for _ in 0..2 {
        scene.young();
        let expected: Vec<_> = links(0).chain([None]).collect();
        assert_eq!(entries(&mut scene.mutator, &old), expected);
        assert!(!scene.is_object(dead));
    }
    drop(first);
    scene.full();
    assert!(
        entries(&mut scene.mutator, &old)
            .iter()
            .all(Option::is_none)
    );
    scene.assert_sound();
}

#[test]
fn an_upgrade_in_each_phase_of_a_young_cycle_keeps_what_it_gives_out() {
    for phase in [
        Phase::Arm,
        Phase::Settle,
        Phase::Snapshot,
        Phase::Mark,
        Phase::Clear,
        Phase::Sweep,
    ] {
        let mut scene = Scene::new();
        let (watch, target_root) = scene.mutator.enter(|scope| watch(scope, 7));
        drop(target_root);
        scene.heap.request_collect_young();
        step_to(&scene.heap, phase);
        let found = scene.with_old(|scope, old| {
            let found = scope.upgrade(scope.get(&watch).unwrap().weak);
            old.next.set(scope, found);
            found.map(|found| found.id)
        });
        assert!(
            found.is_some() || matches!(phase, Phase::Clear | Phase::Sweep),
            "{phase}"
        );
        scene.finish();
        assert_eq!(target(&mut scene.mutator, &watch), found);
        assert_eq!(scene.behind_old(), found.into_iter().collect::<Vec<_>>());
        scene.young();
        assert_eq!(scene.behind_old(), found.into_iter().collect::<Vec<_>>());
        scene.assert_sound();
    }
}
