//! The objects of the churn: nodes that say of themselves whether they are whole, and the graph of one
//! thread next to a model of it in plain maps.

use std::collections::{BTreeMap, HashSet};

use gc_core::{Edge, Gc, Root, Scope, Trace};

use crate::support::{Counted, Rng, Tally, mix};

/// Edges of a node.
pub(crate) const EDGES: usize = 2;
/// Words of a payload that takes a span of its own: more than 32 KiB.
const LARGE_WORDS: usize = 5000;
/// Roots one thread keeps.
const ROOTS: usize = 24;

#[derive(Trace)]
pub(crate) struct Node<'gc> {
    pub(crate) id: u64,
    seal: u64,
    payload: Payload<'gc>,
    pub(crate) edges: [Edge<'gc, Node<'gc>>; EDGES],
}

/// Which kind a node has, and what is in it, follows from its id.
#[derive(Trace)]
enum Payload<'gc> {
    None,
    Words(Gc<'gc, [u64]>),
    Text(Gc<'gc, str>),
    Counted(Gc<'gc, Counted>),
}

fn words_of(id: u64) -> usize {
    if id % 128 == 1 {
        LARGE_WORDS
    } else {
        (mix(id) % 40) as usize
    }
}

fn text_of(id: u64) -> String {
    format!("the text of node number {id}")
}

impl<'gc> Node<'gc> {
    pub(crate) fn alloc(
        scope: Scope<'gc>,
        id: u64,
        to: [Option<Gc<'gc, Node<'gc>>>; EDGES],
        tally: &Tally,
    ) -> Gc<'gc, Node<'gc>> {
        let payload = match id % 4 {
            0 => Payload::None,
            1 => Payload::Words(
                scope.alloc_slice((0..words_of(id) as u64).map(|at| mix(id ^ at << 32))),
            ),
            2 => Payload::Text(scope.alloc_str(&text_of(id))),
            _ => Payload::Counted(scope.alloc(tally.counted(id))),
        };
        scope.alloc(Node {
            id,
            seal: mix(id),
            payload,
            edges: to.map(Edge::from),
        })
    }

    /// Fails unless everything that follows from the id is as it was made.
    pub(crate) fn assert_whole(&self) {
        let id = self.id;
        assert_eq!(self.seal, mix(id), "node {id} was damaged");
        match &self.payload {
            Payload::None => assert_eq!(id % 4, 0),
            Payload::Words(words) => {
                assert_eq!((id % 4, words.len()), (1, words_of(id)));
                // The ends and some in between: in a build without optimisation all of a large
                // payload would take most of the test's time.
                let step = (words.len() / 16).max(1);
                for (at, word) in words.iter().enumerate().step_by(step) {
                    assert_eq!(*word, mix(id ^ (at as u64) << 32), "word {at} of node {id}");
                }
            }
            Payload::Text(text) => assert_eq!((id % 4, &**text), (2, text_of(id).as_str())),
            Payload::Counted(counted) => assert_eq!((id % 4, counted.id), (3, id)),
        }
    }

    fn is_counted(&self) -> bool {
        matches!(self.payload, Payload::Counted(_))
    }
}

/// Counted objects that the given nodes lead to; every node on the way is looked at.
pub(crate) fn counted_within<'gc>(starts: impl IntoIterator<Item = Gc<'gc, Node<'gc>>>) -> u64 {
    let (mut seen, mut counted) = (HashSet::new(), 0);
    let mut stack: Vec<_> = starts.into_iter().collect();
    while let Some(node) = stack.pop() {
        if seen.insert(node.address()) {
            node.assert_whole();
            counted += u64::from(node.is_counted());
            stack.extend(node.as_ref().edges.iter().filter_map(Edge::get));
        }
    }
    counted
}

/// What one thread alone stores into: its roots, and what is known of all that it ever made.
pub(crate) struct Graph {
    /// Each with the id of its node.
    pub(crate) roots: Vec<(Root<Node<'static>>, u64)>,
    model: BTreeMap<u64, [Option<u64>; EDGES]>,
    next_id: u64,
    tally: Tally,
}

impl Graph {
    /// The ids of two graphs with different tags differ.
    pub(crate) fn new(tag: u64, tally: Tally) -> Self {
        Graph {
            roots: Vec::new(),
            model: BTreeMap::new(),
            next_id: tag << 40,
            tally,
        }
    }

    /// An id for a node that is none of the graph.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// One operation, any of them.
    pub(crate) fn step(&mut self, scope: Scope<'_>, rng: &mut Rng) {
        match rng.below(8) {
            0..=2 => self.add(scope, rng),
            3 | 4 => self.store(scope, rng),
            5 if self.roots.len() > ROOTS / 2 => {
                let at = rng.below(self.roots.len());
                drop(self.roots.swap_remove(at));
            }
            _ => {
                self.walk(scope, rng);
            }
        }
    }

    /// A new node with edges to what random walks end at, rooted in the place of another.
    fn add(&mut self, scope: Scope<'_>, rng: &mut Rng) {
        let to = [(); EDGES].map(|()| self.walk(scope, rng).filter(|_| !rng.once_in(3)));
        let id = self.fresh_id();
        let node = Node::alloc(scope, id, to, &self.tally);
        self.model.insert(id, to.map(|to| to.map(|node| node.id)));
        let root = (scope.root(node), id);
        if self.roots.len() < ROOTS {
            self.roots.push(root);
        } else {
            let at = rng.below(self.roots.len());
            self.roots[at] = root;
        }
    }

    /// Changes an edge of the node at the end of a random walk.
    fn store(&mut self, scope: Scope<'_>, rng: &mut Rng) {
        let (Some(holder), to) = (self.walk(scope, rng), self.walk(scope, rng)) else {
            return;
        };
        let (at, to) = (rng.below(EDGES), to.filter(|_| !rng.once_in(4)));
        let known = self.model.get_mut(&holder.id).unwrap();
        if rng.once_in(2) {
            holder.edges[at].set(scope, to);
        } else {
            let old = holder.edges[at].swap(scope, to);
            assert_eq!(old.map(|node| node.id), known[at]);
        }
        known[at] = to.map(|node| node.id);
    }

    /// Follows random edges from a random root, and compares every node on the way with the model.
    fn walk<'gc>(&self, scope: Scope<'gc>, rng: &mut Rng) -> Option<Gc<'gc, Node<'gc>>> {
        let (root, id) = rng.pick(&self.roots)?;
        let mut at = scope.get(root).unwrap();
        assert_eq!(at.id, *id);
        for _ in 0..rng.below(6) {
            self.assert_as_known(at);
            match at.edges[rng.below(EDGES)].get() {
                Some(next) => at = next,
                None => break,
            }
        }
        at.assert_whole();
        Some(at)
    }

    fn assert_as_known<'gc>(&self, node: Gc<'gc, Node<'gc>>) {
        node.assert_whole();
        let edges = node
            .as_ref()
            .edges
            .each_ref()
            .map(|edge| edge.get().map(|to| to.id));
        assert_eq!(Some(&edges), self.model.get(&node.id), "node {}", node.id);
    }

    /// Compares all that the roots lead to with the model.
    pub(crate) fn assert_all(&self, scope: Scope<'_>) {
        let mut seen = HashSet::new();
        let roots = self.roots.iter();
        let mut stack: Vec<_> = roots.map(|(root, _)| scope.get(root).unwrap()).collect();
        while let Some(node) = stack.pop() {
            if seen.insert(node.address()) {
                self.assert_as_known(node);
                stack.extend(node.as_ref().edges.iter().filter_map(Edge::get));
            }
        }
    }
}
