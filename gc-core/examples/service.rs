//! A service that tells its load balancer when its heap should be replaced.
//!
//! ```sh
//! cargo run -p gc-core --example service -- 127.0.0.1:8080     # serve until killed
//! cargo run -p gc-core --example service -- --self-check       # break it, watch it, exit 0
//! ```
//!
//! A worker thread owns the heap and does the work. The main thread answers HTTP: `/readyz` with
//! 200 while the heap is healthy and 503 from then on, `/livez` with 200 always. A load balancer
//! that watches `/readyz` sends no new requests to an unhealthy process, and what is in flight is
//! finished. `Health` is a few atomics, so polling it never waits for the heap.
//!
//! `--self-check` serves on a loopback port of the system's choice, polls itself, has the worker
//! break an invariant through the unsafe layer (see the example `policy` for how), polls again, and
//! lets the worker serve on. Standard library alone: no framework, no dependency.
#![allow(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use gc_core::raw::{self, RawGc};
use gc_core::{Driver, Edge, Gc, Health, Heap, Mutator, Phase, Policy, Trace};

type AnyError = Box<dyn Error + Send + Sync>;

/// A client that says nothing for this long is hung up on.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);

/// The longest request head that is read.
const REQUEST_BYTES_MAX: u64 = 8 << 10;

/// Steps of one unit within which a small cycle is marking.
const STEPS_TO_MARK_MAX: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--self-check"] => self_check(),
        [address] if !address.starts_with('-') => serve_for_ever(address),
        _ => {
            eprintln!("usage: service ADDRESS:PORT | --self-check");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_for_ever(address: &str) -> Result<(), AnyError> {
    let (_orders, health, _worker) = start_worker()?;
    let listener = TcpListener::bind(address)?;
    println!("serving /readyz and /livez on {}", listener.local_addr()?);
    serve(&listener, &health);
    Ok(())
}

// ---- The worker: the one thread that touches the heap ----

/// What the worker is asked to do. Each order is answered once it is carried out.
enum Order {
    /// Serve so many requests of the service's own kind.
    Serve(u32),
    /// Break an invariant of the heap.
    BreakHeap,
}

/// An order, and where its answer goes.
type Job = (Order, Sender<Result<(), String>>);

/// A session of a client, in a list of the most recent ones.
#[derive(Trace)]
struct Session<'gc> {
    client: u32,
    older: Edge<'gc, Session<'gc>>,
}

/// Starts the worker, which owns the heap, and waits for its health: a handle that any thread may
/// poll.
fn start_worker() -> Result<(Sender<Job>, Health, thread::JoinHandle<()>), AnyError> {
    let (orders, inbox) = mpsc::channel();
    let (ready, started) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("worker".into())
        .spawn(move || {
            let built = Policy::MARK_UNHEALTHY;
            let heap = Heap::builder()
                .name("service")
                .driver(Driver::Manual)
                .policy(built)
                .policy_from_env();
            match heap.and_then(|builder| builder.build()) {
                Ok(heap) => {
                    // The receiver waits for exactly this; if it is gone, so is the program.
                    let _ = ready.send(Ok(heap.health()));
                    work(&heap, &inbox);
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
    let health = started.recv()??;
    Ok((orders, health, worker))
}

fn work(heap: &Heap, inbox: &Receiver<Job>) {
    let mut mutator = heap.mutator();
    for (order, done) in inbox {
        let outcome = match order {
            Order::Serve(requests) => serve_sessions(heap, &mut mutator, requests),
            Order::BreakHeap => break_an_invariant(heap, &mut mutator),
        };
        // Whoever gave the order may have gone; the work is done all the same.
        let _ = done.send(outcome.map_err(|error| error.to_string()));
    }
}

/// The service's business: a list of sessions of which the newest few stay reachable.
fn serve_sessions(heap: &Heap, mutator: &mut Mutator, requests: u32) -> Result<(), Box<dyn Error>> {
    let newest = mutator.enter(|scope| {
        let mut newest: Option<Gc<'_, Session<'_>>> = None;
        for client in 0..requests {
            let session = scope.try_alloc(Session {
                client,
                older: newest.into(),
            })?;
            if let Some(fourth) = nth_older(session, 3) {
                fourth.older.set(scope, None);
            }
            newest = Some(session);
        }
        Ok::<_, gc_core::AllocError>(newest.map(|session| scope.root(session)))
    })?;
    heap.collect()?;
    let Some(newest) = newest else { return Ok(()) };
    let last = mutator.enter(|scope| scope.get(&newest).map(|session| session.client))?;
    if last + 1 == requests {
        Ok(())
    } else {
        Err("the newest session is not the last request's".into())
    }
}

fn nth_older<'gc>(session: Gc<'gc, Session<'gc>>, n: usize) -> Option<Gc<'gc, Session<'gc>>> {
    (0..n).try_fold(session, |session, _| session.older.get())
}

/// Shades the address of an object that is dead and swept, as a barriered store to a virgin slot
/// would.
fn break_an_invariant(heap: &Heap, mutator: &mut Mutator) -> Result<(), Box<dyn Error>> {
    let stale: RawGc = mutator.enter(|scope| {
        scope
            .alloc(Session {
                client: 0,
                older: Edge::none(),
            })
            .into_raw()
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
    Ok(())
}

// ---- The endpoint ----

/// Answers one connection after the other. Each is a poll of a few atomics, so one thread will do.
fn serve(listener: &TcpListener, health: &Health) {
    for client in listener.incoming() {
        // A client that breaks off is the client's affair.
        let _ = client.and_then(|client| answer(client, health));
    }
}

fn answer(mut client: TcpStream, health: &Health) -> std::io::Result<()> {
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    client.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let mut head = BufReader::new((&client).take(REQUEST_BYTES_MAX));
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        line.clear();
    }
    let (status, body) = match request.split_whitespace().nth(1) {
        Some("/livez") => ("200 OK", String::from("alive\n")),
        Some("/readyz") => readiness(health),
        _ => ("404 Not Found", String::from("try /readyz or /livez\n")),
    };
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Ready while the heap is healthy. The body of the 503 says why it is not.
fn readiness(health: &Health) -> (&'static str, String) {
    if health.is_healthy() {
        return ("200 OK", String::from("ready\n"));
    }
    let why = health.first().map_or_else(
        || String::from("marked by hand"),
        |first| first.first_line().to_string(),
    );
    (
        "503 Service Unavailable",
        format!("{} violation(s), the first: {why}\n", health.total()),
    )
}

// ---- The self-check ----

fn self_check() -> Result<(), AnyError> {
    let (orders, health, worker) = start_worker()?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    println!("serving on {address}");
    // Ends with the process: a listener has no other way out of `accept`.
    thread::Builder::new()
        .name("endpoint".into())
        .spawn(move || serve(&listener, &health))?;

    carry_out(&orders, Order::Serve(1_000))?;
    expect(address, "/readyz", 200)?;
    carry_out(&orders, Order::BreakHeap)?;
    expect(address, "/readyz", 503)?;
    expect(address, "/livez", 200)?;
    carry_out(&orders, Order::Serve(1_000))?;
    println!("1000 more requests served while unhealthy");
    drop(orders);
    worker.join().map_err(|_| "the worker panicked".into())
}

fn carry_out(orders: &Sender<Job>, order: Order) -> Result<(), AnyError> {
    let (done, outcome) = mpsc::channel();
    orders.send((order, done))?;
    Ok(outcome.recv()??)
}

/// Asks for a page, prints the answer, and insists on its status.
fn expect(address: SocketAddr, page: &str, status: u16) -> Result<(), AnyError> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let found = reply
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<u16>().ok());
    let body = reply
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim_end());
    println!("GET {page} -> {}: {body}", found.unwrap_or(0));
    if found == Some(status) {
        Ok(())
    } else {
        Err(format!("expected {status} from {page}").into())
    }
}
