//! Rounds of children, and what they found.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use peers::Workload;
use serde_json::Value;

use crate::roster::{Entrant, OURS};

/// What is to be measured.
pub struct Plan {
    /// Where the binaries are.
    pub folder: PathBuf,
    /// Who takes part.
    pub roster: Vec<Entrant>,
    /// In what.
    pub workloads: Vec<Workload>,
    /// Rounds.
    pub runs: usize,
    /// Small sizes.
    pub is_quick: bool,
}

impl Plan {
    /// A child that takes longer is ended, and its peer left out of the row.
    fn limit(&self) -> Duration {
        Duration::from_secs(if self.is_quick { 10 } else { 60 })
    }

    /// A child that takes longer runs in the first round alone.
    fn patience(&self) -> Duration {
        Duration::from_secs_f64(if self.is_quick { 1.0 } else { 12.0 })
    }
}

/// One figure of one peer.
pub struct Measured {
    /// Of what.
    pub workload: &'static str,
    /// Whose.
    pub peer: &'static str,
    /// What of the workload.
    pub metric: String,
    /// Unit of the values.
    pub unit: String,
    /// One value a run.
    pub values: Vec<f64>,
}

impl Measured {
    /// The middle value, or the mean of the two middle ones.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        }
    }

    /// Whether more is better.
    fn grows(&self) -> bool {
        self.unit == "1/s"
    }
}

/// All that was measured.
#[derive(Default)]
pub struct Results {
    /// Figures, by workload, peer and metric in the order of their first appearance.
    pub figures: Vec<Measured>,
    /// Workload, peer, and why there is no figure.
    pub left_out: Vec<(&'static str, &'static str, String)>,
    /// Whose checksum differs from Softfail's, in what.
    pub disagreements: Vec<String>,
}

impl Results {
    /// Runs everything: workload by workload, round by round, peer by peer.
    pub fn measure(plan: &Plan) -> Results {
        let mut results = Results::default();
        for workload in &plan.workloads {
            eprintln!("{}", workload.name());
            let mut checksum = None;
            let mut is_out = vec![false; plan.roster.len()];
            for round in 0..plan.runs {
                for (entrant, is_out) in plan.roster.iter().zip(&mut is_out) {
                    let is_entered = entrant.only.is_empty() || entrant.only.contains(workload);
                    if *is_out || !is_entered {
                        continue;
                    }
                    let started = Instant::now();
                    let line = child(plan, entrant, *workload);
                    let is_slow = started.elapsed() > plan.patience();
                    *is_out = match line.and_then(|line| {
                        results.take(*workload, entrant.name, &line, &mut checksum)
                    }) {
                        Ok(()) => is_slow && entrant.name != OURS,
                        Err(reason) => {
                            if round == 0 {
                                results
                                    .left_out
                                    .push((workload.name(), entrant.name, reason));
                            }
                            true
                        }
                    };
                }
            }
        }
        results
    }

    /// Files one child's line.
    fn take(
        &mut self,
        workload: Workload,
        peer: &'static str,
        line: &Value,
        checksum: &mut Option<String>,
    ) -> Result<(), String> {
        if let Some(reason) = line["lacks"].as_str() {
            return Err(reason.to_owned());
        }
        let found = line["checksum"].as_str().unwrap_or("none");
        let expected = checksum.get_or_insert_with(|| found.to_owned());
        if found != expected {
            let wrong = format!(
                "{}: {peer} computes {found}, the first peer {expected}",
                workload.name()
            );
            self.disagreements.push(wrong.clone());
            return Err(format!("checksum differs: {wrong}"));
        }
        for figure in line["figures"].as_array().into_iter().flatten() {
            let text = |key: &str| figure[key].as_str().unwrap_or("?").to_owned();
            self.add(
                workload,
                peer,
                text("metric"),
                text("unit"),
                &figure["value"],
            );
        }
        let (metric, unit) = ("peak memory".to_owned(), "MiB".to_owned());
        self.add(workload, peer, metric, unit, &line["peak_mib"]);
        Ok(())
    }

    fn add(
        &mut self,
        workload: Workload,
        peer: &'static str,
        metric: String,
        unit: String,
        value: &Value,
    ) {
        let workload = workload.name();
        let value = value.as_f64().unwrap_or(f64::NAN);
        let known = self.figures.iter_mut().find(|figure| {
            figure.workload == workload && figure.peer == peer && figure.metric == metric
        });
        match known {
            Some(figure) => figure.values.push(value),
            None => self.figures.push(Measured {
                workload,
                peer,
                metric,
                unit,
                values: vec![value],
            }),
        }
    }

    /// A figure.
    pub fn find(&self, workload: &str, peer: &str, metric: &str) -> Option<&Measured> {
        self.figures.iter().find(|figure| {
            figure.workload == workload && figure.peer == peer && figure.metric == metric
        })
    }

    /// How many times better Softfail is than a peer in what a figure of the peer's says.
    pub fn ratio(&self, of: &Measured) -> Option<f64> {
        let ours = self.find(of.workload, OURS, &of.metric)?.median();
        let theirs = of.median();
        Some(if of.grows() {
            ours / theirs
        } else {
            theirs / ours
        })
    }
}

/// Runs one child to its end, or to the limit, and reads its line.
fn child(plan: &Plan, entrant: &Entrant, workload: Workload) -> Result<Value, String> {
    let program = plan.folder.join(entrant.program);
    if !program.exists() {
        return Err("not built".into());
    }
    let mut child = Command::new(program)
        .args([
            workload.name(),
            if plan.is_quick { "quick" } else { "full" },
            entrant.variant,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("could not be started: {error}"))?;
    let output = read_within(&mut child, plan.limit());
    if output.is_none() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("lost: {error}"))?;
    let Some(output) = output else {
        return Err(format!("took longer than {} s", plan.limit().as_secs()));
    };
    if !status.success() {
        return Err(format!("ended with {status}"));
    }
    serde_json::from_str(&output).map_err(|error| format!("printed no figures: {error}"))
}

/// What a child prints until it closes its output, if that is in time.
fn read_within(child: &mut Child, limit: Duration) -> Option<String> {
    let mut stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = String::new();
        let read = stdout.read_to_string(&mut output);
        // Nobody listens any more after the limit.
        let _ = sender.send(read.map(|_| output));
    });
    receiver.recv_timeout(limit).ok()?.ok()
}
