//! What one program may do at all: which operations, at which level, under which driver and limits, with how many of
//! everything.
//!
//! Drawn anew for each program, because a program in which everything happens a little rarely does anything often
//! enough to get to the far corners. Used by the writer. Invariant: objects can always be made, and roots of them.

use gc_core::CheckLevel;

use super::chooser::Chooser;
use super::regime;
use crate::ops::{Kind, Regime};

/// An operation that a writer may choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    // Inside, and honest.
    New,
    Bytes,
    Fill,
    Push,
    Pop,
    Retire,
    Store,
    CopyBack,
    Call,
    Set,
    Root,
    Get,
    Weak,
    Upgrade,
    Pair,
    Entry,
    Shade,
    // Anywhere.
    Unroot,
    Start,
    Step,
    Until,
    // Outside.
    Finish,
    Collect,
    Verify,
    Park,
    // What breaks the heap: stores that keep no duty, words that are no pointers, and faults inside the heap.
    Misstore,
    Wild,
    DeadCopy,
    Revive,
    Hold,
    Strike,
}

const INSIDE: [Action; 21] = [
    Action::New,
    Action::Bytes,
    Action::Fill,
    Action::Push,
    Action::Pop,
    Action::Retire,
    Action::Store,
    Action::CopyBack,
    Action::Call,
    Action::Set,
    Action::Root,
    Action::Get,
    Action::Weak,
    Action::Upgrade,
    Action::Pair,
    Action::Entry,
    Action::Shade,
    Action::Unroot,
    Action::Start,
    Action::Step,
    Action::Until,
];
const OUTSIDE: [Action; 8] = [
    Action::Unroot,
    Action::Start,
    Action::Step,
    Action::Until,
    Action::Finish,
    Action::Collect,
    Action::Verify,
    Action::Park,
];
const BREAKING: [Action; 5] = [
    Action::Misstore,
    Action::Wild,
    Action::DeadCopy,
    Action::Revive,
    Action::Hold,
];

/// Most operations of a program, before it is brought to rest.
const OPS_MAX: u32 = 400;
/// Most logical threads.
const MUTATORS_MAX: u32 = 4;
/// Words of kinds: as a rule, and at times, past what spans of small slots hold.
const WORDS: u32 = 12;
const WORDS_LARGE: u32 = 4000;

/// See the module.
pub(super) struct Swarm {
    pub(super) level: CheckLevel,
    pub(super) regime: Regime,
    pub(super) ops: u32,
    pub(super) mutators: u32,
    pub(super) stacks: u32,
    /// Most slots of a frame.
    pub(super) slots: u32,
    /// Most units of a step.
    pub(super) units: u32,
    /// Most bytes of a text.
    pub(super) bytes: u32,
    /// Operations between two edges of `enter`, on average.
    pub(super) stay: u32,
    pub(super) kinds: Vec<Kind>,
    /// Each as often as its weight.
    pub(super) inside: Vec<Action>,
    pub(super) outside: Vec<Action>,
    pub(super) breaking: Vec<Action>,
}

impl Swarm {
    /// Draws what a program may do; `level` when it is not drawn.
    pub(super) fn draw(
        chooser: &mut Chooser<'_>,
        level: Option<CheckLevel>,
        breaks: bool,
    ) -> Swarm {
        let levels = CheckLevel::ALL;
        let drawn = chooser.pick(levels).unwrap_or_default();
        let mut swarm = Swarm {
            level: level.unwrap_or(drawn),
            regime: regime::draw(chooser),
            ops: chooser.within(20, OPS_MAX),
            mutators: chooser.within(1, MUTATORS_MAX),
            stacks: chooser.within(1, 2),
            slots: chooser.pick(&[4, 12, 40]).unwrap_or(4),
            units: chooser.pick(&[1, 4, 30, 4096]).unwrap_or(1),
            bytes: chooser.pick(&[16, 300, 20_000]).unwrap_or(16),
            stay: chooser.pick(&[3, 10, 40]).unwrap_or(10),
            kinds: Vec::new(),
            inside: draw_actions(chooser, &INSIDE),
            outside: draw_actions(chooser, &OUTSIDE),
            breaking: Vec::new(),
        };
        swarm
            .inside
            .extend([Action::New, Action::New, Action::Root]);
        swarm.outside.push(Action::Step);
        for number in 0..chooser.within(1, 4) {
            swarm.kinds.push(draw_kind(chooser, number));
        }
        if breaks {
            swarm.breaking = draw_actions(chooser, &BREAKING);
            if cfg!(feature = "fault-inject") && chooser.one_in(3) {
                swarm.breaking.push(Action::Strike);
            }
            if swarm.breaking.is_empty() {
                swarm.breaking.push(Action::DeadCopy);
            }
        }
        swarm
    }
}

/// Each action by chance, and then with a weight.
fn draw_actions(chooser: &mut Chooser<'_>, among: &[Action]) -> Vec<Action> {
    let mut found = Vec::new();
    for action in among {
        let weight = chooser.below(6).saturating_sub(1);
        found.extend((0..weight).map(|_| *action));
    }
    found
}

fn draw_kind(chooser: &mut Chooser<'_>, number: u32) -> Kind {
    let most = if chooser.one_in(12) {
        WORDS_LARGE
    } else {
        WORDS
    };
    let words = chooser.within(1, most);
    // A large object has its pointers at its beginning and at its end.
    let places = (1..words).filter(|word| *word < 8 || word + 3 > words);
    let places: Vec<u32> = places.collect();
    let pointers = places.into_iter().filter(|_| !chooser.one_in(3));
    Kind {
        name: format!("k{number}"),
        words,
        pointers: pointers.collect(),
    }
}
