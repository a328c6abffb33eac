//! What a search promises, on few programs.

use super::*;

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
        let replayed = lab::replay_text(&fs::read_to_string(&finding.file).unwrap()).unwrap();
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
fn bytes_decide_a_program_and_fewer_of_them_a_shorter_one() {
    let bytes: Vec<u8> = (0..4000_u32).map(|at| (at * at / 7 + at) as u8).collect();
    let lengths = [0, 1, 40, 400, 4000].map(|length| {
        assert_eq!(fuzz(&bytes[..length], &std::env::temp_dir()), Ok(()));
        write::write(Chooser::Read(&bytes[..length]), None, false)
            .program
            .ops
            .len()
    });
    assert!(
        lengths.is_sorted() && lengths[4] > lengths[1] + 20,
        "{lengths:?}"
    );
}
