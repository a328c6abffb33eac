//! Reading a `.heapsnapshot`: what is wrong is said with its place.

use std::path::Path;
use std::{fs, io};

use serde::Deserialize;
use thiserror::Error;

use super::{Edge, Label, Node, Snapshot};

/// The file is no snapshot, or not a sound one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It could not be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It is no JSON, or lacks a part.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A part says something that cannot be.
    #[error("{place}: {reason}")]
    Part {
        /// The part, with the number of the entry.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

fn part<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed::Part {
        place: place.into(),
        reason: reason.into(),
    })
}

#[derive(Deserialize)]
struct File {
    snapshot: Head,
    nodes: Vec<u64>,
    edges: Vec<u64>,
    strings: Vec<String>,
}

#[derive(Deserialize)]
struct Head {
    meta: Meta,
    node_count: u64,
    edge_count: u64,
}

#[derive(Deserialize)]
struct Meta {
    node_fields: Vec<String>,
    node_types: Vec<Kinds>,
    edge_fields: Vec<String>,
    edge_types: Vec<Kinds>,
}

/// The names of an enumeration, or the type of a plain field.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kinds {
    Names(Vec<String>),
    #[expect(dead_code, reason = "read, so that the form of the file is checked")]
    Plain(String),
}

/// Reads a snapshot.
///
/// # Errors
///
/// The file cannot be read, is no snapshot, or contradicts itself.
pub fn read(path: &Path) -> Result<Snapshot, Malformed> {
    parse(&fs::read(path)?)
}

/// Reads a snapshot from its text.
pub(super) fn parse(text: &[u8]) -> Result<Snapshot, Malformed> {
    let file: File = serde_json::from_slice(text)?;
    let meta = &file.snapshot.meta;
    let fields = meta.node_fields.len();
    let counts = [
        ("nodes", file.nodes.len(), file.snapshot.node_count, fields),
        (
            "edges",
            file.edges.len(),
            file.snapshot.edge_count,
            meta.edge_fields.len(),
        ),
    ];
    for (place, numbers, count, fields) in counts {
        if count.checked_mul(fields as u64) != Some(numbers as u64) {
            return part(
                place,
                format!("{numbers} numbers, expected {count} entries of {fields} fields"),
            );
        }
    }
    let mut snapshot = Snapshot {
        nodes: nodes(&file, fields)?,
        edges: edges(&file, fields)?,
        strings: file.strings,
    };
    if snapshot.nodes.is_empty() {
        return part("nodes", "there is no root");
    }
    let counted = snapshot.nodes.last().map_or(0, |last| last.first_edge);
    if counted != snapshot.edges.len() {
        let edges = snapshot.edges.len();
        return part(
            "nodes",
            format!("their edge counts come to {counted}, there are {edges} edges"),
        );
    }
    // The counts were running totals at the end of each node.
    let mut before = 0;
    for node in &mut snapshot.nodes {
        before = std::mem::replace(&mut node.first_edge, before);
    }
    Ok(snapshot)
}

fn place_of(fields: &[String], list: &str, field: &str) -> Result<usize, Malformed> {
    match fields.iter().position(|known| known == field) {
        Some(place) => Ok(place),
        None => part(
            format!("snapshot.meta.{list}"),
            format!("there is no field {field:?}"),
        ),
    }
}

/// The names of the kinds of nodes or edges, which stand at the place of their field.
fn kinds_at<'a>(kinds: &'a [Kinds], list: &str, place: usize) -> Result<&'a [String], Malformed> {
    match kinds.get(place) {
        Some(Kinds::Names(names)) => Ok(names),
        _ => part(
            format!("snapshot.meta.{list}"),
            "the kinds are no list of names",
        ),
    }
}

/// The nodes, with the running total of edges where the first edge will be.
fn nodes(file: &File, fields: usize) -> Result<Vec<Node>, Malformed> {
    let meta = &file.snapshot.meta;
    let place = |field| place_of(&meta.node_fields, "node_fields", field);
    let (kind, name, id) = (place("type")?, place("name")?, place("id")?);
    let (self_size, edge_count) = (place("self_size")?, place("edge_count")?);
    let kinds = kinds_at(&meta.node_types, "node_types", kind)?;
    let (mut nodes, mut edges) = (Vec::new(), 0_usize);
    for (number, node) in file.nodes.chunks_exact(fields).enumerate() {
        let Some(kind) = kinds.get(node[kind] as usize) else {
            return part(
                format!("node {number}"),
                format!("kind {} of {}", node[kind], kinds.len()),
            );
        };
        if node[name] as usize >= file.strings.len() {
            return part(
                format!("node {number}"),
                format!("there is no string {}", node[name]),
            );
        }
        edges = edges.saturating_add(node[edge_count] as usize);
        nodes.push(Node {
            name: node[name] as u32,
            is_synthetic: kind == "synthetic",
            id: node[id],
            self_bytes: node[self_size],
            first_edge: edges,
        });
    }
    Ok(nodes)
}

fn edges(file: &File, node_fields: usize) -> Result<Vec<Edge>, Malformed> {
    let meta = &file.snapshot.meta;
    let place = |field| place_of(&meta.edge_fields, "edge_fields", field);
    let (kind, label, to) = (place("type")?, place("name_or_index")?, place("to_node")?);
    let kinds = kinds_at(&meta.edge_types, "edge_types", kind)?;
    let mut edges = Vec::new();
    for (number, edge) in file.edges.chunks_exact(meta.edge_fields.len()).enumerate() {
        let place = || format!("edge {number}");
        let Some(kind) = kinds.get(edge[kind] as usize) else {
            return part(place(), format!("kind {} of {}", edge[kind], kinds.len()));
        };
        let to = edge[to] as usize;
        if !to.is_multiple_of(node_fields) || to >= file.nodes.len() {
            return part(place(), format!("no node begins at {to}"));
        }
        let is_number = matches!(kind.as_str(), "element" | "hidden");
        if !is_number && edge[label] as usize >= file.strings.len() {
            return part(place(), format!("there is no string {}", edge[label]));
        }
        edges.push(Edge {
            label: if is_number {
                Label::Item(edge[label])
            } else {
                Label::Name(edge[label] as u32)
            },
            is_weak: kind == "weak",
            to: to / node_fields,
        });
    }
    Ok(edges)
}
