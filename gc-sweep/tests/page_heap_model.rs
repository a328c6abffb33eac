//! The page heap beside a naive model: one flag a page, and a list of the runs in use.
//!
//! Every step compares where a run was placed, which chunks were committed, what was refused and why, and the figures.

use gc_sweep::{AllocError, CHUNK_PAGES, OsCall, OsError, PageHeap, PageHeapConfig};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const REFUSAL: OsError = OsError {
    call: OsCall::Commit,
    errno: 12,
};

const CHUNKS: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Os {
    Grants,
    Refuses,
}

#[derive(Clone, Debug)]
enum Op {
    Alloc(u32, Os),
    FreeNth(usize),
    FreeAny(u32, u32),
    Release(u32, Os),
}

fn op() -> impl Strategy<Value = Op> {
    let pages = prop_oneof![6 => 1..20_u32, 3 => 20..200_u32, 2 => 200..600_u32, 1 => 0..1100_u32];
    let os = prop_oneof![9 => Just(Os::Grants), 1 => Just(Os::Refuses)];
    prop_oneof![
        6 => (pages.clone(), os.clone()).prop_map(|(pages, os)| Op::Alloc(pages, os)),
        5 => any::<usize>().prop_map(Op::FreeNth),
        1 => (0..1100_u32, pages).prop_map(|(first, pages)| Op::FreeAny(first, pages)),
        1 => (0..4_u32, os).prop_map(|(budget, os)| Op::Release(budget, os)),
    ]
}

/// The heap as anyone would write it: one flag a page, and a list of the runs.
struct Model {
    pages_used: Vec<bool>,
    /// Pages that have memory behind them.
    pages_resident: Vec<bool>,
    frontier: usize,
    runs: Vec<(u32, u32)>,
    limit: usize,
}

impl Model {
    fn in_use(&self) -> usize {
        self.pages_used.iter().filter(|used| **used).count()
    }

    /// Free runs in `0..end`, as (first, length).
    fn free_runs(&self, end: usize) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for page in (0..end).filter(|&page| !self.pages_used[page]) {
            match runs.last_mut() {
                Some((first, length)) if *first + *length == page => *length += 1,
                _ => runs.push((page, 1)),
            }
        }
        runs
    }

    /// Where the next run goes, and where the frontier is then.
    fn place(&self, pages: usize) -> Option<(usize, usize)> {
        let fits = self
            .free_runs(self.frontier)
            .into_iter()
            .filter(|run| run.1 >= pages);
        if let Some((first, _)) = fits.min_by_key(|&(first, length)| (length, first)) {
            return Some((first, self.frontier));
        }
        let first = match self.free_runs(self.frontier).last() {
            Some(&(first, length)) if first + length == self.frontier => first,
            _ => self.frontier,
        };
        let frontier = (first + pages).next_multiple_of(CHUNK_PAGES as usize);
        (frontier <= self.pages_used.len()).then_some((first, frontier))
    }

    fn fill(&mut self, first: u32, pages: u32, used: bool) {
        self.pages_used[first as usize..(first + pages) as usize].fill(used);
    }
}

fn step_alloc(heap: &mut PageHeap, model: &mut Model, pages: u32, os: Os) {
    let wanted = pages.max(1) as usize;
    let before = heap.usage();
    let mut committed = None;
    let outcome = heap.alloc(pages, |run| {
        committed = Some(run);
        if os == Os::Refuses {
            Err(REFUSAL)
        } else {
            Ok(())
        }
    });
    let limit = model.limit.min(model.pages_used.len());
    let place = model.place(wanted);
    match outcome {
        Err(AllocError::TooLarge { .. }) => assert!(wanted > limit),
        Err(AllocError::Limit { .. }) => {
            assert!(wanted <= limit && wanted + model.in_use() > model.limit)
        }
        Err(AllocError::Exhausted { .. }) => assert_eq!(place, None),
        Err(AllocError::Os(error)) => {
            assert_eq!((error, os), (REFUSAL, Os::Refuses));
            assert!(place.unwrap().1 > model.frontier);
        }
        Err(error) => panic!("{error}"),
        Ok(first) => {
            assert!(wanted + model.in_use() <= model.limit);
            let (expected, frontier) = place.unwrap();
            assert_eq!(first as usize, expected);
            let grown =
                (frontier > model.frontier).then_some(model.frontier as u32..frontier as u32);
            assert_eq!(committed, grown);
            model.pages_resident[model.frontier..frontier].fill(true);
            model.frontier = frontier;
            let chunk = CHUNK_PAGES as usize;
            let chunks = expected / chunk * chunk..(expected + wanted).next_multiple_of(chunk);
            model.pages_resident[chunks].fill(true);
            assert!(!model.pages_used[expected..expected + wanted].contains(&true));
            model.fill(first, wanted as u32, true);
            model.runs.push((first, wanted as u32));
        }
    }
    if outcome.is_err() {
        assert_eq!(heap.usage(), before);
    }
}

fn step(heap: &mut PageHeap, model: &mut Model, op: Op) {
    match op {
        Op::Alloc(pages, os) => step_alloc(heap, model, pages, os),
        Op::FreeNth(index) => {
            if !model.runs.is_empty() {
                let (first, pages) = model.runs.swap_remove(index % model.runs.len());
                assert_eq!(heap.free(first, pages), Ok(()));
                model.fill(first, pages, false);
            }
        }
        Op::FreeAny(first, pages) => {
            let named = model.runs.iter().position(|run| *run == (first, pages));
            assert_eq!(heap.free(first, pages).is_ok(), named.is_some());
            if let Some(index) = named {
                model.runs.swap_remove(index);
                model.fill(first, pages, false);
            }
        }
        Op::Release(budget, os) => {
            let released = heap.release_free_chunks(budget, |run| {
                if os == Os::Refuses {
                    return Err(REFUSAL);
                }
                for page in run {
                    assert!(!model.pages_used[page as usize]);
                    assert!(model.pages_resident[page as usize]);
                    model.pages_resident[page as usize] = false;
                }
                Ok(())
            });
            assert!(released.chunks <= budget);
            assert!(released.failure.is_none() || os == Os::Refuses);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x50f7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_page_heap_agrees_with_a_vector_of_pages(
        ops in prop::collection::vec(op(), 1..120),
        limit in prop_oneof![Just(None), (1..1200_u32).prop_map(Some)],
        chunks_kept_min in 0..3_u32,
    ) {
        let pages = CHUNKS * CHUNK_PAGES;
        let mut heap = PageHeap::new(PageHeapConfig { pages_reserved: pages, pages_limit: limit, chunks_kept_min });
        let mut model = Model {
            pages_used: vec![false; pages as usize],
            pages_resident: vec![false; pages as usize],
            frontier: 0,
            runs: Vec::new(),
            limit: limit.unwrap_or(u32::MAX) as usize,
        };
        for op in ops {
            step(&mut heap, &mut model, op);
            prop_assert_eq!(heap.imbalance(), None);
            let usage = heap.usage();
            let resident = model.pages_resident.iter().filter(|page| **page).count();
            prop_assert_eq!(usage.pages_in_use as usize, model.in_use());
            prop_assert_eq!(usage.pages_committed as usize, resident);
            prop_assert_eq!((usage.pages_committed + usage.pages_released) as usize, model.frontier);
            prop_assert_eq!(heap.used_runs().count(), model.runs.len());
        }
    }
}
