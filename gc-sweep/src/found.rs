//! What an address means: the answer of a lookup, and its words for reports.
//!
//! Built by `space` for anyone who met a doubtful pointer: the marker's and the barrier's cold
//! paths, the verifier, reports. Plain values, computed at one moment; they do not keep the
//! memory they describe from changing.
//!
//! Deliberately absent: the lookup itself, and any judgement of what to do next.

/// A slot of a span, as it was when it was looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// First page of the span, in pages from the start of the reservation.
    pub span: u32,
    /// Number of the slot in its span.
    pub slot: u32,
    /// Address of the first byte of the slot.
    pub base: usize,
    /// The type of every object in the span, as its class was registered.
    pub type_index: u32,
    /// Bytes of each slot of the span.
    pub slot_bytes: usize,
}

/// What stands at an address.
///
/// An address inside a slot that holds no object is answered as that slot, so that a stale
/// interior pointer is still told by the death of what it once pointed into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// The first byte of a slot that holds an object.
    Object(Place),
    /// In a slot that holds no object.
    FreeSlot {
        /// The slot.
        place: Place,
        /// Cycles since the object in it died, modulo 15; `None` when there never was one.
        stale_cycles: Option<u32>,
    },
    /// In a slot withdrawn for good.
    QuarantinedSlot(Place),
    /// Past the first byte of a slot that holds an object.
    Interior(Place),
    /// Past the last slot of a span.
    UnusedTail {
        /// First page of the span.
        span: u32,
    },
    /// On a page that belongs to no span.
    UnallocatedSpan {
        /// The cycle whose sweep gave the page back; `None` when no span ever covered it.
        freed_cycle: Option<u32>,
    },
    /// In a span, not on a multiple of 16.
    Misaligned,
    /// Not in the reservation.
    Outside,
}

impl Found {
    /// The words for a report; empty for an object, which needs no excuse.
    pub const fn reason(&self) -> &'static str {
        match self {
            Found::Object(_) => "",
            Found::FreeSlot { .. } => "pointer to free slot",
            Found::QuarantinedSlot(_) => "pointer to quarantined slot",
            Found::Interior(_) => "pointer into the middle of an object",
            Found::UnusedTail { .. } => "pointer to the unused tail of a span",
            Found::UnallocatedSpan { .. } => "pointer to unallocated span",
            Found::Misaligned => "misaligned pointer",
            Found::Outside => "pointer outside the heap",
        }
    }

    /// The slot the address is in, when it is in one.
    pub const fn place(&self) -> Option<Place> {
        match self {
            Found::Object(place) | Found::QuarantinedSlot(place) | Found::Interior(place) => {
                Some(*place)
            }
            Found::FreeSlot { place, .. } => Some(*place),
            Found::UnusedTail { .. }
            | Found::UnallocatedSpan { .. }
            | Found::Misaligned
            | Found::Outside => None,
        }
    }

    /// First page of the span the address is in, when that is known.
    pub const fn span(&self) -> Option<u32> {
        match self {
            Found::UnusedTail { span } => Some(*span),
            _ => match self.place() {
                Some(place) => Some(place.span),
                None => None,
            },
        }
    }

    /// Whether the address is that of an object.
    pub const fn is_object(&self) -> bool {
        matches!(self, Found::Object(_))
    }
}
