//! The reports for people, word for word.
//!
//! A run follows from its seed, so its whole report can stand here; only elapsed times are put to
//! zero. When a change to the heap moves the figures, look at the difference and accept it.

use gc_core::CheckLevel;
use stress::options::{CopyBack, Options};
use stress::{human, makefunc};

/// The report of a run, all times zero.
fn report(options: &Options) -> String {
    let mut outcome = makefunc::run(options, &mut |_| {}).unwrap();
    outcome.elapsed_ms = 0;
    if let Some(first) = &mut outcome.first {
        first.elapsed_ms = 0;
    }
    let mut text = Vec::new();
    human::write_opening(&mut text, options).unwrap();
    human::write_outcome(&mut text, &outcome).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn the_story_of_the_incident() {
    insta::assert_snapshot!(report(&Options {
        ops: 1_000,
        ..Options::new(1)
    }));
}

#[test]
fn the_story_of_the_incident_with_the_checks_that_go_makes() {
    let checks = CheckLevel::Lax.into();
    insta::assert_snapshot!(report(&Options {
        ops: 1_000,
        checks,
        ..Options::new(1)
    }));
}

#[test]
fn the_story_of_the_fix() {
    let copy_back = CopyBack::Plain;
    insta::assert_snapshot!(report(&Options {
        ops: 1_000,
        copy_back,
        ..Options::new(1)
    }));
}
