//! The story of a snapshot, for people and for programs.
//!
//! Invariant: keys of the JSON lines stand in a fixed order, the summary comes first.

use std::io::{self, Write};

use serde::Serialize;

use super::{Diff, Dominators, Snapshot};
use crate::json::write_line;

/// What is to be told of a snapshot.
pub struct Told<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// Types and objects at most, in each list.
    pub top: usize,
    /// The object whose way from the root is wanted.
    pub path_to: Option<usize>,
    /// What has changed since this one, instead of the lists.
    pub since: Option<&'a Snapshot>,
}

#[derive(Serialize)]
struct Summary {
    event: &'static str,
    objects: usize,
    self_bytes: u64,
    edges: usize,
    types: usize,
}

#[derive(Serialize)]
struct Roots<'a> {
    event: &'static str,
    kind: &'a str,
    objects: usize,
}

#[derive(Serialize)]
struct Type<'a> {
    event: &'static str,
    name: &'a str,
    objects: u64,
    self_bytes: u64,
    retained_bytes: u64,
}

#[derive(Serialize)]
struct Object<'a> {
    event: &'static str,
    id: u64,
    name: &'a str,
    self_bytes: u64,
    retained_bytes: u64,
    dominator: Option<u64>,
}

#[derive(Serialize)]
struct Step<'a> {
    event: &'static str,
    by: String,
    id: u64,
    name: &'a str,
}

#[derive(Serialize)]
struct Change<'a> {
    event: &'static str,
    name: &'a str,
    added: u64,
    removed: u64,
    objects: i64,
    bytes: i64,
}

impl Told<'_> {
    fn summary(&self) -> Summary {
        let (mut objects, mut self_bytes) = (0, 0);
        let mut names = std::collections::HashSet::new();
        for (_, node) in self.snapshot.objects() {
            objects += 1;
            self_bytes += node.self_bytes;
            names.insert(node.name);
        }
        let of_objects = self
            .snapshot
            .objects()
            .map(|(number, _)| self.snapshot.edges_of(number).len());
        Summary {
            event: "snapshot",
            objects,
            self_bytes,
            edges: of_objects.sum(),
            types: names.len(),
        }
    }

    fn roots(&self) -> Vec<Roots<'_>> {
        let kinds = self
            .snapshot
            .edges_of(0)
            .iter()
            .filter(|edge| self.snapshot.nodes[edge.to].is_synthetic);
        let roots = kinds.map(|edge| Roots {
            event: "roots",
            kind: self.snapshot.name_of(edge.to),
            objects: self.snapshot.edges_of(edge.to).len(),
        });
        roots.collect()
    }

    /// The objects that retain most.
    fn biggest(&self, dominators: &Dominators) -> Vec<Object<'_>> {
        let mut objects: Vec<usize> = self.snapshot.objects().map(|(number, _)| number).collect();
        objects
            .sort_by_key(|&number| (std::cmp::Reverse(dominators.retained_bytes(number)), number));
        objects.truncate(self.top);
        objects
            .into_iter()
            .map(|number| self.object(number, "object", dominators))
            .collect()
    }

    fn object(&self, number: usize, event: &'static str, dominators: &Dominators) -> Object<'_> {
        let node = &self.snapshot.nodes[number];
        Object {
            event,
            id: node.id,
            name: self.snapshot.name_of(number),
            self_bytes: node.self_bytes,
            retained_bytes: dominators.retained_bytes(number),
            dominator: dominators
                .immediate(number)
                .map(|by| self.snapshot.nodes[by].id),
        }
    }

    fn path(&self, to: usize) -> Option<Vec<Step<'_>>> {
        let path = self.snapshot.path_to(to)?.into_iter().map(|edge| Step {
            event: "path",
            by: self.snapshot.label_of(&edge),
            id: self.snapshot.nodes[edge.to].id,
            name: self.snapshot.name_of(edge.to),
        });
        Some(path.collect())
    }

    /// The dominators of a node, the nearest one first, without the root.
    fn dominators_of(&self, of: usize, dominators: &Dominators) -> Vec<Object<'_>> {
        let above = std::iter::successors(dominators.immediate(of), |&at| dominators.immediate(at));
        let above = above.filter(|at| *at != 0);
        above
            .map(|at| self.object(at, "dominator", dominators))
            .collect()
    }
}

/// Writes what is to be told, for people.
///
/// # Errors
///
/// Those of the writer.
pub fn write_human(out: &mut dyn Write, told: &Told<'_>) -> io::Result<()> {
    let summary = told.summary();
    writeln!(
        out,
        "heap snapshot: {} objects of {} types, {} bytes, {} edges",
        summary.objects, summary.types, summary.self_bytes, summary.edges
    )?;
    if let Some(since) = told.since {
        return write_diff(out, &Diff::of(since, told.snapshot));
    }
    for roots in told.roots() {
        writeln!(out, "  {:<18} {:>10}", roots.kind, roots.objects)?;
    }
    let dominators = Dominators::of(told.snapshot);
    if let Some(to) = told.path_to {
        return write_path(out, told, to, &dominators);
    }
    let types = told.snapshot.types(&dominators);
    writeln!(
        out,
        "\n{:>10} {:>12} {:>12}  type",
        "objects", "bytes", "retained"
    )?;
    for total in types.iter().take(told.top) {
        writeln!(
            out,
            "{:>10} {:>12} {:>12}  {}",
            total.objects, total.self_bytes, total.retained_bytes, total.name
        )?;
    }
    if types.len() > told.top {
        writeln!(out, "{:>10} more types", types.len() - told.top)?;
    }
    writeln!(out, "\n{:>12} {:>12}  object", "bytes", "retained")?;
    for object in told.biggest(&dominators) {
        writeln!(
            out,
            "{:>12} {:>12}  @{} {}",
            object.self_bytes, object.retained_bytes, object.id, object.name
        )?;
    }
    Ok(())
}

fn write_path(
    out: &mut dyn Write,
    told: &Told<'_>,
    to: usize,
    dominators: &Dominators,
) -> io::Result<()> {
    let object = told.object(to, "object", dominators);
    writeln!(
        out,
        "\n@{} {}: {} bytes, retains {}",
        object.id, object.name, object.self_bytes, object.retained_bytes
    )?;
    let Some(path) = told.path(to) else {
        return writeln!(out, "nothing leads to it");
    };
    writeln!(out, "held by:")?;
    for step in path {
        writeln!(out, "  {} -> @{} {}", step.by, step.id, step.name)?;
    }
    writeln!(out, "dominated by:")?;
    for above in told.dominators_of(to, dominators) {
        writeln!(
            out,
            "  @{} {}, retains {}",
            above.id, above.name, above.retained_bytes
        )?;
    }
    Ok(())
}

fn write_diff(out: &mut dyn Write, diff: &Diff) -> io::Result<()> {
    writeln!(
        out,
        "\n{:>10} {:>10} {:>10} {:>14}  type",
        "added", "removed", "objects", "bytes"
    )?;
    for (name, change) in &diff.types {
        writeln!(
            out,
            "{:>10} {:>10} {:>+10} {:>+14}  {name}",
            change.added, change.removed, change.objects, change.bytes
        )?;
    }
    Ok(())
}

/// Writes the same as JSON lines.
///
/// # Errors
///
/// Those of the writer.
pub fn write_json(out: &mut dyn Write, told: &Told<'_>) -> io::Result<()> {
    write_line(out, &told.summary())?;
    if let Some(since) = told.since {
        for (name, change) in &Diff::of(since, told.snapshot).types {
            let (added, removed) = (change.added, change.removed);
            write_line(
                out,
                &Change {
                    event: "change",
                    name,
                    added,
                    removed,
                    objects: change.objects,
                    bytes: change.bytes,
                },
            )?;
        }
        return Ok(());
    }
    for roots in told.roots() {
        write_line(out, &roots)?;
    }
    let dominators = Dominators::of(told.snapshot);
    if let Some(to) = told.path_to {
        write_line(out, &told.object(to, "object", &dominators))?;
        for step in told.path(to).unwrap_or_default() {
            write_line(out, &step)?;
        }
        for above in told.dominators_of(to, &dominators) {
            write_line(out, &above)?;
        }
        return Ok(());
    }
    for total in told.snapshot.types(&dominators).iter().take(told.top) {
        write_line(
            out,
            &Type {
                event: "type",
                name: &total.name,
                objects: total.objects,
                self_bytes: total.self_bytes,
                retained_bytes: total.retained_bytes,
            },
        )?;
    }
    for object in told.biggest(&dominators) {
        write_line(out, &object)?;
    }
    Ok(())
}
