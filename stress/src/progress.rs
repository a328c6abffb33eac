//! A bar that shows how far a run is, on standard error and only where that is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::makefunc::Progress;

/// The bar of one run.
pub struct Bar {
    bar: ProgressBar,
    ops: u64,
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
        Bar { bar, ops }
    }

    /// A bar that nobody sees.
    pub fn hidden() -> Self {
        Bar {
            bar: ProgressBar::hidden(),
            ops: 0,
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
