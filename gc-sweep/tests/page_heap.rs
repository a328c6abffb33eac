//! One case for each promise of the page heap.

use gc_sweep::{
    AllocError, CHUNK_PAGES, OsCall, OsError, PAGE_BYTES, PageFreeError, PageHeap, PageHeapConfig,
};

const REFUSAL: OsError = OsError {
    call: OsCall::Commit,
    errno: 12,
};

fn heap(chunks: u32) -> PageHeap {
    PageHeap::new(PageHeapConfig {
        pages_reserved: chunks * CHUNK_PAGES,
        pages_limit: None,
        chunks_kept_min: 0,
    })
}

fn alloc(heap: &mut PageHeap, pages: u32) -> Result<u32, AllocError> {
    heap.alloc(pages, |_| Ok(()))
}

fn bytes(pages: u32) -> usize {
    pages as usize * PAGE_BYTES
}

#[test]
fn the_best_fit_is_the_shortest_run_at_the_lowest_address() {
    let mut heap = heap(4);
    let runs: Vec<u32> = [8, 1, 4, 1, 4, 1, 2, 1]
        .iter()
        .map(|&pages| alloc(&mut heap, pages).unwrap())
        .collect();
    assert_eq!(runs, [0, 8, 9, 13, 14, 18, 19, 21]);
    for (first, pages) in [(14, 4), (0, 8), (9, 4), (19, 2)] {
        heap.free(first, pages).unwrap();
    }
    assert_eq!(
        alloc(&mut heap, 3),
        Ok(9),
        "two runs of four fit best, the lower one is taken"
    );
    assert_eq!(alloc(&mut heap, 4), Ok(14));
    assert_eq!(
        alloc(&mut heap, 1),
        Ok(12),
        "the rest of the split run fits best now"
    );
    assert_eq!(alloc(&mut heap, 5), Ok(0));
    assert_eq!(heap.imbalance(), None);
}

#[test]
fn freed_neighbours_coalesce_in_any_order() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut heap = heap(1);
        for _ in 0..3 {
            alloc(&mut heap, 10).unwrap();
        }
        for index in order {
            heap.free(index * 10, 10).unwrap();
            assert_eq!(heap.imbalance(), None);
        }
        assert_eq!(
            alloc(&mut heap, CHUNK_PAGES),
            Ok(0),
            "the whole chunk is one run again"
        );
    }
}

#[test]
fn memory_is_committed_by_whole_chunks_and_only_when_no_run_fits() {
    let mut heap = heap(4);
    let mut committed = Vec::new();
    let mut take = |heap: &mut PageHeap, pages| {
        let first = heap.alloc(pages, |run| {
            committed.push(run);
            Ok(())
        });
        (first.unwrap(), committed.len())
    };
    assert_eq!(take(&mut heap, 1), (0, 1));
    assert_eq!(take(&mut heap, CHUNK_PAGES - 1), (1, 1));
    assert_eq!(take(&mut heap, CHUNK_PAGES / 2), (CHUNK_PAGES, 2));
    // The half chunk before the frontier is used together with the fresh chunks.
    assert_eq!(
        take(&mut heap, CHUNK_PAGES + 1),
        (CHUNK_PAGES + CHUNK_PAGES / 2, 3)
    );
    assert_eq!(
        committed,
        [
            0..CHUNK_PAGES,
            CHUNK_PAGES..2 * CHUNK_PAGES,
            2 * CHUNK_PAGES..3 * CHUNK_PAGES
        ]
    );
    assert_eq!(heap.usage().pages_committed, 3 * CHUNK_PAGES);
}

#[test]
fn a_refused_commit_is_typed_and_leaves_the_book_as_it_was() {
    let mut heap = heap(4);
    alloc(&mut heap, CHUNK_PAGES - 1).unwrap();
    let before = (heap.usage(), heap.frontier());
    assert_eq!(
        heap.alloc(2, |_| Err(REFUSAL)),
        Err(AllocError::Os(REFUSAL))
    );
    assert_eq!((heap.usage(), heap.frontier()), before);
    assert_eq!(heap.imbalance(), None);
    assert_eq!(
        alloc(&mut heap, 2),
        Ok(CHUNK_PAGES - 1),
        "the next attempt works"
    );
}

#[test]
fn a_free_that_names_no_run_in_use_is_refused() {
    let mut heap = heap(2);
    alloc(&mut heap, 4).unwrap();
    alloc(&mut heap, 4).unwrap();
    heap.free(0, 4).unwrap();
    let before = heap.usage();
    assert_eq!(
        heap.free(0, 4),
        Err(PageFreeError::NotInUse { first_page: 0 })
    );
    assert_eq!(
        heap.free(5, 3),
        Err(PageFreeError::NotInUse { first_page: 5 })
    );
    for pages in [0, 3, 5] {
        let refused = PageFreeError::WrongLength {
            first_page: 4,
            pages,
            pages_in_use: 4,
        };
        assert_eq!(heap.free(4, pages), Err(refused));
    }
    for (first_page, pages) in [
        (CHUNK_PAGES, 4),
        (4, CHUNK_PAGES),
        (u32::MAX, 1),
        (4, u32::MAX),
        (u32::MAX, u32::MAX),
    ] {
        let pages_frontier = CHUNK_PAGES;
        let refused = PageFreeError::OutOfRange {
            first_page,
            pages,
            pages_frontier,
        };
        assert_eq!(heap.free(first_page, pages), Err(refused));
    }
    assert_eq!(heap.usage(), before);
    assert_eq!(heap.imbalance(), None);
    assert_eq!(heap.used_runs().collect::<Vec<_>>(), [(4, 4)]);
}

#[test]
fn the_limit_and_the_end_of_the_reservation_are_different_errors() {
    let mut heap = PageHeap::new(PageHeapConfig {
        pages_reserved: CHUNK_PAGES + 7,
        pages_limit: Some(CHUNK_PAGES - 6),
        chunks_kept_min: 0,
    });
    assert_eq!(
        heap.usage().pages_reserved,
        CHUNK_PAGES,
        "only whole chunks are used"
    );
    let too_large = AllocError::TooLarge {
        requested_bytes: bytes(CHUNK_PAGES - 5),
        bytes_max: bytes(CHUNK_PAGES - 6),
    };
    assert_eq!(alloc(&mut heap, CHUNK_PAGES - 5), Err(too_large));
    alloc(&mut heap, 10).unwrap();
    let limit = AllocError::Limit {
        requested_bytes: bytes(CHUNK_PAGES - 15),
        limit_bytes: bytes(CHUNK_PAGES - 6),
        bytes_in_use: bytes(10),
    };
    assert_eq!(alloc(&mut heap, CHUNK_PAGES - 15), Err(limit));
    assert!(alloc(&mut heap, CHUNK_PAGES - 16).is_ok());

    let mut heap = self::heap(1);
    alloc(&mut heap, 10).unwrap();
    let exhausted = AllocError::Exhausted {
        requested_bytes: bytes(CHUNK_PAGES - 9),
        reserve_bytes: bytes(CHUNK_PAGES),
    };
    assert_eq!(alloc(&mut heap, CHUNK_PAGES - 9), Err(exhausted));
    assert!(matches!(
        alloc(&mut heap, u32::MAX),
        Err(AllocError::TooLarge { .. })
    ));
    assert_eq!(
        alloc(&mut heap, 0),
        Ok(10),
        "a request for nothing has an address of its own"
    );
}

#[test]
fn whole_free_chunks_are_released_from_the_top_within_budget_and_minimum() {
    let mut heap = PageHeap::new(PageHeapConfig {
        pages_reserved: 8 * CHUNK_PAGES,
        pages_limit: None,
        chunks_kept_min: 1,
    });
    // Used: one page in chunk 2. Free: chunks 0, 1, 3, 4, 5 whole and the rest of chunk 2.
    let below = alloc(&mut heap, 2 * CHUNK_PAGES).unwrap();
    let kept = alloc(&mut heap, 1).unwrap();
    let above = alloc(&mut heap, 4 * CHUNK_PAGES - 1).unwrap();
    heap.free(below, 2 * CHUNK_PAGES).unwrap();
    heap.free(above, 4 * CHUNK_PAGES - 1).unwrap();
    let mut given = Vec::new();
    let mut release = |heap: &mut PageHeap, budget| {
        let released = heap.release_free_chunks(budget, |run| {
            given.push(run.start / CHUNK_PAGES);
            assert_eq!(run.len() as u32, CHUNK_PAGES);
            Ok(())
        });
        assert_eq!(released.failure, None);
        released.chunks
    };
    assert_eq!(release(&mut heap, 0), 0);
    assert_eq!(release(&mut heap, 2), 2);
    assert_eq!(release(&mut heap, 9), 2);
    assert_eq!(release(&mut heap, 9), 0, "the lowest free chunk is kept");
    assert_eq!(given, [5, 4, 3, 1]);
    assert_eq!(heap.usage().pages_released, 4 * CHUNK_PAGES);
    assert_eq!(heap.usage().pages_committed, 2 * CHUNK_PAGES);
    heap.free(kept, 1).unwrap();
    assert_eq!(heap.imbalance(), None);
}

#[test]
fn a_released_chunk_comes_back_into_use_without_a_commit_and_is_counted() {
    let mut heap = heap(3);
    let whole = alloc(&mut heap, 3 * CHUNK_PAGES).unwrap();
    heap.free(whole, 3 * CHUNK_PAGES).unwrap();
    assert_eq!(heap.release_free_chunks(9, |_| Ok(())).chunks, 3);
    let first = heap.alloc(CHUNK_PAGES + 1, |_| Err(REFUSAL)).unwrap();
    assert_eq!(first, 0);
    let usage = heap.usage();
    assert_eq!(
        (usage.chunks_reused, usage.pages_released),
        (2, CHUNK_PAGES)
    );
    heap.alloc(1, |_| Err(REFUSAL)).unwrap();
    assert_eq!(
        heap.usage().chunks_reused,
        2,
        "the rest of a reused chunk is not counted again"
    );
    assert_eq!(heap.imbalance(), None);
}

#[test]
fn a_refused_release_ends_the_work_and_keeps_the_chunk() {
    let mut heap = heap(3);
    let whole = alloc(&mut heap, 3 * CHUNK_PAGES).unwrap();
    heap.free(whole, 3 * CHUNK_PAGES).unwrap();
    let mut calls = 0;
    let released = heap.release_free_chunks(3, |_| {
        calls += 1;
        if calls == 2 { Err(REFUSAL) } else { Ok(()) }
    });
    assert_eq!(
        (released.chunks, released.failure, calls),
        (1, Some(REFUSAL), 2)
    );
    assert_eq!(heap.usage().pages_released, CHUNK_PAGES);
    assert_eq!(
        heap.release_free_chunks(3, |_| Ok(())).chunks,
        2,
        "the next attempt works"
    );
    assert_eq!(heap.imbalance(), None);
}
