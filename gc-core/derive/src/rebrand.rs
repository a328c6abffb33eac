//! The same syntax under another brand, and the same type with itself cut out.
//!
//! `bounds` uses [`Rebrand`] to say of `At<'a>` what the user said of the type; `body` uses
//! [`without_itself`] to ask the fields of a type that owns itself what they can hold. Both rewrite
//! syntax trees, never text, and neither knows where its result will stand.

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Lifetime, Path, Type, WherePredicate, parse_quote};

use crate::input::{Input, own_arguments};

/// How a type parameter appears in `At<'a>`.
#[derive(Clone)]
pub struct Mapped {
    /// The parameter.
    pub name: Ident,
    /// The trait whose `At` it goes through: `Trace`, or `Object` for a parameter that need not be
    /// sized.
    pub family: Path,
}

/// Replaces the brand by the lifetime `at`, and each mapped type parameter `P` by `<P as
/// Trace>::At<'at>`.
pub struct Rebrand<'i> {
    /// The brand as written, when the type has one.
    pub brand: Option<&'i Lifetime>,
    /// Type parameters that may hold a brand of their own.
    pub mapped: &'i [Mapped],
    /// The new brand.
    pub at: Lifetime,
}

impl Rebrand<'_> {
    /// The predicate said of every `At<'a>`: rebranded, and under a binder for the new brand.
    /// `None` when it does not change, for then it is said already.
    pub fn predicate(&mut self, predicate: &WherePredicate) -> Option<WherePredicate> {
        let mut renewed = predicate.clone();
        self.visit_where_predicate_mut(&mut renewed);
        if renewed.to_token_stream().to_string() == predicate.to_token_stream().to_string() {
            return None;
        }
        if let WherePredicate::Type(bound) = &mut renewed {
            let binder = bound.lifetimes.get_or_insert_with(|| parse_quote!(for<>));
            let at = &self.at;
            binder.lifetimes.insert(0, parse_quote!(#at));
        }
        Some(renewed)
    }

    /// What a type parameter becomes.
    pub fn parameter(&self, name: &Ident) -> Type {
        let at = &self.at;
        match self.mapped.iter().find(|mapped| mapped.name == *name) {
            Some(Mapped { family, .. }) => parse_quote!(<#name as #family>::At<#at>),
            None => parse_quote!(#name),
        }
    }
}

impl VisitMut for Rebrand<'_> {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if self.brand.is_some_and(|brand| brand == lifetime) {
            *lifetime = self.at.clone();
        }
    }

    fn visit_type_mut(&mut self, ty: &mut Type) {
        match lone_name(ty) {
            Some(name) => *ty = self.parameter(&name),
            None => visit_mut::visit_type_mut(self, ty),
        }
    }
}

/// The name in a type that is nothing but one name.
fn lone_name(ty: &Type) -> Option<Ident> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.get_ident().cloned(),
        _ => None,
    }
}

/// The type of a field with every mention of the type itself replaced by `()`.
///
/// A type that owns itself holds a `Gc` exactly if it does so without counting itself, and `()`
/// never does. Only the type with its own parameters counts as itself: under other arguments it may
/// hold what it does not hold here.
pub fn without_itself(ty: &Type, input: &Input) -> Type {
    let mut cut = CutItself {
        name: &input.name,
        arguments: own_arguments(&input.generics).to_token_stream().to_string(),
    };
    let mut ty = ty.clone();
    cut.visit_type_mut(&mut ty);
    ty
}

struct CutItself<'i> {
    name: &'i Ident,
    arguments: String,
}

impl CutItself<'_> {
    fn is_itself(&self, ty: &Type) -> bool {
        let Type::Path(path) = ty else {
            return false;
        };
        if path.qself.is_some()
            || path.path.leading_colon.is_some()
            || path.path.segments.len() != 1
        {
            return false;
        }
        path.path
            .segments
            .first()
            .is_some_and(|segment| match &segment.arguments {
                _ if segment.ident == "Self" => true,
                syn::PathArguments::None => {
                    segment.ident == *self.name && self.arguments.is_empty()
                }
                syn::PathArguments::AngleBracketed(given) => {
                    segment.ident == *self.name
                        && given.args.to_token_stream().to_string() == self.arguments
                }
                syn::PathArguments::Parenthesized(_) => false,
            })
    }
}

impl VisitMut for CutItself<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if self.is_itself(ty) {
            *ty = parse_quote!(());
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;
    use syn::parse_str;

    fn rebranded(predicate: WherePredicate) -> Option<String> {
        let brand = parse_str("'gc").expect("a lifetime");
        let mapped = [Mapped {
            name: parse_quote!(T),
            family: parse_quote!(Trace),
        }];
        let mut rebrand = Rebrand {
            brand: Some(&brand),
            mapped: &mapped,
            at: parse_quote!('at),
        };
        rebrand
            .predicate(&predicate)
            .map(|predicate| predicate.to_token_stream().to_string())
    }

    #[test]
    fn brand_and_parameters_are_replaced_wherever_they_stand() {
        let answer = rebranded(parse_quote!(Vec<(T, &'gc u8)>: From<[T; 3]> + Brand<'gc>));
        let wanted = quote! {
            for<'at> Vec<(<T as Trace>::At<'at>, &'at u8)>: From<[<T as Trace>::At<'at>; 3]> + Brand<'at>
        };
        assert_eq!(answer, Some(wanted.to_string()));
    }

    #[test]
    fn binders_of_the_user_are_kept() {
        let answer = rebranded(parse_quote!(for<'x> T: Visit<'x>));
        assert_eq!(
            answer,
            Some(quote!(for<'at, 'x> <T as Trace>::At<'at>: Visit<'x>).to_string())
        );
    }

    #[test]
    fn predicates_that_mention_neither_are_not_said_twice() {
        assert_eq!(rebranded(parse_quote!(U: Clone)), None);
        assert_eq!(rebranded(parse_quote!(T::Item: Clone)), None);
    }

    fn cut(ty: &str, definition: &str) -> String {
        let definition = parse_str(definition).expect("a definition");
        let input = Input::read(&definition).expect("accepted");
        let ty = parse_str(ty).expect("a type");
        without_itself(&ty, &input)
            .to_token_stream()
            .to_string()
            .replace(' ', "")
    }

    #[test]
    fn a_type_is_cut_out_of_its_fields() {
        assert_eq!(cut("Vec<Json>", "enum Json {}"), "Vec<()>");
        assert_eq!(
            cut("Option<(Box<Self>, u8)>", "struct Json;"),
            "Option<(Box<()>,u8)>"
        );
        assert_eq!(
            cut("[Tree<T, N>; N]", "struct Tree<T, const N: usize> { t: T }"),
            "[();N]"
        );
    }

    #[test]
    fn a_type_under_other_arguments_is_not_itself() {
        assert_eq!(
            cut("Box<Tree<Vec<T>>>", "struct Tree<T> { t: T }"),
            "Box<Tree<Vec<T>>>"
        );
        assert_eq!(cut("Box<other::Json>", "struct Json;"), "Box<other::Json>");
    }
}
