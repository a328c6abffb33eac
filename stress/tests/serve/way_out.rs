//! Draining, the deadline, and the agent's memory of it.

use std::net::TcpStream;
use std::time::Duration;

use stress::serve::{EXIT_CUT, Reason, ServeOptions};

use crate::support::{Held, ask_agent, await_status, fresh, get, options, start};

#[test]
fn what_is_in_flight_is_finished_and_then_nothing_is_accepted() {
    let server = start(options("a"));
    let address = server.address();
    let held = Held::at(address);
    server.ask_to_leave();
    let ready = await_status(address, "/readyz", 503);
    assert_eq!(ready.body, "leaving: asked to\n");
    // It left, and answers what still comes.
    assert_eq!(get(address, "/work").status, 200);
    assert_eq!(held.finish().status, 200);
    let ended = server.join().unwrap();
    assert_eq!((ended.reason, ended.exit_code()), (Reason::Asked, 0));
    assert_eq!((ended.requests, ended.requests_cut), (2, 0));
    assert!(ended.is_healthy && !ended.has_panicked);
    assert!(TcpStream::connect(address).is_err(), "it still accepts");
}

#[test]
fn the_deadline_cuts_what_does_not_finish_and_the_exit_code_says_so() {
    let server = start(ServeOptions {
        drain_deadline: Duration::from_millis(200),
        ..options("a")
    });
    let held = Held::at(server.address());
    server.heap().health().mark_unhealthy();
    let ended = server.join().unwrap();
    assert_eq!((ended.reason, ended.requests_cut), (Reason::Unhealthy, 1));
    assert_eq!((ended.exit_code(), EXIT_CUT), (75, 75));
    drop(held);
}

#[test]
fn the_next_process_says_ready_once_to_the_balancer_that_was_told_to_drain() {
    let agent_state = Some(fresh("agent", "state"));
    let with_state = || ServeOptions {
        agent_state: agent_state.clone(),
        ..options("a")
    };
    let server = start(with_state());
    let agent = server.agent_address().unwrap();
    let held = Held::at(server.address());
    assert_eq!(ask_agent(agent), "up\n");
    server.heap().health().mark_unhealthy();
    assert_eq!(ask_agent(agent), "drain\n");
    assert_eq!(held.finish().status, 200);
    assert_eq!(server.join().unwrap().exit_code(), 10);

    let server = start(with_state());
    let agent = server.agent_address().unwrap();
    assert_eq!(ask_agent(agent), "up ready\n");
    assert_eq!(ask_agent(agent), "up\n");
    server.ask_to_leave();
    assert_eq!(server.join().unwrap().exit_code(), 0);
}
