//! Mutators that sit outside `enter` while others work: connections that wait for their next
//! request, each with a value stack that holds a live session.
//!
//! The collector answers for them, and their stacks are roots all the while. Half of them rest in
//! [`gc_core::Mutator::parked`] from the beginning to the end; the others doze, and are woken now
//! and then to look at their session and change it. All of one thread belong to that thread. With the
//! manual driver there are none: they would have no say in when the collector works.

use gc_core::Heap;

use crate::audit::Audit;
use crate::error::Error;
use crate::options::Options;
use crate::reflect::Runtime;
use crate::rng::Rng;
use crate::service::{SESSION, STACK_WORDS, open_session};
use crate::session::{self, Ids, Record, Session};

/// Mutators of each sort beside a thread that serves.
const OF_EACH_SORT: usize = 8;
/// One operation in so many wakes one of those that doze.
const OPS_PER_WAKING: u64 = 16;
/// Added to a thread's number, so that the ids given out here are not those of a service.
const GIVER: u64 = 1 << 16;

/// A mutator of its own with one fiber, and what the oracle knows of its session.
struct Connection {
    runtime: Runtime,
    record: Record,
}

/// The mutators that rest beside one thread.
pub(crate) struct Resting(Vec<Connection>);

/// The mutators that doze beside one thread.
pub(crate) struct Dozing {
    connections: Vec<Connection>,
    rng: Rng,
    ids: Ids,
    under_way: Audit,
}

/// Opens the parked connections beside the thread of that number.
pub(crate) fn open(
    heap: &Heap,
    options: &Options,
    thread: u64,
) -> Result<(Resting, Dozing), Error> {
    let mut rng = Rng::of_thread(options.seed, "parked", thread);
    let mut ids = Ids::of_giver(GIVER + thread);
    let mut open = || {
        let mut runtime = Runtime::new(heap, 1, STACK_WORDS, options.copy_back);
        let record = runtime.enter(0, |running| {
            running.push_frame(1, 0)?;
            open_session(running, &mut rng, &mut ids)
        })?;
        Ok::<_, Error>(Connection { runtime, record })
    };
    let of_each_sort = if options.driver.is_manual() {
        0
    } else {
        OF_EACH_SORT
    };
    let mut open_all = || (0..of_each_sort).map(|_| open()).collect::<Result<_, _>>();
    let (resting, connections) = (open_all()?, open_all()?);
    let dozing = Dozing {
        connections,
        rng,
        ids,
        under_way: Audit::default(),
    };
    Ok((Resting(resting), dozing))
}

impl Resting {
    /// Runs `body` while all of them are parked.
    pub(crate) fn while_parked<R>(&mut self, body: impl FnOnce() -> R) -> Option<R> {
        let (mut body, mut result) = (Some(body), None);
        park(&mut self.0, &mut || result = body.take().map(|body| body()));
        result
    }

    /// Compares every session with what the oracle remembers.
    pub(crate) fn audit(&mut self) -> Result<Audit, Error> {
        audit(&mut self.0)
    }
}

/// Parks one after the other, and runs `body` when all are.
fn park(connections: &mut [Connection], body: &mut dyn FnMut()) {
    match connections.split_first_mut() {
        None => body(),
        Some((first, rest)) => first.runtime.parked(|| park(rest, body)),
    }
}

impl Dozing {
    /// Wakes one of them now and then: it looks at its session, changes it, and dozes on.
    pub(crate) fn wake_now_and_then(&mut self) -> Result<(), Error> {
        if self.connections.is_empty() || !self.rng.one_in(OPS_PER_WAKING) {
            return Ok(());
        }
        let at = self.rng.index(self.connections.len());
        let (rng, ids) = (&mut self.rng, &mut self.ids);
        let Connection { runtime, record } = &mut self.connections[at];
        self.under_way += runtime.enter(0, |running| {
            let scope = running.scope();
            let session = running.load(SESSION)?.downcast::<Session<'static>>(scope)?;
            session::change(scope, session, record, rng, ids)?;
            Ok(session::audit(session, record))
        })?;
        Ok(())
    }

    /// What the oracle saw so far.
    pub(crate) fn under_way(&self) -> Audit {
        self.under_way
    }

    /// Compares every session with what the oracle remembers.
    pub(crate) fn audit(&mut self) -> Result<Audit, Error> {
        audit(&mut self.connections)
    }
}

fn audit(connections: &mut [Connection]) -> Result<Audit, Error> {
    let mut sum = Audit::default();
    for Connection { runtime, record } in connections {
        sum += runtime.enter(0, |running| {
            let session = running.load(SESSION)?;
            let session = session.downcast::<Session<'static>>(running.scope())?;
            Ok(session::audit(session, record))
        })?;
    }
    Ok(sum)
}
