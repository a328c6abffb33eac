//! Roots that come and go while the table is armed and read, over every interleaving loom knows.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test -p gc-core --lib --release loom`. The table is the real
//! one, with loom's lock. Its slots are the standard library's atomics, which loom does not reorder;
//! the shuttle tests let threads in between two of them.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize as LoomUsize;
use loom::thread;

use gc_sweep::Colour;

use super::*;

const OBJECT: usize = 48;
const KEPT: Kept = Kept::alike(Colour::FIRST);

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(run);
}

struct Case {
    table: RootTable,
    key: RootKey,
    /// The object, once it was shaded.
    shaded: LoomUsize,
    /// An edge of the heap, null at first.
    edge: LoomUsize,
}

fn never(_: usize, _: Kept) {
    unreachable!("nothing is armed yet");
}

impl Case {
    fn new() -> Arc<Case> {
        let table = RootTable::default();
        let key = table.add(OBJECT, never);
        Arc::new(Case {
            table,
            key,
            shaded: LoomUsize::new(0),
            edge: LoomUsize::new(0),
        })
    }

    /// Shades as a root's handle does.
    fn shade(&self) -> impl FnOnce(usize, Kept) + '_ {
        |address, kept| {
            assert_eq!(kept, KEPT);
            self.shaded.store(address, Ordering::Relaxed);
        }
    }

    /// What the collector finds in the table and in the heap.
    fn scan(&self) -> bool {
        let mut found = Vec::new();
        let edge = self.edge.load(Ordering::Acquire);
        self.table.addresses_into(&mut found);
        found.contains(&OBJECT) || edge == OBJECT
    }

    /// Whether the object would live.
    fn is_kept(&self, is_found: bool) -> bool {
        is_found || self.shaded.load(Ordering::Relaxed) == OBJECT
    }
}

#[test]
fn loom_a_root_that_moves_is_kept() {
    model(|| {
        let case = Case::new();
        let handle = {
            let case = Arc::clone(&case);
            thread::spawn(move || {
                let second = case.table.add(OBJECT, case.shade());
                assert_eq!(case.table.remove(case.key, case.shade()), Ok(()));
                assert_eq!(case.table.get(second), Ok(OBJECT));
            })
        };
        case.table.arm(KEPT);
        let is_found = case.scan();
        handle.join().unwrap();
        case.table.disarm();
        assert!(case.is_kept(is_found));
        assert_eq!(case.table.len(), 1);
    });
}

/// A root goes once its object hangs in the heap, in an object that may have been scanned by then.
fn hide(arms_first: bool) {
    model(move || {
        let case = Case::new();
        let handle = {
            let case = Arc::clone(&case);
            thread::spawn(move || {
                case.edge.store(OBJECT, Ordering::Release);
                assert_eq!(case.table.remove(case.key, case.shade()), Ok(()));
            })
        };
        let is_found = if arms_first {
            case.table.arm(KEPT);
            case.scan()
        } else {
            let is_found = case.scan();
            case.table.arm(KEPT);
            is_found
        };
        handle.join().unwrap();
        assert!(case.is_kept(is_found), "the object is lost");
    });
}

#[test]
fn loom_a_root_that_goes_leaves_its_object_shaded() {
    hide(true);
}

#[test]
#[should_panic(expected = "the object is lost")]
fn loom_a_table_armed_too_late_would_lose_an_object() {
    hide(false);
}
