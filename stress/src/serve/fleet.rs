//! The fleet guard: a fault that all instances share must not take all of them out at once.
//!
//! Two means. A random delay spreads those that turn together. A lease file, shared by the instances
//! of a machine or on a file system that has `flock`, lets one at a time be away: the instance that
//! leaves writes its name into it, and the process that takes its place under the same name clears it
//! when it gets requests again. Whoever does not get the lease stays in rotation, unhealthy, and goes on
//! serving, which a heap that fails soft can do.
//!
//! The file holds one line, `NAME UNTIL`, or nothing. `UNTIL` is the time, in milliseconds since 1970,
//! after which an instance that did not come back does not keep others waiting. Invariant: the file is
//! read and written under an exclusive `flock`, held for no longer than that.
//!
//! Used by the drain, on the runtime. Deliberately absent: machines that share no file system, which the
//! delay and the orchestrator's own budget are for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};

/// The lease of a fleet, as one instance sees it.
pub(super) struct Lease {
    path: PathBuf,
    instance: String,
    /// How long an instance may be away.
    away_max: Duration,
}

/// Who is away, and until when at the latest.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Away {
    instance: String,
    until_ms: u64,
}

impl Lease {
    /// # Errors
    ///
    /// The file cannot be opened or created, or holds something else.
    pub(super) fn new(path: &Path, instance: &str, away_max: Duration) -> io::Result<Self> {
        let lease = Lease {
            path: path.to_path_buf(),
            instance: instance.to_string(),
            away_max,
        };
        lease.with(|away| (None, away))?;
        Ok(lease)
    }

    /// Takes the lease, unless another instance is away.
    pub(super) fn take(&self) -> io::Result<bool> {
        let now_ms = now_ms();
        self.with(|away| match away {
            Some(away) if away.instance != self.instance && away.until_ms > now_ms => (None, false),
            _ => {
                let until_ms = now_ms + self.away_max.as_millis() as u64;
                let instance = self.instance.clone();
                (Some(Some(Away { instance, until_ms })), true)
            }
        })
    }

    /// Gives the lease back, if this instance has it: it is in rotation again.
    pub(super) fn give_back(&self) -> io::Result<()> {
        self.with(|away| match away {
            Some(away) if away.instance == self.instance => (Some(None), ()),
            _ => (None, ()),
        })
    }

    /// Reads the file under its lock, lets `change` decide, and writes what it says.
    fn with<R>(
        &self,
        change: impl FnOnce(Option<Away>) -> (Option<Option<Away>>, R),
    ) -> io::Result<R> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&self.path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let away = parse(&text).ok_or_else(|| self.foreign(&text))?;
        let (write, result) = change(away);
        if let Some(away) = write {
            rewrite(&mut file, away.as_ref())?;
        }
        Ok(result)
    }

    fn foreign(&self, text: &str) -> io::Error {
        let first: String = text.chars().take(40).collect();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "line 1: `{}` is no lease, which is NAME UNTIL",
                first.trim_end()
            ),
        )
    }
}

fn rewrite(file: &mut File, away: Option<&Away>) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    match away {
        Some(away) => writeln!(file, "{} {}", away.instance, away.until_ms),
        None => Ok(()),
    }
}

/// What a lease file says; `None` when it is none.
#[expect(
    clippy::option_option,
    reason = "no lease, and nobody away, are different answers"
)]
fn parse(text: &str) -> Option<Option<Away>> {
    if text.is_empty() {
        return Some(None);
    }
    let (instance, until_ms) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Some(Away {
        instance: instance.to_string(),
        until_ms: until_ms.parse().ok()?,
    }))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn path(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("softfail-lease-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    #[test]
    fn one_instance_at_a_time_is_away_and_its_successor_gives_the_lease_back() {
        let path = path("one");
        let lease = |name| Lease::new(&path, name, Duration::from_secs(3600)).unwrap();
        let (a, b) = (lease("a"), lease("b"));
        assert!(a.take().unwrap());
        assert!(!b.take().unwrap());
        assert!(a.take().unwrap(), "the same instance may take it again");
        b.give_back().unwrap();
        assert!(!b.take().unwrap(), "nobody gives back what another has");
        drop(a);
        let successor = lease("a");
        assert!(!b.take().unwrap(), "the process is gone and not yet back");
        successor.give_back().unwrap();
        assert!(b.take().unwrap());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_instance_that_does_not_come_back_keeps_nobody_waiting_for_ever() {
        let path = path("late");
        let lease = |name, away_max| Lease::new(&path, name, away_max).unwrap();
        assert!(lease("a", Duration::ZERO).take().unwrap());
        assert!(lease("b", Duration::from_secs(3600)).take().unwrap());
        assert!(!lease("a", Duration::ZERO).take().unwrap());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_lease_is_refused_and_left_alone() {
        let path = path("foreign");
        for text in ["hello\n", "a 12", "a soon\n"] {
            fs::write(&path, text).unwrap();
            let Err(error) = Lease::new(&path, "a", Duration::ZERO) else {
                panic!("{text}");
            };
            assert!(error.to_string().contains("is no lease"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(path).unwrap();
    }
}
