//! Const parameters, alone and among others.

use gc_core::{Edge, Gc, Heap, Root, Trace};

#[derive(Trace)]
struct Bytes<const N: usize>([u8; N]);

#[derive(Trace)]
struct Fan<'gc, T, const WIDTH: usize, const FLAG: bool> {
    edges: [Edge<'gc, Fan<'gc, T, WIDTH, FLAG>>; WIDTH],
    items: [Gc<'gc, T>; 2],
}

fn main() {
    const { assert!(!<Bytes<4> as Trace>::MAY_HOLD_GC) }
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let root: Root<Fan<'static, Bytes<4>, 3, true>> = mutator.enter(|scope| {
        let item = scope.alloc(Bytes([1, 2, 3, 4]));
        let fan = scope.alloc(Fan {
            edges: [const { Edge::none() }; 3],
            items: [item, item],
        });
        fan.edges[2].set(scope, fan);
        scope.root(fan)
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let fan = scope.get(&root).unwrap();
        assert_eq!(fan.edges[2].get().unwrap().items[1].0, [1, 2, 3, 4]);
    });
}
