//! The graph whose marking and use are measured: items of 64 bytes, each with an edge to the next
//! one and an edge to any one, so that all of them are reachable and nothing is near to anything.

use gc_core::{Edge, Gc, Mutator, Root, Scope, Trace};

use crate::error::Error;
use crate::rng::Rng;

/// Items that a request can begin with.
const DOORS: usize = 4096;
/// Items of which a request leaves behind a chain, and steps that it walks before.
const CHAIN: u64 = 4;
const STEPS: usize = 8;

#[derive(Trace)]
pub(super) struct Item<'gc> {
    id: u64,
    next: Edge<'gc, Item<'gc>>,
    any: Edge<'gc, Item<'gc>>,
    /// What the last request at this item has left.
    left: Edge<'gc, Item<'gc>>,
    words: [u64; 4],
}

impl Item<'_> {
    fn new(id: u64) -> Self {
        Item {
            id,
            next: Edge::none(),
            any: Edge::none(),
            left: Edge::none(),
            words: [id; 4],
        }
    }
}

/// A graph, held by some of its items.
pub(super) struct Items(Root<[Edge<'static, Item<'static>>]>);

impl Items {
    /// A graph of so many mebibytes.
    pub(super) fn new(mutator: &mut Mutator, mib: usize, rng: &mut Rng) -> Result<Self, Error> {
        let count = (mib << 20) / size_of::<Item<'_>>();
        mutator.enter(|scope| {
            let items = (0..count as u64)
                .map(|id| scope.try_alloc(Item::new(id)))
                .collect::<Result<Vec<_>, _>>()?;
            for (at, item) in items.iter().enumerate() {
                item.next.set(scope, items[(at + 1) % count]);
                item.any.set(scope, items[rng.index(count)]);
            }
            let doors = (0..DOORS).map(|_| Edge::to(items[rng.index(count)]));
            Ok(Items(scope.root(scope.try_alloc_slice(doors)?)))
        })
    }

    /// What a service does with its data for one request: reads here and there, builds something,
    /// and leaves it where the last request left something. Answers a number that depends on all.
    pub(super) fn request(&self, scope: Scope<'_>, rng: &mut Rng) -> Result<u64, Error> {
        let doors = scope.get(&self.0)?;
        let mut sum = 0;
        let Some(door) = doors[rng.index(DOORS)].get() else {
            return Ok(sum);
        };
        let (mut at, mut ways) = (door, rng.next_u64());
        for _ in 0..STEPS {
            let way = if ways & 1 == 0 { &at.next } else { &at.any };
            ways >>= 1;
            at = way.get().unwrap_or(door);
            sum += at.id + at.words[0];
        }
        let mut chain: Option<Gc<'_, Item<'_>>> = None;
        for id in 0..CHAIN {
            let item = scope.try_alloc(Item::new(id))?;
            item.next.set(scope, chain);
            chain = Some(item);
        }
        door.left.set(scope, chain);
        Ok(sum)
    }
}
