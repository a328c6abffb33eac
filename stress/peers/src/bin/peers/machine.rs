//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::build::PACKAGE;

const LOCK: &str = include_str!("../../../Cargo.lock");

/// Machine, compiler and versions, some lines.
pub fn describe(folder: &Path) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory_gib = value_of("/proc/meminfo", "MemTotal:")
        .trim_end_matches(" kB")
        .parse()
        .map_or(0, |kib: u64| kib >> 20);
    let cpu = value_of("/proc/cpuinfo", "model name")
        .trim_start_matches([':', ' ', '\t'])
        .to_owned();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let rustc = output("rustc", &["--version"]);
    let cc = first_line(&output("cc", &["--version"]));
    let libc = first_line(&output("getconf", &["GNU_LIBC_VERSION"]));
    let revision = output("git", &["-C", PACKAGE, "describe", "--always", "--dirty"]);
    let bdwgc = output(&folder.join("peer-bdwgc").to_string_lossy(), &["version"]);
    let crates = [
        "gc-arena", "gc", "boa_gc", "dumpster", "mimalloc", "bumpalo",
    ];
    let versions = crates
        .map(|name| format!("{name} {}", locked(name)))
        .join(", ");
    format!(
        "machine   {cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}, load {load} before\n\
         compilers {rustc} (fat LTO, one codegen unit), {} (-O2)\n\
         versions  softfail {} ({}), {versions}, bdwgc {}, {}",
        or(&cc, "no cc"),
        locked("gc-core"),
        or(&revision, "not in a checkout"),
        or(&bdwgc, "left out"),
        or(&libc, "a libc without a name"),
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn value_of(path: &str, key: &str) -> String {
    read(path)
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or("?")
        .trim()
        .to_owned()
}

/// What a program prints, or nothing.
fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The text, or what is said where there is none.
fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// The version of a crate in the lock file.
fn locked(name: &str) -> &'static str {
    let head = format!("name = \"{name}\"\nversion = \"");
    LOCK.split_once(&head)
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or("?")
}
