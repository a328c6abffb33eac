//! Creating a record, and being refused one.

use std::fs;
use std::path::Path;

use gc_hooks::fault::Persistence;
use gc_hooks::record::FileCall;
use gc_hooks::record::fault::{Target, calls, fail_nth};
use gc_hooks::{HealthRecord, PreviousRecord, RecordError};

use crate::support::{beside, fresh, hooks, in_child, is_child, violation};

const ENOSPC: i32 = 28;

fn create(path: &Path) -> Result<HealthRecord, RecordError> {
    HealthRecord::create(path, "tested")
}

#[test]
fn two_heaps_on_one_record_are_kept_apart() {
    let path = fresh("two-heaps");
    let first = hooks(&path);
    first.report(violation(1));
    let refused = create(&path).unwrap_err();
    let expected = RecordError::InUse {
        path: path.clone(),
        lock: beside(&path, ".lock"),
    };
    assert_eq!(refused, expected);
    assert!(refused.to_string().contains("another heap writes to it"));
    assert_eq!(
        PreviousRecord::read(&path).unwrap().total(),
        1,
        "left alone"
    );
    // A handle that outlives its heap does not hold the record.
    let health = first.health();
    drop(first);
    let second = hooks(&path);
    health.mark_unhealthy();
    drop(second);
    let old = PreviousRecord::read(beside(&path, ".previous")).unwrap();
    assert_eq!(
        (old.total(), old.unhealthy_since()),
        (1, None),
        "it was closed"
    );
}

#[test]
fn two_processes_on_one_record_are_kept_apart() {
    let name = "creating::two_processes_on_one_record_are_kept_apart";
    let path = is_child().unwrap_or_else(|| fresh("two-processes"));
    // The child is refused; what it says on standard error is its answer.
    let held = is_child().is_none().then(|| hooks(&path));
    let child = in_child(name, &path, |path| match create(path) {
        Err(RecordError::InUse { .. }) => eprintln!("in use"),
        other => eprintln!("{other:?}"),
    });
    assert_eq!(String::from_utf8_lossy(&child.stderr), "in use\n");
    drop(held);
    assert!(create(&path).is_ok());
}

#[test]
fn a_file_that_is_no_record_is_not_replaced() {
    let path = fresh("foreign");
    fs::write(&path, "precious, and longer than a word").unwrap();
    assert_eq!(
        create(&path).unwrap_err(),
        RecordError::Foreign { path: path.clone() }
    );
    assert_eq!(
        fs::read(&path).unwrap(),
        b"precious, and longer than a word"
    );
    // One that holds nothing is no loss.
    fs::write(&path, "").unwrap();
    assert!(create(&path).is_ok());
}

#[test]
fn a_place_where_no_file_can_be_is_an_error_that_names_it() {
    let path = fresh("nowhere");
    fs::write(&path, "").unwrap();
    for nowhere in [
        path.join("heap.record"),
        path.with_file_name("no/heap.record"),
    ] {
        match create(&nowhere) {
            Err(RecordError::File { call, path, errno }) => {
                assert_eq!((call, path), (FileCall::Open, beside(&nowhere, ".lock")));
                assert!(errno == 2 || errno == 20, "{errno}");
            }
            other => panic!("{other:?}"),
        }
    }
    let directory = path.with_file_name("directory");
    fs::create_dir(&directory).unwrap();
    assert!(matches!(create(&directory), Err(RecordError::File { .. })));
    assert!(directory.is_dir());
}

/// Room is set aside when the record is made, so that no later store can find the disk full.
#[test]
fn a_full_disk_is_found_out_at_the_creation() {
    for call in [FileCall::Allocate, FileCall::Write, FileCall::Sync] {
        let path = fresh("full");
        let armed = fail_nth(Target::Call(call), 0, Persistence::Once, ENOSPC);
        let error = create(&path).unwrap_err();
        drop(armed);
        let expected = format!(
            "violation record {}: {call}: No space left on device (os error 28)",
            beside(&path, ".new").display()
        );
        assert_eq!(error.to_string(), expected);
    }
    let path = fresh("room");
    let heap = hooks(&path);
    let metadata = fs::metadata(&path).unwrap();
    let blocks = std::os::unix::fs::MetadataExt::blocks(&metadata);
    assert!(blocks * 512 >= metadata.len(), "no holes: {blocks} blocks");
    drop(heap);
}

/// Each call in turn fails, once and for good, until none is left to fail.
#[test]
fn whichever_file_call_fails_the_record_before_is_not_lost() {
    for persistence in [Persistence::Once, Persistence::Persistent] {
        let mut nth = 0;
        loop {
            let path = fresh("nth");
            let heap = hooks(&path);
            heap.report(violation(1));
            heap.report(violation(2));
            drop(heap);
            let tried = calls(Target::Any);
            let armed = fail_nth(Target::Any, nth, persistence, ENOSPC);
            let created = create(&path);
            drop(armed);
            let made = calls(Target::Any) - tried;
            let left = [path.clone(), beside(&path, ".previous")]
                .iter()
                .filter_map(|path| PreviousRecord::read(path).ok())
                .filter(|record| record.total() == 2)
                .count();
            assert_eq!(left, 1, "call {nth}: {created:?}");
            assert!(!beside(&path, ".new").exists(), "call {nth} leaves a half");
            if made <= nth {
                assert!(created.is_ok());
                break;
            }
            assert!(matches!(
                created,
                Err(RecordError::File { errno: ENOSPC, .. })
            ));
            assert!(create(&path).is_ok(), "the next attempt");
            nth += 1;
        }
        assert!(nth >= 9, "{nth} calls");
    }
}
