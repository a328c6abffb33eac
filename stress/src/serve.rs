//! The service of the incident over HTTP, as an operator runs it: it leaves rotation when its heap turns
//! unhealthy, finishes what is in flight, and ends, so that its supervisor starts it anew.
//!
//! [`Server::start`] makes the heap, the workers and a runtime; the command line and tests hold the
//! [`Server`]. Tasks of the runtime answer HTTP and the agent port, feed the watchdog and wait for a reason
//! to leave; only workers touch managed objects.
//!
//! | part | owns |
//! |---|---|
//! | `options` | what a service is told |
//! | `products`, `workers` | the shop; the threads that have mutators |
//! | `rotation`, `telling`, `shared` | what is in flight; log lines; what the tasks share |
//! | `notify`, `fleet`, `agent` | the service manager; the lease of a fleet; HAProxy's agent check |
//! | `drain` | the way out |
//! | `page`, `http` | the page about the heap; the answers |
//!
//! Invariant: the way out is one, whatever the reason. Deliberately absent: TLS, and any use of what
//! requests say beyond how long they want to last.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::serve::ListenerExt;
use gc_core::Heap;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use self::agent::Agent;
use self::fleet::Lease;
use self::rotation::Rotation;
use self::shared::Shared;
use self::workers::Workers;
use crate::error::Error;
use crate::makefunc::RESERVE_BYTES;

mod options;
mod products;
mod rotation;
mod telling;
mod workers;

mod notify;

mod fleet;

mod agent;

mod shared;

mod drain;

mod page;

mod http;

pub use self::drain::{EXIT_CUT, Ended, Reason};
pub use self::options::{Bug, ServeOptions};

/// Threads of the runtime: they parse and wait, and the work is done elsewhere.
const RUNTIME_THREADS: usize = 2;
/// How long tasks get to end by themselves when the service has.
const TASKS_END_MAX: Duration = Duration::from_secs(1);
/// A thread that the machine does not run for a while is no news about the collector.
const STALL_DEADLINE: Duration = Duration::from_secs(120);

/// A service that runs.
pub struct Server {
    address: SocketAddr,
    agent_address: Option<SocketAddr>,
    heap: Heap,
    asked: Arc<Notify>,
    thread: JoinHandle<Ended>,
}

impl Server {
    /// Starts a service, which tells `out` what it does, and comes back when it accepts requests.
    ///
    /// # Errors
    ///
    /// The heap cannot be built, an address is taken, or a file is not what it should be.
    pub fn start(options: ServeOptions, out: Box<dyn Write + Send>) -> Result<Self, Error> {
        let (heap, lease, agent) = (build(&options)?, lease(&options)?, agent(&options)?);
        let workers = Workers::start(&heap, &options.workload())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .enable_all()
            .build()?;
        let listener = bind(&runtime, &options.listen)?;
        let agent_listener = match &options.agent {
            Some(address) => Some(bind(&runtime, address)?),
            None => None,
        };
        let address = listener.local_addr()?;
        let agent_address = match &agent_listener {
            Some(listener) => Some(listener.local_addr()?),
            None => None,
        };
        let asked = Arc::new(Notify::new());
        if options.is_signalled {
            listen_to_signals(&runtime, &asked)?;
        }
        let shared = Arc::new(Shared {
            health: heap.health(),
            heap: heap.clone(),
            workers,
            rotation: Rotation::new(),
            out: Mutex::new(out),
            options,
        });
        if let Some(listener) = agent_listener {
            let shared = Arc::clone(&shared);
            runtime.spawn(async move {
                agent::serve(listener, agent, || shared.is_in_rotation()).await;
            });
        }
        tell_beginning(&shared, address, agent_address);
        let asked_here = Arc::clone(&asked);
        let thread = thread::Builder::new()
            .name("service".into())
            .spawn(move || live(runtime, shared, listener, lease, &asked_here))?;
        Ok(Server {
            address,
            agent_address,
            heap,
            asked,
            thread,
        })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where balancers ask the agent.
    #[must_use]
    pub fn agent_address(&self) -> Option<SocketAddr> {
        self.agent_address
    }

    /// The heap that the service works on.
    #[must_use]
    pub fn heap(&self) -> &Heap {
        &self.heap
    }

    /// Asks the service to leave and to end, as SIGTERM does.
    pub fn ask_to_leave(&self) {
        // The permit stays until the service comes to wait for it.
        self.asked.notify_one();
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// The service panicked.
    pub fn join(self) -> Result<Ended, Error> {
        drop(self.heap);
        let panicked = |_| Error::Child("the service panicked".to_string());
        self.thread.join().map_err(panicked)
    }
}

fn build(options: &ServeOptions) -> Result<Heap, Error> {
    let mut builder = Heap::builder();
    if let Some(path) = &options.health_record {
        builder = builder.record(path);
    }
    Ok(builder
        .name("serve")
        .driver(options.driver.0)
        .policy(options.policy.clone())
        .checks(options.checks)
        .reserve_bytes(RESERVE_BYTES)
        .stall_deadline(STALL_DEADLINE)
        .deliver_on_own_thread()
        .build()?)
}

fn lease(options: &ServeOptions) -> Result<Option<Lease>, Error> {
    let Some(path) = &options.lease else {
        return Ok(None);
    };
    let away_max = options.drain_deadline + options.return_max;
    let lease = Lease::new(path, &options.instance, away_max);
    Ok(Some(lease.map_err(|error| malformed(path, &error))?))
}

fn agent(options: &ServeOptions) -> Result<Agent, Error> {
    let path = options.agent_state.as_deref();
    Agent::new(path).map_err(|error| malformed(path.unwrap_or(Path::new("")), &error))
}

fn malformed(path: &Path, error: &io::Error) -> Error {
    Error::Malformed {
        file: path.display().to_string(),
        problem: error.to_string(),
    }
}

fn bind(runtime: &Runtime, address: &str) -> Result<TcpListener, Error> {
    let bound = runtime.block_on(TcpListener::bind(address));
    bound.map_err(|error| Error::Request(format!("{address} cannot be listened at: {error}")))
}

fn listen_to_signals(runtime: &Runtime, asked: &Arc<Notify>) -> Result<(), Error> {
    let _guard = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, asked) = (signal(kind)?, Arc::clone(asked));
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                asked.notify_one();
            }
        });
    }
    Ok(())
}

fn tell_beginning(shared: &Shared, address: SocketAddr, agent: Option<SocketAddr>) {
    let (address, process) = (address.to_string(), std::process::id().to_string());
    let agent = agent.map_or("none".to_string(), |agent| agent.to_string());
    let words = [
        ("address", &*address),
        ("agent", &agent),
        ("process", &process),
    ];
    shared.tell("listening", &words);
    notify::ready(&format!("serving on {address}"));
}

/// The life of a service, on its own thread.
fn live(
    runtime: Runtime,
    shared: Arc<Shared>,
    listener: TcpListener,
    lease: Option<Lease>,
    asked: &Notify,
) -> Ended {
    let mut ended = runtime.block_on(serve_until_drained(&shared, listener, lease, asked));
    runtime.shutdown_timeout(TASKS_END_MAX);
    // Requests that were cut may have left a worker in the middle of a job: nobody waits for those.
    if ended.requests_cut == 0
        && let Some(shared) = Arc::into_inner(shared)
    {
        ended.has_panicked = shared.workers.end();
    }
    ended
}

async fn serve_until_drained(
    shared: &Arc<Shared>,
    listener: TcpListener,
    lease: Option<Lease>,
    asked: &Notify,
) -> Ended {
    let lease = lease.map(Arc::new);
    let (close, closed) = oneshot::channel::<()>();
    let listener = listener.tap_io(|stream| {
        // A small answer waits for nothing. A socket that refuses is a little slower.
        let _ = stream.set_nodelay(true);
    });
    let connections = axum::serve(listener, http::router(shared)).with_graceful_shutdown(async {
        // The sender going away means the same.
        let _ = closed.await;
    });
    let connections = tokio::spawn(async { connections.await });
    let tasks = [
        tokio::spawn(come_back(Arc::clone(shared), lease.clone())),
        tokio::spawn(watch(Arc::clone(shared))),
        tokio::spawn(turn_bug_on(Arc::clone(shared))),
    ];
    let left = drain::drain(shared, lease.as_deref(), asked).await;
    let _ = close.send(());
    drain::finish(shared, left, async { drop(connections.await) }).await;
    for task in tasks {
        task.abort();
        // Cancelled, or long over.
        let _ = task.await;
    }
    let ended = Ended::of(shared, left);
    ended.tell(shared);
    ended
}

async fn come_back(shared: Arc<Shared>, lease: Option<Arc<Lease>>) {
    drain::come_back(&shared, lease.as_deref()).await;
}

async fn watch(shared: Arc<Shared>) {
    notify::feed_watchdog(&shared.workers).await;
}

async fn turn_bug_on(shared: Arc<Shared>) {
    if let Some(after) = shared.options.bug.after {
        tokio::time::sleep(after).await;
        shared.workers.turn_bug_on();
        shared.tell("bug", &[("by", "time")]);
    }
}
