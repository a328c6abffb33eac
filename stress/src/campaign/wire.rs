//! The lines that a child writes, and how the judge reads them.
//!
//! One JSON object a line. The child may be damaged in any way, so nothing here trusts a line: what
//! cannot be read is counted as garbage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of a child, but for violations, which are told as everywhere in the lab.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// An operation begins. Told from the fault on.
    At { op: u64 },
    /// The fault was injected before an operation.
    Strike(Strike),
    /// A check failed.
    Violation(Told),
    /// An operation was refused and changed nothing.
    Refused { op: u64, why: Refusal },
    /// A node, as it was read.
    Read { op: u64, id: u64, digest: u32 },
    /// Everything that is reachable.
    Checkpoint(Checkpoint),
    /// The accounts, recounted after a violation.
    Ledger {
        op: u64,
        imbalance: Option<String>,
        quarantined_bytes: u64,
        live_bytes: u64,
    },
    /// The end of the program.
    End(Box<End>),
}

/// Why an operation was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refusal {
    /// The heap had no memory for it.
    Alloc,
    /// The root could not be read.
    Root,
    /// The way to the node ended before its end.
    Way,
    /// The collector refused.
    Collector,
    /// The thread died of the fault, as it was meant to.
    Died,
}

/// What the fault struck, as the one who struck knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Strike {
    pub(crate) op: u64,
    /// The cycle in progress or the last one.
    pub(crate) cycle: u32,
    /// Whether there was anything to strike.
    pub(crate) is_struck: bool,
    /// What was done, in a word.
    pub(crate) site: String,
    /// The first pages of the spans that a report may name; none when it cannot be known.
    pub(crate) spans: Vec<u32>,
    /// The slots that a report may name.
    pub(crate) slots: Vec<u32>,
    /// The object that was struck.
    pub(crate) target: Option<u64>,
}

/// A violation, as far as the judge looks at it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) check: String,
    pub(crate) at_op: u64,
    pub(crate) cycle: u32,
    pub(crate) span: Option<u32>,
    pub(crate) slot: Option<u32>,
}

/// Everything reachable, and what destructors did since the last one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) op: u64,
    /// Id and digest.
    pub(crate) objects: Vec<(u64, u32)>,
    /// For each weak reference, the id it answers.
    pub(crate) watches: Vec<Option<u64>>,
    /// Tickets that were dropped.
    pub(crate) dropped: Vec<u64>,
    /// Root slots that could not be read.
    pub(crate) roots_refused: Vec<usize>,
}

/// What the heap says of itself at the end.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) ops: u64,
    pub(crate) cycles: u32,
    pub(crate) cycles_finished: u64,
    pub(crate) cycles_voided: u64,
    /// Violations by check.
    pub(crate) violations: BTreeMap<String, u64>,
    pub(crate) recorded: u64,
    pub(crate) suppressed: u64,
    /// Violations that the hook was called for, when the policy has one.
    pub(crate) delivered: Option<u64>,
    pub(crate) is_healthy: bool,
    /// How often an armed fault struck; none for a fault that is injected at once.
    pub(crate) strikes: Option<u64>,
    pub(crate) imbalance: Option<String>,
    pub(crate) quarantined_bytes: u64,
    pub(crate) live_bytes: u64,
}

/// Reads one line.
pub(crate) fn read(line: &[u8]) -> Option<Line> {
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_what_is_broken_cannot() {
        let lines = [
            Line::At { op: 7 },
            Line::Refused {
                op: 1,
                why: Refusal::Way,
            },
            Line::Checkpoint(Checkpoint {
                objects: vec![(1, 2), (3, 4)],
                watches: vec![None, Some(5)],
                ..Checkpoint::default()
            }),
            Line::End(Box::default()),
        ];
        for line in lines {
            let text = serde_json::to_vec(&line).unwrap();
            assert_eq!(read(&text), Some(line));
            assert_eq!(read(&text[..text.len() - 1]), None);
        }
        for garbage in [&b""[..], b"{}", b"\xff\x00", b"{\"event\":\"at\"}", b"null"] {
            assert_eq!(read(garbage), None);
        }
    }

    #[test]
    fn a_violation_of_the_lab_can_be_read() {
        let text = br#"{"event":"violation","check":"zombie","message":"m","at_op":3,"cycle":2,"phase":"mark","span":4,"slot":null,"numbers":{}}"#;
        let Some(Line::Violation(told)) = read(text) else {
            panic!("not read");
        };
        assert_eq!(
            (told.check.as_str(), told.at_op, told.span),
            ("zombie", 3, Some(4))
        );
    }
}
