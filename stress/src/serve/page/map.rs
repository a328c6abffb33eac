//! The map of the heap on the page, and what each type takes: from span reports to cells and rows.
//!
//! Arithmetic on a list of spans that was taken before. Invariant: a cell stands for a fixed number of pages,
//! so the map of a heap that grows is redrawn coarser and not cut.

use gc_core::SpanReport;

use super::units::{bytes, percent};

/// Cells of the map. A heap with more pages puts several into one.
const CELLS_MAX: usize = 2048;
/// Bytes of a page.
const PAGE_BYTES: u64 = 8192;
/// Types that are shown by name.
const TYPES_SHOWN: usize = 16;

/// A cell of the map.
pub(super) struct Cell {
    /// `free`, `f0` to `f4` by how full, or `bad`.
    pub(super) class: String,
    pub(super) title: String,
}

/// What a type takes of the heap.
pub(super) struct TypeRow {
    pub(super) name: String,
    pub(super) objects: u64,
    pub(super) bytes_live: String,
    pub(super) spans: usize,
    pub(super) percent: f64,
}

/// The map, and how many pages stand in a cell.
pub(super) fn cells(spans: &[SpanReport]) -> (Vec<Cell>, usize) {
    let end = spans
        .last()
        .map_or(0, |last| (last.first_page + last.pages) as usize);
    let pages = end.div_ceil(CELLS_MAX).max(1);
    let mut fills = vec![Fill::default(); end.div_ceil(pages)];
    for span in spans {
        for page in span.first_page..span.first_page + span.pages {
            fills[page as usize / pages].add(span);
        }
    }
    let cell = |(at, fill): (usize, &Fill)| fill.cell(at * pages);
    (fills.iter().enumerate().map(cell).collect(), pages)
}

/// What stands in the pages of a cell.
#[derive(Clone, Default)]
struct Fill {
    bytes: usize,
    bytes_live: usize,
    has_bad: bool,
    /// What the first span in it holds.
    what: String,
}

impl Fill {
    fn add(&mut self, span: &SpanReport) {
        let pages = span.pages as usize;
        self.bytes += span.bytes() / pages;
        self.bytes_live += span.bytes_live() / pages;
        self.has_bad |= span.is_quarantined || span.slots_quarantined > 0;
        if self.what.is_empty() {
            let name = type_name(span);
            let withdrawn = match (span.is_quarantined, span.slots_quarantined) {
                (true, _) => ", withdrawn".to_string(),
                (false, 0) => String::new(),
                (false, slots) => format!(", {slots} slots withdrawn"),
            };
            let (objects, slots, slot_bytes) = (span.objects, span.slots, span.slot_bytes);
            self.what =
                format!("{name}, {objects} of {slots} slots of {slot_bytes} bytes{withdrawn}");
        }
    }

    fn cell(&self, page: usize) -> Cell {
        let class = match (self.has_bad, self.bytes) {
            (true, _) => "bad".to_string(),
            (false, 0) => "free".to_string(),
            (false, bytes) => format!("f{}", (self.bytes_live * 5 / bytes).min(4)),
        };
        let what = if self.what.is_empty() {
            "no span"
        } else {
            &self.what
        };
        Cell {
            class,
            title: format!("page {page}: {what}"),
        }
    }
}

/// The map in a sentence or two.
pub(super) fn map_summary(spans: &[SpanReport], pages: usize) -> String {
    let withdrawn = spans.iter().filter(|span| span.is_quarantined).count();
    let slots: u64 = spans
        .iter()
        .map(|span| u64::from(span.slots_quarantined))
        .sum();
    format!(
        "{} spans, of which {withdrawn} are withdrawn; {slots} single slots are withdrawn in the others. \
         A cell is {}.",
        spans.len(),
        bytes(pages as u64 * PAGE_BYTES)
    )
}

/// The types that take most, by the bytes of their live slots.
pub(super) fn types(spans: &[SpanReport]) -> Vec<TypeRow> {
    let mut sums: Vec<(&str, u64, u64, usize)> = Vec::new();
    for span in spans {
        let name = type_name(span);
        let at = sums
            .iter()
            .position(|sum| sum.0 == name)
            .unwrap_or_else(|| {
                sums.push((name, 0, 0, 0));
                sums.len() - 1
            });
        let sum = &mut sums[at];
        sum.1 += u64::from(span.objects);
        sum.2 += span.bytes_live() as u64;
        sum.3 += 1;
    }
    sums.sort_by(|one, other| other.2.cmp(&one.2).then(one.0.cmp(other.0)));
    let most = sums.first().map_or(1, |sum| sum.2.max(1));
    let type_row = |(name, objects, live, spans): &(&str, u64, u64, usize)| TypeRow {
        name: (*name).to_string(),
        objects: *objects,
        bytes_live: bytes(*live),
        spans: *spans,
        percent: percent(*live, most),
    };
    sums.iter().take(TYPES_SHOWN).map(type_row).collect()
}

/// The name of the type, without its brand, which is always the same.
fn type_name(span: &SpanReport) -> &'static str {
    let name = span.type_name.unwrap_or("(no known type)");
    name.strip_suffix("<'_>").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first_page: u32, pages: u32, objects: u32) -> SpanReport {
        SpanReport {
            first_page,
            pages,
            type_name: Some("shop::Product<'_>"),
            slot_bytes: 1024,
            slots: pages * 8,
            objects,
            slots_quarantined: 0,
            is_quarantined: false,
        }
    }

    fn classes(spans: &[SpanReport]) -> Vec<String> {
        cells(spans).0.into_iter().map(|cell| cell.class).collect()
    }

    #[test]
    fn a_cell_says_how_full_its_pages_are_and_whether_something_is_withdrawn() {
        let mut spans = vec![span(0, 1, 1), span(1, 1, 8), span(3, 1, 4), span(4, 1, 8)];
        assert_eq!(classes(&spans), ["f0", "f4", "free", "f2", "f4"]);
        spans[0].is_quarantined = true;
        spans[2].slots_quarantined = 2;
        assert_eq!(classes(&spans), ["bad", "f4", "free", "bad", "f4"]);
        let title = &cells(&spans).0[3].title;
        assert_eq!(
            title,
            "page 3: shop::Product, 4 of 8 slots of 1024 bytes, 2 slots withdrawn"
        );
        let told = map_summary(&spans, 1);
        assert!(told.starts_with("4 spans, of which 1 are withdrawn; 2 single slots"));
        assert!(classes(&[]).is_empty());
    }

    #[test]
    fn a_large_heap_has_several_pages_in_a_cell() {
        let pages = 4 * CELLS_MAX as u32;
        let (cells, pages_per_cell) = cells(&[span(0, 2, 16), span(2, pages - 2, 0)]);
        assert_eq!((cells.len(), pages_per_cell), (CELLS_MAX, 4));
        assert_eq!((&*cells[0].class, &*cells[1].class), ("f2", "f0"));
    }

    #[test]
    fn types_stand_in_the_order_of_what_they_take() {
        let mut other = span(9, 1, 8);
        other.type_name = None;
        let rows = types(&[span(0, 1, 1), other, span(3, 1, 1)]);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (&*row.name, row.objects, row.spans))
            .collect();
        assert_eq!(told, [("(no known type)", 8, 1), ("shop::Product", 2, 2)]);
        assert_eq!((rows[0].percent, rows[1].percent), (100.0, 25.0));
    }
}
