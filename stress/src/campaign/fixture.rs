//! The chains that stand in every case from the beginning to the end, as judge and child know them.
//!
//! Ids of a chain follow one another; what an object holds follows from its id. Whatever a fault does,
//! every object of them must be there at every checkpoint.

use std::collections::BTreeMap;

use crate::hash::content_hash;

/// Relics that are allocated; every second one stays.
pub(crate) const RELICS: u64 = 96;
/// Beads of the long chain, which all stay.
pub(crate) const BEADS: u64 = 100;
/// The id of the first relic, and of the first bead; ids of the program stay far below.
pub(crate) const RELIC_FIRST: u64 = 1 << 40;
pub(crate) const BEAD_FIRST: u64 = 1 << 41;

/// What a member of a chain holds.
pub(crate) fn value(id: u64) -> [u64; 3] {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [mixed.rotate_left(17), !mixed, mixed ^ id]
}

/// What a checkpoint says of a member of a chain.
pub(crate) fn digest(value: [u64; 3]) -> u32 {
    let mut bytes = Vec::new();
    for word in value {
        bytes.extend(word.to_le_bytes());
    }
    content_hash(&bytes) as u32
}

/// Id and digest of every object of the chains. The bead before the first one is the short chain.
pub(crate) fn expected() -> BTreeMap<u64, u32> {
    let relics = (0..RELICS)
        .filter(|at| is_kept(*at))
        .map(|at| RELIC_FIRST + at);
    let beads = (0..=BEADS).map(|at| BEAD_FIRST + at);
    relics
        .chain(beads)
        .map(|id| (id, digest(value(id))))
        .collect()
}

/// Whether a relic stays.
pub(crate) fn is_kept(relic: u64) -> bool {
    relic.is_multiple_of(2)
}

/// Ids of a chain that an object of it alone leads to, its own among them.
pub(crate) fn behind(id: u64) -> impl Iterator<Item = u64> {
    let chains = expected().into_keys();
    chains.filter(move |other| {
        *other <= id && (*other >= BEAD_FIRST) == (id >= BEAD_FIRST) && id >= RELIC_FIRST
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_of_the_chains_has_a_digest_of_its_own() {
        let expected = expected();
        assert_eq!(expected.len() as u64, RELICS / 2 + BEADS + 1);
        let digests: std::collections::HashSet<u32> = expected.values().copied().collect();
        assert_eq!(digests.len(), expected.len());
    }

    #[test]
    fn a_chain_hangs_on_its_members() {
        assert_eq!(behind(RELIC_FIRST).count(), 1);
        assert_eq!(behind(RELIC_FIRST + RELICS).count() as u64, RELICS / 2);
        assert_eq!(behind(BEAD_FIRST + BEADS).count() as u64, BEADS + 1);
        assert_eq!(behind(7).count(), 0);
    }
}
