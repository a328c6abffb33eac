//! What is neither `Send` nor `Sync`, asserted without the compiler's words for it.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

use gc_core::{Edge, Ephemeron, Gc, Heap, Mutator, Root, Scope, Trace, Weak};

/// `is_not!(Send: T)` compiles only if one impl fits: the second fits what is `Send`.
macro_rules! is_not {
    ($marker:ident: $($stays:ty),* $(,)?) => {{
        trait Ambiguous<A> {
            fn check() {}
        }
        struct Fits;
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $marker> Ambiguous<Fits> for T {}
        $(<$stays as Ambiguous<_>>::check();)*
    }};
}

fn is<T: ?Sized + Send + Sync>() {}

#[derive(Trace)]
struct Plain {
    number: u32,
}

#[derive(Trace)]
struct Counter {
    hits: Cell<u32>,
}

#[derive(Trace)]
struct Log {
    lines: RefCell<Vec<String>>,
}

#[derive(Trace)]
struct Marked {
    one_thread: PhantomData<Rc<u32>>,
}

#[derive(Trace)]
struct Chain<'gc> {
    log: Option<Gc<'gc, Log>>,
    next: Edge<'gc, Chain<'gc>>,
}

#[derive(Trace)]
enum Tree<'gc> {
    Leaf(Weak<'gc, Chain<'gc>>),
    Fork(Vec<Gc<'gc, Tree<'gc>>>),
}

fn main() {
    is::<(Heap, Root<Plain>, Gc<'static, Plain>, Edge<'static, str>)>();
    is::<(Weak<'static, [u8]>, Ephemeron<'static, Plain, str>)>();
    is_not!(Send: Scope<'static>);
    is_not!(Sync: Scope<'static>, Mutator);
    is_not!(Send: Root<Counter>, Root<Log>, Root<Marked>, Root<[Counter]>, Root<Chain<'static>>, Root<Tree<'static>>);
    is_not!(Sync: Root<Counter>, Root<Log>, Root<Marked>, Root<[Counter]>, Root<Chain<'static>>, Root<Tree<'static>>);
    is_not!(Send: Gc<'static, Log>, Edge<'static, Log>, Weak<'static, Log>, Ephemeron<'static, Log, Plain>, Ephemeron<'static, Plain, Log>);
    is_not!(Sync: Gc<'static, Log>, Edge<'static, Log>, Weak<'static, Log>, Ephemeron<'static, Log, Plain>, Ephemeron<'static, Plain, Log>);
    is_not!(Send: Gc<'static, Tree<'static>>, Vec<Option<Gc<'static, Counter>>>);
    let plain = Plain { number: 1 };
    assert_eq!(plain.number, 1);
}
