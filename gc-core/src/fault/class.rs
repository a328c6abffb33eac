//! What a class of faults is: how it is brought about, who may report it, what is at stake.
//!
//! Constant data for campaigns, and the one call that brings a fault about. Called on the thread that
//! drives the heap. Deliberately absent: the list itself (`classes`), and what each stroke writes
//! (`strokes`).

use std::fmt;

use gc_hooks::{Check, CheckLevel};

use super::{Persistence, Planted, Site};
use crate::heap::Heap;
use crate::mutator::Mutator;
use crate::root::Root;

/// What a stroke is aimed at: the meaning of the address that it is given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Aim {
    /// Nothing: the address is not used, zero will do.
    Nothing,
    /// An object that the program holds.
    Live,
    /// An object behind a root. A stroke breaks that root: the program drops it at once, and does
    /// nothing else with it before.
    Rooted,
    /// An untyped object of a shape with a pointer word, in use.
    Shaped,
    /// A slot whose object was swept, and which was not handed out again.
    Free,
}

/// When a stroke lands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Moment {
    /// Between two cycles.
    Idle,
    /// In phase `Mark`.
    Marking,
    /// In phase `Clear`: termination is decided, nothing is verified, flipped or freed yet.
    Decided,
    /// In phase `Sweep`, before any step of it.
    Sweeping,
    /// Whenever the program likes: sites strike when they are passed.
    Any,
}

/// Which live objects may be lost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stake {
    /// None, at any level.
    Nothing,
    /// None where the second opinion is made ([`Check::UnmarkedReachable`]); else any.
    WithoutSecondOpinion,
    /// The object that is aimed at, and what it alone leads to. The program gives it up, or hears of
    /// it again in each cycle.
    Target,
    /// Any: the rate is what a campaign publishes.
    Open,
}

/// How a stroke is brought about.
#[derive(Clone, Copy)]
pub enum How {
    /// A site is armed, and strikes at the n-th hit.
    Site(Site, Persistence),
    /// Memory of the heap is written at once. False: there is nothing to break at the address.
    Call(fn(&mut Bench<'_>) -> bool),
    /// The program or the world does it; the text says what.
    Program(&'static str),
}

/// What a call works on.
pub struct Bench<'a> {
    /// The heap.
    pub heap: &'a Heap,
    /// A mutator that is out of `enter`.
    pub mutator: &'a mut Mutator,
    /// See [`Aim`].
    pub at: usize,
    pub(crate) kept: Option<Root<Planted<'static>>>,
}

/// One way to bring a class of faults about.
#[derive(Clone, Copy)]
pub struct Stroke {
    /// Its name within the class.
    pub name: &'static str,
    /// How it is done.
    pub how: How,
}

/// A class of faults.
pub struct Class {
    /// The row of the campaign: `F01` and so on. Several classes may share one.
    pub id: &'static str,
    /// Its own name, in kebab-case.
    pub name: &'static str,
    /// What goes wrong, in a sentence.
    pub title: &'static str,
    /// What a stroke is aimed at.
    pub aim: Aim,
    /// When it lands.
    pub moment: Moment,
    /// The checks that may report it. Any other report is a wrong one.
    pub reporters: &'static [Check],
    /// The first level at which one of them must report it: by the end of two whole cycles, with every
    /// mutator's spans given back ([`Mutator::parked`]) and free slots used again in between, and of
    /// a `verify`. None when it may stay silent at every level.
    pub found_from: Option<CheckLevel>,
    /// What may be lost.
    pub stake: Stake,
    /// The ways to bring it about.
    pub strokes: &'static [Stroke],
}

/// What became of a stroke.
#[must_use = "a planted pointer lasts as long as this"]
pub struct Struck {
    /// How far the fault has come.
    pub state: State,
    /// Keeps an object with a forged edge reachable until it is dropped; then a collection removes
    /// it.
    _planted: Option<Root<Planted<'static>>>,
}

/// How far a fault has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The heap is broken.
    Done,
    /// A site is armed: [`strikes`](super::FaultInjector::strikes) says whether it has struck.
    Armed(Site),
    /// There was nothing to break at the address.
    Missed,
    /// The program has to do it.
    Program,
}

impl Stroke {
    /// Breaks the heap, or arms a site to strike at its hit number `nth`, counted from now and from
    /// zero. The mutator is out of `enter`; `at` is what the class's [`Aim`] says, and the phase what its
    /// [`Moment`] says.
    pub fn strike(&self, heap: &Heap, mutator: &mut Mutator, at: usize, nth: u64) -> Struck {
        let mut bench = Bench {
            heap,
            mutator,
            at,
            kept: None,
        };
        let state = match self.how {
            How::Site(site, persistence) => {
                heap.fault().arm(site, nth, persistence);
                State::Armed(site)
            }
            How::Call(call) if call(&mut bench) => State::Done,
            How::Call(_) => State::Missed,
            How::Program(_) => State::Program,
        };
        Struck {
            state,
            _planted: bench.kept,
        }
    }
}

impl Class {
    /// The class of that name.
    pub fn from_name(name: &str) -> Option<&'static Class> {
        super::CLASSES.iter().find(|class| class.name == name)
    }

    /// Whether it takes place in young cycles alone, so that only a heap with
    /// [generations](crate::Builder::generational) can have it.
    pub fn needs_generations(&self) -> bool {
        let mut strokes = self.strokes.iter();
        strokes.any(|stroke| {
            let How::Site(site, _) = stroke.how else {
                return false;
            };
            matches!(
                site,
                Site::StoreUnremembered | Site::RememberedLost | Site::BirthsForgotten
            )
        })
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.name)
    }
}
