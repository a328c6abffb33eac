//! `gc-stress campaign` as one shard of several: who says which, signals, and what is printed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::tolerate;
use crate::campaign::Options;
use crate::error::{EXIT_INTERRUPTED, Error};
use crate::progress::Bar;
use crate::shards::{self, Chosen, Shard};

/// What `--shard` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    /// This one.
    Shard(Shard),
    /// The campaign is not cut, whatever variables say.
    None,
}

impl FromStr for Said {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Said::None),
            _ => text.parse().map(Said::Shard),
        }
    }
}

#[derive(Args)]
pub(super) struct ShardArguments {
    /// Run shard I of N, as 0/8: the cases whose numbers leave I when divided by N. The file of the shard goes
    /// into the folder --out. Without it, variables of Kubernetes, Slurm, GNU parallel (with --shards) and AWS
    /// Batch say which shard this is; `none` says that the campaign is not cut.
    #[arg(long, value_name = "I/N")]
    shard: Option<Said>,
    /// How many shards there are, where a scheduler says which one this is; or else the variable GC_SHARDS.
    #[arg(long, value_name = "N", conflicts_with = "shard", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    shards: Option<u64>,
    /// Go on with the file of an earlier run of the shard, if there is one. This is what happens anyway.
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Throw the file of an earlier run of the shard away.
    #[arg(long)]
    fresh: bool,
}

impl ShardArguments {
    /// Which shard this is, if it is one, and who said so.
    pub(super) fn chosen(&self) -> Result<Option<Chosen>, Error> {
        let variable = |name: &str| {
            let value = std::env::var_os(name)?;
            Some(value.to_string_lossy().into_owned())
        };
        match self.shard {
            Some(Said::Shard(shard)) => Ok(Some(Chosen {
                shard,
                by: "--shard",
            })),
            Some(Said::None) => Ok(None),
            None => shards::choose(self.shards, &variable).map_err(Error::Request),
        }
    }

    /// Whether something is said that only a shard understands.
    pub(super) fn speaks_of_files(&self) -> bool {
        self.resume || self.fresh
    }
}

/// Runs the shard.
pub(super) fn run(
    arguments: &ShardArguments,
    options: &Options,
    chosen: &Chosen,
    folder: Option<&PathBuf>,
) -> Result<u8, Error> {
    let Chosen { shard, by } = chosen;
    let Some(folder) = folder else {
        return Err(Error::Request(format!(
            "this is shard {shard}, as {by} says: say in which folder its file goes (--out DIR), or --shard \
             none"
        )));
    };
    if folder.is_file() {
        return Err(Error::Request(format!(
            "{} is a file, and the file of a shard goes into a folder",
            folder.display()
        )));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register(signal, Arc::clone(&stop))?;
    }
    let bar = Bar::for_cases();
    let is_fresh = arguments.fresh;
    let ending = shards::run(options, *shard, folder, is_fresh, &stop, &mut |at| {
        if at.done == at.before {
            bar.begin_cases(at.done, at.cases);
        }
        bar.show_cases(at.done, at.cases, at.found, at.broken);
        if stop.load(Ordering::Relaxed) {
            bar.show_ending();
        }
    });
    bar.finish();
    let ending = ending?;
    let progress = ending.progress;
    let end = if ending.is_complete {
        "complete"
    } else {
        "interrupted, run it again to go on"
    };
    tolerate(writeln!(
        io::stdout(),
        "shard {shard} ({by}): {end}: {} of {} cases, {} of them from before; {} found, {} promises broken\n{}",
        progress.done,
        progress.cases,
        progress.before,
        progress.found,
        progress.broken,
        ending.path.display()
    ))?;
    Ok(if ending.is_complete {
        0
    } else {
        EXIT_INTERRUPTED
    })
}
