//! That graphs and their oracles agree whatever is changed and collected, and that the oracle
//! notices every kind of damage.

use gc_core::{Driver, Heap, Policy};

use super::*;

fn heap() -> Heap {
    Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .reserve_bytes(1 << 28)
        .build()
        .unwrap()
}

/// A graph after so many changes, with cycles in between, and its root.
fn grown(heap: &Heap, seed: u64, changes: u64) -> (gc_core::Root<Hub<'static>>, Graph) {
    let (mut rng, mut ids) = (Rng::for_purpose(seed, "test"), Ids::of_giver(seed));
    let mut mutator = heap.mutator();
    let (root, mut graph) = mutator.enter(|scope| {
        let (hub, graph) = create(scope, &mut rng, &mut ids).unwrap();
        (scope.root(hub), graph)
    });
    for _ in 0..changes {
        heap.request_collect();
        heap.step(rng.index(300)).unwrap();
        let seen = mutator.enter(|scope| {
            let hub = scope.get(&root).unwrap();
            let mut seen = graph.change(scope, hub, &mut rng, &mut ids).unwrap();
            seen += graph.audit(scope, hub);
            seen
        });
        assert_eq!(seen.damaged, 0, "seed {seed}, {}", graph.name());
    }
    (root, graph)
}

#[test]
fn a_graph_is_what_its_oracle_knows_whatever_is_changed() {
    let heap = heap();
    let (mut gone, mut watched) = (0, 0);
    for seed in 1..=8 {
        let (_root, graph) = grown(&heap, seed, 120);
        watched += graph.watches.len();
        gone += graph
            .watches
            .iter()
            .filter(|watch| watch.is_gone.load(Ordering::Relaxed))
            .count();
    }
    assert!(
        watched > 20 && gone > 0 && gone < watched,
        "{gone} of {watched}"
    );
    heap.collect().unwrap();
    assert!(heap.verify().unwrap().is_clean());
}

#[test]
fn the_oracle_notices_every_kind_of_damage() {
    let heap = heap();
    let (root, mut graph) = grown(&heap, 3, 120);
    let mut mutator = heap.mutator();
    let mut damaged = |graph: &Graph| {
        mutator.enter(|scope| graph.audit(scope, scope.get(&root).unwrap()).damaged)
    };
    assert_eq!(damaged(&graph), 0);
    graph.id ^= 1;
    assert_eq!(damaged(&graph), 1, "another hub");
    graph.id ^= 1;
    graph.nodes[0].hash ^= 1;
    assert_eq!(damaged(&graph), 1, "another payload");
    graph.nodes[0].hash ^= 1;
    graph.nodes[0].id ^= 1;
    assert!(damaged(&graph) >= 1, "another node");
    graph.nodes[0].id ^= 1;
    graph.watches[0].id ^= 1;
    assert!(damaged(&graph) >= 1, "another watch");
    graph.watches[0].id ^= 1;
    for edge in 0..EDGES {
        let before = graph.nodes[0].edges[edge];
        graph.nodes[0].edges[edge] = match before {
            Some(_) => None,
            None => Some(0),
        };
        assert!(damaged(&graph) >= 1, "edge {edge} leads elsewhere");
        graph.nodes[0].edges[edge] = before;
    }
    assert_eq!(damaged(&graph), 0);
}

#[test]
fn what_is_linked_must_be_answered_and_what_was_gone_must_stay_gone() {
    let heap = heap();
    let (mut rng, mut ids) = (Rng::for_purpose(5, "test"), Ids::of_giver(5));
    heap.mutator().enter(|scope| {
        let (hub, mut graph) = create(scope, &mut rng, &mut ids).unwrap();
        let found = graph.walk(hub, &mut Audit::default());
        graph.watch(scope, hub, &found, &mut rng, &mut ids).unwrap();
        assert_eq!(graph.audit(scope, hub).damaged, 0);
        graph.watches[0].is_gone.store(true, Ordering::Relaxed);
        assert_eq!(graph.audit(scope, hub).damaged, 1);
        graph.watches[0].is_gone.store(false, Ordering::Relaxed);
        graph.watches[0].tag_hash ^= 1;
        assert_eq!(graph.audit(scope, hub).damaged, 1);
        graph.watches[0].tag_hash ^= 1;
        hub.watches.set(scope, None);
        assert_eq!(graph.audit(scope, hub).damaged, 1, "a watch is missing");
    });
}
