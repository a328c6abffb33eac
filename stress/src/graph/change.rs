//! What may be done to a graph, on the heap and in the oracle at once.
//!
//! Called by the owner of the graph, inside `enter`. Each change allocates first and stores then, so
//! that a refused allocation leaves both as they were.

use std::sync::atomic::AtomicBool;

use gc_core::{AllocError, Edge, Gc, Scope};

use super::{EDGES, Found, Graph, Hub, Node, Tag, WATCHES_MAX, Watch, WatchRecord, bytes, node};
use crate::audit::Audit;
use crate::hash::content_hash;
use crate::rng::Rng;
use crate::session::Ids;

impl Graph {
    /// Changes the graph in one way or another. A refused allocation leaves it as it was.
    pub(crate) fn change<'gc>(
        &mut self,
        scope: Scope<'gc>,
        hub: Gc<'gc, Hub<'gc>>,
        rng: &mut Rng,
        ids: &mut Ids,
    ) -> Result<Audit, AllocError> {
        let mut audit = Audit::default();
        let found = self.walk(hub, &mut audit);
        match rng.below(16) {
            0..=5 if !self.is_complete() => self.grow(scope, &found, rng, ids)?,
            6..=8 => self.rewrite(scope, &found, rng)?,
            9 if self.watches.len() < WATCHES_MAX => self.watch(scope, hub, &found, rng, ids)?,
            10..=11 => self.revive(scope, hub, &found, rng, &mut audit),
            12 => self.let_go(scope, &found, rng),
            _ => self.relink(scope, &found, rng),
        }
        Ok(audit)
    }

    /// A node that is linked, from any one on. The first one is.
    fn pick<'gc>(&self, found: &Found<'gc>, rng: &mut Rng) -> Option<(usize, Gc<'gc, Node<'gc>>)> {
        let (nodes, from) = (found.len(), rng.index(found.len()));
        (from..from + nodes).find_map(|at| found[at % nodes].map(|node| (at % nodes, node)))
    }

    /// Links a new node in, at the place of some edge; what that led to may be lost.
    pub(super) fn grow<'gc>(
        &mut self,
        scope: Scope<'gc>,
        found: &Found<'gc>,
        rng: &mut Rng,
        ids: &mut Ids,
    ) -> Result<(), AllocError> {
        let (node, mut record) = node(scope, rng, ids)?;
        for edge in 0..EDGES {
            if let Some((at, target)) = self.pick(found, rng).filter(|_| rng.one_in(2)) {
                node.edges[edge].set(scope, target);
                record.edges[edge] = Some(at);
            }
        }
        let new = self.nodes.len();
        self.nodes.push(record);
        if let Some((at, holder)) = self.pick(found, rng) {
            let edge = rng.index(EDGES);
            holder.edges[edge].set(scope, node);
            self.nodes[at].edges[edge] = Some(new);
        }
        Ok(())
    }

    /// Makes some edge lead elsewhere or nowhere.
    fn relink<'gc>(&mut self, scope: Scope<'gc>, found: &Found<'gc>, rng: &mut Rng) {
        let target = self.pick(found, rng).filter(|_| !rng.one_in(4));
        if let Some((at, holder)) = self.pick(found, rng) {
            let edge = rng.index(EDGES);
            holder.edges[edge].set(scope, target.map(|(_, node)| node));
            self.nodes[at].edges[edge] = target.map(|(at, _)| at);
        }
    }

    /// Gives some node another payload.
    fn rewrite<'gc>(
        &mut self,
        scope: Scope<'gc>,
        found: &Found<'gc>,
        rng: &mut Rng,
    ) -> Result<(), AllocError> {
        let bytes = bytes(rng);
        let hash = content_hash(&bytes);
        let payload = scope.try_alloc_slice(bytes)?;
        if let Some((at, node)) = self.pick(found, rng) {
            node.payload.set(scope, payload);
            self.nodes[at].hash = hash;
        }
        Ok(())
    }

    /// Watches some node.
    pub(super) fn watch<'gc>(
        &mut self,
        scope: Scope<'gc>,
        hub: Gc<'gc, Hub<'gc>>,
        found: &Found<'gc>,
        rng: &mut Rng,
        ids: &mut Ids,
    ) -> Result<(), AllocError> {
        let Some((at, key)) = self.pick(found, rng) else {
            return Ok(());
        };
        let (id, bytes) = (ids.next(), bytes(rng));
        let tag_hash = content_hash(&bytes);
        let text = scope.try_alloc_slice(bytes)?;
        let tag = scope.try_alloc(Tag { id, key, text })?;
        let watch = scope.try_alloc(Watch {
            id,
            node: scope.try_downgrade(key)?,
            pair: scope.try_ephemeron(key, tag)?,
            next: Edge::from(hub.watches.get()),
        })?;
        hub.watches.set(scope, watch);
        self.watches.push(WatchRecord {
            id,
            node: at,
            tag_hash,
            is_gone: AtomicBool::new(false),
        });
        Ok(())
    }

    /// Makes some watched node unreachable: no edge leads to it any more.
    fn let_go<'gc>(&mut self, scope: Scope<'gc>, found: &Found<'gc>, rng: &mut Rng) {
        if self.watches.is_empty() {
            return;
        }
        let watched = self.watches[rng.index(self.watches.len())].node;
        for (record, node) in self.nodes.iter_mut().zip(found) {
            let Some(node) = node else { continue };
            for (edge, leads_to) in node.edges.iter().zip(&mut record.edges) {
                if *leads_to == Some(watched) {
                    edge.set(scope, None);
                    *leads_to = None;
                }
            }
        }
    }

    /// Links a node in again that only a watch still answers.
    fn revive<'gc>(
        &mut self,
        scope: Scope<'gc>,
        hub: Gc<'gc, Hub<'gc>>,
        found: &Found<'gc>,
        rng: &mut Rng,
        audit: &mut Audit,
    ) {
        let mut watch = hub.watches.get();
        for record in self.watches.iter().rev() {
            let Some(at) = watch else { return };
            if found[record.node].is_none()
                && let Some(node) = self.look(scope, at, record, found, audit)
                && let Some((holder, into)) = self.pick(found, rng)
            {
                let edge = rng.index(EDGES);
                into.edges[edge].set(scope, node);
                self.nodes[holder].edges[edge] = Some(record.node);
                return;
            }
            watch = at.next.get();
        }
    }
}
