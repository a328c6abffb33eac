//! What Softfail wants to reach, beside what it reached. A goal that is missed fails nothing.

use std::fmt::Write;

use crate::roster::OURS;
use crate::run::Results;
use crate::table::three_digits;

/// Which side of the bound is good.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(bound) => value <= bound,
            Bound::Below(bound) => value < bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Bound::AtMost(bound) => format!("<= {bound}"),
            Bound::Below(bound) => format!("< {bound}"),
            Bound::AtLeast(bound) => format!(">= {bound}"),
        }
    }
}

/// A goal: what it is about, its bound, and what was reached, if that was measured.
type Goal = (&'static str, Bound, Option<f64>);

/// One line a goal.
pub fn table(results: &Results) -> String {
    let mut text = String::from("\ngoals\n");
    let mut met = 0;
    let mut judged = 0;
    for (what, bound, reached) in goals(results) {
        let (value, verdict) = match reached {
            None => ("-".to_owned(), "not measured"),
            Some(value) => {
                judged += 1;
                met += usize::from(bound.holds(value));
                let verdict = if bound.holds(value) { "met" } else { "MISSED" };
                (three_digits(value), verdict)
            }
        };
        let _ = writeln!(
            text,
            "  {what:<58}{:<10}{value:>10}  {verdict}",
            bound.text()
        );
    }
    let _ = writeln!(text, "  {met} of {judged} goals met");
    text
}

fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = goals_of_allocation(results);
    goals.extend(goals_of_service(results));
    goals
}

/// How many times better Softfail is than a peer.
fn against(results: &Results, workload: &str, metric: &str, peer: &str) -> Option<f64> {
    results.ratio(results.find(workload, peer, metric)?)
}

/// What Softfail itself reached.
fn ours(results: &Results, workload: &str, metric: &str) -> Option<f64> {
    Some(results.find(workload, OURS, metric)?.median())
}

fn goals_of_allocation(results: &Results) -> Vec<Goal> {
    use Bound::{AtLeast, AtMost};
    let dying = |peer| {
        ["16 B", "32 B", "64 B"]
            .iter()
            .map(|metric| against(results, "dying", metric, peer))
            .collect::<Option<Vec<f64>>>()
    };
    let to_bump = dying("bump").and_then(|all| all.into_iter().map(f64::recip).reduce(f64::max));
    let to_mimalloc = dying("box-mimalloc").and_then(|all| all.into_iter().reduce(f64::min));
    let trees = |peer| against(results, "binary-trees", "time", peer);
    let churn = |peer| against(results, "churn", "object", peer);
    let peak = ours(results, "churn", "peak/live");
    vec![
        (
            "dying 16-64 B, times a bump arena, the worst",
            AtMost(2.0),
            to_bump,
        ),
        (
            "dying 16-64 B, faster than mimalloc, the worst",
            AtLeast(2.0),
            to_mimalloc,
        ),
        (
            "binary-trees, faster than mimalloc by hand",
            AtLeast(1.0),
            trees("box-mimalloc"),
        ),
        (
            "binary-trees, faster than gc-arena",
            AtLeast(5.0),
            trees("gc-arena"),
        ),
        ("binary-trees, faster than gc", AtLeast(15.0), trees("gc")),
        (
            "churn, faster than gc-arena",
            AtLeast(5.0),
            churn("gc-arena"),
        ),
        (
            "churn, faster than mimalloc by hand",
            AtLeast(1.0),
            churn("box-mimalloc"),
        ),
        ("churn, peak over live", AtMost(1.6), peak),
    ]
}

fn goals_of_service(results: &Results) -> Vec<Goal> {
    use Bound::{AtLeast, AtMost, Below};
    let served = |peer| against(results, "requests", "throughput", peer);
    let latency = |metric| ours(results, "requests", metric);
    let random = |peer| against(results, "collect-random", "object", peer);
    let small = store(results, "store, small");
    let large = store(results, "store, large");
    vec![
        (
            "requests, throughput over gc-arena",
            AtLeast(2.0),
            served("gc-arena"),
        ),
        (
            "requests, throughput over mimalloc by hand",
            AtLeast(2.0),
            served("box-mimalloc"),
        ),
        (
            "requests, throughput over malloc by hand",
            AtLeast(2.0),
            served("box-system"),
        ),
        ("requests, 99.99 %, us", AtMost(100.0), latency("p99.99")),
        ("requests, the longest, us", Below(1000.0), latency("max")),
        (
            "collect-random, faster than gc-arena",
            AtLeast(2.5),
            random("gc-arena"),
        ),
        (
            "collect-random, faster than bdwgc",
            AtLeast(4.0),
            random("bdwgc"),
        ),
        (
            "edge store, ns more than a plain one, small graph",
            AtMost(1.0),
            small,
        ),
        (
            "edge store, ns more than a plain one, large graph",
            AtMost(1.0),
            large,
        ),
        (
            "default checks, % more than lax, geometric mean",
            AtMost(3.0),
            checks(results),
        ),
    ]
}

/// Nanoseconds that an edge store costs more than a plain one, which `Box` makes.
fn store(results: &Results, metric: &str) -> Option<f64> {
    let of = |peer| Some(results.find("edge-stores", peer, metric)?.median());
    let plain = f64::min(of("box-mimalloc")?, of("box-system")?);
    Some(of(OURS)? - plain)
}

/// What the default checks cost over all times that were measured with both levels, in percent.
fn checks(results: &Results) -> Option<f64> {
    let times: Vec<f64> = results
        .figures
        .iter()
        .filter(|figure| figure.peer == "softfail-lax" && figure.workload != "requests")
        .filter(|figure| matches!(figure.unit.as_str(), "s" | "ns"))
        .filter_map(|figure| results.ratio(figure))
        .collect();
    let logarithms: f64 = times.iter().map(|ratio| -ratio.ln()).sum();
    (!times.is_empty()).then(|| ((logarithms / times.len() as f64).exp() - 1.0) * 100.0)
}
