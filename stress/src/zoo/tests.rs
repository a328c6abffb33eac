//! What every scenario promises.

use super::*;

fn request(seed: u64, level: CheckLevel, is_buggy: bool) -> Request {
    Request {
        seed,
        is_buggy,
        checks: level.into(),
        policy: Policy::COUNT,
    }
}

#[test]
fn explore() {
    let begun = std::time::Instant::now();
    for scenario in SCENARIOS {
        for is_buggy in [true, false] {
            for level in CheckLevel::ALL {
                let mut all = std::collections::BTreeMap::<String, Vec<u64>>::new();
                let seeds = if scenario.name == "makefunc" { 1..=1 } else { 1..=12 };
                for seed in seeds {
                    let seen = run(scenario, &request(seed, *level, is_buggy)).unwrap();
                    let first = seen.outcome.first().map(|met| (met.check, met.first.unwrap().origin));
                    let text = format!("{first:?} {:?} lost {} skipped {:?} ledger {}",
                        seen.outcome.violations, seen.outcome.lost.len(),
                        seen.outcome.skipped.iter().map(|at| crate::ops::op_text(&seen.trace.program.ops[*at], &seen.trace.program.kinds)).collect::<Vec<_>>(), seen.outcome.is_ledger_balanced);
                    all.entry(text).or_default().push(seed);
                }
                println!("{} {} {level} {:?} {}", scenario.name, if is_buggy { "buggy" } else { "fixed" }, all, begun.elapsed().as_millis());
            }
        }
    }
}
