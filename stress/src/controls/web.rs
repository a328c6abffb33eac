//! The graph of the controls: nodes with edges to any others, and a number that may look like a
//! pointer and is none.

use std::cell::Cell;

use gc_core::{AllocError, Edge, Mutator, Root, Scope, Trace};

use crate::error::Error;
use crate::rng::Rng;

/// Nodes that are made in one `enter`.
const PIECE: usize = 1 << 10;
/// Bytes that a node takes, with the edge that holds it.
pub(super) const NODE_BYTES: usize =
    size_of::<Node<'static>>() + size_of::<Edge<'static, Node<'static>>>();

#[derive(Trace)]
struct Node<'gc> {
    left: Edge<'gc, Node<'gc>>,
    right: Edge<'gc, Node<'gc>>,
    number: Cell<u64>,
    _pad: u64,
}

impl Node<'_> {
    fn new(number: u64) -> Self {
        Node {
            left: Edge::none(),
            right: Edge::none(),
            number: Cell::new(number),
            _pad: 0,
        }
    }
}

/// A graph whose nodes are all held by one array.
pub(super) struct Web(Root<[Edge<'static, Node<'static>>]>);

impl Web {
    /// Built a piece at a time, so that no handshake waits for long.
    pub(super) fn new(mutator: &mut Mutator, count: usize, rng: &mut Rng) -> Result<Web, Error> {
        let web = mutator.enter(|scope| {
            let nodes = scope.try_alloc_slice((0..count).map(|_| Edge::<Node<'_>>::none()))?;
            Ok::<_, Error>(Web(scope.root(nodes)))
        })?;
        for begin in (0..count).step_by(PIECE) {
            mutator.enter(|scope| {
                let nodes = scope.get(&web.0)?;
                for at in begin..count.min(begin + PIECE) {
                    let node = scope.try_alloc(Node::new(at as u64))?;
                    // All that is there already may be led to.
                    node.left.set(scope, nodes[rng.index(at + 1)].get());
                    node.right.set(scope, nodes[rng.index(at + 1)].get());
                    nodes[at].set(scope, node);
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(web)
    }

    /// Turns edges round, puts new nodes in the place of old ones, and, if `is_junk`, writes
    /// addresses of nodes, some of them dead by now, where numbers stand.
    pub(super) fn rearrange(
        &self,
        scope: Scope<'_>,
        changes: usize,
        is_junk: bool,
        rng: &mut Rng,
    ) -> Result<(), Error> {
        let nodes = scope.get(&self.0)?;
        let mut number = 0;
        for _ in 0..changes {
            let (place, other) = (&nodes[rng.index(nodes.len())], rng.index(nodes.len()));
            let (Some(node), Some(other)) = (place.get(), nodes[other].get()) else {
                continue;
            };
            node.left.set(scope, other);
            other.right.set(scope, node);
            if rng.index(4) == 0 {
                number = node.address() as u64 + rng.index(3) as u64 * 8;
                place.set(scope, scope.try_alloc(Node::new(number))?);
            }
            if is_junk {
                other.number.set(number);
            }
        }
        Ok(())
    }

    /// Puts new nodes in the place of old ones, and answers how many of them the heap's limit
    /// refused.
    pub(super) fn replace(
        &self,
        scope: Scope<'_>,
        changes: usize,
        rng: &mut Rng,
    ) -> Result<u64, Error> {
        let nodes = scope.get(&self.0)?;
        let mut refused = 0;
        for _ in 0..changes {
            match scope.try_alloc(Node::new(0)) {
                Ok(node) => nodes[rng.index(nodes.len())].set(scope, node),
                Err(AllocError::Limit { .. }) => refused += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(refused)
    }
}
