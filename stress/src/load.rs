//! The load that a service is drained under: so many requests in flight, for as long as one likes.
//!
//! Each lane keeps one request in flight after another on a connection of its own, which it makes anew
//! when the other side has closed it. Some lanes ask for long requests. A request has failed when it was
//! sent and no answer 200 came back, or when no connection could be made for it; nothing is tried twice,
//! so a failure is one that a user would have seen.
//!
//! Called by the command line. Invariant: what was begun is waited for, also after the end. Deliberately
//! absent: pacing; the number in flight is what is held.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Time between a failure and the next request of a lane.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What the load is told.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Host and port.
    pub authority: String,
    /// Requests in flight.
    pub in_flight: usize,
    /// Lanes whose requests are long ones.
    pub long: usize,
    /// How long those last.
    pub long_ms: u64,
    /// How long the others last.
    pub short_ms: u64,
    /// When to end; without it, at SIGTERM or SIGINT.
    pub lasting: Option<Duration>,
    /// A request without an answer after so long has failed.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct LoadOutcome {
    /// Requests that ended.
    pub requests: u64,
    /// Of them, long ones.
    pub long_requests: u64,
    /// Requests that failed, by how.
    pub failures: BTreeMap<String, u64>,
    /// Answers of each instance and process.
    pub answers: BTreeMap<String, u64>,
    /// How long short requests lasted, in microseconds.
    latencies_us: Vec<u64>,
}

impl LoadOutcome {
    /// Requests that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Writes the outcome in one line of `key=value` words.
    ///
    /// # Errors
    ///
    /// The line cannot be written, or a histogram not be made.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let problem = |error: &dyn std::fmt::Display| Error::Histogram(error.to_string());
        let mut latencies = Histogram::<u64>::new(3).map_err(|error| problem(&error))?;
        for us in &self.latencies_us {
            latencies.record(*us).map_err(|error| problem(&error))?;
        }
        let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        let (requests, long, failed) = (self.requests, self.long_requests, self.failed());
        write!(out, "requests={requests} long={long} failed={failed}")?;
        for (how, count) in &self.failures {
            write!(out, " failed_{how}={count}")?;
        }
        let (half, most, max) = (ms(0.5), ms(0.99), ms(1.0));
        writeln!(
            out,
            " p50_ms={half:.1} p99_ms={most:.1} max_ms={max:.1} processes={}",
            self.answers.len()
        )?;
        Ok(())
    }
}

/// What the lanes share.
struct Load {
    options: LoadOptions,
    is_over: AtomicBool,
    outcome: Mutex<LoadOutcome>,
}

/// Loads a service until it is time to end.
///
/// # Errors
///
/// The runtime cannot be made, or signals not be listened to.
pub fn run(options: LoadOptions) -> Result<LoadOutcome, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let load = Arc::new(Load {
        options,
        is_over: AtomicBool::new(false),
        outcome: Mutex::default(),
    });
    runtime.block_on(async {
        let lanes: Vec<_> = (0..load.options.in_flight)
            .map(|lane| tokio::spawn(Arc::clone(&load).run_lane(lane)))
            .collect();
        wait_for_end(load.options.lasting).await?;
        load.is_over.store(true, Ordering::Relaxed);
        for lane in lanes {
            lane.await
                .map_err(|error| Error::Child(error.to_string()))?;
        }
        Ok::<_, Error>(())
    })?;
    let mut outcome = load.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *outcome))
}

async fn wait_for_end(lasting: Option<Duration>) -> Result<(), Error> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let time = async {
        match lasting {
            Some(lasting) => tokio::time::sleep(lasting).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = time => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}

type Connection = SendRequest<Empty<Bytes>>;

impl Load {
    async fn run_lane(self: Arc<Self>, lane: usize) {
        let is_long = lane < self.options.long;
        let mut connection = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let result =
                tokio::time::timeout(self.options.patience, self.ask(&mut connection, is_long));
            let result = result.await.unwrap_or_else(|_| Err("timeout".to_string()));
            let has_failed = result.is_err();
            self.book(result, is_long, begun.elapsed());
            if has_failed {
                connection = None;
                // A service that is not there is not asked as fast as it refuses.
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    /// Sends one request and reads its answer, which names the instance.
    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        is_long: bool,
    ) -> Result<String, String> {
        let options = &self.options;
        let mut sender = match connection.take() {
            // One that the other side has closed in between was not asked anything yet.
            Some(mut sender) => match sender.ready().await {
                Ok(()) => sender,
                Err(_) => connect(&options.authority).await?,
            },
            None => connect(&options.authority).await?,
        };
        let ms = if is_long {
            options.long_ms
        } else {
            options.short_ms
        };
        let request = Request::get(format!("/work?ms={ms}"))
            .header(hyper::header::HOST, &options.authority)
            .body(Empty::new())
            .map_err(|error| format!("request:{error}"))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|_| "broken".to_string())?;
        let (status, instance) = (answer.status(), answer.headers().get("x-instance").cloned());
        answer
            .into_body()
            .collect()
            .await
            .map_err(|_| "broken".to_string())?;
        *connection = Some(sender);
        if status != StatusCode::OK {
            return Err(format!("status_{}", status.as_u16()));
        }
        let instance = instance
            .as_ref()
            .and_then(|instance| instance.to_str().ok());
        Ok(instance.unwrap_or("unknown").to_string())
    }

    fn book(&self, result: Result<String, String>, is_long: bool, lasted: Duration) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.requests += 1;
        outcome.long_requests += u64::from(is_long);
        match result {
            Ok(instance) => {
                *outcome.answers.entry(instance).or_default() += 1;
                if !is_long {
                    outcome.latencies_us.push(lasted.as_micros() as u64);
                }
            }
            Err(how) => *outcome.failures.entry(how).or_default() += 1,
        }
    }
}

async fn connect(authority: &str) -> Result<Connection, String> {
    let stream = TcpStream::connect(authority).await;
    let stream = stream.map_err(|_| "refused".to_string())?;
    // A socket that refuses is a little slower.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| "handshake".to_string())?;
    tokio::spawn(async {
        // How a connection ends is told to the request on it.
        let _ = connection.await;
    });
    Ok(sender)
}
