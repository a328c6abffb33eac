//! How a violation gets into a record, one word after the other.
//!
//! Called by recorders from any thread in any phase, under any lock of the heap: no lock, no
//! allocation, no system call. The process may end between any two words.
//!
//! A writer counts first. Then it looks for a slot, from the one its number points to, whose entry is
//! whole and older than the window; it takes it by putting its own number in the place of the old one
//! (`BEGIN`), writes the body and its checksum, and last the mark (`END`) that belongs to its number.
//! Invariants: a slot whose `BEGIN` and `END` do not belong together has exactly one writer; an entry
//! within the window of the last violations is never overwritten; an entry whose marks belong together
//! is whole. A writer that finds every slot newer or busy counts its violation as unkept; that takes
//! more writers in the middle of their entries than the window is long.
//!
//! Deliberately absent: whether the file can be written to at all.

use super::layout::entry::{self, has};
use super::layout::{
    FIRST_AT, Keep, SLOTS, WINDOW, WORD_BYTES, checksum, end_mark, put, put_text, slot_at, summary,
    word,
};
use super::words::Words;
use crate::terms::Address;
use crate::violation::Violation;

/// Writes a violation that has its sequence number. Times are milliseconds since 1970.
pub(super) fn write(words: &impl Words, violation: &Violation, now_ms: u64, suppressed: u64) {
    let sequence = violation.sequence;
    // Before the entry, so that no entry has a number above the total.
    words.raise(summary::TOTAL, sequence);
    words.count(summary::count(violation.check.index()));
    words.raise(summary::SUPPRESSED, suppressed);
    let draft = draft(violation, now_ms);
    if sequence == 1 && words.claim(FIRST_AT + entry::BEGIN, 0, sequence) {
        fill(words, FIRST_AT, &draft);
    }
    match claim(words, sequence) {
        Some(at) => fill(words, at, &draft),
        // Of one that slept until the window had passed it by nothing would be kept now either way.
        None if sequence + WINDOW <= words.load(summary::TOTAL) => {}
        None => words.count(summary::UNKEPT),
    }
}

/// Takes a slot for a sequence number. Answers where it begins.
fn claim(words: &impl Words, sequence: u64) -> Option<usize> {
    let home = sequence.wrapping_sub(1) % SLOTS as u64;
    for step in 0..SLOTS {
        let at = slot_at((home as usize + step) % SLOTS);
        let begun = words.load(at + entry::BEGIN);
        let is_old = begun == 0
            || begun.saturating_add(WINDOW) <= sequence
                && words.load(at + entry::END) == end_mark(begun);
        if is_old && words.claim(at + entry::BEGIN, begun, sequence) {
            return Some(at);
        }
    }
    None
}

/// Writes all of an entry behind its begin.
fn fill(words: &impl Words, at: usize, draft: &[u8; entry::BYTES]) {
    for place in entry::BODY.step_by(WORD_BYTES) {
        words.store(at + place, word(draft, place));
    }
    words.store(at + entry::CHECKSUM, word(draft, entry::CHECKSUM));
    words.publish(at + entry::END, word(draft, entry::END));
}

/// The entry of a violation, on the stack.
fn draft(violation: &Violation, now_ms: u64) -> [u8; entry::BYTES] {
    let mut bytes = [0; entry::BYTES];
    let draft = &mut bytes;
    put(draft, entry::BEGIN, violation.sequence);
    put(draft, entry::SEQUENCE, violation.sequence);
    put(draft, entry::RECORDED_MS, now_ms);
    put_numbers(draft, violation);
    put_texts(draft, violation);
    let sum = checksum(&draft[entry::BODY]);
    put(draft, entry::CHECKSUM, sum);
    put(draft, entry::END, end_mark(violation.sequence));
    bytes
}

fn put_numbers(draft: &mut [u8], violation: &Violation) {
    let stale = violation.stale_cycles.unwrap_or(0);
    put(draft, entry::CYCLE_AND_STALE, pair(violation.cycle, stale));
    let (address, is_offset) = match violation.address {
        Some(Address::Offset(offset)) => (offset, true),
        Some(Address::Raw(address)) => (address, false),
        None => (0, false),
    };
    put(draft, entry::ADDRESS, address);
    let (span, slot) = (violation.span.unwrap_or(0), violation.slot.unwrap_or(0));
    put(draft, entry::SPAN_AND_SLOT, pair(span, slot));
    put(draft, entry::HOLDER, violation.holder.unwrap_or(0));
    let line_and_column = violation
        .call_site
        .map(|site| pair(site.line(), site.column()));
    put(draft, entry::LINE_AND_COLUMN, line_and_column.unwrap_or(0));
    for (index, number) in violation.numbers.iter().enumerate() {
        put(draft, entry::number(index), number.value);
    }
    let flags = [
        (has::ADDRESS, violation.address.is_some()),
        (has::OFFSET, is_offset),
        (has::SPAN, violation.span.is_some()),
        (has::SLOT, violation.slot.is_some()),
        (has::HOLDER, violation.holder.is_some()),
        (has::CALL_SITE, violation.call_site.is_some()),
        (has::STALE_CYCLES, violation.stale_cycles.is_some()),
        (has::TYPE_NAME, violation.type_name.is_some()),
        (has::FIELD, violation.field.is_some()),
    ];
    let flags = flags.iter().filter(|(_, is_there)| *is_there);
    put(draft, entry::FLAGS, flags.map(|(bit, _)| bit).sum());
}

fn put_texts(draft: &mut [u8], violation: &Violation) {
    let check = violation.check;
    put_text(draft, entry::CHECK, check.id(), Keep::Head);
    put_text(draft, entry::PHASE, violation.phase.id(), Keep::Head);
    put_text(
        draft,
        entry::SEVERITY,
        violation.severity().id(),
        Keep::Head,
    );
    put_text(draft, entry::ORIGIN, violation.origin.id(), Keep::Head);
    put_text(draft, entry::MESSAGE, check.message(), Keep::Head);
    put_text(draft, entry::REASON, violation.reason, Keep::Head);
    for (index, number) in violation.numbers.iter().enumerate() {
        put_text(draft, entry::label(index), number.label, Keep::Head);
    }
    let (field, type_name) = (violation.field, violation.type_name);
    put_text(draft, entry::FIELD, field.unwrap_or(""), Keep::Tail);
    put_text(draft, entry::TYPE_NAME, type_name.unwrap_or(""), Keep::Head);
    let file = violation.call_site.map_or("", |site| site.file());
    put_text(draft, entry::FILE, file, Keep::Tail);
}

/// Two numbers in a word, the first one below.
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
