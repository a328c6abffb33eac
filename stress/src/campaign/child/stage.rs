//! The heap of a case: its graph, its chains, and how the operations of a program are done to it.
//!
//! Used by the child on its one thread. What cannot be done is refused and changes nothing that the
//! shadow knows of. Deliberately absent: any judgement, and any use of what the shadow says beyond the
//! way to a node.

use std::collections::HashSet;
use std::sync::Arc;

use gc_core::{AllocError, Driver, Edge, Gc, Heap, Mutator, Root, Scope, StepProgress};

use super::objects::{Bead, Chained, Log, Node, Relic, Ticket, Watch};
use crate::campaign::fixture::{self, BEAD_FIRST, BEADS, RELIC_FIRST, RELICS, is_kept};
use crate::campaign::lab::shaped;
use crate::campaign::program::Op;
use crate::campaign::shadow::{Path, ROOTS, WATCHES, payload};
use crate::campaign::wire::{Checkpoint, Refusal};
use crate::error::Error;
use gc_core::raw::Stack;

/// Objects that a checkpoint looks at, at most: a damaged heap may lead anywhere.
const OBJECTS_MAX: usize = 20_000;
/// One object of litter in so many is a bead.
const LITTER_PER_BEAD: u64 = 2;

/// What an operation has to tell.
pub(super) enum Answer {
    Nothing,
    Read { id: u64, digest: u32 },
    Checkpoint(Checkpoint),
}

/// See the module.
pub(super) struct Stage {
    pub(super) heap: Heap,
    pub(super) mutator: Mutator,
    pub(super) roots: [Option<Root<Node<'static>>>; ROOTS],
    watches: [Option<Root<Watch<'static>>>; WATCHES],
    pub(super) relics: Root<Relic<'static>>,
    pub(super) short: Root<Bead<'static>>,
    pub(super) long: Root<Bead<'static>>,
    pub(super) log: Arc<Log>,
    /// A root that a fault breaks. It is read at every checkpoint and nothing hangs on it.
    pub(super) doomed: Option<Root<Bead<'static>>>,
    /// The address of an object of an untyped shape, which lives in a stack.
    pub(super) shaped: Option<usize>,
    _stack: Stack,
    /// Addresses of relics that died at the beginning.
    pub(super) dead_relics: Vec<usize>,
}

impl From<AllocError> for Refusal {
    fn from(_: AllocError) -> Self {
        Refusal::Alloc
    }
}

impl Stage {
    /// Builds the chains, lets what shall be dead die, and gives every lease back.
    pub(super) fn new(heap: Heap) -> Result<Self, Error> {
        let mut first = heap.mutator();
        let (relics, dead_relics) = first.enter(relics)?;
        let (short, long) = first.enter(beads)?;
        heap.collect()?;
        drop(first);
        let mut mutator = heap.mutator();
        let (stack, shaped) = shaped(&heap, &mut mutator);
        Ok(Stage {
            heap,
            mutator,
            roots: [const { None }; ROOTS],
            watches: [const { None }; WATCHES],
            relics,
            short,
            long,
            log: Arc::default(),
            doomed: None,
            shaped,
            _stack: stack,
            dead_relics,
        })
    }

    /// The thread died inside: another mutator takes its place.
    pub(super) fn replace_mutator(&mut self) {
        self.mutator = self.heap.mutator();
    }

    /// Does one operation.
    pub(super) fn perform(&mut self, op: &Op) -> Result<Answer, Refusal> {
        match op {
            Op::GrowRoot { root, id } => self.grow_root(*root, *id)?,
            Op::Grow { holder, edge, id } => self.grow(holder, *edge, *id)?,
            Op::Link { holder, edge, to } => self.inside(|roots, scope| {
                let (holder, to) = (walk(roots, scope, holder)?, walk(roots, scope, to)?);
                holder.edges[*edge].set(scope, to);
                Ok(())
            })?,
            Op::Unlink { holder, edge } => self.inside(|roots, scope| {
                walk(roots, scope, holder)?.edges[*edge].set(scope, None);
                Ok(())
            })?,
            Op::Root { root, to } => {
                let new = self.inside(|roots, scope| Ok(scope.root(walk(roots, scope, to)?)))?;
                self.roots[*root] = Some(new);
            }
            Op::DropRoot { root } => self.roots[*root] = None,
            Op::Rewrite { at, version } => self.inside(|roots, scope| {
                let node = walk(roots, scope, at)?;
                let bytes = scope.try_alloc_slice(payload(node.id, *version))?;
                node.payload.set(scope, bytes);
                Ok(())
            })?,
            Op::Ticket { at, ticket } => self.ticket(at, *ticket)?,
            Op::Watch { slot, at } => {
                let watch = self.inside(|roots, scope| {
                    let node = scope.try_downgrade(walk(roots, scope, at)?)?;
                    Ok(scope.root(scope.try_alloc(Watch { node })?))
                })?;
                self.watches[*slot] = Some(watch);
            }
            Op::Read { at } => {
                return self.inside(|roots, scope| {
                    let node = walk(roots, scope, at)?;
                    let (id, digest) = (node.id, node.digest());
                    Ok(Answer::Read { id, digest })
                });
            }
            Op::Litter { count, first_id } => self.litter(*count, *first_id)?,
            // Young where the heap has generations.
            Op::Collect => {
                self.heap.collect_young().map_err(|_| Refusal::Collector)?;
            }
            Op::Step { units } => self.step(*units)?,
            Op::Checkpoint => return Ok(Answer::Checkpoint(self.checkpoint())),
        }
        Ok(Answer::Nothing)
    }

    fn inside<R>(
        &mut self,
        act: impl for<'gc> FnOnce(&[Option<Root<Node<'static>>>], Scope<'gc>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let roots = &self.roots;
        self.mutator.enter(|scope| act(roots, scope))
    }

    fn grow_root(&mut self, root: usize, id: u64) -> Result<(), Refusal> {
        let new = self.inside(|_, scope| Ok(scope.root(node(scope, id)?)))?;
        self.roots[root] = Some(new);
        Ok(())
    }

    fn grow(&mut self, holder: &Path, edge: usize, id: u64) -> Result<(), Refusal> {
        self.inside(|roots, scope| {
            let holder = walk(roots, scope, holder)?;
            holder.edges[edge].set(scope, node(scope, id)?);
            Ok(())
        })
    }

    /// Hands out the slots of relics that died, and as many again.
    pub(super) fn reuse_dead_relics(&mut self) -> Result<(), Refusal> {
        self.inside(|_, scope| {
            for id in 0..RELICS {
                scope.try_alloc(Relic::new(id, None))?;
            }
            Ok(())
        })
    }

    fn ticket(&mut self, at: &Path, id: u64) -> Result<(), Refusal> {
        let log = Arc::clone(&self.log);
        self.inside(|roots, scope| {
            let node = walk(roots, scope, at)?;
            let ticket = scope.try_alloc(Ticket { id, log })?;
            node.ticket.set(scope, ticket);
            Ok(())
        })
    }

    fn litter(&mut self, count: u64, first_id: u64) -> Result<(), Refusal> {
        self.inside(|_, scope| {
            for id in first_id..first_id + count {
                if id.is_multiple_of(LITTER_PER_BEAD) {
                    scope.try_alloc(Bead::new(id, None))?;
                } else {
                    node(scope, id)?;
                }
            }
            Ok(())
        })
    }

    /// Some of a cycle, which is begun when none runs and the heap leaves that to us.
    fn step(&mut self, units: usize) -> Result<(), Refusal> {
        if self.heap.driver() == Driver::Manual {
            let report = self.heap.step(units).map_err(|_| Refusal::Collector)?;
            if report.progress == StepProgress::Idle {
                self.heap.request_collect_young();
            }
        }
        Ok(())
    }

    /// Everything that can be reached.
    fn checkpoint(&mut self) -> Checkpoint {
        let mut told = Checkpoint::default();
        let (roots, watches) = (&self.roots, &self.watches);
        let chains = (&self.relics, &self.short, &self.long);
        let doomed = &self.doomed;
        self.mutator.enter(|scope| {
            let mut open = Vec::new();
            for (at, root) in roots.iter().enumerate() {
                match root.as_ref().map(|root| scope.get(root)) {
                    Some(Ok(node)) => open.push(node),
                    Some(Err(_)) => told.roots_refused.push(at),
                    None => {}
                }
            }
            tell_nodes(open, &mut told.objects);
            if let Ok(relic) = scope.get(chains.0) {
                tell_chain(relic, &mut told.objects);
            }
            if let Ok(bead) = scope.get(chains.1) {
                tell_chain(bead, &mut told.objects);
            }
            if let Ok(bead) = scope.get(chains.2) {
                tell_chain(bead, &mut told.objects);
            }
            // Whether it can be read is the heap's to say, by its check.
            let _ = doomed
                .as_ref()
                .map(|root| scope.get(root).map(|bead| bead.id));
            told.watches = watches
                .iter()
                .map(|watch| answered(scope, watch.as_ref()))
                .collect();
        });
        told.dropped = self.log.take();
        told
    }
}

type Chains<const SORT: usize> = Root<Chained<'static, SORT>>;

/// The chain of relics, whose dead neighbours' addresses come with it.
fn relics(scope: Scope<'_>) -> Result<(Chains<0>, Vec<usize>), AllocError> {
    let (mut kept, mut dead) = (scope.try_alloc(Relic::new(RELIC_FIRST, None))?, Vec::new());
    for at in 1..RELICS {
        if is_kept(at) {
            kept = scope.try_alloc(Relic::new(RELIC_FIRST + at, Some(kept)))?;
        } else {
            dead.push(
                scope
                    .try_alloc(Relic::new(RELIC_FIRST + at, None))?
                    .address(),
            );
        }
    }
    Ok((scope.root(kept), dead))
}

/// The short chain of one bead, and the long one. The marker comes to the short one first.
fn beads(scope: Scope<'_>) -> Result<(Chains<1>, Chains<1>), AllocError> {
    let short = scope.try_alloc(Bead::new(BEAD_FIRST, None))?;
    let mut long = scope.try_alloc(Bead::new(BEAD_FIRST + 1, None))?;
    for at in 2..=BEADS {
        long = scope.try_alloc(Bead::new(BEAD_FIRST + at, Some(long)))?;
    }
    Ok((scope.root(short), scope.root(long)))
}

fn answered(scope: Scope<'_>, watch: Option<&Root<Watch<'static>>>) -> Option<u64> {
    let watch = scope.get(watch?).ok()?;
    Some(scope.upgrade(watch.node)?.id)
}

/// The node at the end of a way.
pub(super) fn walk<'gc>(
    roots: &[Option<Root<Node<'static>>>],
    scope: Scope<'gc>,
    path: &Path,
) -> Result<Gc<'gc, Node<'gc>>, Refusal> {
    let root = roots[path.root].as_ref().ok_or(Refusal::Way)?;
    let mut node = scope.get(root).map_err(|_| Refusal::Root)?;
    for &edge in &path.steps {
        node = node.edges[edge].get().ok_or(Refusal::Way)?;
    }
    Ok(node)
}

fn node(scope: Scope<'_>, id: u64) -> Result<Gc<'_, Node<'_>>, AllocError> {
    let bytes = scope.try_alloc_slice(payload(id, 0))?;
    scope.try_alloc(Node::new(id, bytes))
}

fn tell_nodes<'gc>(mut open: Vec<Gc<'gc, Node<'gc>>>, objects: &mut Vec<(u64, u32)>) {
    let mut seen = HashSet::new();
    while let Some(node) = open.pop() {
        if seen.insert(node.address()) && objects.len() < OBJECTS_MAX {
            objects.push((node.id, node.digest()));
            open.extend(node.edges.iter().filter_map(Edge::get));
        }
    }
}

fn tell_chain<'gc, const SORT: usize>(
    first: Gc<'gc, Chained<'gc, SORT>>,
    objects: &mut Vec<(u64, u32)>,
) {
    let mut seen = HashSet::new();
    let mut at = Some(first);
    while let Some(member) = at.filter(|member| seen.insert(member.address())) {
        objects.push((member.id, fixture::digest(member.value)));
        at = member.next.get();
    }
}
