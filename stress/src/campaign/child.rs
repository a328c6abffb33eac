//! What a child does: it draws the program of its case, does it to a heap of its own, breaks the heap on
//! the way, and tells everything it sees on its standard output.
//!
//! One thread, one heap, one case; the process may die of any of it. From the fault on every operation is
//! announced, so that the judge knows how far a child came that died. Deliberately absent: judgement, and
//! the oracle. The child has a shadow only to find its way by.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gc_core::{Check, Heap, Policy};

use self::objects::Log;
use self::stage::{Answer, Stage};
use self::strike::Planted;
use super::case::{Case, Kind, Rules};
use super::lab;
use super::program::{Op, Planner};
use super::wire::{End, Line, Refusal};
use crate::error::Error;
use crate::json;
use crate::outcome::First;
use crate::rng::Rng;

mod objects;
mod stage;
mod strike;

/// Address space of a child: small, so that it starts fast.
const RESERVE_BYTES: usize = 64 << 20;
/// The nursery of a case whose fault is one of young cycles. Programs allocate less, and ask for their cycles.
const NURSERY_BYTES: usize = 64 << 10;
/// How long a heap waits for a mutator: a machine that is busy is no fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case on this thread and writes its lines.
pub(crate) fn run(case: &Case, blind: Option<Check>, out: &mut dyn Write) -> Result<(), Error> {
    let delivered = Arc::new(AtomicU64::new(0));
    let heap = build(case, &delivered)?;
    if let Some(check) = blind {
        heap.fault().set_blind(check, true);
    }
    let stage = Stage::new(heap)?;
    let mut teller = Teller {
        log: Arc::clone(&stage.log),
        out,
        stage,
        told: 0,
        delivered: (case.rules == Rules::Hook).then_some(delivered),
        planted: Vec::new(),
    };
    let mut planner = Planner::new(case.seed);
    for at in 0..case.ops {
        if at == case.strike_at {
            teller.strike(case, at, &planner)?;
        }
        let op = planner.draw();
        if at >= case.strike_at {
            teller.line(&Line::At { op: at })?;
        }
        if teller.perform(at, &op)? {
            planner.done(&op);
        }
        teller.look(at)?;
    }
    teller.finish(case.ops)
}

fn build(case: &Case, delivered: &Arc<AtomicU64>) -> Result<Heap, Error> {
    let policy = match case.rules {
        Rules::Abort => Policy::STRICT,
        Rules::Unhealthy => Policy::MARK_UNHEALTHY,
        Rules::Hook => {
            let delivered = Arc::clone(delivered);
            Policy::on_violation(move |violation| {
                delivered.fetch_add(1, Ordering::Relaxed);
                lab::behave(violation);
            })
        }
    };
    let mut builder = Heap::builder()
        .driver(case.driver)
        .policy(policy)
        .checks(case.level)
        .reserve_bytes(RESERVE_BYTES)
        .stall_deadline(PATIENCE);
    // A control has generations as well: no young cycle may be the cause of a false alarm.
    if case.fault.needs_generations() {
        builder = builder.generational(NURSERY_BYTES);
    }
    // In all else a control has the heap that everybody has.
    if case.kind != Kind::Control {
        let entry = case.fault.entry();
        if let Some(bytes) = entry.quarantine_limit_bytes {
            builder = builder.quarantine_limit_bytes(bytes);
        }
        if let Some(deadline) = entry.stall_deadline {
            builder = builder.stall_deadline(deadline);
        }
    }
    Ok(builder.build()?)
}

/// Does things to the stage and tells of them.
struct Teller<'a> {
    out: &'a mut dyn Write,
    stage: Stage,
    log: Arc<Log>,
    /// Violations told so far.
    told: u64,
    delivered: Option<Arc<AtomicU64>>,
    planted: Vec<Planted>,
}

impl Teller<'_> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        json::write_line(self.out, line)?;
        self.out.flush()
    }

    fn strike(&mut self, case: &Case, at: u64, planner: &Planner) -> Result<(), Error> {
        self.checkpoint(at)?;
        let mut rng = Rng::for_purpose(case.seed, "strike");
        for fault in case.faults() {
            // Told before, for a heap that aborts at once; and after, with what is known then.
            self.line(&Line::At { op: at })?;
            let (mut strike, planted) = self.stage.strike(case, fault, planner, &mut rng);
            strike.op = at;
            self.planted.push(planted);
            self.line(&Line::Strike(strike))?;
            self.look(at)?;
        }
        Ok(())
    }

    /// Does an operation. False when it was refused.
    fn perform(&mut self, at: u64, op: &Op) -> Result<bool, Error> {
        let stage = &mut self.stage;
        let done = match catch_unwind(AssertUnwindSafe(|| stage.perform(op))) {
            Ok(done) => done,
            Err(cause) if self.has_struck() => {
                drop(cause);
                self.stage.replace_mutator();
                Err(Refusal::Died)
            }
            Err(cause) => std::panic::resume_unwind(cause),
        };
        match done {
            Ok(Answer::Nothing) => {}
            Ok(Answer::Read { id, digest }) => self.line(&Line::Read { op: at, id, digest })?,
            Ok(Answer::Checkpoint(mut checkpoint)) => {
                checkpoint.op = at;
                checkpoint.dropped = self.log.take();
                self.line(&Line::Checkpoint(checkpoint))?;
                self.ledger(at)?;
            }
            Err(why) => {
                self.line(&Line::Refused { op: at, why })?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn checkpoint(&mut self, at: u64) -> Result<bool, Error> {
        self.perform(at, &Op::Checkpoint)
    }

    /// Whether a site that was armed has struck.
    fn has_struck(&self) -> bool {
        self.strikes().is_some_and(|strikes| strikes > 0)
    }

    /// How often sites struck; none when nothing was armed.
    fn strikes(&self) -> Option<u64> {
        let mut armed = self
            .planted
            .iter()
            .filter_map(|planted| planted.armed)
            .peekable();
        armed.peek()?;
        let fault = self.stage.heap.fault();
        Some(
            armed
                .map(|(site, before)| fault.strikes(site) - before)
                .sum(),
        )
    }

    fn ledger(&mut self, at: u64) -> Result<(), Error> {
        let Ok(ledger) = self.stage.heap.ledger() else {
            return Ok(());
        };
        self.line(&Line::Ledger {
            op: at,
            imbalance: ledger.imbalance().map(str::to_string),
            quarantined_bytes: ledger.bytes_quarantined,
            live_bytes: ledger.bytes_live,
        })?;
        Ok(())
    }

    /// Tells of violations that are new, and recounts the books after them.
    fn look(&mut self, at: u64) -> Result<(), Error> {
        let health = self.stage.heap.health();
        if health.total() == self.told {
            return Ok(());
        }
        for violation in health.recent() {
            if violation.sequence > self.told {
                self.told = violation.sequence;
                let first = First {
                    violation,
                    at_op: at,
                    elapsed_ms: 0,
                };
                json::write_violation(self.out, &first)?;
            }
        }
        self.told = health.total();
        self.out.flush()?;
        self.ledger(at)
    }

    /// Two whole cycles, a last checkpoint, the end of every lease, another object in every slot that a
    /// fault may have aimed at, a second opinion, and the end.
    fn finish(mut self, ops: u64) -> Result<(), Error> {
        for _ in 0..2 {
            // A heap that stopped reclaiming says so, and that is that.
            let _ = self.stage.heap.collect();
            self.look(ops)?;
        }
        self.checkpoint(ops)?;
        // Leases end, as they do when a thread does.
        self.stage.replace_mutator();
        self.look(ops)?;
        // A refusal leaves some slots as they are, which is what a heap that is full does too.
        let _ = self.stage.reuse_dead_relics();
        self.stage.replace_mutator();
        self.look(ops)?;
        let _ = self.stage.heap.verify();
        let _ = self.stage.heap.deliver();
        self.look(ops)?;
        let (heap, health) = (&self.stage.heap, self.stage.heap.health());
        let stats = heap.stats();
        let violations = Check::ALL
            .iter()
            .map(|check| (check.id().to_string(), health.count(*check)));
        let imbalance = heap.ledger().ok().and_then(|ledger| ledger.imbalance());
        let end = End {
            ops,
            cycles: stats.cycle,
            cycles_finished: stats.cycles_finished,
            cycles_voided: stats.cycles_voided,
            violations: violations.filter(|(_, count)| *count > 0).collect(),
            recorded: health.total(),
            suppressed: health.suppressed(),
            delivered: self
                .delivered
                .as_ref()
                .map(|told| told.load(Ordering::Relaxed)),
            is_healthy: health.is_healthy(),
            strikes: self.strikes(),
            imbalance: imbalance.map(str::to_string),
            quarantined_bytes: stats.bytes_quarantined,
            live_bytes: stats.bytes_live,
        };
        self.line(&Line::End(Box::new(end)))?;
        Ok(())
    }
}
