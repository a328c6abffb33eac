//! The large configuration struct: the source of the junk.
//!
//! A handler gets it by value: 64 pointer words in its own outgoing area, the very words that the
//! results of its lookups land in. Compiled code writes them by plain stores and reads them while
//! they are live, so nothing here is wrong. But the settings they lead to are a copy made for this
//! request: they die with it, are swept, and their addresses stay in the frame until the next
//! request of the same connection.
//!
//! Some settings are kept for a while after their request, as caches do. Their spans stay in use,
//! so the dead slots beside them are free slots; spans without a kept setting are freed whole.
//! What the oracle knows of the kept ones stands here too, outside the heap.

use std::collections::VecDeque;

use gc_core::{Gc, Root, RootError, Scope, Trace};

use crate::audit::Audit;
use crate::error::Error;
use crate::ops::Op;
use crate::recorder;
use crate::reflect::{Running, Slot, Value};
use crate::rng::Rng;

/// Pointer words of the struct.
pub(crate) const POINTER_WORDS: usize = 64;
/// Settings that share a section.
const SETTINGS_PER_SECTION: usize = 8;

/// One setting, as the request sees it.
#[derive(Trace)]
pub(crate) struct Setting<'gc> {
    id: u64,
    value: u64,
    section: Gc<'gc, Section>,
}

/// A group of settings.
#[derive(Trace)]
struct Section {
    id: u64,
    title: [u8; 24],
}

/// The value that the setting of an id must have, and the title that the section of an id must
/// have: what the oracle compares with, without having to remember it.
fn value_of(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

fn title_of(id: u64) -> [u8; 24] {
    core::array::from_fn(|index| (value_of(id) >> (index % 8 * 8)) as u8)
}

fn is_sound(setting: Gc<'_, Setting<'_>>, id: u64) -> bool {
    setting.id == id
        && setting.value == value_of(id)
        && setting.section.id == id / SETTINGS_PER_SECTION as u64
        && setting.section.title == title_of(setting.section.id)
}

/// Gives the struct of one request to the top frame by value, through its outgoing area, uses it,
/// and keeps some settings. `first_id` is the id of the first setting, a multiple of their number.
pub(crate) fn fetch(
    running: Running<'_, '_>,
    first_id: u64,
    keeper: &mut Keeper,
    audit: &mut Audit,
) -> Result<(), Error> {
    return_by_value(running, first_id)?;
    for word in 0..POINTER_WORDS {
        let setting = running.load(Slot::Outgoing(word))?;
        let setting = setting.downcast::<Setting<'static>>(running.scope())?;
        let id = first_id + word as u64;
        audit.book(is_sound(setting, id));
        keeper.consider(running.scope(), setting, id);
    }
    running.retire_outgoing(POINTER_WORDS)
}

/// The callee: makes the settings and writes the result into the words of its caller.
fn return_by_value(running: Running<'_, '_>, first_id: u64) -> Result<(), Error> {
    let made = recorder::tell_as_one(
        || make_settings(running, first_id),
        |recorder, made| Op::Fill {
            slot: running.place(Slot::Outgoing(0)) as u32,
            count: POINTER_WORDS as u32,
            first: recorder.numbers(made.as_deref().unwrap_or_default()),
            kind: recorder.kind("Setting", 3, &[2]),
            shared: Some((
                recorder.kind("Section", 4, &[]),
                SETTINGS_PER_SECTION as u32,
            )),
        },
    );
    made.map(drop)
}

/// Makes the settings in the words of the caller. Answers the addresses of everything that it made.
fn make_settings(running: Running<'_, '_>, first_id: u64) -> Result<Vec<usize>, Error> {
    let scope = running.scope();
    let (mut section, mut made) = (None, Vec::new());
    for word in 0..POINTER_WORDS {
        let id = first_id + word as u64;
        let section = match section {
            Some(section) if word % SETTINGS_PER_SECTION != 0 => section,
            _ => {
                let id = id / SETTINGS_PER_SECTION as u64;
                let new = scope.try_alloc(Section {
                    id,
                    title: title_of(id),
                })?;
                made.push(new.address());
                *section.insert(new)
            }
        };
        let setting = scope.try_alloc(Setting {
            id,
            value: value_of(id),
            section,
        })?;
        made.push(setting.address());
        running.store(Slot::Outgoing(word), Value::of(setting))?;
    }
    Ok(made)
}

/// A setting that outlives its request.
struct Kept {
    object: Root<Setting<'static>>,
    address: usize,
    id: u64,
    /// Requests of the keeper after which it is let go.
    until: u64,
}

/// Decides which settings are kept, and knows those that are.
pub(crate) struct Keeper {
    rng: Rng,
    kept: VecDeque<Kept>,
    requests: u64,
    /// Requests that a kept setting outlives.
    lifetime: u64,
    /// One request in so many keeps settings.
    one_request_in: u64,
    is_keeping: bool,
}

/// One setting in so many is kept, of a request that keeps any.
const ONE_SETTING_IN: u64 = 16;

impl Keeper {
    /// How much is kept and for how long differs from seed to seed: what is kept decides whether
    /// junk meets a free slot or a freed span.
    pub(crate) fn new(mut rng: Rng) -> Self {
        let lifetime = rng.within(64..=512);
        let one_request_in = 1 << rng.within(2..=8);
        Keeper {
            rng,
            kept: VecDeque::new(),
            requests: 0,
            lifetime,
            one_request_in,
            is_keeping: false,
        }
    }

    /// A request begins: lets go of what was kept long enough.
    pub(crate) fn begin_request(&mut self) {
        self.requests += 1;
        self.is_keeping = self.rng.one_in(self.one_request_in);
        while self
            .kept
            .front()
            .is_some_and(|kept| kept.until <= self.requests)
        {
            if let Some(kept) = self.kept.pop_front() {
                let Kept {
                    object, address, ..
                } = kept;
                drop(object);
                recorder::tell(|recorder| Op::Unroot {
                    object: recorder.known(address),
                });
            }
        }
    }

    fn consider<'gc>(&mut self, scope: Scope<'gc>, setting: Gc<'gc, Setting<'gc>>, id: u64) {
        if self.is_keeping && self.rng.one_in(ONE_SETTING_IN) {
            let until = self.requests + self.lifetime;
            self.kept.push_back(Kept {
                object: recorder::root(scope, setting),
                address: setting.address(),
                id,
                until,
            });
        }
    }

    /// Compares every kept setting and its section with what they must be.
    pub(crate) fn audit(&self, scope: Scope<'_>) -> Result<Audit, RootError> {
        let mut audit = Audit::default();
        for kept in &self.kept {
            audit.book(is_sound(scope.get(&kept.object)?, kept.id));
        }
        Ok(audit)
    }
}

#[cfg(test)]
mod tests {
    use gc_core::Heap;

    use super::*;

    #[test]
    fn the_oracle_knows_a_setting_from_its_id() {
        let heap = Heap::builder().reserve_bytes(1 << 26).build().unwrap();
        heap.mutator().enter(|scope| {
            let section = |id| {
                scope.alloc(Section {
                    id,
                    title: title_of(id),
                })
            };
            let setting = |id, value, section| scope.alloc(Setting { id, value, section });
            assert!(is_sound(setting(17, value_of(17), section(2)), 17));
            assert!(!is_sound(setting(17, value_of(17), section(2)), 18));
            assert!(!is_sound(setting(17, value_of(18), section(2)), 17));
            assert!(!is_sound(setting(17, value_of(17), section(3)), 17));
            let mistitled = scope.alloc(Section {
                id: 2,
                title: title_of(3),
            });
            assert!(!is_sound(setting(17, value_of(17), mistitled), 17));
        });
    }

    #[test]
    fn settings_are_kept_for_some_requests_and_then_let_go() {
        let heap = Heap::builder().reserve_bytes(1 << 26).build().unwrap();
        let mut keeper = Keeper::new(Rng::for_purpose(1, "test"));
        let requests = 20 * keeper.lifetime;
        let mut kept_max = 0;
        for request in 1..=requests {
            keeper.begin_request();
            heap.mutator().enter(|scope| {
                let section = scope.alloc(Section {
                    id: 0,
                    title: title_of(0),
                });
                let setting = scope.alloc(Setting {
                    id: 1,
                    value: value_of(1),
                    section,
                });
                keeper.consider(scope, setting, 1);
            });
            kept_max = kept_max.max(keeper.kept.len());
            assert!(keeper.kept.iter().all(|kept| kept.until > request));
        }
        assert!(kept_max > 0 && heap.stats().roots == keeper.kept.len());
        let audit = heap.mutator().enter(|scope| keeper.audit(scope)).unwrap();
        assert_eq!(
            audit,
            Audit {
                checked: keeper.kept.len() as u64,
                damaged: 0
            }
        );
    }
}
