//! What a path in a module may lead to.
//!
//! Called by `walk` for each mention of a node that is reached. Follows `use`, globs, re-exports, aliases and the
//! names of dependencies; knows no types. Over-approximates: visibility is ignored, all items of a name count
//! whatever their kind or condition, and a name behind a type that is not known there may be any trait's.
//!
//! Globs and aliases may lead around in rings. A question is therefore answered in rounds: each round asks every
//! question on its way once and takes the answers of the round before for those that it is in the middle of, until
//! a round changes nothing. Invariant: what is remembered in `known` came of such a round, so that it does not
//! depend on which question was asked first, and no question is answered twice.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::model::{Def, HolderId, Kind, ModuleId, NodeId, Program, Route, UnitId};

/// What a path leads to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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

/// Rounds after which answers only grow: what a name leads to when it is not found may go back and forth.
const ROUNDS_EXACT: usize = 8;

/// A question that others may lead back to.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Question {
    /// A name in a module.
    In(ModuleId, String),
    /// A name behind the type that an alias stands for.
    Behind(NodeId, String),
}

type Answer = Rc<Vec<Target>>;

/// A question that is being answered, with all that it leads to.
#[derive(Default)]
struct Inquiry {
    /// Zero when there is none.
    round: usize,
    asked: HashSet<Question>,
    answers: HashMap<Question, Answer>,
    is_changed: bool,
}

/// A resolver with its memory.
pub(super) struct Names<'p> {
    program: &'p Program,
    known: RefCell<HashMap<Question, Answer>>,
    inquiry: RefCell<Inquiry>,
    /// The implementations and traits whose members belong to a type or trait.
    members: HashMap<NodeId, Vec<HolderId>>,
}

impl<'p> Names<'p> {
    pub(super) fn new(program: &'p Program) -> Self {
        Names {
            program,
            known: RefCell::default(),
            inquiry: RefCell::default(),
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
        self.follow(module, route, &mut found);
        found
    }

    /// What the rest of a path leads to from a type or trait.
    pub(super) fn resolve_within(&self, owner: NodeId, rest: &[String]) -> Vec<Target> {
        let mut found = Vec::new();
        self.advance(vec![Target::Node(owner)], rest, &mut found);
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

    fn follow(&self, module: ModuleId, route: &Route, found: &mut Vec<Target>) {
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
                let near = self.lookup(module, name);
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
        self.advance(start, rest, found);
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

    fn advance(&self, start: Vec<Target>, rest: &[String], found: &mut Vec<Target>) {
        let mut at = start;
        for (place, name) in rest.iter().enumerate() {
            let is_last = place + 1 == rest.len();
            let mut next = Vec::new();
            for target in at {
                match target {
                    Target::Module(module) if name == "self" => next.push(Target::Module(module)),
                    Target::Module(module) => {
                        let inside = self.lookup(module, name);
                        if inside.is_empty() {
                            // Whatever the macros of the module define may bear the name.
                            found.push(Target::Node(self.program.modules[module].node));
                        }
                        next.extend(inside.iter().cloned());
                    }
                    Target::Node(node) => {
                        next.extend(self.inside(node, name));
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
    fn inside(&self, node: NodeId, name: &str) -> Vec<Target> {
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
        if self.program.aliases.contains_key(&node) {
            let behind = Question::Behind(node, name.to_string());
            found.extend(self.answer(behind).iter().cloned());
        }
        if found.is_empty() || self.program.nodes[node].kind == Kind::Trait {
            found.push(Target::AnyTrait(name.to_string()));
        }
        found
    }

    fn lookup(&self, module: ModuleId, name: &str) -> Answer {
        self.answer(Question::In(module, name.to_string()))
    }

    /// The answer to a question: what is known, else what the round has so far, else a new round.
    fn answer(&self, question: Question) -> Answer {
        if let Some(known) = self.known.borrow().get(&question) {
            return Rc::clone(known);
        }
        if self.inquiry.borrow().round == 0 {
            return self.settle(&question);
        }
        let mut inquiry = self.inquiry.borrow_mut();
        if !inquiry.asked.insert(question.clone()) {
            let so_far = inquiry.answers.get(&question);
            return so_far.map_or_else(Answer::default, Rc::clone);
        }
        drop(inquiry);
        let mut found = self.find(&question);
        let mut inquiry = self.inquiry.borrow_mut();
        let before = inquiry.answers.get(&question).map(Rc::clone);
        if let Some(before) = before.as_ref().filter(|_| inquiry.round > ROUNDS_EXACT) {
            found.extend(before.iter().cloned());
        }
        found.sort_unstable();
        found.dedup();
        inquiry.is_changed |= before.is_none_or(|before| *before != found);
        let answer = Rc::new(found);
        inquiry.answers.insert(question, Rc::clone(&answer));
        answer
    }

    /// Asks in rounds until a round changes nothing.
    fn settle(&self, question: &Question) -> Answer {
        loop {
            let mut inquiry = self.inquiry.borrow_mut();
            inquiry.round += 1;
            inquiry.asked.clear();
            inquiry.is_changed = false;
            drop(inquiry);
            let answer = self.answer(question.clone());
            let mut inquiry = self.inquiry.borrow_mut();
            if !inquiry.is_changed {
                // What only an earlier round led to was asked for on the way of an answer that did not last.
                let Inquiry { asked, answers, .. } = &mut *inquiry;
                let lasting = answers.drain().filter(|(one, _)| asked.contains(one));
                self.known.borrow_mut().extend(lasting);
                inquiry.round = 0;
                return answer;
            }
        }
    }

    fn find(&self, question: &Question) -> Vec<Target> {
        let mut found = Vec::new();
        match question {
            Question::In(module, name) => self.find_in(*module, name, &mut found),
            Question::Behind(node, name) => {
                if let Some(alias) = self.program.aliases.get(node) {
                    let mut route = alias.clone();
                    route.segments.push(name.clone());
                    self.follow(self.program.nodes[*node].module, &route, &mut found);
                }
            }
        }
        found
    }

    /// What a module declares, imports, and takes by globs.
    fn find_in(&self, module: ModuleId, name: &str, found: &mut Vec<Target>) {
        let here = &self.program.modules[module];
        for def in here.scope.get(name).into_iter().flatten() {
            match def {
                Def::Node(node) => found.push(Target::Node(*node)),
                Def::Module(inner) => found.push(Target::Module(*inner)),
                Def::Import(route) => self.follow(module, route, found),
            }
        }
        for glob in &here.globs {
            let mut sources = Vec::new();
            self.follow(module, glob, &mut sources);
            for source in sources {
                match source {
                    Target::Module(other) if other != module => {
                        found.extend(self.lookup(other, name).iter().cloned());
                    }
                    Target::Node(node) if self.has_variant(node, name) => {
                        found.push(Target::Node(node));
                    }
                    _ => {}
                }
            }
        }
    }

    fn has_variant(&self, node: NodeId, name: &str) -> bool {
        let variants = self.program.variants.get(&node);
        variants.is_some_and(|variants| variants.contains(name))
    }
}
