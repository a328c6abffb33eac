//! Sums over chains of entries, written once: what a peer walks by is its own, what is added up is the workload's.
//!
//! The functions take the peer's pointers by reference, so that walking clones none of them, and are compiled anew for each
//! peer, so that nothing is called through a pointer.

/// Adds up keys and bodies of a chain; `look` tells an entry's key, its body, and what comes next.
#[inline]
pub fn sum<'a, E: 'a>(
    first: Option<&'a E>,
    look: impl Fn(&'a E) -> (u64, &'a [u64], Option<&'a E>),
) -> u64 {
    let mut sum = 0u64;
    let mut at = first;
    while let Some(entry) = at {
        let (key, body, next) = look(entry);
        sum = body
            .iter()
            .fold(sum.wrapping_add(key), |sum, word| sum.wrapping_add(*word));
        at = next;
    }
    sum
}

/// Adds up the first words of a list; `look` tells an object's first word and what comes next.
#[inline]
pub fn sum_firsts<'a, E: 'a>(
    first: Option<&'a E>,
    look: impl Fn(&'a E) -> (u64, Option<&'a E>),
) -> u64 {
    let mut sum = 0;
    let mut at = first;
    while let Some(object) = at {
        let (word, next) = look(object);
        sum += word;
        at = next;
    }
    sum
}

/// Builds a list from its end, `seed + n` in the `n`th object; `link` allocates one object in front of the others.
#[inline]
pub fn list<E>(length: u64, seed: u64, mut link: impl FnMut(Option<E>, u64) -> E) -> Option<E> {
    let mut head = None;
    for n in 0..length {
        head = Some(link(head, seed + n));
    }
    head
}
