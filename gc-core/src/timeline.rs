//! What happened when: cycles, their phases, handshakes and answers, violations, for trace viewers.
//!
//! A heap has a timeline only if the builder was asked for one. Whoever takes part in a cycle posts
//! moments of fixed size in memory set aside at birth, without a lock; so does whoever finds a
//! violation. A delivery, holding nothing of the heap, brings them into a list of bounded length, or into
//! a file. What finds no room is lost and counted. Invariant: a phase lies within its cycle, to the
//! nanosecond. Deliberately absent: any reader; the clock readings are those of the tally.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, TryLockError};
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use gc_hooks::sync::{Mutex, MutexGuard, thread_token};
use gc_hooks::{Check, Phase, Severity, Violation};

use crate::request::Handshake;

mod write;

use write::{Micros, ROW_CYCLE, write_head};

/// Moments that wait for a delivery at most: those of some tens of cycles.
const WAITING_MAX: usize = 2048;

/// A stretch of time, in nanoseconds since the heap was built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    begun_ns: u64,
    ended_ns: u64,
}

/// Something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// A cycle, with the reason if it was voided and the bytes it freed if not.
    Cycle {
        cycle: u32,
        at: Stretch,
        voided: Option<&'static str>,
        bytes_freed: u64,
    },
    /// A stretch of a cycle that was spent in a phase.
    Phase {
        cycle: u32,
        phase: Phase,
        at: Stretch,
    },
    /// From the question to the last answer.
    Handshake {
        cycle: u32,
        handshake: Handshake,
        at: Stretch,
    },
    /// What one mutator spent on its answer.
    Answer {
        cycle: u32,
        thread: u64,
        at: Stretch,
    },
    Violation {
        check: Check,
        severity: Severity,
        sequence: u64,
        cycle: u32,
        thread: u64,
        at_ns: u64,
    },
    /// How much the heap holds.
    Level {
        bytes_live: u64,
        bytes_goal: u64,
        bytes_quarantined: u64,
        at_ns: u64,
    },
}

/// The trace could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The builder was not asked to [keep a trace](crate::Builder::trace_events).
    #[error("the heap keeps no trace: ask for it with `Builder::trace_events`")]
    NotKept,
    /// The writer said no.
    #[error("the trace could not be written: {0}")]
    Write(#[from] io::Error),
}

/// Where moments go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wanted {
    /// So many stay in memory; zero for none.
    pub(crate) kept_max: usize,
    pub(crate) file: Option<PathBuf>,
}

impl Wanted {
    pub(crate) fn is_nothing(&self) -> bool {
        self.kept_max == 0 && self.file.is_none()
    }
}

/// What was brought in.
struct Book {
    kept_max: usize,
    kept: VecDeque<Moment>,
    /// Until it is closed, or fails.
    file: Option<(PathBuf, BufWriter<File>)>,
}

/// See the module.
pub(crate) struct Timeline {
    heap: &'static str,
    born: Instant,
    waiting: ArrayQueue<Moment>,
    lost: AtomicU64,
    book: Mutex<Book>,
}

impl Timeline {
    /// A timeline that begins now.
    ///
    /// # Errors
    ///
    /// The file cannot be created or written.
    pub(crate) fn open(heap: &'static str, wanted: Wanted) -> io::Result<Self> {
        let mut file = None;
        if let Some(path) = wanted.file {
            let mut out = BufWriter::new(File::create(&path)?);
            write_head(&mut out, heap)?;
            out.flush()?;
            file = Some((path, out));
        }
        Ok(Timeline {
            heap,
            born: Instant::now(),
            waiting: ArrayQueue::new(WAITING_MAX),
            lost: AtomicU64::new(0),
            book: Mutex::new(Book {
                kept_max: wanted.kept_max,
                kept: VecDeque::new(),
                file,
            }),
        })
    }

    /// Nanoseconds from the heap's birth to a moment.
    pub(crate) fn ns(&self, moment: Instant) -> u64 {
        let age = moment.saturating_duration_since(self.born);
        u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn stretch(&self, begun: Instant, ended: Instant) -> Stretch {
        Stretch {
            begun_ns: self.ns(begun),
            ended_ns: self.ns(ended),
        }
    }

    /// Leaves a moment for whoever delivers next. No lock, no allocation.
    pub(crate) fn post(&self, moment: Moment) {
        if self.waiting.push(moment).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A mutator has answered.
    pub(crate) fn post_answer(&self, cycle: u32, begun: Instant) {
        self.post(Moment::Answer {
            cycle,
            thread: thread_token(),
            at: self.stretch(begun, Instant::now()),
        });
    }

    /// A violation was found on this thread. Called by the recorder, under whatever it holds.
    pub(crate) fn post_violation(&self, violation: &Violation) {
        self.post(Moment::Violation {
            check: violation.check,
            severity: violation.severity(),
            sequence: violation.sequence,
            cycle: violation.cycle,
            thread: thread_token(),
            at_ns: self.ns(Instant::now()),
        });
    }

    /// Brings in what waits, unless another thread is at it.
    #[inline]
    pub(crate) fn bring_in(&self) {
        if !self.waiting.is_empty() {
            match self.book.try_lock() {
                Ok(mut book) => self.bring_into(&mut book),
                Err(TryLockError::Poisoned(poisoned)) => {
                    self.bring_into(&mut poisoned.into_inner())
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }

    #[cold]
    fn bring_into(&self, book: &mut Book) {
        // So many, that a flood keeps nobody for ever.
        for _ in 0..WAITING_MAX {
            let Some(moment) = self.waiting.pop() else {
                break;
            };
            if book.kept_max > 0 {
                if book.kept.len() == book.kept_max {
                    book.kept.pop_front();
                }
                book.kept.push_back(moment);
            }
            book.write(|out| {
                out.write_all(b",\n")?;
                moment.write(out)
            });
        }
        book.write(|out| out.flush());
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is kept in memory, as a whole file.
    pub(crate) fn write(&self, out: &mut (impl Write + ?Sized)) -> Result<(), TraceError> {
        let kept = {
            let mut book = self.lock();
            if book.kept_max == 0 {
                return Err(TraceError::NotKept);
            }
            self.bring_into(&mut book);
            book.kept.clone()
        };
        let mut out = BufWriter::new(out);
        write_head(&mut out, self.heap)?;
        for moment in kept {
            out.write_all(b",\n")?;
            moment.write(&mut out)?;
        }
        self.write_end(&mut out)?;
        out.flush()?;
        Ok(())
    }

    /// What was lost, and the end of the array.
    fn write_end(&self, out: &mut impl Write) -> io::Result<()> {
        let lost = self.lost.load(Ordering::Relaxed);
        let at = Micros(self.ns(Instant::now()));
        write!(
            out,
            ",\n{{\"name\":\"end of trace\",\"cat\":\"heap\",\"ph\":\"i\",\"s\":\"p\",\"ts\":{at},\"pid\":1,\"tid\":{ROW_CYCLE},\"args\":{{\"moments_lost\":{lost}}}}}\n]\n"
        )
    }

    /// Ends the file: the heap ends.
    pub(crate) fn close(&self) {
        let mut book = self.lock();
        self.bring_into(&mut book);
        book.write(|out| {
            self.write_end(out)?;
            out.flush()
        });
        book.file = None;
    }
}

impl Book {
    /// Writes into the file, if there is one. One that fails is given up, and that is said.
    fn write(&mut self, f: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Some((path, out)) = &mut self.file else {
            return;
        };
        if let Err(error) = f(out) {
            tell_failure(path, &error);
            self.file = None;
        }
    }
}

#[cold]
fn tell_failure(path: &Path, error: &io::Error) {
    eprintln!(
        "softfail: trace file {}: {error}; the trace ends here",
        path.display()
    );
}
