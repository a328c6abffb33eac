//! How large the workloads are.

/// The numbers that `--quick` shrinks.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Depth of the smaller binary trees; two threads run this one too.
    pub trees_depth: u32,
    /// Depth of the larger ones.
    pub trees_large_depth: u32,
    /// Trees of the live set that is churned, 4095 nodes each.
    pub churn_trees: usize,
    /// Rounds of churn, each of which allocates about two trees' worth.
    pub churn_rounds: usize,
    /// Dying objects of each size, for 16 bytes; larger ones are fewer.
    pub dying_objects: u64,
    /// Live entries of the request loop.
    pub entries: usize,
    /// Requests.
    pub requests: usize,
    /// Stores into the graph.
    pub stores: usize,
    /// Nodes of the larger graph stored into.
    pub stores_large: usize,
    /// Depth of the tree, and binary logarithm of the number of the graph's nodes, that are collected in full.
    pub collected_depth: u32,
    /// Elements of the list and of the array that are collected in full.
    pub elements: usize,
    /// Rounds over all 200 types.
    pub type_rounds: u64,
    /// Slots whose contents change in size.
    pub fragmented_slots: usize,
    /// Simulated hours, in each of which every slot changes four times.
    pub hours: usize,
}

impl Size {
    /// Everything ends within a few minutes.
    pub const QUICK: Size = Size {
        trees_depth: 16,
        trees_large_depth: 17,
        churn_trees: 256,
        churn_rounds: 1024,
        dying_objects: 4_000_000,
        entries: 100_000,
        requests: 50_000,
        stores: 2_000_000,
        stores_large: 100_000,
        collected_depth: 19,
        elements: 500_000,
        type_rounds: 1000,
        fragmented_slots: 20_000,
        hours: 8,
    };

    /// The sizes the goals are set for.
    pub const FULL: Size = Size {
        trees_depth: 18,
        trees_large_depth: 21,
        churn_trees: 2048,
        churn_rounds: 8192,
        dying_objects: 40_000_000,
        entries: 1_000_000,
        requests: 500_000,
        stores: 20_000_000,
        stores_large: 1_000_000,
        collected_depth: 25,
        elements: 10_000_000,
        type_rounds: 10_000,
        fragmented_slots: 100_000,
        hours: 24,
    };
}
