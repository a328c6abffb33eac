//! [`pointer_peer`](crate::pointer_peer): the program of the peers whose pointers are owned, cloned and on one thread.
//!
//! gc, boa_gc and dumpster are used alike but share no trait: each derives a `Trace` of its own for the program's types, and
//! its pointer takes only what implements that. A trait over them would need every type and every access to it written for
//! each peer again; so a macro writes types and program for the names of one crate.

/// Makes a [`Peer`](crate::Peer) out of a crate's pointer, cell and derives, and the `main` of its child.
///
/// `plain` is the attribute of a field that holds no pointers, for crates that would look through it. `slots` is what holds a
/// heap's cells, made by `of`. The names in scope where the macro is used are those of the crate.
#[macro_export]
macro_rules! pointer_peer {
    (
        peer: $peer:ident,
        derive: [$($derive:ident),*],
        plain: [$($plain:tt)*],
        pointer: $pointer:ident,
        cell: $cell:ident,
        slots: $slots:ident of $make_slots:path,
        collect: $collect:path,
        lacks: $lacks:path,
    ) => {
        struct $peer;

        #[derive($($derive),*)]
        struct Node {
            left: $cell<Option<$pointer<Node>>>,
            right: $cell<Option<$pointer<Node>>>,
            value: u64,
            weight: u64,
        }

        #[derive($($derive),*)]
        struct Entry {
            next: Option<$pointer<Entry>>,
            key: u64,
            $($plain)*
            body: Box<[u64]>,
        }

        #[derive($($derive),*)]
        struct Blob<const N: usize> {
            $($plain)*
            body: [u64; N],
        }

        #[derive($($derive),*)]
        struct Typed<const T: usize, const N: usize> {
            next: Option<$pointer<Typed<T, N>>>,
            $($plain)*
            body: [u64; N],
        }

        struct Heap {
            nodes: $slots<Node>,
            entries: $slots<Entry>,
        }

        impl $crate::Peer for $peer {
            type Heap = Heap;
            type Cx<'a> = &'a Heap;
            type Node<'a> = $pointer<Node>;
            type Entry<'a> = $pointer<Entry>;
            type Partner = ();

            fn lacks(workload: $crate::Workload) -> Option<&'static str> {
                $lacks(workload)
            }

            fn heap(setup: &$crate::Setup) -> Heap {
                Heap {
                    nodes: $make_slots(setup.node_slots),
                    entries: $make_slots(setup.entry_slots),
                }
            }

            fn turn<R>(heap: &mut Heap, work: impl for<'a> FnOnce(Self::Cx<'a>) -> R) -> R {
                work(heap)
            }

            fn collect(_heap: &mut Heap) {
                $collect();
            }

            fn node<'a>(
                _cx: Self::Cx<'a>,
                left: Option<Self::Node<'a>>,
                right: Option<Self::Node<'a>>,
                value: u64,
            ) -> Self::Node<'a> {
                $pointer::new(Node {
                    left: $cell::new(left),
                    right: $cell::new(right),
                    value,
                    weight: value,
                })
            }

            fn value(node: &Self::Node<'_>) -> u64 {
                node.value
            }

            fn left<'a, R>(
                node: &Self::Node<'a>,
                look: impl FnOnce(Option<&Self::Node<'a>>) -> R,
            ) -> R {
                look(node.left.borrow().as_ref())
            }

            fn right<'a, R>(
                node: &Self::Node<'a>,
                look: impl FnOnce(Option<&Self::Node<'a>>) -> R,
            ) -> R {
                look(node.right.borrow().as_ref())
            }

            fn set_left<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
                *node.left.borrow_mut() = Some(target.clone());
            }

            fn set_right<'a>(_cx: Self::Cx<'a>, node: &Self::Node<'a>, target: &Self::Node<'a>) {
                *node.right.borrow_mut() = Some(target.clone());
            }

            fn put<'a>(cx: Self::Cx<'a>, slot: usize, node: Option<Self::Node<'a>>) {
                *cx.nodes[slot].borrow_mut() = node;
            }

            fn take<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
                cx.nodes[slot].borrow_mut().take()
            }

            fn get<'a>(cx: Self::Cx<'a>, slot: usize) -> Option<Self::Node<'a>> {
                cx.nodes[slot].borrow().clone()
            }

            fn entry<'a>(
                _cx: Self::Cx<'a>,
                key: u64,
                words: usize,
                next: Option<Self::Entry<'a>>,
            ) -> Self::Entry<'a> {
                let body = (0..words as u64).map(|n| key + n).collect();
                $pointer::new(Entry { next, key, body })
            }

            fn put_entry<'a>(cx: Self::Cx<'a>, slot: usize, entry: Self::Entry<'a>) {
                *cx.entries[slot].borrow_mut() = Some(entry);
            }

            fn sum_entry(cx: Self::Cx<'_>, slot: usize) -> u64 {
                let first = cx.entries[slot].borrow();
                $crate::chain::sum(first.as_ref(), |entry| {
                    (entry.key, &entry.body[..], entry.next.as_ref())
                })
            }

            fn dying<const N: usize>(_cx: Self::Cx<'_>, seed: u64) -> u64 {
                ::std::hint::black_box($pointer::new(Blob { body: [seed; N] })).body[N - 1]
            }

            fn typed_list<const T: usize, const N: usize>(
                _cx: Self::Cx<'_>,
                length: u64,
                seed: u64,
            ) -> u64 {
                let head = $crate::chain::list(length, seed, |next, word| {
                    let body = [word; N];
                    $pointer::new(Typed::<T, N> { next, body })
                });
                $crate::chain::sum_firsts(head.as_ref(), |at| (at.body[0], at.next.as_ref()))
            }

            fn partner(_heap: &Heap) -> Option<()> {
                None
            }

            fn join((): (), setup: &$crate::Setup) -> Heap {
                Self::heap(setup)
            }
        }

        fn main() {
            $crate::main::<$peer>();
        }
    };
}
