//! A second process that tells of the death of the first.
//!
//! A process that is killed cannot say so. The monitor is the same program, started again; it holds the
//! reading end of a pipe and does nothing until the pipe ends. If the watched process has said the word
//! of a clean end before, the monitor ends too. Otherwise it writes the tail of the durable record, as
//! text, where it was told to, and runs a command. [`start`] is called by the watched process on any
//! thread; [`run_if_child`] first thing in `main`, where the child never comes back from it.
//!
//! Invariants: the monitor has no descriptor of the watched process but standard error, and no memory of
//! it; it is in a process group of its own, so that a signal to the group of the watched process, as from
//! a terminal, does not reach it; it ends whenever the watched process ends. Deliberately absent: signal
//! handlers (a SIGTERM sent to the monitor itself ends it), starting the program again, and deadlines for
//! a process that lives and does nothing.

mod descriptors;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::SystemTime;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::record::{PreviousRecord, RecordError, Utc, previous_path};

/// Set in a monitor: the process that it watches, by its number. Also for the command.
pub const PROCESS_VARIABLE: &str = "GC_MONITOR_PROCESS";
/// Set in a monitor: the record that it will read. Also for the command: the record that was read.
pub const RECORD_VARIABLE: &str = "GC_MONITOR_RECORD";
/// Set in a monitor that reports to a file.
const REPORT_VARIABLE: &str = "GC_MONITOR_REPORT";
/// Set in a monitor and in nothing else: what it is to do once it is told to.
const CHILD_VARIABLE: &str = "GC_MONITOR_CHILD";

/// What a child says once it is a monitor.
const READY: &[u8] = b"softfail monitor 1\n";
/// The word of a clean end.
const ENDED: &[u8] = b"ended\n";
/// Longest wait for a child to say that it is a monitor.
const READY_WAIT: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// Newest violations in a report, beside the first.
const TAIL: usize = 8;

/// What a monitor is to do when the process it watches dies.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Settings {
    record: PathBuf,
    report: Option<PathBuf>,
    command: Vec<OsString>,
}

impl Settings {
    /// To tell what this record holds, on standard error. The record need not exist yet.
    pub fn new(record: impl Into<PathBuf>) -> Settings {
        Settings {
            record: record.into(),
            report: None,
            command: Vec::new(),
        }
    }

    /// Appends the report to this file instead.
    pub fn report_to(mut self, path: impl Into<PathBuf>) -> Settings {
        self.report = Some(path.into());
        self
    }

    /// Runs a program with these arguments afterwards, and waits for it. It finds the record in
    /// [`RECORD_VARIABLE`] and the number of the dead process in [`PROCESS_VARIABLE`]. No shell reads
    /// the arguments.
    pub fn run<A: Into<OsString>>(
        mut self,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Settings {
        self.command = vec![program.into()];
        self.command.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// A monitor could not be started, or did not end well.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The system refused the process, or a pipe to it.
    #[error("monitor: {0}")]
    Refused(#[from] io::Error),
    /// The process that was started is no monitor: its `main` does not begin with [`run_if_child`].
    #[error("monitor: the program did not become one: call `run_if_child` first in `main`")]
    NotFirst,
    /// The monitor had ended before it was told to.
    #[error("monitor: ended early: {0}")]
    EndedEarly(process::ExitStatus),
}

/// A monitor of this process. Dropping it is the word of a clean end, unless the thread panics.
#[derive(Debug)]
pub struct Monitor {
    child: Child,
}

/// Starts a monitor of this process, and waits until it is one.
///
/// # Errors
///
/// The system refuses it, or `main` does not begin with [`run_if_child`].
pub fn start(settings: &Settings) -> Result<Monitor, MonitorError> {
    if env::var_os(CHILD_VARIABLE).is_some() {
        return Err(MonitorError::NotFirst);
    }
    // The file this program was started from, even if another one has its name by now.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(&settings.command)
        .env(CHILD_VARIABLE, "1")
        .env(PROCESS_VARIABLE, process::id().to_string())
        .env(RECORD_VARIABLE, std::path::absolute(&settings.record)?)
        .env_remove(REPORT_VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    if let Some(report) = &settings.report {
        command.env(REPORT_VARIABLE, std::path::absolute(report)?);
    }
    let mut monitor = Monitor {
        child: command.spawn()?,
    };
    let answer = monitor.child.stdout.take().map(hear);
    if matches!(answer, Some(Ok(true))) {
        return Ok(monitor);
    }
    // It may be a program that goes on as if nothing were.
    monitor.child.kill()?;
    monitor.child.wait()?;
    match answer {
        Some(Err(error)) => Err(error.into()),
        _ => Err(MonitorError::NotFirst),
    }
}

/// Whether the child says that it is a monitor.
fn hear(mut stdout: ChildStdout) -> io::Result<bool> {
    let mut heard = [0; READY.len()];
    let mut length = 0;
    while length < READY.len() && READY.starts_with(&heard[..length]) {
        let mut waited = [PollFd::new(&stdout, PollFlags::IN)];
        if poll(&mut waited, Some(&READY_WAIT))? == 0 {
            return Ok(false);
        }
        match stdout.read(&mut heard[length..])? {
            0 => return Ok(false),
            read => length += read,
        }
    }
    Ok(heard == *READY)
}

impl Monitor {
    /// The number of the monitor's process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether the monitor still watches.
    pub fn is_watching(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Says the word of a clean end, and waits for the monitor to end. To be called before
    /// `process::exit`, which drops nothing.
    ///
    /// # Errors
    ///
    /// The monitor had ended before, or ended otherwise than it should.
    pub fn end(mut self) -> Result<(), MonitorError> {
        let status = self.say_ended()?;
        if status.success() {
            Ok(())
        } else {
            Err(MonitorError::EndedEarly(status))
        }
    }

    fn say_ended(&mut self) -> io::Result<process::ExitStatus> {
        if let Some(mut pipe) = self.child.stdin.take() {
            // A monitor that is gone hears nothing; its status says so.
            let _ = pipe.write_all(ENDED);
        }
        self.child.wait()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if !thread::panicking() {
            // Nobody is left to tell.
            let _ = self.say_ended();
        }
    }
}

/// In a monitor: watches, reports and ends the process. In any other process: comes back at once. To be
/// called first thing in `main`, before anything is opened, read or started.
pub fn run_if_child() {
    if env::var_os(CHILD_VARIABLE).is_some() {
        descriptors::close_inherited();
        process::exit(watch());
    }
}

/// The life of a monitor. Answers its exit code.
fn watch() -> i32 {
    let mut heard = Vec::new();
    // Nobody listens when the watched process is gone already, which the pipe tells next.
    let _ = io::stdout()
        .write_all(READY)
        .and_then(|()| io::stdout().flush());
    let _ = io::stdin().lock().read_to_end(&mut heard);
    if heard == ENDED {
        return 0;
    }
    let (Some(record), Some(process)) = (
        env::var_os(RECORD_VARIABLE),
        env::var(PROCESS_VARIABLE)
            .ok()
            .and_then(|id| id.parse().ok()),
    ) else {
        return 1;
    };
    let found = find(Path::new(&record), process);
    let report = env::var_os(REPORT_VARIABLE);
    let text = Report {
        process,
        found: &found,
    };
    let is_told = tell(report.as_deref(), &text.to_string()).is_ok();
    let path = found
        .as_ref()
        .map_or(Path::new(&record), |found| found.path());
    let is_run = run_command(path, process);
    i32::from(!(is_told && is_run))
}

/// The record of the dead process: under its own name, or under the one it got when another process
/// was quicker to start than this one to read.
fn find(path: &Path, process: u32) -> Result<PreviousRecord, Lost> {
    let mut lost = Lost::Nothing;
    for path in [path.to_path_buf(), previous_path(path)] {
        match PreviousRecord::read(&path) {
            Ok(record) if record.process() == process => return Ok(record),
            Ok(_) => {}
            Err(RecordError::File { errno, .. })
                if errno == rustix::io::Errno::NOENT.raw_os_error() => {}
            Err(error) => lost = Lost::Unreadable(error),
        }
    }
    Err(lost)
}

/// Why there is no record to tell of.
enum Lost {
    Nothing,
    Unreadable(RecordError),
}

struct Report<'a> {
    process: u32,
    found: &'a Result<PreviousRecord, Lost>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, process) = (Utc(SystemTime::now()), self.process);
        writeln!(
            formatter,
            "softfail monitor: {now}: process {process} ended without a word"
        )?;
        match self.found {
            Ok(record) => writeln!(formatter, "{}", record.tail(TAIL)),
            Err(Lost::Nothing) => writeln!(formatter, "it left no violation record"),
            Err(Lost::Unreadable(error)) => writeln!(formatter, "{error}"),
        }
    }
}

/// Writes the report in one piece.
fn tell(report: Option<&OsStr>, text: &str) -> io::Result<()> {
    match report {
        None => io::stderr().write_all(text.as_bytes()),
        Some(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)?
            .write_all(text.as_bytes()),
    }
}

/// Runs the command, if there is one. Answers whether all went well.
fn run_command(record: &Path, process: u32) -> bool {
    let mut arguments = env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        return true;
    };
    let status = Command::new(&program)
        .args(arguments)
        .env_remove(CHILD_VARIABLE)
        .env_remove(REPORT_VARIABLE)
        .env(RECORD_VARIABLE, record)
        .env(PROCESS_VARIABLE, process.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("softfail monitor: {}: {error}", program.display());
            false
        }
    }
}
