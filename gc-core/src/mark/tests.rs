//! A barrier's shade against the marker that terminates, over every interleaving.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p gc-core --lib --release loom`. This is a model: state
//! bytes are loom's atomics and a lock with a list stands for crossbeam's deque, into which loom cannot
//! see. The order of steps is that of `Store::shade` and of `Marker::visit`, `visit_grey` and `is_dry`.

use std::sync::PoisonError;

use gc_hooks::sync::atomic::{AtomicU8, AtomicUsize};
use gc_hooks::sync::{Mutex, MutexGuard};
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::*;

const WHITE: u8 = 0;
const BLACK: u8 = 1;
/// The object whose edge is overwritten, the one it leads to, and what that leads to.
const HOLDER: usize = 1;
const CHILD: usize = 2;
const GRANDCHILD: usize = 3;

struct Graph {
    bytes: [AtomicU8; 4],
    /// The edges of holder and child.
    edges: [AtomicUsize; 3],
    deque: Mutex<Vec<usize>>,
}

impl Graph {
    fn new() -> Graph {
        Graph {
            bytes: [WHITE; 4].map(AtomicU8::new),
            edges: [0, CHILD, GRANDCHILD].map(AtomicUsize::new),
            deque: Mutex::new(Vec::new()),
        }
    }

    fn deque(&self) -> MutexGuard<'_, Vec<usize>> {
        self.deque.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_marked(&self, object: usize) -> bool {
        self.bytes[object].load(Ordering::Acquire) == BLACK
    }

    fn mark(&self, object: usize) -> bool {
        self.bytes[object]
            .compare_exchange(WHITE, BLACK, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// `Marker::visit`.
    fn visit(&self, object: usize) {
        if object != 0 && !self.is_marked(object) && self.mark(object) {
            self.scan(object);
        }
    }

    fn scan(&self, object: usize) {
        if let Some(edge) = self.edges.get(object) {
            self.visit(edge.load(Ordering::Acquire));
        }
    }

    /// The marker, from the root to its decision.
    fn collect(&self) {
        self.visit(HOLDER);
        loop {
            let stolen = self.deque().pop();
            if let Some(object) = stolen {
                // `Marker::visit_grey`: what was pushed is scanned even when it is marked.
                self.mark(object);
                self.scan(object);
            } else if self.deque().is_empty() {
                break;
            }
        }
        assert!(
            self.is_marked(CHILD) && self.is_marked(GRANDCHILD),
            "an object is lost"
        );
    }

    /// A black mutator overwrites the edge to the child.
    fn overwrite(&self, shade: fn(&Graph, usize)) {
        // Nobody else stores there, so the old value is known. A load of it would keep loom, which goes
        // by the last access before a store, from trying this store before the marker's load.
        if !self.is_marked(CHILD) {
            shade(self, CHILD);
        }
        self.edges[HOLDER].store(0, Ordering::Release);
    }
}

fn overwrite_while_marking(shade: fn(&Graph, usize)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(move || {
        let graph = Arc::new(Graph::new());
        let mutator = {
            let graph = Arc::clone(&graph);
            thread::spawn(move || graph.overwrite(shade))
        };
        graph.collect();
        mutator.join().unwrap();
    });
}

#[test]
fn loom_what_is_pushed_then_marked_is_scanned() {
    overwrite_while_marking(|graph, object| {
        graph.deque().push(object);
        graph.mark(object);
    });
}

#[test]
#[should_panic(expected = "an object is lost")]
fn loom_what_is_marked_then_pushed_would_be_missed() {
    overwrite_while_marking(|graph, object| {
        graph.mark(object);
        graph.deque().push(object);
    });
}

#[test]
#[should_panic(expected = "an object is lost")]
fn loom_what_is_not_shaded_is_lost() {
    overwrite_while_marking(|_, _| ());
}
