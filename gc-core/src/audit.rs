//! Whether the numbers that collections are paced by can be true.
//!
//! The holder of the cycle's lock asks twice a cycle: when it opens, whether goal and trigger follow
//! from what survived; when its sweep is over, whether the running totals bear one another out. Both
//! are arithmetic on a handful of words. What is found wrong is reported and rebuilt from primary
//! numbers: the goal from live bytes, live bytes from a recount of the spans.
//!
//! A third look is taken by whoever finds nothing to sweep in a sweep that is not over: with every
//! mutator held and nobody behind the gate, a span in no list is lost, and put back.
//!
//! Invariant: nothing is reported on the strength of totals that others are changing. A mismatch seen
//! beside running mutators is a reason to look again with every mutator held, and no more; until that
//! can be done, live bytes are taken for no more and no less than the other totals allow
//! ([`Totals::bytes_used`](crate::pacer::Totals::bytes_used)), so that nobody waits for a number to
//! come true. Deliberately absent: the accounts themselves and their recount (gc-sweep).

use std::time::Duration;

use gc_hooks::{Check, Violation};

use crate::gate::{Closed, SWEEPERS};
use crate::pacer::Totals;
use crate::record::HeldRecord;
use crate::shared::Shared;

/// Looks at the goals as a cycle opens, when nothing is freed and every span is swept.
pub(crate) fn check_goals(shared: &Shared) {
    let (pacer, totals) = (shared.progress.pacer(), shared.totals());
    let is_sound = pacer.is_sound(totals.bytes_in_spans());
    if !shared.hooks.holds(Check::Pacer, is_sound, || {
        told(shared, "goal does not follow from what survived")
            .with_number("survived", pacer.bytes_live())
            .with_number("goal", pacer.goal_bytes())
            .with_number("bytes in spans", totals.bytes_in_spans())
    }) {
        shared.progress.set_survived(totals.bytes_used(), 0);
    }
}

/// Looks at the totals when a sweep is over.
pub(crate) fn check_totals(shared: &Shared) {
    if shared.totals().is_plausible() {
        return;
    }
    let Some(totals) = recount(shared) else {
        return;
    };
    let (least, most) = totals.bounds();
    let is_sound = shared.hooks.holds(Check::Pacer, false, || {
        told(shared, "live bytes contradict the other totals")
            .with_number("in the books", totals.bytes_live.max(0).unsigned_abs())
            .with_number("at least", least)
            .with_number("at most", most)
    });
    if !is_sound && !shared.totals().is_plausible() {
        // The recount agrees with the books, so the other totals are the wrong ones.
        shared.progress.doubt_flow();
    }
}

/// With every mutator held, recounts the accounts if the totals still contradict one another. Answers
/// those totals.
fn recount(shared: &Shared) -> Option<Totals> {
    let totals = while_nobody_sweeps(shared, |held| {
        for record in held {
            record.local().for_each_run(|run| shared.space.sync(run));
        }
        let totals = shared.totals();
        let is_wrong = !totals.is_plausible();
        if is_wrong {
            // What it finds it reports and sets right.
            let _rebuilt = shared.space.ledger();
        }
        is_wrong.then_some(totals)
    });
    totals.flatten()
}

/// Looks for spans that a sweep waits for and nobody has in hand. True when there were any: they can be
/// swept now. For the holder of the cycle's lock, who found nothing to sweep.
pub(crate) fn find_lost_spans(shared: &Shared) -> bool {
    let is_mended = || while_nobody_sweeps(shared, |_| shared.space.mend_lists());
    shared.space.is_sweep_stuck() && is_mended().unwrap_or_default()
}

/// Calls `f` with the sweep's gate closed and every mutator held. `None` if that cannot be had at once.
fn while_nobody_sweeps<R>(shared: &Shared, f: impl FnOnce(&[HeldRecord]) -> R) -> Option<R> {
    let result = match shared.sweeping.close() {
        Closed::Empty => shared.world.with_all_held(Duration::ZERO, f),
        Closed::Breached(breach) => {
            shared.hooks.report(shared.breach_of(breach, SWEEPERS));
            None
        }
        Closed::Occupied => None,
    };
    shared.sweeping.open();
    result
}

fn told(shared: &Shared, reason: &'static str) -> Violation {
    Violation::new(Check::Pacer)
        .with_cycle(shared.world.cycle())
        .with_phase(shared.world.phase())
        .with_reason(reason)
}
