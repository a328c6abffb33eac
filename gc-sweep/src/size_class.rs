//! The sizes of slots, and the units of the heap: granule, page, chunk.
//!
//! Owns the table of size classes and the arithmetic that cuts spans into slots. Used at registration of a class and
//! when a span is made; never on the allocation fast path. All here is constant data, readable from anywhere.
//!
//! The classes are the multiples of 16 up to 128 bytes, then eight to a doubling up to 32 KiB. Checked while
//! compiling:
//!
//! * slots are sorted and multiples of the granule;
//! * a request above 128 bytes wastes at most an eighth of its slot;
//! * a span of the smallest and one of the largest length leave at most an eighth of their bytes behind the last slot;
//! * the lookup table gives the smallest class that fits.
//!
//! Deliberately absent: anything larger than 32 KiB. Such an object has a span of its own.

/// Bytes that one state byte stands for, and the alignment of every slot.
pub const GRANULE_BYTES: usize = 16;

/// Bytes of a page, the unit in which spans are cut from the heap.
pub const PAGE_BYTES: usize = 8 << 10;

/// Bytes of a chunk, the unit in which memory is committed and given back: one huge page.
pub const CHUNK_BYTES: usize = 2 << 20;

/// Pages of a chunk.
pub const CHUNK_PAGES: u32 = (CHUNK_BYTES / PAGE_BYTES) as u32;

/// The largest alignment that any slot has: spans begin at pages, so a larger one cannot be promised.
pub const ALIGN_BYTES_MAX: usize = PAGE_BYTES;

/// Up to here every multiple of the granule is a class.
const FINE_BYTES_MAX: usize = 128;

/// Above it, so many classes stand between one power of two and the next.
const STEPS_PER_DOUBLING: usize = 8;

/// The largest slot of a class.
const SLOT_BYTES_MAX: usize = 32 << 10;

/// Pages of the longest span of a class with eight or more slots in it: 64 KiB.
const SPAN_PAGES_LONG: u32 = 8;

/// A longest span holds at least so many slots, so that its lease outlasts a few allocations.
const SPAN_SLOTS_LONG: usize = 8;

/// One part in so many may be wasted.
const WASTE_PART: usize = 8;

const FINE_CLASSES: usize = FINE_BYTES_MAX / GRANULE_BYTES;
const DOUBLINGS: usize = (SLOT_BYTES_MAX / FINE_BYTES_MAX).ilog2() as usize;

/// A size of slot. All slots of a span have one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SizeClass(u8);

impl SizeClass {
    /// How many classes there are.
    pub const COUNT: usize = FINE_CLASSES + DOUBLINGS * STEPS_PER_DOUBLING;

    /// The largest request that a class serves.
    pub const SLOT_BYTES_MAX: usize = SLOT_BYTES_MAX;

    /// The smallest class whose slots hold this many bytes; `None` if the object needs a span of its own. No bytes
    /// take the smallest slot, so that every object has an address of its own.
    #[inline]
    pub fn for_bytes(bytes: usize) -> Option<SizeClass> {
        let granules = bytes.div_ceil(GRANULE_BYTES);
        LOOKUP.get(granules).map(|index| SizeClass(*index))
    }

    /// The smallest class whose slots also begin at multiples of `align_bytes`. Above the granule the request is
    /// rounded up to a power of two, since slots of such a size keep the alignment of their span. `None` means a span
    /// of its own, which begins at a page; more than [`ALIGN_BYTES_MAX`] is promised nowhere.
    pub fn for_layout(bytes: usize, align_bytes: usize) -> Option<SizeClass> {
        if align_bytes <= GRANULE_BYTES {
            return SizeClass::for_bytes(bytes);
        }
        if align_bytes > ALIGN_BYTES_MAX {
            return None;
        }
        SizeClass::for_bytes(bytes.max(align_bytes).checked_next_power_of_two()?)
    }

    /// The class with this index.
    pub fn from_index(index: usize) -> Option<SizeClass> {
        (index < SizeClass::COUNT).then_some(SizeClass(index as u8))
    }

    /// Every class, from the smallest.
    pub fn all() -> impl Iterator<Item = SizeClass> {
        (0..SizeClass::COUNT as u8).map(SizeClass)
    }

    /// Position among the classes.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Bytes of a slot.
    #[inline]
    pub const fn slot_bytes(self) -> usize {
        SLOT_BYTES[self.0 as usize]
    }

    /// Pages of the shortest span.
    pub const fn span_pages_min(self) -> u32 {
        SPAN_PAGES_MIN[self.0 as usize]
    }

    /// Pages of the longest span.
    pub const fn span_pages_max(self) -> u32 {
        span_pages_max(self.slot_bytes())
    }

    /// The shortest length of span, of at least the wanted pages and within the shortest and the longest, that leaves
    /// at most an eighth of its bytes behind the last slot.
    pub const fn span_pages(self, wanted_pages: u32) -> u32 {
        let slot_bytes = self.slot_bytes();
        let longest = span_pages_max(slot_bytes);
        let mut pages = if wanted_pages < self.span_pages_min() {
            self.span_pages_min()
        } else {
            wanted_pages
        };
        while pages < longest && !has_short_tail(slot_bytes, pages) {
            pages += 1;
        }
        if pages > longest { longest } else { pages }
    }

    /// Slots in a span of this many pages.
    pub const fn slots_in(self, pages: u32) -> u32 {
        (pages as usize * PAGE_BYTES / self.slot_bytes()) as u32
    }
}

/// What is left behind the last slot is at most an eighth of the span, and there is a slot.
const fn has_short_tail(slot_bytes: usize, pages: u32) -> bool {
    let span_bytes = pages as usize * PAGE_BYTES;
    span_bytes >= slot_bytes && span_bytes % slot_bytes <= span_bytes / WASTE_PART
}

const fn span_pages_max(slot_bytes: usize) -> u32 {
    let pages = (slot_bytes * SPAN_SLOTS_LONG).div_ceil(PAGE_BYTES) as u32;
    if pages > SPAN_PAGES_LONG {
        pages
    } else {
        SPAN_PAGES_LONG
    }
}

const SLOT_BYTES: [usize; SizeClass::COUNT] = {
    let mut table = [0; SizeClass::COUNT];
    let mut index = 0;
    while index < SizeClass::COUNT {
        table[index] = if index < FINE_CLASSES {
            (index + 1) * GRANULE_BYTES
        } else {
            let doubling = (index - FINE_CLASSES) / STEPS_PER_DOUBLING;
            let step = (index - FINE_CLASSES) % STEPS_PER_DOUBLING + 1;
            (FINE_BYTES_MAX << doubling) / STEPS_PER_DOUBLING * (STEPS_PER_DOUBLING + step)
        };
        index += 1;
    }
    table
};

const SPAN_PAGES_MIN: [u32; SizeClass::COUNT] = {
    let mut table = [1; SizeClass::COUNT];
    let mut index = 0;
    while index < SizeClass::COUNT {
        while !has_short_tail(SLOT_BYTES[index], table[index]) {
            table[index] += 1;
        }
        index += 1;
    }
    table
};

/// Granules of a request to the index of its class.
static LOOKUP: [u8; SLOT_BYTES_MAX / GRANULE_BYTES + 1] = LOOKUP_TABLE;

const LOOKUP_TABLE: [u8; SLOT_BYTES_MAX / GRANULE_BYTES + 1] = {
    let mut table = [0; SLOT_BYTES_MAX / GRANULE_BYTES + 1];
    let mut index = 0;
    let mut granules = 0;
    while granules < table.len() {
        if granules * GRANULE_BYTES > SLOT_BYTES[index] {
            index += 1;
        }
        table[granules] = index as u8;
        granules += 1;
    }
    table
};

const _: () = {
    assert!(SizeClass::COUNT <= u8::MAX as usize);
    assert!(SLOT_BYTES[SizeClass::COUNT - 1] == SLOT_BYTES_MAX);
    let mut below = 0;
    let mut index = 0;
    while index < SizeClass::COUNT {
        let bytes = SLOT_BYTES[index];
        assert!(bytes > below, "slots are sorted");
        assert!(
            bytes.is_multiple_of(GRANULE_BYTES),
            "slots are multiples of the granule"
        );
        let request_min = if below + 1 > FINE_BYTES_MAX {
            below + 1
        } else {
            bytes
        };
        assert!(
            (bytes - request_min) * WASTE_PART <= bytes,
            "a slot wastes at most an eighth"
        );
        assert!(
            LOOKUP_TABLE[bytes / GRANULE_BYTES] as usize == index,
            "lookup at the top of a class"
        );
        assert!(
            LOOKUP_TABLE[below / GRANULE_BYTES + 1] as usize == index,
            "lookup at its bottom"
        );
        assert!(SPAN_PAGES_MIN[index] <= span_pages_max(bytes));
        assert!(
            has_short_tail(bytes, SPAN_PAGES_MIN[index]),
            "a shortest span has a short tail"
        );
        assert!(
            has_short_tail(bytes, span_pages_max(bytes)),
            "a longest span has a short tail"
        );
        below = bytes;
        index += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gets_the_smallest_class_that_holds_it() {
        assert_eq!(SizeClass::COUNT, 72);
        for bytes in 0..=SizeClass::SLOT_BYTES_MAX {
            let class = SizeClass::for_bytes(bytes).unwrap();
            assert!(class.slot_bytes() >= bytes);
            assert!(
                class.index() == 0
                    || SizeClass::from_index(class.index() - 1)
                        .unwrap()
                        .slot_bytes()
                        < bytes
            );
            if bytes > 128 {
                assert!(
                    (class.slot_bytes() - bytes) * 8 <= class.slot_bytes(),
                    "{bytes} in {}",
                    class.slot_bytes()
                );
            }
        }
        assert_eq!(SizeClass::for_bytes(SizeClass::SLOT_BYTES_MAX + 1), None);
        assert_eq!(SizeClass::for_bytes(usize::MAX), None);
        assert_eq!(SizeClass::from_index(SizeClass::COUNT), None);
    }

    #[test]
    fn every_slot_of_every_span_keeps_the_asked_alignment() {
        for align in (0..=13).map(|power| 1_usize << power) {
            for bytes in (0..=40_000)
                .step_by(8)
                .chain([1, 17, usize::MAX / 2 + 2, usize::MAX])
            {
                let Some(class) = SizeClass::for_layout(bytes, align) else {
                    assert!(
                        bytes.max(align) > SizeClass::SLOT_BYTES_MAX / 2,
                        "{bytes} at {align}"
                    );
                    continue;
                };
                assert!(class.slot_bytes() >= bytes);
                // A span begins at a page, so a slot of index i lies at a page boundary plus i slots.
                assert_eq!(class.slot_bytes() % align, 0, "{bytes} at {align}");
            }
        }
    }

    #[test]
    fn an_alignment_beyond_the_page_is_never_promised() {
        assert_eq!(SizeClass::for_layout(16, ALIGN_BYTES_MAX * 2), None);
        assert_eq!(SizeClass::for_layout(16, 1 << 63), None);
        let page = SizeClass::for_layout(16, ALIGN_BYTES_MAX).unwrap();
        assert_eq!(page.slot_bytes(), PAGE_BYTES);
    }

    #[test]
    fn any_wanted_span_length_leaves_a_short_tail() {
        for class in SizeClass::all() {
            for wanted in (0..50).chain([u32::MAX]) {
                let pages = class.span_pages(wanted);
                assert!((class.span_pages_min()..=class.span_pages_max()).contains(&pages));
                assert!(pages >= wanted.min(class.span_pages_max()));
                let span_bytes = pages as usize * PAGE_BYTES;
                let used_bytes = class.slots_in(pages) as usize * class.slot_bytes();
                assert!(used_bytes <= span_bytes && (span_bytes - used_bytes) * 8 <= span_bytes);
            }
            assert!(
                class.span_pages_max() as usize * PAGE_BYTES == 64 << 10
                    || class.slots_in(class.span_pages_max()) >= 8
            );
        }
        assert_eq!(SizeClass::for_bytes(16).unwrap().span_pages_min(), 1);
    }
}
