//! The judge: draws the program of a case once more, follows the lines of its child, and says what
//! became of it.
//!
//! Runs in the judging process, on the thread that ran the child, when the child has ended. What must be
//! true is known from the shadow alone; the lines are evidence and nothing else. A line that comes out of
//! order or speaks of an operation that there is not is a broken report.

use std::collections::{BTreeMap, BTreeSet};

use gc_core::{Check, Policy, Response};

use self::answers::Answers;
use super::breach::{Seen, breach};
use super::case::{Case, Kind, Rules};
use super::fault::{Fault, Loss};
use super::fixture;
use super::outcome::{Facts, Outcome};
use super::parent::{Exit, Transcript};
use super::program::Planner;
use super::report_text;
use super::wire::{Checkpoint, End, Line, Refusal, Strike, Told};

mod answers;

const SIGABRT: i32 = 6;

/// The checks whose reports name the slot in question; others name a span, and a slot beside it at
/// best.
const NAME_SLOTS: [Check; 4] = [
    Check::FreePointer,
    Check::BadPointer,
    Check::Zombie,
    Check::UnmarkedReachable,
];

/// What became of a case.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// The fault took place, and a cycle ran after it or it was reported.
    pub(crate) is_activated: bool,
    /// A check that finds this fault reported it.
    pub(crate) is_found: bool,
    /// The check that found it first, and the operation then.
    pub(crate) found: Option<Told>,
    pub(crate) ops_to_find: Option<u64>,
    pub(crate) cycles_to_find: Option<u32>,
    /// Whether the first report names what was struck, where both are known.
    pub(crate) is_place_right: Option<bool>,
    /// Live objects lost or damaged.
    pub(crate) lost: u64,
    /// Of these, those that no promise speaks of: neither the target nor behind it.
    pub(crate) lost_beyond_target: u64,
    pub(crate) quarantined_bytes: u64,
    /// What happened, for those who look into a single case.
    pub(crate) why: String,
    /// The promise that was broken, if one was.
    pub(crate) breach: Option<&'static str>,
}

/// Follows one child.
struct Judge<'a> {
    case: &'a Case,
    planner: Planner,
    /// Operations that the shadow has seen.
    done: u64,
    refused: BTreeSet<u64>,
    /// The operation announced last.
    announced: Option<u64>,
    strikes: Vec<Strike>,
    told: Vec<Told>,
    lost: BTreeSet<u64>,
    lost_beyond: BTreeSet<u64>,
    /// What the objects that were struck have led to alone, at any time since. Kept where the promise
    /// speaks of it.
    behind: BTreeSet<u64>,
    dropped: BTreeSet<u64>,
    answers: Answers,
    quarantined_bytes: u64,
    end: Option<End>,
    broken: Option<&'static str>,
}

/// Says what became of a case.
pub(crate) fn judge(case: &Case, transcript: &Transcript) -> Verdict {
    let mut judge = Judge {
        case,
        planner: Planner::new(case.seed),
        done: 0,
        refused: BTreeSet::new(),
        announced: None,
        strikes: Vec::new(),
        told: Vec::new(),
        lost: BTreeSet::new(),
        lost_beyond: BTreeSet::new(),
        behind: BTreeSet::new(),
        dropped: BTreeSet::new(),
        answers: Answers::default(),
        quarantined_bytes: 0,
        end: None,
        broken: None,
    };
    for line in &transcript.lines {
        judge.line(line);
    }
    judge.verdict(transcript)
}

impl Judge<'_> {
    fn line(&mut self, line: &Line) {
        match line {
            Line::At { op } => {
                self.follow_to(*op);
                self.announced = Some(*op);
            }
            Line::Strike(strike) => {
                self.strikes.push(strike.clone());
                self.note_behind();
            }
            Line::Violation(told) => self.told.push(told.clone()),
            Line::Refused { op, why } => {
                self.follow_to(*op);
                self.refused.insert(*op);
                // Memory and threads may be refused; a way that must be there may not end.
                let is_lost = matches!(why, Refusal::Way | Refusal::Root);
                if is_lost && self.behind.is_empty() {
                    self.lose([u64::MAX]);
                }
            }
            Line::Read { op, id, digest } => {
                self.follow_to(*op);
                let expected = self.planner.shadow().digests();
                if expected.get(id) != Some(digest) {
                    self.lose([*id]);
                }
            }
            Line::Checkpoint(checkpoint) => self.compare(checkpoint),
            Line::Ledger {
                quarantined_bytes, ..
            } => self.quarantined_bytes = *quarantined_bytes,
            Line::End(end) => {
                self.quarantined_bytes = end.quarantined_bytes;
                self.end = Some((**end).clone());
            }
        }
    }

    /// Does to the shadow what was done to the heap before an operation began.
    fn follow_to(&mut self, op: u64) {
        if op > self.case.ops || op < self.done {
            self.broken = Some("a line speaks of an operation out of order");
            return;
        }
        while self.done < op {
            let drawn = self.planner.draw();
            if !self.refused.contains(&self.done) {
                self.planner.done(&drawn);
                self.note_behind();
            }
            self.done += 1;
        }
    }

    fn note_behind(&mut self) {
        let level = self.case.level;
        let mut promises = self
            .case
            .faults()
            .into_iter()
            .map(|fault| fault.promise(level));
        if promises.any(|promise| promise.may_lose == Loss::Target) {
            for target in self.strikes.iter().filter_map(|strike| strike.target) {
                self.behind.extend(self.planner.shadow().behind(target));
                self.behind.extend(fixture::behind(target));
            }
        }
    }

    /// Books what is lost. Whether it hung on what was struck is asked once: a program that goes on
    /// with what it no longer has may do anything to the rest.
    fn lose(&mut self, ids: impl IntoIterator<Item = u64>) {
        let is_first = self.lost.is_empty();
        for id in ids {
            self.lost.insert(id);
            let shadow = self.planner.shadow();
            let is_spoilt = self.behind.contains(&id)
                || shadow.leads_to(id, &self.behind)
                || (!shadow.has(id) && !self.behind.is_empty());
            if is_first && !is_spoilt {
                self.lost_beyond.insert(id);
            }
        }
    }

    fn compare(&mut self, seen: &Checkpoint) {
        self.follow_to(seen.op);
        let shadow = self.planner.shadow();
        let mut expected = shadow.digests();
        expected.extend(fixture::expected());
        let found: BTreeMap<u64, u32> = seen.objects.iter().copied().collect();
        let mut lost: Vec<u64> = Vec::new();
        let missing = expected
            .iter()
            .filter(|(id, digest)| found.get(id) != Some(digest));
        lost.extend(missing.map(|(id, _)| *id));
        lost.extend(found.keys().filter(|id| !expected.contains_key(id)));
        let (level, faults) = (self.case.level, self.case.faults());
        let has_second_opinion = faults.iter().any(|fault| fault.has_second_opinion(level));
        let watched = shadow.watched();
        lost.extend(self.answers.compare(seen, &watched, has_second_opinion));
        let live = shadow.live_tickets();
        for ticket in &seen.dropped {
            if live.contains(ticket) || !self.dropped.insert(*ticket) {
                lost.push(*ticket);
            }
        }
        if !seen.roots_refused.is_empty() {
            lost.push(u64::MAX);
        }
        self.lose(lost);
    }

    fn verdict(mut self, transcript: &Transcript) -> Verdict {
        let is_aborted = self.case.rules == Rules::Abort
            && transcript.exit == Exit::Signal(SIGABRT)
            && self.end.is_none();
        if is_aborted {
            match report_text::read(&transcript.stderr) {
                Some(told) => self.told.push(Told {
                    at_op: self.announced.unwrap_or(self.done),
                    ..told
                }),
                None => self.broken = Some("the report of the abort is not whole"),
            }
        } else if let Some(end) = &self.end {
            self.broken = self.broken.or(self.end_is_broken(end));
            self.lose(self.answers.left());
        }
        if transcript.garbage > 0 {
            self.broken = Some("there is garbage among the lines");
        }
        let is_ended = is_aborted || (transcript.exit == Exit::Code(0) && self.end.is_some());
        let found = self.told.iter().find(|told| self.is_finding(told)).cloned();
        let cycles_to_find = found.as_ref().map(|told| self.cycles_since(told.cycle));
        let misreport = self.misreport(found.as_ref());
        let facts = Facts {
            is_hung: transcript.exit == Exit::Killed,
            is_crashed: !is_ended,
            is_report_broken: self.broken.is_some(),
            is_aborted,
            lost: self.lost.len() as u64,
            is_reported: !self.told.is_empty(),
            is_misreported: misreport.is_some(),
            cycles_to_find,
        };
        let mut verdict = Verdict {
            outcome: facts.outcome(),
            is_activated: self.is_activated(is_aborted, found.is_some()),
            is_found: found.is_some(),
            ops_to_find: found
                .as_ref()
                .map(|told| told.at_op.saturating_sub(self.case.strike_at)),
            cycles_to_find,
            is_place_right: found.as_ref().and_then(|told| self.is_place_right(told)),
            found,
            lost: facts.lost,
            lost_beyond_target: self.lost_beyond.len() as u64,
            quarantined_bytes: self.quarantined_bytes,
            why: why(&facts, transcript, misreport, self.broken),
            breach: None,
        };
        let seen = Seen {
            outcome: verdict.outcome,
            is_activated: verdict.is_activated,
            is_found: verdict.is_found,
            lost: verdict.lost,
            lost_beyond_target: verdict.lost_beyond_target,
        };
        verdict.breach = breach(self.case, seen);
        verdict
    }

    fn is_finding(&self, told: &Told) -> bool {
        let faults = self.case.faults();
        faults.iter().any(|fault| fault.is_found_by(&told.check))
    }

    /// Cycles since the fault; none are counted where the child died before it said when that was.
    fn cycles_since(&self, cycle: u32) -> u32 {
        let struck = self.strikes.first().map_or(cycle, |strike| strike.cycle);
        cycle.saturating_sub(struck)
    }

    /// Whether the fault took place and mattered, as far as can be known: a site struck or something
    /// was written, and then a cycle ran to its end over it, or a check spoke.
    fn is_activated(&self, is_aborted: bool, is_found: bool) -> bool {
        if self.case.kind == Kind::Control {
            return false;
        }
        let is_struck = self.strikes.iter().any(|strike| strike.is_struck)
            || (is_aborted && self.strikes.is_empty());
        let Some(end) = &self.end else {
            return is_struck;
        };
        let has_run = self.strikes.iter().any(|strike| end.cycles > strike.cycle);
        is_struck && (is_found || (end.strikes != Some(0) && has_run))
    }

    /// Whether a report names the span and the slot that were struck; `None` where either does not
    /// say, and for a pair, whose second fault may not have said what it struck.
    fn is_place_right(&self, told: &Told) -> Option<bool> {
        let strike = match &self.strikes[..] {
            [strike] if self.case.second.is_none() => strike,
            _ => return None,
        };
        let span = told.span.filter(|_| !strike.spans.is_empty())?;
        if self.case.fault.may_not_matter() && told.check != Check::UnmarkedReachable.id() {
            // What was freed too early is told of, and that may be anything the lost object led to.
            return None;
        }
        let names_slot = NAME_SLOTS.iter().any(|check| check.id() == told.check);
        let is_slot_told = told
            .slot
            .filter(|_| names_slot && self.case.fault.is_of_slot());
        let is_slot_right = is_slot_told.is_none_or(|slot| strike.slots.contains(&slot));
        Some(strike.spans.contains(&span) && is_slot_right)
    }

    /// What is wrong with the reports, if anything.
    fn misreport(&self, found: Option<&Told>) -> Option<String> {
        let faults = self.case.faults();
        let stray = self.told.iter().find(|told| {
            let is_allowed = |fault: &Fault| fault.allows(self.case.level, &told.check);
            // What one fault has withdrawn the other may break, which the recount alone sees.
            let is_recount = self.case.second.is_some() && told.check == Check::Ledger.id();
            told.at_op < self.case.strike_at || !(faults.iter().any(is_allowed) || is_recount)
        });
        if let Some(told) = stray {
            return Some(format!("{} at operation {}", told.check, told.at_op));
        }
        let is_wrong = found.is_some_and(|told| self.is_place_right(told) == Some(false));
        let is_wrong = is_wrong && !self.case.fault.passes(self.case.level);
        is_wrong.then(|| "the first report names another place".to_string())
    }

    /// What the heap says of itself at the end, held against what it told.
    fn end_is_broken(&self, end: &End) -> Option<&'static str> {
        if end.imbalance.is_some() {
            return Some("the accounts do not balance at the end");
        }
        if end.violations.values().sum::<u64>() != end.recorded {
            return Some("the counters do not add up to the record");
        }
        let count = |check: Check| end.violations.get(check.id()).copied().unwrap_or_default();
        // A hook is not told of its own misdeeds.
        let own = count(Check::HookPanicked) + count(Check::HookReentered);
        if end
            .delivered
            .is_some_and(|delivered| delivered + end.suppressed + own != end.recorded)
        {
            return Some("deliveries do not add up to the record");
        }
        let turns = |check: &Check| {
            count(*check) > 0 && Policy::MARK_UNHEALTHY.response(*check) == Response::MarkUnhealthy
        };
        let must_be_healthy = self.case.rules != Rules::Unhealthy || !Check::ALL.iter().any(turns);
        (must_be_healthy != end.is_healthy).then_some("the health does not follow from the record")
    }
}

fn why(
    facts: &Facts,
    transcript: &Transcript,
    misreport: Option<String>,
    broken: Option<&str>,
) -> String {
    if facts.is_crashed || facts.is_hung {
        let last = transcript
            .stderr
            .lines()
            .find(|line| !line.trim().is_empty());
        return format!("{:?}: {}", transcript.exit, last.unwrap_or_default());
    }
    match (broken, misreport) {
        (Some(broken), _) => broken.to_string(),
        (None, Some(misreport)) => misreport,
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
