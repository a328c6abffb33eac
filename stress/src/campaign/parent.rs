//! Starts a child, reads what it writes, ends it when it hangs, and says how it ended.
//!
//! Called by the workers of a campaign, one child at a time each. The child may write anything, stop in
//! the middle of a line, write without end, close its output and go on, or never write and never end;
//! all of that comes back as a [`Transcript`]. A child hangs that is silent for the deadline, of which
//! the time between two looks counts up to a limit only: neither a busy machine nor one that stood
//! still makes a child hang that goes on with its work. Invariant: no child outlives the call.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gc_core::fault::BLIND_VARIABLE;

use super::options::Options;
use super::wire::{self, Line};

/// Bytes of output after which a child is ended.
const OUTPUT_BYTES_MAX: usize = 32 << 20;
/// Bytes of standard error that are kept.
const STDERR_BYTES_MAX: usize = 64 << 10;

/// Between two looks at a child that is silent, and at one whose output is closed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOK_AT_END: Duration = Duration::from_micros(100);
/// The most that the time between two looks counts for.
const GAP_MAX: Duration = Duration::from_millis(50);
/// Bytes that are read at a time.
const PART_BYTES: usize = 64 << 10;

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    /// It was silent for too long, or it wrote without end.
    Killed,
}

/// Everything that is known of a child.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Transcript {
    pub(crate) lines: Vec<Line>,
    /// Lines that could not be read.
    pub(crate) garbage: u64,
    pub(crate) stderr: String,
    pub(crate) exit: Exit,
}

/// The signals by which a terminal, a cluster or a person tells processes to end.
const SIGNALS_TO_END: [i32; 2] = [2, 15];

impl Transcript {
    /// Whether somebody told the child to end, which nothing in a case does.
    pub(crate) fn was_told_to_end(&self) -> bool {
        matches!(self.exit, Exit::Signal(signal) if SIGNALS_TO_END.contains(&signal))
    }
}

/// Runs the child of a case.
pub(crate) fn run(options: &Options, index: u64) -> io::Result<Transcript> {
    let mut command = Command::new(&options.program);
    command.arg("campaign-case").arg(index.to_string());
    command.arg("--seed").arg(options.seed.to_string());
    if let Some(check) = options.blind {
        command.arg("--blind").arg(check.id());
    }
    if options.is_apart {
        command.process_group(0);
    }
    observe(command, options.deadline)
}

/// Runs a command and reads what it says until it ends or hangs.
fn observe(mut command: Command, deadline: Duration) -> io::Result<Transcript> {
    let mut child = command
        .env_remove("GC_POLICY")
        .env_remove("GC_CHECKS")
        .env_remove(BLIND_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, receiver) = mpsc::channel();
    let stdout = child
        .stdout
        .take()
        .map(|pipe| collect(pipe, OUTPUT_BYTES_MAX, sender.clone()));
    let stderr = child
        .stderr
        .take()
        .map(|pipe| collect(pipe, STDERR_BYTES_MAX, sender));
    let (status, is_killed) = attend(&mut child, &receiver, deadline)?;
    let bytes = |reader: Option<JoinHandle<Vec<u8>>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    let (mut lines, mut garbage) = (Vec::new(), 0);
    let (output, errors) = (bytes(stdout), bytes(stderr));
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        match wire::read(line) {
            Some(line) => lines.push(line),
            None => garbage += 1,
        }
    }
    Ok(Transcript {
        lines,
        garbage,
        stderr: String::from_utf8_lossy(&errors).into_owned(),
        exit: match (is_killed, status.code(), status.signal()) {
            (true, ..) => Exit::Killed,
            (false, Some(code), _) => Exit::Code(code),
            (false, None, signal) => Exit::Signal(signal.unwrap_or_default()),
        },
    })
}

/// What is heard of a pipe.
enum Heard {
    Bytes,
    /// It has ended.
    End,
    /// There is too much of it.
    Flood,
}

/// Reads a pipe to its end on a thread of its own, and says so as it goes; too much is an end too.
fn collect(
    mut pipe: impl Read + Send + 'static,
    bytes_max: usize,
    heard: Sender<Heard>,
) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut bytes, mut part) = (Vec::new(), vec![0; PART_BYTES]);
        let last = loop {
            match pipe.read(&mut part) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A pipe that cannot be read on has ended.
                Ok(0) | Err(_) => break Heard::End,
                Ok(read) => bytes.extend_from_slice(&part[..read]),
            }
            if bytes.len() >= bytes_max {
                bytes.truncate(bytes_max);
                break Heard::Flood;
            }
            // Nobody listens once the child is ended.
            let _ = heard.send(Heard::Bytes);
        };
        let _ = heard.send(last);
        bytes
    })
}

/// How long a child has been silent.
struct Silence {
    lasted: Duration,
    looked_at: Instant,
}

impl Silence {
    fn from(now: Instant) -> Self {
        Silence {
            lasted: Duration::ZERO,
            looked_at: now,
        }
    }

    /// Looks once more.
    fn look(&mut self, now: Instant) -> Duration {
        self.lasted += now.duration_since(self.looked_at).min(GAP_MAX);
        self.looked_at = now;
        self.lasted
    }
}

/// Waits until both pipes have ended and the child has, or it hangs.
fn attend(
    child: &mut Child,
    heard: &Receiver<Heard>,
    deadline: Duration,
) -> io::Result<(ExitStatus, bool)> {
    let (mut silence, mut pipes) = (Silence::from(Instant::now()), 2);
    while pipes > 0 {
        match heard.recv_timeout(LOOK_AGAIN) {
            Ok(Heard::Bytes) => silence = Silence::from(Instant::now()),
            Ok(Heard::End) => pipes -= 1,
            Ok(Heard::Flood) => return kill(child),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if silence.look(Instant::now()) >= deadline => {
                return kill(child);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    // Its output is closed: it has ended, or is about to.
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if silence.look(Instant::now()) >= deadline {
            return kill(child);
        }
        std::thread::park_timeout(LOOK_AT_END);
    }
}

fn kill(child: &mut Child) -> io::Result<(ExitStatus, bool)> {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    Ok((child.wait()?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> Transcript {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        observe(command, deadline).unwrap()
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn lines_are_read_and_garbage_is_counted() {
        let seen = shell(
            r#"echo '{"event":"at","op":3}'; echo garbage; printf '\377\000\n'; printf '{"event":"at","op":4'; echo oops >&2; exit 7"#,
            PATIENCE,
        );
        assert_eq!(seen.lines, [Line::At { op: 3 }]);
        assert_eq!((seen.garbage, seen.exit), (3, Exit::Code(7)));
        assert_eq!(seen.stderr, "oops\n");
    }

    #[test]
    fn a_signal_is_told_from_an_exit() {
        assert_eq!(shell("kill -ABRT $$", PATIENCE).exit, Exit::Signal(6));
        assert_eq!(shell("kill -SEGV $$", PATIENCE).exit, Exit::Signal(11));
        assert_eq!(shell("exit 0", PATIENCE).exit, Exit::Code(0));
        assert!(shell("kill -TERM $$", PATIENCE).was_told_to_end());
        assert!(!shell("kill -ABRT $$", PATIENCE).was_told_to_end());
    }

    #[test]
    fn a_child_that_does_not_end_is_ended() {
        let short = Duration::from_millis(100);
        assert_eq!(shell("exec sleep 1000", short).exit, Exit::Killed);
        let silent = "exec sleep 1000 >/dev/null 2>&1";
        assert_eq!(shell(silent, short).exit, Exit::Killed);
    }

    #[test]
    fn silence_is_what_was_listened_to() {
        let begun = Instant::now();
        let mut silence = Silence::from(begun);
        assert_eq!(silence.look(begun + LOOK_AGAIN), LOOK_AGAIN);
        let woken = begun + Duration::from_secs(600);
        assert_eq!(silence.look(woken), LOOK_AGAIN + GAP_MAX);
        assert_eq!(silence.look(woken + LOOK_AGAIN), LOOK_AGAIN * 2 + GAP_MAX);
    }

    #[test]
    fn a_child_that_writes_without_end_is_ended() {
        let seen = shell("exec yes garbage", PATIENCE);
        assert_eq!(seen.exit, Exit::Killed);
        assert!(seen.garbage > 0 && seen.lines.is_empty());
    }
}
