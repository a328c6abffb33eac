//! What a path in a module may lead to.
//!
//! Called by `walk` for each mention of a node that is reached. Follows `use`, globs, re-exports, aliases and the
//! names of dependencies; knows no types. Over-approximates: visibility is ignored, all items of a name count
//! whatever their kind or condition, and a name behind a type that is not known there may be any trait's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::model::{Def, HolderId, Kind, ModuleId, NodeId, Program, Route, UnitId};

/// What a path leads to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Target {
    Node(NodeId),
    Module(ModuleId),
    /// Something of the standard library.
    Outside,
    /// A function of this name in any trait.
    AnyTrait(String),
}

/// Crates that are no packages.
const STANDARD: [&str; 5] = ["std", "core", "alloc", "proc_macro", "test"];

/// The names that a lookup is in the middle of.
type Trail = Vec<(ModuleId, String)>;

/// A resolver with its memory.
pub(super) struct Names<'p> {
    program: &'p Program,
    known: RefCell<HashMap<(ModuleId, String), Rc<Vec<Target>>>>,
    /// The implementations and traits whose members belong to a type or trait.
    members: HashMap<NodeId, Vec<HolderId>>,
}

impl<'p> Names<'p> {
    pub(super) fn new(program: &'p Program) -> Self {
        Names {
            program,
            known: RefCell::default(),
            members: HashMap::new(),
        }
    }

    /// Makes members of holders findable by their type or trait.
    pub(super) fn with_members(self, members: HashMap<NodeId, Vec<HolderId>>) -> Self {
        Names { members, ..self }
    }

    /// Everything that the path may lead to, types on its way included.
    pub(super) fn resolve(&self, module: ModuleId, route: &Route) -> Vec<Target> {
        let mut found = Vec::new();
        self.follow(module, route, &mut Vec::new(), &mut found);
        found
    }

    /// What the rest of a path leads to from a type or trait.
    pub(super) fn resolve_within(&self, owner: NodeId, rest: &[String]) -> Vec<Target> {
        let mut found = Vec::new();
        self.advance(vec![Target::Node(owner)], rest, &mut Vec::new(), &mut found);
        found
    }

    /// Macros are also known by name alone, since most are visible in the order of the text.
    pub(super) fn macros(&self, unit: UnitId, name: &str) -> Vec<NodeId> {
        let known = self.program.macros.get(name).into_iter().flatten();
        let sees = &self.program.units[unit].sees;
        known
            .copied()
            .filter(|node| sees[self.program.unit_of(*node)])
            .collect()
    }

    fn follow(&self, module: ModuleId, route: &Route, trail: &mut Trail, found: &mut Vec<Target>) {
        let Some((first, mut rest)) = route.segments.split_first() else {
            return;
        };
        let unit = &self.program.units[self.program.modules[module].unit];
        let mut at = module;
        let start = match &**first {
            "crate" => vec![Target::Module(unit.root)],
            "self" => vec![Target::Module(module)],
            "super" => {
                at = self.parent(at);
                while rest.first().is_some_and(|next| next == "super") {
                    (at, rest) = (self.parent(at), &rest[1..]);
                }
                vec![Target::Module(at)]
            }
            name if route.is_global => self.outer(module, name),
            name => {
                let near = self.lookup(module, name, trail);
                if near.is_empty() {
                    self.outer(module, name)
                } else {
                    near.to_vec()
                }
            }
        };
        if start.is_empty()
            && let Some(last) = rest.last()
        {
            // A type parameter, a primitive type, or a name from the prelude.
            found.push(Target::AnyTrait(last.clone()));
            return;
        }
        self.advance(start, rest, trail, found);
    }

    fn parent(&self, module: ModuleId) -> ModuleId {
        self.program.modules[module].parent.unwrap_or(module)
    }

    /// A crate by the name that this one has for it.
    fn outer(&self, module: ModuleId, name: &str) -> Vec<Target> {
        let unit = &self.program.units[self.program.modules[module].unit];
        match unit.externs.get(name) {
            Some(other) => vec![Target::Module(self.program.units[*other].root)],
            None if STANDARD.contains(&name) => vec![Target::Outside],
            None => Vec::new(),
        }
    }

    fn advance(&self, start: Vec<Target>, rest: &[String], trail: &mut Trail, found: &mut Vec<Target>) {
        let mut at = start;
        for (place, name) in rest.iter().enumerate() {
            let is_last = place + 1 == rest.len();
            let mut next = Vec::new();
            for target in at {
                match target {
                    Target::Module(module) if name == "self" => next.push(Target::Module(module)),
                    Target::Module(module) => {
                        let inside = self.lookup(module, name, trail);
                        if inside.is_empty() {
                            // Whatever the macros of the module define may bear the name.
                            found.push(Target::Node(self.program.modules[module].node));
                        }
                        next.extend(inside.iter().cloned());
                    }
                    Target::Node(node) => {
                        next.extend(self.inside(node, name, trail));
                        found.push(Target::Node(node));
                    }
                    Target::Outside if is_last => next.push(Target::AnyTrait(name.clone())),
                    other => next.push(other),
                }
            }
            at = next;
        }
        found.append(&mut at);
    }

    /// A name behind a type, a trait, or something else that is no module.
    fn inside(&self, node: NodeId, name: &str, trail: &mut Trail) -> Vec<Target> {
        if let Some(variants) = self.program.variants.get(&node)
            && variants.contains(name)
        {
            return vec![Target::Node(node)];
        }
        let mut found = Vec::new();
        for holder in self.members.get(&node).into_iter().flatten() {
            let members = self.program.holders[*holder].members.iter();
            let named = members.filter(|(member, _)| member == name);
            found.extend(named.map(|(_, node)| Target::Node(*node)));
        }
        if let Some(alias) = self.program.aliases.get(&node)
            && trail.len() < 32
        {
            let module = self.program.nodes[node].module;
            let mut route = alias.clone();
            route.segments.push(name.to_string());
            // An alias of itself would lead nowhere.
            trail.push((module, format!("alias {node}")));
            self.follow(module, &route, trail, &mut found);
            trail.pop();
        }
        if found.is_empty() || self.program.nodes[node].kind == Kind::Trait {
            found.push(Target::AnyTrait(name.to_string()));
        }
        found
    }

    /// A name in a module: what it declares, imports, and takes by globs.
    fn lookup(&self, module: ModuleId, name: &str, trail: &mut Trail) -> Rc<Vec<Target>> {
        let key = (module, name.to_string());
        if let Some(known) = self.known.borrow().get(&key) {
            return Rc::clone(known);
        }
        if trail.contains(&key) {
            return Rc::default();
        }
        trail.push(key.clone());
        let mut found = Vec::new();
        let here = &self.program.modules[module];
        for def in here.scope.get(name).into_iter().flatten() {
            match def {
                Def::Node(node) => found.push(Target::Node(*node)),
                Def::Module(inner) => found.push(Target::Module(*inner)),
                Def::Import(route) => self.follow(module, route, trail, &mut found),
            }
        }
        for glob in &here.globs {
            let mut sources = Vec::new();
            self.follow(module, glob, trail, &mut sources);
            for source in sources {
                match source {
                    Target::Module(other) if other != module => {
                        found.extend(self.lookup(other, name, trail).iter().cloned());
                    }
                    Target::Node(node) if self.has_variant(node, name) => {
                        found.push(Target::Node(node));
                    }
                    _ => {}
                }
            }
        }
        trail.pop();
        let mut distinct: Vec<Target> = Vec::new();
        for target in found {
            if !distinct.contains(&target) {
                distinct.push(target);
            }
        }
        let found = Rc::new(distinct);
        // In the middle of another lookup the answer may lack what that one is about to find.
        if trail.is_empty() {
            self.known.borrow_mut().insert(key, Rc::clone(&found));
        }
        found
    }

    fn has_variant(&self, node: NodeId, name: &str) -> bool {
        let variants = self.program.variants.get(&node);
        variants.is_some_and(|variants| variants.contains(name))
    }
}
