//! `peers`: starts every workload on every peer, in turn, and compares.
//!
//! Exits 0 when all ran, whether or not goals were met; 1 when a child could not be built or two peers disagree about a
//! checksum; 2 on a wrong command line.

mod build;
mod goals;
mod machine;
mod roster;
mod run;
mod table;

use std::process::ExitCode;

use clap::Parser;
use peers::Workload;

use crate::run::{Plan, Results};

/// Softfail beside what else one might use.
#[derive(Parser)]
struct Arguments {
    /// Small sizes: about two minutes. Goals are set for the full ones.
    #[arg(long)]
    quick: bool,
    /// One JSON object a line on standard output; everything else goes to standard error.
    #[arg(long)]
    json: bool,
    /// Only this workload; may be given several times.
    #[arg(long, value_name = "WORKLOAD")]
    only: Vec<Workload>,
    /// Only these peers (and `softfail`); may be given several times.
    #[arg(long, value_name = "PEER")]
    peer: Vec<String>,
    /// Rounds; each runs every peer once.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all peers agree.
fn compare(arguments: &Arguments) -> Result<bool, String> {
    let folder = build::all()?;
    let mut roster = roster::all();
    if !arguments.peer.is_empty() {
        if let Some(wrong) = arguments
            .peer
            .iter()
            .find(|name| roster.iter().all(|peer| peer.name != name.as_str()))
        {
            let names: Vec<_> = roster.iter().map(|peer| peer.name).collect();
            return Err(format!("no peer {wrong}; there are {}", names.join(", ")));
        }
        roster.retain(|peer| {
            peer.name == roster::OURS || arguments.peer.iter().any(|name| name == peer.name)
        });
    }
    let workloads: Vec<_> = Workload::ALL
        .into_iter()
        .filter(|workload| arguments.only.is_empty() || arguments.only.contains(workload))
        .collect();
    let plan = Plan {
        folder,
        roster,
        workloads,
        runs: arguments.runs.max(1),
        is_quick: arguments.quick,
    };
    let machine = machine::describe(&plan.folder);
    // Figures without their machine say nothing, so the table has it; JSON lines have room for figures alone.
    if arguments.json {
        eprintln!("{machine}");
    } else {
        println!("{machine}");
    }
    let results = Results::measure(&plan);
    if arguments.json {
        print!("{}", table::json_lines(&results));
        eprint!("{}", table::left_out(&results));
        eprint!("{}", goals::table(&results));
    } else {
        println!("{}", table::ratios(&plan, &results));
        print!("{}", table::left_out(&results));
        print!("{}", goals::table(&results));
        if plan.is_quick {
            println!("\nThe goals are set for the full sizes; these were the small ones.");
        }
    }
    for wrong in &results.disagreements {
        eprintln!("peers: {wrong}");
    }
    Ok(results.disagreements.is_empty())
}
