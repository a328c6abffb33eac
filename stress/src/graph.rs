//! Random graphs on the heap, each with an oracle outside of it: ids, content hashes and edges.
//!
//! A [`Hub`] leads to the nodes of one graph and to its watches: weak references and ephemerons on
//! some nodes. A [`Graph`] is what the oracle knows. Whoever owns the `Graph` may change the objects,
//! and a graph and its hub travel together, on a value stack or behind a root, from thread to thread.
//!
//! Invariants: objects and oracle say the same whenever no operation runs, also after one that the
//! heap refused for want of memory. Nodes that no edge leads to any more are not forgotten by the
//! oracle: while a watch still answers them, they must be whole, and may be linked in again. What a
//! watch answers once it never answered is wrong for good.

use std::sync::atomic::{AtomicBool, Ordering};

use gc_core::{AllocError, Edge, Ephemeron, Gc, Scope, Trace, Weak};

use crate::audit::Audit;
use crate::hash::content_hash;
use crate::rng::Rng;
use crate::session::Ids;

mod change;

/// Edges of a node.
const EDGES: usize = 3;
/// Nodes that a graph ever has; then it is complete.
const NODES_MAX: usize = 160;
/// Watches that a graph ever has.
const WATCHES_MAX: usize = 12;
/// One payload in so many is a large object.
const ONE_LARGE_IN: u64 = 128;

/// What leads to a whole graph.
#[derive(Trace)]
pub(crate) struct Hub<'gc> {
    id: u64,
    first: Edge<'gc, Node<'gc>>,
    /// The newest first.
    watches: Edge<'gc, Watch<'gc>>,
}

#[derive(Trace)]
pub(crate) struct Node<'gc> {
    id: u64,
    payload: Edge<'gc, [u8]>,
    edges: [Edge<'gc, Node<'gc>>; EDGES],
}

/// A weak reference and an ephemeron on one node.
#[derive(Trace)]
struct Watch<'gc> {
    id: u64,
    node: Weak<'gc, Node<'gc>>,
    pair: Ephemeron<'gc, Node<'gc>, Tag<'gc>>,
    next: Edge<'gc, Watch<'gc>>,
}

/// The value of an ephemeron. It leads back to the key, which must not keep the key alive.
#[derive(Trace)]
struct Tag<'gc> {
    id: u64,
    key: Gc<'gc, Node<'gc>>,
    text: Gc<'gc, [u8]>,
}

struct NodeRecord {
    id: u64,
    hash: u64,
    edges: [Option<usize>; EDGES],
}

struct WatchRecord {
    id: u64,
    node: usize,
    tag_hash: u64,
    /// It has answered nothing once. Set by whoever looks, also at a graph that many look at.
    is_gone: AtomicBool,
}

/// What the oracle knows of one graph.
pub(crate) struct Graph {
    id: u64,
    nodes: Vec<NodeRecord>,
    /// The oldest first. The first node is always linked.
    watches: Vec<WatchRecord>,
}

/// A node by the oracle's count, if the graph leads to it.
type Found<'gc> = Vec<Option<Gc<'gc, Node<'gc>>>>;

/// Bytes for a payload or a tag, mostly few.
fn bytes(rng: &mut Rng) -> Vec<u8> {
    let length = if rng.one_in(ONE_LARGE_IN) {
        rng.within(16 << 10..=128 << 10)
    } else {
        rng.within(0..=200)
    };
    let salt = rng.next_u64();
    (0..length)
        .map(|at| (salt.wrapping_mul(at | 1) >> 56) as u8)
        .collect()
}

fn is_node(node: Gc<'_, Node<'_>>, record: &NodeRecord) -> bool {
    let payload = node.payload.get();
    node.id == record.id && payload.is_some_and(|bytes| content_hash(&bytes) == record.hash)
}

/// A node that nothing leads to yet.
fn node<'gc>(
    scope: Scope<'gc>,
    rng: &mut Rng,
    ids: &mut Ids,
) -> Result<(Gc<'gc, Node<'gc>>, NodeRecord), AllocError> {
    let (id, bytes) = (ids.next(), bytes(rng));
    let record = NodeRecord {
        id,
        hash: content_hash(&bytes),
        edges: [None; EDGES],
    };
    let payload = Edge::to(scope.try_alloc_slice(bytes)?);
    let edges = [const { Edge::none() }; EDGES];
    let node = scope.try_alloc(Node { id, payload, edges })?;
    Ok((node, record))
}

/// A graph of a few nodes.
pub(crate) fn create<'gc>(
    scope: Scope<'gc>,
    rng: &mut Rng,
    ids: &mut Ids,
) -> Result<(Gc<'gc, Hub<'gc>>, Graph), AllocError> {
    let (first, record) = node(scope, rng, ids)?;
    let id = ids.next();
    let hub = scope.try_alloc(Hub {
        id,
        first: Edge::to(first),
        watches: Edge::none(),
    })?;
    let mut graph = Graph {
        id,
        nodes: vec![record],
        watches: Vec::new(),
    };
    for _ in 0..rng.below(24) {
        let found = graph.walk(hub, &mut Audit::default());
        graph.grow(scope, &found, rng, ids)?;
    }
    Ok((hub, graph))
}

impl Graph {
    /// What reports call it.
    pub(crate) fn name(&self) -> String {
        format!("graph {:#x} of {} nodes", self.id, self.nodes.len())
    }

    /// Whether it is time to begin another one.
    pub(crate) fn is_complete(&self) -> bool {
        self.nodes.len() >= NODES_MAX
    }

    /// Follows every edge that the oracle knows from the first node on, and compares: hub, ids, and
    /// whether two ways to a node end at one object.
    fn walk<'gc>(&self, hub: Gc<'gc, Hub<'gc>>, audit: &mut Audit) -> Found<'gc> {
        audit.book(hub.id == self.id);
        let mut found: Found<'gc> = vec![None; self.nodes.len()];
        let mut open = vec![(0, hub.first.get())];
        while let Some((at, node)) = open.pop() {
            let Some(node) = node else {
                audit.book_missing(1);
                continue;
            };
            if let Some(known) = found[at] {
                audit.book(Gc::ptr_eq(known, node));
                continue;
            }
            let record = &self.nodes[at];
            audit.book(node.id == record.id);
            found[at] = Some(node);
            for (edge, expected) in node.edges.iter().zip(record.edges) {
                match expected {
                    Some(expected) => open.push((expected, edge.get())),
                    None => audit.book(edge.is_none()),
                }
            }
        }
        found
    }

    /// Compares everything with what the oracle knows.
    pub(crate) fn audit<'gc>(&self, scope: Scope<'gc>, hub: Gc<'gc, Hub<'gc>>) -> Audit {
        let mut audit = Audit::default();
        let found = self.walk(hub, &mut audit);
        for (node, record) in found.iter().zip(&self.nodes) {
            if let Some(node) = node {
                audit.book(is_node(*node, record));
            }
        }
        let mut watch = hub.watches.get();
        for record in self.watches.iter().rev() {
            let Some(at) = watch else {
                audit.book_missing(1);
                break;
            };
            self.look(scope, at, record, &found, &mut audit);
            watch = at.next.get();
        }
        audit
    }

    /// What one watch answers, compared with what it may. Answers the node.
    fn look<'gc>(
        &self,
        scope: Scope<'gc>,
        watch: Gc<'gc, Watch<'gc>>,
        record: &WatchRecord,
        found: &Found<'gc>,
        audit: &mut Audit,
    ) -> Option<Gc<'gc, Node<'gc>>> {
        // Acquire pairs with the Release below: whoever sees it set asks after the one who set it.
        let was_gone = record.is_gone.load(Ordering::Acquire);
        let node = scope.upgrade(watch.node);
        let pair = scope.ephemeron_entry(watch.pair);
        let is_right = match (node, found[record.node]) {
            // A node that lives is there, and is the one.
            (Some(node), Some(linked)) => Gc::ptr_eq(node, linked) && !was_gone,
            (None, Some(_)) => false,
            (Some(node), None) => is_node(node, &self.nodes[record.node]) && !was_gone,
            (None, None) => true,
        };
        audit.book(watch.id == record.id && is_right);
        // Whoever holds the key finds the value; whoever finds no key finds no value.
        audit.book(match (node, pair) {
            (Some(node), Some((key, tag))) => {
                Gc::ptr_eq(node, key)
                    && Gc::ptr_eq(tag.key, key)
                    && tag.id == record.id
                    && content_hash(&tag.text) == record.tag_hash
            }
            (None, None) => true,
            _ => false,
        });
        if node.is_none() {
            // Release pairs with the Acquire above.
            record.is_gone.store(true, Ordering::Release);
        }
        node
    }
}

#[cfg(test)]
mod tests;
