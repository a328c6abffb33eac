//! The line that a case leaves behind, and what it says when it is read again.
//!
//! Written for each case, to standard output or into the file of a shard, and read when a shard goes on
//! where it ended and when shards are put together. A case follows from its number, so the line is held
//! against the case of that number: one that speaks of another fault, level or seed is of another build.
//! What is read again has all that tables are made from; the span and the slot of the first report, which
//! only the judge asks for, are not in it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::breach;
use super::case::Case;
use super::judge::Verdict;
use super::outcome::Outcome;
use super::wire::Told;

/// One case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseLine<'a> {
    event: Cow<'a, str>,
    case: u64,
    seed: u64,
    fault: Cow<'a, str>,
    level: Cow<'a, str>,
    policy: Cow<'a, str>,
    driver: Cow<'a, str>,
    ops: u64,
    strike_at: u64,
    outcome: Cow<'a, str>,
    activated: bool,
    check: Option<Cow<'a, str>>,
    at_op: Option<u64>,
    ops_to_find: Option<u64>,
    cycles_to_find: Option<u32>,
    place_right: Option<bool>,
    live_lost: u64,
    quarantined_bytes: u64,
    why: Cow<'a, str>,
    breach: Option<Cow<'a, str>>,
}

impl<'a> CaseLine<'a> {
    pub(crate) fn of(case: &Case, verdict: &'a Verdict) -> Self {
        CaseLine {
            event: "case".into(),
            case: case.index,
            seed: case.seed,
            fault: case.to_string().into(),
            level: case.level.id().into(),
            policy: case.rules.id().into(),
            driver: case.driver_id().into(),
            ops: case.ops,
            strike_at: case.strike_at,
            outcome: verdict.outcome.id().into(),
            activated: verdict.is_activated,
            check: verdict
                .found
                .as_ref()
                .map(|told| told.check.as_str().into()),
            at_op: verdict.found.as_ref().map(|told| told.at_op),
            ops_to_find: verdict.ops_to_find,
            cycles_to_find: verdict.cycles_to_find,
            place_right: verdict.is_place_right,
            live_lost: verdict.lost,
            quarantined_bytes: verdict.quarantined_bytes,
            why: verdict.why.as_str().into(),
            breach: verdict.breach.map(Cow::from),
        }
    }

    /// Where the line departs from the case of its number.
    fn foreign(&self, case: &Case) -> Option<&'static str> {
        let pairs = [
            ("seed", self.seed == case.seed),
            ("fault", self.fault == case.to_string()),
            ("level", self.level == case.level.id()),
            ("policy", self.policy == case.rules.id()),
            ("driver", self.driver == case.driver_id()),
            ("ops", self.ops == case.ops),
            ("strike_at", self.strike_at == case.strike_at),
        ];
        let mut pairs = pairs.into_iter();
        pairs.find(|(_, is_same)| !is_same).map(|(name, _)| name)
    }

    fn verdict(self) -> Result<Verdict, String> {
        let known = |id: &str| Outcome::ALL.into_iter().find(|(_, name)| *name == id);
        let (outcome, _) =
            known(&self.outcome).ok_or_else(|| format!("`{}` is no outcome", self.outcome))?;
        let breach = match &self.breach {
            Some(text) => Some(
                breach::from_text(text).ok_or_else(|| format!("`{text}` is no broken promise"))?,
            ),
            None => None,
        };
        let found = match (self.check, self.at_op) {
            (Some(check), Some(at_op)) => Some(Told {
                check: check.into_owned(),
                at_op,
                ..Told::default()
            }),
            (None, None) => None,
            _ => return Err("`check` and `at_op` do not go together".to_string()),
        };
        Ok(Verdict {
            outcome,
            is_activated: self.activated,
            is_found: found.is_some(),
            found,
            ops_to_find: self.ops_to_find,
            cycles_to_find: self.cycles_to_find,
            is_place_right: self.place_right,
            lost: self.live_lost,
            lost_beyond_target: 0,
            quarantined_bytes: self.quarantined_bytes,
            why: self.why.into_owned(),
            breach,
        })
    }
}

/// A case that was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Reading {
    pub(crate) case: Case,
    pub(crate) verdict: Verdict,
}

/// Reads the line of a case of a campaign with this root seed.
///
/// # Errors
///
/// What is wrong with the line.
pub(crate) fn read_case(root: u64, line: &str) -> Result<Reading, String> {
    let line: CaseLine<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if line.event != "case" {
        return Err(format!("a case is expected here, not `{}`", line.event));
    }
    let case = Case::of(root, line.case);
    if let Some(name) = line.foreign(&case) {
        return Err(format!(
            "case {} has another `{name}` in this build",
            case.index
        ));
    }
    Ok(Reading {
        verdict: line.verdict()?,
        case,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        Verdict {
            outcome: Outcome::DetectedLate,
            is_activated: true,
            is_found: true,
            found: Some(Told {
                check: "zombie".to_string(),
                at_op: 77,
                ..Told::default()
            }),
            ops_to_find: Some(7),
            cycles_to_find: Some(3),
            is_place_right: Some(false),
            lost: 2,
            lost_beyond_target: 0,
            quarantined_bytes: 8192,
            why: "a \"reason\"\nof two lines".to_string(),
            breach: Some("live data is lost"),
        }
    }

    fn line(case: &Case, verdict: &Verdict) -> String {
        serde_json::to_string(&CaseLine::of(case, verdict)).unwrap()
    }

    #[test]
    fn what_is_written_says_the_same_when_it_is_read() {
        for index in [0, 4, 9, 123] {
            let case = Case::of(1, index);
            let reading = read_case(1, &line(&case, &verdict())).unwrap();
            assert_eq!((reading.case, reading.verdict), (case, verdict()));
        }
    }

    #[test]
    fn a_line_of_another_campaign_or_of_none_is_told() {
        let whole = line(&Case::of(1, 3), &verdict());
        assert!(read_case(2, &whole).unwrap_err().contains("seed"));
        let with = |from: &str, to: &str| read_case(1, &whole.replace(from, to)).unwrap_err();
        assert!(with("detected-late", "detected-soon").contains("detected-soon"));
        assert!(with("live data is lost", "alles kaputt").contains("alles kaputt"));
        assert!(with("\"at_op\":77", "\"at_op\":null").contains("at_op"));
        assert!(with("\"event\":\"case\"", "\"event\":\"end\"").contains("end"));
        assert!(with("\"activated\"", "\"aktiv\"").contains("aktiv"));
        for end in 0..whole.len() {
            assert!(read_case(1, &whole[..end]).is_err(), "{end}");
        }
    }
}
