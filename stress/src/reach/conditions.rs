//! What attributes say that reachability needs: conditions of compilation, exported symbols, tests, paths of files,
//! and the level of `unsafe_code`.
//!
//! Called by `scan` with the attributes of an item. Conditions are carried as text and never decided: what another
//! platform or feature would compile is read all the same, and marked.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Lit, Meta, Token};

/// Attributes that let something outside the program's text reach an item.
const EXPORTING: [&str; 6] = [
    "no_mangle",
    "export_name",
    "global_allocator",
    "panic_handler",
    "used",
    "link_section",
];

/// The conditions in the attributes of an item, as `feature = "x"`.
pub(super) fn conditions(attributes: &[Attribute]) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in attributes {
        if let Meta::List(list) = &attribute.meta
            && list.path.is_ident("cfg")
        {
            found.push(spaced(&list.tokens));
        }
    }
    found
}

/// Tokens as one would write them.
fn spaced(tokens: &TokenStream) -> String {
    let text = tokens.to_string();
    text.replace(" (", "(")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" ,", ",")
}

/// Whether a condition holds in tests alone.
pub(super) fn is_for_tests(condition: &str) -> bool {
    let first = condition.strip_prefix("all(").unwrap_or(condition);
    first
        .split([',', ')'])
        .next()
        .is_some_and(|one| one == "test")
}

/// What an attribute says, with what `cfg_attr` would make of it.
fn metas(attribute: &Attribute) -> Vec<Meta> {
    let inner = |meta: &Meta| match meta {
        Meta::List(list) => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .map(|metas| metas.into_iter().collect())
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut found = vec![attribute.meta.clone()];
    if attribute.path().is_ident("cfg_attr") {
        found = inner(&attribute.meta).into_iter().skip(1).collect();
    }
    let wrapped: Vec<Meta> = found
        .iter()
        .filter(|meta| meta.path().is_ident("unsafe"))
        .flat_map(inner)
        .collect();
    found.extend(wrapped);
    found
}

/// Whether something outside the program's text reaches the item.
pub(super) fn is_exported(attributes: &[Attribute]) -> bool {
    attributes.iter().flat_map(metas).any(|meta| {
        let last = meta.path().segments.last();
        last.is_some_and(|one| EXPORTING.iter().any(|name| one.ident == name))
    })
}

/// Whether the item is a test or a benchmark, by whatever harness.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|one| {
            ["test", "bench", "rstest"]
                .iter()
                .any(|name| one.ident == name)
        })
    })
}

/// Whether other crates can call the macro.
pub(super) fn is_macro_export(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .flat_map(metas)
        .any(|meta| meta.path().is_ident("macro_export"))
}

/// Where attributes say `unsafe(..)`, whatever stands in it.
pub(super) fn alarms(attributes: &[Attribute]) -> Vec<Span> {
    attributes
        .iter()
        .flat_map(metas)
        .filter(|meta| meta.path().is_ident("unsafe"))
        .map(|meta| meta.span())
        .collect()
}

/// The files that `path` names, and whether one is named without a condition.
pub(super) fn paths(attributes: &[Attribute]) -> (Vec<String>, bool) {
    let mut found = Vec::new();
    let mut is_certain = false;
    for attribute in attributes {
        for meta in metas(attribute) {
            if let Meta::NameValue(pair) = &meta
                && pair.path.is_ident("path")
                && let Expr::Lit(literal) = &pair.value
                && let Lit::Str(path) = &literal.lit
            {
                found.push(path.value());
                is_certain |= attribute.path().is_ident("path");
            }
        }
    }
    (found, is_certain)
}

/// The level of `unsafe_code` that attributes at the head of a root set for all builds.
pub(super) fn level(attributes: &[Attribute]) -> Option<&'static str> {
    let says = |level: &str| {
        attributes.iter().any(|attribute| {
            let Meta::List(list) = &attribute.meta else {
                return false;
            };
            let mut tokens = list.tokens.clone().into_iter();
            let is_lint = |token| matches!(token, TokenTree::Ident(name) if name == "unsafe_code");
            attribute.path().is_ident(level) && tokens.any(is_lint)
        })
    };
    ["forbid", "deny"].into_iter().find(|level| says(level))
}
