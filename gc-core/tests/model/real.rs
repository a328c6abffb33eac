//! The real heap put through the same programs, and what must hold of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gc_core::{CheckLevel, Driver, Edge, Gc, Heap, Mutator, Policy, Root, Scope, Trace, Weak};
use proptest_state_machine::StateMachineTest;

use crate::naive::{Model, pick_any};
use crate::program::{EDGES, Inner, Seen, Transition};

/// Counts its drops: one cell an object.
pub(crate) struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Trace)]
struct Node<'gc> {
    id: u64,
    /// Repeats the id, so that a reused slot shows.
    echo: String,
    edges: [Edge<'gc, Node<'gc>>; EDGES],
    #[trace(leaf)]
    _tally: Tally,
}

#[derive(Trace)]
struct WeakBox<'gc> {
    weak: Weak<'gc, Node<'gc>>,
}

/// The real heap, with the drop counters of every object ever allocated.
pub(crate) struct Real {
    heap: Heap,
    mutator: Mutator,
    roots: Vec<Root<Node<'static>>>,
    weaks: Vec<Root<WeakBox<'static>>>,
    drops: Vec<Arc<AtomicUsize>>,
}

fn id_of(node: Gc<'_, Node<'_>>) -> u64 {
    assert_eq!(
        node.echo,
        format!("node {}", node.id),
        "the object was damaged"
    );
    node.id
}

impl Real {
    /// Runs a program. An upgrade of an object that the model holds for dead is looked at and not kept,
    /// so that both go on with the same registers.
    fn enter(&mut self, program: &[Inner], expected: &[Seen]) -> Vec<Seen> {
        let Real {
            heap,
            mutator,
            roots,
            weaks,
            drops,
        } = self;
        mutator.enter(|scope| {
            let mut running = Running {
                scope,
                heap,
                roots,
                weaks,
                drops,
                registers: Vec::new(),
            };
            let mut seen = Vec::new();
            for (inner, expected) in program.iter().zip(expected) {
                let kept = running.registers.len();
                seen.push(running.run(inner));
                if matches!(expected, Seen::Perhaps(_)) {
                    running.registers.truncate(kept);
                }
            }
            seen
        })
    }

    /// Every object the model can reach is there, intact, with the right edges.
    fn compare(&mut self, model: &Model) {
        let Real { mutator, roots, .. } = self;
        assert_eq!(roots.len(), model.roots.len());
        mutator.enter(|scope| {
            let mut seen = BTreeSet::new();
            let mut stack: Vec<_> = roots.iter().map(|root| scope.get(root).unwrap()).collect();
            let ids: Vec<_> = stack.iter().map(|node| id_of(*node)).collect();
            assert_eq!(ids, model.roots);
            while let Some(node) = stack.pop() {
                if !seen.insert(node.id) {
                    continue;
                }
                for (edge, expected) in node.edges.iter().zip(model.edges[&node.id]) {
                    assert_eq!(edge.get().map(id_of), expected, "edge of node {}", node.id);
                    stack.extend(edge.get());
                }
            }
            assert_eq!(seen, model.reachable(&[]));
        });
    }
}

/// A program that is running.
struct Running<'gc, 'r> {
    scope: Scope<'gc>,
    heap: &'r Heap,
    roots: &'r mut Vec<Root<Node<'static>>>,
    weaks: &'r mut Vec<Root<WeakBox<'static>>>,
    drops: &'r mut Vec<Arc<AtomicUsize>>,
    registers: Vec<Gc<'gc, Node<'gc>>>,
}

impl<'gc> Running<'gc, '_> {
    fn pick(&self, at: usize) -> Option<Gc<'gc, Node<'gc>>> {
        pick_any(&self.registers, at).copied()
    }

    /// Keeps what was found in a register, and says what it was.
    fn keep(&mut self, found: Option<Option<Gc<'gc, Node<'gc>>>>) -> Seen {
        self.registers.extend(found.flatten());
        match found {
            Some(Some(node)) => Seen::Object(id_of(node)),
            Some(None) => Seen::Null,
            None => Seen::Nothing,
        }
    }

    fn alloc(&mut self, to: [Option<usize>; EDGES]) -> Gc<'gc, Node<'gc>> {
        let id = self.drops.len() as u64;
        let tally = Arc::new(AtomicUsize::new(0));
        self.drops.push(Arc::clone(&tally));
        self.scope.alloc(Node {
            id,
            echo: format!("node {id}"),
            edges: to.map(|to| Edge::from(to.and_then(|to| self.pick(to)))),
            _tally: Tally(tally),
        })
    }

    fn run(&mut self, inner: &Inner) -> Seen {
        let scope = self.scope;
        match *inner {
            Inner::Alloc(to) => {
                let node = self.alloc(to);
                return self.keep(Some(Some(node)));
            }
            Inner::Load { root } => {
                let root = pick_any(self.roots, root);
                let found = root.map(|root| Some(scope.get(root).unwrap()));
                return self.keep(found);
            }
            Inner::Follow { register, edge } => {
                let found = self.pick(register).map(|node| node.edges[edge].get());
                return self.keep(found);
            }
            Inner::Take { register, edge } => {
                let found = self.pick(register).map(|node| node.edges[edge].take(scope));
                return self.keep(found);
            }
            Inner::Upgrade { weak } => {
                let holder = pick_any(self.weaks, weak).map(|weak| scope.get(weak).unwrap());
                let found = holder.map(|holder| scope.upgrade(holder.weak));
                return self.keep(found);
            }
            Inner::Set { register, edge, to } => {
                if let Some(node) = self.pick(register) {
                    node.edges[edge].set(scope, to.and_then(|to| self.pick(to)));
                }
            }
            Inner::Root { register } => {
                self.roots
                    .extend(self.pick(register).map(|node| scope.root(node)));
            }
            Inner::Downgrade { register } => {
                let weak = self.pick(register).map(|node| scope.downgrade(node));
                let boxed = weak.map(|weak| scope.root(scope.alloc(WeakBox { weak })));
                self.weaks.extend(boxed);
            }
            Inner::Garbage { bytes } => {
                let text = "x".repeat(bytes);
                assert_eq!(&*scope.alloc_str(&text), text);
            }
            Inner::Poll => scope.poll(),
            Inner::Step { budget } => drop(self.heap.step(budget).unwrap()),
        }
        Seen::Nothing
    }
}

/// What the heap did against what the model allows.
fn agree(expected: &[Seen], actual: &[Seen]) {
    for (at, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        let agrees = match (expected, actual) {
            (Seen::Perhaps(_), Seen::Null) => true,
            (Seen::Perhaps(id), Seen::Object(seen)) => id == seen,
            (expected, actual) => expected == actual,
        };
        assert!(
            agrees,
            "operation {at}: expected {expected:?}, saw {actual:?}"
        );
    }
}

fn check_level<const LEVEL: u8>() -> CheckLevel {
    match LEVEL {
        0 => CheckLevel::Lax,
        1 => CheckLevel::Default,
        _ => CheckLevel::Paranoid,
    }
}

/// The test, by driver, level, and whether the heap has generations.
pub(crate) struct Beside<
    const INCREMENTAL: bool,
    const LEVEL: u8,
    const HAS_GENERATIONS: bool = false,
>;

impl<const INCREMENTAL: bool, const LEVEL: u8, const HAS_GENERATIONS: bool> StateMachineTest
    for Beside<INCREMENTAL, LEVEL, HAS_GENERATIONS>
{
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(_: &Model) -> Real {
        let mut builder = Heap::builder()
            .driver(if INCREMENTAL {
                Driver::Incremental
            } else {
                Driver::Manual
            })
            .policy(Policy::COUNT)
            .checks(check_level::<LEVEL>())
            .reserve_bytes(64 << 20);
        if HAS_GENERATIONS {
            builder = builder.generational(64 << 10);
        }
        let heap = builder.build().unwrap();
        let mutator = heap.mutator();
        Real {
            heap,
            mutator,
            roots: Vec::new(),
            weaks: Vec::new(),
            drops: Vec::new(),
        }
    }

    fn apply(mut real: Real, model: &Model, transition: Transition) -> Real {
        match transition {
            Transition::Enter(program) => {
                let seen = real.enter(&program, &model.seen);
                agree(&model.seen, &seen);
            }
            Transition::DropRoot { root } if !real.roots.is_empty() => {
                let at = root % real.roots.len();
                drop(real.roots.swap_remove(at));
            }
            Transition::DropWeak { weak } if !real.weaks.is_empty() => {
                let at = weak % real.weaks.len();
                drop(real.weaks.swap_remove(at));
            }
            Transition::DropRoot { .. } | Transition::DropWeak { .. } => {}
            Transition::Request => real.heap.request_collect(),
            Transition::RequestYoung => real.heap.request_collect_young(),
            Transition::Step { budget } => {
                real.heap.step(budget).unwrap();
            }
            Transition::Collect => {
                real.heap.collect().unwrap();
                let reachable = model.reachable(&[]);
                for (id, drops) in real.drops.iter().enumerate() {
                    let expected = usize::from(!reachable.contains(&(id as u64)));
                    assert_eq!(
                        drops.load(Ordering::Relaxed),
                        expected,
                        "drops of node {id}"
                    );
                }
            }
            Transition::CollectYoung => {
                // What must be left is an invariant; what may be left depends on what was stored.
                real.heap.collect_young().unwrap();
            }
            Transition::Verify => {
                let report = real.heap.verify().unwrap();
                assert!(report.is_clean(), "{report:?}");
            }
        }
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        for id in model.reachable(&[]) {
            assert_eq!(
                real.drops[id as usize].load(Ordering::Relaxed),
                0,
                "node {id} was dropped while reachable"
            );
        }
        assert_eq!(
            real.heap.health().total(),
            0,
            "{:?}",
            real.heap.health().first()
        );
    }

    fn teardown(mut real: Real, model: Model) {
        real.compare(&model);
        let ledger = real.heap.ledger().expect("books");
        assert!(ledger.is_balanced(), "{:?}", ledger.imbalance());
        let Real {
            heap,
            mutator,
            roots,
            weaks,
            drops,
        } = real;
        drop((roots, weaks, mutator, heap));
        for (id, drops) in drops.iter().enumerate() {
            assert_eq!(
                drops.load(Ordering::Relaxed),
                1,
                "drops of node {id} once the heap has ended"
            );
        }
    }
}
