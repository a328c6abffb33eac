//! Controls: heaps that nobody breaks, under conditions that make detectors lie. Whatever is
//! reported is a false alarm.
//!
//! Every condition marks its share of a given number of objects, so that what was *not* seen can be
//! stated as a bound: with no false alarm in n objects, the rate is below 3 in n at 95 % (the rule of
//! three). One thread mutates, one collector thread marks beside it; the stopped condition runs in a
//! process of its own, which the calling one stops and continues.

use std::time::Duration;

use gc_core::{Check, CheckLevel, Checks, Driver, Heap, Policy, Violation};

use crate::error::Error;
use crate::rng::Rng;
use web::Web;

pub mod report;
mod stopped;
mod web;

/// Most nodes of the graph, and changes made to it in one `enter`.
const NODES_MAX: usize = 1 << 17;
const CHANGES: usize = 1 << 10;
/// The limit of the heap that is kept nearly full, and how full it is.
const FULL_LIMIT_BYTES: usize = 8 << 20;
const FULL_PERCENT: usize = 95;

/// What may mislead a detector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing: one collection after the other, at each level.
    Quiet,
    /// A mutator that rearranges the graph while it is marked.
    Busy,
    /// The same, with numbers in the objects that are addresses of live and of dead objects.
    Junk,
    /// A heap whose live objects take 95 % of its limit, so that allocations are refused.
    Full,
    /// The busy condition in a process that is stopped and continued, now and then for longer than
    /// the deadline of a handshake.
    Stopped,
}

impl Condition {
    /// All of them.
    pub const ALL: &'static [Condition] = &[
        Condition::Quiet,
        Condition::Busy,
        Condition::Junk,
        Condition::Full,
        Condition::Stopped,
    ];

    /// Its name on the command line and in reports.
    pub const fn id(self) -> &'static str {
        match self {
            Condition::Quiet => "quiet",
            Condition::Busy => "busy",
            Condition::Junk => "junk",
            Condition::Full => "full",
            Condition::Stopped => "stopped",
        }
    }

    /// The condition of that name.
    pub fn from_id(id: &str) -> Option<Condition> {
        Self::ALL.iter().copied().find(|one| one.id() == id)
    }

    /// Its share of all objects, in percent.
    const fn percent(self) -> u64 {
        match self {
            Condition::Quiet => 60,
            _ => 10,
        }
    }
}

/// What the controls are told.
#[derive(Clone, Debug)]
pub struct ControlsOptions {
    /// Where all decisions come from.
    pub seed: u64,
    /// Objects to mark, by all conditions together.
    pub objects: u64,
    /// One condition, which then marks them all; else every one marks its share.
    pub only: Option<Condition>,
}

/// What one heap under one condition came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The condition.
    pub condition: Condition,
    /// The checks that the heap made.
    pub checks: String,
    /// Objects that it marked.
    pub objects_marked: u64,
    /// Cycles that it ran.
    pub cycles: u64,
    /// Allocations that its limit refused.
    pub refused: u64,
    /// Times that its process was stopped.
    pub stops: u64,
    /// Violations by check.
    pub violations: Vec<(String, u64)>,
    /// The first one, in full.
    pub first: Option<String>,
    /// Whether second opinion and books found everything in order.
    pub is_sound: bool,
}

impl Finding {
    fn of(condition: Condition, heap: &Heap, refused: u64) -> Result<Finding, Error> {
        let is_sound = heap.verify()?.is_clean() && heap.ledger()?.is_balanced();
        let (stats, health) = (heap.stats(), heap.health());
        let violations = Check::ALL
            .iter()
            .map(|check| (check.id().to_string(), health.count(*check)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Ok(Finding {
            condition,
            checks: heap.checks().to_string(),
            objects_marked: stats.objects_marked_total,
            cycles: stats.cycles_finished,
            refused,
            stops: 0,
            violations,
            first: health.first().as_ref().map(Violation::to_string),
            is_sound,
        })
    }
}

/// What all of them came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ControlsOutcome {
    /// Heap by heap.
    pub findings: Vec<Finding>,
}

impl ControlsOutcome {
    /// Objects that were marked by all heaps.
    pub fn objects_marked(&self) -> u64 {
        self.findings.iter().map(|one| one.objects_marked).sum()
    }

    /// False alarms of all heaps.
    pub fn violations(&self) -> u64 {
        let counts = self.findings.iter().flat_map(|one| &one.violations);
        counts.map(|(_, count)| count).sum()
    }

    /// The rate of false alarms, each object marked, that is exceeded with a probability of 5 % at
    /// most; none when there was one.
    pub fn false_positives_below(&self) -> Option<f64> {
        (self.violations() == 0).then(|| 3.0 / self.objects_marked().max(1) as f64)
    }

    /// 0 clean, 10 a false alarm, 70 a heap that is not sound.
    pub fn exit_code(&self) -> u8 {
        match (
            self.findings.iter().all(|one| one.is_sound),
            self.violations(),
        ) {
            (false, _) => 70,
            (true, 0) => 0,
            (true, _) => 10,
        }
    }
}

/// Runs the controls. `tell` gets each finding as soon as it is there.
///
/// # Errors
///
/// The machine refuses memory, threads or processes, or `tell` fails.
pub fn run(
    options: &ControlsOptions,
    tell: &mut dyn FnMut(&Finding) -> Result<(), Error>,
) -> Result<ControlsOutcome, Error> {
    let mut outcome = ControlsOutcome::default();
    for &condition in Condition::ALL {
        let objects = match options.only {
            Some(only) if only == condition => options.objects,
            Some(_) => continue,
            None => options.objects / 100 * condition.percent(),
        };
        let findings = match condition {
            Condition::Quiet => quiet(options.seed, objects)?,
            Condition::Full => vec![full(options.seed, objects)?],
            Condition::Stopped => vec![stopped::run(options.seed, objects)?],
            Condition::Busy | Condition::Junk => vec![busy(condition, options.seed, objects)?],
        };
        for finding in findings {
            tell(&finding)?;
            outcome.findings.push(finding);
        }
    }
    Ok(outcome)
}

/// So many that a heap marks them a score of times and more.
fn nodes(objects: u64) -> usize {
    NODES_MAX.min(1 + objects as usize / 64)
}

fn heap(checks: impl Into<Checks>, limit_bytes: Option<usize>) -> Result<Heap, Error> {
    let mut builder = Heap::builder()
        .name("controls")
        .driver(Driver::Background(1))
        .policy(Policy::COUNT)
        .checks(checks);
    if let Some(bytes) = limit_bytes {
        builder = builder.limit_bytes(bytes);
    }
    Ok(builder.build()?)
}

fn quiet(seed: u64, objects: u64) -> Result<Vec<Finding>, Error> {
    let levels = CheckLevel::ALL;
    let mut findings = Vec::new();
    for &level in levels {
        let heap = heap(level, None)?;
        let mut rng = Rng::for_purpose(seed, "web");
        let _web = Web::new(&mut heap.mutator(), nodes(objects), &mut rng)?;
        while heap.stats().objects_marked_total < objects / levels.len() as u64 {
            heap.collect()?;
        }
        findings.push(Finding::of(Condition::Quiet, &heap, 0)?);
    }
    Ok(findings)
}

fn busy(condition: Condition, seed: u64, objects: u64) -> Result<Finding, Error> {
    let heap = heap(CheckLevel::Default, None)?;
    let mut rng = Rng::for_purpose(seed, condition.id());
    let mut mutator = heap.mutator();
    let web = Web::new(&mut mutator, nodes(objects), &mut rng)?;
    let is_junk = condition == Condition::Junk;
    while heap.stats().objects_marked_total < objects {
        heap.request_collect();
        mutator.enter(|scope| web.rearrange(scope, CHANGES, is_junk, &mut rng))?;
    }
    drop(mutator);
    heap.collect()?;
    Finding::of(condition, &heap, 0)
}

fn full(seed: u64, objects: u64) -> Result<Finding, Error> {
    let heap = heap(CheckLevel::Default, Some(FULL_LIMIT_BYTES))?;
    let mut rng = Rng::for_purpose(seed, "full");
    let mut mutator = heap.mutator();
    let count = FULL_LIMIT_BYTES / 100 * FULL_PERCENT / web::NODE_BYTES;
    let web = Web::new(&mut mutator, count, &mut rng)?;
    let mut refused = 0;
    while heap.stats().objects_marked_total < objects {
        heap.request_collect();
        refused += mutator.enter(|scope| web.replace(scope, CHANGES, &mut rng))?;
        // What the limit refused is there again once a cycle has swept.
        mutator.parked(|| std::thread::park_timeout(Duration::from_micros(50)));
    }
    drop(mutator);
    heap.collect()?;
    Finding::of(Condition::Full, &heap, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_whole() {
        let shares = Condition::ALL.iter().map(|one| one.percent());
        assert_eq!(shares.sum::<u64>(), 100);
        for &condition in Condition::ALL {
            assert_eq!(Condition::from_id(condition.id()), Some(condition));
        }
    }

    #[test]
    fn one_alarm_leaves_no_bound_and_an_unsound_heap_is_worse() {
        let sound = Finding {
            condition: Condition::Quiet,
            checks: String::new(),
            objects_marked: 3_000,
            cycles: 1,
            refused: 0,
            stops: 0,
            violations: Vec::new(),
            first: None,
            is_sound: true,
        };
        let mut outcome = ControlsOutcome {
            findings: vec![sound.clone()],
        };
        assert_eq!(
            (outcome.false_positives_below(), outcome.exit_code()),
            (Some(1e-3), 0)
        );
        outcome.findings.push(Finding {
            violations: vec![("zombie".to_string(), 2)],
            ..sound.clone()
        });
        assert_eq!(
            (outcome.false_positives_below(), outcome.exit_code()),
            (None, 10)
        );
        outcome.findings.push(Finding {
            is_sound: false,
            ..sound
        });
        assert_eq!(outcome.exit_code(), 70);
    }

    #[test]
    fn no_condition_raises_an_alarm() {
        for &condition in Condition::ALL
            .iter()
            .filter(|one| **one != Condition::Stopped)
        {
            let options = ControlsOptions {
                seed: 1,
                objects: 600_000,
                only: Some(condition),
            };
            let outcome = run(&options, &mut |_| Ok(())).unwrap();
            assert_eq!(outcome.exit_code(), 0, "{outcome:?}");
            assert!(outcome.objects_marked() >= options.objects, "{outcome:?}");
        }
    }
}
