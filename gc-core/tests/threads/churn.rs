//! Random graphs under every driver: each thread compares its own graph with a model of it, and all of
//! them store into shared objects at once, whose nodes say of themselves whether they are whole.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use gc_core::{CheckLevel, Driver, Edge, Heap, Root, Scope, Trace};

use crate::graph::{EDGES, Graph, Node, counted_within};
use crate::support::{Rng, Tally, assert_sound, builder};

const THREADS: u64 = 3;
const ROUNDS: usize = 40;
/// Cycles that the threads must see, however long it takes.
const CYCLES_MIN: u64 = 4;
const STEPS_A_ROUND: usize = 120;
/// Edges of a shared object.
const HUB_EDGES: usize = 4;
/// Shared objects one thread keeps.
const HUBS: usize = 6;

/// An object into whose edges every thread stores.
#[derive(Trace)]
struct Hub<'gc> {
    edges: [Edge<'gc, Node<'gc>>; HUB_EDGES],
}

struct Worker {
    graph: Graph,
    hubs: Vec<Root<Hub<'static>>>,
    rng: Rng,
    tally: Tally,
    others: Vec<Sender<Root<Hub<'static>>>>,
    inbox: Receiver<Root<Hub<'static>>>,
}

impl Worker {
    fn work(&mut self, heap: &Heap) {
        let mut mutator = heap.mutator();
        for round in 0.. {
            // Fast threads go on until cycles have come and gone under them.
            if round >= ROUNDS && heap.stats().cycles_finished >= CYCLES_MIN {
                break;
            }
            mutator.enter(|scope| {
                for _ in 0..STEPS_A_ROUND {
                    self.graph.step(scope, &mut self.rng);
                    self.store_into_hub(scope);
                }
            });
            self.exchange();
            if round % 4 == 0 {
                heap.request_collect();
            }
        }
        mutator.enter(|scope| self.graph.assert_all(scope));
    }

    /// Puts a new node, or what another hub leads to, into an edge that others store into as well.
    fn store_into_hub<'gc>(&mut self, scope: Scope<'gc>) {
        if self.hubs.is_empty() {
            let edges = [const { Edge::none() }; HUB_EDGES];
            self.hubs.push(scope.root(scope.alloc(Hub { edges })));
        }
        let Worker {
            hubs, rng, graph, ..
        } = self;
        let mut node_of_hub = || {
            let hub = scope.get(rng.pick(hubs).unwrap()).unwrap().as_ref();
            let edge = &hub.edges[rng.below(HUB_EDGES)];
            (edge, edge.get())
        };
        let ((edge, _), (_, found)) = (node_of_hub(), node_of_hub());
        if let Some(found) = found {
            found.assert_whole();
        }
        match rng.below(4) {
            0 | 1 => {
                // Half of them link to what was there, so that chains stay short.
                let to = [found.filter(|_| rng.once_in(2)), None];
                let id = graph.fresh_id();
                edge.set(scope, Node::alloc(scope, id, to, &self.tally));
            }
            2 => edge.set(scope, found),
            _ => {
                if let Some(holder) = found {
                    let to = edge.get().filter(|_| rng.once_in(3));
                    holder.edges[rng.below(EDGES)].set(scope, to);
                }
            }
        }
    }

    /// Sends a shared object to another thread, and takes in what others have sent.
    fn exchange(&mut self) {
        let to = self.rng.pick(&self.others).unwrap();
        // A thread that is done takes nothing any more.
        let _ended = to.send(self.rng.pick(&self.hubs).unwrap().clone());
        for hub in self.inbox.try_iter() {
            if self.hubs.len() == HUBS {
                let at = self.rng.below(HUBS);
                drop(self.hubs.swap_remove(at));
            }
            self.hubs.push(hub);
        }
    }
}

fn workers(tally: &Tally) -> Vec<Worker> {
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    let worker = |(tag, inbox): (u64, _)| Worker {
        graph: Graph::new(tag + 1, tally.clone()),
        hubs: Vec::new(),
        rng: Rng::new(tag),
        tally: tally.clone(),
        others: (0..THREADS)
            .filter(|other| *other != tag)
            .map(|other| senders[other as usize].clone())
            .collect(),
        inbox,
    };
    (0..).zip(inboxes).map(worker).collect()
}

fn churn(driver: Driver, level: CheckLevel) {
    let (heap, tally) = (
        builder(driver).checks(level).build().unwrap(),
        Tally::default(),
    );
    let mut workers = workers(&tally);
    thread::scope(|threads| {
        for worker in &mut workers {
            threads.spawn(|| worker.work(&heap));
        }
    });
    let (graphs, hubs): (Vec<_>, Vec<_>) = workers
        .into_iter()
        .map(|worker| (worker.graph, worker.hubs))
        .unzip();
    heap.collect().unwrap();
    let reachable = heap.mutator().enter(|scope| {
        graphs.iter().for_each(|graph| graph.assert_all(scope));
        let own = graphs.iter().flat_map(|graph| &graph.roots);
        let own = own.map(|(root, _)| scope.get(root).unwrap());
        let hubs = hubs.iter().flatten();
        let hubs = hubs.map(|hub| scope.get(hub).unwrap().as_ref());
        counted_within(own.chain(hubs.flat_map(|hub| hub.edges.iter().filter_map(Edge::get))))
    });
    assert!(reachable > 0 && tally.born() > reachable);
    assert_eq!(tally.born() - tally.dropped(), reachable, "drops and dead");
    assert_sound(&heap);
    drop((graphs, hubs));
    heap.collect().unwrap();
    assert_eq!(tally.dropped(), tally.born());
    let (stats, ledger) = (heap.stats(), heap.ledger().unwrap());
    assert_eq!((stats.roots, stats.mutators, ledger.objects), (0, 0, 0));
    assert_sound(&heap);
}

#[test]
fn random_graphs_under_incremental() {
    churn(Driver::Incremental, CheckLevel::Default);
}

#[test]
fn random_graphs_under_incremental_paranoid() {
    churn(Driver::Incremental, CheckLevel::Paranoid);
}

#[test]
fn random_graphs_under_one_collector_thread() {
    churn(Driver::Background(1), CheckLevel::Default);
}

#[test]
fn random_graphs_under_one_collector_thread_paranoid() {
    churn(Driver::Background(1), CheckLevel::Paranoid);
}

#[test]
fn random_graphs_under_two_collector_threads() {
    churn(Driver::Background(2), CheckLevel::Default);
}

#[test]
fn random_graphs_under_two_collector_threads_paranoid() {
    churn(Driver::Background(2), CheckLevel::Paranoid);
}
