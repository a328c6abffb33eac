//! What the collector asks of mutators, in one word: the cycle and the handshake.
//!
//! The collector writes it under the cycle's lock, mutators read it at polls and at the edges of
//! `enter`, and each record keeps the word it answered last. One word for both, since a reader of two
//! could pair the answer of one cycle with the number of the next. Values only.

use gc_sweep::Colour;

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

/// A handshake of a cycle. Also what a mutator has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request(u64);

impl Request {
    /// Before the first cycle.
    pub(crate) const FIRST: Request = Request::new(0, Handshake::None);

    pub(crate) const fn new(cycle: u32, handshake: Handshake) -> Self {
        Request((cycle as u64) << 2 | handshake as u64)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Request(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn cycle(self) -> u32 {
        (self.0 >> 2) as u32
    }

    pub(crate) const fn handshake(self) -> Handshake {
        match self.0 & 3 {
            1 => Handshake::Arm,
            2 => Handshake::Settle,
            3 => Handshake::Snapshot,
            _ => Handshake::None,
        }
    }

    /// The colour of the cycle.
    pub(crate) fn colour(self) -> Colour {
        colour_of(self.cycle())
    }

    /// The part of this request that a mutator may answer while it holds pointers.
    pub(crate) fn without_snapshot(self) -> Request {
        Request::new(self.cycle(), self.handshake().min(Handshake::Settle))
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

    /// The colour in which a mutator that has no history allocates: that of the cycle once the
    /// snapshot is asked for, and after the flip; before that, the colour of the cycle before.
    pub(crate) fn colour_of_newcomers(self) -> Colour {
        match self.handshake() {
            Handshake::None | Handshake::Snapshot => self.colour(),
            Handshake::Arm | Handshake::Settle => colour_of(self.cycle().wrapping_sub(1)),
        }
    }
}

/// Cycles take the colours in turn.
pub(crate) fn colour_of(cycle: u32) -> Colour {
    let number = cycle % Colour::COUNT as u32 + 1;
    Colour::from_number(number as u8).unwrap_or(Colour::FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_cycle_and_handshake() {
        let request = Request::new(u32::MAX, Handshake::Settle);
        assert_eq!(request.cycle(), u32::MAX);
        assert_eq!(request.handshake(), Handshake::Settle);
        assert_eq!(Request::from_bits(request.bits()), request);
    }

    #[test]
    fn an_answer_of_another_cycle_covers_nothing() {
        let asked = Request::new(8, Handshake::Arm);
        assert!(!Request::new(7, Handshake::Snapshot).covers(asked));
        assert!(Request::new(8, Handshake::Settle).covers(asked));
        assert!(Request::new(7, Handshake::Snapshot).covers(Request::new(8, Handshake::None)));
        let due: Vec<_> = Request::new(8, Handshake::Arm)
            .outstanding(Request::new(8, Handshake::Snapshot))
            .collect();
        assert_eq!(due, [Handshake::Settle, Handshake::Snapshot]);
    }

    #[test]
    fn colours_follow_the_cycles() {
        assert_eq!(colour_of(0), Colour::FIRST);
        for cycle in 0..100 {
            assert_eq!(colour_of(cycle + 1), colour_of(cycle).next());
        }
        let arming = Request::new(5, Handshake::Arm);
        assert_eq!(arming.colour_of_newcomers(), colour_of(4));
        let flipped = Request::new(5, Handshake::None);
        assert_eq!(flipped.colour_of_newcomers(), colour_of(5));
    }
}
