//! Campaigns past one machine: a campaign cut into shards, each of which leaves one file, and the files put
//! together again.
//!
//! A case follows from its number, so a shard is a set of numbers: those that leave the shard's own number
//! when they are divided by how many shards there are. Which shard a process is says a flag, or else the
//! scheduler that started it. A shard may be ended at any moment and run again: what stands in its file is
//! not done twice. What the files come to does not depend on how the campaign was cut, and is told by the
//! same code as an uncut one.
//!
//! | module | owns |
//! |---|---|
//! | `place` | which shard this is, from a flag or from the variables of schedulers |
//! | `file` | the file of a shard: manifest, cases, end |
//! | `run` | running a shard, from wherever its file ends |
//! | `merge` | gaps, duplicates and conflicts among files |
//! | `verdict`, `junit` | what the files come to, as tables, as lines, and for test reports |
//!
//! Deliberately absent: signals (the command line listens), and any talk between shards.

mod file;
mod junit;
mod merge;
mod place;
mod run;
mod verdict;

pub(crate) use file::is_shard_file;
pub(crate) use junit::write_junit;
pub(crate) use merge::{Merged, merge};
pub(crate) use place::{Chosen, Shard, choose};
pub(crate) use run::run;
pub(crate) use verdict::{sentence, write_json, write_markdown, write_text};
