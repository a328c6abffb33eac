//! The collector threads of a heap with the background driver.
//!
//! Each takes turns: whoever gets the cycle's lock is the coordinator for that turn, the others help
//! to mark or sweep beside it. Without work they sleep; mutators wake them when a cycle is due, and
//! when they have given an answer that is waited for. Hooks are delivered here too, so that an idle
//! program hears of what a check found.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gc_hooks::Phase;
use gc_hooks::sync::{Mutex, MutexGuard};
use gc_sweep::SweepMode;

use crate::engine::{Engine, StepProgress};
use crate::mark::Marker;
use crate::signal::Signal;

/// Work units of one turn: a fraction of a millisecond.
const TURN_UNITS: usize = 1 << 14;
/// Sleep of a thread that waits for other markers or sweepers, who do not say when they have more.
const WORK_WAIT: Duration = Duration::from_micros(200);
/// Longest sleep of a thread that waits for mutators to answer. They say so, unless they did it at the
/// moment when the thread fell asleep.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(5);
/// Longest sleep without a cycle, after which hooks and drain deadlines are looked at again.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(1);
/// Turns without result before a thread sleeps rather than gives way.
const TURNS_AWAKE: u32 = 16;
/// As above, while others mark: what they give away comes within microseconds.
const TURNS_AWAKE_MARKING: u32 = 512;

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// Something was done.
    Worked,
    /// A cycle runs, but others have to do something first.
    Waiting,
    /// No cycle runs.
    Idle,
}

/// The threads, until they are stopped.
#[derive(Default)]
pub(crate) struct Crew {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// The system refuses one; those already started are stopped again.
    pub(crate) fn start(engine: &Arc<Engine>, threads: usize) -> io::Result<Self> {
        let crew = Crew::default();
        for index in 0..threads {
            let engine_of_thread = Arc::clone(engine);
            let started = thread::Builder::new()
                .name(format!("gc-{}-{index}", engine.name))
                .spawn(move || work(&engine_of_thread));
            match started {
                Ok(thread) => crew.lock().push(thread),
                Err(error) => {
                    crew.stop(&engine.shared.signal);
                    return Err(error);
                }
            }
        }
        Ok(crew)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the threads to end and waits for them. One that stops itself, as when a destructor drops
    /// the last handle, is not waited for.
    pub(crate) fn stop(&self, signal: &Signal) {
        signal.stop();
        let threads = core::mem::take(&mut *self.lock());
        for thread in threads {
            if thread.thread().id() != thread::current().id() {
                // A collector thread that panicked has nothing left to say.
                let _panicked = thread.join();
            }
        }
    }

    /// Forgets threads that exist in another process only.
    pub(crate) fn forget(&self) {
        core::mem::take(&mut *self.lock())
            .into_iter()
            .for_each(core::mem::forget);
    }
}

/// The life of a collector thread.
fn work(engine: &Engine) {
    let shared = &engine.shared;
    let mut marker = Marker::new(shared.world.kept().marked());
    let mut turns_in_vain = 0;
    while !shared.signal.is_stopped() {
        let epoch = shared.signal.epoch();
        // A panic of a subscriber to trace events must not end the collection for good.
        let turn = catch_unwind(AssertUnwindSafe(|| take_turn(engine, &mut marker)));
        let turn = turn.unwrap_or(Turn::Waiting);
        engine.deliver();
        match turn {
            Turn::Worked => turns_in_vain = 0,
            Turn::Idle => {
                turns_in_vain = 0;
                shared.signal.wait_past(epoch, IDLE_WAIT_MAX);
            }
            Turn::Waiting => {
                turns_in_vain += 1;
                shared.hungry.fetch_add(1, Ordering::Relaxed);
                let phase = shared.world.phase();
                let turns_awake = match phase {
                    Phase::Mark => TURNS_AWAKE_MARKING,
                    _ => TURNS_AWAKE,
                };
                if turns_in_vain < turns_awake {
                    thread::yield_now();
                } else {
                    shared.signal.await_answers();
                    let at_most = longest_wait(phase, turns_in_vain - turns_awake);
                    shared.signal.wait_past(epoch, at_most);
                }
                shared.hungry.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// How long to sleep after so many sleeps in vain.
fn longest_wait(phase: Phase, in_vain: u32) -> Duration {
    match phase {
        Phase::Arm | Phase::Settle | Phase::Snapshot => {
            (WORK_WAIT * (1 + in_vain / 8)).min(ANSWER_WAIT_MAX)
        }
        _ => WORK_WAIT,
    }
}

fn take_turn(engine: &Engine, marker: &mut Marker) -> Turn {
    if !engine.is_active() {
        return Turn::Idle;
    }
    if let Some(step) = engine.try_step(TURN_UNITS, SweepMode::Any) {
        return match step.progress {
            StepProgress::Working => Turn::Worked,
            StepProgress::Waiting => Turn::Waiting,
            StepProgress::Idle => Turn::Idle,
        };
    }
    let has_worked = match engine.shared.world.phase() {
        Phase::Snapshot | Phase::Mark => engine.help_to_mark(marker, TURN_UNITS, None),
        Phase::Sweep => engine.sweep(&mut { TURN_UNITS }, SweepMode::Any),
        _ => false,
    };
    if has_worked {
        Turn::Worked
    } else {
        Turn::Waiting
    }
}
