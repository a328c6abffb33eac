//! A bar that shows how far a run is, on standard error and only where that is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::makefunc::Progress;
use crate::soak::SoakOptions;

/// The bar of one run.
pub struct Bar {
    bar: ProgressBar,
    ops: u64,
    is_of_time: bool,
}

impl Bar {
    /// A bar for stages of `ops` operations.
    pub fn new(ops: u64) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(ops), target);
        let template = "{msg:<36} {wide_bar} {human_pos} of {human_len}";
        // A template that cannot be read leaves the plain bar, which is as good.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar {
            bar,
            ops,
            is_of_time: false,
        }
    }

    /// A bar for a soak: operations, or else seconds.
    pub fn for_soak(options: &SoakOptions) -> Self {
        let seconds = options
            .minutes
            .map(|minutes| (minutes * 60.0).ceil() as u64);
        let bar = Bar::new(options.ops.or(seconds).unwrap_or(1));
        bar.bar.set_message(match options.ops {
            Some(_) => "operations",
            None => "seconds",
        });
        Bar {
            is_of_time: options.ops.is_none(),
            ..bar
        }
    }

    /// Shows how far a soak is.
    pub fn show_soak(&self, ops: u64, elapsed: Duration) {
        self.bar.set_position(if self.is_of_time {
            elapsed.as_secs()
        } else {
            ops
        });
    }

    /// A bar for a campaign: with rate, findings, and the time that is left.
    pub fn for_cases() -> Self {
        let bar = Bar::new(1);
        let template =
            "{msg:<36} {wide_bar} {human_pos} of {human_len} cases, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.bar.set_style(style);
        }
        bar
    }

    /// So many cases were done before: they say nothing about the rate.
    pub fn begin_cases(&self, done: u64, cases: u64) {
        self.bar.set_length(cases);
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Shows how many cases of a campaign are done, and what came of them.
    pub fn show_cases(&self, done: u64, cases: u64, found: u64, broken: u64) {
        self.bar.set_length(cases);
        self.bar.set_position(done);
        let broken = match broken {
            0 => String::new(),
            broken => format!(", {broken} promises broken"),
        };
        self.bar.set_message(format!("{found} found{broken}"));
    }

    /// A bar for the traces of a report.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn for_traces() -> Self {
        let bar = Bar::new(1);
        bar.bar.set_message("carrying traces out");
        bar
    }

    /// Shows how many traces are done.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn show_traces(&self, done: u64, traces: u64) {
        self.bar.set_length(traces);
        self.bar.set_position(done);
    }

    /// Shows that no further case is begun.
    pub fn show_ending(&self) {
        self.bar.set_message("finishing the cases in flight");
    }

    /// A bar for shrinking: operations that are gone.
    pub(crate) fn for_shrinking(ops: u64) -> Self {
        Bar::new(ops)
    }

    /// Shows how many operations are left, and how many programs were tried.
    pub(crate) fn show_shrinking(&self, left: u64, tried: u64) {
        self.bar
            .set_message(format!("{left} left, {tried} programs tried"));
        self.bar.set_position(self.ops.saturating_sub(left));
    }

    /// A bar for scenarios that are carried out.
    pub(crate) fn for_scenarios(scenarios: u64) -> Self {
        Bar::new(scenarios)
    }

    /// Shows that one more is done.
    pub(crate) fn show_scenario(&self, name: &'static str) {
        self.bar.set_message(name);
        self.bar.inc(1);
    }

    /// A bar that nobody sees.
    pub fn hidden() -> Self {
        Bar {
            bar: ProgressBar::hidden(),
            ops: 0,
            is_of_time: false,
        }
    }

    /// Shows how far the run is.
    pub fn show(&self, progress: Progress) {
        let (message, position) = match progress {
            Progress::Searching(op) => ("in search of the first violation", op),
            Progress::ServingOn(op) => ("violation found, serving on", op),
        };
        if self.ops > 0 {
            self.bar.set_message(message);
            self.bar.set_position(position);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
