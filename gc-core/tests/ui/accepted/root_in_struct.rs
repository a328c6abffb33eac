//! A `Root` is an ordinary value of the embedder: a field, an item, an answer.

use std::collections::HashMap;

use gc_core::{Edge, Gc, Heap, Mutator, Root, Trace};

#[derive(Trace)]
struct Node<'gc> {
    name: String,
    next: Edge<'gc, Node<'gc>>,
}

struct Machine {
    mutator: Mutator,
    first: Root<Node<'static>>,
    by_name: HashMap<String, Root<Node<'static>>>,
    text: Option<Root<str>>,
}

impl Machine {
    fn new(heap: &Heap) -> Machine {
        let mut mutator = heap.mutator();
        let first = mutator.enter(|scope| {
            scope.root(scope.alloc(Node {
                name: String::new(),
                next: Edge::none(),
            }))
        });
        Machine {
            mutator,
            first,
            by_name: HashMap::new(),
            text: None,
        }
    }

    fn add(&mut self, name: &str) {
        let Machine {
            mutator,
            first,
            by_name,
            text,
        } = self;
        mutator.enter(|scope| {
            let first: Gc<'_, Node<'_>> = scope.get(first).unwrap();
            let node = scope.alloc(Node {
                name: name.to_owned(),
                next: Edge::from(first.next.get()),
            });
            first.next.set(scope, node);
            by_name.insert(name.to_owned(), scope.root(node));
            *text = Some(scope.root(scope.alloc_str(name)));
        });
    }
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut machine = Machine::new(&heap);
    machine.add("one");
    machine.add("two");
    heap.collect().unwrap();
    let Machine {
        mutator,
        first,
        by_name,
        text,
    } = &mut machine;
    mutator.enter(|scope| {
        let two = scope.get(first).unwrap().next.get().unwrap();
        assert!(Gc::ptr_eq(two, scope.get(&by_name["two"]).unwrap()));
        assert_eq!(two.next.get().unwrap().name, "one");
        assert_eq!(&*scope.get(text.as_ref().unwrap()).unwrap(), "two");
    });
}
