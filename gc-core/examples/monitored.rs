//! A process that is killed, what its monitor tells, and what the next start finds.
//!
//! ```sh
//! cargo run -p gc-core --example monitored -- heap.record     # run, then: kill -9, and run again
//! cargo run -p gc-core --example monitored -- --self-check    # do all of that, exit 0
//! ```
//!
//! The program writes what its heap finds into a durable record. At the start it tells what the process
//! before it left there. A monitor, the same program once more, waits for the end of this one and appends
//! the tail of the record to `heap.record.report` unless the end was in order.
//!
//! `--self-check` breaks an invariant of the heap (see the example `policy` for how), kills the process
//! by SIGKILL, and looks at what is left.
#![allow(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use gc_core::monitor::{self, Settings};
use gc_core::raw::{self, RawGc};
use gc_core::{Check, Driver, Heap, Phase, Policy, PreviousRecord, Trace, previous_record};

type AnyError = Box<dyn Error>;

/// The number of SIGKILL.
const SIGKILL: i32 = 9;

/// Steps of one unit within which an empty cycle is marking.
const STEPS_TO_MARK_MAX: usize = 64;

#[derive(Trace)]
struct Reading {
    celsius: f64,
}

fn main() -> ExitCode {
    // First of all: in the monitor this call does not come back.
    monitor::run_if_child();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--self-check"] => self_check(),
        [record] if !record.starts_with('-') => serve(Path::new(record)),
        _ => {
            eprintln!("usage: monitored RECORD | --self-check");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("monitored: {error}");
            ExitCode::FAILURE
        }
    }
}

// ---- The program ----

/// Serves until standard input ends.
fn serve(record: &Path) -> Result<(), AnyError> {
    match previous_record(record) {
        Ok(None) => println!("no process was here before"),
        Ok(Some(before)) if before.closed().is_some() => {
            println!("the process before ended in order")
        }
        Ok(Some(before)) => println!("{}", before.tail(3)),
        // A report that cannot be read is no reason not to start.
        Err(error) => println!("{error}"),
    }
    let monitor = monitor::start(&Settings::new(record).report_to(report_of(record)))?;
    let heap = Heap::builder()
        .name("monitored")
        .driver(Driver::Manual)
        .policy(Policy::MARK_UNHEALTHY)
        .record_or_continue(record)
        .build()?;
    break_an_invariant(&heap)?;
    println!("serving, healthy: {}", heap.health().is_healthy());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(heap);
    monitor.end()?;
    Ok(())
}

fn report_of(record: &Path) -> PathBuf {
    let mut name = record.as_os_str().to_owned();
    name.push(".report");
    name.into()
}

fn break_an_invariant(heap: &Heap) -> Result<(), AnyError> {
    let mut mutator = heap.mutator();
    // The neighbour lives on, so the span stays and the dead object's slot is free within it.
    let (stale, neighbour) = mutator.enter(|scope| {
        let dying: RawGc = scope.alloc(Reading { celsius: 19.0 }).into_raw();
        (dying, scope.root(scope.alloc(Reading { celsius: 20.0 })))
    });
    heap.collect()?;
    heap.request_collect();
    for _ in 0..STEPS_TO_MARK_MAX {
        if heap.phase() == Phase::Mark {
            break;
        }
        heap.step(1)?;
    }
    mutator.enter(|scope| {
        // SAFETY: broken on purpose, and only so far as the heap contains: `stale` was never loaded
        // from an initialised word. The barrier reads the state byte of the address, which lies in
        // the heap's own side table, and touches neither the slot nor anything behind it.
        unsafe { raw::barrier(scope, Some(stale), None) };
    });
    heap.collect()?;
    let celsius = mutator.enter(|scope| scope.get(&neighbour).map(|reading| reading.celsius))?;
    ensure(celsius == 20.0, "the neighbour is intact")
}

// ---- The self-check ----

fn self_check() -> Result<(), AnyError> {
    let name = format!("softfail-monitored-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir(&directory)?;
    let checked = check(&directory.join("heap.record"));
    fs::remove_dir_all(&directory)?;
    checked
}

fn check(record: &Path) -> Result<(), AnyError> {
    let (mut first, told) = begin(record)?;
    ensure(
        told == "no process was here before\n",
        "there was no record",
    )?;
    println!("the first process found something and serves on");
    first.kill()?;
    ensure(end(&mut first)? == Some(SIGKILL), "it was killed")?;
    println!("it was killed by SIGKILL");

    let report = fs::read_to_string(report_of(record))?;
    for line in [
        "found bad pointer in heap (pointer to free slot)",
        "  check: free-pointer",
    ] {
        ensure(
            report.lines().any(|told| told == line),
            "the monitor told it",
        )?;
    }
    println!(
        "its monitor told of it: {}",
        words_behind_the_number(&report)
    );

    let left = previous_record(record)?.ok_or("there is no record")?;
    ensure(
        left.process() == first.id(),
        "the record is that of the process",
    )?;
    ensure(left.closed().is_none(), "it did not end in order")?;
    ensure(
        (left.total(), left.count(Check::FreePointer)) == (1, 1),
        "one violation is in it",
    )?;
    println!(
        "its record has the violation: {}",
        left.first().ok_or("no first")?.first_line()
    );

    let (mut second, told) = begin(record)?;
    ensure(
        told.contains("found bad pointer in heap"),
        "the next start tells it",
    )?;
    println!("the next process found the record at its start");
    drop(second.stdin.take());
    ensure(end(&mut second)?.is_none(), "it ended by itself")?;
    ensure(
        PreviousRecord::read(record)?.closed().is_some(),
        "its record is closed",
    )?;
    ensure(
        fs::read_to_string(report_of(record))? == report,
        "its monitor told nothing",
    )?;
    println!("it ended in order, and its monitor had nothing to tell");
    Ok(())
}

/// What was told behind the time and the process.
fn words_behind_the_number(report: &str) -> &str {
    let first = report.lines().next().unwrap_or_default();
    first
        .rsplit_once(|c: char| c.is_ascii_digit())
        .map_or("", |(_, rest)| rest.trim())
}

/// Starts the program, and waits until it serves. Answers what it said before.
fn begin(record: &Path) -> Result<(Child, String), AnyError> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(record)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut told = String::new();
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        if line == "serving, healthy: false" {
            return Ok((child, told));
        }
        told += &line;
        told += "\n";
    }
    Err(format!("the program ended: {told}").into())
}

/// Waits for the end of the program and of its monitor, who both have standard error. Answers the signal
/// that ended it.
fn end(child: &mut Child) -> Result<Option<i32>, AnyError> {
    let mut told = String::new();
    child
        .stderr
        .as_mut()
        .ok_or("no standard error")?
        .read_to_string(&mut told)?;
    ensure(told.is_empty(), &told)?;
    Ok(child.wait()?.signal())
}

fn ensure(holds: bool, what: &str) -> Result<(), AnyError> {
    if holds {
        Ok(())
    } else {
        Err(format!("expected that {what}").into())
    }
}
