//! One page to look at: a campaign, and recorded runs, drawn.
//!
//! Called by the command line. Reads the files of shards and the traces in a folder, carries the traces out
//! once more with somebody looking on, and writes one HTML file that needs nothing else: pictures are inline
//! SVG, and no address of anything outside stands in it. Whatever comes from files or from children goes
//! through the template's escaping; nothing is marked as safe.
//!
//! | module | owns |
//! |---|---|
//! | `drawing` | scales, segments, histograms, and what a state byte means |
//! | `cases` | the table of a campaign, its histograms, and the cases worth a look |
//! | `watched` | a recorded run, carried out with somebody looking on |
//! | `lanes`, `maps` | its timelines, and its spans slot by slot |
//! | `runs` | what is said of it, and its story |
//!
//! Deliberately absent: anything that is loaded, and times of day: the same folder gives the same page.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use askama::Template;

use crate::error::Error;
use crate::shards::{self, Merged};

mod cases;
mod drawing;
mod lanes;
mod maps;
mod runs;
mod watched;

/// What the report is told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folders with files of shards and traces.
    pub(crate) places: Vec<PathBuf>,
    /// Read what another build wrote all the same.
    pub(crate) is_other_build_allowed: bool,
    /// How long each trace that is too long for a story may be shrunk.
    pub(crate) shrink_for: Duration,
}

/// A number that the page begins with.
pub(crate) struct Card {
    pub(crate) label: &'static str,
    pub(crate) value: String,
    pub(crate) tone: &'static str,
}

/// Something to open.
pub(crate) struct Finding {
    /// Its anchor.
    pub(crate) id: String,
    /// What kind of thing it is, in a word, which also gives it its colour.
    pub(crate) kind: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) body: Body,
}

/// What is seen when it is open.
pub(crate) enum Body {
    Case(cases::CaseView),
    Run(Box<runs::RunView>),
}

/// The page.
#[derive(Template)]
#[template(path = "report.html")]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) verdict: String,
    pub(crate) tone: &'static str,
    pub(crate) cards: Vec<Card>,
    pub(crate) campaign: Option<cases::CampaignView>,
    /// Recorded runs, and then cases.
    pub(crate) findings: Vec<Finding>,
    pub(crate) runs: usize,
    /// Cases worth a look that the page has no room for.
    pub(crate) findings_left_out: usize,
}

/// Makes the page.
pub(crate) fn page(options: &Options, show: &mut dyn FnMut(usize, usize)) -> Result<Page, Error> {
    let (has_shards, traces) = look_round(&options.places)?;
    let merged = if has_shards.is_empty() {
        None
    } else {
        Some(shards::merge(&has_shards, options.is_other_build_allowed)?)
    };
    if merged.is_none() && traces.is_empty() {
        return Err(Error::Malformed {
            file: names(&options.places),
            problem: "there is neither a file of a shard (shard-*.jsonl) nor a trace (*.gctrace)"
                .to_string(),
        });
    }
    let mut findings = Vec::new();
    for (at, path) in traces.iter().enumerate() {
        show(at, traces.len());
        findings.push(runs::finding(at + 1, path, options)?);
    }
    let (mut left_out, runs) = (0, findings.len());
    if let Some(merged) = &merged {
        left_out = cases::add_findings(&mut findings, merged);
    }
    Ok(Page {
        title: names(&options.places),
        verdict: merged
            .as_ref()
            .map_or_else(|| format!("{runs} recorded runs."), shards::sentence),
        tone: merged.as_ref().map_or("plain", tone),
        cards: merged.as_ref().map_or_else(Vec::new, cases::cards),
        campaign: merged.as_ref().map(cases::CampaignView::of),
        findings,
        runs,
        findings_left_out: left_out,
    })
}

/// The page as text.
pub(crate) fn text(page: &Page) -> Result<String, Error> {
    page.render()
        .map_err(|error| Error::Output(std::io::Error::other(error)))
}

fn tone(merged: &Merged) -> &'static str {
    match merged.exit_code() {
        0 => "good",
        crate::error::EXIT_INTERRUPTED => "odd",
        _ => "bad",
    }
}

fn names(places: &[PathBuf]) -> String {
    let names = places.iter().map(|place| place.display().to_string());
    names.collect::<Vec<_>>().join(", ")
}

/// The places that hold files of shards, and every trace.
fn look_round(places: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
    let (mut has_shards, mut traces) = (Vec::new(), Vec::new());
    for place in places {
        let unusable = |error: std::io::Error| Error::Malformed {
            file: place.display().to_string(),
            problem: error.to_string(),
        };
        if !place.is_dir() {
            fs::metadata(place).map_err(unusable)?;
            if is_trace(place) {
                traces.push(place.clone());
            } else {
                has_shards.push(place.clone());
            }
            continue;
        }
        let entries = fs::read_dir(place).map_err(unusable)?;
        let paths = entries.map(|entry| Ok(entry?.path()));
        let mut paths: Vec<PathBuf> = paths.collect::<std::io::Result<_>>().map_err(unusable)?;
        paths.sort();
        if paths.iter().any(|path| shards::is_shard_file(path)) {
            has_shards.push(place.clone());
        }
        traces.extend(paths.into_iter().filter(|path| is_trace(path)));
    }
    Ok((has_shards, traces))
}

fn is_trace(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "gctrace")
}
