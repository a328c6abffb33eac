//! A bad edge found by scanning names the holder's type and field, whatever the holder is made of.

use gc_core::raw::RawGc;
use gc_core::{CheckLevel, Edge, Gc, Heap, Root, Scope, Trace};

use crate::support::{Node, Witness, heap_at, node, stale};

#[derive(Trace)]
struct Wide<'gc> {
    id: u64,
    first: Edge<'gc, Node<'gc>>,
    #[trace(leaf)]
    label: std::time::Duration,
    r#else: Edge<'gc, Node<'gc>>,
}

#[derive(Trace)]
struct Pair<'gc, T: Trace>(T, Edge<'gc, Node<'gc>>);

#[derive(Trace)]
enum Choice<'gc> {
    Nothing,
    Tuple(u8, Gc<'gc, Node<'gc>>),
    Named { many: Vec<Edge<'gc, Node<'gc>>> },
}

#[derive(Trace)]
struct Outer<'gc> {
    inner: Wide<'gc>,
    boxed: Box<Option<Edge<'gc, Node<'gc>>>>,
}

fn wide<'gc>(first: Edge<'gc, Node<'gc>>, other: Edge<'gc, Node<'gc>>) -> Wide<'gc> {
    Wide {
        id: 1,
        first,
        label: std::time::Duration::ZERO,
        r#else: other,
    }
}

/// The field named by the violation that follows from the holder that `build` makes round a dead
/// object.
fn field_of<T: gc_core::Object + ?Sized>(
    build: impl for<'gc> Fn(Scope<'gc>, Gc<'gc, Node<'gc>>) -> Root<T>,
) -> Option<&'static str> {
    let mut named = Vec::new();
    // The marker at `paranoid`, and `Heap::verify` at any level, say the same.
    for level in [CheckLevel::Paranoid, CheckLevel::Default] {
        let (heap, mut mutator) = heap_at(level);
        let witness = Witness::new(&mut mutator);
        let dead: RawGc = stale(&heap, &mut mutator);
        let holder = mutator.enter(|scope| build(scope, forged(&heap, scope, dead)));
        if level == CheckLevel::Paranoid {
            heap.collect().unwrap();
        } else {
            assert_eq!(heap.verify().unwrap().pointers_bad, 1);
        }
        let violation = heap.health().first().unwrap();
        assert!(violation.holder.is_some(), "{violation}");
        named.push(violation.field);
        drop(holder);
        witness.check(&heap, &mut mutator);
    }
    assert_eq!(named[0], named[1]);
    named[0]
}

fn forged<'gc>(heap: &Heap, scope: Scope<'gc>, dead: RawGc) -> Gc<'gc, Node<'gc>> {
    // SAFETY: the forged pointer is stored and never dereferenced.
    unsafe { heap.fault().forged(scope, dead.address()) }
}

#[test]
fn fields_of_structs_are_named() {
    let field = field_of::<Node<'static>>(|scope, dead| {
        let holder = scope.alloc(node(1));
        holder.next.set(scope, dead);
        scope.root(holder)
    });
    assert_eq!(field, Some("Node.next"));
    let field = field_of::<Wide<'static>>(|scope, dead| {
        let live = scope.alloc(node(2));
        let holder = scope.alloc(wide(Edge::to(live), Edge::to(dead)));
        assert_eq!((holder.id, holder.label.as_secs()), (1, 0));
        scope.root(holder)
    });
    assert_eq!(field, Some("Wide.else"));
    let field = field_of::<Pair<'static, u8>>(|scope, dead| {
        let holder = scope.alloc(Pair(7_u8, Edge::to(dead)));
        assert_eq!(holder.0, 7);
        scope.root(holder)
    });
    assert_eq!(field, Some("Pair.1"));
}

#[test]
fn a_generic_field_is_named_by_the_type_that_declares_it() {
    let field = field_of::<Pair<'static, Edge<'static, Node<'static>>>>(|scope, dead| {
        let holder = scope.alloc(Pair(Edge::to(dead), Edge::none()));
        scope.root(holder)
    });
    assert_eq!(field, Some("Pair.0"));
}

#[test]
fn fields_of_enums_are_named_with_their_variant() {
    let field =
        field_of::<Choice<'static>>(|scope, dead| scope.root(scope.alloc(Choice::Tuple(1, dead))));
    assert_eq!(field, Some("Choice::Tuple.1"));
    let field = field_of::<Choice<'static>>(|scope, dead| {
        let many = vec![Edge::none(), Edge::to(scope.alloc(node(1))), Edge::to(dead)];
        scope.root(scope.alloc(Choice::Named { many }))
    });
    assert_eq!(
        field,
        Some("Choice::Named.many"),
        "also outside the object's slot"
    );
}

#[test]
fn a_field_of_a_field_is_named_by_the_outer_one() {
    let field = field_of::<Outer<'static>>(|scope, dead| {
        let inner = wide(Edge::none(), Edge::to(dead));
        let boxed = Box::new(None);
        scope.root(scope.alloc(Outer { inner, boxed }))
    });
    assert_eq!(field, Some("Outer.inner"));
    let field = field_of::<Outer<'static>>(|scope, dead| {
        let inner = wide(Edge::none(), Edge::none());
        let boxed = Box::new(Some(Edge::to(dead)));
        scope.root(scope.alloc(Outer { inner, boxed }))
    });
    assert_eq!(field, Some("Outer.boxed"));
}

#[test]
fn items_of_slices_are_named_by_their_own_fields() {
    let field = field_of::<[Choice<'static>]>(|scope, dead| {
        let items = [Choice::Nothing, Choice::Tuple(1, dead)];
        scope.root(scope.alloc_slice(items))
    });
    assert_eq!(field, Some("Choice::Tuple.1"));
}

#[test]
fn a_holder_without_fields_is_named_by_its_type() {
    let field = field_of::<[Gc<'static, Node<'static>>]>(|scope, dead| {
        scope.root(scope.alloc_slice([dead]))
    });
    let field = field.unwrap();
    assert!(field.starts_with('[') && field.contains("Gc<"), "{field}");
}
