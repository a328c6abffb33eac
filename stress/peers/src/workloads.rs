//! Which workloads there are, and what they report.

use std::str::FromStr;

use crate::peer::{Peer, Variant};
use crate::size::Size;

mod churn;
mod collect;
mod dying;
mod fragment;
mod requests;
mod stores;
mod trees;
mod types;

/// A workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Trees that die, of depth 18.
    Trees,
    /// Trees that die, of depth 21.
    TreesLarge,
    /// 256 MiB live, and short-lived trees.
    Churn,
    /// Objects of one size each that die at once.
    Dying,
    /// A server's loop.
    Requests,
    /// Stores into a graph.
    Stores,
    /// Two threads.
    Threads,
    /// A whole collection of a tree.
    CollectTree,
    /// A whole collection of a random graph.
    CollectRandom,
    /// A whole collection of a list.
    CollectList,
    /// A whole collection of a wide array.
    CollectArray,
    /// Two hundred types.
    Types,
    /// Hours of churn in changing sizes.
    Fragment,
}

impl Workload {
    /// All of them, in the order of the table.
    pub const ALL: [Workload; 13] = [
        Workload::Trees,
        Workload::TreesLarge,
        Workload::Churn,
        Workload::Dying,
        Workload::Requests,
        Workload::Stores,
        Workload::Threads,
        Workload::CollectTree,
        Workload::CollectRandom,
        Workload::CollectList,
        Workload::CollectArray,
        Workload::Types,
        Workload::Fragment,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Trees => "binary-trees",
            Workload::TreesLarge => "binary-trees-large",
            Workload::Churn => "churn",
            Workload::Dying => "dying",
            Workload::Requests => "requests",
            Workload::Stores => "edge-stores",
            Workload::Threads => "two-threads",
            Workload::CollectTree => "collect-tree",
            Workload::CollectRandom => "collect-random",
            Workload::CollectList => "collect-list",
            Workload::CollectArray => "collect-array",
            Workload::Types => "types",
            Workload::Fragment => "fragmentation",
        }
    }

    /// Whether it measures collections alone.
    pub fn is_collection(self) -> bool {
        matches!(
            self,
            Workload::CollectTree
                | Workload::CollectRandom
                | Workload::CollectList
                | Workload::CollectArray
        )
    }

    /// Runs it.
    pub fn run<P: Peer>(self, size: &Size, variant: Variant) -> Outcome {
        match self {
            Workload::Trees => trees::run::<P>(size.trees_depth, variant),
            Workload::TreesLarge => trees::run::<P>(size.trees_large_depth, variant),
            Workload::Churn => churn::run::<P>(size, variant),
            Workload::Dying => dying::run::<P>(size, variant),
            Workload::Requests => requests::run::<P>(size, variant),
            Workload::Stores => stores::run::<P>(size, variant),
            Workload::Threads => trees::run_two_threads::<P>(size.trees_depth, variant),
            Workload::CollectTree => collect::tree::<P>(size, variant),
            Workload::CollectRandom => collect::random::<P>(size, variant),
            Workload::CollectList => collect::list::<P>(size, variant),
            Workload::CollectArray => collect::array::<P>(size, variant),
            Workload::Types => types::run::<P>(size, variant),
            Workload::Fragment => fragment::run::<P>(size, variant),
        }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Workload::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
            .ok_or_else(|| {
                let names = Workload::ALL.map(Workload::name).join(", ");
                format!("no workload of that name; there are {names}")
            })
    }
}

/// What a run of a workload found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The same for all peers.
    pub checksum: u64,
    /// What was measured.
    pub figures: Vec<Figure>,
}

/// A measured figure.
#[derive(Debug)]
pub struct Figure {
    /// What of the workload.
    pub metric: &'static str,
    /// The unit of the value.
    pub unit: &'static str,
    /// The value.
    pub value: f64,
}

impl Outcome {
    fn new(checksum: u64) -> Self {
        Outcome {
            checksum,
            figures: Vec::new(),
        }
    }

    fn with(mut self, metric: &'static str, unit: &'static str, value: f64) -> Self {
        self.figures.push(Figure {
            metric,
            unit,
            value,
        });
        self
    }
}

/// A complete binary tree, children first; the sum of its values is the number of its nodes.
fn tree<'a, P: Peer>(cx: P::Cx<'a>, depth: u32) -> P::Node<'a> {
    if depth <= 1 {
        return P::node(cx, None, None, 1);
    }
    let left = tree::<P>(cx, depth - 1);
    let right = tree::<P>(cx, depth - 1);
    P::node(cx, Some(left), Some(right), 1)
}

/// The sum of the values of a tree.
fn sum<P: Peer>(node: &P::Node<'_>) -> u64 {
    let left = P::left(node, |left| left.map_or(0, sum::<P>));
    let right = P::right(node, |right| right.map_or(0, sum::<P>));
    P::value(node) + left + right
}

/// Kibibytes of this process from `/proc/self/status`: `VmRSS:` now, `VmHWM:` at most.
pub fn resident_kib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(f64::NAN)
}
