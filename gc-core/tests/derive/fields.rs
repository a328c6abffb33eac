//! Every shape of type, and every container, reports what it holds.

use std::collections::{BTreeMap, HashMap, VecDeque};

use gc_core::{Edge, Gc, Trace};

use crate::payload::{Held, keeps_its_payload};

#[derive(Trace)]
pub struct Named<'gc> {
    before: u8,
    held: Held<'gc>,
    after: String,
}

#[derive(Trace)]
struct Positional<'gc>(u8, Held<'gc>, &'static str);

#[test]
fn fields_of_structs_are_reported() {
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Named {
            before: 1,
            held,
            after: String::from("after"),
        }))
    });
    keeps_its_payload(|scope, held| scope.root(scope.alloc(Positional(1, held, "after"))));
    keeps_its_payload(|scope, held| scope.root(held));
}

#[derive(Trace)]
enum Variants<'gc> {
    Unit,
    Positional(u8, Held<'gc>),
    Named { before: u8, held: Held<'gc> },
    Nested(Option<Box<Variants<'gc>>>),
    Linked(Edge<'gc, Variants<'gc>>),
}

#[test]
fn fields_of_every_variant_are_reported() {
    keeps_its_payload(|scope, held| scope.root(scope.alloc(Variants::Positional(1, held))));
    keeps_its_payload(|scope, held| scope.root(scope.alloc(Variants::Named { before: 1, held })));
    keeps_its_payload(|scope, held| {
        let inner = Variants::Nested(Some(Box::new(Variants::Positional(1, held))));
        scope.root(scope.alloc(Variants::Nested(Some(Box::new(inner)))))
    });
    keeps_its_payload(|scope, held| {
        let target = scope.alloc(Variants::Named { before: 1, held });
        scope.root(scope.alloc(Variants::Linked(Edge::to(target))))
    });
    keeps_its_payload(|scope, held| {
        let variants = [
            Variants::Unit,
            Variants::Nested(None),
            Variants::Positional(1, held),
        ];
        scope.root(scope.alloc_slice(variants))
    });
}

/// Containers inside containers.
type Deep<'gc> = HashMap<u8, Option<Box<(u8, Held<'gc>)>>>;

#[derive(Trace)]
struct Containers<'gc> {
    option: Option<Held<'gc>>,
    vec: Vec<Held<'gc>>,
    deque: VecDeque<Held<'gc>>,
    map: HashMap<String, Held<'gc>>,
    tree: BTreeMap<u8, Held<'gc>>,
    boxed: Option<Box<Held<'gc>>>,
    boxed_slice: Box<[Held<'gc>]>,
    tuple: (u8, Option<Held<'gc>>),
    array: [Option<Held<'gc>>; 3],
    result: Result<u8, Held<'gc>>,
    deep: Vec<Deep<'gc>>,
}

/// Nothing in any container.
fn empty<'gc>() -> Containers<'gc> {
    Containers {
        option: None,
        vec: Vec::new(),
        deque: VecDeque::new(),
        map: HashMap::new(),
        tree: BTreeMap::new(),
        boxed: None,
        boxed_slice: Box::new([]),
        tuple: (1, None),
        array: [None; 3],
        result: Ok(1),
        deep: Vec::new(),
    }
}

#[test]
fn items_of_collections_are_reported() {
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            option: Some(held),
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            vec: vec![held; 3],
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            deque: [held].into(),
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        let map = HashMap::from([(String::from("key"), held)]);
        scope.root(scope.alloc(Containers { map, ..empty() }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            tree: [(1, held)].into(),
            ..empty()
        }))
    });
}

#[test]
fn items_of_boxes_tuples_arrays_and_nests_are_reported() {
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            boxed: Some(Box::new(held)),
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            boxed_slice: [held].into(),
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            tuple: (1, Some(held)),
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            array: [None, None, Some(held)],
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Containers {
            result: Err(held),
            ..empty()
        }))
    });
    keeps_its_payload(|scope, held| {
        let deep = vec![
            HashMap::new(),
            HashMap::from([(1, Some(Box::new((1, held)))), (2, None)]),
        ];
        scope.root(scope.alloc(Containers { deep, ..empty() }))
    });
}

#[test]
fn containers_are_objects_themselves() {
    keeps_its_payload(|scope, held| scope.root(scope.alloc(vec![Some(held)])));
    keeps_its_payload(|scope, held| scope.root(scope.alloc((1_u8, [held; 2]))));
    keeps_its_payload(|scope, held| scope.root(scope.alloc(BTreeMap::from([(1_u8, held)]))));
    keeps_its_payload(|scope, held| scope.root(scope.alloc_slice([None, Some(held)])));
    keeps_its_payload(|scope, held| scope.root(scope.alloc(scope.alloc(held))));
}

#[derive(Trace)]
pub struct Pair<'gc, A, B> {
    pub a: Gc<'gc, A>,
    pub b: B,
}

#[derive(Trace)]
pub struct Wrapper<T>(Vec<T>);

#[derive(Trace)]
pub struct List<'gc, T> {
    pub next: Edge<'gc, List<'gc, T>>,
    pub item: T,
}

#[derive(Trace)]
struct Handle<'gc, T: ?Sized> {
    target: Gc<'gc, T>,
}

#[derive(Trace)]
pub struct Fan<T, const WIDTH: usize> {
    items: [Option<T>; WIDTH],
}

#[test]
fn type_parameters_are_reported() {
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Pair {
            a: scope.alloc(1_u8),
            b: held,
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Pair {
            a: scope.alloc(held),
            b: 1_u8,
        }))
    });
    keeps_its_payload(|scope, held| scope.root(scope.alloc(Wrapper(vec![held]))));
    keeps_its_payload(|scope, held| scope.root(scope.alloc(Wrapper(vec![Wrapper(vec![held])]))));
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Handle {
            target: scope.alloc_slice([held]),
        }))
    });
    keeps_its_payload(|scope, held| {
        scope.root(scope.alloc(Fan::<_, 4> {
            items: [None, None, None, Some(held)],
        }))
    });
}

#[test]
fn a_list_is_kept_to_its_end() {
    keeps_its_payload(|scope, held| {
        let mut head = scope.alloc(List {
            next: Edge::none(),
            item: Some(held),
        });
        for _ in 0..1000 {
            head = scope.alloc(List {
                next: Edge::to(head),
                item: None,
            });
        }
        scope.root(head)
    });
}

/// A tree that owns its branches instead of linking them.
#[derive(Trace)]
pub struct Tree<T> {
    pub item: Option<T>,
    pub branches: Vec<Tree<T>>,
}

#[test]
fn a_type_that_owns_itself_is_reported_to_its_leaves() {
    keeps_its_payload(|scope, held| {
        let leaf = Tree {
            item: Some(held),
            branches: Vec::new(),
        };
        let middle = Tree {
            item: None,
            branches: vec![leaf],
        };
        scope.root(scope.alloc(Tree {
            item: None,
            branches: vec![middle],
        }))
    });
}
