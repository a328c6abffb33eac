//! What two snapshots of one heap differ in.

use std::collections::{BTreeMap, HashSet};

use super::Snapshot;

/// How the objects of one type differ.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeChange {
    /// Objects whose ids are in the later one alone.
    pub added: u64,
    /// Objects whose ids are in the earlier one alone.
    pub removed: u64,
    /// Objects of the later one, less those of the earlier one.
    pub objects: i64,
    /// The same in bytes.
    pub bytes: i64,
}

/// The changes from one snapshot to another, by type. Types without a change are left out.
///
/// An id stands for a place in memory: an object that died and another one of its type that took its
/// place are told as one that stayed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    /// The greatest change of bytes first.
    pub types: Vec<(String, TypeChange)>,
}

impl Diff {
    /// The changes from `before` to `after`.
    pub fn of(before: &Snapshot, after: &Snapshot) -> Self {
        let mut types: BTreeMap<&str, TypeChange> = BTreeMap::new();
        let ids = |snapshot: &Snapshot| -> HashSet<(u64, String)> {
            let objects = snapshot.objects();
            objects
                .map(|(number, node)| (node.id, snapshot.name_of(number).to_string()))
                .collect()
        };
        let (ids_before, ids_after) = (ids(before), ids(after));
        for (snapshot, others, sign) in [(before, &ids_after, -1), (after, &ids_before, 1)] {
            for (number, node) in snapshot.objects() {
                let name = snapshot.name_of(number);
                let change = types.entry(name).or_default();
                change.objects += sign;
                change.bytes += sign * i64::try_from(node.self_bytes).unwrap_or(i64::MAX);
                if !others.contains(&(node.id, name.to_string())) {
                    let side = if sign > 0 {
                        &mut change.added
                    } else {
                        &mut change.removed
                    };
                    *side += 1;
                }
            }
        }
        let changed = types
            .into_iter()
            .filter(|(_, change)| *change != TypeChange::default());
        let mut types: Vec<_> = changed
            .map(|(name, change)| (name.to_string(), change))
            .collect();
        types.sort_by_key(|(_, change)| std::cmp::Reverse(change.bytes.abs()));
        Diff { types }
    }
}
