//! What the next process finds.

use std::fs;
use std::mem;
use std::time::SystemTime;

use gc_hooks::{Check, PreviousRecord, RecordError, previous_record};

use crate::support::{beside, fresh, hooks, in_child, is_child, printed, violation};

/// A process that reports so many violations and dies without ending its heap.
fn dies_after(violations: u32) -> impl FnOnce(&std::path::Path) {
    move |path| {
        let hooks = hooks(path);
        for number in 1..=violations {
            hooks.report(violation(number));
        }
        mem::forget(hooks);
    }
}

#[test]
fn what_a_process_left_is_found_before_and_after_the_next_heap_starts() {
    let name = "reading::what_a_process_left_is_found_before_and_after_the_next_heap_starts";
    let path = is_child().unwrap_or_else(|| fresh("left"));
    let begun = SystemTime::now();
    let child = in_child(name, &path, dies_after(100));
    assert!(child.status.success(), "{child:?}");
    let before = previous_record(&path).unwrap().unwrap();
    assert_eq!(before.path(), path);
    assert_eq!((before.total(), before.unkept()), (100, 0));
    assert_eq!((before.closed(), before.unhealthy_since()), (None, None));
    assert_eq!(
        (before.heap(), before.version()),
        ("tested", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!((before.unfinished(), before.damaged()), (&[][..], &[][..]));
    let recent: Vec<String> = before.recent().iter().map(ToString::to_string).collect();
    let expected: Vec<String> = (37..=100)
        .map(|number| printed(number, number.into()))
        .collect();
    assert_eq!(recent, expected);
    assert_eq!(before.first().unwrap().to_string(), printed(1, 1));
    assert_eq!(before.last().unwrap().sequence, 100);
    for check in Check::ALL {
        let of_check = (1..=100).filter(|number| violation(*number).check == *check);
        assert_eq!(before.count(*check), of_check.count() as u64, "{check}");
    }
    // Clocks of files and processes differ by less than a second.
    let early = begun - std::time::Duration::from_secs(1);
    assert!(before.started() >= early && before.last().unwrap().recorded >= before.started());

    let heap = hooks(&path);
    let after = previous_record(&path).unwrap().unwrap();
    assert_eq!(after.path(), beside(&path, ".previous"));
    assert_eq!(after.to_string(), before.to_string());
    assert_eq!(PreviousRecord::read(&path).unwrap().total(), 0);
    heap.report(violation(7));
    assert_eq!(previous_record(&path).unwrap().unwrap(), after);
    drop(heap);
    assert_eq!(previous_record(&path).unwrap().unwrap(), after);
}

#[test]
fn a_heap_that_ends_in_order_says_so() {
    let path = is_child().unwrap_or_else(|| fresh("in-order"));
    let child = in_child(
        "reading::a_heap_that_ends_in_order_says_so",
        &path,
        |path| {
            let hooks = hooks(path);
            hooks.report(violation(1));
            hooks.health().mark_unhealthy();
            drop(hooks);
        },
    );
    assert!(child.status.success(), "{child:?}");
    let record = previous_record(&path).unwrap().unwrap();
    let (turned, closed) = (record.unhealthy_since().unwrap(), record.closed().unwrap());
    assert!(record.started() <= turned && turned <= closed);
    let text = record.to_string();
    assert!(text.contains("\n  ended: in order, 20"), "{text}");
    assert!(text.contains("\n  health: unhealthy since 20"), "{text}");
}

#[test]
fn without_a_record_there_is_none() {
    assert_eq!(previous_record(fresh("none")).unwrap(), None);
    let missing = PreviousRecord::read(fresh("none"));
    assert!(matches!(missing, Err(RecordError::File { errno: 2, .. })));
}

/// A process that dies between its two renames leaves no file of that name.
#[test]
fn the_record_is_found_when_the_next_process_died_while_it_put_its_own_in_place() {
    let name =
        "reading::the_record_is_found_when_the_next_process_died_while_it_put_its_own_in_place";
    let path = is_child().unwrap_or_else(|| fresh("between"));
    in_child(name, &path, dies_after(3));
    fs::rename(&path, beside(&path, ".previous")).unwrap();
    assert_eq!(previous_record(&path).unwrap().unwrap().total(), 3);
    let heap = hooks(&path);
    assert_eq!(previous_record(&path).unwrap().unwrap().total(), 3);
    drop(heap);
}

#[test]
fn heaps_one_after_the_other_each_leave_a_record() {
    let path = fresh("one-by-one");
    for violations in 1..=3 {
        let heap = hooks(&path);
        (0..violations).for_each(|number| heap.report(violation(number)));
        drop(heap);
        assert_eq!(
            PreviousRecord::read(&path).unwrap().total(),
            u64::from(violations)
        );
    }
    assert_eq!(previous_record(&path).unwrap().unwrap().total(), 2);
}

/// As an operator does while the service runs.
#[test]
fn a_living_record_is_read_while_others_write_to_it() {
    let path = fresh("living");
    let heap = hooks(&path);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2_u32)
            .map(|writer| {
                let heap = &heap;
                scope.spawn(move || {
                    for number in 0..1500 {
                        heap.report(violation(writer * 10_000 + number));
                    }
                })
            })
            .collect();
        let mut last = 0;
        while !writers.iter().all(|writer| writer.is_finished()) {
            let record = PreviousRecord::read(&path).unwrap();
            assert!(record.total() >= last);
            last = record.total();
            for found in record.recent() {
                let number = found.numbers[0].1 as u32;
                assert_eq!(found.to_string(), printed(number, found.sequence));
            }
        }
    });
    let record = PreviousRecord::read(&path).unwrap();
    assert_eq!((record.total(), record.recent().len()), (3000, 64));
    assert_eq!(record.closed(), None);
}
