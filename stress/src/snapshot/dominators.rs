//! The dominators of a snapshot: what would be freed with an object.
//!
//! A node dominates another one if every way from the root leads through it. Found as Cooper, Harvey
//! and Kennedy do, by going over the nodes in reverse postorder until nothing changes; without
//! recursion, since chains are long. Weak edges are no ways.

use std::collections::HashMap;

use super::Snapshot;

/// No way leads to the node from the root.
const UNREACHED: usize = usize::MAX;

/// The immediate dominator of each node, and what it retains.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dominators {
    /// By node; the root's is itself.
    immediate: Vec<usize>,
    retained_bytes: Vec<u64>,
    /// By node: no dominator of it has its name.
    are_first: Vec<bool>,
}

impl Dominators {
    /// The dominators of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let order = reverse_postorder(snapshot);
        let immediate = immediate(snapshot, &order);
        let mut retained_bytes: Vec<u64> = vec![0; snapshot.nodes.len()];
        // A node comes after its dominator, so from the end each is complete before it is passed on.
        for &node in order.iter().rev() {
            retained_bytes[node] += snapshot.nodes[node].self_bytes;
            if node != 0 {
                retained_bytes[immediate[node]] += retained_bytes[node];
            }
        }
        let are_first = first_of_their_names(snapshot, &order, &immediate);
        Dominators {
            immediate,
            retained_bytes,
            are_first,
        }
    }

    /// The immediate dominator of a node. `None` for the root, and where no way leads.
    pub fn immediate(&self, node: usize) -> Option<usize> {
        let dominator = self.immediate[node];
        (dominator != UNREACHED && node != 0).then_some(dominator)
    }

    /// Bytes that would be freed with a node; 0 where no way leads.
    pub fn retained_bytes(&self, node: usize) -> u64 {
        self.retained_bytes[node]
    }

    pub(super) fn is_first_of_its_name(&self, node: usize) -> bool {
        self.are_first[node]
    }
}

/// The nodes that ways lead to, the root first.
fn reverse_postorder(snapshot: &Snapshot) -> Vec<usize> {
    let mut order = Vec::new();
    let mut is_seen = vec![false; snapshot.nodes.len()];
    is_seen[0] = true;
    // A node, and how many of its edges were looked at.
    let mut stack = vec![(0, 0)];
    while let Some((node, looked_at)) = stack.last_mut() {
        let edge = snapshot.edges_of(*node).get(*looked_at);
        *looked_at += 1;
        match edge {
            Some(edge) if edge.is_weak || is_seen[edge.to] => {}
            Some(edge) => {
                is_seen[edge.to] = true;
                stack.push((edge.to, 0));
            }
            None => {
                order.push(*node);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

fn immediate(snapshot: &Snapshot, order: &[usize]) -> Vec<usize> {
    let mut rank = vec![UNREACHED; snapshot.nodes.len()];
    for (place, &node) in order.iter().enumerate() {
        rank[node] = place;
    }
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    for (place, &node) in order.iter().enumerate() {
        snapshot
            .kept_by(node)
            .for_each(|kept| holders[rank[kept]].push(place));
    }
    // By rank, so that a smaller number is nearer to the root.
    let mut dominator = vec![UNREACHED; order.len()];
    dominator[0] = 0;
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for place in 1..order.len() {
            let known = holders[place]
                .iter()
                .copied()
                .filter(|holder| dominator[*holder] != UNREACHED);
            let found = known.reduce(|one, other| meet(&dominator, one, other));
            let found = found.unwrap_or(UNREACHED);
            has_changed |= std::mem::replace(&mut dominator[place], found) != found;
        }
    }
    let mut immediate = vec![UNREACHED; snapshot.nodes.len()];
    for (place, &node) in order.iter().enumerate() {
        immediate[node] = order[dominator[place]];
    }
    immediate
}

/// The nearest dominator of both.
fn meet(dominator: &[usize], mut one: usize, mut other: usize) -> usize {
    while one != other {
        if one > other {
            one = dominator[one];
        } else {
            other = dominator[other];
        }
    }
    one
}

/// Which nodes have no dominator of their own name.
fn first_of_their_names(snapshot: &Snapshot, order: &[usize], immediate: &[usize]) -> Vec<bool> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); snapshot.nodes.len()];
    order
        .iter()
        .skip(1)
        .for_each(|&node| below[immediate[node]].push(node));
    let mut are_first = vec![false; snapshot.nodes.len()];
    // How many nodes of each name are above the one that is looked at.
    let mut above: HashMap<u32, u32> = HashMap::new();
    let mut stack = vec![(0, false)];
    while let Some((node, is_done)) = stack.pop() {
        let count = above.entry(snapshot.nodes[node].name).or_default();
        if is_done {
            *count -= 1;
            continue;
        }
        are_first[node] = *count == 0;
        *count += 1;
        stack.push((node, true));
        stack.extend(below[node].iter().map(|&below| (below, false)));
    }
    are_first
}
