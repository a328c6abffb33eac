//! `At<'a>` and `MAY_HOLD_GC` are what they should be.

use std::collections::BTreeMap;

use gc_core::{Edge, Trace};

use crate::drops::Guard;
use crate::fields::{Fan, List, Named, Pair, Tree, Wrapper};
use crate::payload::{Held, Payload, manual_heap};

#[derive(Trace)]
enum Json {
    Null,
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

#[test]
fn types_without_a_way_to_a_gc_are_never_scanned() {
    const {
        assert!(!Payload::MAY_HOLD_GC);
        assert!(!Guard::MAY_HOLD_GC);
        assert!(!Json::MAY_HOLD_GC);
        assert!(!<Wrapper<Json> as Trace>::MAY_HOLD_GC);
        assert!(!<Fan<Tree<Json>, 2> as Trace>::MAY_HOLD_GC);
        assert!(<Wrapper<Held<'static>> as Trace>::MAY_HOLD_GC);
        assert!(<Fan<Tree<Held<'static>>, 2> as Trace>::MAY_HOLD_GC);
        assert!(<Named<'static> as Trace>::MAY_HOLD_GC);
    }
    let heap = manual_heap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let text = Json::Text(String::from("text"));
        let object = Json::Object(BTreeMap::from([(String::from("key"), text)]));
        scope.root(scope.alloc(Json::List(vec![Json::Null, object])))
    });
    heap.collect().expect("a collection");
    mutator.enter(|scope| {
        let Json::List(items) = scope.get(&root).expect("our own root").as_ref() else {
            panic!("a list was stored");
        };
        assert!(matches!(&items[1], Json::Object(object) if matches!(&object["key"], Json::Text(text) if text == "text")));
    });
}

/// Compiles only because each `At` is what it should be.
#[test]
fn a_family_is_the_same_type_under_another_brand() {
    type Item<'gc> = Option<Held<'gc>>;
    fn rebranded<'a>(list: <List<'static, Item<'static>> as Trace>::At<'a>) -> List<'a, Item<'a>> {
        list
    }
    fn twice<'a>(
        tree: <<Tree<Item<'static>> as Trace>::At<'static> as Trace>::At<'a>,
    ) -> Tree<Item<'a>> {
        tree
    }
    fn of_any_parameter<'a, T: Trace>(
        pair: <Pair<'static, T, u8> as Trace>::At<'a>,
    ) -> Pair<'a, T::At<'a>, u8> {
        pair
    }
    assert!(
        rebranded(List {
            next: Edge::none(),
            item: None
        })
        .item
        .is_none()
    );
    assert!(
        twice(Tree {
            item: None,
            branches: Vec::new()
        })
        .branches
        .is_empty()
    );
    let heap = manual_heap();
    heap.mutator().enter(|scope| {
        let pair = Pair {
            a: scope.alloc(1_u8),
            b: 2_u8,
        };
        assert_eq!(*of_any_parameter::<u8>(pair).a, 1);
    });
}
