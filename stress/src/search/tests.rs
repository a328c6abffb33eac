//! What a search promises, on few programs.

use gc_core::Driver;

use super::*;
use crate::driver::DriverChoice;

fn options(name: &str) -> SearchOptions {
    SearchOptions {
        seed: 7,
        budget: None,
        programs: Some(30),
        until_findings: None,
        breaks: false,
        level: None,
        directory: std::env::temp_dir()
            .join(format!("softfail-search-{name}-{}", std::process::id())),
    }
}

fn searched(options: &SearchOptions) -> SearchOutcome {
    run(options, &mut |_, _, _| Ok(())).unwrap()
}

/// The trace of a finding of a program on one thread.
fn text_of(finding: &Finding) -> String {
    match &finding.again {
        Again::Trace(file) => fs::read_to_string(file).unwrap(),
        Again::Command(command) => panic!("{command}: on one thread"),
    }
}

#[test]
fn honest_programs_are_carried_out_and_nothing_is_said_of_them() {
    let options = options("honest");
    let outcome = searched(&options);
    assert_eq!(outcome.exit_code(), 0, "{:?}", outcome.findings);
    assert_eq!(outcome.programs, 30);
    assert!(
        outcome.levels.iter().all(|(_, programs)| *programs > 2),
        "{:?}",
        outcome.levels
    );
    // The writer knows what there is: a program whose operations do nothing finds nothing.
    assert!(
        outcome.skipped * 20 < outcome.ops,
        "{} of {}",
        outcome.skipped,
        outcome.ops
    );
    assert!(
        outcome.cycles > 60 && outcome.live_checked > 50,
        "{outcome:?}"
    );
    assert!(!options.directory.join(RUNNING).exists());
    fs::remove_dir_all(&options.directory).unwrap();
}

#[test]
fn programs_that_break_something_are_found_and_their_traces_show_it_again() {
    let options = SearchOptions {
        breaks: true,
        until_findings: Some(3),
        ..options("broken")
    };
    let outcome = searched(&options);
    assert_eq!(outcome.findings.len(), 3, "{outcome:?}");
    for finding in &outcome.findings {
        assert_eq!(finding.signature.sort, Sort::Reported, "{finding:?}");
        let replayed = lab::replay_text(&text_of(finding)).unwrap();
        assert!(replayed.is_as_recorded, "{finding:?}");
        let (_, check) = replayed.first_violation.unwrap();
        assert_eq!(Some(check), finding.signature.check);
    }
    fs::remove_dir_all(&options.directory).unwrap();
}

#[test]
fn the_same_seed_finds_the_same_and_another_one_other_things() {
    let at = |seed, name| {
        let options = SearchOptions {
            seed,
            breaks: true,
            programs: Some(8),
            ..options(name)
        };
        let outcome = searched(&options);
        fs::remove_dir_all(&options.directory).unwrap();
        let findings = outcome.findings.into_iter();
        let findings = findings.map(|finding| (finding.signature, finding.program, finding.times));
        (outcome.ops, outcome.cycles, findings.collect::<Vec<_>>())
    };
    assert_eq!(at(1, "one"), at(1, "same"));
    assert_ne!(at(1, "one"), at(2, "two"));
}

#[test]
fn either_driver_and_limits_are_drawn_and_some_limits_are_met() {
    let options = SearchOptions {
        programs: Some(64),
        ..options("regimes")
    };
    let outcome = searched(&options);
    fs::remove_dir_all(&options.directory).unwrap();
    assert_eq!(outcome.exit_code(), 0, "{:?}", outcome.findings);
    let of = |driver: &str| outcome.drivers.get(driver).copied().unwrap_or(0);
    assert!(of("manual") > 20 && of("incremental") > 10, "{outcome:?}");
    assert!(outcome.limited > 10, "{outcome:?}");
    let generational = outcome.generational;
    assert!((16..48).contains(&generational), "{outcome:?}");
    assert!(
        outcome.limits_met > 2 && outcome.limits_met < outcome.limited,
        "{outcome:?}"
    );
    assert!(outcome.refused > outcome.limits_met, "{outcome:?}");
    let threads: u64 = outcome.threads.values().sum();
    assert_eq!(threads, 64);
    assert!(
        outcome.threaded.programs > 0 && outcome.threaded.looks > 0,
        "{outcome:?}"
    );
}

#[test]
fn a_program_under_a_limit_and_the_incremental_driver_does_the_same_every_time() {
    let mut seen = (0, 0);
    for number in 0..40 {
        let rng = Rng::of_thread(5, "search", number);
        let written = write::write(Chooser::Drawn(rng), None, false);
        let text = trace_of(&written, 5).to_text();
        let trace = Trace::from_text(&text).unwrap();
        assert_eq!(trace.header.regime, written.regime);
        let setup = lab::setup(&trace.header).unwrap();
        let told = |trace: &Trace| {
            let outcome = lab::run(&trace.program, &setup).unwrap();
            let mut bytes = Vec::new();
            lab::write_json(&mut bytes, trace, &outcome, true).unwrap();
            let at = (outcome.refused, outcome.skipped, outcome.cycle_at);
            (String::from_utf8(bytes).unwrap(), at)
        };
        let first = told(&trace);
        assert_eq!(first, told(&trace), "program {number}");
        let is_incremental = written.regime.driver == DriverChoice(Driver::Incremental);
        seen.0 += u64::from(is_incremental);
        seen.1 += u64::from(is_incremental && !first.1.0.is_empty());
    }
    assert!(seen.0 > 6 && seen.1 > 0, "{seen:?}");
}

#[test]
fn an_honest_program_stays_honest_whatever_its_limit_refuses() {
    let (mut programs, mut refused) = (0, 0);
    for number in 0..60 {
        let rng = Rng::of_thread(11, "search", number);
        let mut written = write::write(Chooser::Drawn(rng), Some(CheckLevel::Paranoid), false);
        if written.regime.limit_bytes.is_none() {
            continue;
        }
        // As little as a heap can have, so that nearly everything is refused.
        written.regime.limit_bytes = Some(1 << 14);
        written.regime.soft_limit_bytes = None;
        let setup = lab::setup(&trace_of(&written, 11).header).unwrap();
        let verdict = judge::judge(&written, &setup, false);
        assert_eq!(verdict.signature, None, "program {number}");
        programs += 1;
        refused += verdict.outcome.unwrap().refused.len();
    }
    assert!(
        programs > 10 && refused > 10 * programs,
        "{refused} in {programs}"
    );
}

#[test]
fn bytes_decide_a_program_and_fewer_of_them_a_shorter_one() {
    let bytes: Vec<u8> = (0..4000_u32).map(|at| (at * at / 7 + at) as u8).collect();
    let lengths = [0, 1, 40, 400, 4000].map(|length| {
        assert_eq!(fuzz(&bytes[..length], &std::env::temp_dir(), None), Ok(()));
        write::write(Chooser::Read(&bytes[..length]), None, false)
            .program
            .ops
            .len()
    });
    assert!(
        lengths[..4].is_sorted() && lengths[3..].iter().all(|length| *length > lengths[1] + 20),
        "{lengths:?}"
    );
}

#[cfg(feature = "fault-inject")]
#[test]
fn a_planted_fault_is_found_by_some_bytes_and_shown_by_their_trace() {
    // The second one is a fault of young cycles alone.
    for class in ["shade-unpushed", "store-unremembered"] {
        find_planted(class);
    }
}

#[cfg(feature = "fault-inject")]
fn find_planted(class: &str) {
    let directory = options(class).directory;
    fs::create_dir_all(&directory).unwrap();
    let mut rng = Rng::for_purpose(1, "planted");
    let mut programs = (0..400).map(|_| -> Vec<u8> {
        let length = rng.within(400..=4000);
        (0..length).map(|_| rng.next_u64() as u8).collect()
    });
    let fault = Some(class);
    let found = programs.find_map(|bytes| {
        fuzz(&bytes, &directory, fault)
            .err()
            .map(|told| (bytes, told))
    });
    let (bytes, told) = found.unwrap();
    assert_eq!(fuzz(&bytes, &directory, None), Ok(()));
    let (_, file) = told.rsplit_once(": ").unwrap();
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(&format!("\nfault {class} 1 0\n")), "{told}");
    let replayed = lab::replay_text(&text).unwrap();
    assert!(replayed.is_as_recorded, "{told}");
    assert!(
        replayed.live_lost > 0 || replayed.first_violation.is_some(),
        "{told}"
    );
    let unknown = fuzz(&bytes, &directory, Some("no-such-fault")).unwrap_err();
    assert_eq!(unknown, "there is no fault no-such-fault to plant");
    fs::remove_dir_all(&directory).unwrap();
}
