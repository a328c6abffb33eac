//! Files that are no record, or not one any more: each is an error that says where.

use std::fs;

use gc_hooks::record::{RecordError, Section};
use gc_hooks::{PreviousRecord, previous_record};

use crate::support::{fresh, hooks, violation};

const FILE_BYTES: usize = 139_264;

/// The bytes of a record with some violations.
fn sample(name: &str) -> (std::path::PathBuf, Vec<u8>) {
    let path = fresh(name);
    let heap = hooks(&path);
    (1..=5).for_each(|number| heap.report(violation(number)));
    drop(heap);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), FILE_BYTES);
    (path, bytes)
}

/// The checksum of the header, as the documentation says it.
fn seal(bytes: &mut [u8]) {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in &bytes[..4088] {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    bytes[4088..4096].copy_from_slice(&hash.to_ne_bytes());
}

type Damage = fn(&mut Vec<u8>);

/// What is done to a record, and what its reader says.
fn cases() -> [(Damage, &'static str); 11] {
    [
        (
            |bytes| bytes.clear(),
            "byte 0: truncated, expected 139264 bytes",
        ),
        (
            |bytes| bytes.truncate(7),
            "byte 7: truncated, expected 139264 bytes",
        ),
        (
            |bytes| bytes.truncate(8),
            "byte 8: truncated, expected 139264 bytes",
        ),
        (
            |bytes| bytes.truncate(FILE_BYTES - 1),
            "byte 139263: truncated, expected 139264 bytes",
        ),
        (|bytes| bytes[0] ^= 1, "byte 0: not a violation record"),
        (|bytes| bytes[8] = 2, "byte 8: schema 2, expected 1"),
        (
            |bytes| bytes[100] ^= 1,
            "byte 4088: checksum of the header is wrong",
        ),
        (
            |bytes| bytes[4090] ^= 1,
            "byte 4088: checksum of the header is wrong",
        ),
        (
            |bytes| {
                bytes[24] = 1;
                seal(bytes);
            },
            "byte 24: entry bytes 1025, expected 1024",
        ),
        (
            |bytes| {
                bytes[32] = 64;
                seal(bytes);
            },
            "byte 32: slots 64, expected 128",
        ),
        (
            |bytes| {
                bytes[40] = 65;
                seal(bytes);
            },
            "byte 40: checks 65, expected 64",
        ),
    ]
}

#[test]
fn each_malformed_file_is_an_error_that_says_where() {
    let (path, bytes) = sample("malformed");
    for (damage, expected) in cases() {
        let mut damaged = bytes.clone();
        damage(&mut damaged);
        fs::write(&path, &damaged).unwrap();
        let error = PreviousRecord::read(&path).unwrap_err();
        let expected = format!("violation record {}: {expected}", path.display());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_malformed_record_is_an_error_at_the_next_start_too() {
    let (path, mut bytes) = sample("next-start");
    // Of another process, which then cut it short.
    bytes[48] ^= 1;
    bytes.truncate(5000);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        previous_record(&path),
        Err(RecordError::Truncated { bytes: 5000, .. })
    ));
    // Nothing is thrown away: the next heap keeps it beside its own.
    let heap = hooks(&path);
    assert!(matches!(
        previous_record(&path),
        Err(RecordError::Truncated { bytes: 5000, .. })
    ));
    drop(heap);
}

#[test]
fn damage_outside_the_header_leaves_the_rest_to_read() {
    let (path, mut bytes) = sample("damage");
    let slot = |slot: usize| 8192 + slot * 1024;
    bytes[slot(1) + 100] ^= 0x40;
    bytes[slot(100) + 500] = 1;
    bytes[7168 + 50] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let record = PreviousRecord::read(&path).unwrap();
    let damaged = [Section::First, Section::Slot(1), Section::Slot(100)];
    assert_eq!(record.damaged(), damaged);
    let recent: Vec<u64> = record.recent().iter().map(|found| found.sequence).collect();
    assert_eq!(recent, [1, 3, 4, 5]);
    assert_eq!(record.first().unwrap().sequence, 1, "the ring has it too");
    assert_eq!(record.total(), 5);
    let text = record.to_string();
    for line in [
        "damaged: first violation",
        "damaged: slot 1",
        "damaged: slot 100",
    ] {
        assert!(text.contains(&format!("\n  {line}\n")), "{text}");
    }
}
