//! When to collect, and how much of it a mutator pays for. Pure arithmetic: no atomics, no clock.
//!
//! Works from live bytes, and from nothing that a check may find wrong: goal and trigger are worked out
//! anew from what survived whenever they are asked for, and live bytes stand between the bounds that the
//! other running totals set ([`Totals`]). A damaged total moves a cycle; it cannot hold one off, or a
//! mutator up, for ever.
//!
//! The heap aims at `goal = max(live · (1 + growth), floor)` bytes. A cycle starts when the heap
//! has used up a part of the room between what survived the last cycle and the goal, so that marking
//! ends before the goal when each allocated byte pays its share: the objects that are expected to
//! be marked, over the bytes that are left to the goal.
//!
//! Collector threads need half of the room. Where mutators do all the work ([`Payer::Mutators`]) none is lost by starting
//! late: what is allocated while a cycle marks is freed by the next one only, so the shorter the marking the less of it.
//! For the same reason *live* is then what was marked. It leaves out what was allocated meanwhile; with that in it a
//! steady heap would stand at its goal and a third.
//!
//! Called by mutators in allocation slow paths and at the edges of `enter`, and at the end of a cycle.

use gc_sweep::GRANULE_BYTES;

/// Heaps smaller than this are not collected by themselves: a cycle costs more than it returns.
pub(crate) const FLOOR_BYTES: u64 = 4 << 20;
/// Growth since the last cycle below which a heap over its soft limit is left alone, since a cycle
/// could return no more than that.
const GROWTH_MIN_BYTES: u64 = 1 << 20;
/// The part of what lives that a nursery has at least.
const NURSERY_PART: u64 = 8;
/// Work units a slow path pays at least once a cycle runs, so that short cycles end soon.
const UNITS_MIN: usize = 64;
/// Work units one slow path pays at most: about a quarter of a millisecond of marking. A span of 64 KiB holds 4096 objects
/// of the smallest size at the most, so that even they are paid for in a quarter of what lives.
const UNITS_MAX: usize = 16 * 1024;

/// How far live bytes may be out of bounds before that is more than what mutators are booking at
/// the moment.
const IN_FLIGHT_BYTES_MAX: u64 = 1 << 20;

/// The running totals of the space, which bound one another: what lives was handed out, was not freed
/// and not withdrawn, and stands in spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Totals {
    pub(crate) bytes_live: i64,
    pub(crate) bytes_in_spans: i64,
    pub(crate) bytes_quarantined: i64,
    /// Bytes ever handed out and not freed; `None` when these totals were found wrong.
    pub(crate) bytes_kept: Option<u64>,
}

impl Totals {
    /// Bytes of all spans.
    pub(crate) fn bytes_in_spans(self) -> u64 {
        self.bytes_in_spans.max(0).unsigned_abs()
    }

    /// The least and the most that can be live, whatever the total of live bytes says.
    pub(crate) fn bounds(self) -> (u64, u64) {
        let quarantined = self.bytes_quarantined.max(0).unsigned_abs();
        let room = self.bytes_in_spans().saturating_sub(quarantined);
        match self.bytes_kept {
            None => (0, room),
            Some(kept) => {
                let most = room.min(kept);
                (kept.saturating_sub(quarantined).min(most), most)
            }
        }
    }

    /// Live bytes to go by.
    pub(crate) fn bytes_used(self) -> u64 {
        let (least, most) = self.bounds();
        self.bytes_live.max(0).unsigned_abs().clamp(least, most)
    }

    /// Whether the total of live bytes is within its bounds, but for what is being booked.
    pub(crate) fn is_plausible(self) -> bool {
        let (least, most) = self.bounds();
        let live = i128::from(self.bytes_live);
        let slack = i128::from(IN_FLIGHT_BYTES_MAX);
        (i128::from(least) - slack..=i128::from(most) + slack).contains(&live)
    }
}

/// Who does the collector's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payer {
    /// Mutators, as they allocate.
    Mutators,
    /// Threads of the heap's own, or whoever steps it.
    Others,
}

/// How far the heap may grow over what survived the last cycle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Pacer {
    payer: Payer,
    growth_percent: u64,
    /// Bytes of live objects that the goal stays below, if it can.
    limit_bytes: u64,
    /// Bytes that survived the last cycle.
    bytes_live: u64,
    /// Objects marked by the last cycle.
    objects_marked: u64,
}

impl Pacer {
    pub(crate) fn new(payer: Payer, growth_percent: u64, limit_bytes: u64) -> Self {
        Pacer {
            payer,
            growth_percent,
            limit_bytes,
            bytes_live: 0,
            objects_marked: 0,
        }
    }

    /// Whether a heap of `bytes_used` that is over its soft limit has grown enough since the last
    /// cycle for another one to be worth waiting for.
    pub(crate) fn is_worth_waiting(&self, bytes_used: u64) -> bool {
        bytes_used.saturating_sub(self.bytes_live) >= (self.bytes_live / 16).max(GROWTH_MIN_BYTES)
    }

    /// Takes over what a cycle found.
    pub(crate) fn finish_cycle(&mut self, bytes_live: u64, objects_marked: u64) {
        self.bytes_live = bytes_live;
        self.objects_marked = objects_marked;
    }

    /// Bytes that survived the last cycle.
    pub(crate) fn bytes_live(&self) -> u64 {
        self.bytes_live
    }

    /// Whether all of it can be true at once, while no cycle runs and nothing is freed: what survived
    /// stands in spans, in slots of at least a granule each, and a cycle begins before the goal. Objects
    /// that several markers came upon are counted more than once, hence the factor.
    pub(crate) fn is_sound(&self, bytes_in_spans: u64) -> bool {
        let objects_max = bytes_in_spans / GRANULE_BYTES as u64 * 2;
        self.bytes_live <= bytes_in_spans
            && self.objects_marked <= objects_max
            && self.trigger_bytes() <= self.goal_bytes()
    }

    /// Bytes by which the heap may grow, were there no floor and no limit.
    fn growth_bytes(&self) -> u64 {
        let growth = u128::from(self.bytes_live) * u128::from(self.growth_percent) / 100;
        u64::try_from(growth).unwrap_or(u64::MAX)
    }

    /// The size in bytes that the heap should not exceed.
    pub(crate) fn goal_bytes(&self) -> u64 {
        let growth = self.growth_bytes().max(FLOOR_BYTES);
        let goal_bytes = self.bytes_live.saturating_add(growth);
        // What lives already stays; a little room for the next cycle is needed in any case.
        let least_bytes = self.bytes_live.saturating_add(GROWTH_MIN_BYTES / 4);
        goal_bytes.min(self.limit_bytes.max(least_bytes))
    }

    /// The size in bytes at which a cycle starts.
    pub(crate) fn trigger_bytes(&self) -> u64 {
        let room = self.goal_bytes() - self.bytes_live;
        let part = match self.payer {
            // A heap that the floor alone lets grow begins early: it stays small enough for the caches.
            Payer::Mutators => room.min(self.growth_bytes().max(FLOOR_BYTES / 2)) / 8 * 7,
            Payer::Others => room / 2,
        };
        self.bytes_live + part
    }

    /// Bytes to allocate until a young cycle is due, of which the builder names the least: a heap that holds much
    /// is not looked at for little.
    pub(crate) fn nursery_bytes(&self, least_bytes: u64) -> u64 {
        least_bytes.max(self.bytes_live / NURSERY_PART)
    }

    /// What counts as live after a cycle that marked so many bytes and left so many.
    pub(crate) fn survived(payer: Payer, bytes_marked: u64, bytes_left: u64) -> u64 {
        match payer {
            // Several markers may count one object.
            Payer::Mutators => bytes_marked.min(bytes_left),
            Payer::Others => bytes_left,
        }
    }

    /// Work units to pay for an allocation of `bytes_allocated` while a cycle runs and the heap
    /// stands at `bytes_used`.
    pub(crate) fn assist_units(&self, bytes_allocated: u64, bytes_used: u64) -> usize {
        let left = self.goal_bytes().saturating_sub(bytes_used).max(1);
        // Marking visits every object once and sweeping costs a small part of that.
        let work = self.objects_marked.max(1024).saturating_mul(2);
        let units = u128::from(bytes_allocated) * u128::from(work) / u128::from(left);
        (units.min(UNITS_MAX as u128) as usize).max(UNITS_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goal_and_trigger_follow_what_survived() {
        let mut pacer = Pacer::new(Payer::Others, 100, u64::MAX);
        assert_eq!(
            (pacer.goal_bytes(), pacer.trigger_bytes()),
            (4 << 20, 2 << 20)
        );
        pacer.finish_cycle(100 << 20, 1_000_000);
        assert_eq!(
            (pacer.goal_bytes(), pacer.trigger_bytes()),
            (200 << 20, 150 << 20)
        );
        let mut careful = Pacer::new(Payer::Others, 20, u64::MAX);
        careful.finish_cycle(100 << 20, 1_000_000);
        assert_eq!(careful.goal_bytes(), 120 << 20);
        let mut huge = Pacer::new(Payer::Others, 1000, u64::MAX);
        huge.finish_cycle(u64::MAX / 2, 1);
        assert_eq!(huge.goal_bytes(), u64::MAX);
    }

    #[test]
    fn the_goal_stays_below_the_limit_as_long_as_what_lives_does() {
        let mut pacer = Pacer::new(Payer::Others, 100, 120 << 20);
        pacer.finish_cycle(100 << 20, 1_000_000);
        assert_eq!(
            (pacer.goal_bytes(), pacer.trigger_bytes()),
            (120 << 20, 110 << 20)
        );
        pacer.finish_cycle(130 << 20, 1_000_000);
        assert!(pacer.trigger_bytes() > 130 << 20);
    }

    /// Totals in bytes: live, in spans, quarantined, kept.
    fn totals(live: i64, in_spans: i64, quarantined: i64, kept: u64) -> Totals {
        Totals {
            bytes_live: live,
            bytes_in_spans: in_spans,
            bytes_quarantined: quarantined,
            bytes_kept: Some(kept),
        }
    }

    #[test]
    fn live_bytes_that_lie_are_held_to_what_the_other_totals_allow() {
        const MIB: i64 = 1 << 20;
        let honest = totals(100 * MIB, 140 * MIB, 20 * MIB, 110 << 20);
        assert!(honest.is_plausible());
        assert_eq!(honest.bytes_used(), 100 << 20);
        for (lie, used) in [
            (i64::MAX, 110),
            (112 * MIB, 110),
            (0, 90),
            (-1, 90),
            (i64::MIN, 90),
        ] {
            let lying = Totals {
                bytes_live: lie,
                ..honest
            };
            assert!(!lying.is_plausible(), "{lie}");
            assert_eq!(lying.bytes_used(), used << 20, "{lie}");
        }
        // A hundred kilobytes may be on their way into the books.
        let busy = totals(110 * MIB + 100_000, 140 * MIB, 20 * MIB, 110 << 20);
        assert!(busy.is_plausible());
    }

    #[test]
    fn totals_that_contradict_one_another_still_bound_something() {
        for (quarantined, kept) in [(i64::MAX, 0), (-1, u64::MAX), (0, 0), (i64::MIN, 1 << 40)] {
            let used = totals(50 << 20, 60 << 20, quarantined, kept).bytes_used();
            assert!(used <= 60 << 20, "{quarantined} {kept}: {used}");
        }
        let without_flow = Totals {
            bytes_kept: None,
            ..totals(50 << 20, 60 << 20, 0, 0)
        };
        assert_eq!(without_flow.bytes_used(), 50 << 20);
    }

    #[test]
    fn a_pacer_is_sound_when_what_survived_can_stand_in_the_spans() {
        let mut pacer = Pacer::new(Payer::Others, 100, u64::MAX);
        pacer.finish_cycle(100 << 20, 1_000_000);
        assert!(pacer.is_sound(100 << 20));
        assert!(!pacer.is_sound(99 << 20));
        pacer.finish_cycle(100 << 20, u64::MAX);
        assert!(!pacer.is_sound(100 << 20));
        assert_eq!(pacer.assist_units(1, 1), UNITS_MAX, "no overflow either");
        pacer.finish_cycle(u64::MAX, 0);
        assert!(pacer.trigger_bytes() <= pacer.goal_bytes());
    }

    #[test]
    fn assists_pay_more_the_closer_the_goal_is() {
        let mut pacer = Pacer::new(Payer::Others, 100, u64::MAX);
        pacer.finish_cycle(100 << 20, 1_000_000);
        let far = pacer.assist_units(64 << 10, 150 << 20);
        let near = pacer.assist_units(64 << 10, 190 << 20);
        assert!(far < near, "{far} units far from the goal, {near} near it");
        assert_eq!(pacer.assist_units(64 << 10, 300 << 20), UNITS_MAX);
        assert_eq!(pacer.assist_units(0, 150 << 20), UNITS_MIN);
    }

    #[test]
    fn mutators_that_pay_begin_late_unless_the_heap_is_small() {
        let mut pacer = Pacer::new(Payer::Mutators, 100, u64::MAX);
        assert_eq!(
            (pacer.goal_bytes(), pacer.trigger_bytes()),
            (4 << 20, 7 << 18)
        );
        pacer.finish_cycle(80 << 20, 1_000_000);
        assert_eq!(
            (pacer.goal_bytes(), pacer.trigger_bytes()),
            (160 << 20, 150 << 20)
        );
        assert_eq!(Pacer::survived(Payer::Mutators, 80, 120), 80);
        assert_eq!(Pacer::survived(Payer::Mutators, 130, 120), 120);
        assert_eq!(Pacer::survived(Payer::Others, 80, 120), 120);
    }

    #[test]
    fn the_cycle_ends_before_the_goal_when_assists_are_paid() {
        for payer in [Payer::Mutators, Payer::Others] {
            ends_before_the_goal(payer);
        }
    }

    fn ends_before_the_goal(payer: Payer) {
        let mut pacer = Pacer::new(payer, 100, u64::MAX);
        pacer.finish_cycle(100 << 20, 1_000_000);
        let (mut used, mut paid) = (pacer.trigger_bytes(), 0u64);
        while used < pacer.goal_bytes() {
            paid += pacer.assist_units(64 << 10, used) as u64;
            used += 64 << 10;
        }
        assert!(
            paid >= 1_000_000,
            "{paid} units were paid for a million objects"
        );
    }
}
