//! A `Root` of a type that is `Send + Sync` all the way down goes to another thread and is used there;
//! a type that leads to itself is judged by the rest of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gc_core::{Edge, Ephemeron, Gc, Heap, Root, Trace, Weak};

#[derive(Trace)]
struct Node<'gc> {
    name: String,
    hits: AtomicU32,
    next: Edge<'gc, Node<'gc>>,
    kids: Vec<Gc<'gc, Node<'gc>>>,
    up: Option<Weak<'gc, Node<'gc>>>,
    notes: Vec<Ephemeron<'gc, Node<'gc>, Value<'gc>>>,
}

#[derive(Trace)]
enum Value<'gc> {
    Text(Gc<'gc, str>),
    List(Vec<Value<'gc>>),
    Node(Gc<'gc, Node<'gc>>),
}

fn node<'gc>(name: &str) -> Node<'gc> {
    Node {
        name: name.to_owned(),
        hits: AtomicU32::new(0),
        next: Edge::none(),
        kids: Vec::new(),
        up: None,
        notes: Vec::new(),
    }
}

/// An object may own a root that any thread may drop; it is one of the program's roots, then.
#[derive(Trace)]
struct Owner {
    #[trace(leaf)]
    root: Root<Node<'static>>,
}

fn everywhere<T: Send + Sync>() {}

fn of_any<T: Trace<At<'static> = T> + Send + Sync>() {
    everywhere::<Root<T>>();
    everywhere::<Root<[T]>>();
}

fn main() {
    everywhere::<Root<Node<'static>>>();
    everywhere::<Root<[Value<'static>]>>();
    everywhere::<Root<str>>();
    everywhere::<Owner>();
    of_any::<Node<'static>>();
    let heap = Heap::builder().build().unwrap();
    let root = heap.mutator().enter(|scope| {
        let (a, b) = (scope.alloc(node("a")), scope.alloc(node("b")));
        a.next.set(scope, b);
        b.next.set(scope, a);
        scope.root(a)
    });
    let shared = Arc::new(root);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (heap, root) = (heap.clone(), Arc::clone(&shared));
            std::thread::spawn(move || {
                let mut mutator = heap.mutator();
                mutator.enter(|scope| {
                    let a = scope.get(&root).unwrap();
                    a.hits.fetch_add(1, Ordering::Relaxed);
                    scope.root(a.next.get().unwrap())
                })
            })
        })
        .collect();
    let others: Vec<Root<Node<'static>>> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    heap.mutator().enter(|scope| {
        let a = scope.get(&shared).unwrap();
        assert_eq!(a.hits.load(Ordering::Relaxed), 2);
        for other in &others {
            let b = scope.get(other).unwrap();
            assert_eq!(b.name, "b");
            assert!(Gc::ptr_eq(b.next.get().unwrap(), a));
        }
    });
}
