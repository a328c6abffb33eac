//! The operating system refuses each call in turn: the space is not built, or goes on with what it has.

mod support;

use std::sync::Arc;

use gc_hooks::{Check, Hooks, Policy};
use gc_sweep::os::fault::{self, Persistence, Target};
use gc_sweep::{AllocError, OsCall, Space, SpaceConfig, SpaceError};
use support::{CONFIG, Lab, number};

#[test]
fn a_space_is_built_whole_or_not_at_all() {
    let hooks = || Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
    let before = fault::calls(Target::Any);
    Space::new(CONFIG, hooks()).unwrap();
    let calls = fault::calls(Target::Any) - before;
    assert!(calls >= 5, "reservation and side tables");
    for persistence in [Persistence::Once, Persistence::Persistent] {
        for nth in 0..calls {
            let armed = fault::fail_nth(Target::Any, nth, persistence);
            let built = Space::new(CONFIG, hooks());
            drop(armed);
            assert!(matches!(built, Err(SpaceError::Os(_))), "call {nth}");
        }
    }
    assert!(Space::new(CONFIG, hooks()).is_ok());
}

#[test]
fn a_refused_reservation_is_tried_again_at_half_the_size() {
    let hooks = Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
    let armed = fault::fail_nth(Target::Call(OsCall::Reserve), 0, Persistence::Once);
    let space = Space::new(
        SpaceConfig {
            reserve_bytes: 256 << 20,
            ..CONFIG
        },
        hooks,
    )
    .unwrap();
    drop(armed);
    assert_eq!(space.reserve_bytes(), 128 << 20);
}

#[test]
fn settings_out_of_range_are_named() {
    let hooks = || Arc::new(Hooks::new(Policy::MARK_UNHEALTHY));
    let bad = [
        (
            SpaceConfig {
                reserve_bytes: 0,
                ..CONFIG
            },
            "reserve_bytes",
        ),
        (
            SpaceConfig {
                reserve_bytes: usize::MAX,
                ..CONFIG
            },
            "reserve_bytes",
        ),
        (
            SpaceConfig {
                span_pages_max: 0,
                ..CONFIG
            },
            "span_pages_max",
        ),
        (
            SpaceConfig {
                limit_bytes: Some(100),
                ..CONFIG
            },
            "limit_bytes",
        ),
    ];
    for (config, name) in bad {
        let error = Space::new(config, hooks()).unwrap_err();
        assert!(
            matches!(error, SpaceError::Setting { setting, .. } if setting == name),
            "{error}"
        );
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[test]
fn refill_survives_every_refused_commit() {
    for persistence in [Persistence::Once, Persistence::Persistent] {
        for nth in 0..5 {
            let mut lab = Lab::new();
            let (class, large) = (lab.class(1024), lab.large_class());
            let mut objects = Vec::new();
            let armed = fault::fail_nth(Target::Call(OsCall::Commit), nth, persistence);
            let mut refusals = 0;
            for index in 0..9_000 {
                let allocated = if index % 100 == 0 {
                    lab.alloc_large(large, 70_000)
                } else {
                    lab.try_alloc(class)
                };
                match allocated {
                    Ok(object) => objects.push(object),
                    Err(AllocError::Os(error)) => {
                        assert_eq!(error.call, OsCall::Commit);
                        refusals += 1;
                        lab.assert_balanced();
                        if refusals == 30 {
                            break;
                        }
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            drop(armed);
            // A slow path that is refused tries once more, so that a single refusal is not seen.
            assert_eq!(
                refusals > 0,
                persistence == Persistence::Persistent,
                "{refusals} refusals"
            );
            objects.sort_unstable();
            assert_eq!(lab.objects(), objects);
            lab.alloc_many(class, 3000);
            lab.sync_all();
            lab.assert_balanced();
            lab.assert_silent();
        }
    }
}

#[test]
fn refused_huge_pages_cost_nothing_but_speed() {
    let mut lab = Lab::new();
    let class = lab.class(1024);
    let armed = fault::fail_nth(Target::Call(OsCall::AdviseHuge), 0, Persistence::Persistent);
    lab.alloc_many(class, 5000);
    drop(armed);
    lab.sync_all();
    lab.assert_balanced();
    lab.assert_silent();
}

#[test]
fn a_refused_release_is_reported_and_tried_again_in_the_next_cycle() {
    let mut lab = Lab::new();
    let class = lab.large_class();
    lab.alloc_large(class, 6 << 20).unwrap();
    lab.collect(&[]);
    let armed = fault::fail_nth(Target::Call(OsCall::Release), 1, Persistence::Once);
    lab.collect(&[]);
    drop(armed);
    let violation = lab.assert_only(Check::OsCall, 1);
    assert_eq!(violation.reason, "giving memory back was refused");
    assert_eq!(
        number(&violation, "errno"),
        u64::from(fault::ERRNO_INJECTED.unsigned_abs())
    );
    assert_eq!(lab.space.usage().bytes_released, 2 << 20);
    lab.collect(&[]);
    assert_eq!(lab.space.usage().bytes_released, 6 << 20);
    assert!(lab.alloc_large(class, 6 << 20).is_ok());
    lab.assert_balanced();
    lab.assert_only(Check::OsCall, 1);
}
