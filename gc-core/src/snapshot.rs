//! Snapshots of the heap as files that Chrome's developer tools and their kin read (`.heapsnapshot`).
//!
//! Called by a thread that is outside `enter`. The graph (graph.rs) is taken under the cycle's lock and
//! written afterwards, holding nothing. Objects come after six synthetic nodes: the root, and the
//! kinds of roots below it. An object's id follows from its address, so it is the same in two
//! snapshots: `id = 129 + offset / 8`. Invariants: ids are odd and different, numbers of nodes are
//! those of the order in which they stand, edges of one node follow those of the node before, and
//! strings are escaped. Deliberately absent: reading such files, which `stress` does.

use std::any::type_name;
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::sync::PoisonError;

use gc_sweep::CycleKind;

use crate::drive::{COLLECT_UNITS, Drive};
use crate::engine::{CollectError, Engine};
use crate::ephemeron::EphemeronCell;
use crate::graph::{EdgeKind, Extent, Graph, GraphNode};
use crate::json::Escaped;
use crate::object::Extent as ObjectExtent;
use crate::shared::Shared;
use crate::types::TypeKind;
use crate::verify;
use crate::weak::WeakCell;

/// Fields of a node, and so the distance of two nodes in the file.
const NODE_FIELDS: usize = 7;
/// The root, and the kinds of roots.
const SYNTHETIC: [&str; 6] = [
    "",
    "(handles)",
    "(value stacks)",
    "(local pointers)",
    "(weak references)",
    "(quarantined)",
];
/// Id of an object at offset 0, beyond those of the synthetic nodes.
const FIRST_ID: u64 = 129;
/// Bytes of the heap for each step of an id, which goes in twos.
const ID_BYTES: u64 = 8;

/// The head of the file up to the counts. The numbers in the arrays are indices into these lists.
const META: &str = concat!(
    r#""meta":{"node_fields":["type","name","id","self_size","edge_count","trace_node_id","detachedness"],"#,
    r#""node_types":[["hidden","array","string","object","code","closure","regexp","number","native","#,
    r#""synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"#,
    r#""string","number","number","number","number","number"],"#,
    r#""edge_fields":["type","name_or_index","to_node"],"#,
    r#""edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"#,
    r#""string_or_number","node"],"#,
    r#""trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],"#,
    r#""trace_node_fields":["id","function_info_index","count","size","children"],"#,
    r#""sample_fields":["timestamp_us","last_assigned_id"],"#,
    r#""location_fields":["object_index","script_id","line","column"]}"#,
);

const NODE_ARRAY: u32 = 1;
const NODE_STRING: u32 = 2;
const NODE_OBJECT: u32 = 3;
const NODE_NATIVE: u32 = 8;
const NODE_SYNTHETIC: u32 = 9;
const EDGE_ELEMENT: u32 = 1;
const EDGE_PROPERTY: u32 = 2;
const EDGE_INTERNAL: u32 = 3;
const EDGE_WEAK: u32 = 6;

/// What kept the heap still while its graph was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SnapshotHold {
    /// A cycle that waited between termination and flip. Mutators ran.
    Cycle,
    /// Every mutator was kept out of `enter`: the heap has stopped reclaiming, so no cycle runs.
    Stopped,
}

/// What a snapshot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SnapshotSummary {
    /// The cycle whose marks it shows, or the last one.
    pub cycle: u32,
    /// How its graph was taken.
    pub hold: SnapshotHold,
    /// Objects, quarantined ones included; synthetic nodes excluded.
    pub objects: u64,
    /// Bytes of their slots.
    pub bytes: u64,
    /// Pointers between objects, weak ones and those of ephemerons included; roots excluded.
    pub edges: u64,
    /// Handles that lead to an object.
    pub handles: u64,
    /// Live words of value stacks that lead to an object.
    pub stack_words: u64,
    /// Objects under `(local pointers)`.
    pub objects_local: u64,
    /// Objects in withdrawn slots and spans.
    pub objects_quarantined: u64,
    /// Bytes of their slots.
    pub bytes_quarantined: u64,
}

/// Why there is no snapshot, or not a whole one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The heap could not be looked at.
    #[error(transparent)]
    Refused(#[from] CollectError),
    /// It could not be written.
    #[error("the snapshot could not be written: {0}")]
    Write(#[from] io::Error),
}

/// Withdraws what was asked for, however the asking ends.
struct Asking<'a>(&'a Engine);

impl<'a> Asking<'a> {
    fn begin(engine: &'a Engine) -> Self {
        engine.at_desk(|desk| desk.ask());
        Asking(engine)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.at_desk(|desk| desk.take());
    }
}

impl Drive {
    /// Takes the graph of the heap and writes it.
    pub(crate) fn snapshot(
        &self,
        out: &mut (impl Write + ?Sized),
    ) -> Result<SnapshotSummary, SnapshotError> {
        self.refuse_use()?;
        let (graph, hold) = self.graph()?;
        self.deliver();
        let mut out = BufWriter::new(out);
        File::new(&self.shared, &graph).write(&mut out)?;
        out.flush()?;
        Ok(graph.summary(hold))
    }

    fn graph(&self) -> Result<(Graph, SnapshotHold), CollectError> {
        let _turn = self
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let asking = Asking::begin(self);
        let graph = match self.run_cycle(CycleKind::Full, None, COLLECT_UNITS) {
            Ok(_) => self.at_desk(|desk| desk.take()),
            Err(CollectError::ReclaimingStopped) => None,
            Err(error) => return Err(error),
        };
        drop(asking);
        if let Some(graph) = graph {
            return Ok((graph, SnapshotHold::Cycle));
        }
        let graph = self.while_stopped(|held| {
            let mut words = Vec::new();
            for record in held {
                verify::words_of(record.local(), &mut words);
            }
            Graph::take(&self.shared, Extent::Reachable, &words)
        })?;
        Ok((graph, SnapshotHold::Stopped))
    }
}

impl Graph {
    fn summary(&self, hold: SnapshotHold) -> SnapshotSummary {
        let quarantined = self.nodes.iter().filter(|node| node.is_quarantined);
        SnapshotSummary {
            cycle: self.cycle,
            hold,
            objects: self.nodes.len() as u64,
            bytes: self.nodes.iter().map(|node| node.slot_bytes).sum(),
            edges: self.edges.len() as u64,
            handles: self.handles.len() as u64,
            stack_words: self.stacks.len() as u64,
            objects_local: self.local.len() as u64,
            objects_quarantined: self.quarantined.len() as u64,
            bytes_quarantined: quarantined.map(|node| node.slot_bytes).sum(),
        }
    }
}

/// A graph on its way into a file.
struct File<'a> {
    graph: &'a Graph,
    /// Type and name of the node of an object, by type index.
    kinds: HashMap<u32, (u32, u32)>,
    /// The string of each of the graph's names.
    names: Vec<u32>,
    strings: Vec<String>,
}

impl<'a> File<'a> {
    fn new(shared: &'a Shared, graph: &'a Graph) -> Self {
        let mut file = File {
            graph,
            kinds: HashMap::new(),
            names: Vec::new(),
            strings: SYNTHETIC.map(String::from).to_vec(),
        };
        let mut numbers = HashMap::new();
        for node in &graph.nodes {
            if !file.kinds.contains_key(&node.type_index) {
                let (kind, name) = kind_of(shared, node);
                let name = file.string(&mut numbers, name);
                file.kinds.insert(node.type_index, (kind, name));
            }
        }
        for name in &graph.names {
            let string = file.string(&mut numbers, field_name(name));
            file.names.push(string);
        }
        file
    }

    /// The number of a string, added where it is new.
    fn string(&mut self, numbers: &mut HashMap<&'a str, u32>, text: &'a str) -> u32 {
        *numbers.entry(text).or_insert_with(|| {
            self.strings.push(text.to_string());
            (self.strings.len() - 1) as u32
        })
    }

    /// What stands below each kind of root.
    fn roots(&self) -> [&[u32]; 5] {
        let graph = self.graph;
        [
            &graph.handles,
            &graph.stacks,
            &graph.local,
            &graph.weak_cells,
            &graph.quarantined,
        ]
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let kinds = SYNTHETIC.len() - 1;
        let below: usize = self.roots().iter().map(|roots| roots.len()).sum();
        let (nodes, edges) = (self.graph.nodes.len(), self.graph.edges.len());
        write!(
            out,
            "{{\"snapshot\":{{{META},\"node_count\":{},\"edge_count\":{},\"trace_function_count\":0}},\n\"nodes\":[",
            nodes + SYNTHETIC.len(),
            edges + below + kinds
        )?;
        self.write_nodes(out)?;
        write!(out, "],\n\"edges\":[")?;
        self.write_edges(out)?;
        write!(
            out,
            "],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[],\n\"strings\":["
        )?;
        for (at, string) in self.strings.iter().enumerate() {
            let comma = if at == 0 { "" } else { ",\n" };
            write!(out, "{comma}\"{}\"", Escaped(string))?;
        }
        writeln!(out, "]}}")
    }

    fn write_nodes(&self, out: &mut impl Write) -> io::Result<()> {
        let edges = |at: usize| match at {
            0 => SYNTHETIC.len() - 1,
            at => self.roots()[at - 1].len(),
        };
        for at in 0..SYNTHETIC.len() {
            let comma = if at == 0 { "" } else { "\n," };
            let id = 2 * at + 1;
            write!(out, "{comma}{NODE_SYNTHETIC},{at},{id},0,{},0,0", edges(at))?;
        }
        for node in &self.graph.nodes {
            let (kind, name) = self
                .kinds
                .get(&node.type_index)
                .copied()
                .unwrap_or_default();
            let id = FIRST_ID + node.offset / ID_BYTES;
            write!(
                out,
                "\n,{kind},{name},{id},{},{},0,0",
                node.slot_bytes, node.edges
            )?;
        }
        Ok(())
    }

    fn write_edges(&self, out: &mut impl Write) -> io::Result<()> {
        for kind in 1..SYNTHETIC.len() {
            let comma = if kind == 1 { "" } else { "\n," };
            write!(out, "{comma}{EDGE_ELEMENT},{kind},{}", kind * NODE_FIELDS)?;
        }
        let to_node = |number: u32| (number as usize + SYNTHETIC.len()) * NODE_FIELDS;
        for (kind, roots) in self.roots().into_iter().enumerate() {
            // A weak cell is an object like any other: this list keeps none alive.
            let is_weak = SYNTHETIC[kind + 1] == "(weak references)";
            let edge = if is_weak { EDGE_WEAK } else { EDGE_ELEMENT };
            for (at, &root) in roots.iter().enumerate() {
                // Weak edges go by a name, here that of the kind.
                let label = if is_weak { kind + 1 } else { at + 1 };
                write!(out, "\n,{edge},{label},{}", to_node(root))?;
            }
        }
        for edge in &self.graph.edges {
            let name = || {
                self.names
                    .get(edge.label as usize)
                    .copied()
                    .unwrap_or_default()
            };
            let (kind, label) = match edge.kind {
                EdgeKind::Field => (EDGE_PROPERTY, name()),
                EdgeKind::Item => (EDGE_ELEMENT, edge.label),
                EdgeKind::Ephemeron => (EDGE_INTERNAL, name()),
                EdgeKind::Weak => (EDGE_WEAK, name()),
            };
            write!(out, "\n,{kind},{label},{}", to_node(edge.to))?;
        }
        Ok(())
    }
}

/// Type and name of the node of an object.
fn kind_of<'a>(shared: &'a Shared, node: &GraphNode) -> (u32, &'a str) {
    let Some(entry) = shared.types.get(node.type_index) else {
        return (NODE_OBJECT, "(unknown type)");
    };
    let name = entry.name();
    match &entry.kind {
        TypeKind::Rust(info) if info.extent != ObjectExtent::Fixed && name == "str" => {
            (NODE_STRING, name)
        }
        TypeKind::Rust(info) if info.extent != ObjectExtent::Fixed => (NODE_ARRAY, name),
        TypeKind::Rust(_) if name == type_name::<WeakCell>() => (NODE_NATIVE, "Weak"),
        TypeKind::Rust(_) if name == type_name::<EphemeronCell>() => (NODE_NATIVE, "Ephemeron"),
        _ => (NODE_OBJECT, name),
    }
}

/// A field without its type, which the node names: `next` of `Node.next`, `Pair.0` of `Tree::Pair.0`.
fn field_name(name: &str) -> &str {
    let variant = name.split_once("::").map(|(_, field)| field);
    let field = || name.split_once('.').map(|(_, field)| field);
    variant.or_else(field).unwrap_or(name)
}
