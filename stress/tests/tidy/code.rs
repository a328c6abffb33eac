//! Enough of the language to read source text by its rules: what is code and what is talk, where
//! an item ends, which modules a file names.

/// The text with comments and the insides of literals replaced by blanks, line for line.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(
                chars[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends, or `at` when none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => quoted_end(chars, at, '"'),
        'r' if !is_word(chars, at.wrapping_sub(1)) => raw_string_end(chars, at),
        '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => {
            quoted_end(chars, at, '\'')
        }
        _ => at,
    }
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len())
        .find(|at| wanted(chars[*at]))
        .unwrap_or(chars.len())
}

fn is_word(chars: &[char], at: usize) -> bool {
    chars
        .get(at)
        .is_some_and(|c| c.is_alphanumeric() || *c == '_')
}

fn block_comment_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (at, depth) = (at + 2, depth + 1),
            ('*', '/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Where a raw string ends, or `from` when the `r` there begins none.
fn raw_string_end(chars: &[char], from: usize) -> usize {
    let hashes = chars[from + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(from + 1 + hashes) != Some(&'"') {
        return from;
    }
    let closing = |at: &usize| {
        chars[*at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    let body = from + hashes + 2;
    (body..chars.len())
        .find(closing)
        .map_or(chars.len(), |at| at + 1 + hashes)
}

/// How the conditions begin under which an item is compiled for tests and model checkers alone.
const TEST_CONDITIONS: [&str; 4] = [
    "#[cfg(test)]",
    "#[cfg(all(test,",
    "#[cfg(loom)]",
    "#[cfg(shuttle)]",
];

/// The code with every item that no shipped build compiles blanked out.
pub fn without_tests(code: &str) -> String {
    let mut shipped = code.to_string();
    let next = |code: &str| {
        TEST_CONDITIONS
            .iter()
            .filter_map(|begin| code.find(begin))
            .min()
    };
    while let Some(begin) = next(&shipped) {
        let end = begin + item_end(&shipped[begin..]);
        let blank: String = shipped[begin..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        shipped.replace_range(begin..end, &blank);
    }
    shipped
}

/// Bytes to the end of the item that the text begins with: a block or a semicolon.
pub fn item_end(code: &str) -> usize {
    let (mut nested, mut depth) = (0_i32, 0_i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if nested == 0 && depth == 0 && (c == '}' || c == ';') {
            return at + 1;
        }
    }
    code.len()
}

/// The places where `word` stands as a word of its own.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            !code[..*at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part)
        })
}

pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The modules of a crate in the order of its `lib.rs`.
pub fn module_order(lib: &str) -> Vec<String> {
    words(lib, "mod")
        .filter_map(|at| {
            let (name, _) = lib[at + 3..].split_once([';', '{'])?;
            Some(name.trim().to_string())
        })
        .collect()
}

/// The first names behind every `crate::`, those of a group one by one.
pub fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate") {
        let Some(path) = code[at + 5..].strip_prefix("::") else {
            continue;
        };
        let group = match path.strip_prefix('{') {
            Some(inside) => &inside[..inside.find('}').unwrap_or(inside.len())],
            None => path,
        };
        let names = if path.starts_with('{') {
            group.split(',').collect()
        } else {
            vec![group]
        };
        for name in names {
            let name = name.trim();
            let end = name
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(name.len());
            found.push((line_of(code, at), name[..end].to_string()));
        }
    }
    found
}

#[test]
fn the_rules_see_through_comments_and_literals() {
    let text = "let a = \"unsafe { fn\"; // unsafe\nlet b = r#\"\"unsafe\"\"#; /* a /* b */ unsafe */\nlet c: &'static str = '\\''; let d = '\"';";
    let code = blanked(text);
    assert_eq!(words(&code, "unsafe").count(), 0, "{code}");
    assert_eq!(code.lines().count(), 3);
    assert!(
        code.contains("&'static str") && code.ends_with(';'),
        "{code}"
    );
    let code =
        "fn a() -> [u8; 2] { b() }\n#[cfg(test)]\nmod tests { fn c() { d.unwrap() } }\nfn e() {}";
    assert_eq!(item_end(code), code.find('\n').unwrap());
    assert!(!without_tests(code).contains("unwrap") && without_tests(code).contains("fn e"));
    let code = "#[cfg(all(test, not(loom)))]\nmod tests { fn c() { d.unwrap() } }\nfn e() {}";
    assert!(!without_tests(code).contains("unwrap") && without_tests(code).contains("fn e"));
    assert_eq!(imports("use crate::{a, b::C};\ncrate::d::e()").len(), 3);
}
