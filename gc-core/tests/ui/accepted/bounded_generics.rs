//! Bounds on the parameters of a type hold for every brand.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::hash::{BuildHasher, Hash, RandomState};

use gc_core::{Gc, Heap, Root, Trace};

#[derive(Trace)]
struct Index<'gc, K: Ord + Display, V>
where
    V: Clone,
    Vec<V>: PartialEq,
{
    entries: BTreeMap<K, V>,
    owner: Gc<'gc, K>,
}

#[derive(Trace)]
struct Table<'gc, K: Eq + Hash, V, S: BuildHasher + Send + 'static = RandomState> {
    entries: HashMap<K, Gc<'gc, V>, S>,
}

#[derive(Trace)]
struct Hashed<K, S>
where
    S: Send + 'static,
{
    keys: Vec<K>,
    #[trace(leaf)]
    hasher: S,
}

#[derive(Trace)]
struct Counter<T: 'static + Send> {
    cell: std::cell::RefCell<T>,
}

trait Branded<'gc> {}
impl<'gc> Branded<'gc> for Gc<'gc, u32> {}

#[derive(Trace)]
struct Tagged<'gc, T: Branded<'gc> + 'gc> {
    item: T,
    tag: Gc<'gc, u32>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    let index: Root<Index<'static, String, u8>> = mutator.enter(|scope| {
        let owner = scope.alloc(String::from("owner"));
        scope.root(scope.alloc(Index {
            entries: BTreeMap::from([(String::from("key"), 1_u8)]),
            owner,
        }))
    });
    let table: Root<Table<'static, u8, String>> = mutator.enter(|scope| {
        let value = scope.alloc(String::from("value"));
        scope.root(scope.alloc(Table {
            entries: HashMap::from([(1_u8, value)]),
        }))
    });
    let hashed: Root<Hashed<u8, RandomState>> = mutator.enter(|scope| {
        scope.root(scope.alloc(Hashed {
            keys: vec![1_u8],
            hasher: RandomState::new(),
        }))
    });
    let tagged: Root<Tagged<'static, Gc<'static, u32>>> = mutator.enter(|scope| {
        let number = scope.alloc(7);
        scope.root(scope.alloc(Tagged {
            item: number,
            tag: number,
        }))
    });
    let counter = mutator.enter(|scope| {
        scope.root(scope.alloc(Counter {
            cell: vec![1].into(),
        }))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let index = scope.get(&index).unwrap();
        assert_eq!((index.owner.as_str(), index.entries["key"]), ("owner", 1));
        assert_eq!(scope.get(&table).unwrap().entries[&1].as_str(), "value");
        let hashed = scope.get(&hashed).unwrap();
        assert_eq!(
            (hashed.keys.len(), hashed.hasher.hash_one(1) == 0),
            (1, false)
        );
        let tagged = scope.get(&tagged).unwrap();
        assert!(Gc::ptr_eq(tagged.item, tagged.tag));
        scope.get(&counter).unwrap().cell.borrow_mut().push(2);
    });
}
