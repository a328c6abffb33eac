//! The page of a campaign and its recorded runs, through the binary: what stands on it, that nothing is
//! loaded, and that names from files stay text.
#![cfg(feature = "fault-inject")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stress::hash::content_hash;

/// Words that would be more than words, if they were taken for markup.
const HOSTILE: &str = "</style></script><script>alert(1)</script><img/src=x/onerror=alert(2)>\"'&";

fn gc_stress(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gc-stress"));
    command.args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A trace of these operations.
fn trace(scenario: &str, checks: &str, kind: &str, ops: &[&str]) -> String {
    let count = ops.len();
    let ops = ops.join("\n");
    let text = format!(
        "softfail-trace 1\nbuild of a test\nscenario {scenario}\nseed 1\npolicy unhealthy\nchecks {checks}\nthreads \
         1\nkind Parameter 3 1\nkind {kind} 3 2\nlost 0\nops {count}\n{ops}\n"
    );
    let checksum = content_hash(text.as_bytes());
    format!("{text}end {checksum:016x}\n")
}

/// The incident as Go sees it: the sweep finds it, and withdraws the span.
fn incident(scenario: &str, kind: &str) -> String {
    let fill = format!("fill 0 4 2 {kind}");
    let ops = [
        "enter 0 0",
        "new 1 Parameter",
        "root 1",
        "leave",
        "push 4",
        &fill,
        "root 3",
        "root 5",
        "pop",
        "park",
        "collect",
        "until mark",
        "push 1",
        "call 0 1 barrier",
        "park",
        "finish",
        "collect",
    ];
    trace(scenario, "lax", kind, &ops)
}

fn page(places: &[&str]) -> String {
    let file = Path::new(places[0]).join("page.html");
    let out = file.to_str().unwrap();
    let output = gc_stress(&[&["report", "--allow-other-build", "-o", out], places].concat());
    assert_eq!(code(&output), 0, "{output:?}");
    fs::read_to_string(file).unwrap()
}

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

/// What stands between two things, each time.
fn between<'p>(page: &'p str, from: &str, to: &str) -> Vec<&'p str> {
    let parts = page.split(from).skip(1);
    parts.map(|part| part.split(to).next().unwrap()).collect()
}

/// Every tag is closed, as far as tags of this kind go.
fn assert_closed(page: &str) {
    for tag in [
        "svg", "details", "table", "ol", "dl", "figure", "script", "style", "main",
    ] {
        let opened = count(page, &format!("<{tag}>")) + count(page, &format!("<{tag} "));
        assert_eq!(opened, count(page, &format!("</{tag}>")), "{tag}");
    }
}

/// Nothing is fetched from anywhere.
fn assert_alone(page: &str) {
    for way in [
        "http:",
        "https:",
        "@import",
        "url(",
        " src=",
        "<iframe",
        "<img",
        "<link rel=\"style",
    ] {
        assert_eq!(count(page, way), 0, "{way}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_recorded_run_shows_its_phases_and_the_life_of_the_slot() {
    let folder = folder("run");
    fs::write(
        folder.join("incident.gctrace"),
        incident("makefunc", "Setting"),
    )
    .unwrap();
    let place = folder.to_str().unwrap();
    let page = self::page(&[place]);
    assert_closed(&page);
    assert_alone(&page);
    assert_eq!(
        page,
        self::page(&[place]),
        "the same folder gives the same page"
    );

    assert_eq!(count(&page, "<details class=\"finding"), 1);
    assert!(page.contains("sweep-count at operation 16 of 17: sweep increased allocation count"));
    assert!(page.contains("brought in at 14"));
    // The lanes: the phase in which the guilty store stands, and what the slot was in turn.
    let phases = between(&page, "<g class=\"lane-phases\">", "</g>")[0];
    for phase in [
        "idle",
        "arm",
        "settle",
        "snapshot",
        "mark",
        "terminate",
        "clear",
        "sweep",
    ] {
        assert!(
            phases.contains(&format!("class=\"phase-{phase}\"")),
            "{phase}"
        );
    }
    assert!(phases.contains("<title>mark, cycle 2</title>"));
    let life = between(&page, "<g class=\"lane-life\">", "</g>")[0];
    let states: Vec<&str> = between(life, "class=\"slot-", "\"");
    assert_eq!(
        states,
        ["fresh", "object", "dead", "dead", "object", "object"]
    );
}

#[test]
fn a_recorded_run_shows_its_span_and_its_story() {
    let folder = folder("span");
    let text = incident("makefunc", "Setting");
    fs::write(folder.join("incident.gctrace"), text).unwrap();
    let page = page(&[folder.to_str().unwrap()]);
    // The span: one square a slot, at the report and at the end, and one picture an operation.
    let maps = between(&page, "<svg class=\"map\"", "</svg>");
    assert_eq!(maps.len(), 2);
    for map in &maps {
        assert_eq!(count(map, "M"), 256);
        assert_eq!(between(map, "data-bytes=\"", "\"")[0].len(), 512);
        assert_eq!(count(map, "class=\"guilty\""), 1);
    }
    assert!(page.contains("Setting, 256 slots of 32 bytes, quarantined; 3 objects in its books"));
    let frames = between(&page, "class=\"frames\">", "</script>")[0];
    let frames: Value = serde_json::from_str(frames).unwrap();
    let frames = frames.as_array().unwrap();
    assert_eq!(frames.len(), 17);
    assert_eq!(
        (&frames[0][1], frames[16][1].as_str().unwrap().len()),
        (&"".into(), 512)
    );
    assert!(
        frames[6][1].as_str().unwrap().starts_with("01010101000000"),
        "{}",
        frames[6][1]
    );
    // The story.
    assert_eq!(count(&page, "<li class=\"step\" data-op="), 17);
    assert!(page.contains("<span>Operation 14 brought it in.</span>"));
}

#[test]
fn a_long_run_has_a_focus_and_a_story_once_it_is_shrunk() {
    let folder = folder("long");
    let filler = ["enter 0 0", "bytes 900 24", "leave"].repeat(60);
    let text = incident("makefunc", "Setting");
    let ops = between(&text, "ops 17\n", "\nend")[0];
    let ops: Vec<&str> = filler.iter().copied().chain(ops.lines()).collect();
    fs::write(
        folder.join("long.gctrace"),
        trace("makefunc", "lax", "Setting", &ops),
    )
    .unwrap();
    let place = folder.to_str().unwrap();
    let long = page(&[place]);
    assert!(
        long.contains("Operations 136 to 197")
            && long.contains("197 operations, which is no story")
    );
    assert_eq!(
        (
            count(&long, "class=\"lanes timeline\""),
            count(&long, "class=\"step\"")
        ),
        (2, 0)
    );
    let shrunk = page(&[place, "--shrink", "60"]);
    assert!(shrunk.contains("Shrunk for this page from 197 operations to "));
    let steps = count(&shrunk, "class=\"step\"");
    assert!((5..=17).contains(&steps), "{steps}");
}

// Where a fault costs a live object, the child's program reads freed memory, and a sanitizer ends it there.
#[cfg(not(softfail_asan))]
#[test]
fn a_campaign_shows_its_table_its_distances_and_the_cases_worth_a_look() {
    let folder = folder("campaign");
    let place = folder.to_str().unwrap();
    let output = gc_stress(&[
        "campaign", "--cases", "0..20", "--shard", "0/1", "--out", place,
    ]);
    assert_eq!(code(&output), 0, "{output:?}");
    // A case that says the worst in the worst words.
    let file = folder.join("shard-0000-of-0001.jsonl");
    let words = serde_json::to_string(HOSTILE).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| {
        let mut line = line.to_string();
        if line.contains("\"event\":\"case\",\"case\":3,") {
            let outcome = between(&line, "\"outcome\":", ",")[0].to_string();
            line = line.replace(&outcome, "\"hang\"").replace(
                "\"why\":\"\",\"breach\":null",
                &format!("\"why\":{words},\"breach\":\"it hangs\""),
            );
        }
        line + "\n"
    });
    let text: String = lines.collect();
    assert!(text.contains(&words) && text.contains("it hangs"));
    fs::write(&file, text).unwrap();

    let page = page(&[place]);
    assert_closed(&page);
    assert_alone(&page);
    assert!(page.contains("<p class=\"verdict bad\">1 promises broken.</p>"));
    assert_eq!(count(&page, "class=\"histogram\""), 6);
    let rows = between(&page, "<table class=\"campaign\">", "</table>")[0];
    // Eighteen faults in turn, but for two pairs and two controls.
    assert_eq!(count(rows, "<tr><td"), 18);
    assert_eq!(count(rows, "<td class=\"cell\""), 3 * 18);
    assert_eq!(count(rows, "1 promises broken"), 1);
    let first = between(&page, "<details class=\"finding", "</details>")[0];
    assert!(first.contains("id=\"case-3\"") && first.contains("class=\"lanes timeline\""));
    assert!(first.contains("&#60;script&#62;alert(1)") && !first.contains("<script"));
    assert_eq!(count(&page, "<script>alert"), 0);
    assert!(first.contains("gc-stress campaign --seed 1 --cases 3..4 --json"));
}

#[test]
fn names_from_a_trace_and_from_a_folder_stay_text() {
    let folder = folder("hostile").join("a&b<c>\"d'");
    fs::create_dir_all(&folder).unwrap();
    let kind = "</script><script>alert(3)</script>";
    fs::write(folder.join("<b>x.gctrace"), incident(HOSTILE, kind)).unwrap();
    let page = page(&[folder.to_str().unwrap()]);
    assert_closed(&page);
    assert_alone(&page);
    assert_eq!(count(&page, "<script>alert"), 0);
    assert!(page.contains("kind &#60;/script&#62;&#60;script&#62;alert(3)"));
    assert!(page.contains("a&#38;b&#60;c&#62;&#34;d&#39;"));
    // Two scripts that are ours: the pictures of the span, and the page's own.
    assert_eq!(count(&page, "<script"), 2);
}

#[test]
fn nothing_to_show_and_what_cannot_be_read_are_refused() {
    let folder = folder("refused");
    let place = folder.to_str().unwrap();
    let out = folder.join("page.html");
    let out = out.to_str().unwrap();
    let refused = |wanted: i32, named: &str| {
        let output = gc_stress(&["report", place, "-o", out]);
        let told = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(code(&output), wanted, "{told}");
        assert!(told.contains(named), "{told}");
    };
    refused(65, "neither a file of a shard");
    let trace = folder.join("t.gctrace");
    fs::write(&trace, incident("makefunc", "Setting")).unwrap();
    refused(65, "another build");
    fs::write(&trace, "softfail-trace 1\n").unwrap();
    refused(65, "truncated");
    fs::write(folder.join("shard-x.jsonl"), "{}\n").unwrap();
    refused(65, "shard-x.jsonl:1: ");
    assert!(!Path::new(out).exists());
    assert_eq!(code(&gc_stress(&["report", place])), 64);
    assert_eq!(code(&gc_stress(&["report", "-o", out, "/nowhere"])), 65);
}
