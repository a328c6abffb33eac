//! What the cycle asks of mutators, and how long it waits for their answers.
//!
//! Called under the cycle's lock. Nothing here waits: a stage that is not answered yet is tried again.

use std::time::{Duration, Instant};

use gc_hooks::{Check, Origin, Violation};

use super::Cycle;
use crate::handshake;
use crate::request::{Handshake, Request};
use crate::shared::Shared;

impl Cycle {
    pub(super) fn ask(&mut self, shared: &Shared, handshake: Handshake) {
        let now = Instant::now();
        self.patience.begin(now);
        self.tally.ask(now);
        self.is_stall_reported = false;
        let request = Request::new(self.number, handshake, self.colours);
        shared.world.ask(request);
    }

    /// Whether everyone has answered what was asked last.
    pub(super) fn is_answered(&mut self, shared: &Shared) -> bool {
        let all = handshake::round(shared);
        if !all
            && !self.is_stall_reported
            && let Some(waited) = self.patience.look(Instant::now())
        {
            self.report_stall(shared, waited);
        }
        if all {
            self.tally
                .answered(shared, shared.world.request().handshake());
        }
        all
    }

    /// Names the mutator that keeps the collector waiting. The damage is contained by waiting: nothing
    /// is freed meanwhile, and what the others allocate is bounded by the limit.
    fn report_stall(&mut self, shared: &Shared, waited: Duration) {
        let asked = shared.world.request();
        let stalled = shared
            .world
            .records()
            .into_iter()
            .find(|record| !record.answered().covers(asked) && record.is_in());
        let Some(record) = stalled else {
            return;
        };
        self.is_stall_reported = true;
        let waited_ms = waited.as_millis();
        shared.hooks.report(
            Violation::new(Check::SafepointStalled)
                .with_cycle(self.number)
                .with_phase(shared.world.phase())
                .with_origin(Origin::Unknown)
                .with_call_site(record.call_site())
                .with_number("waited ms", u64::try_from(waited_ms).unwrap_or(u64::MAX))
                .with_number("handshake", asked.handshake() as u64),
        );
    }
}
