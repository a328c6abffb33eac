//! `MAY_HOLD_GC`, the body of `trace`, and the names of fields.
//!
//! Expansion code: `expand` puts both into the impl. The body takes each variant apart by a pattern
//! and calls the `trace` of each field's type, so that a field without `Trace` is an error at that
//! field. `trace_field` does the same for one field and says how reports name it. Leaf fields are asserted to be `'static + Send` inside the body, where the brand is known
//! to be shorter than `'static`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, Member};

use crate::attributes::{FieldMode, TypeMode};
use crate::input::{Input, Variant};
use crate::rebrand::without_itself;

/// The expression for `MAY_HOLD_GC`.
///
/// A branded type may: that is what a brand is for, and not asking its fields lets such types own
/// each other without a cycle among constants. Any other type may if a field may.
pub fn may_hold_gc(input: &Input) -> TokenStream {
    match input.mode {
        TypeMode::Leaf => quote!(false),
        TypeMode::Traced if input.brand.is_some() => quote!(true),
        TypeMode::Traced => any_field_may(input),
        TypeMode::Drops => {
            let any_field_may = any_field_may(input);
            let message = format!(
                "`{}` is marked `#[trace(drop)]`, but one of its fields may hold a `Gc`",
                input.name
            );
            quote!({
                ::core::assert!(!(#any_field_may), #message);
                false
            })
        }
    }
}

fn any_field_may(input: &Input) -> TokenStream {
    let fields = input.traced_fields().map(|field| {
        let ty = without_itself(&field.ty, input);
        quote_spanned!(field.ty.span()=> <#ty as ::gc_core::Trace>::MAY_HOLD_GC)
    });
    quote!(false #(|| #fields)*)
}

/// The method `trace`.
pub fn trace(input: &Input) -> TokenStream {
    let tracer = Ident::new("tracer", Span::mixed_site());
    let body = match input.mode {
        TypeMode::Leaf => quote!(),
        TypeMode::Traced | TypeMode::Drops if input.variants.is_empty() => quote!(match *self {}),
        TypeMode::Traced | TypeMode::Drops => {
            let arms = input.variants.iter().map(|variant| arm(variant, &tracer));
            quote!(match self { #(#arms)* })
        }
    };
    let whole = (input.mode != TypeMode::Traced)
        .then(|| quote_spanned!(input.name.span()=> ::gc_core::Tracer::assert_leaf::<Self>(self);));
    // A branded type around this one does not ask for the constant, and then nobody else would.
    // Without parameters the definition itself is asked already.
    let asserted = (input.mode == TypeMode::Drops && !input.generics.params.is_empty())
        .then(|| quote!(let _ = const { <Self as ::gc_core::Trace>::MAY_HOLD_GC };));
    quote! {
        #[inline]
        fn trace(&self, #tracer: &mut ::gc_core::Tracer<'_>) {
            let _ = &#tracer;
            #asserted
            #whole
            #body
        }
    }
}

/// The method `trace_field`, for types of which somebody may want to know the fields.
pub fn trace_field(input: &Input) -> TokenStream {
    let has_fields = input.traced_fields().next().is_some();
    if input.mode != TypeMode::Traced || !has_fields {
        return TokenStream::new();
    }
    let tracer = Ident::new("tracer", Span::mixed_site());
    let field = Ident::new("field", Span::mixed_site());
    let arms = input.variants.iter().map(|variant| {
        let variants = NamedVariant { input, variant };
        variants.arm(&field, &tracer)
    });
    quote! {
        fn trace_field(
            &self,
            #field: usize,
            #tracer: &mut ::gc_core::Tracer<'_>,
        ) -> ::core::option::Option<&'static str> {
            let _ = (&#field, &#tracer);
            match self { #(#arms)* }
        }
    }
}

/// A variant with the type whose name its fields go by.
struct NamedVariant<'a> {
    input: &'a Input,
    variant: &'a Variant,
}

impl NamedVariant<'_> {
    /// `Self::Variant { field: binding, .. } => match field { 0 => { call; Some(name) } .. }`.
    fn arm(&self, field: &Ident, tracer: &Ident) -> TokenStream {
        let variant = self.variant;
        let path = match &variant.name {
            Some(name) => quote!(Self::#name),
            None => quote!(Self),
        };
        let traced: Vec<_> = variant
            .fields
            .iter()
            .filter(|field| field.mode == FieldMode::Traced)
            .collect();
        if traced.is_empty() {
            return quote!(#path { .. } => ::core::option::Option::None,);
        }
        let binding = |index: usize| Ident::new(&format!("field_{index}"), Span::mixed_site());
        let patterns = traced.iter().enumerate().map(|(index, field)| {
            let (member, binding) = (&field.member, binding(index));
            quote!(#member: #binding,)
        });
        let calls = traced.iter().enumerate().map(|(index, field)| {
            let (ty, binding, name) = (&field.ty, binding(index), self.name_of(&field.member));
            quote_spanned! {ty.span()=>
                #index => {
                    <#ty as ::gc_core::Trace>::trace(#binding, #tracer);
                    ::core::option::Option::Some(#name)
                }
            }
        });
        quote! {
            #path { #(#patterns)* .. } => match #field {
                #(#calls)*
                _ => ::core::option::Option::None,
            },
        }
    }

    /// `Type.field`, or `Type::Variant.field`.
    fn name_of(&self, member: &Member) -> String {
        let member = match member {
            Member::Named(name) => name.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        };
        let name = self.input.name.unraw();
        match &self.variant.name {
            Some(variant) => format!("{name}::{}.{member}", variant.unraw()),
            None => format!("{name}.{member}"),
        }
    }
}

/// `Self::Variant { field: binding } => { calls }`. Patterns with braces fit tuples and units as
/// well. They name every field: should another macro add one after us, the match does not compile.
fn arm(variant: &Variant, tracer: &Ident) -> TokenStream {
    let binding = |index: usize| Ident::new(&format!("field_{index}"), Span::mixed_site());
    let patterns = variant.fields.iter().enumerate().map(|(index, field)| {
        let (member, binding) = (&field.member, binding(index));
        quote!(#member: #binding,)
    });
    let calls = variant.fields.iter().enumerate().map(|(index, field)| {
        let (ty, binding) = (&field.ty, binding(index));
        match field.mode {
            FieldMode::Traced => {
                quote_spanned!(ty.span()=> <#ty as ::gc_core::Trace>::trace(#binding, #tracer);)
            }
            FieldMode::Leaf => {
                quote_spanned!(ty.span()=> ::gc_core::Tracer::assert_leaf::<#ty>(#binding);)
            }
        }
    });
    let path = match &variant.name {
        Some(name) => quote!(Self::#name),
        None => quote!(Self),
    };
    quote!(#path { #(#patterns)* } => { #(#calls)* })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{DeriveInput, parse_str};

    fn input(definition: &str) -> Input {
        let definition: DeriveInput = parse_str(definition).expect("a definition");
        Input::read(&definition).expect("accepted")
    }

    #[test]
    fn a_branded_type_may_hold_a_gc() {
        let answer = may_hold_gc(&input("struct Node<'gc> { kids: Vec<Node<'gc>> }"));
        assert_eq!(answer.to_string(), "true");
    }

    #[test]
    fn a_type_without_brand_asks_its_fields_but_not_itself() {
        let answer = may_hold_gc(&input("enum Json { Null, Text(String), List(Vec<Json>) }"));
        let wanted = quote! {
            false || <String as ::gc_core::Trace>::MAY_HOLD_GC || <Vec<()> as ::gc_core::Trace>::MAY_HOLD_GC
        };
        assert_eq!(answer.to_string(), wanted.to_string());
    }

    #[test]
    fn a_drop_type_asserts_that_no_field_may() {
        let answer =
            may_hold_gc(&input("#[trace(drop)] struct Guard { name: String }")).to_string();
        assert!(answer.contains("assert ! (! (false ||"), "{answer}");
        assert!(
            answer.contains("`Guard` is marked `#[trace(drop)]`"),
            "{answer}"
        );
    }

    #[test]
    fn a_drop_type_asserts_it_wherever_it_is_traced() {
        let asked = quote!(const { <Self as ::gc_core::Trace>::MAY_HOLD_GC }).to_string();
        let drops = trace(&input("#[trace(drop)] struct Guard<T> { held: T }"));
        assert!(drops.to_string().contains(&asked), "{drops}");
        let traced = trace(&input("struct Plain<T> { held: T }"));
        assert!(!traced.to_string().contains(&asked), "{traced}");
    }

    #[test]
    fn each_variant_is_taken_apart_by_name() {
        let answer = trace(&input(
            "enum E<'gc> { Unit, Tuple(u8, #[trace(leaf)] Rare, Gc<'gc, u8>), Named { a: u8 } }",
        ));
        let answer = answer.to_string();
        let arms = [
            quote!(Self::Unit {} => {}),
            quote!(Self::Tuple { 0: field_0, 1: field_1, 2: field_2, } => {
                <u8 as ::gc_core::Trace>::trace(field_0, tracer);
                ::gc_core::Tracer::assert_leaf::<Rare>(field_1);
                <Gc<'gc, u8> as ::gc_core::Trace>::trace(field_2, tracer);
            }),
            quote!(Self::Named { a: field_0, } => { <u8 as ::gc_core::Trace>::trace(field_0, tracer); }),
        ];
        for arm in arms {
            assert!(answer.contains(&arm.to_string()), "{arm} in {answer}");
        }
    }

    #[test]
    fn fields_are_named_by_type_variant_and_field() {
        let answer = trace_field(&input(
            "enum E<'gc> { Unit, Tuple(u8, #[trace(leaf)] Rare, Gc<'gc, u8>), Named { r#in: u8 } }",
        ));
        let answer = answer.to_string();
        for name in ["E::Tuple.0", "E::Tuple.2", "E::Named.in"] {
            assert!(answer.contains(&format!("{name:?}")), "{name} in {answer}");
        }
        assert!(
            !answer.contains("E::Tuple.1"),
            "a leaf is not looked at: {answer}"
        );
        let answer = trace_field(&input("struct Pair<'gc, T>(T, Edge<'gc, T>);")).to_string();
        assert!(answer.contains("\"Pair.1\""), "{answer}");
    }

    #[test]
    fn a_type_without_traced_fields_names_none() {
        for definition in [
            "struct Unit;",
            "enum Never {}",
            "#[trace(leaf)] struct Leaf(u8);",
        ] {
            assert!(trace_field(&input(definition)).is_empty(), "{definition}");
        }
    }

    #[test]
    fn an_enum_without_variants_matches_nothing() {
        let answer = trace(&input("enum Never {}")).to_string();
        assert!(
            answer.contains(&quote!(match *self {}).to_string()),
            "{answer}"
        );
    }

    #[test]
    fn a_leaf_type_is_asserted_as_a_whole_and_not_taken_apart() {
        let answer = trace(&input("#[trace(leaf)] struct Leaf(Rc<u8>);")).to_string();
        let assertion = quote!(::gc_core::Tracer::assert_leaf::<Self>(self););
        assert!(answer.contains(&assertion.to_string()), "{answer}");
        assert!(!answer.contains("match"), "{answer}");
    }
}
