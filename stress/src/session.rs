//! Sessions: what the service keeps for each connection, and what must not be damaged.
//!
//! A session is a managed graph: a ring of items that all lead back to it, each with a text. Every
//! change goes through edges, so the legitimate barrier works all the time beside the guilty one.
//!
//! The oracle's half is a [`Record`]: ids and content hashes in ordinary memory, changed by the
//! same operations. Invariant: the graph and its record say the same whenever no operation runs.

use std::collections::VecDeque;

use gc_core::{Edge, Gc, Scope, Trace};

use crate::audit::Audit;
use crate::error::Error;
use crate::hash::content_hash;
use crate::recorder;
use crate::rng::Rng;

/// Fewest and most items of a session.
const ITEMS_MIN: usize = 4;
const ITEMS_MAX: usize = 16;

/// The managed state of a connection.
#[derive(Trace)]
pub(crate) struct Session<'gc> {
    id: u64,
    user: Gc<'gc, str>,
    /// The newest item; the oldest one's `next` leads back here.
    items: Edge<'gc, Item<'gc>>,
}

/// One item of a session.
#[derive(Trace)]
struct Item<'gc> {
    id: u64,
    session: Gc<'gc, Session<'gc>>,
    text: Edge<'gc, str>,
    /// The next older item; the oldest leads to the newest, which closes the ring.
    next: Edge<'gc, Item<'gc>>,
}

/// What the oracle knows of an item.
struct ItemRecord {
    id: u64,
    text_hash: u64,
}

/// What the oracle knows of a session.
pub(crate) struct Record {
    id: u64,
    user_hash: u64,
    /// The newest first.
    items: VecDeque<ItemRecord>,
}

/// What recordings call the types: names, words, and which of these are pointers.
const SESSION: (&str, u32, &[u32]) = ("Session", 3, &[1, ITEMS]);
const ITEM: (&str, u32, &[u32]) = ("Item", 4, &[1, TEXT, NEXT]);
const ITEMS: u32 = 2;
const TEXT: u32 = 2;
const NEXT: u32 = 3;

/// Gives every object of a run a number of its own.
#[derive(Default)]
pub(crate) struct Ids {
    last: u64,
}

impl Ids {
    /// The numbers of one of many givers, each of which has four thousand million.
    pub(crate) fn of_giver(giver: u64) -> Self {
        Ids { last: giver << 32 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Opens a session with some items.
pub(crate) fn open<'gc>(
    scope: Scope<'gc>,
    rng: &mut Rng,
    ids: &mut Ids,
) -> Result<(Gc<'gc, Session<'gc>>, Record), Error> {
    let user = rng.text(6..=24);
    let id = ids.next();
    let mut record = Record {
        id,
        user_hash: content_hash(user.as_bytes()),
        items: VecDeque::new(),
    };
    let user = recorder::alloc_text(scope, &user)?;
    let session = scope.try_alloc(Session {
        id,
        user,
        items: Edge::none(),
    })?;
    recorder::object(session.address(), SESSION, &[(1, user.address())]);
    for _ in 0..rng.within(ITEMS_MIN as u64..=ITEMS_MAX as u64) {
        add(scope, session, &mut record, rng, ids)?;
    }
    Ok((session, record))
}

/// Changes a session in one way or another.
pub(crate) fn change<'gc>(
    scope: Scope<'gc>,
    session: Gc<'gc, Session<'gc>>,
    record: &mut Record,
    rng: &mut Rng,
    ids: &mut Ids,
) -> Result<(), Error> {
    match rng.below(4) {
        0 if record.items.len() < ITEMS_MAX => add(scope, session, record, rng, ids),
        1 if record.items.len() > ITEMS_MIN => {
            remove(scope, session, record);
            Ok(())
        }
        2 => {
            rotate(scope, session, record);
            Ok(())
        }
        _ => rewrite(scope, session, record, rng),
    }
}

/// The oldest item, which closes the ring. Looks at no more items than there should be.
fn oldest<'gc>(session: Gc<'gc, Session<'gc>>, record: &Record) -> Option<Gc<'gc, Item<'gc>>> {
    let mut item = session.items.get()?;
    for _ in 1..record.items.len() {
        item = item.next.get()?;
    }
    Some(item)
}

fn add<'gc>(
    scope: Scope<'gc>,
    session: Gc<'gc, Session<'gc>>,
    record: &mut Record,
    rng: &mut Rng,
    ids: &mut Ids,
) -> Result<(), Error> {
    let text = rng.text(8..=64);
    let id = ids.next();
    let next = Edge::from(session.items.get());
    let newest = session.items.get().map_or(0, Gc::address);
    let managed_text = recorder::alloc_text(scope, &text)?;
    let item = scope.try_alloc(Item {
        id,
        session,
        text: Edge::to(managed_text),
        next,
    })?;
    let fields = [
        (1, session.address()),
        (TEXT, managed_text.address()),
        (NEXT, newest),
    ];
    recorder::object(item.address(), ITEM, &fields);
    let oldest = oldest(session, record).unwrap_or(item);
    oldest.next.set(scope, item);
    recorder::set(oldest, NEXT, Some(item));
    session.items.set(scope, item);
    recorder::set(session, ITEMS, Some(item));
    record.items.push_front(ItemRecord {
        id,
        text_hash: content_hash(text.as_bytes()),
    });
    Ok(())
}

/// Drops the newest item.
fn remove<'gc>(scope: Scope<'gc>, session: Gc<'gc, Session<'gc>>, record: &mut Record) {
    if let Some(oldest) = oldest(session, record) {
        let second = session.items.get().and_then(|newest| newest.next.get());
        oldest.next.set(scope, second);
        recorder::set(oldest, NEXT, second);
        session.items.set(scope, second);
        recorder::set(session, ITEMS, second);
    }
    record.items.pop_front();
}

/// Makes the newest item the oldest one.
fn rotate<'gc>(scope: Scope<'gc>, session: Gc<'gc, Session<'gc>>, record: &mut Record) {
    let second = session.items.get().and_then(|newest| newest.next.get());
    session.items.set(scope, second);
    recorder::set(session, ITEMS, second);
    record.items.rotate_left(1);
}

/// Gives an item another text.
fn rewrite<'gc>(
    scope: Scope<'gc>,
    session: Gc<'gc, Session<'gc>>,
    record: &mut Record,
    rng: &mut Rng,
) -> Result<(), Error> {
    let (at, text) = (rng.index(record.items.len()), rng.text(8..=64));
    let mut item = session.items.get();
    for _ in 0..at {
        item = item.and_then(|item| item.next.get());
    }
    if let Some(item) = item {
        let text = recorder::alloc_text(scope, &text)?;
        item.text.set(scope, text);
        recorder::set(item, TEXT, Some(text));
    }
    record.items[at].text_hash = content_hash(text.as_bytes());
    Ok(())
}

/// Compares a session with its record: the session, its user, every item and every text.
pub(crate) fn audit<'gc>(session: Gc<'gc, Session<'gc>>, record: &Record) -> Audit {
    let mut audit = Audit::default();
    audit.book(session.id == record.id);
    audit.book(content_hash(session.user.as_bytes()) == record.user_hash);
    let mut item = session.items.get();
    for (seen, expected) in record.items.iter().enumerate() {
        let Some(found) = item else {
            audit.book_missing(2 * (record.items.len() - seen) as u64);
            return audit;
        };
        audit.book(found.id == expected.id && Gc::ptr_eq(found.session, session));
        let text = found.text.get();
        audit.book(text.is_some_and(|text| content_hash(text.as_bytes()) == expected.text_hash));
        item = found.next.get();
    }
    // Behind the oldest item the ring is closed.
    let newest = session.items.get();
    if newest.map(Gc::address) != item.map(Gc::address) {
        audit.damaged += 1;
    }
    audit
}

#[cfg(test)]
mod tests {
    use gc_core::{Driver, Heap};

    use super::*;

    #[test]
    fn a_session_says_what_its_record_says_whatever_is_changed() {
        let heap = Heap::builder()
            .driver(Driver::Manual)
            .reserve_bytes(1 << 26)
            .build()
            .unwrap();
        let (mut rng, mut ids) = (Rng::for_purpose(1, "test"), Ids::default());
        let mut mutator = heap.mutator();
        let (root, mut record) = mutator.enter(|scope| {
            let (session, record) = open(scope, &mut rng, &mut ids).unwrap();
            (scope.root(session), record)
        });
        for _ in 0..500 {
            heap.request_collect();
            heap.step(rng.index(200)).unwrap();
            mutator.enter(|scope| {
                let session = scope.get(&root).unwrap();
                change(scope, session, &mut record, &mut rng, &mut ids).unwrap();
                let expected = Audit {
                    checked: 2 + 2 * record.items.len() as u64,
                    damaged: 0,
                };
                assert_eq!(audit(session, &record), expected);
            });
        }
        heap.collect().unwrap();
        assert!(heap.verify().unwrap().is_clean());
    }

    #[test]
    fn the_oracle_notices_every_kind_of_damage() {
        let heap = Heap::builder().reserve_bytes(1 << 26).build().unwrap();
        let (mut rng, mut ids) = (Rng::for_purpose(2, "test"), Ids::default());
        heap.mutator().enter(|scope| {
            let (session, mut record) = open(scope, &mut rng, &mut ids).unwrap();
            let items = record.items.len();
            record.user_hash ^= 1;
            assert_eq!(audit(session, &record).damaged, 1);
            record.id += 1;
            assert_eq!(audit(session, &record).damaged, 2);
            record.items[items - 1].text_hash ^= 1;
            assert_eq!(audit(session, &record).damaged, 3);
            record.items[0].id += 1;
            assert_eq!(audit(session, &record).damaged, 4);
            let last = record.items.pop_back();
            assert_eq!(
                audit(session, &record).damaged,
                4,
                "the ring is longer than the record"
            );
            record.items.extend(last);
            session.items.set(scope, None);
            assert_eq!(audit(session, &record).damaged, 2 + 2 * items as u64);
        });
    }
}
