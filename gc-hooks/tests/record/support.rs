//! Directories, children and violations for the tests of the record.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio, exit};

use gc_hooks::{Address, Check, HealthRecord, Hooks, Origin, Phase, Policy, Violation};

/// Names the record, in a child.
const CHILD_VARIABLE: &str = "GC_HOOKS_RECORD_CHILD";

/// A path for a record in an empty directory of its own.
pub fn fresh(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory.join("heap.record")
}

pub fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// A heap's hooks that write to this record, and never abort.
pub fn hooks(path: &Path) -> Hooks {
    let record = HealthRecord::create(path, "tested").unwrap();
    Hooks::with_record(Policy::COUNT, record)
}

/// A violation all of whose fields follow from a number.
pub fn violation(number: u32) -> Violation {
    Violation::new(Check::ALL[number as usize % Check::COUNT])
        .with_cycle(number)
        .with_phase(Phase::Mark)
        .with_address(Address::Offset(u64::from(number) << 4))
        .with_span(number / 2)
        .with_slot(number / 3)
        .with_type_name("tested::Node")
        .with_origin(Origin::BarrierOld)
        .with_number("number", u64::from(number))
        .with_number("twice", 2 * u64::from(number))
        .with_number("complement", u64::from(!number))
}

/// As it prints with its sequence number.
pub fn printed(number: u32, sequence: u64) -> String {
    let violation = Violation {
        sequence,
        ..violation(number)
    };
    violation.to_string()
}

/// In the child: the record's path.
pub fn is_child() -> Option<PathBuf> {
    env::var_os(CHILD_VARIABLE).map(PathBuf::from)
}

fn command(test: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD_VARIABLE, path)
        .stdin(Stdio::null());
    command
}

/// In the child: does the deed and ends. In the parent: runs the child and gives what became of it.
pub fn in_child(test: &str, path: &Path, deed: impl FnOnce(&Path)) -> Output {
    if let Some(path) = is_child() {
        deed(&path);
        // Nothing is dropped that the deed has not dropped.
        exit(0);
    }
    command(test, path).output().unwrap()
}

/// A child whose standard output is read while it runs.
pub fn spawn(test: &str, path: &Path) -> Child {
    command(test, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
