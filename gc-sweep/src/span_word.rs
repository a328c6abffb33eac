//! The protocol of a span's state word: every change of state, each one compare-exchange.
//!
//! Mutators lease and retire, sweepers claim and finish, from any thread; `span` embeds the word in its record and calls
//! the verbs, mostly under the lock of the class, on which nothing here leans. The picture of the states is in `span`.
//!
//! Invariants:
//!
//! * from `claim` to `finish` or `withdraw` a span has one sweeper, from `lease` to `retire` one lessee;
//! * when a lease ends while a sweeper is at work, exactly one of the two ends the holding: who comes second;
//! * Quarantined is left at the wish of an operator alone, while everyone else is stopped.
//!
//! Deliberately absent: counts, lists, judgement about words that cannot be.

use std::sync::atomic::{AtomicU64, Ordering};

use gc_hooks::sync::point;

use crate::atom::Atom;
use crate::span_state::{Claim, ClaimKind, Ended, Refusal, SpanState, SpanWord};

/// The state and generation of one span.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct StateWord<A = AtomicU64>(A);

impl<A: Atom<Value = u64>> StateWord<A> {
    pub(crate) fn load(&self) -> SpanWord {
        point();
        // Acquire pairs with the Release half of every transition: who sees a state sees what was done before it.
        SpanWord::from_bits(self.0.load(Ordering::Acquire))
    }

    /// Begins the life of a span that nobody can see yet, or that everyone else is kept from.
    pub(crate) fn begin(&self, generation: u32) {
        self.overwrite(SpanWord::new(generation, SpanState::Swept));
    }

    fn overwrite(&self, word: SpanWord) {
        // Release pairs with the Acquire of `load`.
        self.0.store(word.bits(), Ordering::Release);
    }

    /// Takes the span for one run. The error is the word that does not allow it.
    pub(crate) fn lease(&self) -> Result<(), SpanWord> {
        let seen = self.load();
        if seen.state() != Some(SpanState::Swept) {
            return Err(seen);
        }
        self.transition(seen, SpanWord::new(seen.generation(), SpanState::Leased))
    }

    /// Ends a lease whose slots are in the books.
    pub(crate) fn retire(&self) -> Ended {
        let mut seen = self.load();
        loop {
            let (next, ended) = match seen.state() {
                Some(SpanState::Leased) => (SpanState::Swept, Ended::Swept),
                Some(SpanState::LeasedClaimed) => (SpanState::Claimed, Ended::LeftToSweeper),
                Some(SpanState::Quarantined) => return Ended::Quarantined,
                _ => return Ended::BadState(seen),
            };
            match self.transition(seen, SpanWord::new(seen.generation(), next)) {
                Ok(()) => return ended,
                Err(now) => seen = now,
            }
        }
    }

    /// Takes the right to sweep the span in this generation.
    pub(crate) fn claim(&self, generation: u32) -> Result<Claim, Refusal> {
        let mut seen = self.load();
        loop {
            let (next, kind) = match seen.state() {
                Some(SpanState::Swept) => (SpanState::Claimed, ClaimKind::Whole),
                Some(SpanState::Leased) => (SpanState::LeasedClaimed, ClaimKind::Leased),
                Some(SpanState::Quarantined) => (SpanState::Quarantined, ClaimKind::Quarantined),
                _ => return Err(Refusal::BadState(seen)),
            };
            if seen.generation() == generation {
                return Err(Refusal::AlreadySwept(seen));
            }
            match self.transition(seen, SpanWord::new(generation, next)) {
                Ok(()) => return Ok(Claim::new(kind)),
                Err(now) => seen = now,
            }
        }
    }

    /// Gives the right to sweep back.
    pub(crate) fn finish(&self, claim: Claim) -> Ended {
        let mut seen = self.load();
        loop {
            let (next, ended) = match (claim.kind(), seen.state()) {
                (ClaimKind::Whole, Some(SpanState::Claimed)) => (SpanState::Swept, Ended::Swept),
                (ClaimKind::Leased, Some(SpanState::LeasedClaimed)) => {
                    (SpanState::Leased, Ended::StillLeased)
                }
                (ClaimKind::Leased, Some(SpanState::Claimed)) => {
                    return Ended::HandedOver(Claim::new(ClaimKind::Whole));
                }
                (_, Some(SpanState::Quarantined)) => return Ended::Quarantined,
                _ => return Ended::BadState(seen),
            };
            match self.transition(seen, SpanWord::new(seen.generation(), next)) {
                Ok(()) => return ended,
                Err(now) => seen = now,
            }
        }
    }

    /// Ends the span, which no list holds and no object is in. False when its state does not allow it.
    pub(crate) fn release(&self) -> bool {
        let seen = self.load();
        seen.state() == Some(SpanState::Swept)
            && self
                .transition(seen, SpanWord::new(seen.generation(), SpanState::Free))
                .is_ok()
    }

    /// Withdraws the span for good, whatever its word says.
    pub(crate) fn withdraw(&self, generation: u32) {
        point();
        // AcqRel: Acquire pairs with the Release of the transition before, so that the counts of whoever held the span
        // are seen; Release pairs with the Acquire of `load`.
        self.0.swap(
            SpanWord::new(generation, SpanState::Quarantined).bits(),
            Ordering::AcqRel,
        );
    }

    /// Writes any word, past the protocol.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn fault_set(&self, bits: u64) {
        self.overwrite(SpanWord::from_bits(bits));
    }

    /// The one place where a state follows another. The error is the word that was found instead.
    fn transition(&self, from: SpanWord, to: SpanWord) -> Result<(), SpanWord> {
        point();
        // AcqRel: Release publishes what was done in the old state, Acquire sees what was done before it; both pair
        // with other transitions and with `load`. Acquire on failure pairs with the Release of whoever came first.
        match self
            .0
            .compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(()),
            Err(found) => Err(SpanWord::from_bits(found)),
        }
    }
}

#[cfg(all(test, loom))]
mod tests;
