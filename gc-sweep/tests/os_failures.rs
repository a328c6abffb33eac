//! Every call of the operating system is made to fail in turn, once and for good: each refusal is a typed error that
//! leaks nothing, and the next attempt works.

use std::sync::{Mutex, PoisonError};

use gc_sweep::os::Reservation;
use gc_sweep::os::fault::{self, Armed, ERRNO_INJECTED, Persistence, Target};
use gc_sweep::page_heap::bytes_of_pages;
use gc_sweep::{CHUNK_BYTES, CHUNK_PAGES, OsCall, OsError, PageHeap, PageHeapConfig, StateTable};

/// So large that one leaked mapping stands out from whatever the test harness itself maps.
const RESERVE_BYTES: usize = 16 << 30;

/// The tests here measure the address space of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

const MODES: [Persistence; 2] = [Persistence::Once, Persistence::Persistent];

fn address_space_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

fn assert_nothing_leaked(before_bytes: usize) {
    let grown_bytes = address_space_bytes().saturating_sub(before_bytes);
    assert!(
        grown_bytes < RESERVE_BYTES / 32,
        "{grown_bytes} bytes are still mapped"
    );
}

/// The calls of one life, in order.
const LIFE: [OsCall; 9] = [
    OsCall::Reserve,
    OsCall::Protect,
    OsCall::MapTable,
    OsCall::Commit,
    OsCall::AdviseHuge,
    OsCall::Commit,
    OsCall::AdviseHuge,
    OsCall::Release,
    OsCall::Release,
];

/// Everything that a heap asks of the system. Each step is tried as the caller says.
fn life(
    mut step: impl FnMut(&mut dyn FnMut() -> Result<(), OsError>) -> Result<(), OsError>,
) -> Result<(), OsError> {
    let mut reservation = None;
    step(&mut || {
        reservation = Some(Reservation::new(RESERVE_BYTES, RESERVE_BYTES)?);
        Ok(())
    })?;
    let reservation = reservation.unwrap();
    let mut states = None;
    step(&mut || {
        states = Some(StateTable::new(reservation.base(), reservation.bytes())?);
        Ok(())
    })?;
    step(&mut || reservation.commit(0..CHUNK_BYTES))?;
    step(&mut || reservation.commit(CHUNK_BYTES..3 * CHUNK_BYTES))?;
    step(&mut || reservation.release(CHUNK_BYTES..3 * CHUNK_BYTES))?;
    step(&mut || reservation.release(0..CHUNK_BYTES))?;
    assert_eq!(states.unwrap().base(), reservation.base());
    Ok(())
}

fn arm(nth: usize, mode: Persistence) -> Armed {
    fault::fail_nth(Target::Any, nth as u64, mode)
}

/// The call whose refusal ends a life when the n-th call fails: advice that fails once does not, and advice that fails
/// for good leaves it to the call after it.
fn refused(nth: usize, mode: Persistence) -> Option<OsCall> {
    match (LIFE[nth], mode) {
        (OsCall::AdviseHuge, Persistence::Once) => None,
        (OsCall::AdviseHuge, Persistence::Persistent) => Some(LIFE[nth + 1]),
        (call, _) => Some(call),
    }
}

#[test]
fn a_life_makes_the_calls_that_the_loops_below_break() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let count = |call| fault::calls(Target::Call(call));
    let before: Vec<u64> = OsCall::ALL.iter().map(|&call| count(call)).collect();
    life(|attempt| attempt()).unwrap();
    for (&call, before) in OsCall::ALL.iter().zip(before) {
        let expected = LIFE.iter().filter(|&&made| made == call).count() as u64;
        assert_eq!(count(call) - before, expected, "{call}");
    }
}

#[test]
fn every_refused_call_is_a_typed_error_and_leaks_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before_bytes = address_space_bytes();
    for mode in MODES {
        for nth in 0..LIFE.len() {
            let armed = arm(nth, mode);
            let errno = ERRNO_INJECTED;
            let expected = refused(nth, mode).map_or(Ok(()), |call| Err(OsError { call, errno }));
            assert_eq!(life(|attempt| attempt()), expected, "call {nth}, {mode:?}");
            drop(armed);
            assert_nothing_leaked(before_bytes);
            assert_eq!(life(|attempt| attempt()), Ok(()), "the next life works");
        }
    }
    assert_nothing_leaked(before_bytes);
}

#[test]
fn a_refused_call_works_when_it_is_made_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for mode in MODES {
        for nth in 0..LIFE.len() {
            let mut armed = Some(arm(nth, mode));
            let mut refusals = Vec::new();
            let outcome = life(|attempt| {
                attempt().or_else(|error| {
                    refusals.push(error.call);
                    armed = None;
                    attempt()
                })
            });
            assert_eq!(outcome, Ok(()), "call {nth}, {mode:?}");
            assert_eq!(refusals.first().copied(), refused(nth, mode));
            assert!(refusals.len() <= 1);
        }
    }
}

#[test]
fn a_page_heap_survives_every_refusal_of_its_reservation() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let reservation = Reservation::new(8 * CHUNK_BYTES, CHUNK_BYTES).unwrap();
    for mode in MODES {
        for call in [OsCall::Commit, OsCall::AdviseHuge, OsCall::Release] {
            for nth in 0..5 {
                let mut heap = PageHeap::new(PageHeapConfig {
                    pages_reserved: 8 * CHUNK_PAGES,
                    pages_limit: None,
                    chunks_kept_min: 0,
                });
                let _armed = fault::fail_nth(Target::Call(call), nth, mode);
                breathe(&mut heap, &reservation);
                assert_eq!(heap.imbalance(), None);
                assert_eq!(heap.usage().pages_in_use, 0);
            }
        }
    }
}

/// Takes runs, gives them back and releases, and compares the book around every refusal.
fn breathe(heap: &mut PageHeap, reservation: &Reservation) {
    for pages in [CHUNK_PAGES, CHUNK_PAGES + 1, 3 * CHUNK_PAGES] {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let before = heap.usage();
            match heap.alloc(pages, |run| reservation.commit(bytes_of_pages(run))) {
                Ok(first) => runs.push(first),
                Err(_) => assert_eq!(heap.usage(), before),
            }
        }
        for first in runs {
            heap.free(first, pages).unwrap();
        }
        let before = heap.usage();
        let released = heap.release_free_chunks(2, |run| reservation.release(bytes_of_pages(run)));
        let given_back = heap.usage().pages_released - before.pages_released;
        assert_eq!(given_back, released.chunks * CHUNK_PAGES);
    }
}
