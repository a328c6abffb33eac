//! The page about the heap, for people: health, violations, phases, pauses, and a map of what is where.
//!
//! Made by handlers from public snapshots of the heap, which stop nobody. One file without scripts and
//! without anything from elsewhere, so that it can be saved and sent along. Invariant: what is shown is
//! escaped by the template. Deliberately absent: judgement; thresholds are the alerts' business.

use askama::Template;
use gc_core::{Check, HeapStats, PauseHistogram, Phase, Reclaiming, SpanReport, Violation};

use self::map::{Cell, TypeRow, cells, map_summary, types};
use self::units::{bytes, percent, time};
use super::shared::Shared;

mod map;
mod units;

/// Recent violations that are shown.
const RECENT_SHOWN: usize = 12;

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
        ("Of these, young", stats.cycles_young.to_string()),
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
