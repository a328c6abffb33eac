//! Classes of spans and the lists their spans stand in.
//!
//! A class is one type at one slot size. Classes are registered by the heap at the first allocation of their kind, from
//! any thread, and live as long as the space. Allocation slow paths and the sweep move spans between the lists.
//!
//! Invariant: `due` = spans of older epochs, in the lists or in somebody's hands, + spans being swept; while a flip goes
//! on, one more. It falls to 0 once, when the last span is where it belongs, and rises in a flip alone. `due_with_drop`
//! never exceeds it: it rises after it and falls before it.
//!
//! Lock order: the register of classes, then one class, then nothing. Deliberately absent: state bytes, counts of
//! objects, the page heap.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use crossbeam_queue::ArrayQueue;
use gc_hooks::sync::{Mutex, MutexGuard, RwLock, point};

use crate::link::Listed;
use crate::lists::{Census, Damage, Lists};
use crate::size_class::{PAGE_BYTES, SizeClass};
use crate::span::Span;
use crate::span_state::{Claim, Cut, Refusal, Terms};
use crate::spans::SpanTable;

/// A class of a space, as `Space::register` numbered it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClassId(u32);

impl ClassId {
    /// Classes are numbered from 0 in the order of their registration.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// How large the slots of a class are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotSize {
    /// Many slots of one size to a span.
    Class(SizeClass),
    /// One slot to a span, each as long as its object asks.
    Large,
}

/// Whether objects of a class are traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scan {
    /// They may hold managed pointers.
    Traced,
    /// They hold none.
    PointerFree,
}

/// Whether objects of a class have drop glue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropGlue {
    /// The sweep hands each dead one to the reaper.
    Needed,
    /// They are forgotten.
    None,
}

/// What a class is registered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassSpec {
    /// The caller's number for the type of the objects.
    pub type_index: u32,
    /// The name of the type, for reports.
    pub type_name: &'static str,
    /// Size of the slots.
    pub slot: SlotSize,
    /// Whether the objects are traced.
    pub scan: Scan,
    /// Whether they have drop glue.
    pub drop: DropGlue,
}

/// A registered class.
#[derive(Debug)]
pub(crate) struct Class {
    id: ClassId,
    spec: ClassSpec,
    lists: Mutex<Lists>,
}

impl Class {
    pub(crate) fn id(&self) -> ClassId {
        self.id
    }

    pub(crate) fn spec(&self) -> &ClassSpec {
        &self.spec
    }

    pub(crate) fn needs_drop(&self) -> bool {
        self.spec.drop == DropGlue::Needed
    }

    /// The shape of a span of this class on these pages.
    pub(crate) fn shape(&self, first_page: u32, pages: u32) -> Cut {
        let (slot_bytes, slots) = match self.spec.slot {
            SlotSize::Class(size) => (size.slot_bytes(), size.slots_in(pages)),
            SlotSize::Large => (pages as usize * PAGE_BYTES, 1),
        };
        Cut {
            first_page,
            pages,
            slot_bytes,
            slots,
            type_index: self.spec.type_index,
            class: self.id.number(),
            is_pointer_free: self.spec.scan == Scan::PointerFree,
            needs_drop: self.needs_drop(),
            is_large: self.spec.slot == SlotSize::Large,
        }
    }

    /// The spans of the class. Nothing else is locked while this is held.
    pub(crate) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The classes of a space.
#[derive(Debug)]
pub(crate) struct ClassTable {
    /// What was found wrong in lists, for a report once nothing is locked.
    pub(crate) damages: Arc<ArrayQueue<Damage>>,
    classes: RwLock<Vec<Arc<Class>>>,
    /// The class in which the last due span was found. A hint: a search goes round all classes.
    cursor: AtomicUsize,
    due: AtomicUsize,
    /// Of `due`, spans of classes with drop glue.
    due_with_drop: AtomicUsize,
}

/// Reports of damaged lists that wait at most.
const DAMAGES_MAX: usize = 16;

impl Default for ClassTable {
    fn default() -> Self {
        ClassTable {
            damages: Arc::new(ArrayQueue::new(DAMAGES_MAX)),
            classes: RwLock::default(),
            cursor: AtomicUsize::new(0),
            due: AtomicUsize::new(0),
            due_with_drop: AtomicUsize::new(0),
        }
    }
}

impl ClassTable {
    pub(crate) fn register(&self, spec: ClassSpec) -> ClassId {
        let mut classes = self.classes.write().unwrap_or_else(PoisonError::into_inner);
        let id = ClassId(classes.len() as u32);
        classes.push(Arc::new(Class {
            id,
            spec,
            lists: Mutex::new(Lists::new(id.number(), Arc::clone(&self.damages))),
        }));
        id
    }

    pub(crate) fn get(&self, id: ClassId) -> Option<Arc<Class>> {
        self.read(|classes| classes.get(id.index()).cloned())
    }

    /// The class of this number.
    pub(crate) fn numbered(&self, number: u32) -> Option<Arc<Class>> {
        self.get(ClassId(number))
    }

    /// The class of a span; `None` when its record names none.
    pub(crate) fn of(&self, span: &Span) -> Option<Arc<Class>> {
        self.numbered(span.class_index())
    }

    /// The class that has the span at this page in one of its lists. Goes through all of them.
    pub(crate) fn holder_of(&self, table: &SpanTable, page: u32) -> Option<Arc<Class>> {
        self.read(|classes| {
            let holds = |class: &&Arc<Class>| class.lists().holds(table, page);
            classes.iter().find(holds).cloned()
        })
    }

    fn read<R>(&self, look: impl FnOnce(&[Arc<Class>]) -> R) -> R {
        look(&self.classes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes every span due. What an earlier flip made due is due once.
    pub(crate) fn flip(&self, table: &SpanTable, generation: u32, were_all_swept: bool) {
        self.cursor.store(0, Ordering::Relaxed);
        // Release pairs with the Acquire of `due_without_drop`.
        self.due_with_drop.store(0, Ordering::Release);
        // The flip itself counts as one, so that nobody finds 0 before all classes are counted. Release pairs with the
        // Acquire of `due`.
        self.due.store(1, Ordering::Release);
        self.read(|classes| {
            for class in classes {
                // Counted under the lock: once it is free, allocation may sweep a span of the class and count it off.
                let mut lists = class.lists();
                let spans = lists.flip(table, generation, were_all_swept);
                // Release pairs with the Acquire of `due`, and for the second with that of `due_without_drop`.
                self.due.fetch_add(spans, Ordering::AcqRel);
                if class.needs_drop() {
                    self.due_with_drop.fetch_add(spans, Ordering::AcqRel);
                }
            }
        });
        self.one_less(&self.due);
    }

    /// Spans that this cycle has yet to sweep.
    pub(crate) fn due(&self) -> usize {
        // Acquire pairs with the Release of `visited`: who sees 0 sees every span swept.
        self.due.load(Ordering::Acquire)
    }

    /// Of these, the spans of classes without drop glue.
    pub(crate) fn due_without_drop(&self) -> usize {
        // In this order the answer may be too high, never too low. Acquire pairs with the Release of `visited`.
        let due = self.due();
        due.saturating_sub(self.due_with_drop.load(Ordering::Acquire))
    }

    /// One due span was swept and is where it belongs, or ended.
    pub(crate) fn visited(&self, class: &Class) {
        point();
        if class.needs_drop() {
            self.one_less(&self.due_with_drop);
        }
        self.one_less(&self.due);
    }

    /// Counts the spans of each class and puts those into a list that stand in none, for a driver that has stopped everyone
    /// else. `shelf` says where a swept span belongs. When another number of spans is due than was counted off so far, the
    /// answer is that number, and the right one.
    pub(crate) fn count_anew(
        &self,
        table: &SpanTable,
        shelf: impl Fn(&Span) -> Listed,
    ) -> Option<(usize, usize)> {
        self.read(|classes| {
            let mut counts = vec![Census::default(); classes.len()];
            for span in table.iter() {
                let number = table.class_of(span).unwrap_or(u32::MAX) as usize;
                if let Some((class, census)) = classes.get(number).zip(counts.get_mut(number)) {
                    class.lists().count(table, span, shelf(span), census);
                }
            }
            let (mut due, mut due_with_drop) = (0, 0);
            for (class, census) in classes.iter().zip(&counts) {
                class.lists().compare(table, census);
                due += census.due;
                due_with_drop += census.due * usize::from(class.needs_drop());
            }
            let counted = self.due();
            // As in `flip`.
            self.due_with_drop.store(due_with_drop, Ordering::Release);
            self.due.store(due, Ordering::Release);
            (counted != due).then_some((counted, due))
        })
    }

    /// Some list leads to a span that is due.
    pub(crate) fn has_claimable(&self, table: &SpanTable) -> bool {
        self.read(|classes| {
            let mut classes = classes.iter();
            classes.any(|class| class.lists().lead_to_due(table))
        })
    }

    fn one_less(&self, due: &AtomicUsize) {
        // AcqRel: Release pairs with the Acquire of `due` and of `due_without_drop`, Acquire with the Release of the
        // visits before, so that the last one passes all of them on. Nothing to take away means a damaged list: the
        // count stays at 0.
        let _ = due.fetch_update(Ordering::AcqRel, Ordering::Acquire, |due| {
            due.checked_sub(1)
        });
    }

    #[cfg(feature = "fault-inject")]
    pub(crate) fn fault_add_due(&self, spans: usize) {
        // As in `flip`.
        self.due.fetch_add(spans, Ordering::AcqRel);
    }

    /// One more span is due.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn add_due(&self, class: &Class) {
        // As in `flip`.
        self.due.fetch_add(1, Ordering::AcqRel);
        self.due_with_drop
            .fetch_add(usize::from(class.needs_drop()), Ordering::AcqRel);
    }

    /// Claims the next due span of the classes that `admits` names, going round them once. Found and claimed under one
    /// lock, so that nobody moves the span in between.
    pub(crate) fn claim_next<'a>(
        &self,
        table: &'a SpanTable,
        terms: impl Fn() -> Terms,
        admits: impl Fn(&Class) -> bool,
    ) -> Option<(Arc<Class>, &'a Span, Result<Claim, Refusal>)> {
        self.read(|classes| {
            let start = self.cursor.load(Ordering::Relaxed).min(classes.len());
            let (before, from) = classes.split_at(start);
            for class in from.iter().chain(before).filter(|class| admits(class)) {
                let mut lists = class.lists();
                // A flip sets the turn before it makes spans due, so the turn of a due span is read
                // here, under the lock; one read before may be that of the last cycle.
                if let Some((span, claim)) = lists.claim_due(table, terms()) {
                    self.cursor.store(class.id().index(), Ordering::Relaxed);
                    return Some((Arc::clone(class), span, claim));
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(drop: DropGlue) -> ClassSpec {
        ClassSpec {
            type_index: 0,
            type_name: "test",
            slot: SlotSize::Large,
            scan: Scan::PointerFree,
            drop,
        }
    }

    const TERMS: Terms = Terms {
        generation: 2,
        looks_at_generations: true,
        looks_at_seals: true,
    };

    fn add_span(table: &SpanTable, class: &Class, first_page: u32) {
        let span = table.record(first_page).unwrap();
        span.cut(class.shape(first_page, 1), 1);
        table.enter(first_page, 1);
        let mut lists = class.lists();
        lists.add_span(span);
        lists.put(table, span, Listed::Partial);
    }

    #[test]
    fn due_spans_are_counted_by_kind_and_found_class_by_class() {
        let table = SpanTable::new(1 << 40, 16).unwrap();
        let classes = ClassTable::default();
        let plain = classes.get(classes.register(spec(DropGlue::None))).unwrap();
        let dropping = classes
            .get(classes.register(spec(DropGlue::Needed)))
            .unwrap();
        for (page, class) in [(0, &dropping), (1, &plain), (2, &dropping), (3, &plain)] {
            add_span(&table, class, page);
        }
        classes.flip(&table, 2, true);
        assert_eq!((classes.due(), classes.due_without_drop()), (4, 2));
        let mut found = Vec::new();
        while let Some((class, span, claim)) =
            classes.claim_next(&table, || TERMS, |class| !class.needs_drop())
        {
            assert!(claim.is_ok());
            found.push(span.first_page());
            classes.visited(&class);
        }
        assert_eq!(found, [1, 3]);
        assert_eq!((classes.due(), classes.due_without_drop()), (2, 0));
        while let Some((class, span, claim)) = classes.claim_next(&table, || TERMS, |_| true) {
            assert!(claim.is_ok());
            assert_eq!(classes.of(span).unwrap().id(), class.id());
            found.push(span.first_page());
            classes.visited(&class);
        }
        assert_eq!(found, [1, 3, 0, 2]);
        classes.visited(&plain);
        assert_eq!(classes.due(), 0, "the count never wraps");
    }
}
