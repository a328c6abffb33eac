//! The child: one workload on one peer, its figures as one JSON line on standard output.
//!
//! `peer-x WORKLOAD quick|full VARIANT`. The line holds either `lacks`, why the peer cannot, or `checksum`, `peak_mib` and
//! `figures`.

use std::env;
use std::thread;

use serde_json::{Value, json};

use crate::peer::{Peer, Variant};
use crate::size::Size;
use crate::workloads::{Outcome, Workload, resident_kib};

/// Of the thread that works: trees are walked by recursion, and some peers mark and drop so too.
pub const STACK_BYTES: usize = 1 << 30;

/// Runs the workload that the command line names. Exits 0 with a line, 2 on a command line it does not know.
pub fn main<P: Peer>() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let worker = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || child::<P>(&arguments));
    let line = worker
        .map_err(|error| error.to_string())
        .and_then(|worker| {
            worker
                .join()
                .map_err(|_| "the workload panicked".to_owned())
        })
        .and_then(|line| line);
    match line {
        Ok(line) => {
            println!("{line}");
            // Heaps are not torn down: no figure contains it, and some peers would walk all of it.
            std::process::exit(0);
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    }
}

fn child<P: Peer>(arguments: &[String]) -> Result<Value, String> {
    let [workload, size, variant] = arguments else {
        return Err("usage: WORKLOAD quick|full VARIANT".into());
    };
    let workload: Workload = workload.parse()?;
    let variant = match variant.as_str() {
        "default" => Variant::Default,
        "background" => Variant::Background,
        "two-collectors" => Variant::TwoCollectors,
        "incremental" => Variant::Incremental,
        "generational" => Variant::Generational,
        "lax" => Variant::Lax,
        other => return Err(format!("no variant {other}")),
    };
    let size = if size == "quick" {
        Size::QUICK
    } else {
        Size::FULL
    };
    if let Some(reason) = P::lacks(workload) {
        return Ok(json!({ "lacks": reason }));
    }
    Ok(line(&workload.run::<P>(&size, variant)))
}

fn line(outcome: &Outcome) -> Value {
    let figures: Vec<Value> = outcome
        .figures
        .iter()
        .map(
            |figure| json!({ "metric": figure.metric, "unit": figure.unit, "value": figure.value }),
        )
        .collect();
    json!({
        // As text: JSON's numbers are exact to 53 bits in some readers.
        "checksum": outcome.checksum.to_string(),
        "peak_mib": resident_kib("VmHWM:") / 1024.0,
        "figures": figures,
    })
}
