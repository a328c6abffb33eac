//! A strict reader of `.heapsnapshot` files, by what they say of themselves.

use std::collections::BTreeMap;

use gc_core::Heap;
use gc_core::SnapshotSummary;
use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) id: u64,
    pub(crate) self_size: u64,
    /// Kind, name or number, and the node it leads to.
    pub(crate) edges: Vec<(String, String, usize)>,
}

pub(crate) struct Snapshot {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: usize,
}

/// Nodes that stand for no object.
pub(crate) const SYNTHETIC: usize = 6;

/// Takes a snapshot and reads it.
pub(crate) fn of(heap: &Heap) -> (SnapshotSummary, Snapshot) {
    let mut file = Vec::new();
    let summary = heap.snapshot(&mut file).unwrap();
    let snapshot = read(&file);
    assert_eq!(
        snapshot.nodes.len() as u64,
        summary.objects + SYNTHETIC as u64
    );
    assert_eq!(
        snapshot
            .nodes
            .iter()
            .map(|node| node.self_size)
            .sum::<u64>(),
        summary.bytes
    );
    (summary, snapshot)
}

fn numbers(value: &Value) -> Vec<u64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_u64().unwrap())
        .collect()
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_string())
        .collect()
}

/// Panics at whatever is not as the format wants it.
pub(crate) fn read(file: &[u8]) -> Snapshot {
    let file: Value = serde_json::from_slice(file).expect("JSON");
    let (head, meta) = (&file["snapshot"], &file["snapshot"]["meta"]);
    let (fields, edge_fields) = (texts(&meta["node_fields"]), texts(&meta["edge_fields"]));
    assert_eq!(meta["node_types"].as_array().unwrap().len(), fields.len());
    assert_eq!(edge_fields, ["type", "name_or_index", "to_node"]);
    let (kinds, edge_kinds) = (texts(&meta["node_types"][0]), texts(&meta["edge_types"][0]));
    let (nodes, edges, strings) = (
        numbers(&file["nodes"]),
        numbers(&file["edges"]),
        texts(&file["strings"]),
    );
    assert_eq!(
        nodes.len() as u64,
        head["node_count"].as_u64().unwrap() * fields.len() as u64
    );
    assert_eq!(edges.len() as u64, head["edge_count"].as_u64().unwrap() * 3);
    let place = |name: &str| fields.iter().position(|field| field == name).unwrap();
    let mut edges_left = edges.chunks(3);
    let mut snapshot = Snapshot {
        nodes: Vec::new(),
        edges: edges.len() / 3,
    };
    let mut ids = std::collections::BTreeSet::new();
    for node in nodes.chunks(fields.len()) {
        let id = node[place("id")];
        assert!(id % 2 == 1 && ids.insert(id), "id {id}");
        let edges = edges_left
            .by_ref()
            .take(node[place("edge_count")] as usize)
            .map(|edge| {
                let kind = &edge_kinds[edge[0] as usize];
                let label = match &**kind {
                    "element" | "hidden" => edge[1].to_string(),
                    _ => strings[edge[1] as usize].clone(),
                };
                assert_eq!(edge[2] % fields.len() as u64, 0);
                let to = (edge[2] / fields.len() as u64) as usize;
                assert!(to < nodes.len() / fields.len());
                (kind.clone(), label, to)
            });
        snapshot.nodes.push(Node {
            kind: kinds[node[place("type")] as usize].clone(),
            name: strings[node[place("name")] as usize].clone(),
            id,
            self_size: node[place("self_size")],
            edges: edges.collect(),
        });
    }
    assert!(edges_left.next().is_none(), "edges of no node");
    snapshot
}

impl Snapshot {
    /// The synthetic node of that name below the root.
    pub(crate) fn roots(&self, name: &str) -> &Node {
        let found = self.nodes[0]
            .edges
            .iter()
            .find(|edge| self.nodes[edge.2].name == name);
        &self.nodes[found.unwrap_or_else(|| panic!("no {name}")).2]
    }

    /// Where an edge of that name leads to.
    pub(crate) fn follow(&self, from: &Node, label: &str) -> &Node {
        let found: Vec<_> = from.edges.iter().filter(|edge| edge.1 == label).collect();
        assert_eq!(found.len(), 1, "{label} of {from:?}");
        &self.nodes[found[0].2]
    }

    pub(crate) fn kinds_of_edges(&self, node: &Node) -> BTreeMap<String, String> {
        node.edges
            .iter()
            .map(|edge| (edge.1.clone(), edge.0.clone()))
            .collect()
    }

    /// Objects that edges lead to which keep alive what they lead to.
    pub(crate) fn reached(&self) -> usize {
        let mut reached = vec![false; self.nodes.len()];
        let mut stack = vec![0];
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                let strong = self.nodes[at].edges.iter().filter(|edge| edge.0 != "weak");
                stack.extend(strong.map(|edge| edge.2));
            }
        }
        reached
            .iter()
            .skip(SYNTHETIC)
            .filter(|reached| **reached)
            .count()
    }

    pub(crate) fn count_of(&self, name: &str) -> usize {
        self.nodes
            .iter()
            .filter(|node| node.name.contains(name))
            .count()
    }
}
