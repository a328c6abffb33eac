//! What a run of one program means.
//!
//! The oracle is the shadow of the interpreter, which knows by itself what is alive and what it must hold. A program that
//! breaks nothing must not be reported on, lose nothing, be refused nothing but by its limit, and leave the accounts in order. One that
//! breaks something is there to be reported on; what it must not do is lose something live in silence where the
//! second opinion could have known.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gc_core::CheckLevel;

use super::write::Written;
use crate::error::Error;
use crate::lab::{self, Outcome, Setup};
use crate::ops::{Op, Write};

/// The sorts of findings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sort {
    /// The heap, or the interpreter, panicked.
    Panicked,
    /// A live object was lost, and in a program that breaks nothing.
    Lost,
    /// A live object was lost, nothing was reported, and a second opinion could have known.
    Missed,
    /// The accounts do not balance.
    Accounts,
    /// The heap refused something other than by the limit of the program, and in one that breaks nothing.
    Refused,
    /// A report: a false one of a program that breaks nothing, else one that was to be found.
    Reported,
}

impl Sort {
    /// The word in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Sort::Panicked => "panicked",
            Sort::Lost => "lost",
            Sort::Missed => "missed",
            Sort::Accounts => "accounts",
            Sort::Refused => "refused",
            Sort::Reported => "reported",
        }
    }
}

/// What makes two findings the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Signature {
    /// Its sort.
    pub sort: Sort,
    /// The check that reported first.
    pub check: Option<&'static str>,
    /// The line of source code whose store was reported, or what was refused.
    pub detail: Option<String>,
}

/// What one program came to.
pub(super) struct Verdict {
    pub(super) signature: Option<Signature>,
    /// Absent where the run did not come to its end.
    pub(super) outcome: Option<Outcome>,
}

/// Carries a program out and judges it.
pub(super) fn judge(written: &Written, setup: &Setup, breaks: bool) -> Verdict {
    let run = catch_unwind(AssertUnwindSafe(|| lab::run(&written.program, setup)));
    let failed = |sort, detail| Verdict {
        signature: Some(Signature {
            sort,
            check: None,
            detail,
        }),
        outcome: None,
    };
    match run {
        Err(_) => failed(Sort::Panicked, None),
        // A handle that was broken may be refused, and so may memory whose accounts were.
        Ok(Err(_)) if breaks => Verdict {
            signature: None,
            outcome: None,
        },
        Ok(Err(error)) => failed(Sort::Refused, Some(told(&error))),
        Ok(Ok(outcome)) => Verdict {
            signature: signature(written, &outcome, breaks),
            outcome: Some(outcome),
        },
    }
}

/// The message without what differs from program to program.
pub(super) fn told(error: &Error) -> String {
    error
        .to_string()
        .chars()
        .filter(|c| !c.is_ascii_digit())
        .collect()
}

fn signature(written: &Written, outcome: &Outcome, breaks: bool) -> Option<Signature> {
    let first = outcome.met.first();
    let is_lost = !outcome.lost.is_empty();
    let sort = match () {
        () if is_lost && !breaks => Sort::Lost,
        () if is_lost && first.is_none() && is_knowable(written) => Sort::Missed,
        () if !outcome.is_ledger_balanced => Sort::Accounts,
        () => first.map(|_| Sort::Reported)?,
    };
    Some(Signature {
        sort,
        check: first.map(|met| met.check.id()),
        detail: first.and_then(|met| met.call_site()),
    })
}

/// Whether a second opinion is asked for, and nothing was hidden from it: a pointer in a word that is none, or in a
/// number, is nowhere to be seen.
fn is_knowable(written: &Written) -> bool {
    let is_hidden = |op: &Op| match op {
        Op::Write { how, .. } => matches!(how, Write::Hide | Write::Pun),
        Op::Hold { .. } => true,
        _ => false,
    };
    written.level == CheckLevel::Paranoid && !written.program.ops.iter().any(is_hidden)
}
