//! One mutator as the collector knows it: its state word, what it has answered, its local part.
//!
//! A mutator thread owns the local part while the state word says `In`; whoever set it to `Held`
//! owns it meanwhile (the collector, answering on the mutator's behalf; statistics; the mutator's own
//! thread outside `enter`); nobody touches it while the word says `Out`. The one word decides, so
//! there is no race between a store and a load of two.
//!
//! Invariants: `local` is reached only through [`Record::local`] by the owner of the state word.
//! What was answered never runs ahead of what was asked. Deliberately absent: what shading does
//! (barrier.rs), what an answer does (handshake.rs).
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_deque::{Stealer, Worker};
use crossbeam_utils::Backoff;
use crossbeam_utils::atomic::AtomicCell;
use gc_hooks::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use gc_hooks::sync::{point, thread_token, yield_now};
use gc_sweep::Kept;

use crate::grey::Grey;
use crate::local::Local;
use crate::pauses::Pauses;
use crate::request::Request;

/// Who owns a record's local part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Presence {
    /// Outside `enter`: parked, the collector may answer on its behalf.
    Out = 0,
    /// Inside `enter`: the mutator thread owns it.
    In = 1,
    /// Somebody holds it for a moment.
    Held = 2,
}

/// One registered mutator.
pub(crate) struct Record {
    presence: AtomicU8,
    /// The request answered last, as bits. Written by the owner of the state word.
    answered: AtomicU64,
    /// The mutator is between reading the phase, for a barrier or a weak upgrade, and having shaded.
    shading: AtomicBool,
    /// Names the thread that is inside, once it has said so; zero outside.
    thread: AtomicU64,
    /// Where it entered.
    call_site: AtomicCell<Option<&'static Location<'static>>>,
    pub(crate) stealer: Stealer<Grey>,
    /// For how long this mutator was kept from its work. Written by the owner of the state word.
    pub(crate) pauses: Pauses,
    local: UnsafeCell<Local>,
}

// SAFETY: `local` is only reached by the owner of the state word, see `local`; the rest is atomic.
unsafe impl Sync for Record {}

// SAFETY: nothing in the local part belongs to a thread: runs, deques and stacks may be used by
// whichever thread owns the state word.
unsafe impl Send for Record {}

/// Why a record could not be entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IsInside;

impl Record {
    /// A record that is out, with the barrier off, which marks and allocates in these colours.
    pub(crate) fn new(kept: Kept) -> Self {
        let grey = Worker::new_lifo();
        #[cfg(softfail_tsan)]
        first_steal(&grey.stealer());
        Record {
            presence: AtomicU8::new(Presence::Out as u8),
            answered: AtomicU64::new(Request::FIRST.bits()),
            shading: AtomicBool::new(false),
            thread: AtomicU64::new(0),
            call_site: AtomicCell::new(None),
            stealer: grey.stealer(),
            pauses: Pauses::new(),
            local: UnsafeCell::new(Local::new(kept, grey)),
        }
    }

    /// The local part.
    ///
    /// # Safety
    ///
    /// The caller owns the state word: it is the mutator's thread and the word says `In`, or it
    /// set the word to `Held`.
    #[inline]
    unsafe fn local(&self) -> &Local {
        // SAFETY: the caller's duty makes this the only thread that reaches `local`; all of its
        // fields change through shared references.
        unsafe { &*self.local.get() }
    }

    /// Takes the state word from `Out`; answers what it said instead when it says something else.
    #[inline]
    fn take(&self, presence: Presence) -> Result<(), u8> {
        point();
        // Acquire pairs with the Release of `let_go`: the last owner's work is visible.
        self.presence
            .compare_exchange(
                Presence::Out as u8,
                presence as u8,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .map(drop)
    }

    #[inline]
    fn let_go(&self) {
        point();
        // Release pairs with the Acquire of `take`.
        self.presence.store(Presence::Out as u8, Ordering::Release);
    }

    /// Takes the state word, waiting while somebody else holds it.
    fn take_waiting(&self, presence: Presence) -> Result<(), IsInside> {
        let backoff = Backoff::new();
        loop {
            match self.take(presence) {
                Ok(()) => return Ok(()),
                Err(found) if found == Presence::In as u8 => return Err(IsInside),
                Err(_) if cfg!(any(loom, shuttle)) => yield_now(),
                // Holders are a few instructions from letting go, unless they were preempted.
                Err(_) => backoff.snooze(),
            }
        }
    }

    /// Runs `f` inside: until it ends, however it ends, this thread owns the local part. Waits for
    /// whoever holds the record. `Err` when the mutator is inside already.
    #[inline]
    pub(crate) fn with_entered<R>(
        &self,
        call_site: &'static Location<'static>,
        f: impl FnOnce(&Local) -> R,
    ) -> Result<R, IsInside> {
        struct Leave<'a>(&'a Record);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // A record that is in never carries the token of a thread that has left it.
                self.0.thread.store(0, Ordering::Relaxed);
                self.0.let_go();
            }
        }
        if self.take(Presence::In).is_err() {
            let begun = Instant::now();
            self.take_waiting(Presence::In)?;
            self.paused_since(begun);
        }
        let _leave = Leave(self);
        self.thread.store(thread_token(), Ordering::Relaxed);
        self.call_site.store(Some(call_site));
        // SAFETY: the state word says `In`, set by this thread above.
        let local = unsafe { self.local() };
        Ok(f(local))
    }

    /// Runs `f` on the local part of a mutator that is out, holding it there. `None` when it is in,
    /// or held by somebody else.
    pub(crate) fn with_held<R>(&self, f: impl FnOnce(&Local) -> R) -> Option<R> {
        self.take(Presence::Held).ok()?;
        Some(self.finish_held(f))
    }

    /// As [`Record::with_held`], for the mutator's own thread outside `enter`: waits while somebody
    /// else holds the record.
    pub(crate) fn with_own<R>(&self, f: impl FnOnce(&Local) -> R) -> Result<R, IsInside> {
        self.take_waiting(Presence::Held)?;
        Ok(self.finish_held(f))
    }

    fn finish_held<R>(&self, f: impl FnOnce(&Local) -> R) -> R {
        // SAFETY: the state word says `Held`, set by this thread before.
        let result = f(unsafe { self.local() });
        self.let_go();
        result
    }

    /// Keeps the mutator out until the guard is dropped. `None` when it is in, or held.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<HeldRecord> {
        self.take(Presence::Held).ok()?;
        Some(HeldRecord(Arc::clone(self)))
    }

    /// Whether the mutator is inside `enter`.
    pub(crate) fn is_in(&self) -> bool {
        // Acquire pairs with the Release of `let_go`: who sees it out sees what it did inside.
        self.presence.load(Ordering::Acquire) == Presence::In as u8
    }

    /// Whether the mutator is inside `enter` on this thread.
    pub(crate) fn is_in_here(&self) -> bool {
        // A thread sees its own stores in order, and what it left says zero.
        self.thread.load(Ordering::Relaxed) == thread_token() && self.is_in()
    }

    /// Where the mutator entered last.
    pub(crate) fn call_site(&self) -> Option<&'static Location<'static>> {
        self.call_site.load()
    }

    /// The last request this mutator answered.
    #[inline]
    pub(crate) fn answered(&self) -> Request {
        point();
        // Acquire pairs with the Release of `answer`: what the mutator did before it is visible.
        Request::from_bits(self.answered.load(Ordering::Acquire))
    }

    /// Records an answer. Called by the owner of the state word.
    pub(crate) fn answer(&self, request: Request) {
        point();
        // Release pairs with the Acquire of `answered`.
        self.answered.store(request.bits(), Ordering::Release);
    }

    /// Notes that the mutator was kept from its work since `begun`. Called by the owner of the state
    /// word, or by the mutator's own thread.
    pub(crate) fn paused_since(&self, begun: Instant) {
        let pause_ns = begun.elapsed().as_nanos();
        self.pauses
            .record(u64::try_from(pause_ns).unwrap_or(u64::MAX));
    }

    /// Announces that the mutator is about to shade, or that it has done so. Called on its own thread.
    #[inline]
    pub(crate) fn set_shading(&self, is_shading: bool) {
        point();
        // SeqCst pairs with the SeqCst of `is_shading` and of the phase: of a shade that begins and a
        // termination that begins, one sees the other.
        self.shading.store(is_shading, Ordering::SeqCst);
    }

    /// As seen by the mutator's own thread.
    #[inline]
    pub(crate) fn is_shading_here(&self) -> bool {
        self.shading.load(Ordering::Relaxed)
    }

    pub(crate) fn is_shading(&self) -> bool {
        point();
        // SeqCst pairs with `set_shading`; it also acquires what was shaded.
        self.shading.load(Ordering::SeqCst)
    }
}

/// Steals once before any deque is shared.
///
/// The first steal of a process makes crossbeam's epoch collector behind a lock of the standard
/// library, which was not built for ThreadSanitizer: who waits there would look unordered with who
/// made it. Every deque is handed on after this, so all who steal come after the first.
#[cfg(softfail_tsan)]
fn first_steal(empty: &Stealer<Grey>) {
    static IS_MADE: gc_hooks::sync::OnceLock<bool> = gc_hooks::sync::OnceLock::new();
    IS_MADE.get_or_init(|| empty.steal().is_empty());
}

/// A record kept out of `enter`.
pub(crate) struct HeldRecord(Arc<Record>);

impl HeldRecord {
    pub(crate) fn local(&self) -> &Local {
        // SAFETY: the guard was made by setting the state word to `Held`, and only its end lets go.
        unsafe { self.0.local() }
    }

    pub(crate) fn is(&self, record: &Arc<Record>) -> bool {
        Arc::ptr_eq(&self.0, record)
    }
}

impl Drop for HeldRecord {
    fn drop(&mut self) {
        self.0.let_go();
    }
}
