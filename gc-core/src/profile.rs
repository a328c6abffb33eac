//! Which places in the source allocate how much: sampled allocations, as a profile for pprof.
//!
//! A mutator's run stops at the slot that is to be sampled, at a distance in bytes that is drawn anew
//! each time, so that the fast path of allocation counts nothing and no pattern of the program falls in
//! with the samples. The slow path then comes by here. Each sample stands for as many objects as it
//! takes on the average to be drawn. At each flip, before anything can be freed, those that are dead
//! are no longer in use. Invariants: a heap that samples nothing has no profile; nothing here moves
//! an object or decides anything. Deliberately absent: stacks; a place is one line, that of the
//! caller of the allocation function.

use core::panic::Location;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use gc_hooks::sync::{Mutex, MutexGuard};
use gc_sweep::{Kept, Space, StateByte};

use crate::local::Local;
use crate::types::{Types, Wanted};

mod encode;

use encode::Message;

/// The profile could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The builder was not asked to [sample allocations](crate::Builder::profile_one_in_bytes).
    #[error("the heap samples no allocations: ask for it with `Builder::profile_one_in_bytes`")]
    NotSampled,
    /// The writer said no.
    #[error("the profile could not be written: {0}")]
    Write(#[from] io::Error),
}

/// A place in the source and the type it allocates, by type index.
type Site = (&'static Location<'static>, u32);

/// Objects and their bytes, estimated.
#[derive(Clone, Copy, Default)]
struct Amount {
    objects: f64,
    bytes: f64,
}

impl Amount {
    fn add(&mut self, other: Amount) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// An object that was sampled and may be alive.
struct Live {
    site: Site,
    amount: Amount,
    /// The cycle in progress, or the last one, when it was sampled.
    cycle: u32,
}

#[derive(Default)]
struct Book {
    allocated: HashMap<Site, Amount>,
    /// By address.
    live: HashMap<usize, Live>,
}

/// See the module.
pub(crate) struct Profile {
    one_in_bytes: usize,
    /// State of the generator of distances (SplitMix64).
    random: AtomicU64,
    book: Mutex<Book>,
}

impl Profile {
    /// A profile of one allocation in so many bytes; none for zero.
    pub(crate) fn sampled(one_in_bytes: usize) -> Option<Self> {
        (one_in_bytes != 0).then(|| Profile {
            one_in_bytes,
            random: AtomicU64::new(0),
            book: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes to the next sample: exponentially distributed, so that any moment may begin anew.
    fn distance(&self) -> usize {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self
            .random
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // In (0, 1], of 53 bits.
        let share = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        (-share.ln() * self.one_in_bytes as f64) as usize
    }

    /// A slow path has a slot that is not published yet: samples it if it is due, and draws the next one.
    #[cold]
    pub(crate) fn look(
        &self,
        space: &Space,
        cycle: u32,
        local: &Local,
        wanted: Wanted,
        address: usize,
        call_site: &'static Location<'static>,
    ) {
        let Some(span) = space.span_of(address) else {
            return;
        };
        let slot_bytes = span.slot_bytes();
        let is_due = match wanted {
            Wanted::Large(_) => self.distance() < slot_bytes,
            Wanted::Class(class) => local.with_run(class, |run| {
                let mut is_due = run.has_stopped();
                if !run.is_sampled() {
                    let mut distance = self.distance();
                    if !is_due {
                        // A new lease: this slot comes before what is ahead.
                        is_due = distance < slot_bytes;
                        distance = match distance.checked_sub(slot_bytes) {
                            Some(left) => left,
                            None => self.distance(),
                        };
                    }
                    run.sample_after(distance);
                }
                is_due
            }),
        };
        if is_due {
            let site = (call_site, span.type_index());
            self.note(site, address, slot_bytes, cycle);
        }
    }

    fn note(&self, site: Site, address: usize, slot_bytes: usize, cycle: u32) {
        // How likely an object of this size is to be drawn.
        let likely = -(-(slot_bytes as f64) / self.one_in_bytes as f64).exp_m1();
        let amount = Amount {
            objects: 1.0 / likely,
            bytes: slot_bytes as f64 / likely,
        };
        let mut book = self.lock();
        book.allocated.entry(site).or_default().add(amount);
        let live = Live {
            site,
            amount,
            cycle,
        };
        book.live.insert(address, live);
    }

    /// Between termination and flip: what is not marked is in use no more. A slot that was handed out in
    /// this cycle and is not published yet is no object so far.
    pub(crate) fn forget_dead(&self, cycle: u32, kept: Kept, state: impl Fn(usize) -> StateByte) {
        self.lock().live.retain(|&address, live| {
            let byte = state(address);
            kept.has(byte) || !byte.is_object() && live.cycle == cycle
        });
    }

    /// The profile as a protocol buffer (`profile.proto` of pprof).
    pub(crate) fn encode(&self, types: &Types) -> Vec<u8> {
        let sites = self.sites(types);
        let mut strings = Strings::default();
        let mut profile = Message::default();
        for (name, unit) in [
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ] {
            profile.message(1, &strings.value_type(name, unit));
        }
        let mut places = BTreeMap::new();
        for ((file, line, name), (allocated, live)) in sites {
            let next = places.len() as u64 + 1;
            let place = *places.entry((file, line)).or_insert(next);
            let mut label = Message::default();
            label.number(1, strings.number("type"));
            label.number(2, strings.number(name));
            let mut sample = Message::default();
            sample.packed(1, &[place]);
            let amounts = [allocated.objects, allocated.bytes, live.objects, live.bytes];
            sample.packed(2, &amounts.map(|amount| amount.round() as u64));
            sample.message(3, &label);
            profile.message(2, &sample);
        }
        for ((file, line), id) in places {
            let mut at = Message::default();
            at.number(1, id);
            at.number(2, u64::from(line));
            let mut location = Message::default();
            location.number(1, id);
            location.message(4, &at);
            profile.message(4, &location);
            let mut function = Message::default();
            function.number(1, id);
            function.number(2, strings.number(&format!("{file}:{line}")));
            function.number(4, strings.number(file));
            function.number(5, u64::from(line));
            profile.message(5, &function);
        }
        profile.message(11, &strings.value_type("space", "bytes"));
        profile.number(12, self.one_in_bytes as u64);
        profile.number(14, strings.number("inuse_space"));
        strings.list.insert(0, String::new());
        strings
            .list
            .iter()
            .for_each(|string| profile.bytes(6, string.as_bytes()));
        profile.into_bytes()
    }

    /// What each place allocated, and what of it is in use: by file, line and type.
    fn sites(
        &self,
        types: &Types,
    ) -> BTreeMap<(&'static str, u32, &'static str), (Amount, Amount)> {
        let book = self.lock();
        let mut sites: BTreeMap<_, (Amount, Amount)> = BTreeMap::new();
        let key = |(place, type_index): Site| {
            let name = types.get(type_index).map_or("", |entry| entry.name());
            (place.file(), place.line(), name)
        };
        for (&site, &amount) in &book.allocated {
            sites.entry(key(site)).or_default().0.add(amount);
        }
        for live in book.live.values() {
            sites.entry(key(live.site)).or_default().1.add(live.amount);
        }
        sites
    }
}

/// The table of strings, but for the empty one at its beginning.
#[derive(Default)]
struct Strings {
    list: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Strings {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(&known) = self.numbers.get(text) {
            return known;
        }
        self.list.push(text.to_string());
        let number = self.list.len() as u64;
        self.numbers.insert(text.to_string(), number);
        number
    }

    fn value_type(&mut self, name: &str, unit: &str) -> Message {
        let mut message = Message::default();
        message.number(1, self.number(name));
        message.number(2, self.number(unit));
        message
    }
}
