//! The busy condition in a child process that is stopped and continued.
//!
//! A stop longer than the deadline of a handshake looks, to a clock, as if a mutator had not
//! answered. The child is the same program; what it found comes back as the JSON line that it writes
//! for its condition.

use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Condition, Finding, report};
use crate::error::Error;
use crate::rng::Rng;

/// Every tenth stop is longer than a mutator may take to answer.
const STOP_LONG: Duration = Duration::from_millis(1_300);
const STOP_SHORT_MAX_MS: u64 = 60;
const RUN_MAX_MS: u64 = 150;

pub(super) fn run(seed: u64, objects: u64) -> Result<Finding, Error> {
    let mut child = Command::new(env::current_exe()?)
        .args(["controls", "--only", Condition::Busy.id(), "--json"])
        .args([
            "--seed",
            &seed.to_string(),
            "--objects",
            &objects.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let (told, is_told) = mpsc::channel();
    let Some(mut out) = child.stdout.take() else {
        return Err(Error::Child("it has no output".to_string()));
    };
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let read = out.read_to_string(&mut text);
        // Nobody waits any more only when the parent has failed.
        let _parent_gone = told.send(());
        read.map(|_| text)
    });
    let stops = stop_and_continue(&child, seed, &is_told);
    let status = child.wait()?;
    let text = reader
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let finding = report::read_finding(&text)
        .ok_or_else(|| Error::Child(format!("it ended with {status} and told no finding")))?;
    Ok(Finding {
        condition: Condition::Stopped,
        stops: stops?,
        ..finding
    })
}

/// Until the child has told everything. It is running again when this returns.
fn stop_and_continue(child: &Child, seed: u64, is_told: &mpsc::Receiver<()>) -> Result<u64, Error> {
    let pid = Pid::from_child(child);
    let mut rng = Rng::for_purpose(seed, "stops");
    let mut stops = 0;
    loop {
        let run = Duration::from_millis(1 + rng.below(RUN_MAX_MS));
        if is_told.recv_timeout(run) != Err(RecvTimeoutError::Timeout) {
            return Ok(stops);
        }
        let stop = if stops % 10 == 0 {
            STOP_LONG
        } else {
            Duration::from_millis(1 + rng.below(STOP_SHORT_MAX_MS))
        };
        // The child is waited for by nobody yet, so its number is its own even when it has ended.
        kill_process(pid, Signal::STOP).map_err(std::io::Error::from)?;
        thread::park_timeout(stop);
        kill_process(pid, Signal::CONT).map_err(std::io::Error::from)?;
        stops += 1;
    }
}
