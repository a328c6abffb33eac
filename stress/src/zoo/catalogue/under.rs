//! Under-marking: something alive is not marked.
//!
//! Constant data: see the module above.

use super::{FREE_POINTER, MISSED, SWEEP_COUNT, found, too_late};
use crate::zoo::{Risk, Scenario, Source, under};

pub(super) static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "map-assign",
        bug: "go 21297",
        title: "a fast path stores pointer keys as integers, without the barrier",
        happened: "The fast map-assign functions wrote keys that are pointers through an integer type, so no barrier \
            was emitted. Found by `sweep increased allocation count`, cycles later.",
        mechanism: "A mutator that has not given its snapshot yet stores a new object, bare, into a map that was \
            scanned already. Nothing else leads to it.",
        lesson: "The insertion half matters while stacks are grey. A type pun loses the barrier with the type.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::map_assign),
    },
    Scenario {
        name: "map-key",
        bug: "go 22781",
        title: "a key is held as an integer during the call that stores it, and is no root",
        happened: "The same fast functions took the key as uint64. While the call allocated, no map of the stack named \
            it; a snapshot in that moment missed it.",
        mechanism: "The program keeps a new object as a number over the snapshot, then hangs it into a bucket that was \
            made black and is never scanned.",
        lesson: "A root is what the collector sees, not what the program has.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::map_key),
    },
    Scenario {
        name: "shared-flag",
        bug: "go 71228",
        title: "the barrier flag is read once for two stores, and a cycle begins in between",
        happened: "The compiler merged the barrier tests of neighbouring stores and, with an early nil check among \
            them, left one store without. It failed in 5 % of runs.",
        mechanism: "The first store is made while no cycle marks; the cycle begins; the second store is bare and \
            overwrites the last old edge to an object that moved into a new one.",
        lesson: "Whatever is read before a safepoint is stale after it, flags too.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::shared_flag),
    },
    Scenario {
        name: "swapped-barrier",
        bug: "go 30871",
        title: "the barrier is told the new value for the old one",
        happened: "The wasm barrier recorded the wrong word as the old value from 1.11 on. A reviewer saw it; nobody \
            had met it.",
        mechanism: "A store shades the new value twice and the overwritten one not at all, while that one's object \
            moves into a new one.",
        lesson: "A barrier that does something looks like one that works. Only the second opinion can tell.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::swapped_barrier),
    },
    Scenario {
        name: "closure-context",
        bug: "go 18635",
        title: "the context of a closure is dead to the maps while its stub still runs",
        happened: "The context of a MakeFunc stub was dead to liveness while the stub was on the stack; a stack copy \
            found it gone. The fix is a KeepAlive.",
        mechanism: "The slot of a closure is retired before the callee has read it; after the snapshot the callee \
            moves what it captured into a new object.",
        lesson: "The last use in the source is not the last use in the machine.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::closure_context),
    },
    Scenario {
        name: "barrier-after-copy",
        bug: "julia 62687",
        title: "the barrier runs after the copy and reads what the copy left",
        happened: "A bulk copy of fields was followed by its barrier, which looked at the destination and found the \
            new words.",
        mechanism: "A bare store, then a barrier that is told the slot's present word for the old one.",
        lesson: "The old value exists only before the store. Order is the barrier.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::barrier_after_copy),
    },
    Scenario {
        name: "split-barrier",
        bug: "go 55156",
        title: "a preemption falls between a bulk barrier and its stores",
        happened: "A function that must not be preempted gained a preemption point inside a bulk barrier: the barrier \
            was done, the stores came later.",
        mechanism: "The barrier runs while none is due; the cycle begins; the store it belongs to is made then.",
        lesson: "No safepoint may stand between a barrier and its store. It must be checked, since nobody sees it.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::split_barrier),
    },
    Scenario {
        name: "elided-barrier",
        bug: "dart 43786",
        title: "a barrier is left out since the object is new, and a safepoint has made it old",
        happened: "Dart's compiler removed barriers of stores into objects that it had just allocated, across a call \
            that could collect.",
        mechanism: "A new object is published and scanned; then its field is initialised, bare, with another new \
            object that nothing else leads to.",
        lesson: "\"Just allocated\" ends at the next safepoint.",
        risk: Risk::Live,
        found: MISSED,
        source: Source::Program(under::elided_barrier),
    },
    Scenario {
        name: "trace-map",
        bug: "go 39927",
        title: "the map of a global says that it holds no pointers",
        happened: "The linker gave a global of a foreign type a bitmap without pointers. What it alone led to was freed \
            and used again; no check ever saw it.",
        mechanism: "A pointer stands in a word that the map calls data. It is read after the object was swept, and \
            stored where the marker looks.",
        lesson: "The second opinion reads the same maps: a wrong map is beyond every check until the pointer turns up \
            elsewhere. Maps must be made by one hand, from the type.",
        risk: Risk::Live,
        found: [
            found(SWEEP_COUNT),
            too_late(FREE_POINTER),
            too_late(FREE_POINTER),
        ],
        source: Source::Program(under::trace_map),
    },
];
