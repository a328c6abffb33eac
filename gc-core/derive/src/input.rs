//! The definition under the derive, read once.
//!
//! `expand` builds an [`Input`] first; the rooms after it look at nothing else. All refusals that
//! need only the syntax happen here, each at the guilty tokens and all of them at once: unions,
//! packed types, more than one lifetime, bounds on the brand, a brand on a type that says it holds
//! no `Gc`.
//!
//! Deliberately absent: anything that needs to know a type. That is left to bounds in the
//! expansion.

use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericParam, Generics, Ident, Lifetime, Member,
    Result, Token, Type, WherePredicate,
};

use crate::attributes::{self, FieldMode, TypeMode};

/// A definition that the derive accepts.
pub struct Input {
    /// Name of the type.
    pub name: Ident,
    /// Its parameters and where clause as written.
    pub generics: Generics,
    /// Its only lifetime parameter, when it has one.
    pub brand: Option<Lifetime>,
    /// What its attributes ask for.
    pub mode: TypeMode,
    /// The variants of an enum, or the one shape of a struct.
    pub variants: Vec<Variant>,
}

/// One way in which a value of the type may look.
pub struct Variant {
    /// `None` for a struct.
    pub name: Option<Ident>,
    /// Fields in the order of their declaration.
    pub fields: Vec<Field>,
}

/// A field of a struct or of a variant.
pub struct Field {
    /// Name, or position in a tuple.
    pub member: Member,
    /// Type as written.
    pub ty: Type,
    /// What its attributes ask for.
    pub mode: FieldMode,
}

impl Input {
    /// Reads a definition, or says everything that is wrong with it.
    pub fn read(definition: &DeriveInput) -> Result<Input> {
        let mut refusals = Refusals(None);
        let mode = refusals.take(attributes::type_mode(&definition.attrs));
        refusals.take(refuse_packed(&definition.attrs));
        let brand = refusals.take(brand_of(&definition.ident, &definition.generics));
        let variants = refusals.take(variants_of(&definition.data));
        if let (Some(mode), Some(Some(brand))) = (mode, &brand) {
            refusals.take(refuse_brand(mode, brand));
        }
        match (refusals.0, mode, brand, variants) {
            (None, Some(mode), Some(brand), Some(variants)) => Ok(Input {
                name: definition.ident.clone(),
                generics: definition.generics.clone(),
                brand,
                mode,
                variants,
            }),
            (Some(refusals), ..) => Err(refusals),
            (None, ..) => Err(Error::new_spanned(
                &definition.ident,
                "this definition cannot be traced",
            )),
        }
    }

    /// All fields that are traced, over all variants.
    pub fn traced_fields(&self) -> impl Iterator<Item = &Field> {
        let fields = self.variants.iter().flat_map(|variant| &variant.fields);
        fields.filter(|field| field.mode == FieldMode::Traced && self.mode != TypeMode::Leaf)
    }
}

/// Collects refusals, so that the user sees all of them after one compilation.
struct Refusals(Option<Error>);

impl Refusals {
    fn take<T>(&mut self, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                match &mut self.0 {
                    Some(refusals) => refusals.combine(error),
                    none => *none = Some(error),
                }
                None
            }
        }
    }
}

/// The one lifetime parameter a traced type may have.
fn brand_of(name: &Ident, generics: &Generics) -> Result<Option<Lifetime>> {
    let mut lifetimes = generics.lifetimes();
    let Some(brand) = lifetimes.next() else {
        return Ok(None);
    };
    if let Some(second) = lifetimes.next() {
        let message = format!(
            "`{name}` has two lifetime parameters, `{}` and `{}`: a traced type has at most one, the brand of the heap \
             its pointers lead into. An object lives longer than the scope that makes it, so it cannot borrow \
             anything else; store an owned value or a `Gc` instead of the reference",
            brand.lifetime, second.lifetime,
        );
        return Err(Error::new_spanned(second, message));
    }
    let message = "the brand of a traced type cannot be bounded: it stands for every scope the object is used in";
    if !brand.bounds.is_empty() {
        return Err(Error::new_spanned(brand, message));
    }
    let predicates = generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates);
    for predicate in predicates {
        if let WherePredicate::Lifetime(bound) = predicate {
            return Err(Error::new_spanned(bound, message));
        }
    }
    Ok(Some(brand.lifetime.clone()))
}

/// Types that promise to hold no `Gc` have no use for a brand.
fn refuse_brand(mode: TypeMode, brand: &Lifetime) -> Result<()> {
    let option = match mode {
        TypeMode::Traced => return Ok(()),
        TypeMode::Drops => "drop",
        TypeMode::Leaf => "leaf",
    };
    let message = format!(
        "a type with `#[trace({option})]` holds no `Gc` and is `'static`, so it cannot have the lifetime parameter \
         `{brand}`"
    );
    Err(Error::new_spanned(brand, message))
}

/// Tracing borrows the fields, which a packed type does not allow.
fn refuse_packed(attributes: &[Attribute]) -> Result<()> {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("repr"))
    {
        let mut packed = None;
        attribute.parse_nested_meta(|option| {
            if option.path.is_ident("packed") {
                packed = Some(option.path.to_token_stream());
            }
            if option.input.peek(syn::token::Paren) {
                let value;
                syn::parenthesized!(value in option.input);
                value.parse::<proc_macro2::TokenStream>()?;
            }
            Ok(())
        })?;
        if let Some(packed) = packed {
            let message = "a packed type cannot be traced: its fields cannot be borrowed, and its pointers would not be \
                           aligned";
            return Err(Error::new_spanned(packed, message));
        }
    }
    Ok(())
}

fn variants_of(data: &Data) -> Result<Vec<Variant>> {
    let mut refusals = Refusals(None);
    let mut variants = Vec::new();
    match data {
        Data::Struct(data) => {
            let fields = refusals.take(fields_of(&data.fields)).unwrap_or_default();
            variants.push(Variant { name: None, fields });
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                refusals.take(attributes::refuse_on_variant(&variant.attrs));
                let fields = refusals
                    .take(fields_of(&variant.fields))
                    .unwrap_or_default();
                variants.push(Variant {
                    name: Some(variant.ident.clone()),
                    fields,
                });
            }
        }
        Data::Union(data) => {
            let message = "a union cannot be traced: nothing says which of its fields is the live one. Use an enum";
            refusals.take::<()>(Err(Error::new_spanned(data.union_token, message)));
        }
    }
    refusals.0.map_or(Ok(variants), Err)
}

fn fields_of(fields: &Fields) -> Result<Vec<Field>> {
    let mut refusals = Refusals(None);
    let mut read = Vec::new();
    for (field, member) in fields.iter().zip(fields.members()) {
        let mode = refusals
            .take(attributes::field_mode(&field.attrs))
            .unwrap_or(FieldMode::Traced);
        read.push(Field {
            member,
            ty: field.ty.clone(),
            mode,
        });
    }
    refusals.0.map_or(Ok(read), Err)
}

/// The parameters of a definition as arguments: `<'gc, T, N>` for `<'gc, T: Ord, const N: usize>`.
pub fn own_arguments(generics: &Generics) -> Punctuated<proc_macro2::TokenStream, Token![,]> {
    let arguments = generics.params.iter().map(|parameter| match parameter {
        GenericParam::Lifetime(parameter) => parameter.lifetime.to_token_stream(),
        GenericParam::Type(parameter) => parameter.ident.to_token_stream(),
        GenericParam::Const(parameter) => {
            let name = &parameter.ident;
            quote!(#name)
        }
    });
    arguments.collect()
}
