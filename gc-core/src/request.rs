//! What the collector asks of mutators, in one word: the cycle, the handshake, the colours.
//!
//! The collector writes it under the cycle's lock, mutators read it at polls and at the edges of
//! `enter`, and each record keeps the word it answered last. One word for both, since a reader of two
//! could pair the answer of one cycle with the number or the colours of the next. Values only.
//!
//! ```text
//! bit    63 to 32   10 to 8        7 to 5   4 to 2   1   0
//!        cycle      born before    born     marked   handshake
//! ```

use gc_sweep::{Colour, Kept};

/// The handshakes of a cycle, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Handshake {
    /// Nothing is asked for: the cycle has flipped, or was voided.
    None = 0,
    /// Turn the barrier on.
    Arm = 1,
    /// Every barrier begun before all were armed has ended.
    Settle = 2,
    /// Hand over the roots, turn black.
    Snapshot = 3,
}

/// The colours of a cycle, and that of what was born in the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colours {
    pub(crate) kept: Kept,
    pub(crate) born_before: Colour,
}

impl Colours {
    /// Before the first cycle.
    pub(crate) const FIRST: Colours = Colours {
        kept: Kept::alike(Colour::FIRST),
        born_before: Colour::FIRST,
    };
}

/// A handshake of a cycle. Also what a mutator has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request(u64);

impl Request {
    /// Before the first cycle.
    pub(crate) const FIRST: Request = Request::new(0, Handshake::None, Colours::FIRST);

    pub(crate) const fn new(cycle: u32, handshake: Handshake, colours: Colours) -> Self {
        let (kept, before) = (
            colours.kept.bits() as u64,
            colours.born_before.number() as u64,
        );
        Request((cycle as u64) << 32 | before << 8 | kept << 2 | handshake as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Request(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn cycle(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) const fn handshake(self) -> Handshake {
        match self.0 & 3 {
            1 => Handshake::Arm,
            2 => Handshake::Settle,
            3 => Handshake::Snapshot,
            _ => Handshake::None,
        }
    }

    /// The same with another handshake.
    pub(crate) const fn with_handshake(self, handshake: Handshake) -> Request {
        Request(self.0 & !3 | handshake as u64)
    }

    /// The colours of the cycle.
    #[inline]
    pub(crate) fn kept(self) -> Kept {
        // Every word was made from colours, so the fallback is never taken.
        Kept::from_bits((self.0 >> 2 & 0x3f) as u8).unwrap_or(Colours::FIRST.kept)
    }

    /// The colour of what was born in the cycle before.
    pub(crate) fn born_before(self) -> Colour {
        Colour::from_number((self.0 >> 8 & 7) as u8).unwrap_or(Colour::FIRST)
    }

    /// The part of this request that a mutator may answer while it holds pointers.
    pub(crate) fn without_snapshot(self) -> Request {
        self.with_handshake(self.handshake().min(Handshake::Settle))
    }

    /// Whether a mutator that answered `self` last has given `asked`.
    pub(crate) fn covers(self, asked: Request) -> bool {
        asked.handshake() == Handshake::None
            || (self.cycle() == asked.cycle() && self.handshake() >= asked.handshake())
    }

    /// The handshakes of `asked` that are still to be given by one who answered `self` last.
    pub(crate) fn outstanding(self, asked: Request) -> impl Iterator<Item = Handshake> {
        let given = if self.cycle() == asked.cycle() {
            self.handshake()
        } else {
            Handshake::None
        };
        [Handshake::Arm, Handshake::Settle, Handshake::Snapshot]
            .into_iter()
            .filter(move |handshake| *handshake > given && *handshake <= asked.handshake())
    }

    /// The colours in which a mutator that has no history marks and allocates: those of the cycle once
    /// the snapshot is asked for, and after the flip; before that it allocates in the colour of the cycle
    /// before.
    pub(crate) fn kept_of_newcomers(self) -> Kept {
        let kept = self.kept();
        match self.handshake() {
            Handshake::None | Handshake::Snapshot => kept,
            Handshake::Arm | Handshake::Settle => Kept::new(kept.marked(), self.born_before()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cycle: u32, handshake: Handshake) -> Request {
        Request::new(cycle, handshake, Colours::FIRST)
    }

    #[test]
    fn a_request_keeps_cycle_handshake_and_colours() {
        let colours = (1..=7).filter_map(Colour::from_number);
        for (marked, born) in colours
            .clone()
            .flat_map(|one| colours.clone().map(move |two| (one, two)))
        {
            let colours = Colours {
                kept: Kept::new(marked, born),
                born_before: marked.next(),
            };
            let request = Request::new(u32::MAX, Handshake::Settle, colours);
            assert_eq!(request.cycle(), u32::MAX);
            assert_eq!(request.handshake(), Handshake::Settle);
            assert_eq!(
                (request.kept(), request.born_before()),
                (colours.kept, colours.born_before)
            );
            assert_eq!(Request::from_bits(request.bits()), request);
            let asked = request.with_handshake(Handshake::Snapshot);
            assert_eq!(
                (asked.kept(), asked.handshake()),
                (colours.kept, Handshake::Snapshot)
            );
            assert_eq!(asked.without_snapshot(), request);
        }
    }

    #[test]
    fn an_answer_of_another_cycle_covers_nothing() {
        let asked = request(8, Handshake::Arm);
        assert!(!request(7, Handshake::Snapshot).covers(asked));
        assert!(request(8, Handshake::Settle).covers(asked));
        assert!(request(7, Handshake::Snapshot).covers(request(8, Handshake::None)));
        let due: Vec<_> = request(8, Handshake::Arm)
            .outstanding(request(8, Handshake::Snapshot))
            .collect();
        assert_eq!(due, [Handshake::Settle, Handshake::Snapshot]);
    }

    #[test]
    fn newcomers_are_born_into_the_cycle_once_its_snapshot_is_asked_for() {
        let colours = Colours {
            kept: Kept::new(Colour::FIRST.next(), Colour::FIRST.next().next()),
            born_before: Colour::FIRST,
        };
        for (handshake, born) in [
            (Handshake::Arm, colours.born_before),
            (Handshake::Settle, colours.born_before),
            (Handshake::Snapshot, colours.kept.born()),
            (Handshake::None, colours.kept.born()),
        ] {
            let kept = Request::new(5, handshake, colours).kept_of_newcomers();
            assert_eq!(kept, Kept::new(colours.kept.marked(), born));
        }
    }
}
