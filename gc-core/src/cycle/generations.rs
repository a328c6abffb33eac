//! What tells a young cycle from a full one: its colours, and where it begins.
//!
//! Called under the cycle's lock, once a cycle each. Everything else is the same for both.

use gc_hooks::Origin;
use gc_sweep::CycleKind;

use super::Cycle;
#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::grey::Grey;
use crate::request::Colours;
use crate::shared::Shared;

impl Cycle {
    /// Decides of which kind the cycle is: young where one may be and will do.
    pub(super) fn take_colours(&mut self, shared: &Shared, asked: CycleKind) {
        let bytes_used = shared.totals().bytes_used();
        let is_full = asked == CycleKind::Full || shared.progress.is_full_due(bytes_used);
        self.kind = if is_full || !self.palette.may_be_young() {
            CycleKind::Full
        } else {
            CycleKind::Young
        };
        self.colours = Colours {
            born_before: self.kept().born(),
            kept: self.palette.open(self.kind),
        };
        if self.kind == CycleKind::Full {
            shared.progress.note_full(self.number);
        }
    }

    /// Takes what was remembered since the last snapshot: a young cycle scans it, a full one finds what lives by itself.
    pub(super) fn take_remembered(&self, shared: &Shared) {
        let remembered = shared.remembered.take();
        #[cfg(feature = "fault-inject")]
        if shared.hooks.strikes(Site::RememberedLost) {
            return;
        }
        if self.kind == CycleKind::Young {
            for address in remembered.into_iter().flatten() {
                shared.injector.push(Grey::new(address, Origin::Remembered));
            }
        }
    }
}
