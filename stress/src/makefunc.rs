//! Scenario `makefunc`: Go bug 30041.
//!
//! A service of many connections, each a fiber that waits at the same depth of its own stack. A
//! request looks up some runtime parameters through reflective functions, works on its session,
//! and gets the large configuration struct by value. Few connections are busy and most are idle,
//! so between two requests of an idle one whole cycles pass: time enough for the settings of its
//! last request to die and be swept, while their addresses wait in its outgoing area to be taken
//! for old values by the next lookup.
//!
//! Runs on one thread, the heap driven by hand. The result follows from the options alone, elapsed
//! times aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gc_core::{Check, Driver, Heap};

use crate::audit::Audit;
use crate::config::{self, Keeper, POINTER_WORDS};
use crate::error::Error;
use crate::options::{Configuration, Options};
use crate::outcome::{First, Outcome};
use crate::pace::Pace;
use crate::params::Params;
use crate::reflect::{Running, Runtime, Slot, Value};
use crate::rng::Rng;
use crate::session::{self, Ids, Record, Session};

/// Connections, each with a fiber of its own.
pub const CONNECTIONS: usize = 100;
/// Local of a connection's lowest frame that holds its session.
const SESSION: Slot = Slot::Local(0);
/// Locals of a handler: what its lookups found.
const HANDLER_LOCALS: usize = 4;
/// Words of a stack: the connection's frame and its handler's.
const STACK_WORDS: usize = 1 + HANDLER_LOCALS + POINTER_WORDS;
/// Address space of the heap: some hundred times what the workload keeps alive.
const RESERVE_BYTES: usize = 4 << 30;
/// Operations between two calls of the progress function.
const OPS_PER_PROGRESS: u64 = 1_024;

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// No violation yet after so many operations.
    Searching(u64),
    /// So many operations served since the first violation.
    ServingOn(u64),
}

/// Runs the scenario.
///
/// # Errors
///
/// The machine refuses memory, or the scenario contradicts itself.
pub fn run(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, Error> {
    let begun = Instant::now();
    let elapsed_ms = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let hook_deliveries = Arc::new(AtomicU64::new(0));
    let mut service = Service::open(options, &hook_deliveries)?;
    let health = service.heap.health();
    let first = |op: u64| {
        health.first().map(|violation| First {
            violation,
            at_op: op,
            elapsed_ms: elapsed_ms(),
        })
    };

    let mut found = first(0);
    while found.is_none() && service.ops < options.ops {
        service.serve()?;
        found = first(service.ops);
        if service.ops.is_multiple_of(OPS_PER_PROGRESS) {
            progress(Progress::Searching(service.ops));
        }
    }
    let ops_before = service.ops;
    if found.is_some() {
        for op in 1..=options.ops {
            service.serve()?;
            if op.is_multiple_of(OPS_PER_PROGRESS) {
                progress(Progress::ServingOn(op));
            }
        }
    }
    service.heap.collect()?;
    let verification = service.heap.verify()?;
    let at_rest = service.audit()?;
    let stats = service.heap.stats();
    let is_ledger_balanced = service.heap.ledger()?.is_balanced();
    service.heap.deliver();
    Ok(Outcome {
        options: options.clone(),
        // What only shows when everything comes to rest is found by the last operation.
        first: found.or_else(|| first(service.ops)),
        violations: Check::ALL
            .iter()
            .map(|check| (*check, health.count(*check)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        hook_deliveries: hook_deliveries.load(Ordering::Relaxed),
        is_healthy: health.is_healthy(),
        ops: service.ops,
        ops_after_first: service.ops - ops_before,
        cycles: stats.cycle,
        at_rest,
        under_way: service.under_way,
        verification,
        is_ledger_balanced,
        quarantined_bytes: stats.bytes_quarantined,
        quarantined_spans: stats.spans_quarantined,
        elapsed_ms: elapsed_ms(),
    })
}

/// The service under test, with the oracle beside it.
struct Service {
    heap: Heap,
    runtime: Runtime,
    params: Params,
    /// What the oracle knows of each connection's session.
    records: Vec<Record>,
    keeper: Keeper,
    pace: Pace,
    rng: Rng,
    ids: Ids,
    configuration: Configuration,
    /// The first so many connections are the busy ones.
    busy: usize,
    /// Operations served.
    ops: u64,
    under_way: Audit,
}

impl Service {
    /// Builds the heap, sets the parameters up and opens every connection.
    fn open(options: &Options, hook_deliveries: &Arc<AtomicU64>) -> Result<Self, Error> {
        let deliveries = Arc::clone(hook_deliveries);
        let policy = options.policy.clone().with_hook(move |_| {
            deliveries.fetch_add(1, Ordering::Relaxed);
        });
        let heap = Heap::builder()
            .name("makefunc")
            .driver(Driver::Manual)
            .policy(policy)
            .checks(options.checks)
            .reserve_bytes(RESERVE_BYTES)
            .build()?;
        let seed = options.seed;
        let mut rng = Rng::for_purpose(seed, "workload");
        let mut runtime = Runtime::new(&heap, CONNECTIONS, STACK_WORDS, options.copy_back);
        let params = runtime.enter(0, |running| Params::new(running.scope(), &mut rng))?;
        let mut ids = Ids::default();
        let mut records = Vec::new();
        for connection in 0..CONNECTIONS {
            let record = runtime.enter(connection, |running| {
                running.push_frame(1, 0)?;
                open_session(running, &mut rng, &mut ids)
            })?;
            records.push(record);
        }
        Ok(Service {
            heap,
            runtime,
            params,
            records,
            keeper: Keeper::new(Rng::for_purpose(seed, "keeper")),
            pace: Pace::new(Rng::for_purpose(seed, "pace")),
            busy: rng.within(3..=8) as usize,
            rng,
            ids,
            configuration: options.configuration,
            ops: 0,
            under_way: Audit::default(),
        })
    }

    /// Serves one operation, the collector advancing before and meanwhile.
    fn serve(&mut self) -> Result<(), Error> {
        self.ops += 1;
        self.pace.between(&self.heap)?;
        let connection = if self.rng.one_in(6) {
            self.busy + self.rng.index(CONNECTIONS - self.busy)
        } else {
            self.rng.index(self.busy)
        };
        match self.rng.below(64) {
            0 => self.reconnect(connection),
            1 => self.reconfigure(connection),
            _ => self.request(connection),
        }
    }

    /// The connection ends and another takes its place, on the same stack.
    fn reconnect(&mut self, connection: usize) -> Result<(), Error> {
        let (rng, ids) = (&mut self.rng, &mut self.ids);
        let record = self
            .runtime
            .enter(connection, |running| open_session(running, rng, ids))?;
        self.records[connection] = record;
        Ok(())
    }

    /// An operator changes a parameter.
    fn reconfigure(&mut self, connection: usize) -> Result<(), Error> {
        let (params, rng) = (&self.params, &mut self.rng);
        self.runtime
            .enter(connection, |running| params.change(running.scope(), rng))
    }

    /// The connection handles a request.
    fn request(&mut self, connection: usize) -> Result<(), Error> {
        self.keeper.begin_request();
        let request = Request {
            heap: &self.heap,
            params: &self.params,
            keeper: &mut self.keeper,
            pace: &mut self.pace,
            rng: &mut self.rng,
            ids: &mut self.ids,
            configuration: self.configuration,
            record: &mut self.records[connection],
            audit: &mut self.under_way,
            number: self.ops,
        };
        self.runtime
            .enter(connection, |running| request.handle(running))
    }

    /// Compares every live object that the oracle knows with what it must be.
    fn audit(&mut self) -> Result<Audit, Error> {
        let (params, keeper) = (&self.params, &self.keeper);
        let mut audit = self.runtime.enter(0, |running| {
            let mut audit = params.audit(running.scope())?;
            audit += keeper.audit(running.scope())?;
            Ok(audit)
        })?;
        for (connection, record) in self.records.iter().enumerate() {
            audit += self.runtime.enter(connection, |running| {
                let session = running.load(SESSION)?;
                let session = session.downcast::<Session<'static>>(running.scope())?;
                Ok(session::audit(session, record))
            })?;
        }
        Ok(audit)
    }
}

/// Opens a session in the connection's frame, in place of any that was there.
fn open_session(running: Running<'_, '_>, rng: &mut Rng, ids: &mut Ids) -> Result<Record, Error> {
    let (session, record) = session::open(running.scope(), rng, ids)?;
    running.store(SESSION, Value::of(session))?;
    Ok(record)
}

/// One request, and what its handler works with.
struct Request<'a> {
    heap: &'a Heap,
    params: &'a Params,
    keeper: &'a mut Keeper,
    pace: &'a mut Pace,
    rng: &'a mut Rng,
    ids: &'a mut Ids,
    configuration: Configuration,
    record: &'a mut Record,
    audit: &'a mut Audit,
    /// The operation, of which the ids of the settings are made.
    number: u64,
}

impl Request<'_> {
    fn handle(mut self, running: Running<'_, '_>) -> Result<(), Error> {
        let scope = running.scope();
        let session = running.load(SESSION)?.downcast::<Session<'static>>(scope)?;
        running.push_frame(HANDLER_LOCALS, POINTER_WORDS)?;
        self.look_up(running)?;
        session::change(scope, session, self.record, self.rng, self.ids)?;
        *self.audit += session::audit(session, self.record);
        self.pace.inside(self.heap)?;
        if self.configuration == Configuration::ByValue {
            let first_id = self.number * POINTER_WORDS as u64;
            config::fetch(running, first_id, self.keeper, self.audit)?;
        }
        running.pop_frame()
    }

    /// Looks some parameters up, and keeps what is found in locals.
    fn look_up(&mut self, running: Running<'_, '_>) -> Result<(), Error> {
        for local in 0..self.rng.within(1..=HANDLER_LOCALS as u64) {
            self.pace.inside(self.heap)?;
            let found = self.params.look_up(running, self.rng, self.audit)?;
            running.store(Slot::Local(local as usize), Value::of(found))?;
        }
        Ok(())
    }
}
