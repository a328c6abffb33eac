//! Slots and runs that a mutator has in hand while the space goes on.

mod support;

use gc_hooks::Check;
use gc_sweep::Run;
use support::Lab;

#[test]
fn one_sweep_passes_by_a_large_slot_that_is_not_published_yet() {
    let mut lab = Lab::new();
    let class = lab.large_class();
    let slot = lab.space.alloc_large(lab.id(class), 100_000).unwrap();
    let address = slot.address();
    lab.collect(&[]);
    lab.assert_silent();
    lab.space.states().publish(slot, lab.colour);
    lab.assert_balanced();
    lab.collect(&[address]);
    assert!(lab.is_object(address));
    lab.collect(&[]);
    assert!(lab.space.span_of(address).is_none());
    lab.assert_silent();
    lab.assert_balanced();
    // The next sweep does miss a slot that is never published.
    let forgotten = lab.space.alloc_large(lab.id(class), 100_000).unwrap();
    drop(forgotten);
    lab.collect(&[]);
    lab.assert_silent();
    lab.collect(&[]);
    lab.assert_only(Check::AllocCount, 1);
    lab.assert_balanced();
}

#[test]
fn a_run_goes_on_in_its_span_without_the_slow_path() {
    let mut lab = Lab::new();
    let class = lab.class(400);
    let objects = lab.alloc_many(class, 60);
    lab.retire(class);
    let live: Vec<usize> = objects.iter().copied().step_by(3).collect();
    lab.collect(&live);
    let mut run = Run::new();
    assert!(!lab.space.refill_in_lease(&mut run), "no span is leased");
    lab.space.refill(lab.id(class), &mut run).unwrap();
    let page = |address: usize| lab.space.span_of(address).unwrap().first_page();
    let (mut pages, mut runs, mut last) = (Vec::new(), 0, None);
    loop {
        while let Some(slot) = run.take() {
            assert!(last < Some(slot.address()), "by address, as ever");
            last = Some(slot.address());
            pages.push(page(slot.address()));
            lab.space.states().publish(slot, lab.colour);
        }
        runs += 1;
        if !lab.space.refill_in_lease(&mut run) {
            break;
        }
    }
    assert!(runs > 1 && pages.iter().all(|seen| *seen == pages[0]));
    lab.space.refill(lab.id(class), &mut run).unwrap();
    let slot = run.take().unwrap();
    assert_ne!(page(slot.address()), pages[0]);
    lab.space.states().publish(slot, lab.colour);
    lab.space.retire(&mut run);
    lab.assert_balanced();
    lab.assert_silent();
}
