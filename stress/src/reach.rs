//! Which unsafe code of a program and of everything that it depends on can be reached at all, and by which path.
//!
//! Called by the command line, on one thread; reads source text and runs Cargo once, and compiles nothing. Two
//! answers, from coarse to fine. By package: whether a package is in the resolved graph of the entry, and how. By
//! name: whether a place of unsafe code can be reached from the entry's functions along names that code mentions.
//! Both over-approximate: what they say is not reached would have to be reached in a way that the notes of
//! `docs/src/AUDIT.md` name. Invariant: every file that a module names is read or told as not read.
//!
//! Deliberately absent: types, data flow, and any judgement of whether unsafe code is sound.

use std::collections::{BTreeMap, HashMap};

use self::allow::Room;
use self::model::{Item, Kind, NodeId, Program, Unit, UnitId};
use self::packages::{Graph, Role};
use self::source::Naming;
use self::walk::{Reached, Walk};
use crate::error::Error;

pub mod allow;
mod conditions;
mod headers;
mod model;
mod names;
mod packages;
pub mod report;
mod scan;
mod source;
#[cfg(test)]
mod tests;
mod tokens;
mod walk;

pub use self::model::{Note, Sort};
pub use self::packages::Extent;

/// A package of the graph, and what is unsafe in it.
#[derive(Clone, Debug)]
pub struct PackageReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it belongs to the workspace.
    pub is_own: bool,
    /// What it says of `unsafe_code`, at the head of its library or in its manifest: `forbid` or `deny`.
    pub lint: Option<&'static str>,
    /// Names of packages from the entry to this one: a shortest path.
    pub path: Vec<String>,
    /// Places of unsafe code.
    pub unsafe_items: usize,
    /// Those that can be reached by name.
    pub reachable: usize,
}

/// A place of unsafe code.
#[derive(Clone, Debug)]
pub struct Found {
    /// The package.
    pub package: String,
    /// The module, as `package::module`.
    pub place: String,
    /// The file: from the workspace on, or behind the package's name and version.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What it is.
    pub sort: Sort,
    /// Whether it was read out of the arguments or the definition of a macro.
    pub is_in_macro: bool,
    /// Under which conditions it is compiled, outermost first. They are not decided.
    pub conditions: Vec<String>,
    /// Names of functions from the entry to the one that holds it, when it can be reached.
    pub path: Option<Vec<String>>,
    /// The function or item that holds it.
    pub within: String,
    /// Whether the list allows it; `None` where nothing is judged.
    pub is_allowed: Option<bool>,
}

/// What came of an audit.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The packages, the entry first, then by distance.
    pub packages: Vec<PackageReport>,
    /// Unsafe code, in the order of packages, files and lines.
    pub items: Vec<Found>,
    /// What was seen and not followed.
    pub notes: Vec<Note>,
    /// Files that could not be read or parsed: file, line (0 when it has none), problem.
    pub unparsed: Vec<(String, usize, String)>,
    /// Procedural macros that run in the compiler and were left out.
    pub left_out: Vec<String>,
    /// Files read.
    pub files: usize,
    /// Places of the list where nothing unsafe stands, in packages of this graph.
    pub empty_rooms: Vec<String>,
}

/// What is judged.
#[derive(Clone, Default, Debug)]
pub struct Rules {
    /// Where unsafe code may be reached; `None` judges nothing.
    pub rooms: Option<Vec<Room>>,
    /// Whether packages from outside the workspace are judged too.
    pub are_dependencies_judged: bool,
}

impl Audit {
    /// Places that can be reached.
    #[must_use]
    pub fn reachable(&self) -> usize {
        self.items.iter().filter(|item| item.path.is_some()).count()
    }

    /// Places that can be reached and are not allowed.
    pub fn outside(&self) -> impl Iterator<Item = &Found> {
        let is_outside = |item: &&Found| item.path.is_some() && item.is_allowed == Some(false);
        self.items.iter().filter(is_outside)
    }
}

/// Audits a package or a workspace. `progress` is told how many files are read and how many are known.
///
/// # Errors
///
/// [`Error::Malformed`] when a manifest is missing or malformed or does not resolve, and [`Error::Request`] when a
/// package is named that is not there. A source that cannot be parsed is part of the outcome.
pub fn audit(
    extent: &Extent,
    rules: &Rules,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Audit, Error> {
    let graph = packages::resolve(extent)?;
    let program = read(&graph, extent, progress);
    let reached = Walk::new(&program).run(&seeds(&program, &graph));
    Ok(tell(&graph, program, &reached, rules))
}

/// Reads every crate of the graph.
fn read(graph: &Graph, extent: &Extent, progress: &mut dyn FnMut(usize, usize)) -> Program {
    let mut program = Program::default();
    let libraries = add_units(&mut program, graph, extent);
    link(&mut program, graph, &libraries);
    let mut unit = 0;
    for package in &graph.packages {
        let naming = Naming {
            workspace: &graph.workspace,
            package: &package.directory,
            label: format!("{}-{}", package.name, package.version),
        };
        for root in &package.roots {
            source::read(&mut program, unit, &root.file, &naming, progress);
            unit += 1;
        }
    }
    program
}

/// Makes a crate of each root, and answers the libraries by package.
fn add_units(program: &mut Program, graph: &Graph, extent: &Extent) -> HashMap<usize, UnitId> {
    let mut libraries = HashMap::new();
    for (number, package) in graph.packages.iter().enumerate() {
        for root in &package.roots {
            let unit = program.units.len();
            if root.role == Role::Library {
                libraries.insert(number, unit);
            }
            let place = root.place.clone();
            let module = program.add_module(unit, None, place, false);
            program.units.push(Unit {
                package: number,
                root: module,
                externs: HashMap::new(),
                sees: Vec::new(),
                is_open: package.is_entry && root.role == Role::Library,
                runs_tests: package.is_entry && extent.with_dev,
            });
        }
    }
    libraries
}

/// Gives each crate the names of those that it can use, and of all that they can.
fn link(program: &mut Program, graph: &Graph, libraries: &HashMap<usize, UnitId>) {
    for unit in 0..program.units.len() {
        let package = &graph.packages[program.units[unit].package];
        let named = package.externs.iter().filter_map(|(name, other)| {
            libraries.get(other).map(|library| (name.clone(), *library))
        });
        let mut externs: HashMap<String, UnitId> = named.collect();
        if let Some(own) = libraries.get(&program.units[unit].package)
            && *own != unit
            && let Some(root) = package.roots.iter().find(|root| root.role == Role::Library)
        {
            externs.insert(root.name.clone(), *own);
        }
        program.units[unit].externs = externs;
    }
    for unit in 0..program.units.len() {
        let mut sees = vec![false; program.units.len()];
        let mut waiting = vec![unit];
        while let Some(at) = waiting.pop() {
            if !std::mem::replace(&mut sees[at], true) {
                waiting.extend(program.units[at].externs.values());
            }
        }
        program.units[unit].sees = sees;
    }
}

/// Where a user, the system or the test harness comes in.
fn seeds(program: &Program, graph: &Graph) -> Vec<NodeId> {
    let mut roles: Vec<(Role, bool)> = Vec::new();
    for package in &graph.packages {
        roles.extend(
            package
                .roots
                .iter()
                .map(|root| (root.role, package.is_entry)),
        );
    }
    let mut found = Vec::new();
    for (id, node) in program.nodes.iter().enumerate() {
        let module = &program.modules[node.module];
        let unit = &program.units[module.unit];
        let (role, is_entry) = roles[module.unit];
        let is_main = role != Role::Library && module.parent.is_none() && node.name == "main";
        let is_open = unit.is_open && (node.is_public || is_open_member(program, id));
        let is_test = unit.runs_tests && node.is_test;
        // The macros at the root of a test may define its `main`.
        let is_harness =
            is_entry && role == Role::Test && module.node == id && module.parent.is_none();
        if is_main || is_open || is_test || is_harness || node.is_exported {
            found.push(id);
        }
    }
    let names = names::Names::new(program);
    for (module, route) in &program.reexports {
        for target in names.resolve(*module, route) {
            if let names::Target::Node(node) = target {
                found.push(node);
            }
        }
    }
    // `fn main` may be imported.
    for (number, unit) in program.units.iter().enumerate() {
        if roles[number].0 != Role::Library {
            let main = model::Route {
                segments: vec!["self".to_string(), "main".to_string()],
                is_global: false,
            };
            for target in names.resolve(unit.root, &main) {
                if let names::Target::Node(node) = target {
                    found.push(node);
                }
            }
        }
    }
    found
}

/// A function that a trait gives to whoever has a value: public as far as the trait is.
fn is_open_member(program: &Program, node: NodeId) -> bool {
    let found = &program.nodes[node];
    found.kind == Kind::Function
        && found.holder.is_some_and(|holder| {
            let holder = &program.holders[holder];
            holder.is_trait || holder.trait_route.is_some()
        })
}

fn tell(graph: &Graph, program: Program, reached: &Reached, rules: &Rules) -> Audit {
    let mut items: Vec<(usize, Found)> = Vec::new();
    for item in &program.items {
        let package = program.units[program.modules[item.module].unit].package;
        items.push((package, found(graph, &program, reached, rules, item)));
    }
    items.sort_by(|(a, one), (b, other)| {
        (a, &one.file, one.line, one.sort).cmp(&(b, &other.file, other.line, other.sort))
    });
    let mut counts: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (package, item) in &items {
        let (all, reachable) = counts.entry(*package).or_default();
        *all += 1;
        *reachable += usize::from(item.path.is_some());
    }
    let packages = graph.packages.iter().enumerate().map(|(number, package)| {
        let (unsafe_items, reachable) = counts.get(&number).copied().unwrap_or_default();
        let mut units = program.units.iter().enumerate();
        let unit = units.find(|(_, unit)| unit.package == number);
        let said = unit.and_then(|(unit, _)| program.lints.get(&unit).copied());
        PackageReport {
            name: package.name.clone(),
            version: package.version.clone(),
            is_own: package.is_own,
            lint: said.or(package.lint),
            path: graph.path(number).into_iter().map(str::to_string).collect(),
            unsafe_items,
            reachable,
        }
    });
    let items: Vec<Found> = items.into_iter().map(|(_, item)| item).collect();
    Audit {
        packages: packages.collect(),
        empty_rooms: empty_rooms(graph, &items, rules),
        items,
        files: program.files.len(),
        notes: program.notes,
        unparsed: program.unparsed.into_iter().collect(),
        left_out: graph.left_out.iter().cloned().collect(),
    }
}

fn found(graph: &Graph, program: &Program, reached: &Reached, rules: &Rules, item: &Item) -> Found {
    let module = &program.modules[item.module];
    let package = &graph.packages[program.units[module.unit].package];
    let is_judged = package.is_own || rules.are_dependencies_judged;
    let rooms = rules.rooms.as_ref().filter(|_| is_judged);
    let is_allowed = rooms.map(|rooms| rooms.iter().any(|room| room.covers(&module.place)));
    Found {
        package: package.name.clone(),
        place: module.place.clone(),
        file: program.files[item.file].clone(),
        line: item.line,
        sort: item.sort,
        is_in_macro: item.is_in_macro,
        conditions: item.conditions.clone(),
        path: reached.is_reached[item.node].then(|| reached.path(program, item.node)),
        within: program.title(item.node),
        is_allowed,
    }
}

/// Rooms of packages of the graph where nothing unsafe stands, which a list had better not name.
fn empty_rooms(graph: &Graph, items: &[Found], rules: &Rules) -> Vec<String> {
    let is_here = |room: &&Room| {
        let package = room.place.split("::").next().unwrap_or_default();
        let package = package
            .split('/')
            .next()
            .unwrap_or_default()
            .replace('-', "_");
        graph
            .packages
            .iter()
            .any(|one| one.name.replace('-', "_") == package)
    };
    let is_empty = |room: &&Room| !items.iter().any(|item| room.covers(&item.place));
    let rooms = rules.rooms.iter().flatten();
    rooms
        .filter(is_here)
        .filter(is_empty)
        .map(|room| room.place.clone())
        .collect()
}
