//! Races, order and accounts: the right thing at the wrong moment, or once too often.
//!
//! Constant data: see the module above.

use gc_core::Check;

use super::{ALLOC_COUNT, STALE, found, too_late};
use crate::zoo::{Risk, Scenario, Source, order};

pub(super) static SCENARIOS: &[Scenario] = &[
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
        found: [too_late(ALLOC_COUNT); 3],
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
        found: [found(&[Check::LateGrey]); 3],
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
        found: [found(&[Check::LateGrey]); 3],
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
        found: [found(&[Check::DoubleSweep]); 3],
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
        found: [found(&[Check::Pacer]); 3],
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
        found: [found(&[Check::RootTable]); 3],
        source: Source::Fault(order::double_unroot),
    },
];
