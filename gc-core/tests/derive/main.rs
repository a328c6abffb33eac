//! What `#[derive(Trace)]` reports is kept, and what nobody reports is dropped, exactly once.
//!
//! Each object under test leads to a payload that counts its drops. A payload that stays after a
//! collection was reported by the derived `trace` of everything between it and the root, since
//! nothing else keeps it; one that goes when the root goes was kept by that path alone.
//!
//! - `payload`: the payload and the check;
//! - `fields`: every shape of type, and every container, reports what it holds;
//! - `drops`: what is unreachable is dropped once, with its leaves, and nothing else is;
//! - `threads`: by whichever thread, also when it holds handles of its own heap;
//! - `families`: `At<'a>` and `MAY_HOLD_GC` are what they should be.

mod payload;

mod fields;

mod drops;

mod families;

mod threads;
