//! Every endpoint, before and after the health has turned.

use std::net::SocketAddr;

use stress::serve::{Bug, Reason, ServeOptions};

use crate::support::{Held, TRIES_MAX, ask_agent, get, options, start};

/// The page needs nothing from elsewhere and names what it shows.
fn assert_page(address: SocketAddr, health: &str) {
    let page = get(address, "/debug/gc");
    assert_eq!(page.status, 200);
    assert!(
        page.head.contains("content-type: text/html"),
        "{}",
        page.head
    );
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    for part in [
        "<h2>Violations",
        "<h2>Phases of a cycle",
        "<h2>Pauses of mutators",
        "<h2>Map",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(
        page.body.contains(&format!("<h1>{health}</h1>")),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("stress::serve::products::Product"),
        "{}",
        page.body
    );
    for asset in ["http:", "https:", "src=", "<script", "<link", "url("] {
        assert!(!page.body.contains(asset), "{asset}");
    }
}

fn metric(address: SocketAddr, series: &str) -> String {
    let answer = get(address, "/metrics");
    assert!(
        answer.head.contains("text/plain; version=0.0.4"),
        "{}",
        answer.head
    );
    let line = answer
        .body
        .lines()
        .find_map(|line| line.strip_prefix(series));
    line.expect(series).trim().to_string()
}

/// The snapshot is one, and it holds the products of the shop.
fn assert_snapshot(address: SocketAddr) {
    let answer = get(address, "/debug/gc/snapshot");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let file = format!("filename=\"a-{}.heapsnapshot\"", std::process::id());
    assert!(answer.head.contains(&file), "{}", answer.head);
    let snapshot: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let nodes = snapshot["snapshot"]["node_count"].as_u64().unwrap();
    assert!(nodes > 1000, "{nodes} nodes");
    let strings = snapshot["strings"].as_array().unwrap();
    let is_product = |name: &&serde_json::Value| name.as_str().unwrap().contains("Product");
    assert!(strings.iter().find(is_product).is_some());
}

#[test]
fn a_healthy_service_is_ready_and_shows_itself() {
    let server = start(options("a"));
    let (address, agent) = (server.address(), server.agent_address().unwrap());
    let work = get(address, "/work");
    assert_eq!(work.status, 200, "{}", work.body);
    assert!(
        work.body.ends_with("objects as they should be\n"),
        "{}",
        work.body
    );
    let id = format!("x-instance: a/{}", std::process::id());
    assert!(work.head.contains(&id), "{}", work.head);
    for (page, body) in [("/livez", "alive\n"), ("/readyz", "ready\n")] {
        let answer = get(address, page);
        assert_eq!((answer.status, &*answer.body), (200, body));
        assert!(!answer.says_envoy_fail());
    }
    assert_eq!(ask_agent(agent), "up\n");
    assert_eq!(metric(address, "gc_healthy{heap=\"serve\"}"), "1");
    assert_eq!(
        metric(address, "service_in_rotation{instance_name=\"a\"}"),
        "1"
    );
    assert_eq!(
        metric(address, "service_requests_total{instance_name=\"a\"}"),
        "1"
    );
    assert_page(address, "Healthy");
    assert_snapshot(address);
    assert_eq!(get(address, "/nothing").status, 404);
    assert_eq!(get(address, "/work?ms=60001").status, 400);
    server.ask_to_leave();
    let ended = server.join().unwrap();
    assert_eq!((ended.reason, ended.exit_code()), (Reason::Asked, 0));
    assert_eq!((ended.requests, ended.requests_cut), (2, 0));
}

#[test]
fn an_unhealthy_service_says_so_everywhere_and_serves_on() {
    let server = start(options("a"));
    let (address, agent) = (server.address(), server.agent_address().unwrap());
    assert_eq!(get(address, "/work").status, 200);
    let held = Held::at(address);
    server.heap().health().mark_unhealthy();
    let ready = get(address, "/readyz");
    assert_eq!(ready.status, 503);
    assert!(
        ready.body.contains("marked unhealthy by hand"),
        "{}",
        ready.body
    );
    for page in ["/readyz", "/livez", "/work", "/metrics", "/debug/gc"] {
        assert!(get(address, page).says_envoy_fail(), "{page}");
    }
    assert_eq!(get(address, "/livez").status, 200);
    assert_eq!(get(address, "/work").status, 200);
    assert_eq!(ask_agent(agent), "drain\n");
    assert_eq!(metric(address, "gc_healthy{heap=\"serve\"}"), "0");
    assert_eq!(
        metric(address, "service_in_rotation{instance_name=\"a\"}"),
        "0"
    );
    assert_page(address, "Unhealthy");
    assert_snapshot(address);
    assert_eq!(held.finish().status, 200);
    let ended = server.join().unwrap();
    assert_eq!((ended.reason, ended.exit_code()), (Reason::Unhealthy, 10));
}

#[test]
fn readyz_answers_404_where_that_means_drain() {
    let server = start(ServeOptions {
        is_404: true,
        ..options("a")
    });
    let address = server.address();
    assert_eq!(get(address, "/readyz").status, 200);
    let held = Held::at(address);
    server.heap().health().mark_unhealthy();
    assert_eq!(get(address, "/readyz").status, 404);
    assert_eq!(held.finish().status, 200);
    assert_eq!(server.join().unwrap().exit_code(), 10);
}

#[test]
fn the_bug_is_found_under_requests_and_no_request_is_harmed() {
    let server = start(ServeOptions {
        bug: Bug {
            on_request: Some("/break".to_string()),
            ..Bug::default()
        },
        ..options("a")
    });
    let address = server.address();
    let health = server.heap().health();
    let held = Held::at(address);
    for _ in 0..20 {
        assert_eq!(get(address, "/work").status, 200);
    }
    assert!(health.is_healthy(), "{:?}", health.first());
    assert_eq!(get(address, "/break").body, "the bug is on\n");
    let found = (0..TRIES_MAX).find(|_| {
        assert_eq!(get(address, "/work").status, 200);
        !health.is_healthy()
    });
    assert!(found.is_some(), "nothing was found");
    let first = health.first().unwrap();
    let site = first.call_site.expect("the guilty store");
    assert!(site.file().ends_with("reflect.rs"), "{first}");
    let page = get(address, "/debug/gc").body;
    assert!(
        page.contains(first.check.id()) && page.contains("reflect.rs"),
        "{page}"
    );
    assert_eq!(held.finish().status, 200);
    let ended = server.join().unwrap();
    assert_eq!((ended.exit_code(), ended.requests_cut), (10, 0));
}

#[test]
fn the_alerts_speak_of_metrics_that_there_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/alerts.yaml");
    let alerts = std::fs::read_to_string(path).unwrap();
    let server = start(options("a"));
    let metrics = get(server.address(), "/metrics").body;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = 0;
    for expression in alerts
        .lines()
        .filter(|line| line.trim_start().starts_with("expr:"))
    {
        for name in expression
            .split(|c| !is_part(c))
            .filter(|word| word.starts_with("gc_"))
        {
            let series = metrics
                .lines()
                .any(|line| line.starts_with(&format!("{name}{{")));
            assert!(series, "{name}: no such series");
            named += 1;
        }
    }
    assert!(named > 9, "{named} metrics");
    server.ask_to_leave();
    server.join().unwrap();
}
