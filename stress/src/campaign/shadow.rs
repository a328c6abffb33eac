//! What the heap of a case must hold: ids, contents and links in ordinary memory.
//!
//! The judging process changes one by the program of a case and compares it with what the child prints;
//! the child has one of its own, by which it finds its way and from which nothing is judged. Invariant:
//! two shadows that had the same operations are equal. Deliberately absent: addresses, and anything a
//! heap could write to.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::content_hash;

/// Root slots of a program.
pub(crate) const ROOTS: usize = 12;
/// Edges of a node.
pub(crate) const EDGES: usize = 3;
/// Weak references of a program.
pub(crate) const WATCHES: usize = 4;
/// Fewest and most bytes of a payload; one in [`ONE_LARGE_IN`] is a large object.
const PAYLOAD_BYTES: u64 = 160;
const ONE_LARGE_IN: u64 = 160;
const LARGE_BYTES: u64 = 40 << 10;

/// A node by the order of its birth.
pub(crate) type Index = usize;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    pub(crate) id: u64,
    payload_hash: u64,
    pub(crate) edges: [Option<Index>; EDGES],
    ticket: Option<u64>,
}

/// The way to a node: a root slot, and the edges to follow from there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Path {
    pub(crate) root: usize,
    pub(crate) steps: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shadow {
    nodes: Vec<Node>,
    roots: [Option<Index>; ROOTS],
    watches: [Option<Index>; WATCHES],
}

/// The bytes that a node's payload has, from its id and how often it was rewritten.
pub(crate) fn payload(id: u64, version: u64) -> Vec<u8> {
    let salt = content_hash(&(id ^ version.rotate_left(40)).to_le_bytes());
    let length = if salt.is_multiple_of(ONE_LARGE_IN) {
        LARGE_BYTES
    } else {
        (salt >> 20) % PAYLOAD_BYTES
    };
    (0..length)
        .map(|at| (salt.wrapping_mul(at | 1) >> 56) as u8)
        .collect()
}

/// What a checkpoint says of one object: its payload, whom it leads to, and its ticket, in one hash.
pub(crate) fn digest(payload_hash: u64, edges: [u64; EDGES], ticket: u64) -> u32 {
    let mut bytes = payload_hash.to_le_bytes().to_vec();
    for word in edges.into_iter().chain([ticket]) {
        bytes.extend(word.to_le_bytes());
    }
    let hash = content_hash(&bytes);
    (hash ^ (hash >> 32)) as u32
}

impl Shadow {
    /// A node that nothing leads to yet.
    pub(crate) fn add(&mut self, id: u64) -> Index {
        self.nodes.push(Node {
            id,
            payload_hash: content_hash(&payload(id, 0)),
            edges: [None; EDGES],
            ticket: None,
        });
        self.nodes.len() - 1
    }

    pub(crate) fn set_root(&mut self, root: usize, node: Option<Index>) {
        self.roots[root] = node;
    }

    pub(crate) fn set_edge(&mut self, holder: Index, edge: usize, node: Option<Index>) {
        self.nodes[holder].edges[edge] = node;
    }

    pub(crate) fn rewrite(&mut self, node: Index, version: u64) {
        let id = self.nodes[node].id;
        self.nodes[node].payload_hash = content_hash(&payload(id, version));
    }

    pub(crate) fn set_ticket(&mut self, node: Index, ticket: u64) {
        self.nodes[node].ticket = Some(ticket);
    }

    pub(crate) fn watch(&mut self, slot: usize, node: Index) {
        self.watches[slot] = Some(node);
    }

    /// Root slots in use.
    pub(crate) fn rooted(&self) -> Vec<usize> {
        (0..ROOTS)
            .filter(|root| self.roots[*root].is_some())
            .collect()
    }

    /// The node at the end of a way.
    pub(crate) fn at(&self, path: &Path) -> Option<Index> {
        let mut node = self.roots[path.root]?;
        for &edge in &path.steps {
            node = self.nodes[node].edges[edge]?;
        }
        Some(node)
    }

    pub(crate) fn node(&self, index: Index) -> &Node {
        &self.nodes[index]
    }

    /// Everything that roots lead to, by birth; no way through the node of the id `without`.
    fn reachable(&self, without: Option<u64>) -> Vec<bool> {
        let mut seen = vec![false; self.nodes.len()];
        let mut open: Vec<Index> = self.roots.iter().flatten().copied().collect();
        while let Some(node) = open.pop() {
            let is_passable = Some(self.nodes[node].id) != without;
            if is_passable && !std::mem::replace(&mut seen[node], true) {
                open.extend(self.nodes[node].edges.iter().flatten());
            }
        }
        seen
    }

    /// Id and digest of everything that a checkpoint must print.
    pub(crate) fn digests(&self) -> BTreeMap<u64, u32> {
        let nodes = self.nodes.iter().zip(self.reachable(None));
        nodes
            .filter(|(_, seen)| *seen)
            .map(|(node, _)| (node.id, self.digest_of(node)))
            .collect()
    }

    /// Ids that a node alone leads to, its own among them.
    pub(crate) fn behind(&self, id: u64) -> impl Iterator<Item = u64> {
        let (all, others) = (self.reachable(None), self.reachable(Some(id)));
        let nodes = self.nodes.iter().zip(all.into_iter().zip(others));
        nodes
            .filter(|(_, (is_live, is_live_without))| *is_live && !is_live_without)
            .map(|(node, _)| node.id)
    }

    fn digest_of(&self, node: &Node) -> u32 {
        let edges = node
            .edges
            .map(|edge| edge.map_or(0, |target| self.nodes[target].id));
        digest(node.payload_hash, edges, node.ticket.unwrap_or(0))
    }

    /// Whether there is a node of that id.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.nodes.iter().any(|node| node.id == id)
    }

    /// Whether a node leads to one of some ids by one edge: what is told of it then tells of them too.
    pub(crate) fn leads_to(&self, id: u64, ids: &BTreeSet<u64>) -> bool {
        let mut holders = self.nodes.iter().filter(|node| node.id == id);
        holders.any(|node| {
            let mut edges = node.edges.iter().flatten();
            edges.any(|target| ids.contains(&self.nodes[*target].id))
        })
    }

    /// For each weak reference, the id that it was made with and whether it must still answer it.
    pub(crate) fn watched(&self) -> [Option<(u64, bool)>; WATCHES] {
        let seen = self.reachable(None);
        self.watches
            .map(|node| node.map(|node| (self.nodes[node].id, seen[node])))
    }

    /// The tickets that hang on something reachable.
    pub(crate) fn live_tickets(&self) -> Vec<u64> {
        let seen = self.reachable(None);
        let nodes = self.nodes.iter().zip(seen).filter(|(_, seen)| *seen);
        nodes.filter_map(|(node, _)| node.ticket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Shadow {
        let mut shadow = Shadow::default();
        for id in 1..=3 {
            shadow.add(id);
        }
        shadow.set_root(0, Some(0));
        shadow.set_edge(0, 1, Some(1));
        shadow.set_edge(1, 1, Some(0));
        shadow
    }

    #[test]
    fn what_roots_lead_to_is_expected_and_nothing_else() {
        let mut shadow = chain();
        let ids = |shadow: &Shadow| shadow.digests().into_keys().collect::<Vec<_>>();
        assert_eq!(ids(&shadow), [1, 2]);
        shadow.set_root(5, Some(2));
        assert_eq!(ids(&shadow), [1, 2, 3]);
        shadow.set_edge(0, 1, None);
        assert_eq!(ids(&shadow), [1, 3]);
    }

    #[test]
    fn what_hangs_on_a_node_alone_is_behind_it() {
        let mut shadow = chain();
        let behind = |shadow: &Shadow, id| shadow.behind(id).collect::<Vec<_>>();
        assert_eq!(behind(&shadow, 1), [1, 2]);
        shadow.set_root(5, Some(1));
        assert_eq!(behind(&shadow, 1), [1]);
        shadow.set_edge(1, 1, None);
        assert_eq!(behind(&shadow, 1), [1]);
    }

    #[test]
    fn a_digest_changes_with_payload_links_and_ticket() {
        let mut shadow = chain();
        let digest = |shadow: &Shadow| shadow.digests()[&1];
        let mut seen = vec![digest(&shadow)];
        shadow.rewrite(0, 1);
        seen.push(digest(&shadow));
        shadow.set_edge(0, 0, Some(2));
        seen.push(digest(&shadow));
        shadow.set_ticket(0, 9);
        seen.push(digest(&shadow));
        seen.dedup();
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn a_watch_must_answer_what_is_reachable() {
        let mut shadow = chain();
        shadow.watch(0, 1);
        assert_eq!(shadow.watched()[0], Some((2, true)));
        shadow.set_root(0, None);
        assert_eq!(shadow.watched()[0], Some((2, false)));
        assert_eq!(shadow.watched()[1], None);
    }

    #[test]
    fn a_way_ends_where_its_edges_lead() {
        let shadow = chain();
        let path = |steps: &[usize]| Path {
            root: 0,
            steps: steps.to_vec(),
        };
        assert_eq!(shadow.at(&path(&[1])), Some(1));
        assert_eq!(shadow.at(&path(&[1, 1, 1])), Some(1));
        assert_eq!(shadow.at(&path(&[0])), None);
    }
}
