//! What the book says of the register, held against the code.

use std::fs;
use std::path::Path;

use gc_hooks::{Check, CheckKind, CheckLevel, Policy};

/// A page of the book.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/src")
        .join(name);
    fs::read_to_string(path).unwrap()
}

fn kind(check: Check) -> &'static str {
    match check.kind() {
        CheckKind::Invariant => "invariant",
        CheckKind::World => "world",
    }
}

/// The cells of the rows of a table that follows a heading row, without their dress.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, table) = page.split_once(heading).unwrap();
    let cells = |row: &str| -> Vec<String> {
        let row = row.trim().trim_matches('|');
        let plain = row.replace(['*', '`'], "");
        plain
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    // The line after the heading rules it off.
    let lines = table.lines().skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    lines.map(cells).collect()
}

#[test]
fn the_policy_page_says_what_every_preset_says_of_every_check() {
    let page = page("POLICY.md");
    let heading = "| check | kind | `abort` | `unhealthy` | `strict` | `count` | `hook` |";
    let presets = [
        Policy::ABORT,
        Policy::MARK_UNHEALTHY,
        Policy::STRICT,
        Policy::COUNT,
        Policy::HOOK,
    ];
    let expected: Vec<Vec<String>> = (Check::ALL.iter())
        .map(|&check| {
            let responses = presets.iter().map(|preset| preset.response(check).id());
            let cells = [check.id(), kind(check)].into_iter().chain(responses);
            cells.map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(rows(&page, heading), expected);
}

#[test]
fn the_policy_page_quotes_an_error_as_it_is() {
    let page = page("POLICY.md");
    let text = "unhealthy,bad-pointr=abort";
    assert!(page.contains(text));
    let error = text.parse::<Policy>().unwrap_err().to_string();
    assert!(page.contains(&error), "{error}");
}

#[test]
fn the_runbook_says_what_to_do_about_every_check() {
    let rows = rows(
        &page("OPERATIONS.md"),
        "| check | what happened | what to do |",
    );
    let found: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let expected: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
    assert_eq!(found, expected);
    let is_whole = |row: &Vec<String>| row.len() == 3 && row.iter().all(|cell| !cell.is_empty());
    assert!(rows.iter().all(is_whole));
}

/// What stands under the heading of a check, up to the next one.
fn entry(page: &str, check: Check) -> Option<&str> {
    let heading = format!("\n## `{check}`\n");
    let (_, rest) = page.split_once(&heading)?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

/// What an entry says behind a word in italics, up to the next one or the end of its paragraph, in
/// one line.
fn said_of(entry: &str, what: &str) -> Option<String> {
    let (_, said) = entry.split_once(&format!("*{what}*: "))?;
    let said = said.split("\n\n").next().unwrap_or(said);
    let said = said.split(" *").next().unwrap_or(said);
    Some(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// How an entry begins to say the levels of a check.
fn levels(check: Check) -> String {
    if check.level() == CheckLevel::Lax {
        return "all".to_owned();
    }
    let makes_it = |level: &&CheckLevel| **level >= check.level();
    let levels = CheckLevel::ALL.iter().filter(makes_it);
    let levels: Vec<String> = levels.map(|level| format!("`{level}`")).collect();
    levels.join(", ")
}

#[test]
fn every_check_has_its_entry_in_the_order_of_the_register() {
    let page = page("INVARIANTS.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("## `"));
    let found: Vec<&str> = headings.map(|line| line.trim_end_matches('`')).collect();
    let expected: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_entry_says_kind_cost_levels_and_message_as_the_code_does() {
    let page = page("INVARIANTS.md");
    let mut wrong = Vec::new();
    for &check in Check::ALL {
        let Some(entry) = entry(&page, check) else {
            wrong.push(format!("{check}: no entry"));
            continue;
        };
        let is_first = entry
            .trim_start()
            .starts_with(&format!("> {}", check.message()));
        if !is_first {
            wrong.push(format!("{check}: message"));
        }
        let said = |what| said_of(entry, what).unwrap_or_default();
        let (said_kind, said_cost) = (said("Kind"), said("Cost"));
        if said_kind.trim_end_matches('.') != kind(check) {
            wrong.push(format!("{check}: kind {said_kind:?}"));
        }
        if said_cost.trim_end_matches('.') != check.cost().id() {
            wrong.push(format!("{check}: cost {said_cost:?}"));
        }
        let said_levels = said("Levels");
        let rest = said_levels.strip_prefix(&levels(check));
        if !rest.is_some_and(|rest| rest.starts_with(['.', ',', ';', ' '])) {
            wrong.push(format!("{check}: levels {said_levels:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text of every source under a folder.
fn sources(folder: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_an_entry_names_exists() {
    let page = page("INVARIANTS.md");
    let words: Vec<&str> = page.split_whitespace().collect();
    let crates = [("S", "gc-sweep"), ("C", "gc-core"), ("H", "gc-hooks")];
    let (mut named, mut missing) = (0, Vec::new());
    for (letter, package) in crates {
        let mut text = String::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(package);
        for part in ["src", "tests"] {
            sources(&folder.join(part), &mut text);
        }
        // A letter, then a name in backticks, whatever stands behind it.
        for pair in words.windows(2).filter(|pair| pair[0] == letter) {
            let Some(name) = pair[1].strip_prefix('`') else {
                continue;
            };
            let name = name.split('`').next().unwrap_or(name);
            named += 1;
            if !text.contains(&format!("fn {name}(")) {
                missing.push(format!("{package}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(named > Check::COUNT, "the entries name their tests");
}
