//! What each stroke writes: one thing at a time, past its owner, keeping nothing else in step.
//!
//! Called through [`Stroke::strike`](super::Stroke::strike) on the thread that drives the heap, with
//! the mutator out of `enter`. Each answers whether there was anything to break. Deliberately absent:
//! any repair, and any look at what the heap makes of it.
#![allow(unsafe_code)]

use gc_sweep::fault::RecordField;
use gc_sweep::{Found, GRANULE_BYTES, PAGE_BYTES, Place, StateByte};

use super::Planted;
use super::class::Bench;
use crate::edge::Edge;
use crate::gc::Gc;
use crate::local::Unbarriered;
use crate::object::slot_pointer;
use crate::raw::{self, RawGc};
use crate::scope::Scope;

// ---- Pointers ----

/// Makes a reachable object with an edge to `address`.
fn plant(bench: &mut Bench<'_>, address: usize) -> bool {
    bench.kept = bench.mutator.enter(|scope| {
        // SAFETY: the pointer goes into an edge that nobody reads but the collector, which takes
        // no edge's word for it.
        let forged: Gc<'_, Planted<'_>> = unsafe { Gc::from_address(address) };
        let planted = scope.try_alloc(Planted {
            edge: Edge::to(forged),
        });
        planted.ok().map(|planted| scope.root(planted))
    });
    bench.kept.is_some()
}

fn place(bench: &Bench<'_>) -> Option<Place> {
    match bench.heap.locate(bench.at) {
        Found::Object(place) | Found::FreeSlot { place, .. } => Some(place),
        _ => None,
    }
}

pub(super) fn edge_to_free_slot(bench: &mut Bench<'_>) -> bool {
    let is_free = matches!(bench.heap.locate(bench.at), Found::FreeSlot { .. });
    is_free && plant(bench, bench.at)
}

/// As bug 30041: the barrier is told an old value that was never valid there.
pub(super) fn barrier_of_free_slot(bench: &mut Bench<'_>) -> bool {
    let is_free = matches!(bench.heap.locate(bench.at), Found::FreeSlot { .. });
    let stale = RawGc::from_word(bench.at);
    // SAFETY: deliberately broken: the barrier looks at the address and never follows it.
    bench
        .mutator
        .enter(|scope| unsafe { raw::barrier(scope, stale, None) });
    is_free
}

pub(super) fn edge_to_other_object(bench: &mut Bench<'_>) -> bool {
    plant(bench, bench.at)
}

pub(super) fn edge_to_unallocated_page(bench: &mut Bench<'_>) -> bool {
    let space = &bench.heap.shared().space;
    let last_page = space.base() + space.reserve_bytes() - PAGE_BYTES;
    plant(bench, last_page)
}

pub(super) fn edge_below_the_heap(bench: &mut Bench<'_>) -> bool {
    let below = bench.heap.shared().space.base() - PAGE_BYTES;
    plant(bench, below)
}

pub(super) fn edge_behind_the_heap(bench: &mut Bench<'_>) -> bool {
    let space = &bench.heap.shared().space;
    let behind = space.base() + space.reserve_bytes() + PAGE_BYTES;
    plant(bench, behind)
}

pub(super) fn edge_into_object(bench: &mut Bench<'_>) -> bool {
    let is_long = place(bench).is_some_and(|place| place.slot_bytes > GRANULE_BYTES);
    is_long && plant(bench, bench.at + GRANULE_BYTES)
}

pub(super) fn edge_past_object(bench: &mut Bench<'_>) -> bool {
    match place(bench) {
        Some(place) => plant(bench, bench.at + place.slot_bytes),
        None => false,
    }
}

pub(super) fn edge_with_tag(bench: &mut Bench<'_>) -> bool {
    plant(bench, bench.at | 1)
}

pub(super) fn edge_off_by_a_word(bench: &mut Bench<'_>) -> bool {
    plant(bench, bench.at + size_of::<usize>())
}

pub(super) fn edge_of_small_number(bench: &mut Bench<'_>) -> bool {
    plant(bench, GRANULE_BYTES)
}

pub(super) fn edge_not_canonical(bench: &mut Bench<'_>) -> bool {
    plant(bench, 0x8000_0000_0000_0010)
}

// ---- State bytes ----

fn state(bench: &Bench<'_>) -> StateByte {
    bench.heap.shared().state(bench.at)
}

fn set_state(bench: &Bench<'_>, state: StateByte) -> bool {
    bench.heap.fault().space().set_state_byte(bench.at, state)
}

/// Takes a mark back: the colour is that of the cycle before.
pub(super) fn mark_cleared(bench: &mut Bench<'_>) -> bool {
    let asked = bench.heap.shared().world.request();
    let is_marked = state(bench).has_colour(asked.kept().marked());
    is_marked && set_state(bench, StateByte::object(asked.born_before()))
}

/// Puts the mark of the cycle on a slot that holds no object.
pub(super) fn mark_on_free_slot(bench: &mut Bench<'_>) -> bool {
    let colour = bench.heap.shared().world.kept().marked();
    state(bench).is_free() && set_state(bench, StateByte::object(colour))
}

pub(super) fn object_to_free(bench: &mut Bench<'_>) -> bool {
    state(bench).is_object() && set_state(bench, StateByte::FREE_FRESH)
}

pub(super) fn free_to_object(bench: &mut Bench<'_>) -> bool {
    let colour = bench.heap.shared().world.kept().born();
    state(bench).is_free() && set_state(bench, StateByte::object(colour))
}

pub(super) fn free_to_withdrawn(bench: &mut Bench<'_>) -> bool {
    state(bench).is_free() && set_state(bench, StateByte::QUARANTINED)
}

pub(super) fn object_to_withdrawn(bench: &mut Bench<'_>) -> bool {
    state(bench).is_object() && set_state(bench, state(bench).with_quarantine())
}

// ---- Records of spans ----

pub(super) fn alloc_count_up(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().space().add_alloc_count(bench.at, 1)
}

pub(super) fn alloc_count_down(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().space().add_alloc_count(bench.at, -1)
}

fn skew_generation(bench: &Bench<'_>, by: i32) -> bool {
    let space = bench.heap.fault();
    let Some((generation, state)) = space.space().span_word(bench.at) else {
        return false;
    };
    let skewed = generation.wrapping_add_signed(by);
    space.space().set_span_word(bench.at, skewed, state)
}

pub(super) fn generation_two_back(bench: &mut Bench<'_>) -> bool {
    skew_generation(bench, -2)
}

pub(super) fn generation_one_back(bench: &mut Bench<'_>) -> bool {
    skew_generation(bench, -1)
}

pub(super) fn generation_one_ahead(bench: &mut Bench<'_>) -> bool {
    skew_generation(bench, 1)
}

pub(super) fn generation_two_ahead(bench: &mut Bench<'_>) -> bool {
    skew_generation(bench, 2)
}

/// A page behind the end of any heap.
const NO_PAGE: u32 = 1 << 30;

pub(super) fn link_to_next(bench: &mut Bench<'_>) -> bool {
    let space = bench.heap.fault().space();
    space.set_link(bench.at, true, Some(NO_PAGE))
}

pub(super) fn link_to_previous(bench: &mut Bench<'_>) -> bool {
    let space = bench.heap.fault().space();
    space.set_link(bench.at, false, Some(NO_PAGE))
}

pub(super) fn place_in_no_such_list(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().space().set_place(bench.at, 77)
}

/// Among the leased or, where it is leased, among the quarantined.
pub(super) fn place_in_another_list(bench: &mut Bench<'_>) -> bool {
    let space = bench.heap.fault().space();
    let place = if space.place(bench.at) == Some(4) {
        5
    } else {
        4
    };
    space.set_place(bench.at, place)
}

pub(super) fn state_that_cannot_be(bench: &mut Bench<'_>) -> bool {
    let space = bench.heap.fault();
    let Some((generation, _)) = space.space().span_word(bench.at) else {
        return false;
    };
    space.space().set_span_word(bench.at, generation, 9)
}

pub(super) fn type_that_is_not_registered(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().space().set_type_index(bench.at, 60_000)
}

fn flip_fields(bench: &Bench<'_>, fields: &[(RecordField, u32)]) -> bool {
    let space = bench.heap.fault().space();
    let mut flips = fields.iter();
    flips.all(|(field, bit)| space.flip_record_bit(bench.at, *field, *bit))
}

pub(super) fn record_first_page(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::FirstPage, 2)])
}

pub(super) fn record_pages(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::Pages, 1)])
}

pub(super) fn record_slot_bytes(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::SlotGranules, 0)])
}

pub(super) fn record_slots(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::Slots, 5)])
}

pub(super) fn record_type(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::TypeIndex, 9)])
}

pub(super) fn record_class(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::Class, 0)])
}

pub(super) fn record_flags(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::Flags, 0)])
}

pub(super) fn record_seal(bench: &mut Bench<'_>) -> bool {
    flip_fields(bench, &[(RecordField::Seal, 31)])
}

/// Two words of a record at once.
pub(super) fn record_eight_bytes(bench: &mut Bench<'_>) -> bool {
    let words = [(RecordField::SlotGranules, 3), (RecordField::Slots, 7)];
    flip_fields(bench, &words)
}

/// The whole line of a record, but for the links of its list.
pub(super) fn record_whole(bench: &mut Bench<'_>) -> bool {
    let space = bench.heap.fault().space();
    let words = [
        (RecordField::FirstPage, 4),
        (RecordField::Pages, 3),
        (RecordField::SlotGranules, 6),
        (RecordField::Slots, 2),
        (RecordField::TypeIndex, 12),
        (RecordField::Class, 8),
        (RecordField::Seal, 17),
    ];
    space.add_alloc_count(bench.at, 77)
        && space.set_span_word(bench.at, 0x1234, 0x7f32)
        && flip_fields(bench, &words)
}

/// A pointer, least byte first, again and again.
const STRAY: [u8; 8] = [0x60, 0x34, 0x12, 0x32, 0x7f, 0, 0, 0];

fn overwrite_states(bench: &Bench<'_>, bytes: usize) -> bool {
    let space = bench.heap.fault().space();
    let mut stray = STRAY.iter().cycle().take(bytes).enumerate();
    stray.all(|(at, bits)| {
        space.set_state_byte(bench.at + at * GRANULE_BYTES, StateByte::from_bits(*bits))
    })
}

pub(super) fn states_eight_bytes(bench: &mut Bench<'_>) -> bool {
    overwrite_states(bench, 8)
}

pub(super) fn states_sixty_four_bytes(bench: &mut Bench<'_>) -> bool {
    overwrite_states(bench, 64)
}

// ---- Slots ----

/// Writes a word into a slot that holds no object, as somebody does who uses it after its end.
pub(super) fn write_after_free(bench: &mut Bench<'_>) -> bool {
    let Found::FreeSlot { place, .. } = bench.heap.locate(bench.at) else {
        return false;
    };
    // AddressSanitizer would end the process before any check of the heap could speak.
    bench.heap.fault().space().exhume(place.base);
    let first_word = slot_pointer(place.base);
    // SAFETY: deliberately broken: the slot is free, and only the search for free slots reads it, on
    // this thread.
    unsafe { first_word.cast::<usize>().write_volatile(0x7f32_1234_6000) };
    true
}

pub(super) fn shape_seal(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().break_shape_of(bench.at)
}

// ---- Barriers ----

/// The mutator's barrier is off for good, whatever it says and answers.
pub(super) fn barrier_off(bench: &mut Bench<'_>) -> bool {
    let switch = |scope: Scope<'_>| scope.local().unbarriered.set(Unbarriered::Everybody);
    bench.mutator.enter(switch);
    true
}

/// As above, for stores into objects of one type alone.
pub(super) fn barrier_off_for_type(bench: &mut Bench<'_>) -> bool {
    let span = bench.heap.shared().space.span_of(bench.at);
    let Some(type_index) = span.map(gc_sweep::Span::type_index) else {
        return false;
    };
    let switch = |scope: Scope<'_>| scope.local().unbarriered.set(Unbarriered::Type(type_index));
    bench.mutator.enter(switch);
    true
}

// ---- Roots and books ----

pub(super) fn root_generation(bench: &mut Bench<'_>) -> bool {
    let roots = &bench.heap.shared().roots;
    let key = roots.key_of(bench.at);
    key.map(|key| roots.corrupt(key)).is_some()
}

/// Removes the entry of a root whose handle lives on, and will remove it once more.
pub(super) fn root_dropped_before_its_handle(bench: &mut Bench<'_>) -> bool {
    let roots = &bench.heap.shared().roots;
    let key = roots.key_of(bench.at);
    key.is_some_and(|key| roots.remove(key, |_, _| {}).is_ok())
}

pub(super) fn books_of_live_bytes(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().space().skew_ledger(1 << 20);
    true
}

pub(super) fn gate_one_fewer(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().skew_marking_gate(-1);
    true
}

pub(super) fn gate_one_more(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().skew_marking_gate(1);
    true
}

pub(super) fn sweep_gate_one_fewer(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().skew_sweeping_gate(-1);
    true
}

pub(super) fn sweep_gate_one_more(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().skew_sweeping_gate(1);
    true
}

pub(super) fn pacer_of_huge_heap(bench: &mut Bench<'_>) -> bool {
    bench.heap.fault().set_pacer(1 << 60, 1 << 50);
    true
}

// ---- Destructors ----

/// Leaves an object behind whose destructor panics.
pub(super) fn panicking_destructor(bench: &mut Bench<'_>) -> bool {
    bench
        .mutator
        .enter(|scope| scope.try_alloc(super::Explosive).is_ok())
}
