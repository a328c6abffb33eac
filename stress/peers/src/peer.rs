//! [`Peer`]: what a workload asks of a memory manager.

use crate::workloads::Workload;

/// Which of a peer's configurations a child runs. Peers without a choice ignore it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// As the peer's own documentation begins.
    Default,
    /// Softfail: one collector thread.
    Background,
    /// Softfail: two collector threads.
    TwoCollectors,
    /// Softfail: mutators pay, also in the request loop.
    Incremental,
    /// Softfail: as `Default`, with generations.
    Generational,
    /// Softfail: as `Default`, with the least of checks.
    Lax,
}

/// What a heap is built for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Places for trees and nodes that outlive a turn.
    pub node_slots: usize,
    /// Places for chains of entries that outlive a turn.
    pub entry_slots: usize,
    /// Whether the workload is a server: Softfail's default is then a collector thread.
    pub is_server: bool,
    /// The peer's configuration.
    pub variant: Variant,
}

impl Setup {
    /// A heap for nodes alone.
    pub fn nodes(node_slots: usize, variant: Variant) -> Self {
        Setup {
            node_slots,
            entry_slots: 0,
            is_server: false,
            variant,
        }
    }
}

/// A memory manager, and how a user of it would write nodes, entries and stores.
///
/// A *node* is two pointers that change and two words: 32 bytes where the manager adds nothing. An *entry* is a key, a
/// body of words and the next entry. Slots are what a program holds between its turns; a *turn* is its unit of work
/// (a request, a frame of a loop), the place where collectors that ask for one get their say.
pub trait Peer: Sized + 'static {
    /// The heap and its slots.
    type Heap;
    /// What it takes to allocate and to store, during one turn.
    type Cx<'a>: Copy;
    /// A pointer to a node.
    type Node<'a>: Clone;
    /// A pointer to an entry.
    type Entry<'a>: Clone;
    /// What a second thread makes its own handle from.
    type Partner: Send + 'static;

    /// Why the peer cannot run a workload.
    fn lacks(workload: Workload) -> Option<&'static str>;

    /// An empty heap.
    fn heap(setup: &Setup) -> Self::Heap;

    /// Runs one unit of work, then pays what the peer asks to be paid.
    fn turn<R>(heap: &mut Self::Heap, work: impl for<'a> FnOnce(Self::Cx<'a>) -> R) -> R;

    /// A turn whose objects are to live on. It differs for arenas alone.
    fn build<R>(heap: &mut Self::Heap, work: impl for<'a> FnOnce(Self::Cx<'a>) -> R) -> R {
        Self::turn(heap, work)
    }

    /// A whole collection, from its start to its end.
    fn collect(_heap: &mut Self::Heap) {}

    /// Allocates a node.
    fn node<'a>(
        cx: Self::Cx<'a>,
        left: Option<Self::Node<'a>>,
        right: Option<Self::Node<'a>>,
        value: u64,
    ) -> Self::Node<'a>;

    /// The node's number.
    fn value(node: &Self::Node<'_>) -> u64;

    /// Looks at the left child.
    fn left<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R;

    /// Looks at the right child.
    fn right<'a, R>(node: &Self::Node<'a>, look: impl FnOnce(Option<&Self::Node<'a>>) -> R) -> R;

    /// Stores into a node that others can reach.
    fn set_left<'a>(cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>);

    /// Stores into a node that others can reach.
    fn set_right<'a>(cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>);

    /// Lets go of a tree that nothing else leads to.
    fn free_tree<'a>(_cx: Self::Cx<'a>, node: Self::Node<'a>) {
        drop(node);
    }

    /// Puts a tree into a slot and lets go of the one that was there.
    fn put<'a>(cx: Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>);

    /// Takes what is in a slot out of it.
    fn take<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>>;

    /// What is in a slot.
    fn get<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>>;

    /// Allocates an entry; word `n` of its body is `key + n`.
    fn entry<'a>(
        cx: Self::Cx<'a>,
        key: u64,
        words: usize,
        next: Option<Self::Entry<'a>>,
    ) -> Self::Entry<'a>;

    /// Puts a chain of entries into a slot and lets go of the one that was there.
    fn put_entry<'a>(cx: Self::Cx<'a>, slot: usize, entry: Self::Entry<'a>);

    /// Adds up keys and bodies of the chain in a slot.
    fn sum_entry(cx: Self::Cx<'_>, slot: usize) -> u64;

    /// Allocates `[seed; N]`, has the compiler believe that it is used, lets go of it; its last word.
    fn dying<const N: usize>(cx: Self::Cx<'_>, seed: u64) -> u64;

    /// A list of objects of a type of its own for each `T`, with a body of `N` words `[seed + n; N]`; the sum of all
    /// first words. The list dies.
    fn typed_list<const T: usize, const N: usize>(cx: Self::Cx<'_>, length: u64, seed: u64) -> u64;

    /// For another thread that is to work on the same heap.
    fn partner(heap: &Self::Heap) -> Option<Self::Partner>;

    /// The other thread's handle.
    fn join(partner: Self::Partner, setup: &Setup) -> Self::Heap;
}
