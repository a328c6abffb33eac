//! Who depends on a package? A cyclic graph of managed objects, built from a real lock file.
//!
//! ```sh
//! cargo run -p gc-core --example dependency_graph -- Cargo.lock proptest
//! cargo metadata --format-version 1 > metadata.json
//! cargo run -p gc-core --example dependency_graph -- metadata.json proptest
//! ```
//!
//! Every package points at its dependencies and at its dependents, so each pair of them is a ring
//! that reference counting would never give back. The program answers the question by walking
//! managed pointers, then drops the only root, collects, and shows what came back.
//!
//! Exit codes: 0 answered, 1 no such package, 64 usage, 65 malformed input, 66 no input,
//! 70 the heap refused, or `GC_POLICY` says no policy.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use gc_core::{Edge, Gc, Heap, Policy, Root, RootError, Scope, Trace};

/// A package of the graph. Name and version never change; the two lists are set once all packages
/// exist, which is why they are edges.
#[derive(Trace)]
struct Package<'gc> {
    name: String,
    version: String,
    dependencies: Edge<'gc, Packages<'gc>>,
    dependents: Edge<'gc, Packages<'gc>>,
}

/// A managed slice of pointers: one object, however many packages it lists.
type Packages<'gc> = [Gc<'gc, Package<'gc>>];

/// What keeps the whole graph alive between two `enter`s.
type Graph = Root<Packages<'static>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, package] = arguments.as_slice() else {
        eprintln!("usage: dependency_graph FILE PACKAGE");
        eprintln!("FILE is a Cargo.lock, or the output of `cargo metadata --format-version 1`");
        return ExitCode::from(64);
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(if error.kind() == std::io::ErrorKind::InvalidData {
                65
            } else {
                66
            });
        }
    };
    let entries = match parse(&text) {
        Ok(entries) => entries,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(65);
        }
    };
    match answer(&entries, package) {
        Ok(Answer::Given) => ExitCode::SUCCESS,
        Ok(Answer::NoSuchPackage) => {
            eprintln!("{file}: no package is called `{package}`");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(70)
        }
    }
}

// ---- The managed graph ----

enum Answer {
    Given,
    NoSuchPackage,
}

/// Builds the graph, asks it, drops it, and shows what that gave back.
fn answer(entries: &[Entry], name: &str) -> Result<Answer, Box<dyn Error>> {
    let heap = Heap::builder()
        .name("dependency-graph")
        .policy(Policy::MARK_UNHEALTHY)
        .policy_from_env()?
        .build()?;
    let mut mutator = heap.mutator();
    let graph: Graph = mutator.enter(|scope| build(scope, entries))?;
    let found = mutator.enter(|scope| ask(scope, &graph, name))?;
    if found.is_empty() {
        return Ok(Answer::NoSuchPackage);
    }
    for found in &found {
        println!("{found}");
    }

    let held = heap.collect()?;
    let before = heap.stats();
    drop(graph);
    let dropped = heap.collect()?;
    let after = heap.stats();
    println!(
        "graph of {} packages: {} objects, {} bytes live",
        entries.len(),
        held.objects_marked,
        before.bytes_live
    );
    println!(
        "after its root is gone: {} objects marked, {} bytes freed",
        dropped.objects_marked, dropped.bytes_freed
    );
    println!(
        "bytes live {} -> {}, bytes in spans {} -> {}",
        before.bytes_live, after.bytes_live, before.bytes_in_spans, after.bytes_in_spans
    );
    println!(
        "healthy: {}, accounts balanced: {}",
        after.is_healthy,
        heap.ledger()?.is_balanced()
    );
    Ok(Answer::Given)
}

/// One object a package, then the edges both ways.
fn build(scope: Scope<'_>, entries: &[Entry]) -> Result<Graph, gc_core::AllocError> {
    let mut packages = Vec::with_capacity(entries.len());
    for entry in entries {
        packages.push(scope.try_alloc(Package {
            name: entry.name.clone(),
            version: entry.version.clone(),
            dependencies: Edge::none(),
            dependents: Edge::none(),
        })?);
    }
    let mut dependents = vec![Vec::new(); entries.len()];
    for (index, entry) in entries.iter().enumerate() {
        let dependencies = entry
            .dependencies
            .iter()
            .map(|&dependency| packages[dependency]);
        packages[index]
            .dependencies
            .set(scope, scope.try_alloc_slice(dependencies)?);
        for &dependency in &entry.dependencies {
            dependents[dependency].push(packages[index]);
        }
    }
    for (package, dependents) in packages.iter().zip(dependents) {
        package
            .dependents
            .set(scope, scope.try_alloc_slice(dependents)?);
    }
    Ok(scope.root(scope.try_alloc_slice(packages)?))
}

/// Finds every version of the package and follows its dependents.
fn ask(scope: Scope<'_>, graph: &Graph, name: &str) -> Result<Vec<Dependents>, RootError> {
    let packages = scope.get(graph)?;
    let wanted = packages.iter().filter(|package| package.name == name);
    Ok(wanted.map(|&package| dependents_of(package)).collect())
}

/// What is known of one version of a package, copied out of the heap.
struct Dependents {
    package: String,
    dependencies: usize,
    direct: BTreeSet<String>,
    transitive: BTreeSet<String>,
}

fn dependents_of<'gc>(package: Gc<'gc, Package<'gc>>) -> Dependents {
    let mut seen = HashSet::from([package.address()]);
    let mut waiting = vec![package];
    let (mut direct, mut transitive) = (BTreeSet::new(), BTreeSet::new());
    while let Some(current) = waiting.pop() {
        let is_first = Gc::ptr_eq(current, package);
        for &dependent in list(&current.dependents) {
            let found = if is_first {
                &mut direct
            } else {
                &mut transitive
            };
            found.insert(label(dependent));
            if seen.insert(dependent.address()) {
                waiting.push(dependent);
            }
        }
    }
    transitive.retain(|label| !direct.contains(label));
    Dependents {
        package: label(package),
        dependencies: list(&package.dependencies).len(),
        direct,
        transitive,
    }
}

fn list<'gc>(edge: &Edge<'gc, Packages<'gc>>) -> &'gc Packages<'gc> {
    edge.get().map_or(&[], Gc::as_ref)
}

fn label<'gc>(package: Gc<'gc, Package<'gc>>) -> String {
    format!("{} {}", package.name, package.version)
}

impl fmt::Display for Dependents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} ({} dependencies)",
            self.package, self.dependencies
        )?;
        for (title, packages) in [
            ("direct dependents", &self.direct),
            ("transitive dependents beyond them", &self.transitive),
        ] {
            writeln!(formatter, "  {title}: {}", packages.len())?;
            for package in packages {
                writeln!(formatter, "    {package}")?;
            }
        }
        Ok(())
    }
}

// ---- The input ----

/// A package as the input tells it; dependencies are indexes into the list of entries.
struct Entry {
    name: String,
    version: String,
    dependencies: Vec<usize>,
}

/// Why an input says no graph.
type Malformed = Box<dyn Error>;

/// Reads either of the two formats. JSON begins with a brace, a lock file never does.
fn parse(text: &str) -> Result<Vec<Entry>, Malformed> {
    if text.trim_start().starts_with('{') {
        parse_metadata(text)
    } else {
        parse_lock(text)
    }
}

/// A package of a lock file, before its dependencies are looked up.
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

/// The packages of a lock file, in order, and where each name stands.
struct LockIndex {
    packages: Vec<Locked>,
    by_name: BTreeMap<String, Vec<usize>>,
}

impl LockIndex {
    fn new(packages: &[toml::Value]) -> Result<Self, Malformed> {
        let field = |package: &toml::Value, key| {
            let field = package.get(key).and_then(toml::Value::as_str);
            field.map(str::to_owned)
        };
        let mut index = LockIndex {
            packages: Vec::with_capacity(packages.len()),
            by_name: BTreeMap::new(),
        };
        for (at, package) in packages.iter().enumerate() {
            let name = field(package, "name").ok_or_else(|| format!("package {at} has no name"))?;
            let version = field(package, "version")
                .ok_or_else(|| format!("package `{name}` has no version"))?;
            let source = field(package, "source").map(|source| format!("({source})"));
            index.by_name.entry(name.clone()).or_default().push(at);
            index.packages.push(Locked {
                name,
                version,
                source,
            });
        }
        Ok(index)
    }

    /// Finds a dependency: a name, with as much of version and source as makes it unique.
    fn resolve(&self, wanted: &str) -> Result<usize, Malformed> {
        let mut words = wanted.splitn(3, ' ');
        let name = words.next().unwrap_or_default();
        let (version, source) = (words.next(), words.next());
        let fits = |&&at: &&usize| {
            let known = &self.packages[at];
            version.is_none_or(|version| version == known.version)
                && source.is_none_or(|source| Some(source) == known.source.as_deref())
        };
        let found = self.by_name.get(name).and_then(|at| at.iter().find(fits));
        Ok(*found.ok_or_else(|| format!("dependency `{wanted}` is not in the file"))?)
    }

    /// The dependencies that a package lists.
    fn dependencies(&self, package: &toml::Value, name: &str) -> Result<Vec<usize>, Malformed> {
        let Some(listed) = package.get("dependencies") else {
            return Ok(Vec::new());
        };
        let listed = listed
            .as_array()
            .ok_or_else(|| format!("dependencies of `{name}` are no list"))?;
        let mut found = Vec::with_capacity(listed.len());
        for word in listed {
            let word = word
                .as_str()
                .ok_or_else(|| format!("a dependency of `{name}` is no text"))?;
            found.push(self.resolve(word)?);
        }
        Ok(found)
    }
}

/// `Cargo.lock`: packages by name, dependencies as text.
fn parse_lock(text: &str) -> Result<Vec<Entry>, Malformed> {
    let lock: toml::Table = text
        .parse()
        .map_err(|error| format!("not a Cargo.lock: {error}"))?;
    let packages = lock
        .get("package")
        .and_then(toml::Value::as_array)
        .ok_or("not a Cargo.lock: no [[package]]")?;
    let index = LockIndex::new(packages)?;
    let mut entries = Vec::with_capacity(packages.len());
    for (package, locked) in packages.iter().zip(&index.packages) {
        entries.push(Entry {
            name: locked.name.clone(),
            version: locked.version.clone(),
            dependencies: index.dependencies(package, &locked.name)?,
        });
    }
    Ok(entries)
}

/// `cargo metadata`: packages by id, and a `resolve` section that names the ids each depends on.
fn parse_metadata(text: &str) -> Result<Vec<Entry>, Malformed> {
    let metadata: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| format!("not the output of `cargo metadata`: {error}"))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("not the output of `cargo metadata`: no `packages`")?;
    let nodes = metadata["resolve"]["nodes"].as_array();
    let nodes = nodes.ok_or("no `resolve` section: run `cargo metadata` without --no-deps")?;
    let field = |value: &serde_json::Value, key: &str| value[key].as_str().map(str::to_owned);
    let mut entries = Vec::with_capacity(packages.len());
    let mut by_id = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        let id = field(package, "id").ok_or_else(|| format!("package {index} has no id"))?;
        let name = field(package, "name").ok_or_else(|| format!("package `{id}` has no name"))?;
        let version =
            field(package, "version").ok_or_else(|| format!("package `{id}` has no version"))?;
        by_id.insert(id, index);
        entries.push(Entry {
            name,
            version,
            dependencies: Vec::new(),
        });
    }
    let resolve = |id: &str| {
        by_id
            .get(id)
            .copied()
            .ok_or_else(|| format!("package `{id}` is not in the file"))
    };
    for node in nodes {
        let index = resolve(node["id"].as_str().ok_or("a resolved package has no id")?)?;
        for dependency in node["dependencies"]
            .as_array()
            .ok_or("a resolved package has no dependencies")?
        {
            let id = dependency
                .as_str()
                .ok_or("a resolved dependency is no text")?;
            entries[index].dependencies.push(resolve(id)?);
        }
    }
    Ok(entries)
}
