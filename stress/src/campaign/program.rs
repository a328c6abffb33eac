//! The program of a case: operations drawn from its seed, one after the other.
//!
//! Judge and child draw the same program, each for itself: what is drawn depends on the seed and on the
//! shadow, and the shadow on which operations the heap refused, which the child prints. Invariant: an
//! operation speaks of nodes by the way to them, so that it can be carried out with roots alone.

use crate::rng::Rng;

use super::shadow::{EDGES, Index, Path, ROOTS, Shadow, WATCHES};

/// Longest way to a node.
const STEPS_MAX: u64 = 6;
/// One operation in so many is a checkpoint.
const OPS_PER_CHECKPOINT: u64 = 24;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    /// A new node in a root slot.
    GrowRoot { root: usize, id: u64 },
    /// A new node behind an edge.
    Grow { holder: Path, edge: usize, id: u64 },
    /// An edge leads to another node.
    Link { holder: Path, edge: usize, to: Path },
    /// An edge leads nowhere.
    Unlink { holder: Path, edge: usize },
    /// A root slot holds what a way leads to.
    Root { root: usize, to: Path },
    /// A root slot is emptied.
    DropRoot { root: usize },
    /// A node gets another payload.
    Rewrite { at: Path, version: u64 },
    /// A node gets an object with a destructor.
    Ticket { at: Path, ticket: u64 },
    /// A weak reference to a node.
    Watch { slot: usize, at: Path },
    /// A node is read and told.
    Read { at: Path },
    /// Nodes that nothing leads to.
    Litter { count: u64, first_id: u64 },
    /// A whole collection.
    Collect,
    /// So much of a collection.
    Step { units: usize },
    /// Everything reachable is told.
    Checkpoint,
}

/// Draws operations, and keeps the shadow that they change.
#[derive(Clone)]
pub(crate) struct Planner {
    rng: Rng,
    shadow: Shadow,
    next_id: u64,
}

impl Planner {
    pub(crate) fn new(seed: u64) -> Self {
        Planner {
            rng: Rng::for_purpose(seed, "program"),
            shadow: Shadow::default(),
            next_id: 1,
        }
    }

    pub(crate) fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// A way to some node. `None` when nothing is rooted.
    pub(crate) fn path(&self, rng: &mut Rng) -> Option<Path> {
        let rooted = self.shadow.rooted();
        if rooted.is_empty() {
            return None;
        }
        let mut path = Path {
            root: rooted[rng.index(rooted.len())],
            steps: Vec::new(),
        };
        for _ in 0..rng.below(STEPS_MAX + 1) {
            let Some(node) = self.shadow.at(&path) else {
                break;
            };
            let edges = self.shadow.node(node).edges;
            let from = rng.index(EDGES);
            let taken = (0..EDGES).map(|at| (from + at) % EDGES);
            match taken.into_iter().find(|edge| edges[*edge].is_some()) {
                Some(edge) => path.steps.push(edge),
                None => break,
            }
        }
        Some(path)
    }

    /// The next operation. It is drawn whether or not it will be carried out.
    pub(crate) fn draw(&mut self) -> Op {
        let mut rng = self.rng.clone();
        let op = self.draw_with(&mut rng);
        self.rng = rng;
        op
    }

    fn draw_with(&mut self, rng: &mut Rng) -> Op {
        if rng.one_in(OPS_PER_CHECKPOINT) {
            return Op::Checkpoint;
        }
        let (root, edge) = (rng.index(ROOTS), rng.index(EDGES));
        let (Some(at), Some(to)) = (self.path(rng), self.path(rng)) else {
            return Op::GrowRoot {
                root,
                id: self.id(),
            };
        };
        match rng.below(100) {
            0..=9 => Op::GrowRoot {
                root,
                id: self.id(),
            },
            10..=37 => Op::Grow {
                holder: at,
                edge,
                id: self.id(),
            },
            38..=49 => Op::Link {
                holder: at,
                edge,
                to,
            },
            50..=56 => Op::Unlink { holder: at, edge },
            57..=61 => Op::Root { root, to },
            62..=64 => Op::DropRoot { root },
            65..=71 => Op::Rewrite {
                at,
                version: rng.next_u64() >> 8,
            },
            72..=76 => Op::Ticket {
                at,
                ticket: self.id(),
            },
            77..=79 => Op::Watch {
                slot: rng.index(WATCHES),
                at,
            },
            80..=83 => Op::Read { at },
            84..=88 => {
                let count = rng.within(4..=40);
                let first_id = self.next_id;
                self.next_id += count;
                Op::Litter { count, first_id }
            }
            89..=91 => Op::Collect,
            _ => Op::Step {
                units: rng.within(1..=60) as usize,
            },
        }
    }

    /// An operation was carried out: the shadow follows. What the shadow has no place for changes
    /// nothing.
    pub(crate) fn done(&mut self, op: &Op) {
        match op {
            Op::GrowRoot { root, id } => {
                let node = self.shadow.add(*id);
                self.shadow.set_root(*root, Some(node));
            }
            Op::Grow { holder, edge, id } => self.with(holder, |shadow, holder| {
                let node = shadow.add(*id);
                shadow.set_edge(holder, *edge, Some(node));
            }),
            Op::Link { holder, edge, to } => {
                let to = self.shadow.at(to);
                self.with(holder, |shadow, holder| shadow.set_edge(holder, *edge, to));
            }
            Op::Unlink { holder, edge } => {
                self.with(holder, |shadow, holder| {
                    shadow.set_edge(holder, *edge, None)
                });
            }
            Op::Root { root, to } => {
                let to = self.shadow.at(to);
                self.shadow.set_root(*root, to);
            }
            Op::DropRoot { root } => self.shadow.set_root(*root, None),
            Op::Rewrite { at, version } => {
                self.with(at, |shadow, node| shadow.rewrite(node, *version));
            }
            Op::Ticket { at, ticket } => {
                self.with(at, |shadow, node| shadow.set_ticket(node, *ticket));
            }
            Op::Watch { slot, at } => self.with(at, |shadow, node| shadow.watch(*slot, node)),
            Op::Read { .. }
            | Op::Litter { .. }
            | Op::Collect
            | Op::Step { .. }
            | Op::Checkpoint => {}
        }
    }

    fn with(&mut self, path: &Path, change: impl FnOnce(&mut Shadow, Index)) {
        if let Some(node) = self.shadow.at(path) {
            change(&mut self.shadow, node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, ops: usize) -> (Vec<Op>, Planner) {
        let mut planner = Planner::new(seed);
        let ops = (0..ops)
            .map(|_| {
                let op = planner.draw();
                planner.done(&op);
                op
            })
            .collect();
        (ops, planner)
    }

    #[test]
    fn a_seed_is_the_whole_of_a_program() {
        let (one, other) = (drawn(5, 600), drawn(5, 600));
        assert_eq!(one.0, other.0);
        assert_eq!(one.1.shadow(), other.1.shadow());
        assert_ne!(one.0, drawn(6, 600).0);
    }

    #[test]
    fn every_way_of_an_operation_leads_to_a_node_when_it_is_drawn() {
        for seed in 0..20 {
            let mut planner = Planner::new(seed);
            for _ in 0..400 {
                let op = planner.draw();
                let ways: Vec<&Path> = match &op {
                    Op::Link { holder, to, .. } => vec![holder, to],
                    Op::Grow { holder, .. } | Op::Unlink { holder, .. } => vec![holder],
                    Op::Root { to: at, .. }
                    | Op::Rewrite { at, .. }
                    | Op::Ticket { at, .. }
                    | Op::Watch { at, .. }
                    | Op::Read { at } => vec![at],
                    _ => Vec::new(),
                };
                assert!(ways.iter().all(|way| planner.shadow().at(way).is_some()));
                planner.done(&op);
            }
        }
    }

    #[test]
    fn a_program_does_everything_there_is_and_something_stays_alive() {
        let (ops, planner) = drawn(1, 1_000);
        let kinds: std::collections::HashSet<_> = ops.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), 14);
        assert!(planner.shadow().digests().len() > 10);
    }

    #[test]
    fn a_refused_operation_changes_the_program_for_both_alike() {
        let run = || {
            let mut planner = Planner::new(3);
            for at in 0..500 {
                let op = planner.draw();
                if at % 7 != 0 {
                    planner.done(&op);
                }
            }
            planner.shadow().digests()
        };
        assert_eq!(run(), run());
    }
}
