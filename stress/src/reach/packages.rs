//! The packages of a dependency graph as Cargo resolves it: which there are, by which path, with which roots.
//!
//! Called once an audit, before any source is read. Features are as resolved, the platform is the host. Invariant:
//! packages stand in the order of their distance from the entry, so that a package is reached by one above it.
//! Deliberately absent: versions, licences, and anything else that other tools tell.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{
    DependencyKind, Metadata, MetadataCommand, Node, Package as CargoPackage, PackageId, Target,
};

use crate::error::Error;

/// What an audit looks at.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The manifest of a package or a workspace.
    pub manifest: PathBuf,
    /// The entry, when it is not what the manifest names.
    pub package: Option<String>,
    /// Whether build scripts and procedural macros count, with what they use.
    pub with_build: bool,
    /// Whether tests, examples and benches of the entry count, with what they use.
    pub with_dev: bool,
}

/// What a root file is the root of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Library,
    Program,
    /// A test, an example or a bench.
    Test,
    BuildScript,
}

/// A target of a package.
pub(crate) struct Root {
    pub(crate) role: Role,
    /// What its modules are called by: the package, and the target unless it is the library or stands alone.
    pub(crate) place: String,
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

/// A package of the graph.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The directory of its manifest.
    pub(crate) directory: PathBuf,
    /// Whether it belongs to the workspace.
    pub(crate) is_own: bool,
    pub(crate) is_entry: bool,
    /// The level of `unsafe_code` in its manifest.
    pub(crate) lint: Option<&'static str>,
    /// The package that it is reached from, and for an entry none.
    pub(crate) parent: Option<usize>,
    pub(crate) roots: Vec<Root>,
    /// Names in code, and packages.
    pub(crate) externs: Vec<(String, usize)>,
}

/// The packages of a graph, and what was left out of it.
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    /// Names of procedural macros that run in the compiler alone.
    pub(crate) left_out: BTreeSet<String>,
    pub(crate) workspace: PathBuf,
}

impl Graph {
    /// The names of packages from an entry to this one.
    pub(crate) fn path(&self, package: usize) -> Vec<&str> {
        let mut path = vec![&*self.packages[package].name];
        let mut at = package;
        while let Some(parent) = self.packages[at].parent {
            path.push(&self.packages[parent].name);
            at = parent;
        }
        path.reverse();
        path
    }
}

/// Asks Cargo, first without the network.
pub(crate) fn resolve(extent: &Extent) -> Result<Graph, Error> {
    if !extent.manifest.is_file() {
        return Err(Error::Malformed {
            file: extent.manifest.display().to_string(),
            problem: "there is no such manifest".to_string(),
        });
    }
    let host = host()?;
    let metadata = ask(extent, &host, true).or_else(|_| ask(extent, &host, false))?;
    Resolution::new(extent, &metadata)?.walk()
}

fn ask(extent: &Extent, host: &str, is_offline: bool) -> Result<Metadata, Error> {
    let mut options = vec![format!("--filter-platform={host}")];
    if is_offline {
        options.push("--offline".to_string());
    }
    MetadataCommand::new()
        .manifest_path(&extent.manifest)
        .other_options(options)
        .exec()
        .map_err(|error| Error::Malformed {
            file: extent.manifest.display().to_string(),
            problem: error.to_string().trim_end().to_string(),
        })
}

/// The platform of the compiler itself.
fn host() -> Result<String, Error> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_string)
        .ok_or_else(|| Error::Child("rustc -vV names no host".to_string()))
}

/// What Cargo said, by package.
struct Resolution<'m> {
    extent: &'m Extent,
    metadata: &'m Metadata,
    packages: HashMap<&'m PackageId, &'m CargoPackage>,
    nodes: HashMap<&'m PackageId, &'m Node>,
}

impl<'m> Resolution<'m> {
    fn new(extent: &'m Extent, metadata: &'m Metadata) -> Result<Self, Error> {
        let resolve = metadata.resolve.as_ref().ok_or_else(|| Error::Malformed {
            file: extent.manifest.display().to_string(),
            problem: "Cargo resolves no dependencies for it".to_string(),
        })?;
        Ok(Resolution {
            extent,
            metadata,
            packages: metadata.packages.iter().map(|one| (&one.id, one)).collect(),
            nodes: resolve.nodes.iter().map(|one| (&one.id, one)).collect(),
        })
    }

    fn entries(&self) -> Result<Vec<&'m CargoPackage>, Error> {
        if let Some(name) = &self.extent.package {
            let members = self.metadata.workspace_packages();
            let found = members.into_iter().find(|one| *one.name == **name);
            let problem = || Error::Request(format!("the workspace has no package {name}"));
            return Ok(vec![found.ok_or_else(problem)?]);
        }
        if let Some(root) = self.metadata.root_package() {
            return Ok(vec![root]);
        }
        let mut members = self.metadata.workspace_packages();
        if self.metadata.workspace_default_members.is_available() {
            members = self.metadata.workspace_default_packages();
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(members)
    }

    /// Breadth first, so that the first path to a package is a shortest one.
    fn walk(&self) -> Result<Graph, Error> {
        let mut graph = Graph {
            packages: Vec::new(),
            left_out: BTreeSet::new(),
            workspace: self.metadata.workspace_root.clone().into(),
        };
        let mut numbers = HashMap::new();
        let mut waiting = VecDeque::new();
        for entry in self.entries()? {
            numbers.insert(&entry.id, graph.packages.len());
            waiting.push_back(graph.packages.len());
            graph.packages.push(self.package(entry, None)?);
        }
        let mut order: Vec<&PackageId> = self.entries()?.iter().map(|one| &one.id).collect();
        while let Some(at) = waiting.pop_front() {
            let is_entry = graph.packages[at].is_entry;
            for (name, id) in self.dependencies(order[at], is_entry) {
                let package = self.packages[id];
                let is_compiler_part = package.targets.iter().any(Target::is_proc_macro);
                if is_compiler_part && !self.extent.with_build {
                    graph.left_out.insert(package.name.to_string());
                    continue;
                }
                if !numbers.contains_key(id) {
                    numbers.insert(id, graph.packages.len());
                    waiting.push_back(graph.packages.len());
                    order.push(id);
                    graph.packages.push(self.package(package, Some(at))?);
                }
                graph.packages[at].externs.push((name, numbers[id]));
            }
        }
        // What is an entry itself is not left out.
        for package in &graph.packages {
            graph.left_out.remove(&package.name);
        }
        Ok(graph)
    }

    /// Names in code and packages, of the kinds that count.
    fn dependencies(&self, id: &PackageId, is_entry: bool) -> Vec<(String, &'m PackageId)> {
        let Some(node) = self.nodes.get(id) else {
            return Vec::new();
        };
        let counts = |kind: DependencyKind| match kind {
            DependencyKind::Development => is_entry && self.extent.with_dev,
            DependencyKind::Build => self.extent.with_build,
            _ => true,
        };
        let mut found: Vec<(String, &PackageId)> = node
            .deps
            .iter()
            .filter(|one| one.dep_kinds.iter().any(|info| counts(info.kind)))
            .map(|one| (one.name.clone(), &one.pkg))
            .collect();
        found.sort();
        found
    }

    fn package(&self, found: &CargoPackage, parent: Option<usize>) -> Result<Package, Error> {
        let is_entry = parent.is_none();
        let is_library = |target: &Target| !target.is_bin() && role(target) == Some(Role::Library);
        let has_library = found.targets.iter().any(is_library);
        let programs = found.targets.iter().filter(|one| one.is_bin()).count();
        let mut roots = Vec::new();
        for target in &found.targets {
            let Some(role) = role(target).filter(|role| self.counts(*role, is_entry)) else {
                continue;
            };
            let is_alone = role == Role::Program && programs == 1 && !has_library;
            roots.push(Root {
                role,
                place: if role == Role::Library || is_alone {
                    found.name.to_string()
                } else {
                    format!("{}/{}", found.name, target.name)
                },
                name: target.name.replace('-', "_"),
                file: target.src_path.clone().into(),
            });
        }
        roots.sort_by(|a, b| {
            (a.role != Role::Library, &a.place).cmp(&(b.role != Role::Library, &b.place))
        });
        let directory = found.manifest_path.parent().map(Into::into);
        Ok(Package {
            name: found.name.to_string(),
            version: found.version.to_string(),
            directory: directory.unwrap_or_default(),
            is_own: self.metadata.workspace_members.contains(&found.id),
            is_entry,
            lint: manifest_lint(found.manifest_path.as_std_path(), self.metadata)?,
            parent,
            roots,
            externs: Vec::new(),
        })
    }

    fn counts(&self, role: Role, is_entry: bool) -> bool {
        match role {
            Role::Library => true,
            Role::Program => is_entry,
            Role::Test => is_entry && self.extent.with_dev,
            Role::BuildScript => self.extent.with_build,
        }
    }
}

fn role(target: &Target) -> Option<Role> {
    if target.is_bin() {
        Some(Role::Program)
    } else if target.is_custom_build() {
        Some(Role::BuildScript)
    } else if target.is_test() || target.is_bench() || target.is_example() {
        Some(Role::Test)
    } else if target.crate_types.is_empty() {
        None
    } else {
        Some(Role::Library)
    }
}

/// The level of `unsafe_code` that a manifest sets, or the workspace's for a manifest that takes it from there.
fn manifest_lint(manifest: &Path, metadata: &Metadata) -> Result<Option<&'static str>, Error> {
    let table = read_toml(manifest)?;
    let lints = table.get("lints");
    let is_inherited = lints
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool)
        .unwrap_or(false);
    if !is_inherited {
        return Ok(lints.and_then(level));
    }
    let workspace = read_toml(metadata.workspace_root.join("Cargo.toml").as_std_path())?;
    let lints = workspace.get("workspace").and_then(|one| one.get("lints"));
    Ok(lints.and_then(level))
}

fn level(lints: &toml::Value) -> Option<&'static str> {
    let lint = lints.get("rust")?.get("unsafe_code")?;
    match lint.as_str().or_else(|| lint.get("level")?.as_str())? {
        "forbid" => Some("forbid"),
        "deny" => Some("deny"),
        _ => None,
    }
}

fn read_toml(path: &Path) -> Result<toml::Table, Error> {
    let problem = |problem: String| Error::Malformed {
        file: path.display().to_string(),
        problem,
    };
    let text = fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    text.parse()
        .map_err(|error: toml::de::Error| problem(error.to_string()))
}
