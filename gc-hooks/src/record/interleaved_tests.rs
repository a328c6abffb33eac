//! Two writers in each other's midst, and bytes that nobody should have written.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Condvar, Mutex};
use std::thread;

use proptest::prelude::*;

use super::layout::{self, SLOTS, entry, slot_at};
use super::tests::{
    Image, Marks, Store, apply, assert_sound, read, record_of, sequences, violation,
};
use super::words::Words;
use super::{reader, writer};

/// Lets two writers take turns, a store or a look at a time.
struct Stage {
    image: Image,
    /// Who may take a step: a writer, everybody, or nobody until it is said.
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Turn {
    Nobody,
    One(usize),
    Everybody,
}

struct Actor<'a> {
    stage: &'a Stage,
    number: usize,
}

impl Actor<'_> {
    fn step<T>(&self, step: impl FnOnce(&Image) -> T) -> T {
        let mine = Turn::One(self.number);
        let turn = self.stage.turn.lock().unwrap();
        let waits = |turn: &mut Turn| *turn != mine && *turn != Turn::Everybody;
        let mut turn = self.stage.changed.wait_while(turn, waits).unwrap();
        let done = step(&self.stage.image);
        if *turn == mine {
            *turn = Turn::Nobody;
        }
        self.stage.changed.notify_all();
        done
    }
}

impl Words for Actor<'_> {
    fn load(&self, at: usize) -> u64 {
        self.step(|image| image.load(at))
    }
    fn store(&self, at: usize, value: u64) {
        self.step(|image| image.store(at, value));
    }
    fn publish(&self, at: usize, value: u64) {
        self.step(|image| image.publish(at, value));
    }
    fn claim(&self, at: usize, current: u64, new: u64) -> bool {
        self.step(|image| image.claim(at, current, new))
    }
    fn count(&self, at: usize) {
        self.step(|image| image.count(at));
    }
    fn raise(&self, at: usize, value: u64) {
        self.step(|image| image.raise(at, value));
    }
}

/// Two writers whose steps follow a schedule; when it is at its end they go on as they like. Whoever
/// is in between is written while the first has made so many steps. Answers the log.
fn interleave(
    image: Image,
    ends: [u64; 2],
    head: usize,
    schedule: &[(usize, usize)],
) -> Vec<Store> {
    let stage = Stage {
        image,
        turn: Mutex::new(Turn::Nobody),
        changed: Condvar::new(),
    };
    let done = [const { AtomicBool::new(false) }; 2];
    let grant = |number: usize| {
        let mut turn = stage.turn.lock().unwrap();
        *turn = Turn::One(number);
        stage.changed.notify_all();
        while *turn == Turn::One(number) && !done[number].load(SeqCst) {
            turn = stage.changed.wait(turn).unwrap();
        }
    };
    thread::scope(|scope| {
        for number in 0..2 {
            let actor = Actor {
                stage: &stage,
                number,
            };
            let is_done = &done[number];
            scope.spawn(move || {
                writer::write(&actor, &violation(ends[number]), 7, 0);
                let _turn = actor.stage.turn.lock().unwrap();
                is_done.store(true, SeqCst);
                actor.stage.changed.notify_all();
            });
        }
        for _ in 0..head {
            grant(0);
        }
        for between in ends[0] + 1..ends[1] {
            writer::write(&stage.image, &violation(between), 7, 0);
        }
        for (number, steps) in schedule {
            for _ in 0..*steps {
                grant(*number);
            }
        }
        *stage.turn.lock().unwrap() = Turn::Everybody;
        stage.changed.notify_all();
    });
    stage.image.log()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Two writers, up to more than twice the ring apart, so that they want the same slot.
    #[test]
    fn two_writers_that_die_in_each_others_midst_leave_a_record_that_reads_right(
        before in 0_u64..260,
        apart in prop::sample::select(vec![1_u64, 2, 63, 64, 65, 127, 128, 129, 256]),
        head in 0_usize..140,
        schedule in prop::collection::vec((0_usize..2, 1_usize..50), 1..16),
        kills in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let image = record_of(before);
        let base = image.bytes();
        let ends = [before + 1, before + 1 + apart];
        let log = interleave(image, ends, head, &schedule);
        let kills: BTreeSet<usize> = kills.iter().map(|kill| kill.index(log.len())).collect();
        let (mut bytes, mut marks) = (base, Marks::of(before));
        for (step, store) in log.iter().enumerate() {
            apply(&mut bytes, *store);
            marks.see(*store);
            if kills.contains(&step) {
                assert_sound(&bytes, &marks.finished, &marks.begun);
            }
        }
        assert_sound(&bytes, &marks.finished, &marks.begun);
        let record = read(&bytes);
        prop_assert_eq!(record.total(), ends[1]);
        prop_assert_eq!(record.unfinished(), &[] as &[u64]);
        let counted: u64 = record.counts().iter().map(|(_, count)| count).sum();
        prop_assert_eq!(counted, ends[1]);
        prop_assert_eq!(record.unkept(), 0);
        prop_assert_eq!(record.last().map(|last| last.sequence), Some(ends[1]));
    }

    /// A byte that something else wrote is found out, wherever it stands in an entry.
    #[test]
    fn a_damaged_byte_never_passes_for_a_violation(
        count in 1_u64..200,
        place in 0_usize..SLOTS * entry::BYTES,
        bit in 0_u8..8,
    ) {
        let mut bytes = record_of(count).bytes();
        bytes[slot_at(0) + place] ^= 1 << bit;
        let record = read(&bytes);
        for found in record.recent() {
            prop_assert_eq!(found.to_string(), violation(found.sequence).to_string());
        }
        let others = sequences(record.recent()).len() as u64;
        prop_assert!(others + 1 >= count.min(layout::WINDOW));
    }

    /// Whatever stands in a file, reading it ends, with a record or an error.
    #[test]
    fn a_reader_survives_any_bytes(
        damage in prop::collection::vec((0_usize..layout::FILE_BYTES, any::<u8>()), 1..40),
        bytes_kept in 0_usize..2 * layout::FILE_BYTES,
        is_sealed in any::<bool>(),
    ) {
        let mut bytes = record_of(70).bytes();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        if is_sealed {
            let sum = layout::checksum(&bytes[..layout::header::CHECKSUM]);
            layout::put(&mut bytes, layout::header::CHECKSUM, sum);
        }
        bytes.truncate(bytes_kept);
        match reader::read(Path::new("any"), &bytes) {
            Ok(record) => {
                prop_assert_eq!(bytes.len(), layout::FILE_BYTES);
                prop_assert!(record.recent().len() <= 64 && !record.to_string().is_empty());
            }
            Err(error) => prop_assert!(error.to_string().contains(": byte ")),
        }
    }
}
