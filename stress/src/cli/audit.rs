//! `gc-stress audit`: its arguments, its bar and its exit codes.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::tolerate;
use crate::error::{EXIT_FOUND, EXIT_MALFORMED, Error};
use crate::progress::Bar;
use crate::reach::report::{self, Detail};
use crate::reach::{self, Audit, Extent, Rules, allow};

/// Exit codes, for the help text.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 no unsafe code can be reached outside the places of the \
list, or no list was given; 10 some can; 64 usage; 65 the list, a manifest or a source file is missing or \
malformed, and what can be told without it is; 70 internal error.";

#[derive(Args)]
pub(super) struct Arguments {
    /// The manifest of a package or a workspace; the nearest one above, unless it is named.
    #[arg(long, value_name = "P")]
    manifest_path: Option<PathBuf>,
    /// One package of the workspace as the entry, instead of what the manifest names.
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    /// The list of places where unsafe code may be reached: one a line, as package::module.
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// Judge packages from outside the workspace by the list, too.
    #[arg(long, requires = "allow")]
    judge_dependencies: bool,
    /// Follow build scripts and procedural macros, which run in the compiler, and what they use.
    #[arg(long)]
    build: bool,
    /// Follow the tests, examples and benches of the entry, and what they use.
    #[arg(long)]
    tests: bool,
    /// Tell every place of every dependency, and every note.
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Write JSON lines, and nothing else, to standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    // A list that cannot be read is told before minutes of work rather than after.
    let rooms = arguments.allow.as_deref().map(allow::read).transpose()?;
    let rules = Rules {
        rooms,
        are_dependencies_judged: arguments.judge_dependencies,
    };
    let extent = Extent {
        manifest: match &arguments.manifest_path {
            Some(path) => path.clone(),
            None => nearest_manifest()?,
        },
        package: arguments.package.clone(),
        with_build: arguments.build,
        with_dev: arguments.tests,
    };
    let bar = if arguments.json {
        Bar::hidden()
    } else {
        Bar::for_files()
    };
    let audited = reach::audit(&extent, &rules, &mut |read, known| {
        bar.show_files(read as u64, known as u64);
    });
    bar.finish();
    let audit = audited?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    tolerate(if arguments.json {
        report::write_json(&mut out, &audit, &rules)
    } else {
        let detail = if arguments.all {
            Detail::All
        } else {
            Detail::Own
        };
        report::write_human(&mut out, &audit, &rules, detail)
    })?;
    tolerate(out.flush())?;
    Ok(exit_code(&audit))
}

/// Where Cargo itself would look.
fn nearest_manifest() -> Result<PathBuf, Error> {
    let directory = std::env::current_dir()?;
    let manifests = directory.ancestors().map(|one| one.join("Cargo.toml"));
    let mut found = manifests.filter(|manifest| manifest.is_file());
    found.next().ok_or_else(|| Error::Malformed {
        file: directory.display().to_string(),
        problem: "no Cargo.toml stands here or above; name one with --manifest-path".to_string(),
    })
}

fn exit_code(audit: &Audit) -> u8 {
    if audit.outside().next().is_some() {
        EXIT_FOUND
    } else if audit.unparsed.is_empty() {
        0
    } else {
        // What was not read may hold anything.
        EXIT_MALFORMED
    }
}
