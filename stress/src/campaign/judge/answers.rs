//! What weak references answered, held against what lives.
//!
//! Owned by the judge of one child. An upgrade between the end of marking and the flip goes by the mark
//! of its target and by nothing else. Where a fault took the mark of a live object, it answers "dead" until
//! the second opinion has voided the cycle. Such an answer is taken back by a right one: it counts as a
//! loss when the object is gone as well, when no second opinion is due, or when it is the last one.

use std::collections::BTreeMap;

use crate::campaign::wire::Checkpoint;

/// See the module.
#[derive(Default)]
pub(super) struct Answers {
    /// Watches whose last answer was "dead" though their object lives, with the object.
    doubted: BTreeMap<usize, u64>,
}

impl Answers {
    /// Looks at the answers of a checkpoint; `watched` says what each watch leads to and whether that lives.
    /// Answers what is lost.
    pub(super) fn compare(
        &mut self,
        seen: &Checkpoint,
        watched: &[Option<(u64, bool)>],
        has_second_opinion: bool,
    ) -> Vec<u64> {
        let mut lost = Vec::new();
        for (at, (answered, watched)) in seen.watches.iter().zip(watched).enumerate() {
            self.doubted.remove(&at);
            match (answered, *watched) {
                (Some(id), Some((watched, _))) if *id == watched => {}
                (None, None | Some((_, false))) => {}
                (Some(id), _) => lost.push(*id),
                (None, Some((id, true))) => {
                    let is_there = seen.objects.iter().any(|(there, _)| *there == id);
                    if has_second_opinion && is_there {
                        self.doubted.insert(at, id);
                    } else {
                        lost.push(id);
                    }
                }
            }
        }
        lost
    }

    /// Objects that were said to be dead and never came back.
    pub(super) fn left(&self) -> Vec<u64> {
        self.doubted.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(answer: Option<u64>, ids: &[u64]) -> Checkpoint {
        Checkpoint {
            objects: ids.iter().map(|id| (*id, 0)).collect(),
            watches: vec![answer],
            ..Checkpoint::default()
        }
    }

    const LIVES: [Option<(u64, bool)>; 1] = [Some((7, true))];

    #[test]
    fn an_answer_that_is_taken_back_is_no_loss() {
        let mut answers = Answers::default();
        assert!(answers.compare(&seen(None, &[7]), &LIVES, true).is_empty());
        assert_eq!(answers.left(), [7]);
        assert!(
            answers
                .compare(&seen(Some(7), &[7]), &LIVES, true)
                .is_empty()
        );
        assert!(answers.left().is_empty());
    }

    #[test]
    fn an_answer_about_what_is_gone_or_without_a_second_opinion_is_a_loss() {
        let mut answers = Answers::default();
        assert_eq!(answers.compare(&seen(None, &[8]), &LIVES, true), [7]);
        assert_eq!(answers.compare(&seen(None, &[7]), &LIVES, false), [7]);
        assert_eq!(answers.compare(&seen(Some(9), &[7]), &LIVES, true), [9]);
        let dead = [Some((7, false))];
        assert!(answers.compare(&seen(None, &[]), &dead, true).is_empty());
        assert!(answers.left().is_empty());
    }
}
