//! What a campaign is told, and which cases that means.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use gc_core::{Check, CheckLevel};

use super::case::{Case, Kind};
use super::fault::Fault;

/// Everything a campaign depends on.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where every case comes from, together with its number.
    pub seed: u64,
    /// The numbers of the cases.
    pub cases: Range<u64>,
    /// Levels that are left in; all when empty.
    pub levels: Vec<CheckLevel>,
    /// Names of faults that are left in; all, with pairs and controls, when empty.
    pub faults: Vec<String>,
    /// Children that run at once.
    pub jobs: usize,
    /// A check that is made to look away. Only cases with a fault that it finds are run then.
    pub blind: Option<Check>,
    /// How long a child may be silent.
    pub deadline: Duration,
    /// The program whose children run the cases: this very binary.
    pub program: PathBuf,
    /// Children do not belong to this process's group, so that what is sent to the group, as a terminal does,
    /// lets the cases in flight end by themselves.
    pub is_apart: bool,
}

impl Options {
    /// The cases that these options mean.
    pub(crate) fn selected(&self) -> Vec<Case> {
        let cases = self.cases.clone().map(|index| Case::of(self.seed, index));
        cases.filter(|case| self.selects(case)).collect()
    }

    fn selects(&self, case: &Case) -> bool {
        let is_of_level = self.levels.is_empty() || self.levels.contains(&case.level);
        let is_named = self.faults.iter().any(|name| name == case.fault.name());
        let is_of_class = self.faults.is_empty() || (case.kind == Kind::Fault && is_named);
        let is_found_by = |check: &Check| case.fault.is_found_by(check.id());
        let is_blinded = self.blind.as_ref().is_none_or(is_found_by);
        let is_for_blind = self.blind.is_none() || (case.kind == Kind::Fault && is_blinded);
        is_of_level && is_of_class && is_for_blind
    }

    /// A name that no fault has.
    pub(crate) fn unknown_fault(&self) -> Option<&str> {
        let mut names = self.faults.iter();
        names
            .find(|name| Fault::from_name(name).is_none())
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            seed: 1,
            cases: 0..600,
            levels: Vec::new(),
            faults: Vec::new(),
            jobs: 1,
            blind: None,
            deadline: Duration::from_secs(1),
            program: PathBuf::new(),
            is_apart: false,
        }
    }

    #[test]
    fn a_choice_leaves_out_and_never_changes_a_case() {
        let all = options().selected();
        assert_eq!(all.len(), 600);
        let some = Options {
            levels: vec![CheckLevel::Lax],
            faults: vec!["stale-edge".to_string()],
            ..options()
        };
        let chosen = some.selected();
        assert!(!chosen.is_empty() && chosen.iter().all(|case| all.contains(case)));
        assert!(chosen.iter().all(|case| case.level == CheckLevel::Lax));
    }

    #[test]
    fn a_blinded_check_is_tried_on_what_it_finds() {
        let blinded = Options {
            blind: Some(Check::RootTable),
            ..options()
        };
        let chosen = blinded.selected();
        assert!(!chosen.is_empty());
        assert!(
            chosen
                .iter()
                .all(|case| case.fault.is_found_by("root-table"))
        );
    }

    #[test]
    fn a_name_that_is_no_fault_is_found() {
        let mut misspelt = options();
        misspelt.faults = vec!["stale-edge".to_string(), "stale-egde".to_string()];
        assert_eq!(misspelt.unknown_fault(), Some("stale-egde"));
    }
}
