//! Generic types, and generic code over them. A function that is generic over what objects hold is
//! generic over the family `R` and speaks of `R::At<'gc>`.

use gc_core::{Edge, Gc, Heap, Object, Root, Scope, Trace};

#[derive(Trace)]
struct Pair<'gc, A, B> {
    a: Gc<'gc, A>,
    b: B,
}

#[derive(Trace)]
struct List<'gc, T> {
    next: Edge<'gc, List<'gc, T>>,
    item: T,
}

#[derive(Trace)]
struct Wrapper<T>(T);

#[derive(Trace)]
struct Handle<'gc, T: ?Sized> {
    target: Gc<'gc, T>,
}

#[derive(Trace)]
struct Defaulted<T = u32, const N: usize = 2> {
    items: [T; N],
}

struct Stack<R: Trace> {
    top: Option<Root<List<'static, R::At<'static>>>>,
}

impl<R: Trace> Stack<R> {
    fn push<'gc>(&mut self, scope: Scope<'gc>, item: R::At<'gc>) {
        let below: Option<Gc<'gc, List<'gc, R::At<'gc>>>> =
            self.top.take().map(|top| scope.get(&top).unwrap());
        let cell = List {
            next: Edge::from(below),
            item,
        };
        self.top = Some(scope.root(scope.alloc(cell)));
    }

    fn top<'gc>(&self, scope: Scope<'gc>) -> Option<Gc<'gc, List<'gc, R::At<'gc>>>> {
        self.top.as_ref().map(|top| scope.get(top).unwrap())
    }
}

fn length<'gc, T: Trace>(list: Gc<'gc, List<'gc, T>>) -> usize {
    1 + list.next.get().map_or(0, length)
}

fn rooted<'gc, T: Object + ?Sized>(
    scope: Scope<'gc>,
    target: Gc<'gc, T>,
) -> Root<<T as Object>::At<'static>> {
    scope.root(target)
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let mut stack: Stack<Wrapper<Pair<'static, u32, String>>> = Stack { top: None };
    for text in ["one", "two", "three"] {
        mutator.enter(|scope| {
            let pair = Pair {
                a: scope.alloc(7_u32),
                b: String::from(text),
            };
            stack.push(scope, Wrapper(pair));
        });
    }
    let slice: Root<[Pair<'static, u32, bool>]> = mutator.enter(|scope| {
        let a = scope.alloc(9_u32);
        rooted(
            scope,
            scope.alloc_slice([Pair { a, b: true }, Pair { a, b: false }]),
        )
    });
    let handle: Root<Handle<'static, str>> = mutator.enter(|scope| {
        rooted(
            scope,
            scope.alloc(Handle {
                target: scope.alloc_str("text"),
            }),
        )
    });
    let arrays: Root<Defaulted> =
        mutator.enter(|scope| scope.root(scope.alloc(Defaulted { items: [1_u32, 2] })));
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let top = stack.top(scope).unwrap();
        assert_eq!(length(top), 3);
        assert_eq!((*top.item.0.a, top.item.0.b.as_str()), (7, "three"));
        assert_eq!(*scope.get(&slice).unwrap()[1].a, 9);
        assert_eq!(&*scope.get(&handle).unwrap().target, "text");
        assert_eq!(scope.get(&arrays).unwrap().items, [1, 2]);
    });
}
