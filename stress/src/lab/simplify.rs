//! Simpler forms of operations and programs, for the shrinker to try.
//!
//! Pure: what is tried follows from what is given. Invariant: each form is smaller by a measure that never
//! grows (operands towards zero, operations towards the head of `whole collection, rest of a cycle, up to
//! marking, steps`), so that trying them comes to an end.

use std::collections::BTreeMap;

use gc_core::Phase;

use crate::ops::{ObjectId, Op, Program};

/// Simpler forms of one operation, the simplest first.
pub(super) fn simpler(op: &Op) -> Vec<Op> {
    match op {
        Op::Step { units } => {
            let mut forms = vec![
                Op::Collect,
                Op::Finish,
                Op::Until { phase: Phase::Mark },
                Op::Until {
                    phase: Phase::Sweep,
                },
            ];
            forms.extend(smaller(*units).map(|units| Op::Step { units }));
            forms
        }
        Op::Start => vec![Op::Collect, Op::Finish, Op::Until { phase: Phase::Mark }],
        Op::StartYoung => vec![Op::CollectYoung, Op::Start],
        Op::CollectYoung => vec![Op::Collect],
        Op::Until { .. } => vec![Op::Collect, Op::Finish],
        Op::Finish => vec![Op::Collect],
        Op::Push { slots } => smaller(*slots).map(|slots| Op::Push { slots }).collect(),
        Op::Retire { .. } => vec![Op::Pop],
        Op::Bytes { object, bytes } => {
            let object = *object;
            let forms = smaller(*bytes).map(|bytes| Op::Bytes { object, bytes });
            forms.collect()
        }
        Op::New {
            object,
            kind,
            fields,
        } => (0..fields.len())
            .map(|gone| {
                let mut fields = fields.clone();
                fields.remove(gone);
                Op::New {
                    object: *object,
                    kind: *kind,
                    fields,
                }
            })
            .collect(),
        Op::Call {
            base,
            result,
            mode,
            arguments,
        } if !arguments.is_empty() => vec![Op::Call {
            // The result stays in its slot.
            base: base + 1,
            result: *result,
            mode: *mode,
            arguments: arguments[1..].to_vec(),
        }],
        Op::Fill { .. } => simpler_fills(op),
        _ => Vec::new(),
    }
}

/// Numbers to put in the place of one.
fn smaller(number: u32) -> impl Iterator<Item = u32> {
    let candidates = [1, 2, number / 2, number.saturating_sub(1)];
    candidates
        .into_iter()
        .filter(move |candidate| (1..number).contains(candidate))
}

fn simpler_fills(op: &Op) -> Vec<Op> {
    let Op::Fill {
        slot,
        count,
        first,
        kind,
        shared,
    } = *op
    else {
        return Vec::new();
    };
    let fill = |slot, count, shared| Op::Fill {
        slot,
        count,
        first,
        kind,
        shared,
    };
    let mut forms = Vec::new();
    if shared.is_some() {
        forms.push(fill(slot, count, None));
    }
    let half = count / 2;
    if half > 0 {
        forms.push(fill(slot, half, shared));
        forms.push(fill(slot + half, count - half, shared));
        forms.push(fill(slot, count - 1, shared));
        forms.push(fill(slot + 1, count - 1, shared));
    }
    forms
}

/// Simpler forms of a whole program: everybody on one stack, slots further down, no marks.
pub(super) fn simpler_programs(program: &Program) -> Vec<Program> {
    let mut forms = Vec::new();
    let mut add = |change: &dyn Fn(&mut Op)| {
        let mut form = program.clone();
        form.ops.iter_mut().for_each(change);
        if form != *program {
            forms.push(form);
        }
    };
    add(&|op| {
        if let Op::Enter { mutator, stack } = op {
            (*mutator, *stack) = (0, 0);
        }
    });
    let lowest = program.ops.iter().filter_map(lowest_slot).min();
    for by in [lowest.unwrap_or(0), 1] {
        if lowest.is_some_and(|lowest| lowest >= by) && by > 0 {
            add(&|op| {
                if let Op::Push { slots } = op {
                    *slots = slots.saturating_sub(by).max(1);
                }
                for_slot(op, |slot| *slot = slot.saturating_sub(by));
            });
        }
    }
    forms
}

fn lowest_slot(op: &Op) -> Option<u32> {
    let mut lowest = None;
    for_slot(&mut op.clone(), |slot| lowest = Some(*slot));
    lowest
}

/// Shows the slot that an operation begins at, if it has one.
fn for_slot(op: &mut Op, mut see: impl FnMut(&mut u32)) {
    match op {
        Op::Store { slot, .. }
        | Op::CopyBack { slot, .. }
        | Op::Fill { slot, .. }
        | Op::Retire { from: slot, .. }
        | Op::Call { base: slot, .. } => see(slot),
        _ => {}
    }
}

/// The same program with objects and seats numbered in the order in which they come, and without kinds
/// that it does not use.
pub(super) fn numbered_anew(program: &Program) -> Program {
    let mut program = program.clone();
    let mut numbers: BTreeMap<ObjectId, ObjectId> = BTreeMap::new();
    let mut last = 0;
    for op in &program.ops {
        if let Op::Fill {
            count,
            first,
            shared,
            ..
        } = op
        {
            let objects = Op::objects_of_fill(*count, *shared);
            for object in *first..first.saturating_add(objects) {
                last += 1;
                numbers.insert(object, last);
            }
            continue;
        }
        op.clone().for_each_object(&mut |object| {
            numbers.entry(*object).or_insert_with(|| {
                last += 1;
                last
            });
        });
    }
    let mut seats: BTreeMap<u32, u32> = BTreeMap::new();
    let mut stacks: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for op in &mut program.ops {
        op.for_each_object(&mut |object| *object = numbers.get(object).copied().unwrap_or(0));
        if let Op::Enter { mutator, stack } = op {
            let next = seats.len() as u32;
            let seat = *seats.entry(*mutator).or_insert(next);
            let next = stacks.keys().filter(|(at, _)| at == mutator).count() as u32;
            let place = *stacks.entry((*mutator, *stack)).or_insert(next);
            (*mutator, *stack) = (seat, place);
        }
    }
    keep_used_kinds(&mut program);
    program
}

fn keep_used_kinds(program: &mut Program) {
    let mut kinds = Vec::new();
    let all = std::mem::take(&mut program.kinds);
    let mut keep = |number: &mut u16| {
        if let Some(kind) = all.get(usize::from(*number)) {
            let known = kinds.iter().position(|known| known == kind);
            *number = known.unwrap_or_else(|| {
                kinds.push(kind.clone());
                kinds.len() - 1
            }) as u16;
        }
    };
    for op in &mut program.ops {
        match op {
            Op::New { kind, .. } => keep(kind),
            Op::Fill { kind, shared, .. } => {
                keep(kind);
                shared.iter_mut().for_each(|(kind, _)| keep(kind));
            }
            _ => {}
        }
    }
    program.kinds = kinds;
}
