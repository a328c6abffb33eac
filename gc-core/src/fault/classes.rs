//! The classes of faults that this heap can be given, and those that it cannot have.
//!
//! Constant data, in the order of the campaign's rows. A class names every check that may report it; what
//! a check finds beyond that is a misreport. Deliberately absent: how a stroke is done (`strokes`).

use gc_hooks::{Check, CheckLevel};

use super::class::{Aim, Bench, Class, How, Moment, Stake, Stroke};
use super::{Persistence, Site, strokes};

/// A stroke that is a call.
const fn call(name: &'static str, call: fn(&mut Bench<'_>) -> bool) -> Stroke {
    Stroke {
        name,
        how: How::Call(call),
    }
}

/// A stroke that is one hit of a site.
const fn once(site: Site) -> Stroke {
    Stroke {
        name: "once",
        how: How::Site(site, Persistence::Once),
    }
}

/// A stroke that is every hit of a site from the chosen one on.
const fn always(site: Site) -> Stroke {
    Stroke {
        name: "always",
        how: How::Site(site, Persistence::Persistent),
    }
}

/// A stroke that the program or the world does.
const fn program(what: &'static str) -> Stroke {
    Stroke {
        name: "program",
        how: How::Program(what),
    }
}

const NOBODY: &[Check] = &[];
const POINTER: &[Check] = &[Check::BadPointer, Check::FreePointer];
const COUNTS: &[Check] = &[Check::AllocCount, Check::SweepCount];
/// What follows from a pointer to a free slot: it is refused, or, at `lax`, marked and counted.
const STALE: &[Check] = &[Check::FreePointer, Check::AllocCount, Check::SweepCount];
const NEIGHBOUR: &[Check] = &[
    Check::BadPointer,
    Check::FreePointer,
    Check::AllocCount,
    Check::SweepCount,
];
/// What follows when marking misses an object: the second opinion sees it, or pointers to it turn up
/// once it was freed too early, which at `lax` are marked and counted.
const LOST_MARK: &[Check] = &[
    Check::UnmarkedReachable,
    Check::LateGrey,
    Check::FreePointer,
    Check::BadPointer,
    Check::AllocCount,
    Check::SweepCount,
];
const OBJECT_BYTE: &[Check] = &[Check::SweepCount, Check::AllocCount, Check::Zombie];
const COUNT_FIELD: &[Check] = &[Check::AllocCount, Check::SweepCount, Check::Ledger];
const GENERATION: &[Check] = &[
    Check::SweepGeneration,
    Check::DoubleSweep,
    Check::SpanState,
    Check::SpanList,
];
const LISTS: &[Check] = &[
    Check::SpanList,
    Check::SpanState,
    Check::SweepGeneration,
    Check::DoubleSweep,
];
const WHOLE_RECORD: &[Check] = &[
    Check::SpanSeal,
    Check::Descriptor,
    Check::SpanState,
    Check::SweepGeneration,
    Check::AllocCount,
    Check::SweepCount,
    Check::SpanList,
    Check::Ledger,
];
/// A byte that says when its slot was freed is believed by nobody who does not find the pattern there.
const ANY_BYTE: &[Check] = &[
    Check::FreePointer,
    Check::BadPointer,
    Check::AllocCount,
    Check::SweepCount,
    Check::Zombie,
    Check::SlotDirty,
    Check::UnmarkedReachable,
];
const RECORD: &[Check] = &[Check::SpanSeal, Check::Descriptor];

/// Writes the rows: id, name, title; aim, moment, reporters, first level that finds it, stake;
/// strokes.
macro_rules! classes {
    ($($id:literal, $name:literal, $title:literal,
    $aim:ident, $moment:ident, $reporters:expr, $found:ident, $stake:ident,
    [$($stroke:expr),* $(,)?];)*) => {
        &[$(Class {
            id: $id,
            name: $name,
            title: $title,
            aim: Aim::$aim,
            moment: Moment::$moment,
            reporters: $reporters,
            found_from: found!($found),
            stake: Stake::$stake,
            strokes: &[$($stroke),*],
        }),*]
    };
}

macro_rules! found {
    (Never) => {
        None
    };
    ($level:ident) => {
        Some(CheckLevel::$level)
    };
}

/// Every class that can be brought about, in the order of its row.
#[rustfmt::skip]
pub static CLASSES: &[Class] = classes! {
    "F01", "stale-edge", "An edge leads to a slot that was freed.",
        Free, Idle, STALE, Lax, Nothing,
        [call("edge", strokes::edge_to_free_slot)];
    "F01", "stale-old-value", "A barrier is told an old value that was never valid, as in Go bug 30041.",
        Free, Marking, STALE, Lax, Nothing,
        [call("barrier", strokes::barrier_of_free_slot)];
    "F02", "stale-edge-reused", "An edge leads to a slot that was freed and handed out again.",
        Live, Idle, NOBODY, Never, Nothing,
        [call("edge", strokes::edge_to_other_object)];
    "F03", "edge-to-no-span", "An edge leads to a page that belongs to no span.",
        Nothing, Idle, POINTER, Lax, Nothing,
        [call("page", strokes::edge_to_unallocated_page)];
    "F04", "edge-outside", "An edge leads outside the heap.",
        Nothing, Idle, POINTER, Lax, Nothing,
        [call("below", strokes::edge_below_the_heap), call("behind", strokes::edge_behind_the_heap)];
    "F05", "edge-interior", "An edge leads into the middle of an object.",
        Live, Idle, POINTER, Lax, Nothing,
        [call("second-granule", strokes::edge_into_object)];
    "F06", "edge-past-end", "An edge leads one past the end of an object: to its neighbour, if there is one.",
        Live, Idle, NEIGHBOUR, Never, Nothing,
        [call("next-slot", strokes::edge_past_object)];
    "F07", "edge-misaligned", "An edge is off by a tag bit or by a word.",
        Live, Idle, POINTER, Lax, Nothing,
        [call("tag-bit", strokes::edge_with_tag), call("word", strokes::edge_off_by_a_word)];
    "F08", "edge-no-address", "An edge holds a number that is no address.",
        Nothing, Idle, POINTER, Lax, Nothing,
        [call("small", strokes::edge_of_small_number), call("not-canonical", strokes::edge_not_canonical)];
    "F09", "mark-cleared", "The mark of a live object is gone before the sweep.",
        Live, Decided, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [call("state-byte", strokes::mark_cleared)];
    "F10", "mark-on-free-slot", "A free slot carries the mark of the cycle.",
        Free, Decided, OBJECT_BYTE, Lax, Nothing,
        [call("state-byte", strokes::mark_on_free_slot)];
    "F11", "state-object-to-free", "The state byte of a live object says that its slot is free.",
        Live, Idle, STALE, Lax, Target,
        [call("state-byte", strokes::object_to_free)];
    "F11", "state-free-to-object", "The state byte of a free slot says that an object stands there.",
        Free, Idle, OBJECT_BYTE, Lax, Nothing,
        [call("state-byte", strokes::free_to_object)];
    "F11", "state-object-withdrawn", "The state byte of a live object says that it is pinned.",
        Live, Idle, COUNTS, Lax, Nothing,
        [call("state-byte", strokes::object_to_withdrawn)];
    "F11", "state-free-withdrawn", "The state byte of a free slot says that it was withdrawn.",
        Free, Idle, COUNTS, Lax, Nothing,
        [call("state-byte", strokes::free_to_withdrawn)];
    "F12", "alloc-count", "The allocation count of a span is off by one.",
        Live, Idle, COUNT_FIELD, Lax, Nothing,
        [call("one-more", strokes::alloc_count_up), call("one-less", strokes::alloc_count_down)];
    "F13", "generation-skewed", "The generation of a span is not that of its last sweep.",
        Live, Idle, GENERATION, Lax, Nothing,
        [
            call("two-back", strokes::generation_two_back),
            call("one-back", strokes::generation_one_back),
            call("one-ahead", strokes::generation_one_ahead),
            call("two-ahead", strokes::generation_two_ahead),
        ];
    "F13", "state-impossible", "The state word of a span names no state.",
        Live, Idle, &[Check::SpanState, Check::SpanList], Lax, Nothing,
        [call("nine", strokes::state_that_cannot_be)];
    "F14", "sweep-repeated", "A span that was swept is to be swept again.",
        Nothing, Any, GENERATION, Lax, Nothing,
        [once(Site::SweepRepeated)];
    "F15", "sweep-skipped", "A span is taken to be swept, and is not.",
        Nothing, Any, NOBODY, Never, Nothing,
        [once(Site::SweepSkipped)];
    "F15", "births-forgotten", "A young cycle takes a span for one in which nothing was born.",
        Nothing, Any, NOBODY, Never, Nothing,
        [once(Site::BirthsForgotten), always(Site::BirthsForgotten)];
    "F15", "list-link", "A link of a span in its list is overwritten.",
        Live, Idle, LISTS, Lax, Nothing,
        [call("next", strokes::link_to_next), call("previous", strokes::link_to_previous)];
    "F15", "list-place", "A span says that it stands in another list.",
        Live, Idle, LISTS, Lax, Nothing,
        [call("no-such-list", strokes::place_in_no_such_list), call("another", strokes::place_in_another_list)];
    "F15", "span-unlisted", "A span that was swept is put into no list.",
        Nothing, Any, &[Check::SpanList], Lax, Nothing,
        [once(Site::SpanUnlisted)];
    "F15", "pages-freed-twice", "The pages of a span are given back twice.",
        Nothing, Any, &[Check::SpanState], Lax, Nothing,
        [once(Site::PagesFreedTwice)];
    "F16", "barrier-skipped", "A store happens without its barrier.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::BarrierSkipped), always(Site::BarrierSkipped)];
    "F16", "barrier-old-skipped", "A barrier does not shade the value that is overwritten.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::BarrierOldSkipped), always(Site::BarrierOldSkipped)];
    "F16", "barrier-new-skipped", "A grey mutator's barrier does not shade the value that is stored.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::BarrierNewSkipped), always(Site::BarrierNewSkipped)];
    "F16", "barrier-off", "The barrier of one mutator, or that for objects of one type, stays off.",
        Live, Any, LOST_MARK, Never, WithoutSecondOpinion,
        [call("mutator", strokes::barrier_off), call("type", strokes::barrier_off_for_type)];
    "F16", "root-unshaded", "A root comes or goes while a cycle marks, and is not shaded.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::RootUnshaded), always(Site::RootUnshaded)];
    "F16", "store-unremembered", "A newborn object is stored, and not remembered for the next young cycle.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::StoreUnremembered), always(Site::StoreUnremembered)];
    "F17", "barrier-late", "A mutator's barrier is on later than it says.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::BarrierLate), always(Site::BarrierLate)];
    "F18", "allocation-white", "An object is born white though black is due.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::AllocationWhite), always(Site::AllocationWhite)];
    "F20", "record-bit", "A bit of a span's record is flipped.",
        Live, Idle, RECORD, Lax, Nothing,
        [
            call("first-page", strokes::record_first_page),
            call("pages", strokes::record_pages),
            call("slot-bytes", strokes::record_slot_bytes),
            call("slots", strokes::record_slots),
            call("type", strokes::record_type),
            call("class", strokes::record_class),
            call("flags", strokes::record_flags),
            call("seal", strokes::record_seal),
        ];
    "F21", "type-forged", "A span names a type that nobody registered.",
        Live, Idle, RECORD, Lax, Nothing,
        [call("type-index", strokes::type_that_is_not_registered)];
    "F22", "shape-seal", "The pointer map of a shape is not the one that was registered.",
        Shaped, Idle, &[Check::Descriptor], Paranoid, Nothing,
        [call("seal", strokes::shape_seal)];
    "F23", "stray-write-record", "A stray write lands in the record of a span.",
        Live, Idle, WHOLE_RECORD, Lax, Nothing,
        [call("8-bytes", strokes::record_eight_bytes), call("64-bytes", strokes::record_whole)];
    "F23", "stray-write-states", "A stray write lands in the state bytes.",
        Live, Idle, ANY_BYTE, Lax, Open,
        [call("8-bytes", strokes::states_eight_bytes), call("64-bytes", strokes::states_sixty_four_bytes)];
    "F24", "write-after-free", "A free slot is written to.",
        Free, Idle, &[Check::SlotDirty], Paranoid, Nothing,
        [call("first-word", strokes::write_after_free)];
    "F26", "root-dropped-twice", "The handle of a root is dropped twice.",
        Rooted, Idle, &[Check::RootTable], Lax, Nothing,
        [call("entry", strokes::root_dropped_before_its_handle)];
    "F27", "root-generation", "The slot of a root carries another generation.",
        Rooted, Idle, &[Check::RootTable], Lax, Nothing,
        [call("generation", strokes::root_generation)];
    "F29", "run-cursor", "The cursor of a run is overwritten: a slot is passed over.",
        Nothing, Any, COUNTS, Lax, Nothing,
        [once(Site::RunCursorMoved)];
    "F30", "commit-refused", "The system refuses memory for a new span.",
        Nothing, Any, NOBODY, Never, Nothing,
        [once(Site::CommitRefused), always(Site::CommitRefused)];
    "F31", "release-refused", "The system refuses to take memory back.",
        Nothing, Any, &[Check::OsCall], Lax, Nothing,
        [once(Site::ReleaseRefused), always(Site::ReleaseRefused)];
    "F32", "hook", "A hook panics, does not return, or enters the heap that called it.",
        Nothing, Any, &[Check::HookPanicked, Check::HookStalled, Check::HookReentered], Never, Nothing,
        [program("give the heap a policy whose hook misbehaves")];
    "F33", "destructor-panics", "A destructor panics.",
        Nothing, Idle, &[Check::DropPanicked], Lax, Nothing,
        [call("drop", strokes::panicking_destructor)];
    "F34", "mutator-dies", "A thread dies inside a barrier.",
        Nothing, Any, NOBODY, Never, Nothing,
        [once(Site::BarrierPanics)];
    "F35", "mutator-stalls", "A mutator does not answer a handshake.",
        Nothing, Any, &[Check::SafepointStalled], Never, Nothing,
        [program("stay inside `enter` for longer than the stall deadline, or stop the thread")];
    "F36", "death-in-report", "The process dies while it writes a report.",
        Nothing, Any, NOBODY, Never, Nothing,
        [program("kill the process at each step of a report, and read what is left")];
    "F37", "fork", "A child of fork uses the heap.",
        Nothing, Any, &[Check::Forked], Never, Nothing,
        [program("fork with collector threads, and use the heap in the child")];
    "F39", "record-fails", "A violation cannot be written to the durable record.",
        Nothing, Any, &[Check::RecordFailed], Never, Nothing,
        [program("fill, remove or close what the record is written to")];
    "F40", "pair", "Two faults at once.",
        Nothing, Any, NOBODY, Never, Open,
        [program("bring two of the other classes about; each may be told by its own reporters")];
    "F41", "books-skewed", "The running books say more bytes live than there are.",
        Nothing, Idle, &[Check::Ledger, Check::Pacer], Lax, Nothing,
        [call("live-bytes", strokes::books_of_live_bytes)];
    "F42", "shade-unpushed", "An object is marked by a barrier and never scanned.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::ShadeUnpushed), always(Site::ShadeUnpushed)];
    "F42", "grey-lost", "A marked object is lost from the marker's work.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::GreyLost)];
    "F42", "edge-unseen", "The marker passes a pointer over.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::EdgeUnseen)];
    "F43", "root-unscanned", "The snapshot passes an entry of the root table over.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::RootUnscanned)];
    "F43", "stack-unscanned", "The snapshot passes a value stack over.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::StackUnscanned)];
    "F43", "remembered-lost", "A young cycle does not look at what was remembered.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::RememberedLost), always(Site::RememberedLost)];
    "F44", "termination-early", "Termination is decided though grey objects wait.",
        Nothing, Any, LOST_MARK, Paranoid, WithoutSecondOpinion,
        [once(Site::TerminationEarly)];
    "F45", "gate-count", "The count of helpers behind the marker's gate is off by one.",
        Nothing, Marking, &[Check::GateCount], Lax, Nothing,
        [call("one-fewer", strokes::gate_one_fewer), call("one-more", strokes::gate_one_more)];
    "F45", "sweep-gate-count", "The count of helpers behind the sweep's gate is off by one.",
        Nothing, Sweeping, &[Check::GateCount], Lax, Nothing,
        [call("one-fewer", strokes::sweep_gate_one_fewer), call("one-more", strokes::sweep_gate_one_more)];
    "F46", "pacer-skewed", "The pacer believes that more survived than the heap has ever held.",
        Nothing, Idle, &[Check::Pacer], Lax, Nothing,
        [call("survived", strokes::pacer_of_huge_heap)];
    "F47", "allocation-unpublished", "An object is written and never published.",
        Nothing, Any, STALE, Lax, Open,
        [once(Site::AllocationUnpublished)];
};

/// Rows that this heap cannot have, or that a program cannot bring about from outside: id, what it
/// is, why not.
pub static NOT_APPLICABLE: &[(&str, &str, &str)] = &[
    (
        "F19",
        "bit flip in an object's header",
        "objects have no header: their type is that of their span (F21)",
    ),
    (
        "F25",
        "read after free",
        "no safe program can do it, and nothing in the heap is told of a read",
    ),
    (
        "F28",
        "junk on a stack that is scanned conservatively",
        "no stack is: value stacks hold exact words, and a junk word there is a fault (F01, F03)",
    ),
    (
        "F38",
        "clock jump",
        "deadlines are counted on the monotonic clock alone; nothing else depends on time",
    ),
];
