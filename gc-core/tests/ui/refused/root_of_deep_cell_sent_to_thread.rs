//! A `Root` stays on its thread if a cell is two edges away, however it is reached: by `Edge`, by
//! `Weak`, or by the value of an `Ephemeron`.

use std::cell::RefCell;

use gc_core::{Edge, Ephemeron, Root, Trace, Weak};

#[derive(Trace)]
struct Log {
    lines: RefCell<Vec<String>>,
}

#[derive(Trace)]
struct Middle<'gc> {
    log: Edge<'gc, Log>,
}

#[derive(Trace)]
struct Top<'gc> {
    middle: Edge<'gc, Middle<'gc>>,
    next: Edge<'gc, Top<'gc>>,
}

#[derive(Trace)]
struct Observer<'gc> {
    middle: Weak<'gc, Middle<'gc>>,
}

#[derive(Trace)]
struct Annotated<'gc> {
    notes: Ephemeron<'gc, str, Middle<'gc>>,
}

fn send<T: Send>(value: T) {
    drop(value);
}

fn by_edge(root: Root<Top<'static>>) {
    send(root);
}

fn by_weak(root: Root<Observer<'static>>) {
    send(root);
}

fn by_ephemeron(root: Root<Annotated<'static>>) {
    send(root);
}

fn main() {}
