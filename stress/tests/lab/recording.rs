//! What a recording promises: it replays as it was, on this build, and a file that is not whole is refused.

use std::fs;
use std::path::Path;

use crate::{file, gc_stress, last, lines, stderr, stdout, violations};

/// Violations that the file says were met: operation, check, count.
fn recorded(path: &Path) -> Vec<(u64, String, u64)> {
    let text = fs::read_to_string(path).unwrap();
    let ops = text.lines().skip_while(|line| !line.starts_with("ops "));
    let (mut op, mut found) = (0, Vec::new());
    for line in ops.skip(1) {
        match line.strip_prefix("! ") {
            Some(met) => {
                let (check, count) = met.split_once(' ').unwrap();
                found.push((op, check.to_string(), count.parse().unwrap()));
            }
            None => op += 1,
        }
    }
    found
}

#[test]
fn a_recorded_run_replays_with_the_same_violations_and_the_same_bytes() {
    for (name, options) in [
        ("default", "--ops 330"),
        (
            "threads",
            "--threads 3 --ops 150 --checks paranoid --policy count",
        ),
    ] {
        let path = file(&format!("{name}.trace"));
        let line = format!("run makefunc --seed 1 --json --record {{}} {options}");
        let run = gc_stress(&line, &[&path]);
        assert_eq!(run.status.code(), Some(10), "{name}: {}", stderr(&run));
        let (one, other) = (
            gc_stress("replay {} --json", &[&path]),
            gc_stress("replay {} --json", &[&path]),
        );
        assert_eq!(one.status.code(), Some(10), "{name}: {}", stdout(&one));
        assert_eq!(one.stdout, other.stdout, "{name}");
        assert_eq!(violations(&one), recorded(&path), "{name}");
        let (end, of_run) = (last(&one), last(&run));
        assert_eq!(end["as_recorded"], true, "{name}");
        assert_eq!(end["violations"], of_run["violations"], "{name}");
        let (first, of_run) = (&end["first_violation"], &of_run["first_violation"]);
        assert_eq!(first["check"], of_run["check"], "{name}");
        assert_eq!(first["call_site"], of_run["call_site"], "{name}");
        assert_eq!(first["workload_op"], of_run["at_op"], "{name}");
    }
}

#[test]
fn a_clean_run_replays_with_exit_code_0() {
    let path = file("fixed.trace");
    let run = gc_stress(
        "run makefunc --seed 1 --ops 50 --fixed --record {}",
        &[&path],
    );
    assert_eq!(run.status.code(), Some(0));
    let replay = gc_stress("replay {}", &[&path]);
    assert_eq!(replay.status.code(), Some(0), "{}", stdout(&replay));
    assert!(stdout(&replay).contains("0 violations; every one at the operation"));
}

/// The text of a short trace, from a scenario.
fn short_trace() -> String {
    let path = file("short.trace");
    let run = gc_stress("run call-method --record {} --json", &[&path]);
    assert_eq!(run.status.code(), Some(10));
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_that_is_not_whole_is_refused_with_exit_code_65() {
    let text = short_trace();
    let cut = text.len() / 2;
    let mut flipped: Vec<(String, String)> = Vec::new();
    for part in 1..8 {
        let mut bytes = text.clone().into_bytes();
        let at = part * bytes.len() / 8;
        bytes[at] ^= 1;
        flipped.push((
            String::from_utf8(bytes).unwrap(),
            "the trace is corrupt".into(),
        ));
    }
    let mut refused = vec![
        (
            text[..cut].to_string(),
            "the trace is truncated".to_string(),
        ),
        (String::new(), "this is no trace".into()),
        ("# a page\n".into(), "this is no trace".into()),
        (
            text.replacen("softfail-trace 1", "softfail-trace 9", 1),
            "format version 9; this build reads version 1".into(),
        ),
    ];
    refused.extend(flipped);
    for (at, (text, message)) in refused.into_iter().enumerate() {
        let path = file(&format!("refused-{at}.trace"));
        fs::write(&path, text).unwrap();
        for line in ["replay {}", "shrink {} -o {}"] {
            let out = file("refused-out.trace");
            let output = gc_stress(line, &[&path, &out]);
            assert_eq!(output.status.code(), Some(65), "{line}: {message}");
            assert!(stderr(&output).contains(&message), "{}", stderr(&output));
            assert_eq!(stdout(&output), "");
            assert!(!out.exists());
        }
    }
    let absent = gc_stress("replay {}", &[&file("absent.trace")]);
    assert_eq!(absent.status.code(), Some(65));
    assert!(stderr(&absent).contains("absent.trace"));
}

/// The same trace as another build would have written it.
fn by_another_build(text: &str) -> String {
    let build = text
        .lines()
        .find(|line| line.starts_with("build "))
        .unwrap();
    let body = text.replacen(build, "build 0.0.9 elsewhere plain 00000000", 1);
    let body = &body[..body.rfind("end ").unwrap()];
    // FNV-1a, as docs/src/TRACES.md says.
    let hash = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{body}end {hash:016x}\n")
}

#[test]
fn a_trace_of_another_build_is_refused_unless_that_is_allowed() {
    let path = file("other-build.trace");
    fs::write(&path, by_another_build(&short_trace())).unwrap();
    let refused = gc_stress("replay {}", &[&path]);
    assert_eq!(refused.status.code(), Some(65));
    let message = stderr(&refused);
    assert!(message.contains("written by another build"), "{message}");
    assert!(
        message.contains("0.0.9 elsewhere plain 00000000"),
        "{message}"
    );
    assert!(message.contains("--allow-other-build"), "{message}");
    let allowed = gc_stress("replay {} --allow-other-build --json", &[&path]);
    assert_eq!(allowed.status.code(), Some(10));
    assert!(stderr(&allowed).starts_with("warning: the trace was written by"));
    assert_eq!(lines(&allowed)[0]["same_build"], false);
}

#[test]
fn what_cannot_be_recorded_is_refused_as_a_wrong_command_line() {
    let path = file("unrecorded.trace");
    for (line, message) in [
        (
            "run makefunc --driver background --record {}",
            "needs the manual driver",
        ),
        (
            "run makefunc --policy abort --record {}",
            "lets the process live",
        ),
        (
            "run map-key --policy abort --record {}",
            "lets the process live",
        ),
        ("run makefunc --threads 2", "needs --driver"),
    ] {
        let output = gc_stress(line, &[&path]);
        assert_eq!(output.status.code(), Some(64), "{line}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert!(!path.exists());
    }
}
