//! Which nodes can be reached from the entry, and by which shortest path of names.
//!
//! Called once an audit, after everything is read. Two passes. The first finds what is reached: a node reaches what it
//! mentions; a call by name reaches each function of that name in an implementation whose type is mentioned somewhere
//! that is reached, in a crate that the caller sees, or of a trait that it sees. Functions of implementations of
//! traits from elsewhere are reached with their types, since the standard library may call them. The second pass
//! walks breadth first over what is reached, so that each path is a shortest one.
//!
//! Deliberately absent: types of receivers, values of function pointers (mentioning one counts), and code that
//! procedural macros write.

use std::collections::{HashMap, HashSet, VecDeque};

use super::headers::{Headers, structure};
use super::model::{HolderId, Kind, Mention, NodeId, Program, UnitId};
use super::names::{Names, Target};

/// A call by name alone.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Call {
    name: String,
    /// Whether a method of a type itself may be meant, and not of a trait only.
    is_method: bool,
}

/// What a node leads to.
#[derive(Default)]
struct Outgoing {
    nodes: Vec<NodeId>,
    calls: Vec<Call>,
}

/// A function that can be called by name, and on what it depends.
struct Member {
    node: NodeId,
    holder: Option<HolderId>,
}

pub(super) struct Walk<'p> {
    program: &'p Program,
    names: Names<'p>,
    headers: Headers,
    by_name: HashMap<&'p str, Vec<Member>>,
    /// What a node brings along by being what it is.
    structure: HashMap<NodeId, Vec<NodeId>>,
}

/// What was reached, and from where.
pub(super) struct Reached {
    parents: Vec<Option<NodeId>>,
    pub(super) is_reached: Vec<bool>,
}

impl Reached {
    /// Names from the entry to a node; modules and headers of implementations on the way are left out.
    pub(super) fn path(&self, program: &Program, node: NodeId) -> Vec<String> {
        let mut path = vec![program.title(node)];
        let mut at = node;
        while let Some(parent) = self.parents[at] {
            let kind = program.nodes[parent].kind;
            if !matches!(kind, Kind::Module | Kind::Implementation) {
                path.push(program.title(parent));
            }
            at = parent;
        }
        path.reverse();
        path
    }
}

impl<'p> Walk<'p> {
    pub(super) fn new(program: &'p Program) -> Self {
        let headers = Headers::of(program);
        let mut members: HashMap<NodeId, Vec<HolderId>> = HashMap::new();
        let mut by_name: HashMap<&str, Vec<Member>> = HashMap::new();
        for (id, holder) in program.holders.iter().enumerate() {
            for owner in &headers.selves[id] {
                members.entry(*owner).or_default().push(id);
            }
            if holder.is_trait {
                members.entry(holder.node).or_default().push(id);
            }
            for (name, node) in &holder.members {
                let member = Member {
                    node: *node,
                    holder: Some(id),
                };
                by_name.entry(name).or_default().push(member);
            }
        }
        for (name, node) in &program.loose {
            let member = Member {
                node: *node,
                holder: None,
            };
            by_name.entry(name).or_default().push(member);
        }
        Walk {
            structure: structure(program, &headers),
            names: Names::new(program).with_members(members),
            program,
            headers,
            by_name,
        }
    }

    /// Walks from the seeds.
    pub(super) fn run(&self, seeds: &[NodeId]) -> Reached {
        let mut marking = Marking {
            walk: self,
            is_reached: vec![false; self.program.nodes.len()],
            outgoing: HashMap::new(),
            callers: HashMap::new(),
            waiting: VecDeque::new(),
        };
        seeds.iter().for_each(|seed| marking.reach(*seed));
        while let Some(node) = marking.waiting.pop_front() {
            marking.expand(node);
        }
        let Marking {
            is_reached,
            outgoing,
            ..
        } = marking;
        self.paths(seeds, is_reached, &outgoing)
    }

    /// Shortest paths over what is reached.
    fn paths(
        &self,
        seeds: &[NodeId],
        is_reached: Vec<bool>,
        outgoing: &HashMap<NodeId, Outgoing>,
    ) -> Reached {
        let mut is_seen = vec![false; is_reached.len()];
        let mut parents = vec![None; is_reached.len()];
        let mut waiting = VecDeque::new();
        let mut done: HashSet<(UnitId, &Call)> = HashSet::new();
        for seed in seeds {
            if is_reached[*seed] && !std::mem::replace(&mut is_seen[*seed], true) {
                waiting.push_back(*seed);
            }
        }
        while let Some(node) = waiting.pop_front() {
            let mut next = |other: NodeId| {
                if is_reached[other] && !std::mem::replace(&mut is_seen[other], true) {
                    parents[other] = Some(node);
                    waiting.push_back(other);
                }
            };
            let Some(leads) = outgoing.get(&node) else {
                continue;
            };
            leads.nodes.iter().for_each(|other| next(*other));
            let unit = self.program.unit_of(node);
            for call in &leads.calls {
                // The first caller of a crate is a nearest one; the others find everything seen.
                if done.insert((unit, call)) {
                    for member in self.by_name.get(&*call.name).into_iter().flatten() {
                        if self.is_callable(member, unit, call) {
                            next(member.node);
                        }
                    }
                }
            }
            self.structure
                .get(&node)
                .into_iter()
                .flatten()
                .for_each(|other| next(*other));
        }
        Reached {
            parents,
            is_reached,
        }
    }

    /// Whether code of this crate, calling by name, may mean the member.
    fn is_callable(&self, member: &Member, caller: UnitId, call: &Call) -> bool {
        let sees = &self.program.units[caller].sees;
        let Some(holder) = member.holder else {
            return sees[self.program.unit_of(member.node)];
        };
        let found = &self.program.holders[holder];
        if found.is_trait {
            return sees[self.program.unit_of(found.node)];
        }
        if found.trait_route.is_none() {
            return call.is_method && sees[self.program.unit_of(found.node)];
        }
        let mut traits = self.headers.traits[holder].iter();
        traits.any(|node| sees[self.program.unit_of(*node)])
    }

    fn outgoing(&self, node: NodeId) -> Outgoing {
        let found = &self.program.nodes[node];
        let unit = self.program.unit_of(node);
        let mut out = Outgoing::default();
        let (mut nodes, mut calls, mut mentions) = (HashSet::new(), HashSet::new(), HashSet::new());
        for mention in &found.mentions {
            if !mentions.insert(mention) {
                continue;
            }
            for target in self.targets(node, mention) {
                match target {
                    Ok(other) if other != node && nodes.insert(other) => out.nodes.push(other),
                    Err(call) if calls.insert(call.clone()) => out.calls.push(call),
                    _ => {}
                }
            }
            if let Mention::Path(route) = mention
                && let [name] = &route.segments[..]
            {
                for other in self.names.macros(unit, name) {
                    if other != node && nodes.insert(other) {
                        out.nodes.push(other);
                    }
                }
            }
        }
        out
    }

    /// Nodes, and calls by name.
    fn targets(&self, node: NodeId, mention: &Mention) -> Vec<Result<NodeId, Call>> {
        let found = &self.program.nodes[node];
        let route = match mention {
            Mention::Node(other) => return vec![Ok(*other)],
            Mention::Method(name) => {
                return vec![Err(Call {
                    name: name.clone(),
                    is_method: true,
                })];
            }
            Mention::Path(route) => route,
        };
        let own = route.segments.first().is_some_and(|first| first == "Self");
        let targets = match found.holder.filter(|_| own) {
            Some(holder) => {
                let mut owners = self.headers.selves[holder].clone();
                if self.program.holders[holder].is_trait || owners.is_empty() {
                    owners.push(self.program.holders[holder].node);
                }
                let rest = &route.segments[1..];
                let inside = |owner: &NodeId| self.names.resolve_within(*owner, rest);
                owners.iter().flat_map(inside).collect()
            }
            None => self.names.resolve(found.module, route),
        };
        let as_edge = |target| match target {
            Target::Node(node) => Some(Ok(node)),
            Target::AnyTrait(name) => Some(Err(Call {
                name,
                is_method: false,
            })),
            Target::Module(_) | Target::Outside => None,
        };
        targets.into_iter().filter_map(as_edge).collect()
    }
}

/// The first pass, in the middle of it.
struct Marking<'w, 'p> {
    walk: &'w Walk<'p>,
    is_reached: Vec<bool>,
    outgoing: HashMap<NodeId, Outgoing>,
    /// Crates that call by a name.
    callers: HashMap<Call, Vec<UnitId>>,
    waiting: VecDeque<NodeId>,
}

impl Marking<'_, '_> {
    fn reach(&mut self, node: NodeId) {
        let program = self.walk.program;
        let found = &program.nodes[node];
        let is_out = found.is_for_tests && !program.units[program.unit_of(node)].runs_tests;
        if !is_out && !self.is_reached[node] {
            self.is_reached[node] = true;
            self.waiting.push_back(node);
        }
    }

    fn expand(&mut self, node: NodeId) {
        let walk = self.walk;
        let leads = walk.outgoing(node);
        leads.nodes.iter().for_each(|other| self.reach(*other));
        let unit = walk.program.unit_of(node);
        for call in &leads.calls {
            let callers = self.callers.entry(call.clone()).or_default();
            if callers.contains(&unit) {
                continue;
            }
            callers.push(unit);
            for member in walk.by_name.get(&*call.name).into_iter().flatten() {
                if self.is_alive(member) && walk.is_callable(member, unit, call) {
                    self.reach(member.node);
                }
            }
        }
        self.outgoing.insert(node, leads);
        walk.structure
            .get(&node)
            .into_iter()
            .flatten()
            .for_each(|other| self.reach(*other));
        let found = &walk.program.nodes[node];
        if matches!(found.kind, Kind::Implementation | Kind::Trait)
            && let Some(holder) = found.holder
        {
            self.revive(holder);
        }
    }

    /// Whether there may be a value that the member belongs to: its type is mentioned somewhere, or is no type of
    /// the graph.
    fn is_alive(&self, member: &Member) -> bool {
        let holders = &self.walk.program.holders;
        let headers = &self.walk.headers;
        member.holder.is_none_or(|holder| {
            headers.selves[holder].is_empty() || self.is_reached[holders[holder].node]
        })
    }

    /// Reaches the members of a holder whose names have been called before.
    fn revive(&mut self, holder: HolderId) {
        let walk = self.walk;
        for (name, node) in &walk.program.holders[holder].members {
            let member = Member {
                node: *node,
                holder: Some(holder),
            };
            for is_method in [false, true] {
                let call = Call {
                    name: name.clone(),
                    is_method,
                };
                let callers = self.callers.get(&call).into_iter().flatten();
                let mut callers = callers.copied();
                if callers.any(|unit| walk.is_callable(&member, unit, &call)) {
                    self.reach(*node);
                    break;
                }
            }
        }
    }
}
