//! The page about the heap, for people: health, violations, phases, pauses, and a map of what is where.
//!
//! Made by handlers from public snapshots of the heap, which stop nobody. One file without scripts and
//! without anything from elsewhere, so that it can be saved and sent along. Invariant: what is shown is
//! escaped by the template. Deliberately absent: judgement; thresholds are the alerts' business.

use askama::Template;
use gc_core::{Check, HeapStats, PauseHistogram, Phase, Reclaiming, SpanReport, Violation};

use super::shared::Shared;

/// Cells of the map. A heap with more pages puts several into one.
const CELLS_MAX: usize = 2048;
/// Recent violations that are shown.
const RECENT_SHOWN: usize = 12;
/// Types that are shown by name.
const TYPES_SHOWN: usize = 16;

/// What the template is filled with.
#[derive(Template)]
#[template(path = "debug_gc.html")]
struct Page {
    instance: String,
    process: u32,
    is_healthy: bool,
    is_in_rotation: bool,
    headline: String,
    facts: Vec<(&'static str, String)>,
    counts: Vec<(&'static str, String, u64)>,
    first: Option<String>,
    recent: Vec<Row>,
    phases: Vec<PhaseRow>,
    pauses: Vec<Bar>,
    pause_summary: String,
    cells: Vec<Cell>,
    columns: usize,
    map_summary: String,
    types: Vec<TypeRow>,
}

/// A recent violation.
struct Row {
    sequence: u64,
    cycle: u32,
    message: String,
    severity: String,
    address: String,
    call_site: String,
}

/// How long a phase of a cycle takes.
struct PhaseRow {
    name: String,
    cycles: u64,
    mean: String,
    most: String,
    longest: String,
    percent: f64,
}

/// A bar of a histogram.
struct Bar {
    label: String,
    count: u64,
    percent: f64,
}

/// A cell of the map.
struct Cell {
    /// `free`, `f0` to `f4` by how full, or `bad`.
    class: String,
    title: String,
}

/// What a type takes of the heap.
struct TypeRow {
    name: String,
    objects: u64,
    bytes_live: String,
    spans: usize,
    percent: f64,
}

/// Renders the page.
pub(super) fn render(shared: &Shared) -> askama::Result<String> {
    let (stats, spans) = (shared.heap.stats(), shared.heap.spans());
    page(shared, &stats, &spans).render()
}

fn page(shared: &Shared, stats: &HeapStats, spans: &[SpanReport]) -> Page {
    let health = &shared.health;
    let counted = |check: &Check| {
        let count = health.count(*check);
        (count > 0).then(|| (check.id(), check.message().to_string(), count))
    };
    let (cells, pages) = cells(spans);
    Page {
        instance: shared.options.instance.clone(),
        process: std::process::id(),
        is_healthy: stats.is_healthy,
        is_in_rotation: shared.is_in_rotation(),
        headline: headline(shared),
        facts: facts(shared, stats),
        counts: Check::ALL.iter().filter_map(counted).collect(),
        first: health.first().map(|first| first.to_string()),
        recent: health
            .recent()
            .iter()
            .rev()
            .take(RECENT_SHOWN)
            .map(row)
            .collect(),
        phases: phases(stats),
        pauses: bars(&stats.pauses),
        pause_summary: pause_summary(&stats.pauses),
        columns: 64,
        cells,
        map_summary: map_summary(spans, pages),
        types: types(spans),
    }
}

fn headline(shared: &Shared) -> String {
    let health = &shared.health;
    if health.is_healthy() {
        return match health.total() {
            0 => "Nothing was found wrong.".to_string(),
            1 => "One violation, which the policy counts and no more.".to_string(),
            total => format!("{total} violations, which the policy counts and no more."),
        };
    }
    let since = health.unhealthy_since();
    let ago = since.map_or(0, |since| since.elapsed().as_secs());
    format!("{}, {ago} s ago", shared.why_unhealthy())
}

fn facts(shared: &Shared, stats: &HeapStats) -> Vec<(&'static str, String)> {
    let reclaiming = match stats.reclaiming {
        Reclaiming::On => "yes",
        Reclaiming::Stopped => "no: too many cycles in a row were voided",
    };
    let quarantined = format!(
        "{} in {} spans and {} single slots",
        bytes(stats.bytes_quarantined),
        stats.spans_quarantined,
        stats.slots_quarantined
    );
    let (rotation, options) = (&shared.rotation, &shared.options);
    vec![
        ("Live", bytes(stats.bytes_live)),
        ("Goal of the next cycle", bytes(stats.bytes_goal)),
        ("In spans", bytes(stats.bytes_in_spans)),
        ("Committed", bytes(stats.bytes_committed)),
        ("Quarantined", quarantined),
        ("Allocated so far", bytes(stats.bytes_allocated_total)),
        ("Freed so far", bytes(stats.bytes_freed_total)),
        ("Phase", format!("{}, cycle {}", stats.phase, stats.cycle)),
        ("Cycles finished", stats.cycles_finished.to_string()),
        ("Cycles voided", stats.cycles_voided.to_string()),
        ("Memory is reclaimed", reclaiming.to_string()),
        ("Mutators", stats.mutators.to_string()),
        ("Roots", stats.roots.to_string()),
        ("Requests", rotation.requests().to_string()),
        ("In flight", rotation.in_flight().to_string()),
        ("Policy", options.policy.to_string()),
        ("Checks", options.checks.to_string()),
    ]
}

fn row(violation: &Violation) -> Row {
    let site = violation.call_site;
    Row {
        sequence: violation.sequence,
        cycle: violation.cycle,
        message: violation.first_line().to_string(),
        severity: violation.severity().to_string(),
        address: violation
            .address
            .map_or(String::new(), |address| address.to_string()),
        call_site: site.map_or(String::new(), ToString::to_string),
    }
}

/// The phases in the order of a cycle, with the mean of each as a bar.
fn phases(stats: &HeapStats) -> Vec<PhaseRow> {
    let of = |phase: &Phase| stats.phases.get(*phase as usize);
    let means = Phase::ALL
        .iter()
        .filter_map(of)
        .map(PauseHistogram::mean_ns);
    let longest_mean = means.max().unwrap_or(1);
    let row = |phase: &Phase| {
        let spent = of(phase).filter(|_| *phase != Phase::Idle)?;
        Some(PhaseRow {
            name: phase.to_string(),
            cycles: spent.count(),
            mean: time(spent.mean_ns()),
            most: time(spent.quantile_ns(0.99)),
            longest: time(spent.max_ns()),
            percent: percent(spent.mean_ns(), longest_mean),
        })
    };
    Phase::ALL.iter().filter_map(row).collect()
}

/// The pauses, a bar for each doubling that has any between the shortest and the longest.
fn bars(pauses: &PauseHistogram) -> Vec<Bar> {
    let mut doublings = [0; 64];
    for (upper_ns, count) in pauses.buckets() {
        doublings[(64 - upper_ns.leading_zeros()).min(63) as usize] += count;
    }
    let filled = |count: &u64| *count > 0;
    let (Some(from), Some(to)) = (
        doublings.iter().position(filled),
        doublings.iter().rposition(filled),
    ) else {
        return Vec::new();
    };
    let most = doublings.iter().copied().max().unwrap_or(1);
    let bar = |doubling: usize| Bar {
        label: format!("< {}", time(1 << doubling)),
        count: doublings[doubling],
        percent: percent(doublings[doubling], most),
    };
    (from..=to).map(bar).collect()
}

fn pause_summary(pauses: &PauseHistogram) -> String {
    let quantile = |q| time(pauses.quantile_ns(q));
    format!(
        "{} pauses; half of them below {}, 99 % below {}, 99.9 % below {}; the longest {}",
        pauses.count(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        time(pauses.max_ns())
    )
}

/// The map, and how many pages stand in a cell.
fn cells(spans: &[SpanReport]) -> (Vec<Cell>, usize) {
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
            let name = span.type_name.unwrap_or("of no known type");
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

fn map_summary(spans: &[SpanReport], pages: usize) -> String {
    let withdrawn = spans.iter().filter(|span| span.is_quarantined).count();
    let slots: u64 = spans
        .iter()
        .map(|span| u64::from(span.slots_quarantined))
        .sum();
    format!(
        "{} spans, of which {withdrawn} are withdrawn; {slots} single slots are withdrawn in the others. \
         A cell is {}.",
        spans.len(),
        bytes(pages as u64 * 8192)
    )
}

/// The types that take most, by the bytes of their live slots.
fn types(spans: &[SpanReport]) -> Vec<TypeRow> {
    let mut sums: Vec<(&str, u64, u64, usize)> = Vec::new();
    for span in spans {
        let name = span.type_name.unwrap_or("(no known type)");
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

/// The width of a bar. A count that is there is seen.
fn percent(count: u64, most: u64) -> f64 {
    match count {
        0 => 0.0,
        count => (count as f64 * 100.0 / most.max(1) as f64).max(0.5),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}
