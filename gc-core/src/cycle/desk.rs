//! Where a thread asks the cycle for the graph of the heap, and finds it.
//!
//! Reached under the cycle's lock alone. The graph is taken at the one point of the cycle where all
//! that is reachable is marked and nothing is swept, by the thread that asked, so that no mutator and
//! no collector thread pays for it; whoever else comes to that point leaves it to that thread.

use gc_hooks::sync::thread_token;
use gc_sweep::Kept;

use crate::graph::{Extent, Graph};
use crate::shared::Shared;
use crate::verify;

/// See the module.
#[derive(Default)]
pub(crate) struct Desk {
    /// The thread that waits for a graph.
    asker: Option<u64>,
    graph: Option<Graph>,
}

impl Desk {
    /// The calling thread asks for the graph of the next full cycle.
    pub(crate) fn ask(&mut self) {
        *self = Desk {
            asker: Some(thread_token()),
            graph: None,
        };
    }

    /// Whether the cycle waits for another thread to take its graph.
    pub(super) fn is_for_another(&self) -> bool {
        self.asker.is_some_and(|asker| asker != thread_token())
    }

    /// Takes the graph if the calling thread has asked for it. What was taken of a cycle that went back
    /// to marking is replaced.
    pub(super) fn serve(&mut self, shared: &Shared, kept: Kept) {
        if self.asker == Some(thread_token()) {
            let words = verify::stack_words(shared);
            self.graph = Some(Graph::take(shared, Extent::Marked(kept), &words));
        }
    }

    /// Hands over what was taken; nobody asks any more.
    pub(crate) fn take(&mut self) -> Option<Graph> {
        self.asker = None;
        self.graph.take()
    }
}
