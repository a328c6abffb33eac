//! Which promise a case breaks, if it breaks one.
//!
//! Asked by the judge when the outcome is known. What is promised of a fault stands in `fault`; what holds
//! for every fault stands here: no report is wrong or broken, and nothing hangs.

use super::case::{Case, Kind};
use super::fault::Loss;
use super::outcome::Outcome;

/// Every way of breaking a promise.
const BREACHES: [&str; 6] = [
    "it hangs",
    "it crashes",
    "a report is wrong",
    "the report is broken",
    "live data is lost",
    "it is not found",
];

/// The breach of these words, if there is one.
pub(crate) fn from_text(text: &str) -> Option<&'static str> {
    BREACHES.into_iter().find(|known| *known == text)
}

/// What a case came to, as far as promises speak of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) outcome: Outcome,
    pub(crate) is_activated: bool,
    pub(crate) is_found: bool,
    /// Live objects lost, and of these those that neither were struck nor hung on what was.
    pub(crate) lost: u64,
    pub(crate) lost_beyond_target: u64,
}

/// The promise that a case breaks.
pub(crate) fn breach(case: &Case, seen: Seen) -> Option<&'static str> {
    let promises = case
        .faults()
        .into_iter()
        .map(|fault| fault.promise(case.level));
    let promises: Vec<_> = promises.collect();
    let may_lose = |loss: Loss| promises.iter().any(|promise| promise.may_lose == loss);
    match seen.outcome {
        Outcome::Hang => return Some("it hangs"),
        // Whoever follows a pointer to what was freed may die of it.
        Outcome::UndetectedCrash
            if promises
                .iter()
                .all(|promise| promise.may_lose == Loss::Nothing) =>
        {
            return Some("it crashes");
        }
        Outcome::Misreported => return Some("a report is wrong"),
        Outcome::ReportBroken => return Some("the report is broken"),
        _ => {}
    }
    if case.kind == Kind::Pair {
        // What two faults do together is published and not promised.
        return None;
    }
    let is_lost = if may_lose(Loss::Target) {
        seen.lost_beyond_target > 0
    } else {
        seen.lost > 0
    };
    if is_lost && !may_lose(Loss::Anything) {
        return Some("live data is lost");
    }
    let must_be_found = promises.iter().any(|promise| promise.is_found);
    (must_be_found && seen.is_activated && !seen.is_found).then_some("it is not found")
}

#[cfg(test)]
mod tests {
    use gc_core::CheckLevel;

    use super::*;
    use crate::campaign::fault::Fault;

    fn broken(name: &str, level: CheckLevel, seen: Seen) -> Option<&'static str> {
        let fault = Fault::from_name(name).unwrap();
        let case = Case {
            kind: Kind::Fault,
            fault,
            second: None,
            level,
            ..Case::of(1, 0)
        };
        breach(&case, seen)
    }

    const FOUND: Seen = Seen {
        outcome: Outcome::DetectedContained,
        is_activated: true,
        is_found: true,
        lost: 0,
        lost_beyond_target: 0,
    };
    const SILENT: Seen = Seen {
        outcome: Outcome::Benign,
        is_found: false,
        ..FOUND
    };

    #[test]
    fn what_is_promised_is_asked_for_and_nothing_else() {
        use CheckLevel::{Lax, Paranoid};
        let lost = |seen: Seen| Seen { lost: 3, ..seen };
        assert_eq!(broken("stale-edge", Lax, FOUND), None);
        assert_eq!(broken("stale-edge", Lax, SILENT), Some("it is not found"));
        let never_met = Seen {
            is_activated: false,
            ..SILENT
        };
        assert_eq!(broken("stale-edge", Lax, never_met), None);
        assert_eq!(
            broken("stale-edge", Lax, lost(FOUND)),
            Some("live data is lost")
        );
        assert_eq!(broken("stale-edge-reused", Paranoid, SILENT), None);
        assert_eq!(broken("barrier-skipped", Lax, lost(SILENT)), None);
        assert_eq!(
            broken("barrier-skipped", Paranoid, lost(FOUND)),
            Some("live data is lost")
        );
        assert_eq!(broken("state-object-to-free", Lax, lost(FOUND)), None);
        let beyond = Seen {
            lost_beyond_target: 1,
            ..lost(FOUND)
        };
        assert_eq!(
            broken("state-object-to-free", Lax, beyond),
            Some("live data is lost")
        );
    }

    #[test]
    fn no_fault_may_hang_or_be_told_wrongly() {
        for outcome in [Outcome::Hang, Outcome::Misreported, Outcome::ReportBroken] {
            for fault in Fault::all() {
                let seen = Seen { outcome, ..FOUND };
                assert!(broken(fault.name(), CheckLevel::Lax, seen).is_some());
            }
        }
        let crashed = Seen {
            outcome: Outcome::UndetectedCrash,
            ..SILENT
        };
        assert_eq!(
            broken("stale-edge", CheckLevel::Lax, crashed),
            Some("it crashes")
        );
    }
}
