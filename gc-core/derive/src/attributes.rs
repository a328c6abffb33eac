//! What `#[trace(...)]` says on a type and on a field.
//!
//! `input` asks for the mode of the type once and of each field once. An attribute that says
//! nothing, says a thing twice, or says something unknown is refused at the guilty word: a misspelt
//! `leaf` must not turn into silence.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Result};

/// How a whole type is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeMode {
    /// Fields are traced, and the type may not implement `Drop`.
    Traced,
    /// `#[trace(drop)]`: fields are `Trace` but can hold no `Gc`, and the type may implement
    /// `Drop`.
    Drops,
    /// `#[trace(leaf)]`: nothing is traced, and the type may implement `Drop`.
    Leaf,
}

/// How a single field is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldMode {
    /// The field's own `trace` is called.
    Traced,
    /// `#[trace(leaf)]`: the field is `'static + Send` and is not looked at.
    Leaf,
}

/// The mode that the attributes of a type ask for.
pub fn type_mode(attributes: &[Attribute]) -> Result<TypeMode> {
    let mut mode = None;
    for_each_option(attributes, |option| {
        let wanted = if option.path.is_ident("leaf") {
            TypeMode::Leaf
        } else if option.path.is_ident("drop") {
            TypeMode::Drops
        } else {
            return Err(option.error("unknown option for a type: expected `leaf` or `drop`"));
        };
        match mode.replace(wanted) {
            None => Ok(()),
            Some(_) => Err(option.error("a type takes one option, `leaf` or `drop`, once")),
        }
    })?;
    Ok(mode.unwrap_or(TypeMode::Traced))
}

/// The mode that the attributes of a field ask for.
pub fn field_mode(attributes: &[Attribute]) -> Result<FieldMode> {
    let mut mode = FieldMode::Traced;
    for_each_option(attributes, |option| {
        if option.path.is_ident("drop") {
            return Err(option.error("`drop` is said of a whole type, not of a field"));
        }
        if !option.path.is_ident("leaf") {
            return Err(option.error("unknown option for a field: expected `leaf`"));
        }
        match core::mem::replace(&mut mode, FieldMode::Leaf) {
            FieldMode::Traced => Ok(()),
            FieldMode::Leaf => Err(option.error("`leaf` is said twice")),
        }
    })?;
    Ok(mode)
}

/// Refuses any `#[trace(...)]` among the attributes of an enum variant.
pub fn refuse_on_variant(attributes: &[Attribute]) -> Result<()> {
    match attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("trace"))
    {
        None => Ok(()),
        Some(attribute) => Err(syn::Error::new_spanned(
            attribute,
            "`#[trace(...)]` stands on types and on fields, not on variants",
        )),
    }
}

/// Hands each option of each `#[trace(...)]` to `read`. An empty list is refused.
fn for_each_option(
    attributes: &[Attribute],
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("trace"))
    {
        let mut options = 0_usize;
        attribute.parse_nested_meta(|option| {
            options += 1;
            read(&option)
        })?;
        if options == 0 {
            return Err(syn::Error::new_spanned(
                attribute,
                "`#[trace()]` says nothing: name an option or remove it",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn refusal<T: core::fmt::Debug>(answer: Result<T>) -> String {
        answer.expect_err("refused").to_string()
    }

    #[test]
    fn a_type_without_attributes_is_traced() {
        assert_eq!(type_mode(&[]).expect("valid"), TypeMode::Traced);
        assert_eq!(
            type_mode(&[parse_quote!(#[derive(Clone)])]).expect("valid"),
            TypeMode::Traced
        );
    }

    #[test]
    fn each_option_selects_its_mode() {
        assert_eq!(
            type_mode(&[parse_quote!(#[trace(leaf)])]).expect("valid"),
            TypeMode::Leaf
        );
        assert_eq!(
            type_mode(&[parse_quote!(#[trace(drop)])]).expect("valid"),
            TypeMode::Drops
        );
        assert_eq!(
            field_mode(&[parse_quote!(#[trace(leaf)])]).expect("valid"),
            FieldMode::Leaf
        );
    }

    #[test]
    fn unknown_options_are_refused_with_the_choices() {
        let on_type = refusal(type_mode(&[parse_quote!(#[trace(leave)])]));
        assert_eq!(
            on_type,
            "unknown option for a type: expected `leaf` or `drop`"
        );
        let on_field = refusal(field_mode(&[parse_quote!(#[trace(skip)])]));
        assert_eq!(on_field, "unknown option for a field: expected `leaf`");
    }

    #[test]
    fn drop_on_a_field_is_refused() {
        assert!(refusal(field_mode(&[parse_quote!(#[trace(drop)])])).contains("whole type"));
    }

    #[test]
    fn saying_a_thing_twice_is_refused() {
        assert!(refusal(type_mode(&[parse_quote!(#[trace(leaf, drop)])])).contains("one option"));
        assert!(
            refusal(type_mode(&[
                parse_quote!(#[trace(leaf)]),
                parse_quote!(#[trace(leaf)])
            ]))
            .contains("one option")
        );
        assert!(refusal(field_mode(&[parse_quote!(#[trace(leaf, leaf)])])).contains("twice"));
    }

    #[test]
    fn an_attribute_that_says_nothing_is_refused() {
        assert!(refusal(type_mode(&[parse_quote!(#[trace()])])).contains("says nothing"));
        assert!(refusal(type_mode(&[parse_quote!(#[trace])])).contains("parentheses"));
        assert!(refusal(field_mode(&[parse_quote!(#[trace = "leaf"])])).contains("parentheses"));
    }

    #[test]
    fn an_option_takes_no_value() {
        assert!(type_mode(&[parse_quote!(#[trace(leaf = true)])]).is_err());
        assert!(type_mode(&[parse_quote!(#[trace(leaf(true))])]).is_err());
    }

    #[test]
    fn a_variant_takes_no_option() {
        assert!(refuse_on_variant(&[parse_quote!(#[doc = "fine"])]).is_ok());
        assert!(
            refusal(refuse_on_variant(&[parse_quote!(#[trace(leaf)])])).contains("not on variants")
        );
    }
}
