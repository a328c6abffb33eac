//! The shrinker: takes away what a violation does not need.
//!
//! Delta debugging: first everything after the violation, then whole visits of mutators, then runs of
//! operations by halves, then single ones; what is left is made simpler, operand by operand, and numbered
//! anew. A smaller program is taken if the same check still reports the same guilty store, and something
//! live is lost if it was before, and else nothing. Each candidate runs on a heap of its own.
//!
//! Bounded by time: what it has reached when time is up is what it answers, and may be given to it again.
//! Which candidates are tried follows from the program alone. Used by one thread.

use std::ops::Range;
use std::time::{Duration, Instant};

use gc_core::{Check, Policy};

use super::outcome::{Met, Outcome};
use super::simplify;
use super::{Setup, Stop};
use crate::error::Error;
use crate::ops::{Op, Program};

/// What a smaller program must still show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Goal {
    /// The check.
    pub(crate) check: Check,
    /// The line of source code whose store led to it, if the check knows.
    pub(crate) call_site: Option<String>,
    /// Whether something live is lost.
    is_of_loss: bool,
}

impl Goal {
    /// The first report of a run.
    pub(crate) fn of(outcome: &Outcome) -> Option<Goal> {
        let first = outcome.first()?;
        Some(Goal {
            check: first.check,
            call_site: first.call_site(),
            is_of_loss: !outcome.lost.is_empty(),
        })
    }

    /// From which report on a run need not go on: a loss may show at its very end.
    fn stop(&self) -> Stop {
        if self.is_of_loss {
            Stop::Never
        } else {
            Stop::At(self.check, self.call_site.clone())
        }
    }

    /// Where a run shows it.
    pub(crate) fn met<'o>(&self, outcome: &'o Outcome) -> Option<&'o Met> {
        if self.is_of_loss == outcome.lost.is_empty() {
            return None;
        }
        outcome.of(self.check, self.call_site.as_deref())
    }
}

/// How far the shrinker is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shrinking {
    /// Operations that are left.
    pub(crate) ops: usize,
    /// Programs that were tried.
    pub(crate) tried: u64,
}

/// What came of it.
pub(crate) struct Shrunk {
    /// The smallest program found.
    pub(crate) program: Program,
    /// Whether nothing more can be taken away; else time was up.
    pub(crate) is_minimal: bool,
    /// Programs that were tried.
    pub(crate) tried: u64,
}

/// Shrinks a program within a time. `saw` hears of every smaller program, and may save it.
///
/// # Errors
///
/// `saw` fails.
pub(crate) fn shrink(
    program: &Program,
    goal: &Goal,
    setup: &Setup,
    budget: Duration,
    saw: &mut dyn FnMut(&Program, Shrinking) -> Result<(), Error>,
) -> Result<Shrunk, Error> {
    let mut shrinker = Shrinker {
        best: program.clone(),
        goal,
        setup: Setup {
            policy: Policy::COUNT,
            stop: goal.stop(),
            ..setup.clone()
        },
        until: Instant::now() + budget,
        tried: 0,
        is_out_of_time: false,
        saw,
    };
    // The program itself, so that what comes after the violation goes at once.
    shrinker.accepts(program.clone())?;
    loop {
        let before = shrinker.best.clone();
        shrinker.remove_visits()?;
        shrinker.remove_runs()?;
        shrinker.simplify()?;
        if shrinker.best == before || shrinker.is_out_of_time {
            break;
        }
    }
    let numbered = simplify::numbered_anew(&shrinker.best);
    shrinker.accepts(numbered)?;
    Ok(Shrunk {
        is_minimal: !shrinker.is_out_of_time,
        tried: shrinker.tried,
        program: shrinker.best,
    })
}

struct Shrinker<'a> {
    best: Program,
    goal: &'a Goal,
    setup: Setup,
    until: Instant,
    tried: u64,
    is_out_of_time: bool,
    saw: &'a mut dyn FnMut(&Program, Shrinking) -> Result<(), Error>,
}

impl Shrinker<'_> {
    /// Tries a program, and takes it if it shows the same.
    fn accepts(&mut self, mut program: Program) -> Result<bool, Error> {
        self.is_out_of_time |= Instant::now() >= self.until;
        if self.is_out_of_time {
            return Ok(false);
        }
        let Some(idle) = self.shows(&mut program) else {
            return Ok(false);
        };
        if !idle.is_empty() {
            // What does nothing goes at once, rather than one by one.
            let mut without = program.clone();
            let mut at = 0..;
            without
                .ops
                .retain(|_| at.next().is_none_or(|at| idle.binary_search(&at).is_err()));
            if self.shows(&mut without).is_some() {
                program = without;
            }
        }
        self.keep(program)?;
        Ok(true)
    }

    /// Runs a program. If it shows what it must, cuts off what comes after that (a loss may come later than
    /// the report), and answers which operations did nothing.
    fn shows(&mut self, program: &mut Program) -> Option<Vec<usize>> {
        self.tried += 1;
        // A program that the heap refuses to carry out is no smaller form of one that it does.
        let outcome = super::run(program, &self.setup).ok()?;
        let met = self.goal.met(&outcome)?;
        if !self.goal.is_of_loss {
            program.ops.truncate(met.op + 1);
        }
        let idle = outcome.skipped.into_iter();
        Some(idle.filter(|at| *at < program.ops.len()).collect())
    }

    fn keep(&mut self, program: Program) -> Result<(), Error> {
        self.best = program;
        let progress = Shrinking {
            ops: self.best.ops.len(),
            tried: self.tried,
        };
        (self.saw)(&self.best, progress)
    }

    fn accepts_without(&mut self, range: Range<usize>) -> Result<bool, Error> {
        let mut program = self.best.clone();
        program.ops.drain(range);
        self.accepts(program)
    }

    /// Takes whole visits away, from one `enter` up to the next, by halves and then one by one.
    fn remove_visits(&mut self) -> Result<(), Error> {
        let mut group = self.visits().len().div_ceil(2);
        while group > 0 && !self.is_out_of_time {
            let mut end = self.visits().len();
            while end > 0 && !self.is_out_of_time {
                let visits = self.visits();
                end = end.min(visits.len());
                let start = end.saturating_sub(group);
                let last = visits.get(end).copied();
                if let Some(first) = visits.get(start) {
                    self.accepts_without(*first..last.unwrap_or(self.best.ops.len()))?;
                }
                end = start;
            }
            group /= 2;
        }
        Ok(())
    }

    /// Where visits begin.
    fn visits(&self) -> Vec<usize> {
        let ops = self.best.ops.iter().enumerate();
        ops.filter(|(_, op)| matches!(op, Op::Enter { .. }))
            .map(|(at, _)| at)
            .collect()
    }

    /// Takes runs of operations away, by halves, then one by one until no single one can go.
    fn remove_runs(&mut self) -> Result<(), Error> {
        let mut run = self.best.ops.len().div_ceil(2);
        while run > 0 && !self.is_out_of_time {
            let mut has_shrunk = false;
            let mut end = self.best.ops.len();
            while end > 0 && !self.is_out_of_time {
                end = end.min(self.best.ops.len());
                let start = end.saturating_sub(run);
                has_shrunk |= self.accepts_without(start..end)?;
                end = start;
            }
            if run > 1 || !has_shrunk {
                run /= 2;
            }
        }
        Ok(())
    }

    /// Replaces operations, and what whole programs have in common, by simpler ones.
    fn simplify(&mut self) -> Result<(), Error> {
        for program in simplify::simpler_programs(&self.best) {
            self.accepts(program)?;
        }
        let mut at = self.best.ops.len();
        while at > 0 && !self.is_out_of_time {
            at = at.min(self.best.ops.len());
            if at == 0 {
                break;
            }
            at -= 1;
            let candidates = simplify::simpler(&self.best.ops[at]);
            for candidate in candidates {
                let mut program = self.best.clone();
                let Some(place) = program.ops.get_mut(at) else {
                    break;
                };
                *place = candidate;
                if self.accepts(program)? {
                    // The simpler one may be made simpler still.
                    at = (at + 1).min(self.best.ops.len());
                    break;
                }
            }
        }
        Ok(())
    }
}
