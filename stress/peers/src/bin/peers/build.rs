//! Builds the children: the peers' binaries by cargo, the C program by `cc`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the C program's source, and of this package.
pub const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// Builds everything and answers with the folder of the binaries. The C program may be missing there.
pub fn all() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let target = own
        .parent()
        .and_then(Path::parent)
        .ok_or("this program is not in a target folder")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    eprintln!("building the peers");
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--bins", "--quiet"])
        .arg("--manifest-path")
        .arg(Path::new(PACKAGE).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !built.success() {
        return Err("the peers do not build".into());
    }
    let folder = target.join("release");
    build_c(&folder);
    Ok(folder)
}

/// Compiles the program for bdwgc, or says why it is left out.
fn build_c(folder: &Path) {
    let program = folder.join("peer-bdwgc");
    // One of an earlier build may not fit the sources.
    let _ = std::fs::remove_file(&program);
    let compiled = Command::new("cc")
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-o"])
        .arg(&program)
        .arg(Path::new(PACKAGE).join("c/bdwgc.c"))
        .arg("-lgc")
        .stderr(Stdio::null())
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("bdwgc is left out: its program does not compile (is libgc-dev there?)");
    }
}
