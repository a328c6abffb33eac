//! What is no file of this campaign, or no shard at all, is refused by name.

use std::fs;

use rustix::fs::{FlockOperation, flock};

use super::*;

/// What is changed into what, the line where that is noticed, and what is said of it.
const WRONG: [(&str, &str, &str, &str); 8] = [
    ("\"seed\":1,", "\"seed\":2,", ":2: ", "seed"),
    ("\"cases_to\":40", "\"cases_to\":41", ":1: ", "0..41"),
    ("\"format\":1", "\"format\":2", ":1: ", "the format is 2"),
    ("\"build\":\"", "\"build\":\"not-", ":1: ", "build"),
    (
        "{\"event\":\"case\",\"case\":1,",
        "{\"event\":\"case\",\"case\":2,",
        ":2: ",
        "case 2",
    ),
    (
        "{\"event\":\"case\",\"case\":5,",
        "garbage",
        ":3: ",
        "expected",
    ),
    (
        "{\"event\":\"manifest\"",
        "{\"event\":\"case\"",
        ":1: ",
        "manifest is expected",
    ),
    (
        "\"event\":\"end\",\"cases\":10",
        "\"event\":\"end\",\"cases\":11",
        ":12: ",
        "11 cases",
    ),
];

#[test]
fn files_that_are_malformed_or_of_another_campaign_are_refused_by_name() {
    let folder = copy("malformed");
    let path = file(&folder, 1);
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, line, named) in WRONG {
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        for output in [merge(&folder, &[]), run_again(&folder, "1/4")] {
            let told = text(&output.stderr);
            assert_eq!(code(&output), 65, "{from}: {told}");
            assert!(
                told.contains(&format!("shard-0001-of-0004.jsonl{line}")),
                "{told}"
            );
            assert!(told.contains(named), "{named}: {told}");
        }
        assert!(
            fs::read_to_string(&path).unwrap().contains(to),
            "nothing was written"
        );
    }
    change(&path, |_| format!("{good}{{\"event\":\"case\"}}\n"));
    assert_eq!(code(&merge(&folder, &[])), 65);
    // Thrown away when that is asked for.
    let out = folder.to_str().unwrap();
    let line = [
        "campaign", "--cases", CASES, "--shard", "1/4", "--fresh", "--out", out,
    ];
    assert_eq!(code(&gc_stress(&line)), 0);
    assert_eq!(code(&merge(&folder, &[])), whole().1);

    let empty = self::folder("empty");
    let told = merge(&empty, &[]);
    assert_eq!(code(&told), 65);
    assert!(
        text(&told.stderr).contains("no file of a shard"),
        "{told:?}"
    );
    assert_eq!(code(&merge(&empty.join("nowhere"), &[])), 65);
}

#[test]
fn another_build_is_refused_unless_that_is_allowed() {
    let folder = copy("build");
    for shard in 0..4 {
        change(&file(&folder, shard), |text| {
            text.replacen("\"build\":\"", "\"build\":\"old ", 1)
        });
    }
    let output = merge(&folder, &[]);
    assert_eq!(code(&output), 65);
    assert!(
        text(&output.stderr).contains("another build, old "),
        "{output:?}"
    );
    assert_eq!(code(&merge(&folder, &["--allow-other-build"])), whole().1);
}

#[test]
fn one_process_writes_a_file_at_a_time() {
    let folder = copy("busy");
    let held = fs::File::open(file(&folder, 0)).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let output = run_again(&folder, "0/4");
    assert_eq!(code(&output), 75);
    assert!(
        text(&output.stderr).contains("another process is writing"),
        "{output:?}"
    );
    drop(held);
    assert_eq!(code(&run_again(&folder, "0/4")), 0);
}

fn usage(arguments: &[&str], set: &[(&str, &str)], named: &str) {
    let mut command = command(arguments);
    for (name, value) in set {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(code(&output), 64, "{arguments:?}: {told}");
    assert!(told.contains(named), "{told}");
}

#[test]
fn what_cannot_be_one_shard_is_usage() {
    let folder = folder("usage");
    let out = folder.to_str().unwrap();
    usage(
        &["campaign", "--shard", "4/4", "--out", out],
        &[],
        "no shard 4 of 4",
    );
    usage(&["campaign", "--shard", "0/4"], &[], "--out DIR");
    usage(
        &["campaign", "--shards", "4", "--out", out],
        &[],
        "--shard I/N",
    );
    usage(
        &["campaign", "--shard", "0/4", "--shards", "4", "--out", out],
        &[],
        "cannot be used",
    );
    usage(
        &["campaign", "--shard", "0/4", "--json", "--out", out],
        &[],
        "--json",
    );
    usage(&["campaign", "--out", out], &[], "is a folder");
    usage(&["campaign", "--resume"], &[], "--shard I/N");
    usage(&["merge"], &[], "DIR");
}

#[test]
fn variables_that_say_no_shard_are_usage() {
    let folder = folder("variables");
    let out = folder.to_str().unwrap();
    let job = ("JOB_COMPLETION_INDEX", "1");
    usage(&["campaign", "--out", out], &[job], "GC_SHARDS");
    usage(
        &["campaign", "--out", out],
        &[job, ("GC_SHARDS", "x")],
        "GC_SHARDS is `x`",
    );
    let task = [
        ("SLURM_ARRAY_TASK_ID", "1"),
        ("SLURM_ARRAY_TASK_COUNT", "2"),
    ];
    let both = [&task[..], &[job, ("GC_SHARDS", "2")]].concat();
    let listed = command(&["campaign", "--list"])
        .envs(both.clone())
        .output()
        .unwrap();
    assert_eq!(code(&listed), 0);
    usage(&["campaign"], &both, "--out DIR");
    usage(
        &["campaign", "--out", out],
        &[both[0], both[1], ("JOB_COMPLETION_INDEX", "0"), both[3]],
        "say --shard",
    );
}
