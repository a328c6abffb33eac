//! Reading and walking over whatever tokens a macro may be given.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use proptest::prelude::*;

use super::model::{Kind, Program, Unit};
use super::scan;
use super::source::Job;
use super::walk::Walk;

/// What names, items and expressions are made of.
const WORDS: [&str; 44] = [
    "unsafe",
    "unsafe",
    "fn",
    "impl",
    "trait",
    "mod",
    "use",
    "pub",
    "self",
    "Self",
    "super",
    "crate",
    "as",
    "for",
    "where",
    "type",
    "const",
    "static",
    "extern",
    "macro_rules",
    "struct",
    "enum",
    "let",
    "if",
    "a",
    "b",
    "C",
    "D",
    "r#fn",
    "std",
    "::",
    "::",
    ".",
    ",",
    ";",
    "!",
    "=>",
    "->",
    "<",
    ">",
    "#",
    "$",
    "'a",
    "\"C\"",
];

/// Tokens whose brackets match.
fn tokens() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&WORDS[..]).prop_map(str::to_string);
    let run = prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "));
    run.prop_recursive(4, 48, 6, |inner| {
        let group = (
            inner,
            prop::sample::select(&[("(", ")"), ("{", "}"), ("[", "]")][..]),
        );
        let group = group.prop_map(|(inside, (open, close))| format!("{open} {inside} {close}"));
        prop::collection::vec(group, 1..4).prop_map(|groups| groups.join(" "))
    })
}

/// Reads a file as the root of a crate and walks from everything in it.
fn read(text: &str) -> Option<Program> {
    let parsed = syn::parse_file(text).ok()?;
    let mut program = Program::default();
    let root = program.add_module(0, None, "one".to_string(), false);
    program.units.push(Unit {
        package: 0,
        root,
        externs: HashMap::new(),
        sees: vec![true],
        is_open: true,
        runs_tests: false,
    });
    program.files.push("one.rs".to_string());
    let job = Job {
        file: PathBuf::from("nowhere/one.rs"),
        children: PathBuf::from("nowhere"),
        module: root,
        conditions: Vec::new(),
        is_in_macro: false,
        trail: Vec::new(),
    };
    scan::scan(&mut program, 0, 0, &job, &parsed, &mut VecDeque::new());
    let seeds: Vec<usize> = (0..program.nodes.len()).collect();
    let reached = Walk::new(&program).run(&seeds);
    for item in &program.items {
        assert!(
            reached.is_reached[item.node],
            "a seed was not reached: {text}"
        );
        assert!(!reached.path(&program, item.node).is_empty());
    }
    Some(program)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_tokens_can_be_the_arguments_or_the_definition_of_a_macro(tokens in tokens()) {
        let items = format!("m! {{ {tokens} }} fn f() {{ n!({tokens}); }} {tokens}");
        // As items the tokens rarely parse; as arguments they always do.
        if read(&items).is_none() {
            let arguments = format!("m! {{ {tokens} }} fn f() {{ n!({tokens}); }}");
            prop_assert!(read(&arguments).is_some(), "{arguments}");
        }
        let program = read(&format!("macro_rules! n {{ {tokens} }}")).unwrap();
        let told = program.items.len();
        let words = tokens.split_whitespace().filter(|word| *word == "unsafe").count();
        prop_assert_eq!(told, words, "every word is told once");
        prop_assert!(program.nodes.iter().any(|node| node.kind == Kind::Macro));
    }
}
