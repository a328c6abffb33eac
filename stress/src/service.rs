//! One thread's share of the service under test: its connections, parameters and sessions, with the
//! oracle beside them.
//!
//! A service of many connections, each a fiber that waits at the same depth of its own stack. A
//! request looks up some runtime parameters through reflective functions, works on its session,
//! and gets the large configuration struct by value. Few connections are busy and most are idle,
//! so between two requests of an idle one whole cycles pass: time enough for the settings of its
//! last request to die and be swept, while their addresses wait in its outgoing area to be taken
//! for old values by the next lookup.
//!
//! Made and used by one thread. Services of several threads share a heap and nothing else; the ids
//! that their oracles give out never meet.

use gc_core::Heap;

use crate::audit::Audit;
use crate::config::{self, Keeper, POINTER_WORDS};
use crate::error::Error;
use crate::options::{Configuration, Options};
use crate::pace::Pace;
use crate::params::Params;
use crate::reflect::{Running, Runtime, Slot, Value};
use crate::rng::Rng;
use crate::session::{self, Ids, Record, Session};

/// Connections, each with a fiber of its own.
pub(crate) const CONNECTIONS: usize = 100;
/// Local of a connection's lowest frame that holds its session.
pub(crate) const SESSION: Slot = Slot::Local(0);
/// Locals of a handler: what its lookups found.
const HANDLER_LOCALS: usize = 4;
/// Words of a stack: the connection's frame and its handler's.
pub(crate) const STACK_WORDS: usize = 1 + HANDLER_LOCALS + POINTER_WORDS;

/// See the module.
pub(crate) struct Service {
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
    thread: u64,
    /// Operations served.
    ops: u64,
    under_way: Audit,
}

impl Service {
    /// Sets the parameters up and opens every connection. `thread` counts from 0.
    pub(crate) fn open(heap: &Heap, options: &Options, thread: u64) -> Result<Self, Error> {
        let mut rng = Rng::of_thread(options.seed, "workload", thread);
        let mut ids = Ids::of_giver(thread);
        let mut runtime = Runtime::new(heap, CONNECTIONS, STACK_WORDS, options.copy_back);
        let params = runtime.enter(0, |running| {
            Params::new(running.scope(), &mut rng, thread << 32)
        })?;
        let mut records = Vec::new();
        for connection in 0..CONNECTIONS {
            let record = runtime.enter(connection, |running| {
                running.push_frame(1, 0)?;
                open_session(running, &mut rng, &mut ids)
            })?;
            records.push(record);
        }
        Ok(Service {
            heap: heap.clone(),
            runtime,
            params,
            records,
            keeper: Keeper::new(Rng::of_thread(options.seed, "keeper", thread)),
            pace: Pace::new(Rng::of_thread(options.seed, "pace", thread), options),
            busy: rng.within(3..=8) as usize,
            rng,
            ids,
            configuration: options.configuration,
            thread,
            ops: 0,
            under_way: Audit::default(),
        })
    }

    /// Operations served.
    pub(crate) fn ops(&self) -> u64 {
        self.ops
    }

    /// What the oracle saw while operations ran.
    pub(crate) fn under_way(&self) -> Audit {
        self.under_way
    }

    /// Serves one operation, the collector advancing before and meanwhile.
    pub(crate) fn serve(&mut self) -> Result<(), Error> {
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
            number: (self.thread << 32) + self.ops,
        };
        self.runtime
            .enter(connection, |running| request.handle(running))
    }

    /// Turns the bug on or off.
    #[cfg(feature = "serve")]
    pub(crate) fn set_copy_back(&mut self, copy_back: crate::options::CopyBack) {
        self.runtime.set_copy_back(copy_back);
    }

    /// Compares every live object that the oracle knows with what it must be.
    pub(crate) fn audit(&mut self) -> Result<Audit, Error> {
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
pub(crate) fn open_session(
    running: Running<'_, '_>,
    rng: &mut Rng,
    ids: &mut Ids,
) -> Result<Record, Error> {
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
