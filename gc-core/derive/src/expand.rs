//! The expansion as a whole.
//!
//! Called once for each derive. The impl is `unsafe` on behalf of the derive: the other rooms made
//! sure that the family is the same type under another brand, that each field is reported or proven
//! to hold no `Gc`, and that `MAY_HOLD_GC` says no only if every field says no. The fourth duty of
//! `Trace`, that drop glue reads no `Gc`, is the second impl here: it collides with a blanket impl
//! for everything that implements `Drop`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Result};

use crate::attributes::TypeMode;
use crate::body;
use crate::bounds::{Bounds, at_lifetime};
use crate::input::Input;

/// The impls that a definition gets.
pub fn expand(definition: &DeriveInput) -> Result<TokenStream> {
    let input = Input::read(definition)?;
    let Bounds { where_clause, at } = Bounds::of(&input);
    let name = &input.name;
    let (parameters, arguments, _) = input.generics.split_for_impl();
    let at_lifetime = at_lifetime();
    let may_hold_gc = body::may_hold_gc(&input);
    let trace = body::trace(&input);
    let trace_field = body::trace_field(&input);
    let about_drop = match input.mode {
        TypeMode::Traced => drop_ban(&input),
        TypeMode::Drops => eager_check(&input),
        TypeMode::Leaf => TokenStream::new(),
    };
    Ok(quote! {
        #[automatically_derived]
        unsafe impl #parameters ::gc_core::Trace for #name #arguments #where_clause {
            type At<#at_lifetime> = #at;
            const MAY_HOLD_GC: bool = #may_hold_gc;
            #trace
            #trace_field
        }
        #about_drop
    })
}

/// An impl that does not compile if the type implements `Drop`.
fn drop_ban(input: &Input) -> TokenStream {
    let name = &input.name;
    let (parameters, arguments, where_clause) = input.generics.split_for_impl();
    quote_spanned! {name.span()=>
        #[automatically_derived]
        impl #parameters ::gc_core::__private::MayNotImplDrop for #name #arguments #where_clause {}
    }
}

/// Evaluates the assertion inside `MAY_HOLD_GC` where the type is defined. That of a generic type
/// waits until the parameters are known, which is where an object of the type is allocated.
fn eager_check(input: &Input) -> TokenStream {
    let name = &input.name;
    match input.generics.params.is_empty() {
        true => {
            quote_spanned!(name.span()=> const _: bool = <#name as ::gc_core::Trace>::MAY_HOLD_GC;)
        }
        false => TokenStream::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_str;

    fn refusals(definition: &str) -> Vec<String> {
        let definition = parse_str(definition).expect("a definition");
        let refusals = expand(&definition).expect_err("refused");
        refusals
            .into_iter()
            .map(|refusal| refusal.to_string())
            .collect()
    }

    #[test]
    fn the_expansion_of_a_small_type_is_known_to_the_letter() {
        let definition =
            parse_str("struct Node<'gc> { next: Edge<'gc, Node<'gc>> }").expect("a definition");
        let wanted = quote! {
            #[automatically_derived]
            unsafe impl<'gc> ::gc_core::Trace for Node<'gc> {
                type At<'__at> = Node<'__at>;
                const MAY_HOLD_GC: bool = true;
                #[inline]
                fn trace(&self, tracer: &mut ::gc_core::Tracer<'_>) {
                    let _ = &tracer;
                    match self {
                        Self { next: field_0, } => {
                            <Edge<'gc, Node<'gc>> as ::gc_core::Trace>::trace(field_0, tracer);
                        }
                    }
                }
                fn trace_field(
                    &self,
                    field: usize,
                    tracer: &mut ::gc_core::Tracer<'_>,
                ) -> ::core::option::Option<&'static str> {
                    let _ = (&field, &tracer);
                    match self {
                        Self { next: field_0, .. } => match field {
                            0usize => {
                                <Edge<'gc, Node<'gc>> as ::gc_core::Trace>::trace(field_0, tracer);
                                ::core::option::Option::Some("Node.next")
                            }
                            _ => ::core::option::Option::None,
                        },
                    }
                }
            }
            #[automatically_derived]
            impl<'gc> ::gc_core::__private::MayNotImplDrop for Node<'gc> {}
        };
        let text = |tokens: TokenStream| tokens.to_string().replace(' ', "");
        assert_eq!(text(expand(&definition).expect("accepted")), text(wanted));
    }

    #[test]
    fn types_that_may_drop_are_not_banned_from_it() {
        for definition in [
            "#[trace(leaf)] struct A(u8);",
            "#[trace(drop)] struct A(u8);",
        ] {
            let expansion = expand(&parse_str(definition).expect("a definition"))
                .expect("accepted")
                .to_string();
            assert!(!expansion.contains("MayNotImplDrop"), "{definition}");
        }
    }

    #[test]
    fn a_union_is_refused() {
        assert_eq!(
            refusals("union U { a: u8, b: u16 }"),
            [
                "a union cannot be traced: nothing says which of its fields is the live one. Use an enum"
            ]
        );
    }

    #[test]
    fn a_second_lifetime_is_refused_with_the_reason() {
        let refusals = refusals("struct View<'gc, 'a> { text: &'a str, of: Gc<'gc, str> }");
        assert_eq!(refusals.len(), 1);
        assert!(
            refusals[0].starts_with("`View` has two lifetime parameters, `'gc` and `'a`"),
            "{}",
            refusals[0]
        );
    }

    #[test]
    fn a_bounded_brand_is_refused() {
        assert!(refusals("struct S<'gc: 'static>(Gc<'gc, u8>);")[0].contains("cannot be bounded"));
        assert!(
            refusals("struct S<'gc>(Gc<'gc, u8>) where 'gc: 'static;")[0]
                .contains("cannot be bounded")
        );
    }

    #[test]
    fn a_brand_on_a_type_without_gc_is_refused() {
        assert!(
            refusals("#[trace(leaf)] struct S<'gc>(&'gc u8);")[0]
                .contains("`#[trace(leaf)]` holds no `Gc`")
        );
        assert!(
            refusals("#[trace(drop)] struct S<'gc>(&'gc u8);")[0]
                .contains("`#[trace(drop)]` holds no `Gc`")
        );
    }

    #[test]
    fn a_packed_type_is_refused() {
        assert!(refusals("#[repr(C, packed(2))] struct S(u8);")[0].contains("packed"));
        assert!(
            expand(&parse_str("#[repr(C, align(64))] struct S(u8);").expect("a definition"))
                .is_ok()
        );
    }

    #[test]
    fn all_refusals_are_reported_together() {
        let refusals = refusals(
            "#[trace(blue)] enum E<'a, 'b> { #[trace(leaf)] A(#[trace(drop)] &'a &'b u8) }",
        );
        assert_eq!(refusals.len(), 4, "{refusals:?}");
    }
}
