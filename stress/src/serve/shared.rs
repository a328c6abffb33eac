//! What the tasks of one service share. Made once, then read by all; what changes is inside its parts.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use gc_core::{Health, Heap};

use super::options::ServeOptions;
use super::rotation::Rotation;
use super::telling;
use super::workers::Workers;

pub(super) struct Shared {
    pub(super) options: ServeOptions,
    pub(super) heap: Heap,
    pub(super) health: Health,
    pub(super) workers: Workers,
    pub(super) rotation: Rotation,
    pub(super) out: Mutex<Box<dyn Write + Send>>,
}

impl Shared {
    /// Whether balancers should send requests here. Without a fleet guard an instance leaves in the very
    /// moment in which its health turns.
    pub(super) fn is_in_rotation(&self) -> bool {
        self.rotation.is_in() && (self.options.has_guard() || self.health.is_healthy())
    }

    /// The first violation, in a line.
    pub(super) fn why_unhealthy(&self) -> String {
        match self.health.first() {
            Some(first) => first.first_line().to_string(),
            None => "marked unhealthy by hand".to_string(),
        }
    }

    pub(super) fn tell(&self, event: &str, words: &[(&str, &str)]) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        telling::tell(&mut **out, &self.options.instance, event, words);
    }
}
