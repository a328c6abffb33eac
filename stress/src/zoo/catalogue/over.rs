//! Over-marking: a word that is no pointer, or leads to something dead, is taken for a pointer.
//!
//! Constant data: see the module above.

use gc_core::Check;

use super::{ALLOC_COUNT, FREE_POINTER, NOWHERE, STALE, SWEEP_COUNT, VIRGIN_SLOT, found, too_late};
use crate::zoo::{Risk, Scenario, Source, over};

pub(super) static SCENARIOS: &[Scenario] = &[
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
        // Whether the junk leads to a free slot or into a span that is gone depends on the seed.
        found: [
            found(&[Check::SweepCount, Check::AllocCount, Check::BadPointer]),
            found(&[Check::FreePointer, Check::BadPointer]),
            found(VIRGIN_SLOT),
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
        found: [found(ALLOC_COUNT), found(FREE_POINTER), found(VIRGIN_SLOT)],
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
            found(SWEEP_COUNT),
            too_late(FREE_POINTER),
            found(VIRGIN_SLOT),
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
        found: [found(ALLOC_COUNT), found(FREE_POINTER), found(FREE_POINTER)],
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
];
