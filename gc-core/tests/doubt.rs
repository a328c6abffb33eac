//! Nothing that is derived from doubtful state survives its containment.
//!
//! The case that names the rule is Go's. Its sweep works out how many objects it freed as the allocation
//! count before minus the marks after, in 16 bits without a sign, and only then checks that the second
//! is not the larger. Whoever turns the check's throw into a log line keeps the number: 65535 objects
//! freed in a span of a few hundred. It goes into the totals; then more was freed than was ever
//! allocated, and the loop that works out the goal for a memory limit waits for two totals to
//! agree that never will, on the thread that allocates. The process neither crashes nor serves.
//!
//! Here the same count is wrapped the same way, in heaps whose mutators and whose collector threads
//! decide by such totals when to collect, how much to help and when to wait. The check fires, and from
//! there on every number must be what it would be in a heap that is a span smaller: goal, totals,
//! ledger, limits, and the number of cycles for so many bytes. A hang shows as a test that does not
//! end. The same is asked of heaps that cannot free any more, because cycles were voided or spans withdrawn:
//! they serve until their limit, and then say so.
#![allow(unsafe_code)]

use gc_core::{
    AllocError, Check, CollectError, Driver, Edge, Heap, HeapStats, Mutator, Policy, Reclaiming,
    Root, Trace,
};

const LIMIT_BYTES: usize = 24 << 20;
const LIVE_OBJECTS: u64 = 5_000;
/// Bytes of garbage that make for a dozen cycles.
const CHURN_BYTES: u64 = 24 << 20;
/// Cycles until a recount must have found everything at rest.
const LOOKS_MAX: usize = 1000;

#[derive(Trace)]
struct Node<'gc> {
    id: u64,
    data: [u64; 6],
    next: Edge<'gc, Node<'gc>>,
}

fn node<'gc>(id: u64, next: Edge<'gc, Node<'gc>>) -> Node<'gc> {
    Node {
        id,
        data: [id; 6],
        next,
    }
}

const DRIVERS: [Driver; 2] = [Driver::Incremental, Driver::Background(2)];

struct Case {
    heap: Heap,
    mutator: Mutator,
    live: Root<Node<'static>>,
}

impl Case {
    fn new(driver: Driver) -> Case {
        let heap = Heap::builder()
            .driver(driver)
            .policy(Policy::COUNT)
            .limit_bytes(LIMIT_BYTES)
            .quarantine_limit_bytes(LIMIT_BYTES)
            .reserve_bytes(256 << 20)
            .build()
            .unwrap();
        let mut mutator = heap.mutator();
        let live = mutator.enter(|scope| {
            let mut head = scope.alloc(node(0, Edge::none()));
            for id in 1..LIVE_OBJECTS {
                head = scope.alloc(node(id, Edge::to(head)));
            }
            scope.root(head)
        });
        heap.collect().unwrap();
        Case {
            heap,
            mutator,
            live,
        }
    }

    /// The address of a live object.
    fn address(&mut self) -> usize {
        let live = &self.live;
        self.mutator
            .enter(|scope| scope.get(live).unwrap().into_raw().address())
    }

    /// Allocates so many bytes of garbage, entering and leaving all the while. Stops at the limit.
    fn churn(&mut self, bytes: u64) -> Result<(), AllocError> {
        let end = self.heap.stats().bytes_allocated_total + bytes;
        while self.heap.stats().bytes_allocated_total < end {
            self.mutator.enter(|scope| {
                for id in 0..1000 {
                    scope.try_alloc(node(id, Edge::none()))?;
                }
                Ok::<(), AllocError>(())
            })?;
        }
        Ok(())
    }

    /// Every object that was live is, with what it held.
    fn assert_live(&mut self) {
        let live = &self.live;
        self.mutator.enter(|scope| {
            let mut at = scope.get(live).unwrap();
            for id in (0..LIVE_OBJECTS).rev() {
                assert_eq!((at.id, at.data), (id, [id; 6]));
                match at.next.get() {
                    Some(next) => at = next,
                    None => assert_eq!(id, 0, "the list ends early"),
                }
            }
        });
    }

    /// Numbers that contradict nothing, and cycles that come when they are due and not before.
    fn assert_sane(&mut self, before: &HeapStats) {
        let stats = self.heap.stats();
        let limit = LIMIT_BYTES as u64;
        assert!(stats.bytes_goal <= limit, "{stats:?}");
        assert!(stats.bytes_in_spans <= limit, "{stats:?}");
        assert!(
            stats.bytes_live + stats.bytes_quarantined <= stats.bytes_in_spans,
            "{stats:?}"
        );
        assert!(
            stats.bytes_freed_total <= stats.bytes_allocated_total,
            "{stats:?}"
        );
        let cycles = stats.cycles_finished - before.cycles_finished;
        let bytes = stats.bytes_allocated_total - before.bytes_allocated_total;
        assert!(cycles >= 2, "{cycles} cycles for {bytes} bytes");
        assert!(cycles <= bytes >> 20, "{cycles} cycles for {bytes} bytes");
        assert!(self.heap.ledger().unwrap().is_balanced());
        assert!(self.heap.verify().unwrap().is_clean());
        self.assert_live();
    }
}

#[test]
fn a_count_that_wrapped_below_zero_reaches_no_number_the_heap_goes_by() {
    for driver in DRIVERS {
        for amount in [-1, -10_000, i32::MIN] {
            let mut case = Case::new(driver);
            let address = case.address();
            let before = case.heap.stats();
            assert!(case.heap.fault().space().add_alloc_count(address, amount));
            case.churn(CHURN_BYTES).unwrap();
            case.heap.collect().unwrap();
            let health = case.heap.health();
            let counts = health.count(Check::AllocCount) + health.count(Check::SweepCount);
            assert!(counts >= 1, "{driver:?} {amount}");
            assert_eq!(
                health.total(),
                counts,
                "nothing else is wrong: {:?}",
                health.recent()
            );
            assert!(case.heap.stats().bytes_quarantined > 0);
            case.assert_sane(&before);
        }
    }
}

#[test]
fn books_that_lie_about_live_bytes_keep_nobody_waiting() {
    for driver in DRIVERS {
        for lie in [1 << 40, 20 << 20, -(1 << 40), i64::MAX / 2] {
            let mut case = Case::new(driver);
            let mut before = case.heap.stats();
            case.heap.fault().space().skew_ledger(lie);
            case.churn(CHURN_BYTES).unwrap();
            case.heap.collect().unwrap();
            let health = case.heap.health();
            // A cycle that ends while another collector thread still sweeps leaves the recount to the
            // next one.
            for _ in 0..LOOKS_MAX {
                if health.count(Check::Pacer) >= 1 {
                    break;
                }
                case.heap.collect().unwrap();
                before.cycles_finished += 1;
            }
            assert!(health.count(Check::Pacer) >= 1, "{driver:?} {lie}");
            assert_eq!(
                health.total(),
                health.count(Check::Pacer) + health.count(Check::Ledger),
                "{:?}",
                health.recent()
            );
            case.assert_sane(&before);
        }
    }
}

#[test]
fn a_pacer_that_contradicts_itself_is_rebuilt_from_what_lives() {
    for driver in DRIVERS {
        for bytes_live in [u64::MAX, 1 << 40, 0] {
            let mut case = Case::new(driver);
            let before = case.heap.stats();
            case.heap.fault().set_pacer(bytes_live, u64::MAX);
            case.churn(CHURN_BYTES).unwrap();
            assert!(case.heap.stats().cycles_finished > before.cycles_finished);
            case.heap.collect().unwrap();
            let health = case.heap.health();
            assert_eq!(
                health.total(),
                health.count(Check::Pacer),
                "{:?}",
                health.recent()
            );
            assert_eq!(health.total(), 1, "{driver:?} {bytes_live}");
            case.assert_sane(&before);
        }
    }
}

#[test]
fn a_heap_that_has_stopped_reclaiming_serves_until_its_limit_and_says_so() {
    for driver in DRIVERS {
        let mut case = Case::new(driver);
        // Every cycle finds its gate breached, so each is voided.
        for _ in 0..100_000 {
            if case.heap.stats().reclaiming == Reclaiming::Stopped {
                break;
            }
            case.heap.fault().skew_marking_gate(-1);
            if let Err(error) = case.churn(1 << 16) {
                assert!(matches!(error, AllocError::Limit { .. }), "{error}");
                case.heap.request_collect();
            }
        }
        let stats = case.heap.stats();
        assert_eq!(stats.reclaiming, Reclaiming::Stopped, "{driver:?}");
        assert!(stats.cycles_voided >= 1);
        for _ in 0..3 {
            let refused = case.churn(2 * LIMIT_BYTES as u64);
            assert!(
                matches!(refused, Err(AllocError::Limit { .. })),
                "{refused:?}"
            );
            assert_eq!(case.heap.collect(), Err(CollectError::ReclaimingStopped));
        }
        let health = case.heap.health();
        assert_eq!(
            health.total(),
            health.count(Check::GateCount),
            "{:?}",
            health.recent()
        );
        assert!(case.heap.ledger().unwrap().is_balanced());
        assert!(case.heap.verify().unwrap().is_clean());
        case.assert_live();
    }
}

#[test]
fn a_heap_that_is_all_quarantine_serves_until_its_limit_and_says_so() {
    for driver in DRIVERS {
        let mut case = Case::new(driver);
        let mut refused = None;
        // Every round loses the span of an object that is live by then.
        for _ in 0..100_000 {
            let address = case.mutator.enter(|scope| {
                let new = scope.try_alloc(node(1, Edge::none()))?;
                Ok::<_, AllocError>(new.into_raw().address())
            });
            match address {
                Ok(address) => {
                    case.heap.fault().space().add_alloc_count(address, 1);
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
            if let Err(error) = case.churn(1 << 17) {
                refused = Some(error);
                break;
            }
        }
        assert!(
            matches!(refused, Some(AllocError::Limit { .. })),
            "{refused:?}"
        );
        let stats = case.heap.stats();
        assert!(
            stats.bytes_quarantined > LIMIT_BYTES as u64 / 2,
            "{stats:?}"
        );
        // Cycles go on, and what is not in doubt is reclaimed.
        case.heap.collect().unwrap();
        assert_eq!(case.heap.stats().reclaiming, Reclaiming::On);
        assert!(case.heap.ledger().unwrap().is_balanced());
        assert!(case.heap.verify().unwrap().is_clean());
        case.assert_live();
    }
}
