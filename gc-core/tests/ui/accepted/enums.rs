//! Enums with every kind of variant, matched by the user and by the derive.

use gc_core::{Edge, Gc, Heap, Trace};

#[derive(Trace, Clone, Copy)]
enum Value<'gc> {
    Nil,
    Number(f64),
    Text(Gc<'gc, str>),
    Pair {
        head: Gc<'gc, Value<'gc>>,
        tail: Option<Gc<'gc, Value<'gc>>>,
    },
}

#[derive(Trace)]
enum Statement<'gc> {
    Block(Vec<Statement<'gc>>),
    Assign(String, Box<Expression<'gc>>),
    Jump(Edge<'gc, Statement<'gc>>),
}

#[derive(Trace)]
enum Expression<'gc> {
    Constant(Value<'gc>),
    Closure(Box<Statement<'gc>>),
}

#[derive(Trace)]
enum Never {}

#[derive(Trace)]
#[repr(u8)]
enum Code {
    One = 1,
    Two = 2,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let text = Value::Text(scope.alloc_str("text"));
        let pair = Value::Pair {
            head: scope.alloc(text),
            tail: Some(scope.alloc(Value::Number(0.5))),
        };
        let assign = Statement::Assign(String::from("x"), Box::new(Expression::Constant(pair)));
        let jump = Statement::Jump(Edge::to(scope.alloc(Statement::Block(Vec::new()))));
        let inner = Box::new(Statement::Block(vec![assign, jump]));
        let closure = Statement::Assign(String::from("f"), Box::new(Expression::Closure(inner)));
        scope.root(scope.alloc(closure))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        scope.alloc_slice([Value::Nil]);
        scope.alloc_slice(Vec::<Never>::new());
        scope.alloc_slice([Code::One, Code::Two]);
        let Statement::Assign(name, expression) = scope.get(&root).unwrap().as_ref() else {
            panic!("an assignment")
        };
        assert_eq!(name, "f");
        let Expression::Closure(inner) = &**expression else {
            panic!("a closure")
        };
        let Statement::Block(statements) = &**inner else {
            panic!("a block")
        };
        let Statement::Assign(_, constant) = &statements[0] else {
            panic!("an assignment")
        };
        let Expression::Constant(Value::Pair { head, .. }) = &**constant else {
            panic!("a pair")
        };
        assert!(matches!(**head, Value::Text(text) if &*text == "text"));
    });
}
