//! What can be told of the tokens of a macro, which follow no grammar but the macro's own.
//!
//! Called by `scan` for the arguments of macros and for their definitions. Over-approximates: every path and every
//! name behind a dot counts as a mention, every name behind a keyword of an item as a definition. Deliberately
//! absent: expansion.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Block, Expr, File, Item, Stmt, Token};

use super::model::{Mention, Route, plain};

/// Words that are no names.
const KEYWORDS: [&str; 39] = [
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "static",
    "struct",
    "trait",
    "true",
    "type",
    "union",
    "unsafe",
    "use",
    "where",
    "while",
    "_",
    "macro_rules",
    "box",
    "try",
];

/// Words behind which the name of an item stands.
const DEFINING: [&str; 9] = [
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "type",
    "const",
    "static",
    "macro_rules",
];

/// What a run of tokens says.
#[derive(Default)]
pub(super) struct Words {
    pub(super) mentions: Vec<Mention>,
    pub(super) definitions: Vec<String>,
    /// Where the word `unsafe` stands.
    pub(super) alarms: Vec<Span>,
}

impl Words {
    pub(super) fn of(tokens: &TokenStream) -> Words {
        let mut words = Words::default();
        words.read(tokens.clone());
        words
    }

    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.read(group.stream()),
                TokenTree::Ident(_) => {
                    at = self.read_path(&tokens, at);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads the path that begins at `at`, and answers where it ends.
    fn read_path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let mut segments = Vec::new();
        let mut end = at;
        while let Some(TokenTree::Ident(ident)) = tokens.get(end) {
            segments.push(self.word(ident));
            end += 1;
            if !(is_punct(tokens.get(end), ':') && is_punct(tokens.get(end + 1), ':')) {
                break;
            }
            end += 2;
        }
        let before = at.checked_sub(1).map(|at| &tokens[at]);
        let is_lifetime = is_punct(before, '\'');
        let first = &segments[0];
        if is_keyword(first) {
            if let Some(TokenTree::Ident(name)) = tokens.get(end)
                && DEFINING.contains(&&**first)
            {
                self.definitions.push(plain(name));
            }
            if first == "macro_rules"
                && let Some(TokenTree::Ident(name)) = tokens.get(end + 1)
            {
                self.definitions.push(plain(name));
            }
        } else if is_punct(before, '.') {
            self.mentions.push(Mention::Method(first.clone()));
        } else if !is_lifetime {
            self.mentions.push(Mention::Path(Route {
                segments,
                is_global: false,
            }));
        }
        end.max(at + 1)
    }

    fn word(&mut self, ident: &Ident) -> String {
        if ident == "unsafe" {
            self.alarms.push(ident.span());
        }
        plain(ident)
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// The items in the arguments of a macro that takes items, or chooses among them by conditions; `None` for
/// arguments of any other form.
pub(super) fn items(tokens: &TokenStream) -> Option<Vec<Item>> {
    if let Ok(file) = syn::parse2::<File>(tokens.clone()) {
        let is_read = file
            .items
            .iter()
            .all(|item| !matches!(item, Item::Verbatim(_)));
        return Some(file.items).filter(|items| is_read && !items.is_empty());
    }
    let mut trees = tokens.clone().into_iter();
    if !matches!(trees.next(), Some(TokenTree::Ident(first)) if first == "if") {
        return None;
    }
    let mut found = Vec::new();
    for tree in trees {
        if let TokenTree::Group(group) = tree
            && group.delimiter() == Delimiter::Brace
        {
            found.extend(syn::parse2::<File>(group.stream()).ok()?.items);
        }
    }
    Some(found)
}

/// The arguments of a macro that takes expressions or statements; `None` for any other form.
pub(super) fn statements(tokens: &TokenStream) -> Option<Vec<Stmt>> {
    let expressions = Punctuated::<Expr, Token![,]>::parse_terminated;
    if let Ok(read) = expressions.parse2(tokens.clone()) {
        return Some(read.into_iter().map(|one| Stmt::Expr(one, None)).collect());
    }
    Block::parse_within.parse2(tokens.clone()).ok()
}
