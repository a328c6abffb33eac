//! Types that own themselves, with and without a brand, and types that own each other under a
//! brand.

use std::collections::BTreeMap;

use gc_core::{Edge, Gc, Heap, Trace};

#[derive(Trace)]
enum Json {
    Null,
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
    Boxed(Option<Box<Self>>),
}

#[derive(Trace)]
struct Tree<T> {
    item: T,
    children: Vec<Tree<T>>,
}

#[derive(Trace)]
struct Folder<'gc> {
    files: Vec<File<'gc>>,
    parent: Edge<'gc, Folder<'gc>>,
}

#[derive(Trace)]
struct File<'gc> {
    shadowed: Option<Box<Folder<'gc>>>,
    content: Gc<'gc, Json>,
}

fn main() {
    const {
        assert!(!Json::MAY_HOLD_GC);
        assert!(!<Tree<Json> as Trace>::MAY_HOLD_GC);
        assert!(<Tree<Gc<'static, u8>> as Trace>::MAY_HOLD_GC);
        assert!(<Folder<'static> as Trace>::MAY_HOLD_GC);
    }
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let object = BTreeMap::from([(
            String::from("key"),
            Json::List(vec![Json::Null, Json::Boxed(None)]),
        )]);
        let json = scope.alloc(Json::List(vec![
            Json::Object(object),
            Json::Text(String::from("text")),
        ]));
        let file = || File {
            shadowed: None,
            content: json,
        };
        let shadowed = Folder {
            files: vec![file()],
            parent: Edge::none(),
        };
        let file = File {
            shadowed: Some(Box::new(shadowed)),
            ..file()
        };
        let folder = scope.alloc(Folder {
            files: vec![file],
            parent: Edge::none(),
        });
        folder.parent.set(scope, folder);
        scope.root(scope.alloc(Tree {
            item: folder,
            children: vec![Tree {
                item: folder,
                children: Vec::new(),
            }],
        }))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let tree = scope.get(&root).unwrap();
        let folder = tree.children[0].item;
        assert!(Gc::ptr_eq(folder.parent.get().unwrap(), tree.item));
        let shadowed = folder.files[0].shadowed.as_ref().unwrap();
        assert!(matches!(&*shadowed.files[0].content, Json::List(items) if items.len() == 2));
    });
}
