//! The threads that own the mutators: each serves one share of the incident's service and one customer
//! of the shop, job by job.
//!
//! HTTP handlers, on any thread of the runtime, hand jobs in and await the answers; nothing of the
//! managed heap crosses a thread but through `Root`s under a lock. A worker waits for its next job
//! outside `enter`, so an idle one keeps no cycle from ending. Invariant: a job that was handed in is
//! answered, with an error if need be; only the death of a worker breaks that, and shows as one.
//!
//! Deliberately absent: HTTP, and health, which a violation turns on whatever thread found it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use gc_core::Heap;
use tokio::sync::oneshot;

use super::products::{Catalogue, Customer};
use crate::audit::Audit;
use crate::error::Error;
use crate::options::{CopyBack, Options};
use crate::rng::Rng;
use crate::service::Service;

/// What a worker is asked for, and where its answer goes.
enum Job {
    /// So many operations of the service, and as many visits to the shop.
    Serve(u32, oneshot::Sender<Result<Audit, Error>>),
    /// An answer, as a sign of life.
    Ping(oneshot::Sender<()>),
}

/// Why a job has no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The heap refused.
    Heap(Error),
    /// The worker is gone: it has panicked, or the service has ended.
    Gone,
}

/// All workers. Dropping it ends them, each after the jobs that wait for it.
pub(super) struct Workers {
    inboxes: Vec<Sender<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
    has_bug: Arc<AtomicBool>,
}

impl Workers {
    /// Starts `options.threads` workers, and waits until each has its connections open.
    pub(super) fn start(heap: &Heap, options: &Options) -> Result<Self, Error> {
        let has_bug = Arc::new(AtomicBool::new(options.copy_back == CopyBack::Barriered));
        let mut rng = Rng::for_purpose(options.seed, "catalogue");
        let catalogue = Catalogue::open(heap, &mut rng)?;
        let (opened, all_opened) = mpsc::channel();
        let (mut inboxes, mut threads) = (Vec::new(), Vec::new());
        for thread in 0..options.threads as u64 {
            let (inbox, jobs) = mpsc::channel();
            let bench = Bench {
                heap: heap.clone(),
                options: options.clone(),
                catalogue: catalogue.clone(),
                has_bug: Arc::clone(&has_bug),
                thread,
            };
            let opened = opened.clone();
            let worker = thread::Builder::new().name(format!("worker-{thread}"));
            threads.push(worker.spawn(move || bench.work(&jobs, opened))?);
            inboxes.push(inbox);
        }
        drop(opened);
        all_opened.iter().collect::<Result<(), Error>>()?;
        Ok(Workers {
            inboxes,
            threads: Mutex::new(threads),
            next: AtomicUsize::new(0),
            has_bug,
        })
    }

    /// Turns the bug on, from the next job of each worker.
    pub(super) fn turn_bug_on(&self) {
        self.has_bug.store(true, Ordering::Relaxed);
    }

    /// Has the next worker in turn serve so many operations.
    pub(super) async fn serve(&self, operations: u32) -> Result<Audit, Refusal> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len();
        let (answer, awaited) = oneshot::channel();
        let job = Job::Serve(operations, answer);
        self.inboxes[at].send(job).map_err(|_| Refusal::Gone)?;
        awaited
            .await
            .map_err(|_| Refusal::Gone)?
            .map_err(Refusal::Heap)
    }

    /// Whether every worker answers. Waits behind the jobs that are before it.
    pub(super) async fn answer(&self) -> bool {
        for inbox in &self.inboxes {
            let (answer, awaited) = oneshot::channel();
            if inbox.send(Job::Ping(answer)).is_err() || awaited.await.is_err() {
                return false;
            }
        }
        true
    }

    /// Ends the workers and waits for them. Whether one of them had panicked.
    pub(super) fn end(mut self) -> bool {
        self.inboxes.clear();
        let threads = self.threads.get_mut();
        let threads = std::mem::take(threads.unwrap_or_else(PoisonError::into_inner));
        threads.into_iter().any(|thread| thread.join().is_err())
    }
}

/// What a worker works with.
struct Bench {
    heap: Heap,
    options: Options,
    catalogue: Catalogue,
    has_bug: Arc<AtomicBool>,
    thread: u64,
}

impl Bench {
    /// The life of a worker.
    fn work(&self, jobs: &Receiver<Job>, opened: Sender<Result<(), Error>>) {
        let mut shift = match self.begin() {
            Ok(shift) => shift,
            Err(error) => {
                // Whoever starts workers waits for exactly this.
                let _ = opened.send(Err(error));
                return;
            }
        };
        drop(opened);
        for job in jobs {
            match job {
                Job::Serve(operations, answer) => {
                    let served = self.serve(&mut shift, operations);
                    if served.is_err() {
                        // Frames of the failed request are still on its stack: begin anew.
                        shift = match self.begin() {
                            Ok(shift) => shift,
                            Err(error) => {
                                let _ = answer.send(Err(error));
                                return;
                            }
                        };
                    }
                    // A client that has hung up does not want to know.
                    let _ = answer.send(served);
                }
                Job::Ping(answer) => {
                    let _ = answer.send(());
                }
            }
        }
    }

    fn begin(&self) -> Result<(Service, Customer), Error> {
        let rng = Rng::of_thread(self.options.seed, "customer", self.thread);
        Ok((
            Service::open(&self.heap, &self.options, self.thread)?,
            Customer::enter_shop(&self.heap, &self.catalogue, rng)?,
        ))
    }

    /// Serves so many operations. Answers what the oracle saw meanwhile.
    fn serve(
        &self,
        (service, customer): &mut (Service, Customer),
        operations: u32,
    ) -> Result<Audit, Error> {
        service.set_copy_back(if self.has_bug.load(Ordering::Relaxed) {
            CopyBack::Barriered
        } else {
            CopyBack::Plain
        });
        let before = service.under_way();
        let mut audit = Audit::default();
        for _ in 0..operations {
            service.serve()?;
            audit += customer.shop()?;
        }
        let after = service.under_way();
        audit.checked += after.checked - before.checked;
        audit.damaged += after.damaged - before.damaged;
        Ok(audit)
    }
}
