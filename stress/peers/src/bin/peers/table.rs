//! The results as a table of ratios and as JSON lines.

use std::fmt::Write;

use serde_json::json;

use crate::roster::OURS;
use crate::run::{Measured, Plan, Results};

/// Softfail's own median, then for each other peer how many times better Softfail is.
pub fn ratios(plan: &Plan, results: &Results) -> String {
    let peers: Vec<_> = plan
        .roster
        .iter()
        .map(|peer| peer.name)
        .filter(|peer| *peer != OURS && results.figures.iter().any(|figure| figure.peer == *peer))
        .collect();
    let mut text = format!(
        "\nMedians of {} interleaved runs, or of the one run of a child that is slow.\n\
         How many times better Softfail is: above 1 Softfail leads, whichever way the figure counts.\n\n",
        plan.runs,
    );
    let _ = write!(text, "{:<20}{:<14}{:>16}", "workload", "figure", OURS);
    for peer in &peers {
        let _ = write!(text, "{peer:>13}");
    }
    text.push('\n');
    let mut above = "";
    for ours in results.figures.iter().filter(|figure| figure.peer == OURS) {
        let workload = if above == ours.workload {
            ""
        } else {
            ours.workload
        };
        above = ours.workload;
        let _ = write!(
            text,
            "{workload:<20}{:<14}{:>16}",
            ours.metric,
            format!("{} {}", three_digits(ours.median()), ours.unit)
        );
        for peer in &peers {
            let ratio = results
                .find(ours.workload, peer, &ours.metric)
                .and_then(|figure| results.ratio(figure))
                .map_or("-".to_owned(), three_digits);
            let _ = write!(text, "{ratio:>13}");
        }
        text.push('\n');
    }
    text
}

/// Who is missing where, and why.
pub fn left_out(results: &Results) -> String {
    let mut text = String::from("left out\n");
    let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for (workload, peer, reason) in &results.left_out {
        let known = reasons
            .iter_mut()
            .find(|(by, why, _)| by == peer && why == reason);
        match known {
            Some((_, _, workloads)) => workloads.push(workload),
            None => reasons.push((peer, reason, vec![workload])),
        }
    }
    for (peer, reason, workloads) in reasons {
        let _ = writeln!(text, "  {peer:<14}{reason} ({})", workloads.join(", "));
    }
    text
}

/// One line a figure.
pub fn json_lines(results: &Results) -> String {
    let line = |figure: &Measured| {
        json!({
            "workload": figure.workload,
            "peer": figure.peer,
            "metric": figure.metric,
            "unit": figure.unit,
            "median": figure.median(),
            "runs": figure.values.len(),
            "softfail_ratio": results.ratio(figure),
        })
    };
    results
        .figures
        .iter()
        .map(|figure| format!("{}\n", line(figure)))
        .collect()
}

/// A number to three digits, without an exponent.
pub fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        magnitude if magnitude >= 100.0 => 0,
        magnitude if magnitude >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}
