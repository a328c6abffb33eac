//! The agent port: what HAProxy's `agent-check` asks beside its health checks.
//!
//! Each connection is told one line and closed: `up` while the instance is in rotation, `drain` once it
//! has left. `drain` changes the balancer's administrative state of the server, and `up` does not change
//! it back; only `ready` does, and it also undoes what an operator has set. So `ready` is said once to each
//! balancer that was told `drain` by the process before this one, and never again. Who was told so
//! outlives the process in a file, one address a line.
//!
//! Served by a task of the runtime. Invariant: an address is written down before it is told `drain`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// Who was told to drain.
pub(super) struct Agent {
    file: Option<PathBuf>,
    /// By the process before this one, and not told `ready` since.
    by_predecessor: BTreeSet<IpAddr>,
    /// By this process.
    by_self: BTreeSet<IpAddr>,
}

impl Agent {
    /// Reads what the process before this one has left.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line of it is no address.
    pub(super) fn new(file: Option<&Path>) -> io::Result<Self> {
        let by_predecessor = match file.map(fs::read_to_string) {
            None => BTreeSet::new(),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Some(text) => addresses(&text?)?,
        };
        Ok(Agent {
            file: file.map(Path::to_path_buf),
            by_predecessor,
            by_self: BTreeSet::new(),
        })
    }

    /// What a balancer is told.
    pub(super) fn word(&mut self, peer: IpAddr, is_in: bool) -> io::Result<&'static str> {
        if !is_in {
            if self.by_self.insert(peer) {
                self.write()?;
            }
            return Ok("drain\n");
        }
        if self.by_predecessor.remove(&peer) {
            self.write()?;
            return Ok("up ready\n");
        }
        Ok("up\n")
    }

    fn write(&self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let told = self.by_predecessor.union(&self.by_self);
        let text: String = told.map(|address| format!("{address}\n")).collect();
        fs::write(file, text)
    }
}

fn addresses(text: &str) -> io::Result<BTreeSet<IpAddr>> {
    let parse = |(at, line): (usize, &str)| {
        line.parse().map_err(|_| {
            let problem = format!("line {}: `{line}` is no address", at + 1);
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })
    };
    text.lines().enumerate().map(parse).collect()
}

/// Answers every balancer that asks. Runs for ever.
pub(super) async fn serve(listener: TcpListener, mut agent: Agent, is_in: impl Fn() -> bool) {
    loop {
        // A peer that broke off before it was accepted.
        let Ok((mut peer, address)) = listener.accept().await else {
            continue;
        };
        match agent.word(canonical(address), is_in()) {
            // A balancer that hangs up before it has read asks again.
            Ok(word) => drop(peer.write_all(word.as_bytes()).await),
            Err(error) => {
                eprintln!("gc-stress serve: the agent's state cannot be written: {error}")
            }
        }
    }
}

/// An IPv4 address that came in over IPv6 is the same balancer.
fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_said_once_to_those_whom_the_process_before_told_to_drain() {
        let file = std::env::temp_dir().join(format!("softfail-agent-{}", std::process::id()));
        let _ = fs::remove_file(&file);
        let (one, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let mut agent = Agent::new(Some(&file)).unwrap();
        assert_eq!(agent.word(one, true).unwrap(), "up\n");
        assert_eq!(agent.word(one, false).unwrap(), "drain\n");
        assert_eq!(agent.word(one, false).unwrap(), "drain\n");
        let mut successor = Agent::new(Some(&file)).unwrap();
        assert_eq!(successor.word(other, true).unwrap(), "up\n");
        assert_eq!(successor.word(one, true).unwrap(), "up ready\n");
        assert_eq!(successor.word(one, true).unwrap(), "up\n");
        let mut third = Agent::new(Some(&file)).unwrap();
        assert_eq!(third.word(one, true).unwrap(), "up\n");
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_state_file_that_holds_something_else_is_refused() {
        let file = std::env::temp_dir().join(format!("softfail-agent-x-{}", std::process::id()));
        fs::write(&file, "127.0.0.1\nhello\n").unwrap();
        let Err(error) = Agent::new(Some(&file)) else {
            panic!("accepted");
        };
        assert_eq!(error.to_string(), "line 2: `hello` is no address");
        fs::remove_file(file).unwrap();
    }
}
