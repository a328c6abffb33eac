//! What a heap tells of its cycles as they pass: the timeline of a trace, and the lines that the environment asks for.
//!
//! Called once, while a heap is built. Deliberately absent: writing either.

use std::io;
use std::sync::Arc;

use super::error::Error;
use crate::timeline::{Timeline, Wanted};

/// The timeline of a heap of this name, if one is wanted.
pub(super) fn timeline(name: &'static str, wanted: Wanted) -> Result<Option<Arc<Timeline>>, Error> {
    if wanted.is_nothing() {
        return Ok(None);
    }
    let path = wanted.file.clone().unwrap_or_default();
    let refused = |error: io::Error| Error::TraceFile {
        path,
        kind: error.kind(),
    };
    let timeline = Timeline::open(name, wanted).map_err(refused)?;
    Ok(Some(Arc::new(timeline)))
}

/// Whether the environment asks for a line a cycle.
pub(super) fn lines_are_wanted() -> Result<bool, Error> {
    let Some(found) = std::env::var_os("GC_TRACE") else {
        return Ok(false);
    };
    match found.to_str() {
        Some("1") => Ok(true),
        Some("0" | "") => Ok(false),
        _ => Err(Error::TraceVariable {
            found: found.to_string_lossy().into_owned(),
        }),
    }
}
