//! Programs: what may happen inside an `enter`, between two of them, and what each shows.

use proptest::prelude::*;

pub(crate) const EDGES: usize = 2;

/// Something that happens inside one `enter`. Numbers pick registers or roots, modulo how many
/// there are; with none there, nothing happens.
#[derive(Clone, Debug)]
pub(crate) enum Inner {
    Alloc([Option<usize>; EDGES]),
    Load {
        root: usize,
    },
    Follow {
        register: usize,
        edge: usize,
    },
    Set {
        register: usize,
        edge: usize,
        to: Option<usize>,
    },
    Take {
        register: usize,
        edge: usize,
    },
    Root {
        register: usize,
    },
    Downgrade {
        register: usize,
    },
    Upgrade {
        weak: usize,
    },
    Garbage {
        bytes: usize,
    },
    Poll,
    Step {
        budget: usize,
    },
}

/// Something that happens between `enter`s.
#[derive(Clone, Debug)]
pub(crate) enum Transition {
    Enter(Vec<Inner>),
    DropRoot { root: usize },
    DropWeak { weak: usize },
    Request,
    RequestYoung,
    Step { budget: usize },
    Collect,
    CollectYoung,
    Verify,
}

/// The visible result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Nothing,
    Object(u64),
    Null,
    /// The target may be gone or not; if it is not, it is this one.
    Perhaps(u64),
}

pub(crate) fn inner() -> impl Strategy<Value = Inner> {
    let at = 0..16usize;
    let edge = 0..EDGES;
    prop_oneof![
        6 => [prop::option::of(at.clone()), prop::option::of(at.clone())].prop_map(Inner::Alloc),
        4 => at.clone().prop_map(|root| Inner::Load { root }),
        4 => (at.clone(), edge.clone()).prop_map(|(register, edge)| Inner::Follow { register, edge }),
        6 => (at.clone(), edge.clone(), prop::option::weighted(0.7, at.clone()))
            .prop_map(|(register, edge, to)| Inner::Set { register, edge, to }),
        3 => (at.clone(), edge).prop_map(|(register, edge)| Inner::Take { register, edge }),
        2 => at.clone().prop_map(|register| Inner::Root { register }),
        2 => at.clone().prop_map(|register| Inner::Downgrade { register }),
        3 => at.prop_map(|weak| Inner::Upgrade { weak }),
        1 => (0..5000usize).prop_map(|bytes| Inner::Garbage { bytes }),
        2 => Just(Inner::Poll),
        4 => (1..40usize).prop_map(|budget| Inner::Step { budget }),
    ]
}
