//! What a service is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use gc_core::{Checks, Policy};

use crate::driver::DriverChoice;
use crate::options::{CopyBack, Options};

/// Everything a service depends on.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where HTTP is served, as `127.0.0.1:8080`; port 0 lets the system choose.
    pub listen: String,
    /// Where balancers ask the agent.
    pub agent: Option<String>,
    /// Where the agent remembers whom it told to drain.
    pub agent_state: Option<PathBuf>,
    /// Name of the instance, in answers, in what it tells and in the lease.
    pub instance: String,
    /// Worker threads, each with mutators of its own.
    pub threads: usize,
    /// Who advances the collector.
    pub driver: DriverChoice,
    /// What follows from a violation.
    pub policy: Policy,
    /// How hard the heap looks.
    pub checks: Checks,
    /// Where the heap writes violations down.
    pub health_record: Option<PathBuf>,
    /// Where the decisions of the workload come from.
    pub seed: u64,
    /// When the bug comes.
    pub bug: Bug,
    /// Operations of the service in a request.
    pub operations: u32,
    /// `/readyz` answers 404 instead of 503.
    pub is_404: bool,
    /// How long nothing must come in before an instance that left stops accepting.
    pub quiet: Duration,
    /// How long after it left an instance is gone, whatever is still in flight.
    pub drain_deadline: Duration,
    /// Of an unhealthy instance: most time, drawn at random, before it leaves.
    pub fleet_delay: Duration,
    /// Of an unhealthy instance: the lease that it needs to leave.
    pub lease: Option<PathBuf>,
    /// How long an instance may take to come back, after the drain deadline, before others may leave.
    pub return_max: Duration,
    /// SIGTERM and SIGINT end the service. In a process that is more than the service they are its own.
    pub is_signalled: bool,
}

/// When results begin to be copied back through the write barrier.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bug {
    /// From the beginning.
    pub is_on: bool,
    /// After so long.
    pub after: Option<Duration>,
    /// When this path is asked for.
    pub on_request: Option<String>,
}

impl ServeOptions {
    /// A healthy service at this address, with every default.
    pub fn new(listen: &str) -> Self {
        ServeOptions {
            listen: listen.to_string(),
            agent: None,
            agent_state: None,
            instance: "gc-stress".to_string(),
            threads: 2,
            driver: DriverChoice::BACKGROUND,
            policy: Policy::MARK_UNHEALTHY,
            checks: Checks::default(),
            health_record: None,
            seed: 1,
            bug: Bug::default(),
            operations: 8,
            is_404: false,
            quiet: Duration::from_secs(1),
            drain_deadline: Duration::from_secs(30),
            fleet_delay: Duration::ZERO,
            lease: None,
            return_max: Duration::from_secs(30),
            is_signalled: false,
        }
    }

    /// Whether an unhealthy instance may have to stay.
    pub(super) fn has_guard(&self) -> bool {
        self.lease.is_some() || !self.fleet_delay.is_zero()
    }

    /// The incident as the workers are to re-enact it.
    pub(super) fn workload(&self) -> Options {
        Options {
            policy: self.policy.clone(),
            checks: self.checks,
            copy_back: if self.bug.is_on {
                CopyBack::Barriered
            } else {
                CopyBack::Plain
            },
            driver: self.driver,
            threads: self.threads,
            health_record: self.health_record.clone(),
            ..Options::new(self.seed)
        }
    }
}
