//! Dominators against a naive search, retained bytes on graphs drawn by hand, and files that are wrong.

use proptest::prelude::*;

use super::*;
use crate::snapshot::read::parse;

/// A snapshot of nodes with such names, each with a kilobyte more than the one before, and such edges.
fn graph(names: &[&str], edges: &[(usize, usize)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (number, name) in names.iter().enumerate() {
        let string = snapshot.strings.iter().position(|known| known == name);
        let string = string.unwrap_or_else(|| {
            snapshot.strings.push((*name).to_string());
            snapshot.strings.len() - 1
        });
        snapshot.nodes.push(Node {
            name: string as u32,
            is_synthetic: number == 0,
            id: 2 * number as u64 + 1,
            self_bytes: if number == 0 { 0 } else { 1 << number },
            first_edge: snapshot.edges.len(),
        });
        let own = edges.iter().filter(|(from, _)| *from == number);
        snapshot.edges.extend(own.map(|&(_, to)| Edge {
            label: Label::Item(to as u64),
            is_weak: false,
            to,
        }));
    }
    snapshot
}

/// Nodes that ways lead to from the root which do not pass through `without`.
fn reached(snapshot: &Snapshot, without: Option<usize>) -> Vec<bool> {
    let mut reached = vec![false; snapshot.nodes.len()];
    let mut stack = vec![0];
    while let Some(at) = stack.pop() {
        if Some(at) != without && !std::mem::replace(&mut reached[at], true) {
            stack.extend(snapshot.kept_by(at));
        }
    }
    reached
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dominators_are_those_of_a_naive_search(
        nodes in 1_usize..12,
        edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..40),
    ) {
        let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from.max(to) < &nodes).collect();
        let snapshot = graph(&vec!["T"; nodes], &edges);
        let dominators = Dominators::of(&snapshot);
        let all = reached(&snapshot, None);
        // `lost[n]`: what no way leads to any more once `n` is gone, `n` itself included.
        let lost: Vec<Vec<bool>> = (0..nodes)
            .map(|gone| {
                let left = reached(&snapshot, Some(gone));
                (0..nodes).map(|node| all[node] && !left[node]).collect()
            })
            .collect();
        for node in 0..nodes {
            // The nearest one is dominated by all the others.
            let above = (0..nodes).filter(|&by| by != node && all[by] && lost[by][node]);
            let nearest = above.max_by_key(|&by| (0..nodes).filter(|&far| lost[far][by]).count());
            let nearest = nearest.filter(|_| all[node] && node != 0);
            prop_assert_eq!(dominators.immediate(node), nearest, "node {}", node);
            let retained = snapshot.nodes.iter().zip(&lost[node]).filter(|(_, lost)| **lost);
            let retained: u64 = retained.map(|(node, _)| node.self_bytes).sum();
            prop_assert_eq!(dominators.retained_bytes(node), retained, "node {}", node);
        }
    }
}

#[test]
fn what_is_held_twice_is_retained_by_neither() {
    // root -> a, b; both -> c -> d; a ring d -> c.
    let snapshot = graph(
        &["", "A", "B", "C", "D"],
        &[(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 3)],
    );
    let dominators = Dominators::of(&snapshot);
    let retained: Vec<u64> = (0..5).map(|node| dominators.retained_bytes(node)).collect();
    assert_eq!(retained, [30, 2, 4, 24, 16]);
    assert_eq!(dominators.immediate(3), Some(0));
    assert_eq!(dominators.immediate(4), Some(3));
}

#[test]
fn a_type_retains_each_byte_once() {
    // A list of three nodes that leads to a leaf, and a fourth node by itself.
    let names = ["", "Node", "Node", "Node", "Leaf", "Node"];
    let snapshot = graph(&names, &[(0, 1), (1, 2), (2, 3), (3, 4), (0, 5)]);
    let types = snapshot.types(&Dominators::of(&snapshot));
    let told: Vec<_> = types
        .iter()
        .map(|total| {
            (
                &*total.name,
                total.objects,
                total.self_bytes,
                total.retained_bytes,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Node", 4, 2 + 4 + 8 + 32, 2 + 4 + 8 + 16 + 32),
            ("Leaf", 1, 16, 16)
        ]
    );
}

#[test]
fn weak_edges_and_what_nothing_leads_to_retain_nothing() {
    let mut snapshot = graph(&["", "A", "B", "C"], &[(0, 1), (1, 2), (3, 2)]);
    snapshot.edges[1].is_weak = true;
    let dominators = Dominators::of(&snapshot);
    assert_eq!(
        (dominators.immediate(2), dominators.retained_bytes(2)),
        (None, 0)
    );
    assert_eq!(
        (dominators.retained_bytes(1), dominators.retained_bytes(3)),
        (2, 0)
    );
    assert_eq!(snapshot.path_to(2), None);
}

#[test]
fn the_shortest_way_is_told() {
    let snapshot = graph(
        &["", "A", "B", "C", "D"],
        &[(0, 1), (1, 2), (2, 3), (3, 4), (1, 3), (4, 1)],
    );
    let way = snapshot.path_to(4).unwrap();
    assert_eq!(
        way.iter().map(|edge| edge.to).collect::<Vec<_>>(),
        [1, 3, 4]
    );
    assert_eq!(snapshot.path_to(0), Some(Vec::new()));
}

#[test]
fn a_long_chain_needs_no_recursion() {
    let names = vec!["T"; 100_000];
    let mut snapshot = graph(&names[..2], &[(0, 1)]);
    for number in 2..names.len() {
        snapshot.edges.push(Edge {
            label: Label::Item(0),
            is_weak: false,
            to: number,
        });
        let first_edge = snapshot.edges.len();
        snapshot.nodes.push(Node {
            id: 2 * number as u64 + 1,
            self_bytes: 1,
            first_edge,
            ..snapshot.nodes[1]
        });
    }
    let dominators = Dominators::of(&snapshot);
    assert_eq!(dominators.retained_bytes(1), 2 + 99_998);
    assert_eq!(snapshot.path_to(99_999).unwrap().len(), 99_999);
}

#[test]
fn changes_are_counted_by_type_and_id() {
    let before = graph(&["", "A", "A", "B"], &[]);
    let mut after = graph(&["", "A", "A", "C", "A"], &[]);
    after.nodes[1].id = 101;
    let diff = Diff::of(&before, &after);
    let told: Vec<_> = diff
        .types
        .iter()
        .map(|(name, change)| {
            (
                &**name,
                change.added,
                change.removed,
                change.objects,
                change.bytes,
            )
        })
        .collect();
    assert_eq!(
        told,
        [("A", 2, 1, 1, 16), ("B", 0, 1, -1, -8), ("C", 1, 0, 1, 8)]
    );
    assert_eq!(Diff::of(&before, &before), Diff::default());
}

/// A sound file of two nodes, with one of its parts replaced.
fn parsed(from: &str, to: &str) -> Result<Snapshot, String> {
    let sound = r#"{"snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["object","synthetic"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],"edge_types":[["element","property"],"string_or_number","node"]},
        "node_count":2,"edge_count":1},"nodes":[1,0,1,0,1, 0,1,3,16,0],"edges":[1,1,5],"strings":["","Node"]}"#;
    assert!(sound.contains(from), "{from}");
    parse(sound.replace(from, to).as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(parsed("0", "0").unwrap().nodes.len(), 2);
    let cases = [
        (
            r#""node_count":2"#,
            r#""node_count":3"#,
            "nodes: 10 numbers, expected 3 entries of 5 fields",
        ),
        (
            r#""edge_count":1"#,
            r#""edge_count":2"#,
            "edges: 3 numbers, expected 2 entries of 3 fields",
        ),
        ("[1,1,5]", "[1,1,6]", "edge 0: no node begins at 6"),
        ("[1,1,5]", "[1,1,10]", "edge 0: no node begins at 10"),
        ("[1,1,5]", "[1,2,5]", "edge 0: there is no string 2"),
        ("[1,1,5]", "[7,1,5]", "edge 0: kind 7 of 2"),
        ("0,1,3,16,0", "0,9,3,16,0", "node 1: there is no string 9"),
        ("0,1,3,16,0", "9,1,3,16,0", "node 1: kind 9 of 2"),
        (
            "0,1,3,16,0",
            "0,1,3,16,1",
            "nodes: their edge counts come to 2, there are 1 edges",
        ),
        (
            r#""self_size""#,
            r#""size""#,
            "snapshot.meta.node_fields: there is no field \"self_size\"",
        ),
        (
            r#"["object","synthetic"]"#,
            r#""kind""#,
            "snapshot.meta.node_types: the kinds are no list of names",
        ),
    ];
    for (from, to, reason) in cases {
        assert_eq!(parsed(from, to).unwrap_err(), reason);
    }
    assert!(parsed("16", "-16").unwrap_err().contains("line 4 column"));
    assert!(
        parsed(r#""strings""#, r#""texts""#)
            .unwrap_err()
            .contains("missing field `strings`")
    );
}
