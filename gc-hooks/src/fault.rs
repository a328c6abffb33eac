//! Faults in waiting: named places in the heap at which something can be made to go wrong, and
//! checks that can be made to look away.
//!
//! Only with the feature `fault-inject`. Owns the register of sites and, for each heap, what is armed
//! and what has struck. The crates above ask at each site, from any thread in any phase; tests and
//! the stress lab arm. Invariants: what strikes at a site follows from the number of its hits alone,
//! never from time or chance; a strike is counted before its damage is done. A site costs one relaxed
//! load until something is watched.
//!
//! Deliberately absent: the damage, which stands at the site, and faults that are calls: those stand in
//! the crates whose memory they overwrite.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::check::Check;

/// How often an armed site strikes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Persistence {
    /// The chosen hit strikes, the ones after it do not.
    Once,
    /// The chosen hit strikes and so does every later one.
    Persistent,
}

/// Writes the enum, the list and the texts from one table.
macro_rules! sites {
    ($(#[doc = $about:literal] $site:ident, $id:literal;)*) => {
        /// A place in the heap at which something can be made to go wrong.
        #[non_exhaustive]
        #[repr(u8)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Site {
            $(#[doc = $about] $site,)*
        }

        impl Site {
            /// Every site, in the order of their discriminants.
            pub const ALL: &'static [Site] = &[$(Site::$site,)*];

            /// How many sites there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name of the site on a command line and in reports.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Site::$site => $id,)*
                }
            }

            /// What goes wrong there, in a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Site::$site => $about.trim_ascii(),)*
                }
            }
        }
    };
}

sites! {
    /// A store happens and its barrier does not: neither value is shaded.
    BarrierSkipped, "barrier-skipped";
    /// A barrier does not shade the value that the store overwrites.
    BarrierOldSkipped, "barrier-old-skipped";
    /// The barrier of a grey mutator does not shade the value that the store puts there.
    BarrierNewSkipped, "barrier-new-skipped";
    /// A store of a newborn object between cycles is not remembered.
    StoreUnremembered, "store-unremembered";
    /// A young cycle does not look at what was remembered.
    RememberedLost, "remembered-lost";
    /// A mutator says that its barrier is on and leaves it off until its snapshot.
    BarrierLate, "barrier-late";
    /// A thread dies inside a barrier, the old value shaded and the new one not stored.
    BarrierPanics, "barrier-panics";
    /// A barrier marks an object and does not hand it to the collector.
    ShadeUnpushed, "shade-unpushed";
    /// An object is born in the colour of the cycle before, though its mutator is black.
    AllocationWhite, "allocation-white";
    /// An object is written and never published.
    AllocationUnpublished, "allocation-unpublished";
    /// A root is made or dropped while a cycle marks, and not shaded.
    RootUnshaded, "root-unshaded";
    /// The snapshot passes an entry of the root table over.
    RootUnscanned, "root-unscanned";
    /// The snapshot passes a value stack over.
    StackUnscanned, "stack-unscanned";
    /// A marked object is lost from the marker's work before it is scanned.
    GreyLost, "grey-lost";
    /// The marker passes a pointer of an object over.
    EdgeUnseen, "edge-unseen";
    /// Marking is taken to be over when its budget is used up.
    TerminationEarly, "termination-early";
    /// A span that is due is taken to be swept, and is not.
    SweepSkipped, "sweep-skipped";
    /// The sweep takes a span for one in which nothing was born.
    BirthsForgotten, "births-forgotten";
    /// A span that was swept stands among the unswept ones again.
    SweepRepeated, "sweep-repeated";
    /// A span that was swept is put into no list.
    SpanUnlisted, "span-unlisted";
    /// The cursor of a run moves on by a slot that nobody was handed.
    RunCursorMoved, "run-cursor-moved";
    /// The pages of a span are given back twice.
    PagesFreedTwice, "pages-freed-twice";
    /// The system refuses memory for a new span, to whichever thread asks.
    CommitRefused, "commit-refused";
    /// The system refuses to take memory back, from whichever thread offers it.
    ReleaseRefused, "release-refused";
}

impl Site {
    /// The site of that name, exactly as [`Site::id`] spells it.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Site> {
        Self::ALL.iter().copied().find(|site| site.id() == id)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.id())
    }
}

/// What is known of one site.
struct Armed {
    /// Times the site was passed while anything was watched.
    hits: AtomicU64,
    /// Times it struck.
    strikes: AtomicU64,
    /// Number of the first hit that strikes; `u64::MAX` when none is to.
    first: AtomicU64,
    /// Number of the hit from which on none strikes any more.
    end: AtomicU64,
}

impl Armed {
    const fn new() -> Armed {
        Armed {
            hits: AtomicU64::new(0),
            strikes: AtomicU64::new(0),
            first: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(0),
        }
    }
}

/// The faults of one heap.
pub struct Faults {
    /// Somebody wants hits to be counted.
    is_watched: AtomicBool,
    sites: [Armed; Site::COUNT],
    /// Bits by the index of the check: those that look away.
    blind: AtomicU64,
}

/// Names checks, by commas, that look away from the beginning in every heap of a process: so a test that
/// says that a check fires can be seen to fail.
pub const BLIND_VARIABLE: &str = "GC_FAULT_BLIND";

impl Faults {
    pub(crate) fn new() -> Faults {
        let faults = Faults {
            is_watched: AtomicBool::new(false),
            sites: [const { Armed::new() }; Site::COUNT],
            blind: AtomicU64::new(0),
        };
        let blind = std::env::var(BLIND_VARIABLE).unwrap_or_default();
        for check in blind.split(',').filter_map(Check::from_id) {
            faults.set_blind(check, true);
        }
        faults
    }

    /// Counts hits from now on, though nothing is armed: how often a program passes each site.
    pub fn watch(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// Makes the hit number `nth` of a site strike, counted from now and from zero. What was armed
    /// there before is forgotten; counts go on.
    pub fn arm(&self, site: Site, nth: u64, persistence: Persistence) {
        self.watch();
        let armed = &self.sites[site as usize];
        let first = armed.hits.load(Ordering::Relaxed).saturating_add(nth);
        let end = match persistence {
            Persistence::Once => first.saturating_add(1),
            Persistence::Persistent => u64::MAX,
        };
        armed.end.store(end, Ordering::Relaxed);
        armed.first.store(first, Ordering::Relaxed);
    }

    /// Lets a site alone again.
    pub fn disarm(&self, site: Site) {
        self.sites[site as usize]
            .first
            .store(u64::MAX, Ordering::Relaxed);
    }

    /// Times a site was passed since something was first watched or armed.
    #[must_use]
    pub fn hits(&self, site: Site) -> u64 {
        self.sites[site as usize].hits.load(Ordering::Relaxed)
    }

    /// Times a site struck: whether the fault was activated.
    #[must_use]
    pub fn strikes(&self, site: Site) -> u64 {
        self.sites[site as usize].strikes.load(Ordering::Relaxed)
    }

    /// Whether the fault happens now. Asked by the site, once each time it is passed.
    #[inline]
    pub fn strike(&self, site: Site) -> bool {
        self.is_watched.load(Ordering::Relaxed) && self.strike_watched(site)
    }

    #[cold]
    #[inline(never)]
    fn strike_watched(&self, site: Site) -> bool {
        let armed = &self.sites[site as usize];
        let hit = armed.hits.fetch_add(1, Ordering::Relaxed);
        let due = armed.first.load(Ordering::Relaxed)..armed.end.load(Ordering::Relaxed);
        let strikes = due.contains(&hit);
        if strikes {
            armed.strikes.fetch_add(1, Ordering::Relaxed);
        }
        strikes
    }

    /// Makes a check look away, or look again.
    pub fn set_blind(&self, check: Check, is_blind: bool) {
        let bit = 1 << check.index();
        if is_blind {
            self.blind.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.blind.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Whether a check looks away.
    #[must_use]
    #[inline]
    pub fn is_blind(&self, check: Check) -> bool {
        self.blind.load(Ordering::Relaxed) & (1 << check.index()) != 0
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck = Site::ALL.iter().filter(|site| self.strikes(**site) > 0);
        formatter
            .debug_struct("Faults")
            .field("struck", &struck.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Site = Site::GreyLost;

    fn passes(faults: &Faults, times: usize) -> Vec<bool> {
        (0..times).map(|_| faults.strike(SITE)).collect()
    }

    #[test]
    fn an_identifier_is_the_kebab_case_of_its_variant_and_leads_back() {
        for site in Site::ALL {
            let mut kebab = String::new();
            for letter in format!("{site:?}").chars() {
                if letter.is_uppercase() && !kebab.is_empty() {
                    kebab.push('-');
                }
                kebab.push(letter.to_ascii_lowercase());
            }
            assert_eq!((site.id(), Site::from_id(&kebab)), (&*kebab, Some(*site)));
            assert!(site.about().ends_with('.'), "{site}");
        }
        assert_eq!(Site::from_id("GreyLost"), None);
    }

    #[test]
    fn the_chosen_hit_strikes_and_no_other() {
        let faults = Faults::new();
        faults.arm(SITE, 2, Persistence::Once);
        assert_eq!(passes(&faults, 5), [false, false, true, false, false]);
        assert_eq!((faults.hits(SITE), faults.strikes(SITE)), (5, 1));
        assert_eq!(faults.hits(Site::EdgeUnseen), 0);
        faults.arm(SITE, 0, Persistence::Once);
        assert_eq!(passes(&faults, 2), [true, false], "counted from the arming");
        assert_eq!((faults.hits(SITE), faults.strikes(SITE)), (7, 2));
    }

    #[test]
    fn a_persistent_fault_strikes_until_it_is_disarmed() {
        let faults = Faults::new();
        faults.arm(SITE, 1, Persistence::Persistent);
        assert_eq!(passes(&faults, 4), [false, true, true, true]);
        faults.disarm(SITE);
        assert_eq!(passes(&faults, 2), [false, false]);
        assert_eq!((faults.hits(SITE), faults.strikes(SITE)), (6, 3));
    }

    #[test]
    fn hits_count_once_something_is_watched() {
        let faults = Faults::new();
        passes(&faults, 3);
        assert_eq!(faults.hits(SITE), 0);
        faults.watch();
        passes(&faults, 3);
        assert_eq!((faults.hits(SITE), faults.strikes(SITE)), (3, 0));
    }
}
