//! What a reader makes of a record whose writer died, after every single store.
//!
//! The writer works on words of this module, which log every store. A prefix of the log, put onto the
//! bytes from before, is what a process leaves that is killed right after the last store of it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use super::layout::{self, end_mark, entry, slot_at};
use super::words::Words;
use super::*;
use crate::terms::{Address, Origin, Phase};

/// A store: where, and what.
pub(super) type Store = (usize, u64);

/// Words that remember what was done to them.
pub(super) struct Image {
    words: Vec<AtomicU64>,
    log: Mutex<Vec<Store>>,
}

impl Image {
    fn new(bytes: &[u8]) -> Image {
        let words = bytes.chunks(layout::WORD_BYTES);
        Image {
            words: words
                .map(|word| AtomicU64::new(layout::word(word, 0)))
                .collect(),
            log: Mutex::default(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let words = self.words.iter();
        words
            .flat_map(|word| word.load(SeqCst).to_ne_bytes())
            .collect()
    }

    pub(super) fn log(&self) -> Vec<Store> {
        self.log.lock().unwrap().clone()
    }

    /// The log's lock makes a change and its entry one step.
    fn change(&self, at: usize, change: impl FnOnce(u64) -> Option<u64>) -> bool {
        assert!(at.is_multiple_of(layout::WORD_BYTES));
        let mut log = self.log.lock().unwrap();
        let word = &self.words[at / layout::WORD_BYTES];
        let new = change(word.load(SeqCst));
        if let Some(new) = new {
            word.store(new, SeqCst);
            log.push((at, new));
        }
        new.is_some()
    }
}

impl Words for Image {
    fn load(&self, at: usize) -> u64 {
        self.words[at / layout::WORD_BYTES].load(SeqCst)
    }

    fn store(&self, at: usize, value: u64) {
        self.change(at, |_| Some(value));
    }

    fn publish(&self, at: usize, value: u64) {
        self.change(at, |_| Some(value));
    }

    fn claim(&self, at: usize, current: u64, new: u64) -> bool {
        self.change(at, |found| (found == current).then_some(new))
    }

    fn count(&self, at: usize) {
        self.change(at, |found| Some(found + 1));
    }

    fn raise(&self, at: usize, value: u64) {
        self.change(at, |found| Some(found.max(value)));
    }
}

/// Violation number so and so; every field of it follows from the number.
pub(super) fn violation(sequence: u64) -> Violation {
    let small = sequence as u32;
    Violation {
        sequence,
        ..Violation::new(Check::ALL[sequence as usize % Check::COUNT])
            .with_cycle(small)
            .with_phase(Phase::Mark)
            .with_reason("one reason")
            .with_address(Address::Offset(sequence << 4))
            .with_span(small)
            .with_slot(small + 1)
            .with_type_name("crate::Node")
            .with_origin(Origin::Scan)
            .with_holder(sequence << 5)
            .with_field(Some("Node.next"))
            .with_call_site(Some(Location::caller()))
            .with_stale_cycles(Some(3))
            .with_number("sequence", sequence)
            .with_number("twice", sequence * 2)
            .with_number("thrice", sequence * 3)
    }
}

/// A record in which violations 1 to `count` are written.
pub(super) fn record_of(count: u64) -> Image {
    let image = Image::new(&blank("tested"));
    for sequence in 1..=count {
        writer::write(&image, &violation(sequence), sequence, 0);
    }
    Image::new(&image.bytes())
}

pub(super) fn read(bytes: &[u8]) -> PreviousRecord {
    reader::read(Path::new("tested"), bytes).unwrap()
}

pub(super) fn sequences(violations: &[RecordedViolation]) -> Vec<u64> {
    violations.iter().map(|found| found.sequence).collect()
}

/// What must hold of every record, however its process ended, if these are the violations whose last
/// word was stored, and those whose first one was.
#[track_caller]
pub(super) fn assert_sound(bytes: &[u8], finished: &BTreeSet<u64>, begun: &BTreeSet<u64>) {
    let record = read(bytes);
    assert_eq!(record.damaged(), []);
    for found in record.recent() {
        let whole = violation(found.sequence);
        assert_eq!(found.to_string(), whole.to_string());
        assert!(finished.contains(&found.sequence), "invented {found}");
    }
    let newest = finished.last().copied().unwrap_or(0);
    let window = finished.iter().copied();
    let window: Vec<u64> = window
        .filter(|sequence| sequence + layout::WINDOW > newest)
        .collect();
    assert_eq!(sequences(record.recent()), window, "lost one");
    let unfinished: BTreeSet<u64> = begun.difference(finished).copied().collect();
    let told: BTreeSet<u64> = record.unfinished().iter().copied().collect();
    assert!(told.is_subset(&unfinished), "{told:?} of {unfinished:?}");
    assert!(record.total() >= begun.last().copied().unwrap_or(0));
    if finished.contains(&1) {
        let first = record.first().map(|first| first.sequence);
        assert_eq!(first, Some(1));
    }
}

/// Which violations have their first and their last word in a ring after these stores.
#[derive(Default)]
pub(super) struct Marks {
    slots: BTreeMap<usize, u64>,
    pub(super) begun: BTreeSet<u64>,
    pub(super) finished: BTreeSet<u64>,
}

impl Marks {
    pub(super) fn of(count: u64) -> Marks {
        Marks {
            slots: BTreeMap::new(),
            begun: (1..=count).collect(),
            finished: (1..=count).collect(),
        }
    }

    pub(super) fn see(&mut self, (at, value): Store) {
        if at == layout::FIRST_AT + entry::BEGIN {
            self.begun.insert(value);
        }
        if at < slot_at(0) {
            return;
        }
        let place = (at - slot_at(0)) % entry::BYTES;
        let slot = at - place;
        if place == entry::BEGIN {
            self.slots.insert(slot, value);
            self.begun.insert(value);
        } else if place == entry::END {
            assert_eq!(
                value,
                end_mark(self.slots[&slot]),
                "an end without its begin"
            );
            self.finished.insert(self.slots[&slot]);
        }
    }
}

pub(super) fn apply(bytes: &mut [u8], (at, value): Store) {
    layout::put(bytes, at, value);
}

#[test]
fn a_writer_that_dies_after_any_of_its_stores_leaves_a_record_that_reads_right() {
    for before in [0, 1, 127, 128, 300] {
        let image = record_of(before);
        let mut bytes = image.bytes();
        let sequence = before + 1;
        writer::write(&image, &violation(sequence), 7, 2);
        let log = image.log();
        assert!(log.len() > 120, "a store a word: {}", log.len());
        let mut marks = Marks::of(before);
        assert_sound(&bytes, &marks.finished, &marks.begun);
        for store in log {
            apply(&mut bytes, store);
            marks.see(store);
            assert_sound(&bytes, &marks.finished, &marks.begun);
            // The first violation has two places; the test below looks at what is between them.
            if before > 0 {
                let is_between = marks.begun.len() > marks.finished.len();
                let unfinished = read(&bytes).unfinished().to_vec();
                assert_eq!(unfinished == [sequence], is_between, "after {store:?}");
                assert_eq!(unfinished.is_empty(), !is_between, "after {store:?}");
            }
        }
        assert_eq!(bytes, image.bytes());
        let record = read(&bytes);
        assert_eq!((record.total(), record.suppressed()), (sequence, 2));
        let check = violation(sequence).check;
        let of_check = (1..=sequence).filter(|other| violation(*other).check == check);
        assert_eq!(record.count(check), of_check.count() as u64);
    }
}

#[test]
fn a_first_violation_that_was_begun_in_its_own_place_alone_is_told() {
    let image = record_of(0);
    let mut bytes = image.bytes();
    writer::write(&image, &violation(1), 7, 0);
    let mut seen = BTreeSet::new();
    for store in image.log() {
        apply(&mut bytes, store);
        let record = read(&bytes);
        seen.insert((record.first().is_some(), record.unfinished().to_vec()));
    }
    let none: Vec<u64> = Vec::new();
    let expected = [
        (false, none.clone()),
        (false, vec![1]),
        (true, none),
        (true, vec![1]),
    ];
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn a_slot_whose_writer_never_comes_back_is_passed_over() {
    let image = record_of(0);
    image.claim(slot_at(0) + entry::BEGIN, 0, 1);
    for sequence in 2..=1000 {
        writer::write(&image, &violation(sequence), 7, 0);
    }
    let record = read(&image.bytes());
    assert_eq!(
        sequences(record.recent()),
        (937..=1000).collect::<Vec<u64>>()
    );
    assert_eq!((record.unfinished(), record.unkept()), (&[1][..], 0));
}

#[test]
fn with_every_slot_held_a_violation_is_counted_without_details() {
    let image = record_of(0);
    for slot in 0..SLOTS {
        image.claim(slot_at(slot) + entry::BEGIN, 0, slot as u64 + 1);
    }
    writer::write(&image, &violation(500), 7, 0);
    let record = read(&image.bytes());
    assert_eq!((record.total(), record.unkept()), (500, 1));
    assert_eq!(record.recent(), []);
}

#[test]
fn a_writer_that_comes_after_the_window_has_passed_is_forgotten_like_all_before_it() {
    let image = record_of(300);
    writer::write(&image, &violation(100), 7, 0);
    let record = read(&image.bytes());
    assert_eq!((record.total(), record.unkept()), (300, 0));
    assert_eq!(
        sequences(record.recent()),
        (237..=300).collect::<Vec<u64>>()
    );
}

#[test]
fn the_window_is_what_the_books_in_memory_remember() {
    assert_eq!(layout::WINDOW, crate::RECENT_MAX as u64);
}

/// Whatever a violation has, it reads back as it would have printed.
#[test]
fn a_violation_with_nothing_known_reads_back() {
    for check in Check::ALL {
        let plain = Violation {
            sequence: 1,
            ..Violation::new(*check)
        };
        let raw = plain
            .with_address(Address::Raw(u64::MAX))
            .with_number("n", u64::MAX);
        for written in [plain, raw] {
            let image = record_of(0);
            writer::write(&image, &written, 7, 0);
            let record = read(&image.bytes());
            let found = record.first().unwrap();
            assert_eq!(found.to_string(), written.to_string());
            assert_eq!(found.known_check(), Some(*check));
            assert_eq!(
                found.recorded,
                UNIX_EPOCH + std::time::Duration::from_millis(7)
            );
        }
    }
}

#[test]
fn texts_of_the_register_fit_their_fields() {
    for check in Check::ALL {
        assert!(check.id().len() <= entry::CHECK.bytes);
        assert!(check.message().len() <= entry::MESSAGE.bytes);
    }
    for phase in Phase::ALL {
        assert!(phase.id().len() <= entry::PHASE.bytes);
    }
}

#[test]
fn a_failure_is_packed_into_a_word_and_comes_out_again() {
    for cause in Cause::ALL {
        for errno in [0, 28, u32::MAX] {
            let failure = Failure { cause, errno };
            assert_eq!(Failure::unpacked(failure.packed()), Some(failure));
            assert_eq!(Failure::unpacked(failure.packed() | UNTOLD), Some(failure));
        }
    }
    assert_eq!(Failure::unpacked(0), None);
}
