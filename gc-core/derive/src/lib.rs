//! `#[derive(Trace)]`, the only way in which most users of gc-core meet the `Trace` trait.
//!
//! The derive turns a type definition into an `unsafe impl Trace` that is right by construction:
//! every field is reported or proven to hold no `Gc`, the family `At<'a>` is the same type under
//! another brand, and a type that could hold a `Gc` cannot implement `Drop`. It runs inside the
//! compiler, on one type at a time, and sees names, not types: whatever needs a type is written
//! into the expansion as a bound or an assertion, and the compiler decides it there.
//!
//! The rooms, in the order of their imports:
//! - `attributes`: what `#[trace(...)]` says on the type and on its fields;
//! - `input`: the definition, read once, with everything refused that cannot be traced;
//! - `rebrand`: the same type or bound under another brand;
//! - `bounds`: the where clause of the impl, and `At<'a>`;
//! - `body`: `MAY_HOLD_GC` and `trace`;
//! - `expand`: the pieces put together.
//!
//! Deliberately absent: renaming of the crate (paths are `::gc_core::…`), bounds given by hand, and
//! any option that would trust the user without proof.

#![forbid(unsafe_code)]

mod attributes;

mod input;

mod rebrand;

mod bounds;

mod body;

mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `gc_core::Trace` for a struct or an enum.
///
/// A traced type has at most one lifetime parameter, the brand of the heap its pointers lead into.
/// Every field must be `Trace` itself, and so must every type parameter that stands in one. The
/// type may not implement `Drop`.
///
/// Options:
/// - `#[trace(leaf)]` on a field: the field's type is `'static + Send` and holds no `Gc`; it need
///   not be `Trace`.
/// - `#[trace(leaf)]` on the type: the same for the whole type, which may then implement `Drop`.
/// - `#[trace(drop)]` on the type: its fields are `Trace`, it is `'static + Send`, no field can
///   hold a `Gc`, and it may implement `Drop`.
///
/// A refusal that asks the brand to outlive `'static` means that a `Gc`, `Edge`, `Weak` or `Ephemeron`
/// stands where nobody reports it: in a leaf, in an `Arc`, or in a cell or lock, where a store would
/// have no write barrier. Use an `Edge` instead of a cell of `Gc`.
///
/// Traced types need not be `Send`. One that is not, or that leads to one that is not `Send + Sync`, is
/// used by one thread: its roots are not `Send`. What it drops is dropped by whichever thread
/// sweeps, so leaves, what cells own, and types that implement `Drop` are `Send` in any case.
///
/// A type parameter that is declared `'static` can hold no branded pointer: it is not asked to be
/// `Trace`, and stays the same in every `At<'a>`. Every other type parameter `P` becomes
/// `P::At<'a>` there, and the bounds on it are asked of `P::At<'a>` too.
///
/// # Types that own each other
///
/// Whether a type can hold a `Gc` is a constant. For a type without a lifetime parameter it is made
/// of the constants of its fields, so two such types that own each other (`A` has a `Vec<B>`, `B`
/// has a `Vec<A>`) make a cycle that the compiler reports. Say `#[trace(leaf)]` on one of them. A
/// type that owns itself is understood.
#[proc_macro_derive(Trace, attributes(trace))]
pub fn derive_trace(tokens: TokenStream) -> TokenStream {
    let definition = parse_macro_input!(tokens as DeriveInput);
    expand::expand(&definition)
        .unwrap_or_else(|refusal| refusal.to_compile_error())
        .into()
}
