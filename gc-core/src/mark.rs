//! The marker: from grey objects to everything they reach, in steps.
//!
//! The coordinator runs one under the cycle's lock; helpers (collector threads, assisting mutators)
//! run others beside it, behind the gate. Mutators feed all of them through their deques. A marker
//! with much to do gives packets of addresses away when another one is hungry. In front of the mark
//! stack stands a first-in-first-out queue of prefetched addresses: with 64 entries the cache miss of
//! an object overlaps with the scans of those before it (a random graph of 1 GiB takes a fifth less time
//! than with 32; in the prototype 13 ns an object against 161 ns without a queue). An object is marked
//! when it leaves the queue.
//!
//! Invariants: an address on the stack or in the queue is either unchecked, in which case its
//! state byte decides when it leaves the queue, or zero is never among them. Of several markers that
//! reach an object at once, the one whose compare-exchange marks it scans it. The stack is on the
//! heap and grows with the graph, so a long chain needs one entry and no recursion. Long slices are
//! scanned in pieces.

use std::sync::atomic::Ordering;

use crossbeam_deque::Steal;
#[cfg(feature = "fault-inject")]
use gc_hooks::Check;
use gc_hooks::sync::point;
use gc_hooks::{CheckLevel, Origin};
use gc_sweep::{Colour, Span, StateByte};

use crate::ephemeron::Pending;
#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::grey::Grey;
use crate::object;
#[cfg(feature = "fault-inject")]
use crate::scan;
use crate::scan::{KnownScans, Scanned, Trust};
use crate::shared::{Shared, Source};
use crate::world::KnownRecords;

/// Entries of the queue of prefetched addresses; a power of two. See the head for the reason.
const QUEUE_ENTRIES: usize = 64;
/// Work units between two looks whether somebody is hungry.
const UNITS_A_LOOK: usize = 64;
/// Addresses on the stack from which on a marker gives half of them away, up to so many at a time.
const SHARED_FROM: usize = 256;
const PACKET_ADDRESSES_MAX: usize = 4096;

/// Whether there is work left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Drained {
    /// No grey object anywhere the marker can see.
    Dry,
    /// The budget is used up.
    Budget,
}

/// A long slice whose scan is not finished.
struct Piece {
    address: usize,
    from: usize,
}

/// The marker's private work and its counts for the cycle.
pub(crate) struct Marker {
    /// The colour of what the cycle marks.
    colour: Colour,
    stack: Vec<usize>,
    queue: [usize; QUEUE_ENTRIES],
    head: usize,
    queued: usize,
    pieces: Vec<Piece>,
    known: KnownRecords,
    scans: KnownScans,
    /// That of the heap's checks, taken anew by each [`Marker::drain`].
    trust: Trust,
    objects_marked: u64,
    bytes_marked: u64,
}

impl Marker {
    pub(crate) fn new(colour: Colour) -> Self {
        Marker {
            colour,
            stack: Vec::new(),
            queue: [0; QUEUE_ENTRIES],
            head: 0,
            queued: 0,
            pieces: Vec::new(),
            known: KnownRecords::default(),
            scans: KnownScans::default(),
            trust: Trust::Sealed,
            objects_marked: 0,
            bytes_marked: 0,
        }
    }

    /// Forgets all private work, as a new or a voided cycle does, and takes the cycle's colour.
    pub(crate) fn reset(&mut self, colour: Colour) {
        self.colour = colour;
        self.stack.clear();
        self.pieces.clear();
        (self.head, self.queued) = (0, 0);
        (self.objects_marked, self.bytes_marked) = (0, 0);
    }

    /// Marks until nothing grey is left or `budget` objects were visited; takes what it used.
    ///
    /// `pending` is told of every object marked, when ephemerons wait for their keys.
    pub(crate) fn drain(
        &mut self,
        shared: &Shared,
        budget: &mut usize,
        mut pending: Option<&mut Pending>,
    ) -> Drained {
        // A mutator that registers meanwhile is seen by the next call; termination looks afresh.
        shared.world.renew(&mut self.known);
        self.trust = if shared.checks.level() == CheckLevel::Paranoid {
            Trust::Sealed
        } else {
            Trust::Registered
        };
        let mut units = *budget;
        let drained = loop {
            if units == 0 {
                break Drained::Budget;
            }
            units -= 1;
            let marked = match self.next_queued(shared) {
                Some(address) => self.visit(shared, address),
                None => match self.find_work(shared) {
                    Some(marked) => marked,
                    None => break Drained::Dry,
                },
            };
            if let Some(pending) = &mut pending
                && let Some(address) = marked
            {
                self.stack.extend(pending.on_marked(shared, address));
            }
            if units.is_multiple_of(UNITS_A_LOOK) {
                self.share(shared);
            }
        };
        *budget = units;
        shared
            .progress
            .add_marked(self.objects_marked, self.bytes_marked);
        (self.objects_marked, self.bytes_marked) = (0, 0);
        drained
    }

    /// Does the next piece of work that is not in the queue, and answers the object marked by it, if
    /// any. `None` when there is no more work.
    #[inline(never)]
    fn find_work(&mut self, shared: &Shared) -> Option<Option<usize>> {
        if let Some(piece) = self.pieces.pop() {
            self.scan_apart(shared, piece.address, piece.from);
            return Some(None);
        }
        if let Some(object) = self.steal(shared) {
            return Some(self.visit_grey(shared, object));
        }
        self.steal_packet(shared).then_some(None)
    }

    /// Gives all private work away, as a helper does before it leaves.
    pub(crate) fn give_all(&mut self, shared: &Shared) {
        while !self.pieces.is_empty() {
            // A piece is what comes first when the queue and the stack are left alone.
            self.find_work(shared);
        }
        while self.queued > 0 {
            self.stack.push(self.queue[self.head]);
            self.head = (self.head + 1) % QUEUE_ENTRIES;
            self.queued -= 1;
        }
        if !self.stack.is_empty() {
            point();
            shared.packets.push(core::mem::take(&mut self.stack));
        }
    }

    /// Gives a packet away when another marker is hungry. It comes from the bottom of the stack, where
    /// what was found first leads to the most.
    #[inline(never)]
    fn share(&mut self, shared: &Shared) {
        if shared.hungry.load(Ordering::Relaxed) == 0 || self.stack.len() < SHARED_FROM {
            return;
        }
        let addresses = (self.stack.len() / 2).min(PACKET_ADDRESSES_MAX);
        let packet = (0..addresses).map(|at| self.stack.swap_remove(at));
        shared.packets.push(packet.collect());
    }

    /// The oldest prefetched address. The queue is full as long as the stack has something for it.
    #[inline]
    fn next_queued(&mut self, shared: &Shared) -> Option<usize> {
        if self.queued < QUEUE_ENTRIES {
            self.fill_queue(shared);
        }
        let at = self.head % QUEUE_ENTRIES;
        let address = self.queue[at];
        if self.queued == QUEUE_ENTRIES
            && let Some(next) = self.stack.pop()
        {
            ask_for(shared, next);
            self.queue[at] = next;
        } else if self.queued > 0 {
            self.queued -= 1;
        } else {
            return None;
        }
        self.head = (at + 1) % QUEUE_ENTRIES;
        Some(address)
    }

    fn fill_queue(&mut self, shared: &Shared) {
        while self.queued < QUEUE_ENTRIES
            && let Some(address) = self.stack.pop()
        {
            ask_for(shared, address);
            self.queue[(self.head + self.queued) % QUEUE_ENTRIES] = address;
            self.queued += 1;
        }
    }

    /// Marks and scans an object found by scanning, unless it is marked already. Answers the object
    /// if it was marked here.
    #[inline]
    fn visit(&mut self, shared: &Shared, address: usize) -> Option<usize> {
        let (cell, colour) = (shared.space.states().at(address), self.colour);
        let Some((cell, byte)) = cell
            .map(|cell| (cell, cell.load()))
            .filter(|(_, byte)| byte.is_object())
        else {
            shared.refuse(address, Source::of(Origin::Scan));
            return None;
        };
        if byte.has_colour(colour) {
            return None;
        }
        #[cfg(feature = "fault-inject")]
        if shared.hooks.strikes(Site::EdgeUnseen) {
            return None;
        }
        if cell.mark(byte, colour) {
            #[cfg(feature = "fault-inject")]
            if shared.hooks.strikes(Site::GreyLost) {
                return Some(address);
            }
            self.scan(shared, address, 0);
            return Some(address);
        }
        None
    }

    /// Scans an object that a barrier or a root shaded: it is marked already, or about to be. Its
    /// byte is looked at again, since a slot may have been freed between a check and its mark.
    fn visit_grey(&mut self, shared: &Shared, object: Grey) -> Option<usize> {
        let address = object.address();
        let byte: StateByte = shared.state(address);
        if !byte.is_object() {
            shared.refuse(address, Source::of(object.origin()));
            return None;
        }
        shared.space.states().mark(address, byte, self.colour);
        self.scan_apart(shared, address, 0);
        Some(address)
    }

    /// As [`Marker::scan`], outside the loop over the queue, where it stays in line.
    #[inline(never)]
    fn scan_apart(&mut self, shared: &Shared, address: usize, from: usize) {
        self.scan(shared, address, from);
    }

    /// Scans an object, or the rest of a long slice.
    #[inline(always)]
    fn scan(&mut self, shared: &Shared, address: usize, from: usize) {
        let Some(span) = shared.space.span_of(address) else {
            return;
        };
        if from == 0 {
            self.objects_marked += 1;
            self.bytes_marked += span.slot_bytes() as u64;
        }
        if span.is_pointer_free() {
            return;
        }
        let first_child = self.stack.len();
        let trust = self.trust;
        #[cfg(feature = "fault-inject")]
        let trust = scan::blinded(shared.hooks.is_blind(Check::Descriptor), trust);
        let (types, found) = (&shared.types, &mut self.stack);
        match self.scans.scan(types, span, address, from, trust, found) {
            Scanned::Whole => {}
            Scanned::Until(next) => self.pieces.push(Piece {
                address,
                from: next,
            }),
            Scanned::NoDescriptor => self.scan_doubtful(shared, span, address, from, trust),
        }
        if self.trust == Trust::Sealed {
            self.check_children(shared, address, first_child);
        }
    }

    /// Scans an object again whose span names no registered type, or whose shape is broken.
    #[cold]
    #[inline(never)]
    fn scan_doubtful(
        &mut self,
        shared: &Shared,
        span: &Span,
        address: usize,
        from: usize,
        trust: Trust,
    ) {
        match shared.scan_doubtful(span, address, from, trust, &mut self.stack) {
            Scanned::Until(from) => self.pieces.push(Piece { address, from }),
            Scanned::Whole | Scanned::NoDescriptor => {}
        }
    }

    /// Looks at what a scan found while its holder is still known, so that the report names it.
    fn check_children(&mut self, shared: &Shared, holder: usize, first_child: usize) {
        let mut at = first_child;
        while let Some(&child) = self.stack.get(at) {
            if shared.state(child).is_object() {
                at += 1;
            } else {
                self.stack.swap_remove(at);
                shared.refuse(
                    child,
                    Source {
                        origin: Origin::Scan,
                        holder: Some(holder),
                        call_site: None,
                    },
                );
            }
        }
    }

    /// One grey object from the injector or from a mutator's deque.
    fn steal(&mut self, shared: &Shared) -> Option<Grey> {
        point();
        steal_from(|| shared.injector.steal()).or_else(|| {
            let mut records = self.known.records.iter();
            records.find_map(|record| steal_from(|| record.stealer.steal()))
        })
    }

    /// Takes over a packet that another marker gave away.
    fn steal_packet(&mut self, shared: &Shared) -> bool {
        point();
        match steal_from(|| shared.packets.steal()) {
            Some(packet) if self.stack.is_empty() => {
                self.stack = packet;
                true
            }
            Some(packet) => {
                self.stack.extend(packet);
                true
            }
            None => false,
        }
    }
}

/// Asks the processor for an object's first line and for its state byte.
#[inline]
fn ask_for(shared: &Shared, address: usize) {
    object::prefetch(address);
    if let Some(byte) = shared.space.states().byte(address) {
        object::prefetch(core::ptr::from_ref(byte).addr());
    }
}

/// Steals until the answer is certain: a race lost to another thief says nothing.
fn steal_from<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => core::hint::spin_loop(),
        }
    }
}

/// Whether no grey object waits in any deque or queue. Looks at each once, while no mutator joins or
/// leaves.
pub(crate) fn is_dry(shared: &Shared) -> bool {
    point();
    shared.world.with_records(|records| {
        shared.injector.is_empty()
            && shared.packets.is_empty()
            && records.iter().all(|record| record.stealer.is_empty())
    })
}

#[cfg(all(test, loom))]
mod tests;
