//! A heap that is stepped by hand and has an old object, for the tests that look at single cycles.

use gc_core::{
    CycleKind, CycleReport, Driver, Edge, Gc, Heap, Mutator, Phase, Root, Scope, StepProgress,
    Trace,
};

use crate::support::{assert_sound, paranoid, step_to};

#[derive(Trace)]
pub(crate) struct Node<'gc> {
    pub(crate) id: u64,
    pub(crate) next: Edge<'gc, Node<'gc>>,
    pub(crate) side: Edge<'gc, Node<'gc>>,
}

pub(crate) fn node<'gc>(id: u64) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
        side: Edge::none(),
    }
}

/// A node that leads to another new one, whose number is one more.
pub(crate) fn pair<'gc>(scope: Scope<'gc>, id: u64) -> Gc<'gc, Node<'gc>> {
    let child = scope.alloc(node(id + 1));
    scope.alloc(Node {
        id,
        next: Edge::to(child),
        side: Edge::none(),
    })
}

/// So many nodes that nothing leads to.
pub(crate) fn litter(scope: Scope<'_>, nodes: u64) {
    for id in 0..nodes {
        scope.alloc(node(id));
    }
}

/// The numbers along `next`, the first one left out.
pub(crate) fn behind(mutator: &mut Mutator, root: &Root<Node<'static>>) -> Vec<u64> {
    mutator.enter(|scope| {
        let mut ids = Vec::new();
        let mut at = scope.get(root).unwrap().next.get();
        while let Some(node) = at {
            ids.push(node.id);
            at = node.next.get();
        }
        ids
    })
}

/// See the module. The old object has survived a full cycle.
pub(crate) struct Scene {
    pub(crate) heap: Heap,
    pub(crate) mutator: Mutator,
    pub(crate) old: Root<Node<'static>>,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene::of(paranoid(Driver::Manual))
    }

    pub(crate) fn of(heap: Heap) -> Scene {
        let mut mutator = heap.mutator();
        let old = mutator.enter(|scope| scope.root(scope.alloc(node(0))));
        assert_eq!(heap.collect().unwrap().kind, CycleKind::Full);
        Scene { heap, mutator, old }
    }

    /// Does something with the old object.
    pub(crate) fn with_old<R>(
        &mut self,
        act: impl for<'gc> FnOnce(Scope<'gc>, Gc<'gc, Node<'gc>>) -> R,
    ) -> R {
        let old = &self.old;
        self.mutator
            .enter(|scope| act(scope, scope.get(old).unwrap()))
    }

    pub(crate) fn young(&self) -> CycleReport {
        let report = self.heap.collect_young().unwrap();
        assert_eq!(report.kind, CycleKind::Young);
        report
    }

    pub(crate) fn full(&self) -> CycleReport {
        let report = self.heap.collect().unwrap();
        assert_eq!(report.kind, CycleKind::Full);
        report
    }

    pub(crate) fn is_object(&self, address: usize) -> bool {
        self.heap.locate(address).is_object()
    }

    /// Asks for a young cycle and steps to a phase of it.
    pub(crate) fn young_to(&self, phase: Phase) {
        self.heap.request_collect_young();
        step_to(&self.heap, phase);
    }

    /// Steps until nothing is asked for. Answers the last cycle that ended.
    pub(crate) fn finish(&self) -> Option<CycleReport> {
        let mut finished = None;
        loop {
            let step = self.heap.step(1000).unwrap();
            finished = step.finished.or(finished);
            if step.progress == StepProgress::Idle {
                return finished;
            }
        }
    }

    pub(crate) fn behind_old(&mut self) -> Vec<u64> {
        behind(&mut self.mutator, &self.old)
    }

    pub(crate) fn assert_sound(&self) {
        assert_sound(&self.heap);
    }
}
