//! The durable record: what a heap found, in a file that outlives its process.
//!
//! Owns the file of a living heap ([`HealthRecord`]) and the way to what an earlier process left
//! ([`previous_record`]). Created once, before the heap; written by `Hooks::report` from any thread in any
//! phase, after the books in memory; closed by the heap's end. The file is mapped shared, so what was
//! stored is in the system's hands, and a process that is killed between two instructions loses nothing
//! that it had stored. Nothing is brought to the disk by force after the creation: a machine that goes
//! down loses what the system had not written yet.
//!
//! Invariants: one writer a file, in all processes; the room on the disk is set aside beforehand; a file
//! that was cut short or removed is noticed before it is written to, the failure told once, and nothing
//! written from then on; a child of `fork` writes nothing. Deliberately absent: promises against somebody
//! who cuts the file short in the very instant in which it is written to.
//!
//! The modules below stand in the order of their imports: `layout` the schema, `words` the mapping,
//! `writer` the order of stores, `told` and `reader` the way back, `files` the file system.

mod layout;

mod error;

mod words;

mod writer;

mod utc;

mod told;

mod reader;

#[cfg(feature = "fault-inject")]
pub mod fault;

mod files;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

#[cfg(all(test, not(any(loom, shuttle))))]
mod interleaved_tests;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::check::Check;
use crate::violation::Violation;

use layout::{COUNTERS, FILE_BYTES, Keep, MAGIC, SLOTS, checksum, header, put, put_text, summary};
use words::{Mapped, Words};

pub use error::{FileCall, RecordError, Section};
pub use layout::SCHEMA;
pub use told::{CallSite, PreviousRecord, RecordedViolation, Tail};
pub use utc::Utc;

/// Why nothing is written to a record any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    cause: Cause,
    errno: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Cause {
    Uncreated,
    Truncated,
    Removed,
    Forked,
    Refused,
}

impl Cause {
    const ALL: [Cause; 5] = [
        Cause::Uncreated,
        Cause::Truncated,
        Cause::Removed,
        Cause::Forked,
        Cause::Refused,
    ];

    const fn reason(self) -> &'static str {
        match self {
            Cause::Uncreated => "record could not be created",
            Cause::Truncated => "file was truncated",
            Cause::Removed => "file was removed",
            Cause::Forked => "record belongs to the parent process",
            Cause::Refused => "file call was refused",
        }
    }
}

impl Failure {
    /// The failure to create a record.
    pub(crate) fn uncreated(error: &RecordError) -> Failure {
        let errno = match error {
            RecordError::File { errno, .. } => errno.unsigned_abs(),
            _ => 0,
        };
        Failure {
            cause: Cause::Uncreated,
            errno,
        }
    }

    /// What is wrong, in a few words.
    pub(crate) fn reason(self) -> &'static str {
        self.cause.reason()
    }

    /// The report of it.
    pub(crate) fn violation(self) -> Violation {
        let violation = Violation::new(Check::RecordFailed).with_reason(self.reason());
        match self.errno {
            0 => violation,
            errno => violation.with_number("errno", u64::from(errno)),
        }
    }

    /// As a word that is not zero.
    const fn packed(self) -> u64 {
        (self.cause as u64 + 1) << 32 | self.errno as u64
    }

    fn unpacked(word: u64) -> Option<Failure> {
        let index = usize::try_from((word & !UNTOLD) >> 32)
            .ok()?
            .checked_sub(1)?;
        let cause = Cause::ALL.get(index).copied()?;
        Some(Failure {
            cause,
            errno: word as u32,
        })
    }
}

/// The bit of a failure that nobody was told of yet.
const UNTOLD: u64 = 1 << 63;

/// The record of one living heap. Made before the heap and given to
/// [`Hooks::with_record`](crate::Hooks::with_record).
pub struct HealthRecord {
    path: PathBuf,
    words: Mapped,
    /// The mapped file, to ask what has become of it.
    file: File,
    /// Locked from birth to `close`.
    lock: File,
    /// The process that may write. Written at birth.
    process: u32,
    /// Set once, by `close`.
    is_closed: AtomicBool,
    /// 0 while all is well, else the first failure, with a bit that is taken away when it is told.
    failure: AtomicU64,
}

impl HealthRecord {
    /// Creates the record of a heap of this name. A record that has the path's name is kept beside it,
    /// as `path.previous`; the one that was kept there is gone. `path.lock` stays for ever.
    ///
    /// # Errors
    ///
    /// Another heap writes to the record; the path names a file that is no record; the system refuses a
    /// call, as for want of room on the disk. Nothing has changed then, save that a record may have been
    /// moved to `path.previous`.
    pub fn create(path: impl Into<PathBuf>, heap: &str) -> Result<HealthRecord, RecordError> {
        let path = path.into();
        let lock = files::lock(&path)?;
        match make(&path, heap) {
            Ok((file, words)) => Ok(HealthRecord {
                path,
                words,
                file,
                lock,
                process: process::id(),
                is_closed: AtomicBool::new(false),
                failure: AtomicU64::new(0),
            }),
            Err(error) => {
                // As in `HealthRecord::unlock`.
                files::unlock(&lock);
                Err(error)
            }
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a violation that has its sequence number, unless the record has failed.
    pub(crate) fn write(&self, violation: &Violation, suppressed: u64) {
        if let Some(words) = self.writable() {
            writer::write(words, violation, now_ms(), suppressed);
        }
    }

    /// Writes that health turned.
    pub(crate) fn mark_unhealthy(&self) {
        if let Some(words) = self.writable() {
            words.claim(summary::UNHEALTHY_MS, 0, now_ms());
        }
    }

    /// Writes that the heap ends in order, and lets others write to the path. Called by the last who
    /// could report anything.
    pub(crate) fn close(&self, suppressed: u64) {
        if let Some(words) = self.writable() {
            words.raise(summary::SUPPRESSED, suppressed);
            words.publish(summary::CLOSED_MS, now_ms());
        }
        self.is_closed.store(true, Relaxed);
        self.unlock();
    }

    /// To close the lock file is not enough while another thread starts a process, which has it too.
    fn unlock(&self) {
        // A child of `fork` shares the lock and has no say in it.
        if self.process == process::id() {
            files::unlock(&self.lock);
        }
    }

    /// Whether there is a failure that nobody has asked after.
    #[inline]
    pub(crate) fn has_failure_untold(&self) -> bool {
        self.failure.load(Relaxed) & UNTOLD != 0
    }

    /// The first failure, to the first who asks after it.
    pub(crate) fn failure_untold(&self) -> Option<Failure> {
        if !self.has_failure_untold() {
            return None;
        }
        let before = self.failure.fetch_and(!UNTOLD, Relaxed);
        (before & UNTOLD != 0)
            .then(|| Failure::unpacked(before))
            .flatten()
    }

    /// The words, while they may be written to: asked before every write, since a store behind the end
    /// of a file that was cut short would end the process.
    fn writable(&self) -> Option<&Mapped> {
        if self.is_closed.load(Relaxed) || self.failure.load(Relaxed) != 0 {
            return None;
        }
        let (cause, errno) = if process::id() != self.process {
            (Cause::Forked, 0)
        } else {
            match files::state_of(&self.file) {
                Ok((bytes, _)) if bytes < FILE_BYTES as u64 => (Cause::Truncated, 0),
                Ok((_, 0)) => (Cause::Removed, 0),
                Ok(_) => return Some(&self.words),
                Err(errno) => (Cause::Refused, errno.unsigned_abs()),
            }
        };
        let failure = Failure { cause, errno }.packed() | UNTOLD;
        // A second failure says nothing that the first one does not.
        let _ = self.failure.compare_exchange(0, failure, Relaxed, Relaxed);
        None
    }
}

/// Without `close` the record stays that of a heap that did not end in order.
impl Drop for HealthRecord {
    fn drop(&mut self) {
        self.unlock();
    }
}

impl fmt::Debug for HealthRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HealthRecord")
            .field("path", &self.path)
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}

/// Makes the file of a locked record, and maps it.
fn make(path: &Path, heap: &str) -> Result<(File, Mapped), RecordError> {
    files::refuse_foreign(path)?;
    let file = files::create(path, &blank(heap))?;
    let words = files::map(path, &file)?;
    files::put_in_place(path)?;
    Ok((file, words))
}

/// A record of which nothing is known but whose it is.
fn blank(heap: &str) -> Vec<u8> {
    const { assert!(Check::COUNT <= COUNTERS) };
    let mut bytes = vec![0; FILE_BYTES];
    let record = bytes.as_mut_slice();
    put(record, header::MAGIC, MAGIC);
    put(record, header::SCHEMA, SCHEMA);
    put(record, header::FILE_BYTES, FILE_BYTES as u64);
    put(record, header::ENTRY_BYTES, layout::entry::BYTES as u64);
    put(record, header::SLOTS, SLOTS as u64);
    put(record, header::CHECKS, Check::COUNT as u64);
    put(record, header::PROCESS, u64::from(process::id()));
    put(record, header::PROCESS_TICKS, own_ticks());
    put(record, header::STARTED_MS, now_ms());
    put_text(record, header::HEAP, heap, Keep::Head);
    put_text(
        record,
        header::VERSION,
        env!("CARGO_PKG_VERSION"),
        Keep::Head,
    );
    for (index, check) in Check::ALL.iter().enumerate() {
        put_text(record, header::check_id(index), check.id(), Keep::Head);
    }
    let sum = checksum(&record[..header::CHECKSUM]);
    put(record, header::CHECKSUM, sum);
    bytes
}

/// The time of day, never 0.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = since.map_or(1, |since| since.as_millis().max(1));
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

/// When this process started, in ticks since the machine did; 0 where the system does not say.
fn own_ticks() -> u64 {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else {
        return 0;
    };
    // The name of the program stands in parentheses and may hold anything. The 22nd field is the 20th
    // behind it.
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let field = behind_name.split_whitespace().nth(19);
    field.and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// What the process before this one left at a path. The answer is the same before and after this
/// process starts a heap that writes there.
///
/// A record of this very process is passed over: with several heaps one after the other on the same
/// path, the answer is the record of the heap before the newest.
///
/// # Errors
///
/// The file cannot be read, or is not a record that this version can read.
pub fn previous_record(path: impl AsRef<Path>) -> Result<Option<PreviousRecord>, RecordError> {
    let path = path.as_ref();
    if let Some(bytes) = files::read(path, FILE_BYTES)? {
        let own = (u64::from(process::id()), own_ticks());
        if !reader::is_record(&bytes) || reader::writer_of(&bytes) != own {
            return reader::read(path, &bytes).map(Some);
        }
    }
    let previous = files::previous_of(path);
    match files::read(&previous, FILE_BYTES)? {
        Some(bytes) => reader::read(&previous, &bytes).map(Some),
        None => Ok(None),
    }
}

/// Where the record that had this path before is kept.
pub(crate) fn previous_path(path: &Path) -> PathBuf {
    files::previous_of(path)
}

impl PreviousRecord {
    /// Reads the record in a file, also while its heap lives.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a record that this version can read.
    pub fn read(path: impl AsRef<Path>) -> Result<PreviousRecord, RecordError> {
        let path = path.as_ref();
        match files::read(path, FILE_BYTES)? {
            Some(bytes) => reader::read(path, &bytes),
            None => Err(RecordError::File {
                call: FileCall::Open,
                path: path.to_path_buf(),
                errno: files::ENOENT,
            }),
        }
    }
}
