//! The audit of unsafe code over packages made for it: what is reached and by which path, what is not, what is told
//! of sources that cannot be read, and the codes that the command ends with.
//!
//! The packages beside this file are read, never compiled; those that are malformed are written where the test runs.

use std::fs;
use std::path::{Path, PathBuf};

use stress::reach::{Audit, Extent, Found, Rules, Sort, audit};

use crate::command::gc_stress;

mod command;

fn entry() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit/packages/entry/Cargo.toml")
}

fn extent(manifest: &Path) -> Extent {
    Extent {
        manifest: manifest.to_path_buf(),
        package: None,
        with_build: false,
        with_dev: false,
    }
}

fn audited(manifest: &Path) -> Audit {
    audit(&extent(manifest), &Rules::default(), &mut |_, _| ()).unwrap()
}

/// Writes a package of its own where only this test writes.
fn package(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n"
    );
    for (file, text) in [("Cargo.toml", &*manifest)].iter().chain(files) {
        let path = directory.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory.join("Cargo.toml")
}

/// The places of a function or item, with the path to it when there is one.
fn within<'a>(audit: &'a Audit, name: &str) -> Vec<&'a Found> {
    let found: Vec<&Found> = audit
        .items
        .iter()
        .filter(|item| item.within == name)
        .collect();
    assert!(!found.is_empty(), "nothing unsafe in {name}");
    found
}

#[track_caller]
fn assert_path(audit: &Audit, name: &str, path: &[&str]) {
    for item in within(audit, name) {
        assert_eq!(item.path.as_deref().unwrap_or_default(), path, "{name}");
    }
}

#[track_caller]
fn assert_unreached(audit: &Audit, names: &[&str]) {
    for name in names {
        let mut items = within(audit, name).into_iter();
        assert!(items.all(|item| item.path.is_none()), "{name}");
    }
}

#[test]
fn each_form_is_reached_along_the_names_that_code_mentions() {
    let audit = audited(&entry());
    let sum = ["entry::main", "entry::forms::sum"];
    let to = |more: &[&'static str]| [&sum[..], more].concat();
    assert_path(&audit, "entry::forms::sum", &sum);
    assert_path(&audit, "entry::forms::read", &to(&["entry::forms::read"]));
    let shared = to(&["entry::forms::Shared", "entry::forms::<Shared as Send>"]);
    assert_path(&audit, "entry::forms::<Shared as Send>", &shared);
    let zeroed = to(&["entry::forms::ask", "entry::forms::Zeroed"]);
    assert_path(&audit, "entry::forms::Zeroed", &zeroed);
    assert_path(
        &audit,
        "entry::forms::extern block",
        &to(&["entry::forms::extern block"]),
    );
    assert_path(
        &audit,
        "entry::forms::exported",
        &["entry::forms::exported"],
    );
    let unreached = [
        "entry::forms::<Lonely as Send>",
        "entry::forms::never",
        "entry::tests::tests_do_not_count",
    ];
    assert_unreached(&audit, &unreached);
    let sorts = |name| {
        within(&audit, name)
            .iter()
            .map(|item| item.sort)
            .collect::<Vec<_>>()
    };
    assert_eq!(sorts("entry::forms::read"), [Sort::Function, Sort::Block]);
    assert_eq!(
        sorts("entry::forms::exported"),
        [Sort::Attribute, Sort::Block]
    );
    assert_eq!(
        sorts("entry::forms::<Shared as Send>"),
        [Sort::Implementation]
    );
    assert_eq!(sorts("entry::forms::Zeroed"), [Sort::Trait]);
    assert_eq!(sorts("entry::forms::extern block"), [Sort::Foreign]);
    assert!(
        audit.unparsed.is_empty() && audit.notes.is_empty(),
        "{audit:?}"
    );
}

#[test]
fn macros_are_read_in_their_arguments_and_in_their_definitions() {
    let audit = audited(&entry());
    let sum = ["entry::main", "entry::macros::sum"];
    assert_path(&audit, "entry::macros::sum", &sum);
    let peek = [&sum[..], &["entry::macros::peek!"]].concat();
    assert_path(&audit, "entry::macros::peek!", &peek);
    assert_unreached(&audit, &["entry::macros::unused!"]);
    let mut items = audit
        .items
        .iter()
        .filter(|item| item.place == "entry::macros");
    assert!(items.all(|item| item.sort == Sort::Macro && item.is_in_macro));
}

#[test]
fn conditions_are_told_and_not_decided() {
    let audit = audited(&entry());
    let conditions = |name| {
        let items = within(&audit, name).into_iter();
        items
            .map(|item| (item.conditions.join(" + "), item.path.is_some()))
            .collect::<Vec<_>>()
    };
    let both = [
        ("feature = \"loud\"".to_string(), true),
        ("all(unix, not(feature = \"loud\"))".to_string(), true),
    ];
    assert_eq!(conditions("entry::conditional::quiet"), both);
    assert_eq!(
        conditions("entry::conditional::sum"),
        [("windows".to_string(), true)]
    );
    assert_eq!(
        conditions("entry::tests::tests_do_not_count"),
        [("test".to_string(), false)]
    );
}

#[test]
fn dependencies_are_reached_by_other_names_through_traits_and_else_not() {
    let audit = audited(&entry());
    assert_path(&audit, "called::poke", &["entry::main", "called::poke"]);
    // A method leads to whatever type has it, and only of types that are mentioned.
    let item = within(&audit, "behind::<Bell as Sound>::sound")[0];
    let path = item.path.as_ref().unwrap();
    assert_eq!((&*path[0], path.len()), ("entry::main", 2), "{path:?}");
    let unreached = [
        "called::unused",
        "behind::<Bell as Sound>::silence",
        "behind::Drum::sound",
        "ignored::alone",
    ];
    assert_unreached(&audit, &unreached);
    let packages: Vec<(&str, String, usize, usize)> = audit
        .packages
        .iter()
        .map(|one| {
            (
                &*one.name,
                one.path.join(" > "),
                one.unsafe_items,
                one.reachable,
            )
        })
        .collect();
    assert_eq!(
        packages[1..],
        [
            ("behind", "entry > behind".to_string(), 3, 1),
            ("ignored", "entry > ignored".to_string(), 1, 0),
            ("called", "entry > called".to_string(), 2, 1),
        ]
    );
}

#[test]
fn modules_are_found_by_path_and_names_that_lead_around_in_rings() {
    let audit = audited(&entry());
    assert_path(
        &audit,
        "entry::renamed::moved",
        &["entry::main", "entry::renamed::moved"],
    );
    assert_eq!(
        within(&audit, "entry::renamed::moved")[0].file,
        "src/elsewhere/moved.rs"
    );
    let start = ["entry::main", "entry::rings::start"];
    let end = [&start[..], &["entry::rings::d::at_the_end"]].concat();
    assert_path(&audit, "entry::rings::d::at_the_end", &end);
    let behind = [&start[..], &["entry::rings::Real::behind_aliases"]].concat();
    assert_path(&audit, "entry::rings::Real::behind_aliases", &behind);
}

#[test]
fn a_ring_of_many_globs_and_an_alias_of_itself_come_to_an_end() {
    const MODULES: usize = 24;
    let mut text = "//! Modules that all take everything of all others.\n".to_string();
    for one in 0..MODULES {
        text += &format!("mod m{one} {{\n");
        for other in (0..MODULES).filter(|other| *other != one) {
            text += &format!("    pub use super::m{other}::*;\n");
        }
        if one == MODULES - 1 {
            text += "    pub fn last() { unsafe { std::hint::unreachable_unchecked() } }\n";
        }
        text += "}\n";
    }
    text += "type A = B;\ntype B = A;\nfn main() { m0::last(); A::nothing(); m0::absent(); }\n";
    let audit = audited(&package("ring", &[("src/main.rs", &text)]));
    assert_path(
        &audit,
        "ring::m23::last",
        &["ring::main", "ring::m23::last"],
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_the_rest_is_audited() {
    let main = "//! A program.\nmod absent;\nmod broken;\n#[cfg(windows)]\nmod elsewhere;\n\
                #[path = \"main.rs\"]\nmod again;\ninclude!(\"list.rs\");\n\
                fn main() { unsafe { std::hint::unreachable_unchecked() } }\n";
    let broken = "//! Not Rust.\nfn a() {\n    let = ;\n}\n";
    let manifest = package(
        "malformed",
        &[("src/main.rs", main), ("src/broken.rs", broken)],
    );
    let audit = audited(&manifest);
    let places: Vec<(&str, usize)> = audit
        .unparsed
        .iter()
        .map(|(file, line, _)| (&**file, *line))
        .collect();
    assert_eq!(
        places,
        [("src/broken.rs", 3), ("src/main.rs", 2), ("src/main.rs", 7)]
    );
    let notes: Vec<(usize, &str)> = audit
        .notes
        .iter()
        .map(|note| (note.line, &*note.text))
        .collect();
    let elsewhere = (5, "module elsewhere has no file, under a condition");
    assert_eq!(notes, [elsewhere, (8, "include! is not followed")]);
    assert_path(&audit, "malformed::main", &["malformed::main"]);
    let output = gc_stress(&["--manifest-path", manifest.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("not read: src/broken.rs:3: "), "{text}");
}
