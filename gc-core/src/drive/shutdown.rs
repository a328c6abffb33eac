//! The end of background collection.
//!
//! Called by a handle, once, with empty hands.

use std::time::Instant;

use gc_sweep::CycleKind;

use super::{COLLECT_UNITS, Drive};
use crate::courier::Courier;
use crate::engine::CollectError;
use crate::progress::CycleReport;

/// Why a heap could not be shut down. It goes on as before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Mutators stayed inside `enter` until the deadline.
    #[error("{mutators_inside} mutators were still inside `enter` at the deadline")]
    Deadline {
        /// How many.
        mutators_inside: usize,
    },
    /// The last collection was refused.
    #[error(transparent)]
    Refused(#[from] CollectError),
}

impl Drive {
    /// Ends background collection after one last cycle.
    pub(crate) fn shutdown(&self, deadline: Instant) -> Result<CycleReport, ShutdownError> {
        self.refuse_use()?;
        let Some(report) = self.run_cycle(CycleKind::Full, Some(deadline), COLLECT_UNITS)? else {
            let mutators_inside = self.shared.world.mutators_inside();
            return Err(ShutdownError::Deadline { mutators_inside });
        };
        self.stop_threads();
        self.deliver();
        Ok(report)
    }

    /// Ends the heap's own threads, those that may find something before the one that tells of it.
    pub(super) fn stop_threads(&self) {
        self.crew.stop(&self.engine.shared.signal);
        self.courier.iter().for_each(Courier::stop);
    }
}
