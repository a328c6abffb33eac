//! What stands at the head of each implementation, once names are known: its types and its trait.
//!
//! Called once an audit by `walk`, after everything is read. Invariant: the lists of [`Headers`] have an entry for each
//! holder of the program, empty where the type or trait is not of the graph. Deliberately absent: type parameters,
//! which stand for no type.

use std::collections::HashMap;

use super::model::{Kind, ModuleId, NodeId, Program, Route};
use super::names::{Names, Target};

/// What holders turned out to be.
pub(super) struct Headers {
    /// By holder: the types that it implements something for.
    pub(super) selves: Vec<Vec<NodeId>>,
    /// By holder: the trait, if it is in the graph.
    pub(super) traits: Vec<Vec<NodeId>>,
}

impl Headers {
    pub(super) fn of(program: &Program) -> Headers {
        let names = Names::new(program);
        let mut headers = Headers {
            selves: Vec::new(),
            traits: Vec::new(),
        };
        let nodes = |module: ModuleId, route: Option<&Route>, is_trait: bool| -> Vec<NodeId> {
            let targets = route.map_or(Vec::new(), |route| names.resolve(module, route));
            targets
                .into_iter()
                .filter_map(|target| match target {
                    Target::Node(node) => Some(node),
                    _ => None,
                })
                .filter(|node| match program.nodes[*node].kind {
                    Kind::Trait => true,
                    Kind::Type | Kind::Macro => !is_trait,
                    _ => false,
                })
                .collect()
        };
        for holder in &program.holders {
            let module = program.nodes[holder.node].module;
            headers
                .selves
                .push(nodes(module, holder.self_type.as_ref(), false));
            headers
                .traits
                .push(nodes(module, holder.trait_route.as_ref(), true));
        }
        headers
    }
}

/// What comes with a node: with a type its implementations, with an implementation of a trait from elsewhere its
/// functions, with anything its module, and with a module what no name leads to.
pub(super) fn structure(program: &Program, headers: &Headers) -> HashMap<NodeId, Vec<NodeId>> {
    let mut found: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for (id, holder) in program.holders.iter().enumerate() {
        if holder.is_trait {
            continue;
        }
        let mut owners = headers.selves[id].clone();
        if owners.is_empty() {
            owners.clone_from(&headers.traits[id]);
        }
        if owners.is_empty() {
            owners.push(program.modules[program.nodes[holder.node].module].node);
        }
        for owner in owners {
            found.entry(owner).or_default().push(holder.node);
        }
        for (_, member) in &holder.members {
            found.entry(*member).or_default().push(holder.node);
        }
        if holder.trait_route.is_some() && headers.traits[id].is_empty() {
            let members = holder.members.iter().map(|(_, node)| *node);
            found.entry(holder.node).or_default().extend(members);
        }
    }
    for (id, node) in program.nodes.iter().enumerate() {
        if node.kind != Kind::Module {
            let module = program.modules[node.module].node;
            found.entry(id).or_default().push(module);
        }
    }
    found
}
