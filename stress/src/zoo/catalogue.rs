//! The scenarios, in the order of the page: what happened, how it is re-enacted, what it teaches, what finds it.
//!
//! Constant data. Invariant: what a scenario declares is what its program comes to at each level, for any
//! seed; a test carries all of them out.

use gc_core::Check;

use super::{Found, Risk, Scenario, Source, order, over, under};

const fn found(check: Check) -> Found {
    Found {
        check,
        loses_live: false,
    }
}

/// Found when the harm is done.
const fn too_late(check: Check) -> Found {
    Found {
        check,
        loses_live: true,
    }
}

/// What is found of a word that leads to a slot that was freed: `lax` lets the mark through.
const STALE: [Found; 3] = [
    found(Check::AllocCount),
    found(Check::FreePointer),
    found(Check::FreePointer),
];
/// What is found of a word that leads to no slot at all.
const NOWHERE: [Found; 3] = [found(Check::BadPointer); 3];
/// What is found of a live object that was not marked.
const MISSED: [Found; 3] = [
    too_late(Check::SweepCount),
    too_late(Check::FreePointer),
    found(Check::UnmarkedReachable),
];

/// See the module.
pub(crate) static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "makefunc",
        bug: "go 30041",
        title: "a reflective call writes its result through the write barrier into a stack slot that was never initialised",
        happened: "makeFuncStub's callReflect copied a pointer-shaped result into the caller's frame by a store \
            that the compiler gave a barrier, since it could not know that the address was a stack. The hybrid \
            barrier of Go 1.8 records the old word of the slot, which was whatever an earlier call had left. \
            Services died of `found bad pointer in Go heap` or `sweep increased allocation count`, far from the \
            store; it took weeks to find the pattern.",
        mechanism: "A hundred connections with stacks of their own; a large struct returned by value leaves \
            pointers in an outgoing area, they die and are swept, and a reflective call stores its result over one \
            of them while a cycle marks.",
        lesson: "A barrier belongs to memory that is initialised. `init` and `set` must be two operations, and a \
            report must name the store.",
        risk: Risk::Nothing,
        found: [
            found(Check::BadPointer),
            found(Check::FreePointer),
            found(Check::VirginSlot),
        ],
        source: Source::Workload,
    },
    Scenario {
        name: "assign-scratch",
        bug: "go 39541",
        title: "the result slot of a reflective call serves as scratch for a conversion, through the barrier",
        happened: "A year after 30041 was fixed, results became assignable to other types. The conversion was handed \
            the result slot as scratch and wrote its two words there with a barrier.",
        mechanism: "Two words of a fat result are written through the barrier into slots with residue. Fixed, the \
            slots are cleared by plain stores first.",
        lesson: "Fix the class, not the line: the sibling of a bug stands in the same function.",
        risk: Risk::Nothing,
        found: [
            found(Check::AllocCount),
            found(Check::FreePointer),
            found(Check::VirginSlot),
        ],
        source: Source::Program(over::assign_scratch),
    },
    Scenario {
        name: "method-value",
        bug: "go 27867",
        title: "a method call takes the barrier for its stack frame and none for its heap frame",
        happened: "Calls of method values copied arguments to a frame on the stack with the barrier, and to one on \
            the heap without it: the two kinds of store were on the wrong destinations. A reviewer found it; no \
            crash is known.",
        mechanism: "A barriered store into a slot with residue; then the last old edge to a live object is \
            overwritten in a heap frame by a bare store.",
        lesson: "One mistake, both directions: what is shaded too much shows at once, what is shaded too little is \
            the dangerous half.",
        risk: Risk::Live,
        found: [
            too_late(Check::SweepCount),
            too_late(Check::FreePointer),
            found(Check::VirginSlot),
        ],
        source: Source::Program(over::method_value),
    },
    Scenario {
        name: "array-fill",
        bug: "rocq 22145",
        title: "an array of uncleared memory is filled with the barrier instead of by initialising stores",
        happened: "Rocq's C code filled a freshly allocated array with `caml_modify` while it allocated the elements. \
            The deletion half of OCaml 5's barrier darkened the junk in the fields, and the marker crashed. It is \
            the twin of 30041, seven years later.",
        mechanism: "A dead array led to two values; all three are swept; the next array has its memory, uncleared, \
            and is filled by `set` while a cycle marks.",
        lesson: "The same trap in every runtime with a deletion barrier: initialise, then modify.",
        risk: Risk::Nothing,
        found: STALE,
        source: Source::Program(over::array_fill),
    },
    Scenario {
        name: "code-pointer",
        bug: "go 80472",
        title: "code addresses are stored through a slice of pointers, and look like the heap's",
        happened: "On wasm an interface table was filled with code addresses through a pointer-typed slice. The \
            barrier recorded them, and a code address on wasm is a small number that falls into the heap.",
        mechanism: "A word of an object without pointers holds a number inside the heap's range; it is overwritten \
            through the barrier, which takes the number for an old value.",
        lesson: "A store has the type of the memory, not of the value. Where code and data share numbers, a look-up \
            must say no.",
        risk: Risk::Nothing,
        found: NOWHERE,
        source: Source::Program(over::code_pointer),
    },
    Scenario {
        name: "zero-size-result",
        bug: "go 21717",
        title: "a value of size zero points one past its frame, to the next slot",
        happened: "reflect.Call made a Value for a result of size zero at the end of the frame object. Its address was \
            that of the next object, which was kept alive or, if free, marked.",
        mechanism: "A live stack slot holds base plus size of an object whose neighbour was freed.",
        lesson: "One past the end is somebody else. Without padding even an honest zero-size pointer is a stray.",
        risk: Risk::Nothing,
        found: STALE,
        source: Source::Program(over::zero_size_result),
    },
    Scenario {
        name: "call-method",
        bug: "go 19724",
        title: "a partial move at the very end of an object leaves a past-the-end pointer in the heap",
        happened: "callMethod moved the results behind the arguments by pointers that were formed at offset = size. \
            With no results they led past the end, and were stored for the duration of the call.",
        mechanism: "A traced field of a heap object holds base plus size of an object whose neighbour was freed; the \
            marker meets it by scanning.",
        lesson: "An empty range still has an address. The holder and its field say where it came from, if the check \
            knows them.",
        risk: Risk::Nothing,
        found: STALE,
        source: Source::Program(over::call_method),
    },
    Scenario {
        name: "zero-size-object",
        bug: "go 24993",
        title: "a zero-size object behind a large one has the address of what comes next",
        happened: "A channel send of a zero-size value between stacks used an address that belonged to the next \
            thing. Stack objects of size zero were kept by whatever stood behind them.",
        mechanism: "A slot holds the end of an object that fills its pages to the last byte; the pages behind it are \
            in no span.",
        lesson: "Give nothing an address of its own, or none.",
        risk: Risk::Nothing,
        found: NOWHERE,
        source: Source::Program(over::zero_size_object),
    },
    Scenario {
        name: "derived-pointer",
        bug: "go 37881",
        title: "a pointer is off its object for one instruction, and a safepoint falls there",
        happened: "Rewrite rules for 386 (and later arm64, 71932) split address arithmetic so that an intermediate \
            value was out of its object, in a slot that the map called a pointer.",
        mechanism: "A slot holds object + 16 while the snapshot is taken, and the whole pointer a moment later.",
        lesson: "What is right before and after is not right between: safepoints fall everywhere.",
        risk: Risk::Nothing,
        found: NOWHERE,
        source: Source::Program(over::derived_pointer),
    },
    Scenario {
        name: "unsafe-offset",
        bug: "go 16778",
        title: "unsafe arithmetic leads to where nothing was ever allocated",
        happened: "A program computed a pointer by unsafe arithmetic and stored it. Go 1.6 ignored it; 1.7 began to \
            notice, and users blamed 1.7.",
        mechanism: "A field is set to an address eight megabytes behind its object.",
        lesson: "A check that is new finds old bugs. Its message must not accuse the wrong one.",
        risk: Risk::Nothing,
        found: NOWHERE,
        source: Source::Program(over::unsafe_offset),
    },
    Scenario {
        name: "live-temporary",
        bug: "go 20029",
        title: "the stack map calls a temporary live that nobody has written",
        happened: "Ambiguously live temporaries were not zeroed on every path, so the map called a slot live that held \
            what an earlier call had left. It failed even with the world stopped.",
        mechanism: "A slot with the residue of a dead object is called live as it is.",
        lesson: "Liveness without initialisation is a promise about junk.",
        risk: Risk::Nothing,
        found: STALE,
        source: Source::Program(over::live_temporary),
    },
    Scenario {
        name: "resurrected",
        bug: "perryts 5029",
        title: "a stale stack word brings a dead object back while it is being swept",
        happened: "A conservative stack word resurrected a dead old object whose fields had become those of new \
            young ones, and the marker followed them.",
        mechanism: "After the flip and before its span is swept, a slot is called live again that holds the address \
            of a dead object with a field.",
        lesson: "One bad mark becomes a cascade if the dead are scanned. A refused pointer is not followed.",
        risk: Risk::Nothing,
        found: STALE,
        source: Source::Program(over::resurrected),
    },
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
            too_late(Check::SweepCount),
            too_late(Check::FreePointer),
            too_late(Check::FreePointer),
        ],
        source: Source::Program(under::trace_map),
    },
    Scenario {
        name: "late-metadata",
        bug: "go 11617",
        title: "the sweeper's last write to a slot's metadata lands when the slot has a new owner",
        happened: "The sweeper freed a large span and cleared its mark byte afterwards. In between somebody else got \
            the memory, and lost its type bits. The linker's output was wrong; theories took days.",
        mechanism: "An object is swept and its slot handed out again; then the sweep's write of `free` to the state \
            byte is made once more, late.",
        lesson: "Publish last. Whoever frees must have finished before anybody can own.",
        risk: Risk::Live,
        found: [
            too_late(Check::SweepCount),
            too_late(Check::FreePointer),
            too_late(Check::FreePointer),
        ],
        source: Source::Fault(order::late_metadata),
    },
    Scenario {
        name: "publish-early",
        bug: "go 54596",
        title: "an object can be found before its words are cleared",
        happened: "The allocator moved its free index before it had zeroed the object and written its type bits. A \
            conservative scan in between read what was there: 15 of 310,600 runs.",
        mechanism: "An object of uncleared memory is linked into the heap; a cycle scans it; only then is its field \
            written.",
        lesson: "Initialise, then publish, with a release between. The rarest bugs are windows.",
        risk: Risk::Nothing,
        found: STALE,
        source: Source::Program(order::publish_early),
    },
    Scenario {
        name: "late-work",
        bug: "go 27993",
        title: "a barrier makes work after marking was found to be over",
        happened: "Between \"everybody is done\" and the end of marking a barrier ran on the pool of deferred calls. \
            `P has cached GC work at end of mark termination`.",
        mechanism: "A record that is kept outside the maps is shaded once termination is decided.",
        lesson: "The end of marking is a decision about everybody. Late work must send it back, not be dropped.",
        risk: Risk::Nothing,
        found: [found(Check::LateGrey); 3],
        source: Source::Program(order::late_work),
    },
    Scenario {
        name: "weak-to-strong",
        bug: "go 69803",
        title: "a weak pointer is made strong while termination is decided",
        happened: "Turning a weak pointer into a strong one shades its object. Done after termination began it made \
            work that nobody waited for: `non-empty mark queue after concurrent mark`.",
        mechanism: "The target of a weak reference is shaded and kept in phase `clear` without asking whether it is \
            marked. Fixed, it is asked for by `upgrade`, which answers nothing there.",
        lesson: "A weak reference is a door into the snapshot. It has to be closed while one counts.",
        risk: Risk::Nothing,
        found: [found(Check::LateGrey); 3],
        source: Source::Program(order::weak_to_strong),
    },
    Scenario {
        name: "unswept-entry",
        bug: "go 28003",
        title: "an entry of the unswept list outlives the sweep of its span",
        happened: "A span was still in the list of unswept spans when it was not in use any more; the sweeper threw.",
        mechanism: "A span that was swept stands in its list as one that was not.",
        lesson: "A list is a claim about its members. Taking one out must check the claim, and drop it if it is false.",
        risk: Risk::Nothing,
        found: [found(Check::DoubleSweep); 3],
        source: Source::Fault(order::unswept_entry),
    },
    Scenario {
        name: "counter-underflow",
        bug: "go 15022",
        title: "an unsigned counter goes below zero, and pacing believes it",
        happened: "Pages in use wrapped below zero: the sweep ratio came near 2^64, so that every allocation swept \
            everything. Nothing failed; it was only slow, and no check said a word.",
        mechanism: "The pacer holds a number of survivors as huge as a counter that has wrapped.",
        lesson: "Books are invariants too: bound what they may say, and rebuild them from what can be counted.",
        risk: Risk::Nothing,
        found: [found(Check::Pacer); 3],
        source: Source::Fault(order::counter_underflow),
    },
    Scenario {
        name: "double-unroot",
        bug: "rust-gc 134",
        title: "a root is given up twice",
        happened: "A hand-written Trace visited a field twice through an Rc, and the count of roots went down twice: \
            a panic, \"double-unroot\".",
        mechanism: "The entry of a root is taken out while its handle lives, and the handle takes it out again.",
        lesson: "Handles carry generations: giving up twice is then a report and not a free.",
        risk: Risk::Nothing,
        found: [found(Check::RootTable); 3],
        source: Source::Fault(order::double_unroot),
    },
];
