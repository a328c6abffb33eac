//! The source files of a crate, from its root along `mod` declarations.
//!
//! Called once for each root, on one thread. A file is read and parsed once for each place in the tree of modules
//! that names it. Invariant: a file that cannot be read or parsed is in `unparsed`, with its reason; nothing is left
//! out in silence. A module whose file is absent is no fault where a condition may leave it out, and is noted.
//! Deliberately absent: `include!`, which is noted and not followed, and files that a build script writes.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use super::conditions::level;
use super::model::{ModuleId, Note, Program, UnitId};
use super::scan;

/// A file to be read.
pub(super) struct Job {
    pub(super) file: PathBuf,
    /// Where its modules without a `path` are.
    pub(super) children: PathBuf,
    pub(super) module: ModuleId,
    pub(super) conditions: Vec<String>,
    pub(super) is_in_macro: bool,
    /// The files that lead here, itself not among them.
    pub(super) trail: Vec<PathBuf>,
}

/// How names of files are told: the directory they are told from, and what is put before.
pub(super) struct Naming<'a> {
    pub(super) workspace: &'a Path,
    pub(super) package: &'a Path,
    /// For a package from elsewhere, as `name-version`.
    pub(super) label: String,
}

impl Naming<'_> {
    pub(super) fn tell(&self, file: &Path) -> String {
        if let Ok(inside) = file.strip_prefix(self.workspace) {
            return inside.display().to_string();
        }
        match file.strip_prefix(self.package) {
            Ok(inside) => format!("{}/{}", self.label, inside.display()),
            Err(_) => file.display().to_string(),
        }
    }
}

/// Reads a crate from its root, and says after each file how many are read and how many are known.
pub(super) fn read(
    program: &mut Program,
    unit: UnitId,
    root: &Path,
    naming: &Naming<'_>,
    progress: &mut dyn FnMut(usize, usize),
) {
    let directory = root.parent().unwrap_or(Path::new(""));
    let mut jobs = VecDeque::from([Job {
        file: root.to_path_buf(),
        children: directory.to_path_buf(),
        module: program.units[unit].root,
        conditions: Vec::new(),
        is_in_macro: false,
        trail: Vec::new(),
    }]);
    while let Some(job) = jobs.pop_front() {
        read_file(program, unit, &job, naming, &mut jobs);
        progress(program.files.len(), program.files.len() + jobs.len());
    }
}

fn read_file(
    program: &mut Program,
    unit: UnitId,
    job: &Job,
    naming: &Naming<'_>,
    jobs: &mut VecDeque<Job>,
) {
    let name = naming.tell(&job.file);
    let file = program.files.len();
    program.files.push(name.clone());
    let parsed = fs::read_to_string(&job.file)
        .map_err(|error| (0, error.to_string()))
        .and_then(|text| {
            parse(&text).map_err(|error| (error.span().start().line, error.to_string()))
        });
    match parsed {
        Ok(parsed) => {
            if job.trail.is_empty()
                && let Some(level) = level(&parsed.attrs)
            {
                program.lints.insert(unit, level);
            }
            scan::scan(program, unit, file, job, &parsed, jobs);
        }
        Err((line, problem)) => {
            program.unparsed.insert((name, line, problem));
        }
    }
}

/// Parses a file. One that fails is tried once more with `dyn` before those traits that editions before 2021 let stand
/// without it and the parser does not: a name with arguments in parentheses, where a type is set equal to it.
fn parse(text: &str) -> syn::Result<syn::File> {
    syn::parse_file(text).or_else(|error| {
        let mut dated = text.to_string();
        for name in ["Fn", "FnMut", "FnOnce"] {
            dated = dated.replace(&format!("= {name}("), &format!("= dyn {name}("));
        }
        syn::parse_file(&dated).map_err(|_| error)
    })
}

/// Where the file of a module is looked for.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) paths: &'a [String],
    /// Whether one of the paths holds in every build.
    pub(super) is_certain: bool,
    /// The inline modules around the declaration, from the file down.
    pub(super) inline: &'a [String],
}

impl Wanted<'_> {
    /// Files, each with the directory where its own modules are.
    pub(super) fn candidates(&self, job: &Job) -> Vec<(PathBuf, PathBuf)> {
        let mut nested = job.children.clone();
        nested.extend(self.inline);
        let beside = if self.inline.is_empty() {
            job.file.parent().map(Path::to_path_buf).unwrap_or_default()
        } else {
            nested.clone()
        };
        let mut found: Vec<(PathBuf, PathBuf)> = self
            .paths
            .iter()
            .map(|path| beside.join(path))
            .map(|file| {
                let directory = file.parent().map(Path::to_path_buf);
                (file, directory.unwrap_or_default())
            })
            .collect();
        if !self.is_certain {
            let own = nested.join(self.name);
            found.push((nested.join(format!("{}.rs", self.name)), own.clone()));
            found.push((own.join("mod.rs"), own));
        }
        found
    }
}

/// Notes a module that has no file: a fault, unless a condition or a macro may leave it out.
pub(super) fn miss(
    program: &mut Program,
    file: usize,
    line: usize,
    name: &str,
    may_be_absent: bool,
) {
    let file = program.files[file].clone();
    if may_be_absent {
        program.notes.push(Note {
            file,
            line,
            text: format!("module {name} has no file, under a condition"),
        });
    } else {
        let problem = format!("module {name} has no file");
        program.unparsed.insert((file, line, problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trait_objects_of_old_editions_are_read() {
        assert!(syn::parse_file("type Action = Fn(&u32) + Send;").is_err());
        assert_eq!(
            parse("type Action = Fn(&u32) + Send;\nfn f() {}")
                .unwrap()
                .items
                .len(),
            2
        );
        let error = parse("\nfn f( {}").err().unwrap();
        assert_eq!(error.span().start().line, 2);
    }
}
