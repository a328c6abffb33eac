//! The objects of the programs, and the roots that hold them: both tell the model of their end.

use std::sync::Arc;

use gc_core::{Edge, Ephemeron, Gc, Root, Trace, Weak};

use crate::oracle::{EDGES, Id, Oracle};

/// Words that make an object a kilobyte, so that a span holds a few and is soon used again.
pub(crate) const BALLAST_WORDS: usize = 100;

/// What stands in an object to tell the model of its end.
pub(crate) trait Guard: for<'a> Trace<At<'a> = Self> + Send + Sync + 'static {
    /// Whether destructors tell the model.
    const TELLS: bool;

    fn new(oracle: &Arc<Oracle>, id: Id) -> Self;
}

/// Tells the model. Spans of such objects are swept by whoever may run destructors.
#[derive(Trace)]
#[trace(leaf)]
pub(crate) struct Dropped {
    oracle: Arc<Oracle>,
    id: Id,
}

impl Guard for Dropped {
    const TELLS: bool = true;

    fn new(oracle: &Arc<Oracle>, id: Id) -> Self {
        Dropped {
            oracle: Arc::clone(oracle),
            id,
        }
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.oracle.bury(self.id);
    }
}

/// Tells nobody: mutators sweep spans of such objects when they need slots.
#[derive(Trace)]
#[trace(leaf)]
pub(crate) struct Plain;

impl Guard for Plain {
    const TELLS: bool = false;

    fn new(_: &Arc<Oracle>, _: Id) -> Self {
        Plain
    }
}

#[derive(Trace)]
pub(crate) struct Node<'gc, G> {
    pub(crate) id: Id,
    pub(crate) edges: [Edge<'gc, Node<'gc, G>>; EDGES],
    pub(crate) weak: Option<Weak<'gc, Node<'gc, G>>>,
    pub(crate) ephemeron: Option<Ephemeron<'gc, Node<'gc, G>, Node<'gc, G>>>,
    #[trace(leaf)]
    pub(crate) _ballast: [u64; BALLAST_WORDS],
    pub(crate) _guard: G,
}

pub(crate) type Pointer<'gc, G> = Gc<'gc, Node<'gc, G>>;

/// A root that tells the model before it goes.
pub(crate) struct Handle<G: Guard> {
    oracle: Arc<Oracle>,
    pub(crate) id: Id,
    pub(crate) root: Root<Node<'static, G>>,
}

impl<G: Guard> Handle<G> {
    pub(crate) fn new(oracle: &Arc<Oracle>, id: Id, root: Root<Node<'static, G>>) -> Self {
        oracle.root(id);
        Handle {
            oracle: Arc::clone(oracle),
            id,
            root,
        }
    }
}

impl<G: Guard> Drop for Handle<G> {
    fn drop(&mut self) {
        self.oracle.unroot(self.id);
    }
}
