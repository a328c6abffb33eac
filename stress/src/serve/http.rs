//! What is asked over HTTP, and answered.
//!
//! Handlers run on the threads of the runtime and touch the managed heap through workers alone. Every
//! answer names its instance, and once the instance has left it says so in the header that makes
//! Envoy eject the host at once, and closes the connection. Invariant: a request to `/work` counts as in
//! flight before anything else is done for it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::header::{CONNECTION, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde::Deserialize;

use super::page;
use super::shared::Shared;
use super::workers::Refusal;
use crate::audit::Audit;

/// Longest request that may be asked for.
const WORK_MS_MAX: u64 = 60_000;
/// A long request works a little this often, as one that talks to other services does.
const SLICE: Duration = Duration::from_millis(50);
/// Longest body of a request.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The content type that Prometheus asks for.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// On any answer of a host, ejects it from Envoy's cluster.
const ENVOY_FAIL: HeaderName = HeaderName::from_static("x-envoy-immediate-health-check-fail");
const INSTANCE: HeaderName = HeaderName::from_static("x-instance");

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/work", any(work))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/debug/gc", get(debug_gc))
        .route("/debug/gc/snapshot", get(snapshot))
        .fallback(other)
        .layer(middleware::from_fn_with_state(Arc::clone(shared), sign))
        .with_state(Arc::clone(shared))
}

/// Adds the headers of the house to every answer.
async fn sign(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let id = format!("{}/{}", shared.options.instance, std::process::id());
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(INSTANCE, id);
    }
    if !shared.is_in_rotation() {
        headers.insert(ENVOY_FAIL, HeaderValue::from_static("true"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[derive(Deserialize)]
struct Work {
    /// How long the request is to last.
    #[serde(default)]
    ms: u64,
}

async fn work(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Work>,
    request: Request,
) -> Response {
    let _in_flight = shared.rotation.begin();
    if wanted.ms > WORK_MS_MAX {
        let problem = format!("ms={}: choose up to {WORK_MS_MAX}\n", wanted.ms);
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    // A request is there when its body is.
    if let Err(error) = to_bytes(request.into_body(), BODY_BYTES_MAX).await {
        return (StatusCode::BAD_REQUEST, format!("the body: {error}\n")).into_response();
    }
    match carry_out(&shared, Duration::from_millis(wanted.ms)).await {
        Ok(audit) if audit.damaged == 0 => {
            format!("{} objects as they should be\n", audit.checked).into_response()
        }
        Ok(audit) => {
            let problem = format!("{} of {} objects damaged\n", audit.damaged, audit.checked);
            (StatusCode::INTERNAL_SERVER_ERROR, problem).into_response()
        }
        Err(Refusal::Heap(error)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
        }
        Err(Refusal::Gone) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "a worker is gone\n").into_response()
        }
    }
}

async fn carry_out(shared: &Shared, lasting: Duration) -> Result<Audit, Refusal> {
    let begun = Instant::now();
    let mut audit = shared.workers.serve(shared.options.operations).await?;
    loop {
        let left = lasting.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(audit);
        }
        tokio::time::sleep(left.min(SLICE)).await;
        audit += shared.workers.serve(1).await?;
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if shared.is_in_rotation() {
        let body = if shared.health.is_healthy() {
            "ready\n".to_string()
        } else {
            format!(
                "ready, and unhealthy: waits for its turn to leave: {}\n",
                shared.why_unhealthy()
            )
        };
        return body.into_response();
    }
    let status = if shared.options.is_404 {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = if shared.health.is_healthy() {
        "leaving: asked to\n".to_string()
    } else {
        let total = shared.health.total();
        format!(
            "leaving: {total} violations, the first: {}\n",
            shared.why_unhealthy()
        )
    };
    (status, body).into_response()
}

/// What the heap says, and the service's own figures below it, in Prometheus' text format.
async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut body = Vec::new();
    match write_metrics(&mut body, &shared) {
        Ok(()) => ([(CONTENT_TYPE, PROMETHEUS_TEXT)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn write_metrics(out: &mut Vec<u8>, shared: &Shared) -> io::Result<()> {
    shared.heap.write_prometheus(out)?;
    let rotation = &shared.rotation;
    let figures = [
        (
            "service_in_rotation",
            "gauge",
            "Whether balancers should send requests here (1) or not (0).",
            u64::from(shared.is_in_rotation()),
        ),
        (
            "service_requests_in_flight",
            "gauge",
            "Requests that came in and are not answered.",
            rotation.in_flight(),
        ),
        (
            "service_requests_total",
            "counter",
            "Requests that came in.",
            rotation.requests(),
        ),
    ];
    let instance = &shared.options.instance;
    for (name, sort, help, value) in figures {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {sort}")?;
        writeln!(out, "{name}{{instance_name=\"{instance}\"}} {value}")?;
    }
    Ok(())
}

async fn debug_gc(State(shared): State<Arc<Shared>>) -> Response {
    match page::render(&shared) {
        Ok(html) => (
            [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (
                    CONTENT_SECURITY_POLICY,
                    "default-src 'none'; style-src 'unsafe-inline'",
                ),
            ],
            html,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The graph of the heap, for Chrome's developer tools. It is made on a thread that may block, and in
/// memory: a client that reads slowly holds up nobody.
async fn snapshot(State(shared): State<Arc<Shared>>) -> Response {
    let heap = shared.heap.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let mut file = Vec::new();
        heap.snapshot(&mut file).map(|_| file)
    });
    let name = format!(
        "attachment; filename=\"{}-{}.heapsnapshot\"",
        shared.options.instance,
        std::process::id()
    );
    match taken.await {
        Ok(Ok(file)) => {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CONTENT_DISPOSITION, &name),
            ];
            (headers, file).into_response()
        }
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The path that turns the bug on, and everything that is not there.
async fn other(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if shared.options.bug.on_request.as_deref() == Some(request.uri().path()) {
        shared.workers.turn_bug_on();
        shared.tell("bug", &[("by", "request")]);
        return "the bug is on\n".into_response();
    }
    let choices = "try /work /livez /readyz /metrics /debug/gc /debug/gc/snapshot\n";
    (StatusCode::NOT_FOUND, choices).into_response()
}
