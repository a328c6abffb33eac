//! Memory whose fate is decided by state bytes.
//!
//! The lower half of the Softfail heap: it reserves address space, cuts it into spans of equal slots, hands free slots
//! out, and sweeps the slots whose objects a collection left behind. It knows bytes, pages and spans. Types, threads
//! and phases are `gc-core`'s, and what follows from a broken invariant is decided in `gc-hooks`.
//!
//! # Map
//!
//! A module uses only those above it.
//!
//! | module | owns |
//! |---|---|
//! | [`error`] | what the world may refuse |
//! | [`colour`] | the meaning of a state byte |
//! | `atom`, `state_cell` | the accesses to a state byte, and their orders |
//! | [`size_class`] | the sizes of slots; granule, page, chunk |
//! | [`os`] | address space and memory |
//! | [`table`] | side tables without locks; the state byte of every granule |
//! | [`page_heap`] | which pages are free |
//! | `span_state`, `link`, `span_word`, `seal`, `span` | the record of a span, and every change of its state |
//! | `spans` | from an address to its span |
//! | `list`, `lists`, `class` | the classes, and the lists that their spans stand in |
//! | `words`, `scan` | walks over the state bytes of a span |
//! | `search` | the search for free slots among them |
//! | `cache` | the allocation fast path: a run of free slots |
//! | `found` | what an address means |
//! | `suspects` | marks that a stricter check would have refused |
//! | `ledger`, `quarantine` | the accounts, and how much is withdrawn |
//! | `ground` | what all verbs below stand on |
//! | `vouch` | whether the record of a span may be trusted, and its repair |
//! | `contain` | what follows a failed check |
//! | `dirt` | writes into free slots |
//! | `supply` | pages become spans, and empty spans pages |
//! | `audit` | the counts of a span against its state bytes |
//! | `sweep` | which objects of a span died |
//! | `refill` | the allocation slow path |
//! | `readmit` | the way back from quarantine |
//! | `walk` | lookups and recounts |
//! | `fault` | ways to break a space on purpose |
//! | `space` | all of the above: the face that `gc-core` sees |
//!
//! # Unsafe code
//!
//! Stands in the rooms `os`, `table`, `span` and `words`; the rest of the crate is compiled without it.
//!
//! # Feature
//!
//! `fault-inject` adds calls of the operating system that fail on demand and an interface that breaks invariants on
//! purpose. Tests and the stress driver use it; a normal build has neither.

// A blank line between the modules keeps rustfmt from sorting them: the order is that of their imports.

pub mod error;

pub mod colour;

mod atom;

mod state_cell;

pub mod size_class;

pub mod os;

pub mod table;

pub mod page_heap;

mod span_state;

mod link;

mod span_word;

mod seal;

mod span;

mod spans;

mod list;

mod lists;

mod class;

mod words;

mod scan;

mod search;

mod cache;

mod found;

mod suspects;

mod ledger;

mod quarantine;

mod ground;

mod vouch;

mod contain;

mod dirt;

mod supply;

mod audit;

mod sweep;

mod refill;

mod readmit;

mod strays;

mod walk;

#[cfg(feature = "fault-inject")]
pub mod fault;

mod space;

pub use crate::cache::Run;
pub use crate::class::{ClassId, ClassSpec, DropGlue, Scan, SlotSize};
pub use crate::colour::{Colour, CycleKind, Kept, StateByte};
pub use crate::contain::Withdrawal;
pub use crate::error::{AllocError, OsCall, OsError, PageFreeError, SpaceError};
pub use crate::found::{Found, Place};
pub use crate::ledger::{BookTotals, Ledger, Usage};
pub use crate::os::{ForkMark, Reservation};
pub use crate::page_heap::{PageHeap, PageHeapConfig, PageUsage, Released};
pub use crate::readmit::QuarantineReleased;
pub use crate::size_class::{
    ALIGN_BYTES_MAX, CHUNK_BYTES, CHUNK_PAGES, GRANULE_BYTES, PAGE_BYTES, SizeClass,
};
pub use crate::space::{Space, SpaceConfig};
pub use crate::span::Span;
pub use crate::span_state::SpanState;
pub use crate::suspects::{Suspect, Suspects};
pub use crate::sweep::{DeadSlot, Reaped, Reaper, SweepMode, SweepProgress};
pub use crate::table::{FreshSlot, Publisher, StateCell, StateTable, Table, ZeroValid};
