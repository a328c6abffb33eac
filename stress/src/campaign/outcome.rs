//! What became of a case: exactly one of nine outcomes, from plain facts.
//!
//! Owns the definitions. The order in which they are asked is part of them: what ends a process comes
//! before what it said, and what was lost before what was reported of it.

use serde::Serialize;

/// Cycles after which finding a fault is late.
pub(crate) const CYCLES_IN_TIME: u32 = 2;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// A check that finds this fault reported it in time, the process went on, and nothing live was
    /// lost.
    DetectedContained,
    /// As above, and the process ended by its policy with a whole report.
    DetectedAborted,
    /// Reported after more than [`CYCLES_IN_TIME`] cycles, or something live was lost all the same.
    DetectedLate,
    /// Nothing was reported, and nothing came of the fault: it was overwritten, never read, or does no
    /// harm.
    Benign,
    /// Something live was lost and nothing was reported.
    SilentLoss,
    /// The process ended by anything but its policy.
    UndetectedCrash,
    /// It did not end at all, and was killed.
    Hang,
    /// A check reported it that this fault does not allow, or the first report names another span or
    /// slot, or there was a report without a fault.
    Misreported,
    /// The report itself is broken: garbage among the lines, no end, a report of an abort that is not
    /// whole, deliveries or health that do not fit the record, or accounts that do not balance at the
    /// end.
    ReportBroken,
}

impl Outcome {
    pub(crate) const ALL: [(Outcome, &'static str); 9] = [
        (Outcome::DetectedContained, "detected+contained"),
        (Outcome::DetectedAborted, "detected+aborted"),
        (Outcome::DetectedLate, "detected-late"),
        (Outcome::Benign, "benign"),
        (Outcome::SilentLoss, "silent-loss"),
        (Outcome::UndetectedCrash, "undetected-crash"),
        (Outcome::Hang, "hang"),
        (Outcome::Misreported, "misreported"),
        (Outcome::ReportBroken, "report-broken"),
    ];

    pub(crate) fn id(self) -> &'static str {
        Outcome::ALL[self as usize].1
    }
}

/// What is known of a case when its child has ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) is_hung: bool,
    /// Ended by something that is neither its policy nor the end of its program.
    pub(crate) is_crashed: bool,
    pub(crate) is_report_broken: bool,
    /// Ended by its policy.
    pub(crate) is_aborted: bool,
    /// Objects lost or damaged.
    pub(crate) lost: u64,
    /// Whether anything was reported at all.
    pub(crate) is_reported: bool,
    /// Whether some report is wrong, by its check or its place.
    pub(crate) is_misreported: bool,
    /// Cycles from the fault to the first report of a check that finds it.
    pub(crate) cycles_to_find: Option<u32>,
}

impl Facts {
    /// The outcome. See [`Outcome`] for what each means.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.is_hung {
            Outcome::Hang
        } else if self.is_crashed {
            Outcome::UndetectedCrash
        } else if self.is_report_broken {
            Outcome::ReportBroken
        } else if !self.is_reported {
            if self.lost > 0 {
                Outcome::SilentLoss
            } else {
                Outcome::Benign
            }
        } else if self.is_misreported {
            Outcome::Misreported
        } else if self.lost > 0
            || self
                .cycles_to_find
                .is_none_or(|cycles| cycles > CYCLES_IN_TIME)
        {
            Outcome::DetectedLate
        } else if self.is_aborted {
            Outcome::DetectedAborted
        } else {
            Outcome::DetectedContained
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_knows_its_name() {
        for (place, (outcome, name)) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!((outcome as usize, outcome.id()), (place, name));
        }
    }

    #[test]
    #[rustfmt::skip]
    fn facts_have_exactly_one_outcome() {
        let silent = Facts::default;
        let found = || Facts {
            is_reported: true,
            cycles_to_find: Some(0),
            ..silent()
        };
        let of = |mut facts: Facts, change: fn(&mut Facts)| {
            change(&mut facts);
            facts.outcome()
        };
        let table = [
            (of(silent(), |_| ()), Outcome::Benign),
            (of(silent(), |f| f.lost = 1), Outcome::SilentLoss),
            (of(silent(), |f| f.is_report_broken = true), Outcome::ReportBroken),
            (of(silent(), |f| (f.is_crashed, f.is_report_broken) = (true, true)), Outcome::UndetectedCrash),
            (of(found(), |_| ()), Outcome::DetectedContained),
            (of(found(), |f| f.is_aborted = true), Outcome::DetectedAborted),
            (of(found(), |f| f.cycles_to_find = Some(2)), Outcome::DetectedContained),
            (of(found(), |f| f.cycles_to_find = Some(3)), Outcome::DetectedLate),
            (of(found(), |f| f.cycles_to_find = None), Outcome::DetectedLate),
            (of(found(), |f| f.lost = 1), Outcome::DetectedLate),
            (of(found(), |f| f.is_misreported = true), Outcome::Misreported),
            (of(found(), |f| (f.is_misreported, f.lost) = (true, 2)), Outcome::Misreported),
            (of(found(), |f| f.is_report_broken = true), Outcome::ReportBroken),
            (of(found(), |f| (f.is_crashed, f.lost) = (true, 1)), Outcome::UndetectedCrash),
            (of(found(), |f| (f.is_hung, f.is_crashed) = (true, true)), Outcome::Hang),
        ];
        for (place, (outcome, expected)) in table.into_iter().enumerate() {
            assert_eq!(outcome, expected, "row {place}");
        }
    }
}
