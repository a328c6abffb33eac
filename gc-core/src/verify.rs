//! The second opinion: a stopped trace with books of its own, compared with the state bytes.
//!
//! Called by `Heap::verify`, with every mutator held, and, at level `paranoid`, by the cycle between
//! termination and flip, while mutators run: what they store then is marked or new, so whatever can
//! be reached at any moment must have a colour of the cycle. It starts from the roots and the value
//! stacks, keeps its own set of objects seen, and trusts nothing the marker wrote. It finds what a missed barrier hides: an
//! object that is reachable and white when marking says it is done.
//!
//! Deliberately absent: repair. The caller decides, see cycle.rs.

use std::collections::HashMap;

use bitvec::prelude::BitVec;
use gc_hooks::{Check, Origin};
use gc_sweep::{GRANULE_BYTES, Kept, Span};

use crate::ephemeron;
use crate::local::Local;
use crate::scan::{self, Scanned, Trust};
use crate::shared::{Shared, Source};

/// What reachable objects must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// Allocated, in any colour.
    Allocated,
    /// Marked, or born, in the colours of the cycle.
    Marked(Kept),
}

/// The words of the value stacks of mutators that are out. The stacks of one that is inside may be
/// changing; leaving them out only makes the set of reachable objects smaller.
pub(crate) fn stack_words(shared: &Shared) -> Vec<usize> {
    let mut words = Vec::new();
    for record in shared.world.records() {
        record.with_held(|local| words_of(local, &mut words));
    }
    words
}

/// Appends the words of a mutator's value stacks.
pub(crate) fn words_of(local: &Local, words: &mut Vec<usize>) {
    for stack in local.stacks() {
        words.extend(stack.live_words());
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects reached from the roots and value stacks.
    pub objects_reachable: u64,
    /// Bytes of their slots.
    pub bytes_reachable: u64,
    /// Pointers that lead to no object. Each is reported as a violation.
    pub pointers_bad: u64,
    /// Reachable objects that the marker left white. Each is reported as a violation.
    pub objects_unmarked: u64,
    /// Reachable objects whose type is not registered, or whose shape is broken in both copies. Each is
    /// reported as a violation.
    pub objects_undescribed: u64,
    /// Whether the heap's accounts agree with its spans.
    pub ledger_balanced: bool,
}

impl VerifyReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.pointers_bad == 0
            && self.objects_unmarked == 0
            && self.objects_undescribed == 0
            && self.ledger_balanced
    }
}

/// Asks for a second opinion before the flip, where one is looked for. The check that found objects to
/// be missed, if one did. Where marking is in doubt already, what it missed is no news.
pub(crate) fn second_opinion(shared: &Shared, kept: Kept) -> Option<Check> {
    if !shared.checks.makes(Check::UnmarkedReachable) {
        return None;
    }
    shared.doubt_of_marking().or_else(|| {
        let words = stack_words(shared);
        let report = Verifier::new(shared, Expect::Marked(kept)).run(&words);
        (report.objects_unmarked > 0).then_some(Check::UnmarkedReachable)
    })
}

#[derive(Clone, Copy)]
struct Step {
    address: usize,
    source: Source,
}

/// The verifier's own books.
pub(crate) struct Verifier<'a> {
    shared: &'a Shared,
    expect: Expect,
    /// One bit for each granule of the heap up to the last one seen.
    seen: BitVec,
    stack: Vec<Step>,
    children: Vec<usize>,
    /// Values of ephemerons whose keys were not seen yet, by key.
    waiting: HashMap<usize, Vec<Step>>,
    report: VerifyReport,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(shared: &'a Shared, expect: Expect) -> Self {
        Verifier {
            shared,
            expect,
            seen: BitVec::new(),
            stack: Vec::new(),
            children: Vec::new(),
            waiting: HashMap::new(),
            report: VerifyReport::default(),
        }
    }

    /// Traces the heap from the root table and the words of value stacks. The accounts are recounted
    /// when nothing can change them meanwhile, which is when no mark is expected.
    pub(crate) fn run(mut self, stack_words: &[usize]) -> VerifyReport {
        let mut addresses = Vec::new();
        self.shared.roots.addresses_into(&mut addresses);
        self.push_all(&addresses, Source::of(Origin::Root));
        self.push_all(stack_words, Source::of(Origin::Stack));
        while let Some(step) = self.stack.pop() {
            self.visit(step);
        }
        self.report.ledger_balanced =
            self.expect != Expect::Allocated || self.shared.space.ledger().is_balanced();
        self.report
    }

    fn push_all(&mut self, addresses: &[usize], source: Source) {
        self.stack
            .extend(addresses.iter().map(|&address| Step { address, source }));
    }

    fn visit(&mut self, step: Step) {
        let byte = self.shared.state(step.address);
        if !byte.is_object() {
            self.report.pointers_bad += 1;
            return self.shared.report_bad(step.address, step.source);
        }
        if self.is_seen(step.address) {
            return;
        }
        if let Expect::Marked(kept) = self.expect
            && !self
                .shared
                .hooks
                .holds(Check::UnmarkedReachable, kept.has(byte), || {
                    self.shared
                        .violation_at(Check::UnmarkedReachable, step.address, step.source)
                })
        {
            self.report.objects_unmarked += 1;
        }
        let Some(span) = self.shared.space.span_of(step.address) else {
            return;
        };
        self.report.objects_reachable += 1;
        self.report.bytes_reachable += span.slot_bytes() as u64;
        let source = Source {
            origin: Origin::Scan,
            holder: Some(step.address),
            call_site: None,
        };
        self.follow_ephemerons(step.address, source);
        self.scan(step.address, span, source);
    }

    /// An ephemeron leads to its value once its key is seen.
    fn follow_ephemerons(&mut self, address: usize, source: Source) {
        self.stack
            .extend(self.waiting.remove(&address).unwrap_or_default());
        let Some((key, value)) = ephemeron::entry_at(self.shared, address) else {
            return;
        };
        let step = Step {
            address: value,
            source,
        };
        if self.has_seen(key) {
            self.stack.push(step);
        } else {
            self.waiting.entry(key).or_default().push(step);
        }
    }

    /// Queues what an object leads to.
    fn scan(&mut self, address: usize, span: &Span, source: Source) {
        let mut from = 0;
        let trust = Trust::Sealed;
        #[cfg(feature = "fault-inject")]
        let trust = scan::blinded(self.shared.hooks.is_blind(Check::Descriptor), trust);
        let shared = self.shared;
        loop {
            let found = &mut self.children;
            let mut scanned = scan::scan(&shared.types, span, address, from, trust, found);
            if scanned == Scanned::NoDescriptor {
                scanned = shared.scan_doubtful(span, address, from, trust, found);
            }
            let children = core::mem::take(&mut self.children);
            self.push_all(&children, source);
            self.children = children;
            self.children.clear();
            match scanned {
                Scanned::Until(next) => from = next,
                Scanned::Whole => return,
                Scanned::NoDescriptor => {
                    self.report.objects_undescribed += 1;
                    return;
                }
            }
        }
    }

    /// Whether the object was visited before.
    fn has_seen(&self, address: usize) -> bool {
        self.granule(address)
            .and_then(|granule| self.seen.get(granule).map(|seen| *seen))
            .unwrap_or(false)
    }

    /// Whether the object was visited before; remembers it.
    fn is_seen(&mut self, address: usize) -> bool {
        let Some(granule) = self.granule(address) else {
            return true;
        };
        if granule >= self.seen.len() {
            self.seen.resize((granule + 1).next_power_of_two(), false);
        }
        self.seen.replace(granule, true)
    }

    fn granule(&self, address: usize) -> Option<usize> {
        let offset = self.shared.space.offset_of(address)?;
        Some(offset as usize / GRANULE_BYTES)
    }
}
