//! Where everything stands in a record, byte by byte.
//!
//! Owns the schema: offsets, lengths, marks and the checksum, as the table in `docs/src/OPERATIONS.md`
//! tells them. Pure data and pure functions; the writer and the reader above agree by using the same
//! constants. Invariants: all numbers are words of eight bytes at multiples of eight, in the byte
//! order of the machine; texts are UTF-8 in fields of fixed length, zero behind; an entry never
//! straddles a page. Any change of a meaning here is a new [`SCHEMA`]. Deliberately absent: files.

/// Bytes of a word.
pub(super) const WORD_BYTES: usize = 8;

/// The first word of every record.
pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"SOFTFAIL");

/// The version of everything below.
pub const SCHEMA: u64 = 1;

/// How many of the last violations a record shows.
pub(super) const WINDOW: u64 = 64;

/// Slots of the ring. Twice the window, so that as many writers as the window is long may be in the
/// middle of their entries, or have died there, and all of the last violations before them are whole.
pub(super) const SLOTS: usize = 2 * WINDOW as usize;

/// Places for counters of checks.
pub(super) const COUNTERS: usize = 64;

/// A text of fixed room.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) at: usize,
    pub(super) bytes: usize,
}

const fn field(at: usize, bytes: usize) -> Field {
    Field { at, bytes }
}

/// The header: written once, before the file gets its name, and never again.
pub(super) mod header {
    use super::{COUNTERS, Field, field};

    pub(crate) const BYTES: usize = 4096;
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const SCHEMA: usize = 8;
    /// Length of the whole file.
    pub(crate) const FILE_BYTES: usize = 16;
    /// Length of an entry.
    pub(crate) const ENTRY_BYTES: usize = 24;
    /// Slots of the ring.
    pub(crate) const SLOTS: usize = 32;
    /// Checks that have a counter.
    pub(crate) const CHECKS: usize = 40;
    /// The process that writes, by its number.
    pub(crate) const PROCESS: usize = 48;
    /// When that process started, in ticks since the machine did; tells two processes of one number
    /// apart.
    pub(crate) const PROCESS_TICKS: usize = 56;
    /// When the heap started, in milliseconds since 1970.
    pub(crate) const STARTED_MS: usize = 64;
    pub(crate) const HEAP: Field = field(72, 64);
    pub(crate) const VERSION: Field = field(136, 32);
    /// Identifiers of checks, in the order of their counters.
    const CHECK_IDS: usize = 256;
    const CHECK_ID_BYTES: usize = 32;
    /// FNV-1a of all bytes before it.
    pub(crate) const CHECKSUM: usize = BYTES - 8;

    pub(crate) const fn check_id(index: usize) -> Field {
        field(CHECK_IDS + index * CHECK_ID_BYTES, CHECK_ID_BYTES)
    }

    const _: () = assert!(CHECK_IDS + COUNTERS * CHECK_ID_BYTES <= CHECKSUM);
}

/// The summary: words that each stand for themselves.
pub(super) mod summary {
    use super::{COUNTERS, WORD_BYTES, header};

    pub(crate) const AT: usize = header::BYTES;
    pub(crate) const BYTES: usize = 3072;
    /// When the heap ended in order, in milliseconds since 1970; 0 before.
    pub(crate) const CLOSED_MS: usize = AT;
    /// When health turned, in milliseconds since 1970; 0 before.
    pub(crate) const UNHEALTHY_MS: usize = AT + 8;
    /// The highest sequence number.
    pub(crate) const TOTAL: usize = AT + 16;
    /// Violations recorded but not handed on.
    pub(crate) const SUPPRESSED: usize = AT + 24;
    /// Violations that found no slot.
    pub(crate) const UNKEPT: usize = AT + 32;
    const COUNTS: usize = AT + 64;

    pub(crate) const fn count(index: usize) -> usize {
        COUNTS + index * WORD_BYTES
    }

    const _: () = assert!(count(COUNTERS) <= AT + BYTES);
}

/// The first violation.
pub(super) const FIRST_AT: usize = summary::AT + summary::BYTES;

const RING_AT: usize = FIRST_AT + entry::BYTES;

/// Length of a record.
pub(super) const FILE_BYTES: usize = RING_AT + SLOTS * entry::BYTES;

/// Where a slot of the ring begins.
pub(super) const fn slot_at(slot: usize) -> usize {
    RING_AT + slot * entry::BYTES
}

/// An entry: offsets from its begin.
pub(super) mod entry {
    use super::{Field, field};

    pub(crate) const BYTES: usize = 1024;
    /// The sequence number, stored first: whose entry this is going to be.
    pub(crate) const BEGIN: usize = 0;
    /// FNV-1a of the body.
    pub(crate) const CHECKSUM: usize = 8;
    /// The body: what the checksum is of.
    pub(crate) const BODY: std::ops::Range<usize> = SEQUENCE..END;
    pub(crate) const SEQUENCE: usize = 16;
    /// When it was recorded, in milliseconds since 1970.
    pub(crate) const RECORDED_MS: usize = 24;
    /// Cycle; above it, for how many cycles the place had been free.
    pub(crate) const CYCLE_AND_STALE: usize = 32;
    /// Bits of [`has`].
    pub(crate) const FLAGS: usize = 40;
    pub(crate) const ADDRESS: usize = 48;
    /// First page of the span; above it the slot.
    pub(crate) const SPAN_AND_SLOT: usize = 56;
    pub(crate) const HOLDER: usize = 64;
    /// Line of the call site; above it the column.
    pub(crate) const LINE_AND_COLUMN: usize = 72;
    pub(crate) const CHECK: Field = field(104, 32);
    pub(crate) const PHASE: Field = field(136, 16);
    pub(crate) const SEVERITY: Field = field(152, 16);
    pub(crate) const ORIGIN: Field = field(168, 16);
    pub(crate) const MESSAGE: Field = field(184, 80);
    pub(crate) const REASON: Field = field(264, 96);
    /// Type and field of the holder.
    pub(crate) const FIELD: Field = field(456, 144);
    pub(crate) const TYPE_NAME: Field = field(600, 208);
    /// File of the call site.
    pub(crate) const FILE: Field = field(808, 208);
    /// The mark of a whole entry, stored last.
    pub(crate) const END: usize = BYTES - 8;

    pub(crate) const NUMBERS: usize = 3;

    pub(crate) const fn number(index: usize) -> usize {
        80 + index * 8
    }

    pub(crate) const fn label(index: usize) -> Field {
        field(360 + index * 32, 32)
    }

    const _: () = assert!(number(NUMBERS) == CHECK.at);
    const _: () = assert!(label(NUMBERS).at == FIELD.at);
    const _: () = assert!(FIELD.at + FIELD.bytes == TYPE_NAME.at);
    const _: () = assert!(TYPE_NAME.at + TYPE_NAME.bytes == FILE.at);
    const _: () = assert!(FILE.at + FILE.bytes == END);

    /// What an entry has.
    pub(crate) mod has {
        pub(crate) const ADDRESS: u64 = 1;
        /// The address counts from the start of the heap.
        pub(crate) const OFFSET: u64 = 1 << 1;
        pub(crate) const SPAN: u64 = 1 << 2;
        pub(crate) const SLOT: u64 = 1 << 3;
        pub(crate) const HOLDER: u64 = 1 << 4;
        pub(crate) const CALL_SITE: u64 = 1 << 5;
        pub(crate) const STALE_CYCLES: u64 = 1 << 6;
        pub(crate) const TYPE_NAME: u64 = 1 << 7;
        pub(crate) const FIELD: u64 = 1 << 8;
    }
}

// An entry that lies within a page is written to the disk, and read from it, in one piece.
const _: () = assert!(FIRST_AT.is_multiple_of(entry::BYTES) && 4096 % entry::BYTES == 0);

/// The mark at the end of the entry of a sequence number: no other entry has the same.
pub(super) const fn end_mark(sequence: u64) -> u64 {
    sequence ^ u64::from_ne_bytes(*b"ENDENTRY")
}

/// FNV-1a, 64 bits: short, and the same everywhere for ever.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Which end of a text that is too long stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Head,
    /// For paths, whose last part says most.
    Tail,
}

/// Stands where a text was cut.
const CUT: &str = "…";

/// Writes a number.
pub(super) fn put(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(place) = bytes.get_mut(at..at + WORD_BYTES) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}

/// Reads a number; what lies outside reads as zero.
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let place = bytes.get(at..).and_then(|rest| rest.first_chunk());
    place.copied().map_or(0, u64::from_ne_bytes)
}

/// Writes a text, cut between two characters where it is too long.
pub(super) fn put_text(bytes: &mut [u8], field: Field, text: &str, keep: Keep) {
    let Some(place) = bytes.get_mut(field.at..field.at + field.bytes) else {
        return;
    };
    place.fill(0);
    if text.len() <= field.bytes {
        place[..text.len()].copy_from_slice(text.as_bytes());
        return;
    }
    let room = field.bytes - CUT.len();
    let (before, kept, after) = match keep {
        Keep::Head => ("", &text[..floor(text, room)], CUT),
        Keep::Tail => (CUT, &text[ceil(text, text.len() - room)..], ""),
    };
    let mut at = 0;
    for part in [before, kept, after] {
        place[at..at + part.len()].copy_from_slice(part.as_bytes());
        at += part.len();
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Reads a text up to the zeros behind it.
pub(super) fn text(bytes: &[u8], field: Field) -> String {
    let place = bytes.get(field.at..field.at + field.bytes).unwrap_or(&[]);
    let end = place.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&place[..end.unwrap_or(place.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Field = field(8, 16);

    fn through(given: &str, keep: Keep) -> String {
        let mut bytes = [0xff; 32];
        put_text(&mut bytes, ROOM, given, keep);
        assert_eq!((bytes[7], bytes[24]), (0xff, 0xff), "nothing beside it");
        text(&bytes, ROOM)
    }

    #[test]
    fn the_layout_is_the_one_that_is_documented() {
        assert_eq!((summary::AT, FIRST_AT, slot_at(0)), (4096, 7168, 8192));
        assert_eq!(FILE_BYTES, 139_264);
        assert_eq!(summary::count(0), 4160);
        assert_eq!(header::check_id(63).at + 32, 2304);
    }

    #[test]
    fn a_text_that_fits_is_whole_and_one_that_does_not_is_cut_where_it_says_least() {
        assert_eq!(through("", Keep::Head), "");
        assert_eq!(through("0123456789abcdef", Keep::Head), "0123456789abcdef");
        assert_eq!(through("0123456789abcdefg", Keep::Head), "0123456789abc…");
        assert_eq!(through("0123456789abcdefg", Keep::Tail), "…456789abcdefg");
        assert_eq!(through("ü".repeat(9).as_str(), Keep::Head), "üüüüüü…");
        assert_eq!(through("ü".repeat(9).as_str(), Keep::Tail), "…üüüüüü");
    }

    /// The published values of the function, so that others can check a record.
    #[test]
    fn the_checksum_is_fnv_1a() {
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn words_outside_read_as_zero_and_are_not_written() {
        let mut bytes = [0xff; 8];
        put(&mut bytes, 1, 0);
        assert_eq!((word(&bytes, 0), word(&bytes, 1)), (u64::MAX, 0));
    }
}
