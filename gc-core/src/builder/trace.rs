//! What a heap tells of its cycles as they pass: the timeline of a trace, and the lines that the environment asks for.
//!
//! Set by the embedder, used once, while a heap is built. Deliberately absent: writing either.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Builder, Error};
use crate::timeline::{Timeline, Wanted};

impl Builder {
    /// Prints a line on standard error for each cycle that ends; OPERATIONS.md says what its fields are. So
    /// does the environment variable `GC_TRACE` when it is `1`, without this call. Printed where events
    /// are told, by whoever delivers. Default: no lines.
    pub fn trace_cycles(mut self) -> Self {
        self.has_cycle_lines = true;
        self
    }

    /// Writes a trace into a file, for `ui.perfetto.dev` and other viewers of Chrome's trace events: cycles,
    /// their phases, handshakes and answers, violations, the size of the heap. The file is created now,
    /// grows by some four kilobytes a cycle, and ends with the heap; a viewer takes one without its end.
    /// A write that fails ends it, with a line on standard error. Default: no file.
    ///
    /// [`Builder::build`] fails when the file cannot be created.
    pub fn trace_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.trace.file = Some(path.into());
        self
    }

    /// Keeps the last `events_max` events of such a trace in memory, some 64 bytes each, for
    /// [`Heap::write_trace`](crate::Heap::write_trace). Default: none.
    pub fn trace_events(mut self, events_max: usize) -> Self {
        self.trace.kept_max = events_max;
        self
    }
}

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
