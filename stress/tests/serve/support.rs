//! What the tests of the service share: a client that can hold a request open, and services to ask.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use stress::serve::{ServeOptions, Server};

/// A time that no test waits for.
pub const NEVER: Duration = Duration::from_secs(3600);

/// Asks again and again, each time over a connection of its own, and gives up after so many.
pub const TRIES_MAX: usize = 100_000;

/// An answer: status, head and body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn says_envoy_fail(&self) -> bool {
        self.head
            .contains("x-envoy-immediate-health-check-fail: true")
    }
}

/// Asks for a page.
pub fn get(address: SocketAddr, page: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {page} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    answer(stream)
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_string(),
    }
}

/// Asks until the status is the one that is waited for.
pub fn await_status(address: SocketAddr, page: &str, status: u16) -> Answer {
    (0..TRIES_MAX)
        .map(|_| get(address, page))
        .find(|answer| answer.status == status)
        .unwrap_or_else(|| panic!("{page} never answered {status}"))
}

/// A request that is in flight: half of its body is still to come.
pub struct Held(TcpStream);

impl Held {
    /// Sends half of a request, and comes back when the service counts it.
    pub fn at(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        let head =
            "POST /work HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 2\r\n\r\n.";
        stream.write_all(head.as_bytes()).unwrap();
        let in_flight = "service_requests_in_flight{instance_name=\"";
        let is_counted = |answer: &Answer| {
            let line = answer.body.lines().find(|line| line.starts_with(in_flight));
            !line.unwrap().ends_with(" 0")
        };
        assert!(
            (0..TRIES_MAX).any(|_| is_counted(&get(address, "/metrics"))),
            "the request is not seen"
        );
        Held(stream)
    }

    /// Sends the rest, and reads the answer.
    pub fn finish(mut self) -> Answer {
        self.0.write_all(b".").unwrap();
        answer(self.0)
    }
}

/// What the agent says.
pub fn ask_agent(address: SocketAddr) -> String {
    let mut word = String::new();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.read_to_string(&mut word).unwrap();
    word
}

/// A service on a port of the system's choice, which waits for nothing that does not come.
pub fn options(instance: &str) -> ServeOptions {
    ServeOptions {
        agent: Some("127.0.0.1:0".to_string()),
        instance: instance.to_string(),
        quiet: Duration::ZERO,
        drain_deadline: NEVER,
        return_max: NEVER,
        ..ServeOptions::new("127.0.0.1:0")
    }
}

pub fn start(options: ServeOptions) -> Server {
    Server::start(options, Box::new(std::io::sink())).unwrap()
}

/// A path in an empty directory of its own.
pub fn fresh(name: &str, file: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(file)
}

/// The binary with these words as arguments, and nothing of the environment that it would read.
pub fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.args(line.split_whitespace());
    for variable in [
        "GC_POLICY",
        "GC_CHECKS",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
    ] {
        command.env_remove(variable);
    }
    command
}

/// `gc-stress serve` in a process of its own, ended when the test ends.
pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Process {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            lines,
        };
        let listening = process.await_event("listening");
        let address = listening.split("address=").nth(1).unwrap();
        process.address = address.split(' ').next().unwrap().parse().unwrap();
        process
    }

    /// The next line that tells of such an event.
    pub fn await_event(&mut self, event: &str) -> String {
        let word = format!(" event={event} ");
        let is_told = |line: &String| line.contains(&word);
        self.lines
            .by_ref()
            .map(Result::unwrap)
            .find(is_told)
            .expect(event)
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Over already, if the test has passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
