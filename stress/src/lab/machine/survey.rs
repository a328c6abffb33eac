//! What is known of a program before it runs, and the names of its kinds.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::ops::{ObjectId, Op, Program, Word};

/// The names of shapes live as long as the process; there are as many as programs name.
pub(super) fn name_for_ever(name: &str) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_string().into_boxed_str());
    names.push(name);
    name
}

/// Whether an operation is done inside `enter` alone.
pub(super) fn needs_scope(op: &Op) -> bool {
    !matches!(
        op,
        Op::Enter { .. }
            | Op::Leave
            | Op::Unroot { .. }
            | Op::Hold { .. }
            | Op::Release { .. }
            | Op::Start
            | Op::StartYoung
            | Op::Step { .. }
            | Op::Until { .. }
            | Op::Finish
            | Op::Collect
            | Op::CollectYoung
            | Op::Verify
            | Op::Park
            | Op::Fault { .. }
            | Op::Mark { .. }
    )
}

/// Objects that are named when they may be gone.
pub(super) fn remembered(program: &Program) -> HashSet<ObjectId> {
    let mut found = HashSet::new();
    for op in &program.ops {
        let words = match op {
            Op::New { fields, .. } => fields.iter().map(|(_, word)| *word).collect(),
            Op::Write { value, .. } | Op::Store { value, .. } | Op::CopyBack { value, .. } => {
                vec![*value]
            }
            Op::Shade { old, new } => vec![*old, *new],
            Op::Fault { object, .. } => object.iter().map(|id| Word::Stale(*id)).collect(),
            _ => Vec::new(),
        };
        found.extend(words.into_iter().filter_map(|word| match word {
            Word::Stale(object) => Some(object),
            _ => None,
        }));
    }
    found
}
