//! A write into a free slot is found when the slot is to serve again or its span is given back, and costs that slot.
#![allow(unsafe_code)]

mod support;

use gc_hooks::{Address, Check, CheckLevel, Checks, Severity};
use gc_sweep::fault::RecordField;
use gc_sweep::{PAGE_BYTES, SpaceConfig, StateByte};
use support::{CONFIG, Class, Lab, number};

fn lab_at(checks: Checks) -> Lab {
    Lab::with(SpaceConfig { checks, ..CONFIG })
}

fn paranoid() -> Lab {
    lab_at(Checks::at(CheckLevel::Paranoid))
}

/// A write through a stale pointer.
fn scribble(address: usize, value: u8) {
    gc_sweep::os::unpoison(address, 1);
    // SAFETY: deliberately broken, though not for the language: the byte is committed memory of the lab, which is used by
    // this thread alone.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write(value) };
}

fn byte_at(address: usize) -> u8 {
    // SAFETY: as above.
    unsafe { std::ptr::with_exposed_provenance::<u8>(address).read() }
}

/// Ten objects, of which those with odd numbers died in cycle 1, in an unleased span.
fn half_dead(lab: &mut Lab, class: Class) -> (Vec<usize>, Vec<usize>) {
    let objects = lab.alloc_many(class, 10);
    lab.retire(class);
    let live: Vec<usize> = objects.iter().copied().step_by(2).collect();
    let dead = objects.iter().copied().skip(1).step_by(2).collect();
    lab.collect(&live);
    (live, dead)
}

#[test]
fn heaps_that_are_used_well_are_clean() {
    let mut lab = paranoid();
    let classes = [16, 48, 64, 400, 2048, 12_000].map(|bytes| lab.class(bytes));
    let (dropping, large) = (lab.class_with_drop(96), lab.large_class());
    let mut live: Vec<usize> = Vec::new();
    for round in 0..40 {
        for class in classes.into_iter().chain([dropping]) {
            live.extend(lab.alloc_many(class, 37 + round % 5 * 11));
        }
        live.push(lab.alloc_large(large, 50_000 + round * 1000).unwrap());
        if round % 3 == 0 {
            lab.retire_all();
        }
        let keep = |at: usize| !(at * 7 + round).is_multiple_of(3) && round % 8 != 7;
        live = live
            .iter()
            .copied()
            .enumerate()
            .filter(|(at, _)| keep(*at))
            .map(|(_, object)| object)
            .collect();
        lab.collect(&live);
        lab.sync_all();
    }
    lab.retire_all();
    lab.collect(&[]);
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_record_that_was_written_to_makes_no_slot_look_dirty() {
    let mut lab = paranoid();
    let class = lab.class(48);
    let (live, dead) = half_dead(&mut lab, class);
    let first = lab.alloc(class);
    let fault = lab.space.fault();
    assert!(fault.flip_record_bit(live[0], RecordField::SlotGranules, 3));
    let born = lab.alloc_many(class, 10);
    assert!(
        dead.iter()
            .all(|slot| *slot == first || born.contains(slot))
    );
    lab.retire(class);
    lab.assert_balanced();
    lab.assert_only(Check::SpanSeal, 1);
}

#[test]
fn a_write_after_free_costs_the_slot_when_it_would_serve_again() {
    for (bytes, with_drop) in [
        (64, false),
        (400, false),
        (64, true),
        (16, false),
        (8192, false),
    ] {
        for offset in [0, 7, 13] {
            let mut lab = paranoid();
            let class = if with_drop {
                lab.class_with_drop(bytes)
            } else {
                lab.class(bytes)
            };
            let (live, dead) = half_dead(&mut lab, class);
            lab.collect(&live);
            let dirty = dead[2];
            let value = !byte_at_pattern(dirty + offset);
            scribble(dirty + offset, value);
            lab.assert_silent();
            let born = lab.alloc_many(class, 20);
            assert!(!born.contains(&dirty), "{bytes}");
            assert!(
                dead.iter()
                    .all(|slot| *slot == dirty || born.contains(slot)),
                "the next ones serve"
            );
            let violation = lab.assert_only(Check::SlotDirty, 1);
            assert_eq!(
                violation.first_line().to_string(),
                "free slot was written to after it was freed"
            );
            assert_eq!(
                violation.address,
                Some(Address::Offset((dirty - lab.space.base()) as u64))
            );
            let first = lab.space.base() + lab.first_page(dirty) as usize * PAGE_BYTES;
            let slot = ((dirty - first) / bytes) as u32;
            assert_eq!(
                (violation.slot, violation.type_name),
                (Some(slot), Some("Specimen"))
            );
            assert_eq!(violation.stale_cycles, Some(1));
            assert_eq!(violation.severity(), Severity::Metadata);
            assert_eq!(number(&violation, "offset"), offset as u64);
            assert_eq!(number(&violation, "byte"), value.into());
            assert_eq!(lab.state(dirty), StateByte::QUARANTINED);
            lab.retire(class);
            assert_eq!(lab.space.usage().slots_quarantined, 1);
            lab.assert_balanced();
            assert_stays_withdrawn(&mut lab, class, dirty);
        }
    }
}

/// The slot is never handed out again, and nothing more is told of it.
fn assert_stays_withdrawn(lab: &mut Lab, class: Class, dirty: usize) {
    for _ in 0..3 {
        lab.collect(&[]);
        assert!(!lab.alloc_many(class, 20).contains(&dirty));
        lab.retire(class);
        lab.assert_balanced();
    }
    lab.assert_only(Check::SlotDirty, 1);
}

/// What stands there, of which every value but one is a change.
fn byte_at_pattern(address: usize) -> u8 {
    gc_sweep::os::unpoison(address, 1);
    byte_at(address)
}

#[test]
fn several_dirty_slots_of_one_run_are_told_one_by_one() {
    for bytes in [32, 448] {
        let mut lab = paranoid();
        let class = lab.class(bytes);
        let objects = lab.alloc_many(class, 60);
        lab.retire(class);
        let live: Vec<usize> = objects.iter().copied().step_by(10).collect();
        lab.collect(&live);
        let dirty = [objects[1], objects[2], objects[21], objects[49]];
        for slot in dirty {
            scribble(slot + 9, !byte_at_pattern(slot + 9));
        }
        let born = lab.alloc_many(class, 80);
        for slot in objects.iter().filter(|slot| !live.contains(slot)) {
            assert_eq!(born.contains(slot), !dirty.contains(slot));
        }
        lab.assert_only(Check::SlotDirty, 4);
        lab.retire(class);
        lab.assert_balanced();
        lab.collect(&live);
        lab.assert_balanced();
        lab.assert_only(Check::SlotDirty, 4);
    }
}

#[test]
fn a_write_after_free_is_found_before_pages_are_given_back() {
    let mut lab = paranoid();
    let class = lab.class(64);
    let (live, dead) = half_dead(&mut lab, class);
    scribble(dead[1] + 5, !byte_at_pattern(dead[1] + 5));
    lab.collect(&live);
    lab.assert_silent();
    lab.collect(&[]);
    assert_eq!(lab.assert_only(Check::SlotDirty, 1).stale_cycles, Some(2));
    let usage = lab.space.usage();
    assert_eq!(
        (usage.spans, usage.slots_quarantined, usage.bytes_live),
        (1, 1, 0)
    );
    lab.assert_balanced();
    assert!(!lab.alloc_many(class, 127).contains(&dead[1]));
    lab.retire(class);
    lab.collect(&[]);
    lab.assert_balanced();
    lab.assert_only(Check::SlotDirty, 1);
}

#[test]
fn a_slot_freed_beside_a_lease_is_looked_at_when_the_next_lease_comes_to_it() {
    let mut lab = paranoid();
    let class = lab.class(64);
    let objects = lab.alloc_many(class, 120);
    lab.retire(class);
    lab.collect(&objects);
    assert_eq!(lab.alloc(class), objects[119] + 64);
    lab.collect(&objects[..20]);
    scribble(objects[50], 1);
    lab.retire(class);
    lab.assert_silent();
    let born = lab.alloc_many(class, 107);
    assert!(!born.contains(&objects[50]) && born.contains(&objects[51]));
    assert_eq!(lab.assert_only(Check::SlotDirty, 1).stale_cycles, Some(0));
    lab.retire_all();
    lab.assert_balanced();
}

#[test]
fn only_a_heap_that_makes_the_check_writes_into_free_slots() {
    let on = Checks::at(CheckLevel::Default)
        .with(Check::SlotDirty)
        .unwrap();
    let off = Checks::at(CheckLevel::Paranoid)
        .without(Check::SlotDirty)
        .unwrap();
    for (checks, is_made) in [(on, true), (off, false), (Checks::default(), false)] {
        let mut lab = lab_at(checks);
        let class = lab.class(64);
        let (_, dead) = half_dead(&mut lab, class);
        let untouched = dead
            .iter()
            .all(|slot| (0..64).all(|at| byte_at_pattern(slot + at) == 0xab));
        assert_eq!(untouched, !is_made);
        scribble(dead[0], 3);
        assert_eq!(lab.alloc_many(class, 5).contains(&dead[0]), !is_made);
        assert_eq!(lab.health.count(Check::SlotDirty), u64::from(is_made));
        lab.retire_all();
        lab.assert_balanced();
    }
}

/// What the check does not see: the rest of a long slot, slots that were never used, and pages that were given back.
#[test]
fn a_write_where_there_is_no_pattern_is_not_seen() {
    let mut lab = paranoid();
    let class = lab.class(1024);
    let (live, dead) = half_dead(&mut lab, class);
    scribble(dead[0] + 256, 1);
    scribble(live[4] + 2 * 1024, 1);
    lab.alloc_many(class, 7);
    lab.retire(class);
    lab.collect(&[]);
    assert!(lab.space.span_of(dead[0]).is_none());
    scribble(dead[1], 1);
    assert!(lab.alloc_many(class, 10).contains(&dead[1]));
    lab.retire_all();
    lab.assert_balanced();
    lab.assert_silent();
}
