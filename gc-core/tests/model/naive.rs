//! The naive heap: a graph in maps, and which programs it is put through.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::program::{EDGES, Inner, Seen, Transition, inner};

/// The naive heap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) edges: BTreeMap<u64, [Option<u64>; EDGES]>,
    pub(crate) roots: Vec<u64>,
    pub(crate) weaks: Vec<u64>,
    /// What each `Inner` of the last `Enter` saw.
    pub(crate) seen: Vec<Seen>,
}

impl Model {
    pub(crate) fn reachable(&self, registers: &[u64]) -> BTreeSet<u64> {
        let mut seen = BTreeSet::new();
        let mut stack: Vec<u64> = self.roots.iter().chain(registers).copied().collect();
        while let Some(id) = stack.pop() {
            if seen.insert(id) {
                stack.extend(self.edges[&id].iter().flatten());
            }
        }
        seen
    }

    fn enter(&mut self, program: &[Inner]) {
        let mut registers: Vec<u64> = Vec::new();
        self.seen.clear();
        for inner in program {
            let seen = self.inner(inner, &mut registers);
            self.seen.push(seen);
        }
    }

    fn inner(&mut self, inner: &Inner, registers: &mut Vec<u64>) -> Seen {
        let pick = |at: usize| pick(registers, at);
        match *inner {
            Inner::Alloc(to) => {
                let id = self.edges.len() as u64;
                self.edges.insert(id, to.map(|to| to.and_then(pick)));
                keep(registers, Some(Some(id)))
            }
            Inner::Load { root } => {
                let id = pick_any(&self.roots, root).copied();
                keep(registers, id.map(Some))
            }
            Inner::Follow { register, edge } => {
                let found = pick(register).map(|id| self.edges[&id][edge]);
                keep(registers, found)
            }
            Inner::Take { register, edge } => {
                let node = pick(register).and_then(|id| self.edges.get_mut(&id));
                keep(registers, node.map(|edges| edges[edge].take()))
            }
            Inner::Set { register, edge, to } => {
                let to = to.and_then(pick);
                if let Some(id) = pick(register) {
                    self.edges.entry(id).and_modify(|edges| edges[edge] = to);
                }
                Seen::Nothing
            }
            Inner::Root { register } => {
                self.roots.extend(pick(register));
                Seen::Nothing
            }
            Inner::Downgrade { register } => {
                self.weaks.extend(pick(register));
                Seen::Nothing
            }
            Inner::Upgrade { weak } => match pick_any(&self.weaks, weak).copied() {
                None => Seen::Nothing,
                Some(id) if self.reachable(registers).contains(&id) => {
                    keep(registers, Some(Some(id)))
                }
                Some(id) => Seen::Perhaps(id),
            },
            Inner::Garbage { .. } | Inner::Poll | Inner::Step { .. } => Seen::Nothing,
        }
    }
}

fn pick(registers: &[u64], at: usize) -> Option<u64> {
    pick_any(registers, at).copied()
}

/// The item that a number picks, if there is one at all.
pub(crate) fn pick_any<T>(items: &[T], at: usize) -> Option<&T> {
    items.get(at.checked_rem(items.len())?)
}

/// Keeps what was found in a register, and says what it was.
fn keep(registers: &mut Vec<u64>, found: Option<Option<u64>>) -> Seen {
    registers.extend(found.flatten());
    match found {
        Some(Some(id)) => Seen::Object(id),
        Some(None) => Seen::Null,
        None => Seen::Nothing,
    }
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Transition> {
        prop_oneof![
            8 => prop::collection::vec(inner(), 1..24).prop_map(Transition::Enter),
            2 => (0..16usize).prop_map(|root| Transition::DropRoot { root }),
            1 => (0..16usize).prop_map(|weak| Transition::DropWeak { weak }),
            2 => Just(Transition::Request),
            2 => Just(Transition::RequestYoung),
            6 => (1..60usize).prop_map(|budget| Transition::Step { budget }),
            1 => Just(Transition::Collect),
            1 => Just(Transition::CollectYoung),
            1 => Just(Transition::Verify),
        ]
        .boxed()
    }

    fn apply(mut model: Model, transition: &Transition) -> Model {
        match transition {
            Transition::Enter(program) => model.enter(program),
            Transition::DropRoot { root } if !model.roots.is_empty() => {
                let at = root % model.roots.len();
                model.roots.swap_remove(at);
            }
            Transition::DropWeak { weak } if !model.weaks.is_empty() => {
                let at = weak % model.weaks.len();
                model.weaks.swap_remove(at);
            }
            _ => {}
        }
        model
    }
}
