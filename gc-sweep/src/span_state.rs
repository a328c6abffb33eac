//! The words of a span's life: the shape it is cut to, its states, the word that holds one, the right to sweep, how a
//! holding ends.
//!
//! Values only. The changes of state themselves are made in `span_word` alone, `span` has the picture of them; the sweep
//! and the lease hand these values on.
//!
//! Invariant: a `Claim` is made by `StateWord` and by nothing else, is not `Copy`, and ends in `Span::finish` or in the
//! withdrawal of its span; so a span is swept by one sweeper at a time.

/// The shape a run of pages is cut to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) first_page: u32,
    pub(crate) pages: u32,
    pub(crate) slot_bytes: usize,
    pub(crate) slots: u32,
    pub(crate) type_index: u32,
    pub(crate) class: u32,
    pub(crate) is_pointer_free: bool,
    pub(crate) needs_drop: bool,
    pub(crate) is_large: bool,
}

/// What a span is doing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum SpanState {
    /// No span: the pages belong to the page heap or to another span.
    Free = 0,
    /// In a list of its class.
    Swept = 1,
    /// A run of some mutator takes slots from it.
    Leased = 2,
    /// Being swept.
    Claimed = 3,
    /// Being swept while a run takes slots from it.
    LeasedClaimed = 4,
    /// Withdrawn for good: its objects stay readable, no slot of it is handed out.
    Quarantined = 5,
}

/// State and generation of a span, read at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SpanWord(u64);

impl SpanWord {
    pub(crate) const fn new(generation: u32, state: SpanState) -> Self {
        SpanWord((generation as u64) << 32 | state as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        SpanWord(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The cycle the span was last swept in.
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The bits of the state, which may mean nothing.
    pub(crate) const fn state_bits(self) -> u32 {
        self.0 as u32
    }

    /// The state, or `None` when the bits name none.
    pub(crate) const fn state(self) -> Option<SpanState> {
        match self.state_bits() {
            0 => Some(SpanState::Free),
            1 => Some(SpanState::Swept),
            2 => Some(SpanState::Leased),
            3 => Some(SpanState::Claimed),
            4 => Some(SpanState::LeasedClaimed),
            5 => Some(SpanState::Quarantined),
            _ => None,
        }
    }
}

/// The right to sweep one span, given to one sweeper at a time.
#[derive(Debug)]
#[must_use]
pub(crate) struct Claim {
    kind: ClaimKind,
}

/// What may be done with a claimed span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClaimKind {
    /// Nobody else allocates in it or frees: counts are exact.
    Whole,
    /// Its lessee goes on taking free slots: counts are open.
    Leased,
    /// Nothing in it may be freed.
    Quarantined,
}

impl Claim {
    /// For `StateWord` alone.
    pub(crate) const fn new(kind: ClaimKind) -> Self {
        Claim { kind }
    }

    pub(crate) fn kind(&self) -> ClaimKind {
        self.kind
    }
}

/// Why a claim or lease was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It was swept in this generation before.
    AlreadySwept(SpanWord),
    /// Its state does not allow it.
    BadState(SpanWord),
    /// Its generation is none that the flips can have left it.
    OutOfStep(SpanWord),
    /// Its record does not match its seal. It is where it was.
    Unsealed,
}

/// What is asked of a span before somebody gets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The cycle it is to be swept in.
    pub(crate) generation: u32,
    /// `sweep-generation` is looked at.
    pub(crate) looks_at_generations: bool,
    /// `span-seal` is looked at.
    pub(crate) looks_at_seals: bool,
}

/// How a sweep or a lease of a span ended.
#[derive(Debug)]
#[must_use]
pub(crate) enum Ended {
    /// The span is Swept and the caller's to put into a list.
    Swept,
    /// The lease goes on.
    StillLeased,
    /// The lease ended during the sweep: what is left is the sweeper's alone.
    HandedOver(Claim),
    /// A sweeper holds the span and will put it into a list.
    LeftToSweeper,
    /// The span is quarantined.
    Quarantined,
    /// Somebody wrote a state that cannot be.
    BadState(SpanWord),
}
