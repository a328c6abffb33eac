//! Who takes part.

use peers::Workload;

/// The peer that all others are compared with.
pub const OURS: &str = "softfail";

/// A peer, or one of Softfail's configurations.
pub struct Entrant {
    /// The column's name.
    pub name: &'static str,
    /// The binary.
    pub program: &'static str,
    /// The configuration, for the child.
    pub variant: &'static str,
    /// The workloads it is entered for; none for all.
    pub only: &'static [Workload],
}

impl Entrant {
    const fn peer(name: &'static str, program: &'static str) -> Self {
        Entrant {
            name,
            program,
            variant: "default",
            only: &[],
        }
    }

    const fn ours(name: &'static str, variant: &'static str, only: &'static [Workload]) -> Self {
        Entrant {
            name,
            program: "peer-softfail",
            variant,
            only,
        }
    }
}

/// All of them, in the order of a round.
pub fn all() -> Vec<Entrant> {
    use Workload::{
        Churn, CollectArray, CollectList, CollectRandom, CollectTree, Dying, Fragment, Requests,
        Stores, Threads, Trees, TreesLarge,
    };
    vec![
        Entrant::peer(OURS, "peer-softfail"),
        Entrant::ours(
            "softfail-bg",
            "background",
            &[Trees, TreesLarge, Churn, Dying, Threads, Fragment],
        ),
        Entrant::ours(
            "softfail-bg2",
            "two-collectors",
            &[CollectTree, CollectRandom, CollectList, CollectArray],
        ),
        Entrant::ours("softfail-inc", "incremental", &[Requests]),
        Entrant::ours(
            "softfail-gen",
            "generational",
            &[
                Trees, TreesLarge, Churn, Dying, Threads, Requests, Stores, Fragment,
            ],
        ),
        Entrant::ours(
            "softfail-lax",
            "lax",
            &[Trees, Churn, Dying, Requests, CollectTree, CollectRandom],
        ),
        Entrant::peer("bump", "peer-bump"),
        Entrant::peer("box-mimalloc", "peer-box-mimalloc"),
        Entrant::peer("box-system", "peer-box-system"),
        Entrant::peer("gc-arena", "peer-gc-arena"),
        Entrant::peer("bdwgc", "peer-bdwgc"),
        Entrant::peer("boa_gc", "peer-boa-gc"),
        Entrant::peer("gc", "peer-gc"),
        Entrant::peer("dumpster", "peer-dumpster"),
    ]
}
