//! Instances that turn together and leave one after the other.

use std::fs;
use std::time::Duration;

use stress::serve::{Reason, ServeOptions};

use crate::support::{Held, await_status, fresh, get, options, start};

#[test]
fn of_two_sick_instances_one_serves_until_the_other_is_back() {
    let lease = fresh("lease", "lease");
    let with_lease = |instance: &str| ServeOptions {
        lease: Some(lease.clone()),
        ..options(instance)
    };
    let (a, b) = (start(with_lease("a")), start(with_lease("b")));
    let (held_a, held_b) = (Held::at(a.address()), Held::at(b.address()));
    a.heap().health().mark_unhealthy();
    await_status(a.address(), "/readyz", 503);
    b.heap().health().mark_unhealthy();
    let waits = get(b.address(), "/readyz");
    assert_eq!(waits.status, 200);
    assert!(
        waits.body.contains("waits for its turn to leave"),
        "{}",
        waits.body
    );
    assert!(!waits.says_envoy_fail());

    assert_eq!(held_a.finish().status, 200);
    assert_eq!(a.join().unwrap().exit_code(), 10);
    // The one that left is not back before its next process gets a request.
    let a = start(with_lease("a"));
    assert!(fs::read_to_string(&lease).unwrap().starts_with("a "));
    assert_eq!(get(b.address(), "/readyz").status, 200);
    assert_eq!(get(a.address(), "/work").status, 200);
    await_status(b.address(), "/readyz", 503);
    assert!(fs::read_to_string(&lease).unwrap().starts_with("b "));
    assert_eq!(held_b.finish().status, 200);
    assert_eq!(b.join().unwrap().exit_code(), 10);
    a.ask_to_leave();
    assert_eq!(a.join().unwrap().exit_code(), 0);
}

#[test]
fn who_waits_for_its_turn_leaves_at_once_when_asked_to() {
    let server = start(ServeOptions {
        fleet_delay: Duration::from_secs(86_400),
        ..options("a")
    });
    server.heap().health().mark_unhealthy();
    server.ask_to_leave();
    let ended = server.join().unwrap();
    assert_eq!((ended.reason, ended.exit_code()), (Reason::Asked, 10));
}
