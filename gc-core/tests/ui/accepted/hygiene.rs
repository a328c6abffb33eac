//! The expansion means the same whatever the names around it mean, and users need no `unsafe` of
//! their own.

#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(dead_code)]

mod hostile {
    #![no_implicit_prelude]

    pub mod core {}
    pub mod gc_core {}
    pub trait Send {}
    pub trait Sized {}
    pub trait Tracer {}
    pub struct Option;
    pub struct Gc;
    #[allow(unused_macros)]
    macro_rules! assert {
        ($($tokens:tt)*) => {
            ::core::compile_error!("the wrong macro")
        };
    }

    #[derive(::gc_core::Trace)]
    pub struct Node<'gc, T, U: 'static + ::core::marker::Send> {
        tracer: ::gc_core::Gc<'gc, T>,
        field_0: ::gc_core::Edge<'gc, Node<'gc, T, U>>,
        #[trace(leaf)]
        field_1: U,
        r#type: u8,
    }

    #[derive(::gc_core::Trace)]
    #[trace(drop)]
    pub struct Guard {
        pub number: u32,
    }

    impl ::core::ops::Drop for Guard {
        fn drop(&mut self) {}
    }

    #[derive(::gc_core::Trace)]
    pub enum Choice<'tracer, Trace, const __AT: usize> {
        Trace(Trace),
        Tracer {
            tracer: ::gc_core::Gc<'tracer, Trace>,
            numbers: [u8; __AT],
        },
    }
}

fn main() {
    let heap = gc_core::Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        scope.alloc(hostile::Guard { number: 7 });
        scope.alloc(hostile::Choice::<u8, 1>::Trace(7));
    });
}
