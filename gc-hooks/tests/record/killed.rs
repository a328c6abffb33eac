//! Processes that die by SIGKILL while their threads write.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use gc_hooks::{PreviousRecord, previous_record};

use crate::support::{fresh, hooks, is_child, printed, spawn, violation};

const NAME: &str = "killed::a_process_that_is_killed_leaves_all_that_it_had_written";
const THREADS: u64 = 3;
/// Moments at which a process is killed.
const KILLS: usize = 40;

/// Reports for ever on some threads. For each violation that was reported, a byte goes out.
fn report_for_ever(path: &std::path::Path) {
    let hooks = hooks(path);
    let next = AtomicU32::new(1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    hooks.report(violation(next.fetch_add(1, Relaxed)));
                    // Not through the standard library, whose lock would make the threads take turns.
                    rustix::io::write(rustix::stdio::stdout(), b"#").unwrap();
                }
            });
        }
    });
}

/// What must be true of a record whose writers were killed, if so many violations are known to have
/// been written before.
fn assert_right(record: &PreviousRecord, written: u64) {
    assert!(record.total() >= written, "{} of {written}", record.total());
    assert_eq!(record.closed(), None);
    assert_eq!((record.damaged(), record.unkept()), (&[][..], 0));
    for found in record.recent().iter().chain(record.first()) {
        let number = found.numbers[0].1 as u32;
        assert_eq!(found.to_string(), printed(number, found.sequence));
    }
    // A thread is in the middle of one violation at most, or between counting it and beginning it.
    let unfinished = record.unfinished();
    let sequences = record.recent().iter().map(|found| found.sequence);
    let known: Vec<u64> = sequences.chain(unfinished.iter().copied()).collect();
    let window = record.total().saturating_sub(63).max(1)..=record.total();
    let missing = window.filter(|sequence| !known.contains(sequence)).count();
    // The thread with the first violation may be held up before it wrote it, while others go on.
    let first = record.first().map(|first| first.sequence);
    let is_first_whole = record.recent().iter().any(|found| found.sequence == 1);
    assert!(first == Some(1) || first.is_none() && !is_first_whole);
    let is_known = unfinished.contains(&1);
    let is_first_alone = first.is_none() && record.total() > 64 && !is_known;
    let in_the_middle = unfinished.len() + missing + usize::from(is_first_alone);
    assert!(in_the_middle as u64 <= THREADS, "{record}");
    let counted: u64 = record.counts().iter().map(|(_, count)| count).sum();
    assert!(counted <= record.total() && counted + THREADS >= record.total());
}

#[test]
fn a_process_that_is_killed_leaves_all_that_it_had_written() {
    if let Some(path) = is_child() {
        return report_for_ever(&path);
    }
    let path = fresh("killed");
    for kill in 0..KILLS {
        let mut child = spawn(NAME, &path);
        let mut progress = child.stdout.take().unwrap();
        // The harness says what it runs before the first violation, in other letters.
        let mut byte = [0];
        while byte != *b"#" {
            progress.read_exact(&mut byte).unwrap();
        }
        // Some of the first violations, some of the first laps of the ring.
        let further = (kill * kill * 3) as u64;
        let read = io::copy(&mut progress.by_ref().take(further), &mut io::sink());
        assert_eq!(read.unwrap(), further);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let record = previous_record(&path).unwrap().unwrap();
        assert_eq!(record.process(), child.id());
        assert_right(&record, 1 + further);
    }
}
