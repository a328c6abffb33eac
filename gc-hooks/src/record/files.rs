//! The files of a record: its own, the one before it, and the lock.
//!
//! Owns every call to the file system. Called at the birth of a heap, by readers, and by recorders for
//! the one question that is asked of an open file. Invariants: a record gets its name when it is whole,
//! and the one that had the name before keeps another; a call that fails is answered with its file and
//! error number. With the feature `fault-inject` the n-th call can be made to fail. Deliberately
//! absent: what stands in the files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;

use super::error::{FileCall, RecordError};
#[cfg(feature = "fault-inject")]
use super::fault::strike;
use super::layout::WORD_BYTES;
use super::reader::is_record;
use super::words::Mapped;

/// Readable by the group, so that a collector of reports need not be the same user.
const MODE: u32 = 0o640;

/// There is no such file.
pub(super) const ENOENT: i32 = 2;

/// An input or output error: what a failure without a number is taken for.
const EIO: i32 = 5;

/// Whether the call must fail; never, but with the feature `fault-inject`.
#[cfg(not(feature = "fault-inject"))]
#[inline(always)]
const fn strike(_call: FileCall) -> Option<i32> {
    None
}

/// Where the record that had the name before is kept.
pub(super) fn previous_of(path: &Path) -> PathBuf {
    beside(path, ".previous")
}

/// Whose lock says that somebody writes the record.
pub(super) fn lock_of(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// What a record is called until it is whole.
fn unnamed_of(path: &Path) -> PathBuf {
    beside(path, ".new")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn attempt<T>(
    call: FileCall,
    path: &Path,
    made: impl FnOnce() -> io::Result<T>,
) -> Result<T, RecordError> {
    let refused = match strike(call) {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => match made() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        },
    };
    Err(RecordError::File {
        call,
        path: path.to_path_buf(),
        errno: refused.raw_os_error().unwrap_or(EIO),
    })
}

/// Keeps all other writers of this record out, in every process, until the file is closed or unlocked.
pub(super) fn lock(path: &Path) -> Result<File, RecordError> {
    let lock = lock_of(path);
    let file = attempt(FileCall::Open, &lock, || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(MODE).open(&lock)
    })?;
    let taken = attempt(FileCall::Lock, &lock, || {
        Ok(rustix::fs::flock(
            &file,
            FlockOperation::NonBlockingLockExclusive,
        )?)
    });
    match taken {
        Ok(()) => Ok(file),
        Err(RecordError::File { errno, .. }) if errno == Errno::WOULDBLOCK.raw_os_error() => {
            Err(RecordError::InUse {
                path: path.to_path_buf(),
                lock,
            })
        }
        Err(error) => Err(error),
    }
}

/// Lets other writers in.
pub(super) fn unlock(lock: &File) {
    // Nobody is left to tell; at the latest the end of the process does it.
    let _ = rustix::fs::flock(lock, FlockOperation::Unlock);
}

/// Refuses to replace a file that is no record.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), RecordError> {
    match read(path, WORD_BYTES)? {
        Some(begin) if !begin.is_empty() && !is_record(&begin) => Err(RecordError::Foreign {
            path: path.to_path_buf(),
        }),
        _ => Ok(()),
    }
}

/// Makes a file with this content and room for all of it on the disk. It has no name yet that readers
/// look for.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<File, RecordError> {
    let unnamed = unnamed_of(path);
    // One is left behind by a process that died here. Whatever else stands in the way is refused below.
    let _ = fs::remove_file(&unnamed);
    let mut file = attempt(FileCall::Open, &unnamed, || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.mode(MODE).open(&unnamed)
    })?;
    let filled = fill(&mut file, &unnamed, content);
    if filled.is_err() {
        discard(path);
    }
    filled.map(|()| file)
}

fn fill(file: &mut File, unnamed: &Path, content: &[u8]) -> Result<(), RecordError> {
    attempt(FileCall::Allocate, unnamed, || {
        let bytes = content.len() as u64;
        match rustix::fs::fallocate(&*file, FallocateFlags::empty(), 0, bytes) {
            // Not every file system can; writing everything once then sets the room aside.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    })?;
    attempt(FileCall::Write, unnamed, || file.write_all(content))?;
    attempt(FileCall::Sync, unnamed, || file.sync_data())
}

/// Maps the new file.
pub(super) fn map(path: &Path, file: &File) -> Result<Mapped, RecordError> {
    let mapped = attempt(FileCall::Map, path, || Mapped::new(file));
    if mapped.is_err() {
        discard(path);
    }
    mapped
}

/// Takes back a file that will not get its name.
fn discard(path: &Path) {
    // What cannot be removed now is removed before the next one is made.
    let _ = fs::remove_file(unnamed_of(path));
}

/// Gives the new file its name, after the one that has it got another. Wherever this ends, the record
/// before is found under one of the two.
pub(super) fn put_in_place(path: &Path) -> Result<(), RecordError> {
    let moved = attempt(FileCall::Rename, path, || {
        match fs::rename(path, previous_of(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    });
    let named = moved.and_then(|()| {
        attempt(FileCall::Rename, path, || {
            fs::rename(unnamed_of(path), path)
        })
    });
    if named.is_err() {
        discard(path);
    }
    named
}

fn open(path: &Path) -> Result<Option<File>, RecordError> {
    attempt(FileCall::Open, path, || match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
}

/// What stands in a file, up to so many bytes. `None` when there is none.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, RecordError> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    attempt(FileCall::Read, path, || {
        file.take(bytes_max as u64).read_to_end(&mut bytes)
    })?;
    Ok(Some(bytes))
}

/// What an open file has become: its length, and by how many names it can be found.
pub(super) fn state_of(file: &File) -> Result<(u64, u64), i32> {
    if let Some(errno) = strike(FileCall::Stat) {
        return Err(errno);
    }
    match file.metadata() {
        Ok(metadata) => Ok((metadata.len(), metadata.nlink())),
        Err(error) => Err(error.raw_os_error().unwrap_or(EIO)),
    }
}
