//! The graph of a heap's objects, as a snapshot takes it: objects, edges with their fields, roots by kind.
//!
//! Taken by the thread that asked for the snapshot, under the cycle's lock: between termination and
//! flip, while mutators run, or with every mutator held. Nothing is swept meanwhile, so that whatever
//! is an object stays one. Edges are read one by one; a mutator that stores meanwhile may show in one
//! edge and not yet in another.
//!
//! Invariants: objects stand in the order of their addresses, and those behind them that were born
//! meanwhile; an edge leads to an object of the
//! graph; every object can be reached from the roots, those included that nothing else is known to
//! hold. What is damaged is passed over: reporting is the verifier's business. Deliberately absent:
//! the file format (snapshot.rs).

use std::collections::HashMap;

use gc_sweep::{Kept, Span};

use crate::ephemeron;
use crate::object::Spot;
use crate::scan::{self, Scanned};
use crate::shared::Shared;
use crate::weak;

mod members;

use members::{Members, is_withdrawn};

/// Objects born while the graph is being taken, and met, that it takes in: as many as were there
/// before, and these. One who builds a list as fast as it is read is not followed for ever.
const LATE_MAX: usize = 1 << 16;

/// Which objects belong to a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// Those that a full cycle keeps whose marking is over.
    Marked(Kept),
    /// Those that roots and value stacks lead to, with every mutator held.
    Reachable,
}

/// What an edge is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EdgeKind {
    /// A field: the label is the number of its name.
    Field,
    /// An item or a word: the label is its number.
    Item,
    /// A value that its key keeps alive, through an ephemeron.
    Ephemeron,
    /// Keeps nothing alive: the label is the number of a name.
    Weak,
}

/// An edge of the graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GraphEdge {
    pub(crate) kind: EdgeKind,
    /// A number in [`Graph::names`], or that of an item.
    pub(crate) label: u32,
    /// The object it leads to, by its number.
    pub(crate) to: u32,
}

/// An object of the graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GraphNode {
    /// From the heap's base.
    pub(crate) offset: u64,
    address: usize,
    pub(crate) slot_bytes: u64,
    pub(crate) type_index: u32,
    /// How many of [`Graph::edges`] are its own.
    pub(crate) edges: u32,
    /// Its slot or its span is withdrawn.
    pub(crate) is_quarantined: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) cycle: u32,
    pub(crate) nodes: Vec<GraphNode>,
    /// Of the first object first.
    pub(crate) edges: Vec<GraphEdge>,
    pub(crate) names: Vec<&'static str>,
    /// Objects that handles lead to, one for each handle.
    pub(crate) handles: Vec<u32>,
    /// Objects that live words of value stacks lead to.
    pub(crate) stacks: Vec<u32>,
    /// Cells of weak references and ephemerons.
    pub(crate) weak_cells: Vec<u32>,
    pub(crate) quarantined: Vec<u32>,
    /// Objects that nothing of the above leads to, as far as every object can be reached from these:
    /// what mutators inside `enter` hold, and what has died since it was marked.
    pub(crate) local: Vec<u32>,
}

impl Graph {
    /// Takes the graph. `stack_words` are those of the value stacks that stand still.
    pub(crate) fn take(shared: &Shared, extent: Extent, stack_words: &[usize]) -> Graph {
        let mut roots = Vec::new();
        shared.roots.addresses_into(&mut roots);
        let (members, newborn) = match extent {
            Extent::Marked(kept) => (Members::marked(shared, kept), Some(kept)),
            Extent::Reachable => (Members::reachable(shared, &roots, stack_words), None),
        };
        let mut taking = Taking {
            shared,
            members: &members,
            newborn,
            late: HashMap::new(),
            graph: Graph {
                cycle: shared.world.cycle(),
                ..Graph::default()
            },
            numbers: HashMap::new(),
            values: Vec::new(),
            found: Vec::new(),
        };
        taking.take_nodes();
        taking.take_ephemerons();
        taking.take_edges();
        let numbers = |words: &[usize]| -> Vec<u32> {
            let words = words.iter();
            words.filter_map(|word| members.number_of(*word)).collect()
        };
        let mut graph = Graph {
            handles: numbers(&roots),
            stacks: numbers(stack_words),
            ..taking.graph
        };
        graph.local = graph.unreached();
        graph
    }

    /// Objects that must be roots so that everything is reached, beside the kinds that are known.
    fn unreached(&self) -> Vec<u32> {
        let starts = self.starts();
        let mut reached = vec![false; self.nodes.len()];
        let known = [&self.handles, &self.stacks, &self.quarantined];
        let mut stack: Vec<u32> = known.into_iter().flatten().copied().collect();
        self.reach(&starts, &mut stack, &mut reached);
        let mut is_led_to = vec![false; self.nodes.len()];
        let strong = self.edges.iter().filter(|edge| edge.kind != EdgeKind::Weak);
        strong.for_each(|edge| is_led_to[edge.to as usize] = true);
        let mut local = Vec::new();
        // Those first that nothing leads to; then one of each ring.
        for wants_led_to in [false, true] {
            for number in 0..self.nodes.len() {
                if !reached[number] && is_led_to[number] == wants_led_to {
                    local.push(number as u32);
                    stack.push(number as u32);
                    self.reach(&starts, &mut stack, &mut reached);
                }
            }
        }
        local
    }

    /// The number of the first edge of each object, and that behind the last.
    fn starts(&self) -> Vec<usize> {
        let mut next = 0;
        let mut starts = vec![0];
        starts.extend(self.nodes.iter().map(|node| {
            next += node.edges as usize;
            next
        }));
        starts
    }

    fn reach(&self, starts: &[usize], stack: &mut Vec<u32>, reached: &mut [bool]) {
        while let Some(number) = stack.pop() {
            let number = number as usize;
            if core::mem::replace(&mut reached[number], true) {
                continue;
            }
            let edges = &self.edges[starts[number]..starts[number + 1]];
            let strong = edges.iter().filter(|edge| edge.kind != EdgeKind::Weak);
            stack.extend(strong.map(|edge| edge.to));
        }
    }
}

/// A graph that is being taken.
struct Taking<'a> {
    shared: &'a Shared,
    members: &'a Members,
    /// The colours of objects that are born meanwhile, if mutators run.
    newborn: Option<Kept>,
    /// Those of them that were met, with their addresses.
    late: HashMap<usize, u32>,
    graph: Graph,
    /// The number of each name, by where it stands.
    numbers: HashMap<(usize, usize), u32>,
    /// Key, value: what ephemerons keep alive, in the order of the keys.
    values: Vec<(u32, u32)>,
    found: Vec<(Spot, usize)>,
}

impl Taking<'_> {
    fn take_nodes(&mut self) {
        let members = self.members;
        members
            .addresses
            .iter()
            .for_each(|&address| self.take_node(address));
    }

    fn take_node(&mut self, address: usize) {
        let space = &self.shared.space;
        let (mut slot_bytes, mut type_index, mut is_quarantined) = (0, u32::MAX, false);
        if let Some(span) = space.span_of(address) {
            slot_bytes = span.slot_bytes() as u64;
            type_index = span.type_index();
            is_quarantined = is_withdrawn(span, self.shared.state(address));
        }
        if is_quarantined {
            self.graph.quarantined.push(self.graph.nodes.len() as u32);
        }
        self.graph.nodes.push(GraphNode {
            offset: space.offset_of(address).unwrap_or_default(),
            address,
            slot_bytes,
            type_index,
            edges: 0,
            is_quarantined,
        });
    }

    /// The number of the object at an address, which is taken in if it was born meanwhile.
    fn number_of(&mut self, address: usize) -> Option<u32> {
        let known = self.members.number_of(address);
        if let Some(number) = known.or_else(|| self.late.get(&address).copied()) {
            return Some(number);
        }
        let kept = self.newborn?;
        let is_full = self.late.len() >= self.members.addresses.len() + LATE_MAX;
        if is_full || !kept.has(self.shared.state(address)) {
            return None;
        }
        let number = self.graph.nodes.len() as u32;
        self.take_node(address);
        self.late.insert(address, number);
        Some(number)
    }

    fn take_ephemerons(&mut self) {
        let shared = self.shared;
        for &address in &self.members.addresses {
            let Some((key, value)) = ephemeron::entry_at(shared, address) else {
                continue;
            };
            let numbers = self
                .members
                .number_of(key)
                .zip(self.members.number_of(value));
            self.values.extend(numbers);
        }
        self.values.sort_unstable();
    }

    fn take_edges(&mut self) {
        let mut values = core::mem::take(&mut self.values).into_iter().peekable();
        let mut number = 0;
        // Objects that are born meanwhile join at the end.
        while number < self.graph.nodes.len() {
            let before = self.graph.edges.len();
            if self.members.are_alive.get(number).copied().unwrap_or(true) {
                self.take_edges_of(number);
            }
            while let Some((_, to)) = values.next_if(|(key, _)| *key as usize == number) {
                let label = self.number_of_name("value of an ephemeron");
                self.push(EdgeKind::Ephemeron, label, to);
            }
            self.graph.nodes[number].edges = (self.graph.edges.len() - before) as u32;
            number += 1;
        }
    }

    fn take_edges_of(&mut self, number: usize) {
        let address = self.graph.nodes[number].address;
        let shared = self.shared;
        let Some(span) = shared.space.span_of(address) else {
            return;
        };
        let mut from = Some(0);
        while let Some(item) = from {
            let mut found = core::mem::take(&mut self.found);
            let scanned = scan::edges_of(&shared.types, span, address, item, &mut found);
            for (spot, target) in found.drain(..) {
                self.take_edge(spot, target);
            }
            self.found = found;
            from = match scanned {
                Scanned::Until(next) => Some(next),
                Scanned::Whole | Scanned::NoDescriptor => None,
            };
        }
        self.take_cell(number, span, address);
    }

    /// What weak references and ephemerons lead to without keeping it alive.
    fn take_cell(&mut self, number: usize, span: &Span, address: usize) {
        let class = span.class_index() as usize;
        let shared = self.shared;
        let targets = if class == shared.weak_class.index() {
            let target = weak::target_at(shared, address);
            [target.map(|target| ("target", target)), None]
        } else if class == shared.ephemeron_class.index() {
            let (key, value) = ephemeron::entry_at(shared, address).unzip();
            [
                key.map(|key| ("key", key)),
                value.map(|value| ("value", value)),
            ]
        } else {
            return;
        };
        self.graph.weak_cells.push(number as u32);
        for (name, target) in targets.into_iter().flatten() {
            if let Some(to) = self.number_of(target) {
                let label = self.number_of_name(name);
                self.push(EdgeKind::Weak, label, to);
            }
        }
    }

    fn take_edge(&mut self, spot: Spot, target: usize) {
        // Not among them: no object.
        let Some(to) = self.number_of(target) else {
            return;
        };
        match spot {
            Spot::Field(name) => {
                let label = self.number_of_name(name);
                self.push(EdgeKind::Field, label, to);
            }
            Spot::At(item) => self.push(EdgeKind::Item, item as u32, to),
        }
    }

    fn push(&mut self, kind: EdgeKind, label: u32, to: u32) {
        self.graph.edges.push(GraphEdge { kind, label, to });
    }

    fn number_of_name(&mut self, name: &'static str) -> u32 {
        let names = &mut self.graph.names;
        *self
            .numbers
            .entry((name.as_ptr().addr(), name.len()))
            .or_insert_with(|| {
                names.push(name);
                (names.len() - 1) as u32
            })
    }
}
