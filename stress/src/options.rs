//! What a run is told: the seed, the length, the rules, and which part of the incident to leave out.

use std::path::PathBuf;

use gc_core::{Check, Checks, Policy};

use crate::driver::DriverChoice;

/// Operations a run serves when nobody says otherwise.
pub const OPS_DEFAULT: u64 = 100_000;

/// How a reflective call copies its result back into the frame of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyBack {
    /// Through the write barrier, as Go did before the fix of issue 30041.
    Barriered,
    /// By a plain store, as the fix does.
    Plain,
}

/// Whether handlers fetch the large configuration struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Configuration {
    /// Every request gets it by value, through its outgoing area.
    ByValue,
    /// It is left out.
    LeftOut,
}

/// Everything a run depends on.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where all decisions come from.
    pub seed: u64,
    /// The most operations that are served in search of the first violation, and then the number
    /// served after it.
    pub ops: u64,
    /// What follows from a violation.
    pub policy: Policy,
    /// How hard the heap looks.
    pub checks: Checks,
    /// The bug, or its fix.
    pub copy_back: CopyBack,
    /// The source of the junk, or its absence.
    pub configuration: Configuration,
    /// Who advances the collector.
    pub driver: DriverChoice,
    /// Threads that serve, at least one; with the manual driver, one.
    pub threads: usize,
    /// Bytes of the heap's nursery; without it every cycle is full.
    pub nursery_bytes: Option<usize>,
    /// Where the heap writes violations down, so that they outlive the process.
    pub health_record: Option<PathBuf>,
}

impl Options {
    /// The incident with every default.
    pub fn new(seed: u64) -> Self {
        Options {
            seed,
            ops: OPS_DEFAULT,
            policy: Policy::MARK_UNHEALTHY,
            checks: Checks::default(),
            copy_back: CopyBack::Barriered,
            configuration: Configuration::ByValue,
            driver: DriverChoice::MANUAL,
            threads: 1,
            nursery_bytes: None,
            health_record: None,
        }
    }

    /// Whether the run follows from its options alone. With threads or another driver, when the
    /// collector comes by is up to the machine.
    pub fn is_deterministic(&self) -> bool {
        self.driver.is_manual()
    }

    /// Whether the run is a control: part of what makes the incident is missing, and no violation
    /// is expected.
    ///
    /// Where `virgin-slot` is checked, the guilty store is seen by itself, with or without junk in its slot, so
    /// leaving the struct out does not make a control there.
    pub fn is_control(&self) -> bool {
        self.copy_back == CopyBack::Plain
            || (self.configuration == Configuration::LeftOut
                && !self.checks.makes(Check::VirginSlot))
    }
}
