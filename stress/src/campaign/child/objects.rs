//! The managed types of a case.
//!
//! Nodes make up the graph that the program changes. Relics and beads are chains that stand there from
//! the beginning to the end, so that a fault has something to strike whose fate is known: relics are
//! allocated at the beginning and never again, so their free slots stay free; beads are also litter, so
//! theirs are taken again.

use std::sync::{Arc, Mutex, PoisonError};

use gc_core::{Edge, Gc, Trace, Weak};

use crate::campaign::shadow::{EDGES, digest};
use crate::hash::content_hash;

#[derive(Trace)]
pub(super) struct Node<'gc> {
    pub(super) id: u64,
    pub(super) payload: Edge<'gc, [u8]>,
    pub(super) ticket: Edge<'gc, Ticket>,
    pub(super) edges: [Edge<'gc, Node<'gc>>; EDGES],
}

impl<'gc> Node<'gc> {
    pub(super) fn new(id: u64, payload: Gc<'gc, [u8]>) -> Self {
        Node {
            id,
            payload: Edge::to(payload),
            ticket: Edge::none(),
            edges: [const { Edge::none() }; EDGES],
        }
    }

    /// What a checkpoint says of the node.
    pub(super) fn digest(&self) -> u32 {
        let payload_hash = self.payload.get().map_or(0, |bytes| content_hash(&bytes));
        let mut ids = [0; EDGES];
        for (id, edge) in ids.iter_mut().zip(&self.edges) {
            *id = edge.get().map_or(0, |target| target.id);
        }
        digest(
            payload_hash,
            ids,
            self.ticket.get().map_or(0, |ticket| ticket.id),
        )
    }
}

/// A member of a chain. The sort makes two types of it, and so two kinds of spans.
#[derive(Trace)]
pub(super) struct Chained<'gc, const SORT: usize> {
    pub(super) id: u64,
    pub(super) value: [u64; 3],
    pub(super) next: Edge<'gc, Chained<'gc, SORT>>,
}

pub(super) type Relic<'gc> = Chained<'gc, 0>;
pub(super) type Bead<'gc> = Chained<'gc, 1>;

impl<'gc, const SORT: usize> Chained<'gc, SORT> {
    pub(super) fn new(id: u64, next: Option<Gc<'gc, Chained<'gc, SORT>>>) -> Self {
        Chained {
            id,
            value: crate::campaign::fixture::value(id),
            next: Edge::from(next),
        }
    }
}

#[derive(Trace)]
pub(super) struct Watch<'gc> {
    pub(super) node: Weak<'gc, Node<'gc>>,
}

/// What destructors tell.
#[derive(Default)]
pub(super) struct Log {
    dropped: Mutex<Vec<u64>>,
}

impl Log {
    /// The tickets that were dropped since the last call.
    pub(super) fn take(&self) -> Vec<u64> {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut dropped)
    }
}

/// An object with a destructor.
#[derive(Trace)]
#[trace(leaf)]
pub(super) struct Ticket {
    pub(super) id: u64,
    pub(super) log: Arc<Log>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut dropped = self
            .log
            .dropped
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        dropped.push(self.id);
    }
}
