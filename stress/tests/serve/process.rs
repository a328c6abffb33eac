//! The service as a supervisor sees it: signals, exit codes, the service manager's socket, and the load.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;

use crate::support::{Held, Process, TRIES_MAX, await_status, command, fresh, get, options, start};

const SERVE: &str = "serve --listen 127.0.0.1:0 --quiet 0 --drain-deadline 3600";
const SIGABRT: i32 = 6;

#[test]
fn sigterm_takes_the_same_way_out() {
    let mut process = Process::start(command(SERVE));
    let held = Held::at(process.address);
    process.terminate();
    let leaving = process.await_event("leaving");
    assert!(leaving.contains("reason=asked in_flight=1"), "{leaving}");
    assert_eq!(get(process.address, "/readyz").status, 503);
    assert_eq!(held.finish().status, 200);
    let ended = process.await_event("ended");
    assert!(ended.contains("cut=0 exit=0"), "{ended}");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_buggy_service_ends_by_itself_with_the_code_of_a_survived_violation() {
    let mut process = Process::start(command(&format!("{SERVE} --buggy --instance sick")));
    let held = Held::at(process.address);
    let turned = (0..TRIES_MAX).find(|_| {
        assert_eq!(get(process.address, "/work").status, 200);
        get(process.address, "/readyz").status == 503
    });
    assert!(turned.is_some(), "nothing was found");
    let unhealthy = process.await_event("unhealthy");
    assert!(unhealthy.contains("instance=sick"), "{unhealthy}");
    // Junk may lead to what is dead and not yet swept; then the mark queue is what is not as it should be.
    let messages = [
        "found bad pointer in heap",
        "non-empty mark queue after concurrent mark",
    ];
    let is_told = messages.iter().any(|message| unhealthy.contains(message));
    assert!(is_told, "{unhealthy}");
    assert_eq!(held.finish().status, 200);
    assert_eq!(process.child.wait().unwrap().code(), Some(10));
}

#[test]
fn with_a_policy_that_aborts_the_request_in_flight_dies() {
    let mut process = Process::start(command(&format!("{SERVE} --buggy --policy abort")));
    let load = command(&format!(
        "load {} --in-flight 4 --long 2 --long-ms 60000 --short-ms 0",
        process.address
    ))
    .stdout(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let status = process.child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    let load_process = rustix::process::Pid::from_child(&load);
    rustix::process::kill_process(load_process, rustix::process::Signal::TERM).unwrap();
    let output = load.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(10));
    let told = String::from_utf8(output.stdout).unwrap();
    let broken = told.split("failed_broken=").nth(1).expect(&told);
    let broken: u64 = broken.split(' ').next().unwrap().parse().unwrap();
    assert!((2..=4).contains(&broken), "{told}");
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_alive_and_stopping() {
    let path = fresh("notify", "socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = command(SERVE);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "20000");
    let mut process = Process::start(command);
    let mut next = || {
        let mut buffer = [0; 4096];
        let bytes = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..bytes]).into_owned()
    };
    let ready = next();
    assert!(
        ready.starts_with("READY=1\nSTATUS=serving on 127.0.0.1:"),
        "{ready}"
    );
    assert_eq!(
        (next(), next()),
        ("WATCHDOG=1\n".to_string(), "WATCHDOG=1\n".to_string())
    );
    let held = Held::at(process.address);
    process.terminate();
    let stopping = std::iter::repeat_with(&mut next).find(|message| message != "WATCHDOG=1\n");
    let stopping = stopping.unwrap();
    assert!(
        stopping.starts_with("STOPPING=1\nSTATUS=leaving: asked"),
        "{stopping}"
    );
    // A service that drains is alive.
    assert_eq!(next(), "WATCHDOG=1\n");
    assert_eq!(held.finish().status, 200);
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_service_that_cannot_start_says_why_by_its_exit_code() {
    let path = fresh("malformed", "file");
    fs::write(&path, "hello\n").unwrap();
    let taken = start(options("a"));
    let cases = [
        (
            "serve --driver manual".to_string(),
            64,
            "nobody would collect",
        ),
        ("serve --bug-after soon".to_string(), 64, "choose a number"),
        (
            "serve --bug-on-request break".to_string(),
            64,
            "begins with /",
        ),
        ("serve --agent-state x".to_string(), 64, "--agent"),
        ("serve --instance a/b".to_string(), 64, "choose letters"),
        (
            format!("serve --listen {}", taken.address()),
            64,
            "cannot be listened at",
        ),
        (
            format!("serve --lease {}", path.display()),
            65,
            "is no lease",
        ),
        (
            format!("serve --agent 127.0.0.1:0 --agent-state {}", path.display()),
            65,
            "is no address",
        ),
    ];
    for (line, code, problem) in cases {
        let output = command(&line).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {told}");
        assert!(told.contains(problem), "{line}: {told}");
    }
    taken.ask_to_leave();
    taken.join().unwrap();
}

#[test]
fn the_load_counts_what_fails_and_says_so() {
    let server = start(options("a"));
    let address = server.address();
    let line =
        format!("load {address} --seconds 0.2 --in-flight 4 --long 1 --long-ms 50 --short-ms 0");
    let output = command(&line).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains(" failed=0 p50_ms=") && told.ends_with("processes=1\n"),
        "{told}"
    );
    server.ask_to_leave();
    server.join().unwrap();
    let output = command(&line).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(10), "{told}");
    assert!(told.contains("failed_refused="), "{told}");
}

#[test]
fn a_request_may_turn_the_bug_on_and_the_record_outlives_the_process() {
    let record = fresh("record", "heap.record");
    let line = format!(
        "{SERVE} --bug-on-request /break --health-record {}",
        record.display()
    );
    let mut process = Process::start(command(&line));
    let held = Held::at(process.address);
    assert_eq!(get(process.address, "/break").status, 200);
    let turned = (0..TRIES_MAX).find(|_| {
        assert_eq!(get(process.address, "/work").status, 200);
        get(process.address, "/readyz").status == 503
    });
    assert!(turned.is_some(), "nothing was found");
    assert_eq!(await_status(process.address, "/livez", 200).body, "alive\n");
    assert_eq!(held.finish().status, 200);
    assert_eq!(process.child.wait().unwrap().code(), Some(10));
    let left = gc_core::PreviousRecord::read(&record).unwrap();
    assert!(left.total() > 0 && left.closed().is_some() && left.unhealthy_since().is_some());
}
