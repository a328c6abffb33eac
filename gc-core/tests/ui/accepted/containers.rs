//! Containers of the standard library with a `Gc` inside.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::marker::PhantomData;

use gc_core::{Edge, Gc, Heap, Trace, Weak};

#[derive(Trace)]
struct Everything<'gc> {
    vec: Vec<Gc<'gc, u32>>,
    deque: VecDeque<Option<Gc<'gc, u32>>>,
    map: HashMap<String, Gc<'gc, str>>,
    tree: BTreeMap<u8, Vec<Gc<'gc, [u8]>>>,
    names: BTreeSet<String>,
    boxed: Box<[Gc<'gc, u32>]>,
    text: Box<str>,
    array: [Edge<'gc, Everything<'gc>>; 3],
    tuple: (Gc<'gc, u32>, (u8, Option<Weak<'gc, u32>>)),
    result: Result<Gc<'gc, u32>, String>,
    range: std::ops::Range<usize>,
    marker: PhantomData<fn(u8) -> u8>,
    unit: (),
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let number = scope.alloc(7_u32);
        scope.root(scope.alloc(Everything {
            vec: vec![number],
            deque: VecDeque::from([None, Some(number)]),
            map: HashMap::from([(String::from("key"), scope.alloc_str("value"))]),
            tree: BTreeMap::from([(1, vec![scope.alloc_slice([1, 2, 3])])]),
            names: BTreeSet::from([String::from("name")]),
            boxed: Box::new([number, number]),
            text: "text".into(),
            array: [const { Edge::none() }; 3],
            tuple: (number, (1, Some(scope.downgrade(number)))),
            result: Ok(number),
            range: 0..1,
            marker: PhantomData,
            unit: (),
        }))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let everything = scope.get(&root).unwrap();
        assert_eq!(
            (&*everything.map["key"], &everything.tree[&1][0][..]),
            ("value", &[1, 2, 3][..])
        );
        assert!(
            everything
                .result
                .as_ref()
                .is_ok_and(|number| Gc::ptr_eq(*number, everything.vec[0]))
        );
        assert_eq!(
            (
                everything.names.len(),
                &*everything.text,
                everything.range.len()
            ),
            (1, "text", 1)
        );
        assert!(scope.upgrade(everything.tuple.1.1.unwrap()).is_some());
    });
}
