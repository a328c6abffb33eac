//! `gc-stress campaign` and the child that it starts: arguments, and reports while it runs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gc_core::{Check, CheckLevel};

use super::{EXIT_USAGE, shard, tolerate};
use crate::campaign::{self, Options, Tally, docs, report};
use crate::error::Error;
use crate::progress::Bar;

/// A promise was broken.
const EXIT_BROKEN: u8 = 10;
/// A check looked away, and nobody missed it.
const EXIT_UNMISSED: u8 = 11;

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 every promise was kept, 10 a promise was broken \
(with --blind: as it must be), 11 with --blind: no promise was broken without that check, 64 usage, 70 \
internal error. Of a shard: 0 its file is complete, whatever was found (`gc-stress merge` says that), 64 usage, \
65 its file is malformed, of another run or by another build, 70 internal error, 75 interrupted, or another \
process is writing the file: run it again, it goes on.";

#[derive(Args)]
pub(super) struct Arguments {
    /// The numbers of the cases, as 0..2000; the end is not one of them.
    #[arg(long, value_name = "A..B", default_value = "0..2000", value_parser = range)]
    cases: Range<u64>,
    /// Only these levels, by commas: lax, default, paranoid.
    #[arg(long, value_name = "LEVELS", value_delimiter = ',')]
    levels: Vec<CheckLevel>,
    /// Only these faults, by commas; `--list` shows their names.
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    classes: Vec<String>,
    /// Children that run at once; without it, one a processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: Option<u64>,
    /// Make this check look away, in the cases whose faults it finds.
    #[arg(long, value_name = "CHECK", value_parser = check)]
    blind: Option<Check>,
    /// Where all cases come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that a child may be silent.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
    #[command(flatten)]
    shard: shard::ShardArguments,
    /// Write to this file instead of standard output; of a shard, the folder that its file goes into.
    #[arg(long, value_name = "FILE or DIR")]
    out: Option<PathBuf>,
    /// Write JSON lines, and nothing else.
    #[arg(long)]
    json: bool,
    /// Write the page of measured rates.
    #[arg(long, value_name = "FILE")]
    write_docs: Option<PathBuf>,
    /// Fail when the page speaks of other faults or other promises than this build.
    #[arg(long, value_name = "FILE")]
    check_docs: Option<PathBuf>,
    /// List the faults, and run nothing.
    #[arg(long)]
    list: bool,
    /// List the checks, and run nothing.
    #[arg(long)]
    list_checks: bool,
}

impl Arguments {
    fn writes_or_checks_docs(&self) -> bool {
        self.write_docs.is_some() || self.check_docs.is_some()
    }
}

/// What a child is told.
#[derive(Args)]
pub(super) struct ChildArguments {
    case: u64,
    #[arg(long)]
    seed: u64,
    #[arg(long, value_parser = check)]
    blind: Option<Check>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..");
    let number = |text: &str| text.parse::<u64>().ok();
    match ends.and_then(|(from, to)| Some(number(from)?..number(to)?)) {
        Some(range) if range.start < range.end => Ok(range),
        _ => Err("write two numbers, the first below the second, as 0..2000".to_string()),
    }
}

fn check(text: &str) -> Result<Check, String> {
    Check::from_id(text).ok_or_else(|| {
        let ids: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
        format!("choose one of {}", ids.join(", "))
    })
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    if arguments.list || arguments.list_checks {
        return list(arguments);
    }
    let options = Options {
        seed: arguments.seed,
        cases: arguments.cases.clone(),
        levels: arguments.levels.clone(),
        faults: arguments.classes.clone(),
        jobs: arguments
            .jobs
            .map_or_else(campaign::jobs, |jobs| jobs as usize),
        blind: arguments.blind,
        deadline: Duration::from_secs(arguments.deadline),
        program: std::env::current_exe()?,
        is_apart: false,
    };
    if let Some(name) = campaign::unknown_fault(&options) {
        let names = campaign::faults().join(", ");
        eprintln!("error: `{name}` is no fault: choose among {names}");
        return Ok(EXIT_USAGE);
    }
    match arguments.shard.chosen()? {
        Some(_) if arguments.json || arguments.writes_or_checks_docs() => {
            Err(Error::Request(
                "a shard writes its file and nothing else: --json, --write-docs and --check-docs are for a \
                 campaign that is not cut (--shard none)"
                    .to_string(),
            ))
        }
        Some(chosen) => {
            let options = Options {
                is_apart: true,
                ..options
            };
            shard::run(&arguments.shard, &options, &chosen, arguments.out.as_ref())
        }
        None if arguments.shard.speaks_of_files() => Err(Error::Request(
            "--resume and --fresh are about the file of a shard: say which with --shard I/N, as 0/1"
                .to_string(),
        )),
        None => run_whole(arguments, &options),
    }
}

/// Where reports go.
fn output(arguments: &Arguments) -> Result<Box<dyn Write>, Error> {
    Ok(match &arguments.out {
        Some(path) if path.is_dir() => {
            return Err(Error::Request(format!(
                "{} is a folder, where files of shards go: say --shard I/N, as 0/1",
                path.display()
            )));
        }
        Some(path) => Box::new(BufWriter::new(File::create(path)?)),
        None => Box::new(io::stdout().lock()),
    })
}

fn list(arguments: &Arguments) -> Result<u8, Error> {
    let mut out = output(arguments)?;
    tolerate(if arguments.list {
        docs::write_list(&mut out)
    } else {
        docs::write_checks(&mut out)
    })?;
    tolerate(out.flush())?;
    Ok(0)
}

/// Runs a campaign that is not cut.
fn run_whole(arguments: &Arguments, options: &Options) -> Result<u8, Error> {
    let mut out = output(arguments)?;
    let tally = run_cases(arguments, options, &mut out)?;
    tolerate(out.flush())?;
    if let Some(path) = &arguments.write_docs {
        fs::write(path, docs::page(options, &tally))?;
    }
    if let Some(path) = &arguments.check_docs {
        let differences = docs::differences(&fs::read_to_string(path)?);
        for difference in &differences {
            eprintln!("error: {}: {difference}", path.display());
        }
        if !differences.is_empty() {
            return Ok(EXIT_BROKEN);
        }
    }
    let is_broken = !tally.breaches().is_empty();
    Ok(match (is_broken, options.blind) {
        (true, _) => EXIT_BROKEN,
        (false, None) => 0,
        (false, Some(_)) => EXIT_UNMISSED,
    })
}

fn run_cases(
    arguments: &Arguments,
    options: &Options,
    out: &mut dyn Write,
) -> Result<Tally, Error> {
    let bar = if arguments.json && arguments.out.is_none() {
        Bar::hidden()
    } else {
        Bar::for_cases()
    };
    let (mut done, mut found, mut broken) = (0, 0, 0);
    let tally = campaign::run(options, &mut |cases, case, verdict| {
        done += 1;
        found += u64::from(verdict.is_found);
        broken += u64::from(verdict.breach.is_some());
        bar.show_cases(done, cases as u64, found, broken);
        if arguments.json {
            tolerate(report::write_case(out, case, verdict))?;
        }
        Ok(())
    });
    bar.finish();
    let tally = tally?;
    tolerate(if arguments.json {
        report::write_end(out, options, &tally)
    } else {
        report::write_table(out, &tally)
    })?;
    Ok(tally)
}

/// Runs one case. Everything that goes wrong here goes to the judge as it comes.
pub(super) fn run_child(arguments: &ChildArguments) -> Result<u8, Error> {
    let mut out = BufWriter::new(io::stdout().lock());
    campaign::run_child(arguments.seed, arguments.case, arguments.blind, &mut out)?;
    out.flush()?;
    Ok(0)
}
