//! Heap snapshots that were written to a file: who holds how much, and why something is alive.
//!
//! Reads `.heapsnapshot` files by what they say of their own fields, so those of other programs too.
//! Works on plain data, on one thread. Invariants: an edge leads to a node; node 0 is the root; edges
//! that are weak keep nothing alive. Deliberately absent: taking snapshots, which is `gc-core`'s.

use std::collections::HashMap;

mod diff;
mod dominators;
mod read;
mod report;

pub use diff::Diff;
pub use dominators::Dominators;
pub use read::{Malformed, read};
pub use report::{Told, write_human, write_json};

/// A node: an object, or one that stands for a kind of roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// Index of its name in [`Snapshot::strings`]: its type.
    pub name: u32,
    /// Whether it stands for no object.
    pub is_synthetic: bool,
    /// What identifies it in several snapshots of one heap.
    pub id: u64,
    /// Its own bytes.
    pub self_bytes: u64,
    /// Index of its first edge.
    pub first_edge: usize,
}

/// What an edge is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    /// By an index into [`Snapshot::strings`].
    Name(u32),
    /// By a number.
    Item(u64),
}

/// An edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Its name.
    pub label: Label,
    /// Whether it keeps nothing alive.
    pub is_weak: bool,
    /// The node it leads to.
    pub to: usize,
}

/// A snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The root first.
    pub nodes: Vec<Node>,
    /// Those of the first node first.
    pub edges: Vec<Edge>,
    /// Names of types and fields.
    pub strings: Vec<String>,
}

/// What the objects of one type come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeTotal {
    /// The type.
    pub name: String,
    /// Objects.
    pub objects: u64,
    /// Their own bytes.
    pub self_bytes: u64,
    /// Bytes that would be freed with all of them.
    pub retained_bytes: u64,
}

impl Snapshot {
    /// The edges of a node.
    pub fn edges_of(&self, node: usize) -> &[Edge] {
        let next = self.nodes.get(node + 1);
        let end = next.map_or(self.edges.len(), |next| next.first_edge);
        &self.edges[self.nodes[node].first_edge..end]
    }

    /// The nodes that a node keeps alive by itself.
    pub fn kept_by(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let strong = self.edges_of(node).iter().filter(|edge| !edge.is_weak);
        strong.map(|edge| edge.to)
    }

    /// The name of a node: its type.
    pub fn name_of(&self, node: usize) -> &str {
        &self.strings[self.nodes[node].name as usize]
    }

    /// Objects, without what stands for none.
    pub fn objects(&self) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| !node.is_synthetic)
    }

    /// The number of the node with an id.
    pub fn node_of(&self, id: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// Counts and bytes by type, the most retained bytes first.
    pub fn types(&self, dominators: &Dominators) -> Vec<TypeTotal> {
        let mut by_name: HashMap<u32, TypeTotal> = HashMap::new();
        for (number, node) in self.objects() {
            let total = by_name.entry(node.name).or_default();
            total.objects += 1;
            total.self_bytes += node.self_bytes;
            // What stands below an object of its own type is counted there.
            if dominators.is_first_of_its_name(number) {
                total.retained_bytes += dominators.retained_bytes(number);
            }
        }
        let named = by_name.into_iter().map(|(name, total)| TypeTotal {
            name: self.strings[name as usize].clone(),
            ..total
        });
        let mut types: Vec<TypeTotal> = named.collect();
        types.sort_by(|one, other| {
            let key = |total: &TypeTotal| (total.retained_bytes, total.self_bytes);
            key(other)
                .cmp(&key(one))
                .then_with(|| one.name.cmp(&other.name))
        });
        types
    }

    /// The shortest way from the root to a node over edges that keep alive: each edge with the node it
    /// leads to. `None` when nothing leads there.
    pub fn path_to(&self, node: usize) -> Option<Vec<Edge>> {
        let mut reached_by: Vec<Option<(usize, Edge)>> = vec![None; self.nodes.len()];
        let mut queue = std::collections::VecDeque::from([0]);
        while let Some(at) = queue.pop_front() {
            if at == node {
                break;
            }
            for edge in self.edges_of(at).iter().filter(|edge| !edge.is_weak) {
                if edge.to != 0 && reached_by[edge.to].is_none() {
                    reached_by[edge.to] = Some((at, *edge));
                    queue.push_back(edge.to);
                }
            }
        }
        let mut path = Vec::new();
        let mut at = node;
        while at != 0 {
            let (from, edge) = reached_by[at]?;
            path.push(edge);
            at = from;
        }
        path.reverse();
        Some(path)
    }

    /// How an edge is told: `.name` or `[number]`.
    pub fn label_of(&self, edge: &Edge) -> String {
        match edge.label {
            Label::Name(name) => format!(".{}", self.strings[name as usize]),
            Label::Item(item) => format!("[{item}]"),
        }
    }
}

#[cfg(test)]
mod tests;
