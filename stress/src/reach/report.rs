//! The reports of an audit: for people, and as JSON lines.
//!
//! Called by the command line with an audit that is over. Invariant: nothing of the audit is left out of the JSON
//! lines, and what the text leaves out it counts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Audit, Found, Note, PackageReport, Rules};
use crate::json::write_line;

/// Between the names of a path.
const ARROW: &str = " > ";

/// What the text tells beyond the workspace's own unsafe code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Dependencies by module.
    Own,
    /// Every place of every dependency.
    All,
}

/// Writes the report for people.
///
/// # Errors
///
/// Those of the writer.
pub fn write_human(
    out: &mut dyn Write,
    audit: &Audit,
    rules: &Rules,
    detail: Detail,
) -> io::Result<()> {
    for package in &audit.packages {
        write_package(out, audit, package, detail)?;
    }
    write_table(out, audit)?;
    write_notes(out, audit, detail)?;
    for room in &audit.empty_rooms {
        writeln!(out, "allowed, and nothing unsafe stands there: {room}")?;
    }
    write_verdict(out, audit, rules)
}

/// A package of the tree: its modules with unsafe code, and the places in them.
fn write_package(
    out: &mut dyn Write,
    audit: &Audit,
    package: &PackageReport,
    detail: Detail,
) -> io::Result<()> {
    let items = audit
        .items
        .iter()
        .filter(|item| item.package == package.name);
    let mut modules: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for item in items {
        modules.entry(&item.place).or_default().push(item);
    }
    if modules.is_empty() {
        return Ok(());
    }
    writeln!(out, "{} {}", package.path.join(ARROW), package.version)?;
    for (place, items) in modules {
        let reachable = items.iter().filter(|item| item.path.is_some()).count();
        writeln!(
            out,
            "  {place}: {} unsafe, {reachable} reachable",
            items.len()
        )?;
        if package.is_own || detail == Detail::All {
            items.iter().try_for_each(|item| write_item(out, item))?;
        }
    }
    writeln!(out)
}

fn write_item(out: &mut dyn Write, item: &Found) -> io::Result<()> {
    let mut marks = String::new();
    if item.is_in_macro && item.sort != super::Sort::Macro {
        marks += ", in the arguments of a macro";
    }
    for condition in &item.conditions {
        marks += &format!(", cfg({condition})");
    }
    writeln!(
        out,
        "    {}:{}: {}{marks}",
        item.file,
        item.line,
        item.sort.id()
    )?;
    match &item.path {
        Some(path) => writeln!(out, "      {}", path.join(ARROW)),
        None => writeln!(out, "      {}: not seen reachable", item.within),
    }
}

/// The summary by package.
fn write_table(out: &mut dyn Write, audit: &Audit) -> io::Result<()> {
    let wide =
        |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).max("package".len());
    let names = wide(&mut audit.packages.iter().map(|one| one.name.len()));
    writeln!(
        out,
        "{:<names$}  unsafe  reachable  unsafe_code  path",
        "package"
    )?;
    for one in &audit.packages {
        writeln!(
            out,
            "{:<names$}  {:>6}  {:>9}  {:<11}  {}",
            one.name,
            one.unsafe_items,
            one.reachable,
            one.lint.unwrap_or("-"),
            one.path.join(ARROW)
        )?;
    }
    writeln!(
        out,
        "{} packages, {} files, {} places of unsafe code, {} reachable",
        audit.packages.len(),
        audit.files,
        audit.items.len(),
        audit.reachable()
    )
}

/// What was seen and not followed.
fn write_notes(out: &mut dyn Write, audit: &Audit, detail: Detail) -> io::Result<()> {
    if !audit.left_out.is_empty() {
        let names = audit.left_out.join(", ");
        writeln!(out, "runs in the compiler, not followed: {names}")?;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for Note { file, line, text } in &audit.notes {
        if detail == Detail::All {
            writeln!(out, "{file}:{line}: {text}")?;
        } else {
            // The name of the module makes each of them different.
            let kind = if text.starts_with("module ") {
                "module without a file, under a condition"
            } else {
                text
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    for (text, count) in counts {
        writeln!(out, "not followed ({count}): {text}")?;
    }
    for (file, line, problem) in &audit.unparsed {
        writeln!(out, "not read: {file}:{line}: {problem}")?;
    }
    Ok(())
}

fn write_verdict(out: &mut dyn Write, audit: &Audit, rules: &Rules) -> io::Result<()> {
    if rules.rooms.is_none() {
        return Ok(());
    }
    let outside: Vec<&Found> = audit.outside().collect();
    for item in &outside {
        let path = item.path.iter().flatten().cloned().collect::<Vec<_>>();
        writeln!(
            out,
            "outside: {}:{}: {} in {}",
            item.file,
            item.line,
            item.sort.id(),
            item.place
        )?;
        writeln!(out, "  {}", path.join(ARROW))?;
    }
    match outside.len() {
        0 => writeln!(out, "all that is judged stands where it is allowed"),
        count => writeln!(out, "{count} reachable outside the allowed places"),
    }
}

#[derive(Serialize)]
struct PackageLine<'a> {
    event: &'static str,
    name: &'a str,
    version: &'a str,
    own: bool,
    unsafe_code: Option<&'a str>,
    path: &'a [String],
    unsafe_items: usize,
    reachable: usize,
}

#[derive(Serialize)]
struct ItemLine<'a> {
    event: &'static str,
    #[serde(rename = "crate")]
    package: &'a str,
    module: &'a str,
    file: &'a str,
    line: usize,
    kind: &'static str,
    in_macro: bool,
    cfg: &'a [String],
    within: &'a str,
    reachable: bool,
    path: Option<&'a [String]>,
    allowed: Option<bool>,
}

#[derive(Serialize)]
struct NoteLine<'a> {
    event: &'static str,
    file: &'a str,
    line: usize,
    text: &'a str,
}

#[derive(Serialize)]
struct NamesLine<'a> {
    event: &'static str,
    names: &'a [String],
}

#[derive(Serialize)]
struct VerdictLine {
    event: &'static str,
    outside: usize,
}

#[derive(Serialize)]
struct End {
    event: &'static str,
    crates: usize,
    files: usize,
    unsafe_items: usize,
    reachable: usize,
    unparsed: usize,
}

/// Writes the audit as JSON lines, the last of which sums it up.
///
/// # Errors
///
/// Those of the writer.
pub fn write_json(out: &mut dyn Write, audit: &Audit, rules: &Rules) -> io::Result<()> {
    for one in &audit.packages {
        write_line(out, &package_line(one))?;
    }
    for item in &audit.items {
        write_line(out, &item_line(item))?;
    }
    let names = |event, names| NamesLine { event, names };
    write_line(out, &names("not_followed", &audit.left_out))?;
    for Note { file, line, text } in &audit.notes {
        let (line, event) = (*line, "note");
        write_line(
            out,
            &NoteLine {
                event,
                file,
                line,
                text,
            },
        )?;
    }
    for (file, line, text) in &audit.unparsed {
        let (line, event) = (*line, "unparsed");
        write_line(
            out,
            &NoteLine {
                event,
                file,
                line,
                text,
            },
        )?;
    }
    write_line(out, &names("empty_rooms", &audit.empty_rooms))?;
    if rules.rooms.is_some() {
        let outside = audit.outside().count();
        write_line(
            out,
            &VerdictLine {
                event: "verdict",
                outside,
            },
        )?;
    }
    let end = End {
        event: "end",
        crates: audit.packages.len(),
        files: audit.files,
        unsafe_items: audit.items.len(),
        reachable: audit.reachable(),
        unparsed: audit.unparsed.len(),
    };
    write_line(out, &end)
}

fn package_line(one: &PackageReport) -> PackageLine<'_> {
    PackageLine {
        event: "crate",
        name: &one.name,
        version: &one.version,
        own: one.is_own,
        unsafe_code: one.lint,
        path: &one.path,
        unsafe_items: one.unsafe_items,
        reachable: one.reachable,
    }
}

fn item_line(item: &Found) -> ItemLine<'_> {
    ItemLine {
        event: "unsafe",
        package: &item.package,
        module: &item.place,
        file: &item.file,
        line: item.line,
        kind: item.sort.id(),
        in_macro: item.is_in_macro,
        cfg: &item.conditions,
        within: &item.within,
        reachable: item.path.is_some(),
        path: item.path.as_deref(),
        allowed: item.is_allowed,
    }
}
