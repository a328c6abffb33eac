//! What the sources of a dependency graph say, as far as reachability needs it: crates, modules, nodes that
//! mention others, and the places of unsafe code.
//!
//! Filled by `scan`, read by `names`, `walk` and the reports. Everything is an index into a list of
//! [`Program`], in the order of discovery, so the same sources give the same numbers. Deliberately absent: types,
//! and any claim that a thing mentioned is a thing called.

use std::collections::{BTreeSet, HashMap, HashSet};

pub(crate) type UnitId = usize;
pub(crate) type ModuleId = usize;
pub(crate) type NodeId = usize;
pub(crate) type HolderId = usize;

/// A crate as the compiler sees it: one target of a package.
pub(crate) struct Unit {
    /// The package, in the list of packages.
    pub(crate) package: usize,
    pub(crate) root: ModuleId,
    /// Crates by the names that code of this one has for them.
    pub(crate) externs: HashMap<String, UnitId>,
    /// Whether code of this crate can see an item of that crate, by number.
    pub(crate) sees: Vec<bool>,
    /// Whether its public items are where a user comes in.
    pub(crate) is_open: bool,
    /// Whether its tests are run.
    pub(crate) runs_tests: bool,
}

/// A path as written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Route {
    pub(crate) segments: Vec<String>,
    /// Whether it begins with `::`.
    pub(crate) is_global: bool,
}

impl Route {
    pub(crate) fn of(path: &syn::Path) -> Route {
        let segments = path.segments.iter().map(|one| plain(&one.ident));
        Route {
            segments: segments.collect(),
            is_global: path.leading_colon.is_some(),
        }
    }
}

/// An identifier without the mark of a raw one.
pub(crate) fn plain(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_string)
}

/// What a name in a module stands for.
#[derive(Clone)]
pub(crate) enum Def {
    Node(NodeId),
    Module(ModuleId),
    Import(Route),
}

/// A module, inline or a file.
pub(crate) struct Module {
    pub(crate) unit: UnitId,
    pub(crate) parent: Option<ModuleId>,
    /// From the package on, as `package::a::b`.
    pub(crate) place: String,
    pub(crate) scope: HashMap<String, Vec<Def>>,
    pub(crate) globs: Vec<Route>,
    /// What stands for the module itself: what its macros and constants without a name mention.
    pub(crate) node: NodeId,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Function,
    Type,
    Trait,
    Implementation,
    Constant,
    Macro,
    Foreign,
    Module,
}

/// What the code of a node names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Mention {
    Path(Route),
    /// A method call.
    Method(String),
    /// Another node, whatever its name.
    Node(NodeId),
}

/// Something that can be reached, and what it then reaches.
pub(crate) struct Node {
    pub(crate) module: ModuleId,
    /// Within the module, as `Type::function`.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The implementation or trait that it stands in.
    pub(crate) holder: Option<HolderId>,
    /// In the order of the text, each once.
    pub(crate) mentions: Vec<Mention>,
    pub(crate) is_public: bool,
    /// Reached from outside whatever mentions it: an exported symbol, the allocator.
    pub(crate) is_exported: bool,
    /// A test, run by the test harness.
    pub(crate) is_test: bool,
    /// Compiled for tests alone.
    pub(crate) is_for_tests: bool,
}

/// An implementation or a trait: what its members depend on.
pub(crate) struct Holder {
    pub(crate) node: NodeId,
    pub(crate) self_type: Option<Route>,
    pub(crate) trait_route: Option<Route>,
    pub(crate) is_trait: bool,
    /// The name of each member by itself, and its node.
    pub(crate) members: Vec<(String, NodeId)>,
}

/// The sorts of unsafe code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sort {
    /// `unsafe { .. }`.
    Block,
    /// `unsafe fn`, with a body or without.
    Function,
    /// `unsafe impl`.
    Implementation,
    /// `unsafe trait`.
    Trait,
    /// `extern { .. }`, whose functions somebody else defines.
    Foreign,
    /// An attribute such as `unsafe(no_mangle)`.
    Attribute,
    /// The word inside the tokens of a macro: a definition, or the arguments of a call.
    Macro,
}

impl Sort {
    /// The word in reports.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Sort::Block => "block",
            Sort::Function => "fn",
            Sort::Implementation => "impl",
            Sort::Trait => "trait",
            Sort::Foreign => "extern-block",
            Sort::Attribute => "attribute",
            Sort::Macro => "inside-a-macro",
        }
    }
}

/// A place of unsafe code.
pub(crate) struct Item {
    pub(crate) node: NodeId,
    pub(crate) module: ModuleId,
    pub(crate) sort: Sort,
    /// Of [`Program::files`].
    pub(crate) file: usize,
    /// From 1.
    pub(crate) line: usize,
    /// Under which conditions it is compiled, outermost first.
    pub(crate) conditions: Vec<String>,
    /// Whether it was read out of the arguments of a macro.
    pub(crate) is_in_macro: bool,
}

/// What was seen and not followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The file, as the report names it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What it is.
    pub text: String,
}

/// Everything that was read.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) units: Vec<Unit>,
    pub(crate) modules: Vec<Module>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) holders: Vec<Holder>,
    pub(crate) items: Vec<Item>,
    /// Names of files, as reports tell them.
    pub(crate) files: Vec<String>,
    /// Where an alias leads.
    pub(crate) aliases: HashMap<NodeId, Route>,
    /// The variants of enums.
    pub(crate) variants: HashMap<NodeId, HashSet<String>>,
    /// Names that code inside macros defines, with the node that holds the code.
    pub(crate) loose: Vec<(String, NodeId)>,
    /// Macros by name, wherever they stand.
    pub(crate) macros: HashMap<String, Vec<NodeId>>,
    /// What crates that are open export again.
    pub(crate) reexports: Vec<(ModuleId, Route)>,
    /// The crates whose root says `forbid` or `deny`, with the word.
    pub(crate) lints: HashMap<UnitId, &'static str>,
    pub(crate) notes: Vec<Note>,
    pub(crate) unparsed: BTreeSet<(String, usize, String)>,
}

impl Program {
    pub(crate) fn add_module(
        &mut self,
        unit: UnitId,
        parent: Option<ModuleId>,
        place: String,
        is_for_tests: bool,
    ) -> ModuleId {
        let module = self.modules.len();
        let node = self.nodes.len();
        self.nodes.push(Node {
            module,
            name: String::new(),
            kind: Kind::Module,
            holder: None,
            mentions: Vec::new(),
            is_public: false,
            is_exported: false,
            is_test: false,
            is_for_tests,
        });
        self.modules.push(Module {
            unit,
            parent,
            place,
            scope: HashMap::new(),
            globs: Vec::new(),
            node,
        });
        module
    }

    pub(crate) fn define(&mut self, module: ModuleId, name: &str, def: Def) {
        let scope = &mut self.modules[module].scope;
        scope.entry(name.to_string()).or_default().push(def);
    }

    pub(crate) fn unit_of(&self, node: NodeId) -> UnitId {
        self.modules[self.nodes[node].module].unit
    }

    /// A node as paths of names tell it.
    pub(crate) fn title(&self, node: NodeId) -> String {
        let found = &self.nodes[node];
        let place = &self.modules[found.module].place;
        if found.name.is_empty() {
            place.clone()
        } else {
            format!("{place}::{}", found.name)
        }
    }
}
