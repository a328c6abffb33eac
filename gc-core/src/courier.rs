//! The thread of a heap that does nothing but tell hooks and subscribers of violations.
//!
//! There is one if the builder was asked for it; then nobody else runs a hook on the heap's behalf,
//! mutators and collector threads least of all. It sleeps until a violation is posted, and knows
//! nothing of the heap but its checks, so that it may outlive the heap. Invariant: whoever ends it
//! waits as long as hooks come back, and not behind one that does not; such a thread is left behind
//! and ends when its hook does. Deliberately absent: what is delivered, and how the thread is woken.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use gc_hooks::Hooks;
use gc_hooks::sync::Mutex;

/// A thread, and what is cut off when it ends.
type Running = (JoinHandle<()>, Receiver<()>);

/// The thread, until it is stopped.
pub(crate) struct Courier {
    hooks: Arc<Hooks>,
    running: Mutex<Option<Running>>,
}

impl Courier {
    /// Starts the thread, which is ready to be woken when this comes back.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub(crate) fn start(hooks: &Arc<Hooks>, heap: &str) -> io::Result<Self> {
        let (ready, is_ready) = channel();
        let (alive, ended) = channel();
        let own_hooks = Arc::clone(hooks);
        let thread = thread::Builder::new()
            .name(format!("gc-{heap}-hooks"))
            .spawn(move || {
                let _alive = alive;
                // The other end waits below.
                let ready = || ready.send(()).unwrap_or_default();
                own_hooks.deliver_until_dismissed(ready);
            })?;
        // Never an error: the thread says so before it does anything else.
        is_ready.recv().unwrap_or_default();
        Ok(Courier {
            hooks: Arc::clone(hooks),
            running: Mutex::new(Some((thread, ended))),
        })
    }

    fn take(&self) -> Option<Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.take()
    }

    /// Ends the thread once it has told what waits. From then on whoever passes by delivers.
    pub(crate) fn stop(&self) {
        let Some((thread, ended)) = self.take() else {
            return;
        };
        self.hooks.dismiss();
        if thread.thread().id() == thread::current().id() {
            // A hook drops the last handle: its thread ends when it does.
            return;
        }
        let patience = self.hooks.policy().hook_deadline();
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(patience) {
            if self.hooks.find_stalled() {
                return;
            }
        }
        // It ends by itself, for panics of receivers are caught.
        let _panicked = thread.join();
    }

    /// Forgets a thread that exists in another process only.
    pub(crate) fn forget(&self) {
        core::mem::forget(self.take());
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.stop();
    }
}
