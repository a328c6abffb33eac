//! A case: everything that one child runs with, from its number and the root seed.
//!
//! The set of cases depends on nothing else, so that it is the same whatever the number of jobs and
//! however it is cut into shards. Of ten cases in a row, eight inject a fault of one class, one injects
//! two, and one is a control: the case before it once more, without the fault. Classes come in turn,
//! and levels in turn behind them, so that every pair of both is met equally often.

use std::fmt;

use gc_core::{CheckLevel, Driver};

use super::fault::Fault;
use crate::rng::{Rng, SplitMix64};

/// Fewest and most operations of a program.
const OPS_MIN: u64 = 120;
const OPS_MAX: u64 = 480;
/// Cases in a block, and what stands where in it.
const BLOCK: u64 = 10;
const AT_PAIR: u64 = 4;
const AT_CONTROL: u64 = 9;
const FAULTS_OF_A_BLOCK: u64 = 8;
/// One case in so many has the incremental driver.
const INCREMENTAL_ONE_IN: u64 = 8;

/// What follows from a violation in a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rules {
    /// Everything aborts.
    Abort,
    /// The health turns.
    Unhealthy,
    /// A hook is called.
    Hook,
}

impl Rules {
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Rules::Abort => "abort",
            Rules::Unhealthy => "unhealthy",
            Rules::Hook => "hook",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// One fault.
    Fault,
    /// Two faults.
    Pair,
    /// None.
    Control,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Case {
    pub(crate) index: u64,
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
    /// The second fault of a pair.
    pub(crate) second: Option<Fault>,
    pub(crate) level: CheckLevel,
    pub(crate) rules: Rules,
    pub(crate) driver: Driver,
    /// Operations of the program.
    pub(crate) ops: u64,
    /// The operation before which the fault is injected.
    pub(crate) strike_at: u64,
    /// Hits of its site that an armed fault lets pass.
    pub(crate) nth: u64,
}

impl Case {
    /// The case of a number.
    pub(crate) fn of(root: u64, index: u64) -> Case {
        let (block, place) = (index / BLOCK, index % BLOCK);
        if place == AT_CONTROL {
            let paired = Case::of(root, index - 1);
            return Case {
                index,
                kind: Kind::Control,
                ..paired
            };
        }
        let turn = block * FAULTS_OF_A_BLOCK + place - u64::from(place > AT_PAIR);
        let seed = SplitMix64::new(root ^ index.wrapping_mul(0xd134_2543_de82_ef95)).next_u64();
        let mut rng = Rng::for_purpose(seed, "case");
        let (faults, levels) = (Fault::count() as u64, CheckLevel::ALL.len() as u64);
        let mut case = Case {
            index,
            seed,
            kind: Kind::Fault,
            fault: Fault::at(turn as usize),
            second: None,
            level: CheckLevel::ALL[(turn / faults % levels) as usize],
            rules: [Rules::Abort, Rules::Unhealthy, Rules::Hook][rng.index(3)],
            driver: if rng.one_in(INCREMENTAL_ONE_IN) {
                Driver::Incremental
            } else {
                Driver::Manual
            },
            ops: rng.within(OPS_MIN..=OPS_MAX),
            strike_at: 0,
            nth: rng.below(4),
        };
        case.strike_at = rng.within(case.ops / 3..=case.ops * 3 / 4);
        if place == AT_PAIR {
            case.draw_pair(&mut rng);
        }
        if case.faults().iter().any(|fault| fault.needs_manual()) {
            case.driver = Driver::Manual;
        }
        case.rules = case.fault.entry().rules.unwrap_or(case.rules);
        case
    }

    fn draw_pair(&mut self, rng: &mut Rng) {
        let paired: Vec<Fault> = Fault::all().filter(|fault| fault.may_be_paired()).collect();
        self.kind = Kind::Pair;
        self.fault = paired[rng.index(paired.len())];
        self.second = Some(paired[rng.index(paired.len())]);
        self.level = CheckLevel::ALL[rng.index(CheckLevel::ALL.len())];
    }

    /// The faults that the case injects.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        match self.kind {
            Kind::Control => Vec::new(),
            Kind::Fault | Kind::Pair => [self.fault].into_iter().chain(self.second).collect(),
        }
    }

    /// The name of its driver.
    pub(crate) fn driver_id(&self) -> &'static str {
        match self.driver {
            Driver::Manual => "manual",
            _ => "incremental",
        }
    }
}

/// What is injected, in words.
impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.second) {
            (Kind::Control, _) => formatter.write_str("control"),
            (_, Some(second)) => write!(formatter, "{}+{}", self.fault.name(), second.name()),
            (_, None) => formatter.write_str(self.fault.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_case_follows_from_its_number() {
        for index in 0..200 {
            assert_eq!(Case::of(1, index), Case::of(1, index));
        }
        assert_ne!(Case::of(1, 7).seed, Case::of(2, 7).seed);
    }

    #[test]
    fn two_thousand_cases_cover_every_class_at_every_level_about_equally() {
        let mut met: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut kinds = [0; 3];
        for index in 0..2_000 {
            let case = Case::of(1, index);
            kinds[case.kind as usize] += 1;
            if case.kind == Kind::Fault {
                *met.entry((case.fault.name(), case.level.id())).or_default() += 1;
            }
            assert!(case.strike_at > 0 && case.strike_at < case.ops);
        }
        assert_eq!(kinds, [1_600, 200, 200]);
        assert_eq!(met.len(), Fault::count() * CheckLevel::ALL.len());
        let (least, most) = (met.values().min().unwrap(), met.values().max().unwrap());
        assert!(most - least <= 1, "{met:?}");
    }

    #[test]
    fn faults_of_young_cycles_are_met_alone() {
        let of_young: Vec<Fault> = Fault::all().filter(|one| one.needs_generations()).collect();
        assert_eq!(of_young.len(), 3);
        let pairs = (0..2_000).map(|index| Case::of(1, index));
        for case in pairs.filter(|case| case.kind == Kind::Pair) {
            let mut faults = case.faults().into_iter();
            assert!(!faults.any(|fault| of_young.contains(&fault)), "{case}");
        }
    }

    #[test]
    fn a_control_is_the_case_before_it_without_its_fault() {
        for index in (9..200).step_by(10) {
            let (case, control) = (Case::of(1, index - 1), Case::of(1, index));
            assert_eq!((control.seed, control.ops), (case.seed, case.ops));
            assert!(control.faults().is_empty() && !case.faults().is_empty());
        }
    }
}
