//! Figures of the concurrency goals, each measured side by side with what it is compared with, in
//! one run: mutator pauses on a small and a large heap, throughput of two mutators against one,
//! marking with two collector threads against one, the checks of the default level against `lax`.
//!
//! Whatever is compared is run alternately, and medians are compared, because machines drift. A
//! figure that is a ratio says more than one in nanoseconds; goals are met or missed and never fail
//! the run. Nothing else should run on the machine meanwhile.

use std::time::Duration;

use gc_core::{Builder, Driver, Heap, Policy};

use crate::error::Error;

mod checks;
mod items;
mod machine;
mod marking;
mod pauses;
pub mod report;
mod throughput;

/// A measurement takes as long as it takes: nobody is too late for it.
const STALL_DEADLINE: Duration = Duration::from_secs(600);

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Goal {
    /// So much or less.
    AtMost(f64),
    /// So much or more.
    AtLeast(f64),
}

impl Goal {
    /// Whether a value reaches the goal.
    pub fn is_met_by(self, value: f64) -> bool {
        match self {
            Goal::AtMost(most) => value <= most,
            Goal::AtLeast(least) => value >= least,
        }
    }
}

/// One measured figure.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// What was measured.
    pub metric: String,
    /// Its unit; `ratio` for none.
    pub unit: &'static str,
    /// How much it is.
    pub value: f64,
    /// What it should be, if anybody has said so.
    pub goal: Option<Goal>,
}

impl Figure {
    fn new(metric: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Figure {
            metric: metric.into(),
            unit,
            value,
            goal: None,
        }
    }

    fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }
}

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Milliseconds for which threads look at the clock and do nothing else.
    pub gap_ms: u64,
    /// Mebibytes that are live on the small and on the large heap whose pauses are compared.
    pub pause_mib: [usize; 2],
    /// Cycles during which pauses are counted, on each heap.
    pub pause_cycles: u64,
    /// Trees that a mutator builds in one run.
    pub trees: usize,
    /// Runs of each side whose median is taken.
    pub runs: usize,
    /// Mebibytes of the graph that is marked.
    pub mark_mib: usize,
}

impl Extent {
    /// What the goals are about.
    pub const FULL: Extent = Extent {
        gap_ms: 4000,
        pause_mib: [64, 1024],
        pause_cycles: 12,
        trees: 6000,
        runs: 7,
        mark_mib: 512,
    };
    /// Enough to see that everything works, in some seconds.
    pub const QUICK: Extent = Extent {
        gap_ms: 1000,
        pause_mib: [16, 64],
        pause_cycles: 12,
        trees: 100,
        runs: 5,
        mark_mib: 64,
    };
    /// As little as possible, for tests of unoptimised builds.
    pub const TINY: Extent = Extent {
        gap_ms: 10,
        pause_mib: [1, 2],
        pause_cycles: 2,
        trees: 2,
        runs: 1,
        mark_mib: 1,
    };
}

/// Measures everything, and hands each figure over as soon as it is known.
///
/// # Errors
///
/// The machine refuses memory or threads, or `tell` fails.
pub fn run(extent: Extent, tell: &mut dyn FnMut(Figure) -> Result<(), Error>) -> Result<(), Error> {
    machine::measure(extent, tell)?;
    pauses::measure(extent, tell)?;
    throughput::measure(extent, tell)?;
    marking::measure(extent, tell)?;
    checks::measure(extent, tell)
}

fn builder(driver: Driver) -> Builder {
    Heap::builder()
        .name("measure")
        .driver(driver)
        .policy(Policy::MARK_UNHEALTHY)
        .stall_deadline(STALL_DEADLINE)
}

fn heap(driver: Driver) -> Result<Heap, Error> {
    Ok(builder(driver).build()?)
}

/// The middle one of some values, the lower of two.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => values[(count - 1) / 2],
    }
}

/// Cores of the machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_met_on_their_edge_and_missed_beyond() {
        assert!(Goal::AtMost(2.0).is_met_by(2.0) && !Goal::AtMost(2.0).is_met_by(2.1));
        assert!(Goal::AtLeast(1.8).is_met_by(1.8) && !Goal::AtLeast(1.8).is_met_by(1.7));
        assert!(!Goal::AtLeast(1.8).is_met_by(f64::NAN));
    }

    #[test]
    fn the_median_is_one_of_the_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0]), 1.0);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn every_figure_is_measured() {
        let mut figures = Vec::new();
        let told = run(Extent::TINY, &mut |figure| {
            figures.push(figure);
            Ok(())
        });
        told.unwrap();
        let goals = figures.iter().filter(|figure| figure.goal.is_some());
        assert!(goals.count() >= 3, "{figures:?}");
        assert!(
            figures.iter().all(|figure| figure.value.is_finite()),
            "{figures:?}"
        );
        for metric in [
            "pause_max_large",
            "throughput_2_mutators",
            "marking_2_collectors",
        ] {
            assert!(
                figures.iter().any(|figure| figure.metric == metric),
                "{metric}"
            );
        }
    }
}
