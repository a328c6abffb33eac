//! The where clause of the impl, and the type `At<'a>`.
//!
//! A bound that the user wrote on the type must hold for `At<'a>` as well, or the compiler would
//! not let us name it; so each bound that mentions the brand or a type parameter stands twice, once
//! as written and once under `for<'a>`, of the rebranded type. That `At` of an `At` is the same
//! `At` again, which `Trace` demands, makes two levels enough.
//!
//! A type parameter is asked to be `Trace`, or `Object` if it is `?Sized`, and is replaced by its
//! own `At<'a>`. Two kinds are asked nothing and stay what they are: one that only leaf fields
//! mention, and one that is declared `'static`. The latter holds no live brand, its `At<'a>` would
//! not have to be `'static`, and it is often a foreign type, such as a hasher, that nobody could
//! make `Trace`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    GenericParam, Ident, Lifetime, Token, TraitBoundModifier, TypeParam, TypeParamBound,
    WhereClause, WherePredicate, parse_quote,
};

use crate::attributes::TypeMode;
use crate::input::Input;
use crate::rebrand::{Mapped, Rebrand};

/// The brand of `At` in the expansion. The name is one that no user picks.
pub fn at_lifetime() -> Lifetime {
    parse_quote!('__at)
}

/// The where clause of the impl and the family it defines.
pub struct Bounds {
    /// The user's predicates, followed by ours.
    pub where_clause: WhereClause,
    /// The right-hand side of `type At<'__at> =`.
    pub at: TokenStream,
}

impl Bounds {
    /// Derives both from the definition.
    pub fn of(input: &Input) -> Bounds {
        let bounded = bounded_parameters(input);
        let mapped = match input.mode {
            TypeMode::Traced => bounded.as_slice(),
            TypeMode::Drops | TypeMode::Leaf => &[],
        };
        let mut rebrand = Rebrand {
            brand: input.brand.as_ref(),
            mapped,
            at: at_lifetime(),
        };
        let mut where_clause = declared(input);
        let repeated = repeated_predicates(input, &mut rebrand);
        for Mapped { name, family } in &bounded {
            where_clause.predicates.push(parse_quote!(#name: #family));
        }
        where_clause.predicates.extend(repeated);
        if input.mode != TypeMode::Traced && input.generics.type_params().next().is_some() {
            let name = &input.name;
            let (_, arguments, _) = input.generics.split_for_impl();
            where_clause
                .predicates
                .push(parse_quote!(#name #arguments: 'static + ::core::marker::Send));
        }
        Bounds {
            where_clause,
            at: at_type(input, &rebrand),
        }
    }
}

/// The type parameters that may hold a brand: a traced field mentions them, and nothing says that
/// they are `'static`.
fn bounded_parameters(input: &Input) -> Vec<Mapped> {
    let fields: Vec<TokenStream> = input
        .traced_fields()
        .map(|field| field.ty.to_token_stream())
        .collect();
    let mut mapped = Vec::new();
    for TypeParam {
        ident: name,
        bounds,
        ..
    } in input.generics.type_params()
    {
        let bounds = all_bounds(input, name, bounds);
        let is_static = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Lifetime(bound) if bound.ident == "static");
        if bounds.iter().any(is_static) || !fields.iter().any(|field| mentions(field, name)) {
            continue;
        }
        let family = match bounds.iter().any(is_maybe) {
            true => parse_quote!(::gc_core::Object),
            false => parse_quote!(::gc_core::Trace),
        };
        mapped.push(Mapped {
            name: name.clone(),
            family,
        });
    }
    mapped
}

/// Whether the bound is `?Sized`.
fn is_maybe(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Trait(bound) if matches!(bound.modifier, TraitBoundModifier::Maybe(_)))
}

/// Whether the identifier stands anywhere among the tokens.
fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The bounds on a type parameter, inline and in the where clause.
fn all_bounds(
    input: &Input,
    name: &Ident,
    inline: &Punctuated<TypeParamBound, Token![+]>,
) -> Vec<TypeParamBound> {
    let name = name.to_string();
    let declared = declared(input)
        .predicates
        .into_iter()
        .filter_map(|predicate| match predicate {
            WherePredicate::Type(bound)
                if bound.bounded_ty.to_token_stream().to_string() == name =>
            {
                Some(bound.bounds)
            }
            _ => None,
        });
    inline.iter().cloned().chain(declared.flatten()).collect()
}

/// The where clause as written, empty if there is none.
fn declared(input: &Input) -> WhereClause {
    input
        .generics
        .where_clause
        .clone()
        .unwrap_or_else(|| parse_quote!(where))
}

/// Every bound that names the brand or a mapped parameter, said of the rebranded type.
fn repeated_predicates(input: &Input, rebrand: &mut Rebrand<'_>) -> Vec<WherePredicate> {
    let inline = input
        .generics
        .type_params()
        .filter(|parameter| !parameter.bounds.is_empty())
        .map(|parameter| {
            let (name, bounds) = (&parameter.ident, &parameter.bounds);
            parse_quote!(#name: #bounds)
        });
    let stated = inline.chain(declared(input).predicates);
    stated
        .filter_map(without_maybe)
        .filter_map(|predicate| rebrand.predicate(&predicate))
        .collect()
}

/// The predicate without its `?Sized`, which may only be said of a parameter; `None` if nothing is
/// left of it.
fn without_maybe(mut predicate: WherePredicate) -> Option<WherePredicate> {
    let WherePredicate::Type(bound) = &mut predicate else {
        return Some(predicate);
    };
    bound.bounds = bound
        .bounds
        .iter()
        .filter(|bound| !is_maybe(bound))
        .cloned()
        .collect();
    (!bound.bounds.is_empty()).then_some(predicate)
}

/// The type under the brand `'__at`.
fn at_type(input: &Input, rebrand: &Rebrand<'_>) -> TokenStream {
    let name = &input.name;
    if input.generics.params.is_empty() {
        return quote!(#name);
    }
    let arguments = input
        .generics
        .params
        .iter()
        .map(|parameter| match parameter {
            GenericParam::Lifetime(_) => rebrand.at.to_token_stream(),
            GenericParam::Type(parameter) => rebrand.parameter(&parameter.ident).to_token_stream(),
            GenericParam::Const(parameter) => parameter.ident.to_token_stream(),
        });
    quote!(#name<#(#arguments),*>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{DeriveInput, parse_str};

    fn bounds(definition: &str) -> (String, String) {
        let definition: DeriveInput = parse_str(definition).expect("a definition");
        let bounds = Bounds::of(&Input::read(&definition).expect("accepted"));
        wanted(bounds.where_clause.to_token_stream(), bounds.at)
    }

    /// Without spaces, of which `>>` has as many as its origin says.
    fn wanted(where_clause: TokenStream, at: TokenStream) -> (String, String) {
        (
            where_clause.to_string().replace(' ', ""),
            at.to_string().replace(' ', ""),
        )
    }

    #[test]
    fn a_branded_type_changes_its_brand() {
        let answer = bounds("struct Node<'gc> { next: Edge<'gc, Node<'gc>> }");
        assert_eq!(answer, wanted(quote!(), quote!(Node<'__at>)));
    }

    #[test]
    fn every_traced_parameter_is_bounded_and_mapped() {
        let answer = bounds("struct Pair<'gc, A, B> { a: Gc<'gc, A>, b: B }");
        let at = quote!(
            Pair<'__at, <A as ::gc_core::Trace>::At<'__at>, <B as ::gc_core::Trace>::At<'__at>>
        );
        assert_eq!(
            answer,
            wanted(quote!(where A: ::gc_core::Trace, B: ::gc_core::Trace), at)
        );
    }

    #[test]
    fn bounds_are_kept_and_said_of_every_at() {
        let answer =
            bounds("struct Set<K: Ord, const N: usize> where [K; N]: Copy { keys: [K; N] }");
        let clause = quote! {
            where [K; N]: Copy, K: ::gc_core::Trace,
                for<'__at> <K as ::gc_core::Trace>::At<'__at>: Ord,
                for<'__at> [<K as ::gc_core::Trace>::At<'__at>; N]: Copy
        };
        assert_eq!(
            answer,
            wanted(clause, quote!(Set<<K as ::gc_core::Trace>::At<'__at>, N>))
        );
    }

    #[test]
    fn a_static_parameter_stays_as_it_is() {
        let answer = bounds("struct Hits<T: 'static> where T: Send { cell: Cell<T> }");
        assert_eq!(answer, wanted(quote!(where T: Send), quote!(Hits<T>)));
    }

    #[test]
    fn a_parameter_of_leaf_fields_is_asked_nothing() {
        let answer =
            bounds("struct Map<K, S: 'static + Send> { keys: Vec<K>, #[trace(leaf)] hasher: S }");
        let at = quote!(Map<<K as ::gc_core::Trace>::At<'__at>, S>);
        assert_eq!(answer, wanted(quote!(where K: ::gc_core::Trace), at));
    }

    #[test]
    fn an_unsized_parameter_is_an_object() {
        let answer = bounds("struct Handle<'gc, T: ?Sized + Show> { target: Gc<'gc, T> }");
        let clause = quote! {
            where T: ::gc_core::Object, for<'__at> <T as ::gc_core::Object>::At<'__at>: Show
        };
        assert_eq!(
            answer,
            wanted(
                clause,
                quote!(Handle<'__at, <T as ::gc_core::Object>::At<'__at>>)
            )
        );
    }

    #[test]
    fn a_drop_type_is_its_own_family() {
        let answer = bounds("#[trace(drop)] struct Guard<T: Ord> { held: T }");
        let clause = quote!(where T: ::gc_core::Trace, Guard<T>: 'static + ::core::marker::Send);
        assert_eq!(answer, wanted(clause, quote!(Guard<T>)));
    }

    #[test]
    fn a_leaf_type_is_static_and_send_as_a_whole() {
        let answer = bounds("#[trace(leaf)] struct File<T> { handle: T }");
        assert_eq!(
            answer,
            wanted(
                quote!(where File<T>: 'static + ::core::marker::Send),
                quote!(File<T>)
            )
        );
    }
}
