//! Random numbers that are the same on every machine, for ever.
//!
//! Everything a run decides comes from here, so that a seed is the whole of a run. The generators
//! are SplitMix64 (which turns any seed into a good state) and xoshiro256** by Blackman and Vigna,
//! written out because a dependency may change its stream between releases. Used by one thread.
//!
//! Deliberately absent: entropy, time, addresses and hashing order as sources of anything.

use std::ops::RangeInclusive;

use crate::hash::content_hash;

/// Turns a seed into a stream that is good enough to seed other generators.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        SplitMix64 { state: seed }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// xoshiro256**: what all decisions of a run are drawn from.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A stream of its own for each purpose, so that drawing more for one purpose leaves the
    /// decisions of the others as they were.
    pub fn for_purpose(seed: u64, purpose: &str) -> Self {
        let mut seeder = SplitMix64::new(seed ^ content_hash(purpose.as_bytes()));
        Rng::from_state([(); 4].map(|()| seeder.next_u64()))
    }

    /// As [`Rng::for_purpose`], for one of several threads; the first has the stream of the seed.
    pub fn of_thread(seed: u64, purpose: &str, thread: u64) -> Self {
        Rng::for_purpose(seed ^ thread.wrapping_mul(0xd134_2543_de82_ef95), purpose)
    }

    /// The stream of a state, which is not all zero.
    pub fn from_state(state: [u64; 4]) -> Self {
        debug_assert_ne!(state, [0; 4]);
        Rng { state }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// A number below `bound`, or zero when the bound is zero. The bias of one part in 2^64 / bound
    /// is of no consequence here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number within both ends.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A number below `bound` for an index.
    pub fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    /// True once in `times` draws on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Lower-case letters, as many as a number within the range.
    pub fn text(&mut self, bytes: RangeInclusive<u64>) -> String {
        let mut text = String::new();
        for _ in 0..self.within(bytes) {
            text.push(char::from(b'a' + self.below(26) as u8));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation (prng.di.unimi.it), as published with its ports.
    #[test]
    fn splitmix64_draws_the_published_numbers() {
        let mut generator = SplitMix64::new(1_234_567);
        let drawn = [(); 5].map(|()| generator.next_u64());
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(drawn, published);
    }

    /// From the reference implementation, as published with its ports.
    #[test]
    fn xoshiro256_starstar_draws_the_published_numbers() {
        let mut generator = Rng::from_state([1, 2, 3, 4]);
        let drawn = [(); 10].map(|()| generator.next_u64());
        let published = [
            11_520,
            0,
            1_509_978_240,
            1_215_971_899_390_074_240,
            1_216_172_134_540_287_360,
            607_988_272_756_665_600,
            16_172_922_978_634_559_625,
            8_476_171_486_693_032_832,
            10_595_114_339_597_558_777,
            2_904_607_092_377_533_576,
        ];
        assert_eq!(drawn, published);
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_both_ends() {
        let mut generator = Rng::for_purpose(7, "test");
        let drawn: Vec<u64> = (0..1_000).map(|_| generator.within(3..=6)).collect();
        assert_eq!(
            (drawn.iter().min(), drawn.iter().max()),
            (Some(&3), Some(&6))
        );
        assert!((0..1_000).all(|_| generator.below(1) == 0));
        assert!((0..1_000).all(|_| generator.index(10) < 10));
        assert_eq!(generator.text(4..=4).len(), 4);
    }

    #[test]
    fn purposes_have_streams_of_their_own() {
        let drawn = |mut rng: Rng| [(); 4].map(|()| rng.next_u64());
        let one = drawn(Rng::for_purpose(1, "workload"));
        assert_ne!(one, drawn(Rng::for_purpose(1, "pace")));
        assert_eq!(one, drawn(Rng::of_thread(1, "workload", 0)));
        assert_ne!(one, drawn(Rng::of_thread(1, "workload", 1)));
    }
}
