//! One source file, turned into modules, nodes, mentions and places of unsafe code.
//!
//! Called by `source` for each file. `visit` walks the syntax tree; here is what it fills. The invariant: every
//! token of the file is either syntax that is walked or inside a macro, whose tokens are searched for names and for
//! the word `unsafe`. Items inside functions are declared in the module around: more is visible than in truth.

use std::collections::VecDeque;
use std::path::PathBuf;

use proc_macro2::{Ident, Span, TokenStream};
use syn::visit::Visit;
use syn::{Attribute, File, ItemMod, UseTree, Visibility};

use super::conditions::{alarms, conditions, is_exported, is_for_tests, is_test, paths};
use super::model::{
    Def, HolderId, Item, Kind, Mention, ModuleId, Node, NodeId, Note, Program, Route, Sort, UnitId,
    plain,
};
use super::source::{Job, Wanted, miss};
use super::tokens::Words;

mod visit;

/// Reads one file into the program, and queues the files of its modules.
pub(super) fn scan(
    program: &mut Program,
    unit: UnitId,
    file: usize,
    job: &Job,
    parsed: &File,
    jobs: &mut VecDeque<Job>,
) {
    let mut conditions = job.conditions.clone();
    conditions.extend(self::conditions(&parsed.attrs));
    let is_for_tests = conditions.iter().any(|one| self::is_for_tests(one));
    let node = program.modules[job.module].node;
    program.nodes[node].is_for_tests |= is_for_tests;
    let mut scanner = Scanner {
        program,
        unit,
        file,
        job,
        jobs,
        module: job.module,
        node,
        holder: None,
        conditions,
        inline: Vec::new(),
        is_in_macro: job.is_in_macro,
        are_alarms_taken: false,
    };
    scanner.visit_file(parsed);
}

struct Scanner<'a> {
    program: &'a mut Program,
    unit: UnitId,
    file: usize,
    job: &'a Job,
    jobs: &'a mut VecDeque<Job>,
    module: ModuleId,
    /// Whose mentions are being read.
    node: NodeId,
    holder: Option<HolderId>,
    conditions: Vec<String>,
    /// The inline modules around.
    inline: Vec<String>,
    is_in_macro: bool,
    /// Whether unsafe code was told already, token by token.
    are_alarms_taken: bool,
}

impl Scanner<'_> {
    /// A new node in the module and holder of the moment, unknown by name as yet.
    fn add(&mut self, name: String, kind: Kind, attributes: &[Attribute]) -> NodeId {
        let own = conditions(attributes);
        let mut conditions = self.conditions.iter().chain(&own);
        let node = Node {
            module: self.module,
            name,
            kind,
            holder: self.holder,
            mentions: Vec::new(),
            is_public: false,
            is_exported: is_exported(attributes),
            is_test: is_test(attributes),
            is_for_tests: conditions.any(|one| is_for_tests(one)),
        };
        self.program.nodes.push(node);
        self.program.nodes.len() - 1
    }

    /// A new node under its name in the module.
    fn declare(
        &mut self,
        ident: &Ident,
        kind: Kind,
        attributes: &[Attribute],
        visibility: &Visibility,
    ) -> NodeId {
        let name = plain(ident);
        let node = self.add(name.clone(), kind, attributes);
        self.program.nodes[node].is_public = matches!(visibility, Visibility::Public(_));
        self.program.define(self.module, &name, Def::Node(node));
        node
    }

    /// Reads what belongs to a node, and goes back to the one before.
    fn within(&mut self, node: NodeId, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.node, node);
        self.under(attributes, |scanner| {
            for span in alarms(attributes) {
                scanner.found(Sort::Attribute, span);
            }
            read(scanner);
        });
        self.node = outer;
    }

    /// Reads what a condition in these attributes covers.
    fn under(&mut self, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        let outside = self.conditions.len();
        self.conditions.extend(conditions(attributes));
        read(self);
        self.conditions.truncate(outside);
    }

    fn mention(&mut self, mention: Mention) {
        let mentions = &mut self.program.nodes[self.node].mentions;
        // A list without repetitions is made once it is whole; neighbours are dropped at once.
        if mentions.last() != Some(&mention) {
            mentions.push(mention);
        }
    }

    fn found(&mut self, sort: Sort, span: Span) {
        if self.are_alarms_taken && sort != Sort::Macro {
            return;
        }
        self.program.items.push(Item {
            node: self.node,
            module: self.module,
            sort,
            file: self.file,
            line: span.start().line,
            conditions: self.conditions.clone(),
            is_in_macro: self.is_in_macro || sort == Sort::Macro,
        });
    }

    /// Every path, method and alarm among tokens that no grammar fits.
    fn read_tokens(&mut self, tokens: &TokenStream) {
        let words = Words::of(tokens);
        if !self.are_alarms_taken {
            for span in words.alarms {
                self.found(Sort::Macro, span);
            }
        }
        for mention in words.mentions {
            self.mention(mention);
        }
        for name in words.definitions {
            self.program.loose.push((name.clone(), self.node));
            self.program
                .define(self.module, &name, Def::Node(self.node));
        }
    }

    fn note(&mut self, span: Span, text: String) {
        self.program.notes.push(Note {
            file: self.program.files[self.file].clone(),
            line: span.start().line,
            text,
        });
    }

    /// Opens a module, inline or in files that are queued.
    fn open(&mut self, item: &ItemMod) {
        let name = plain(&item.ident);
        self.under(&item.attrs, |scanner| {
            let Some((_, items)) = &item.content else {
                scanner.queue(item, &name);
                return;
            };
            let (module, node) = scanner.add_module(&name);
            let outer = (scanner.module, scanner.node, scanner.holder.take());
            (scanner.module, scanner.node) = (module, node);
            scanner.inline.push(name);
            items.iter().for_each(|item| scanner.visit_item(item));
            scanner.inline.pop();
            (scanner.module, scanner.node, scanner.holder) = outer;
        });
    }

    fn add_module(&mut self, name: &str) -> (ModuleId, NodeId) {
        let place = format!("{}::{name}", self.program.modules[self.module].place);
        let is_for_tests = self.conditions.iter().any(|one| is_for_tests(one));
        let parent = Some(self.module);
        let module = self
            .program
            .add_module(self.unit, parent, place, is_for_tests);
        self.program.define(self.module, name, Def::Module(module));
        (module, self.program.modules[module].node)
    }

    fn queue(&mut self, item: &ItemMod, name: &str) {
        let (paths, is_certain) = paths(&item.attrs);
        let wanted = Wanted {
            name,
            paths: &paths,
            is_certain,
            inline: &self.inline,
        };
        let line = item.ident.span().start().line;
        let mut files = wanted.candidates(self.job);
        files.retain(|(file, _)| file.is_file());
        if files.is_empty() {
            let may_be_absent = !self.conditions.is_empty() || self.is_in_macro;
            miss(self.program, self.file, line, name, may_be_absent);
        }
        for (file, children) in files {
            if self.job.trail.contains(&file) || self.job.file == file {
                let here = self.program.files[self.file].clone();
                let problem = format!("module {name} leads back to a file that it is in");
                self.program.unparsed.insert((here, line, problem));
                continue;
            }
            let (module, _) = self.add_module(name);
            let mut trail: Vec<PathBuf> = self.job.trail.clone();
            trail.push(self.job.file.clone());
            self.jobs.push_back(Job {
                file,
                children,
                module,
                conditions: self.conditions.clone(),
                is_in_macro: self.is_in_macro,
                trail,
            });
        }
    }

    /// Declares what a `use` brings in.
    fn import(&mut self, tree: &UseTree, before: &Route, is_public: bool) {
        let mut route = before.clone();
        match tree {
            UseTree::Path(path) => {
                route.segments.push(plain(&path.ident));
                self.import(&path.tree, &route, is_public);
            }
            UseTree::Group(group) => {
                let trees = group.items.iter();
                trees.for_each(|tree| self.import(tree, &route, is_public));
            }
            UseTree::Glob(_) => {
                self.program.modules[self.module].globs.push(route.clone());
                route.segments.push("*".to_string());
                self.reexport(route, is_public);
            }
            UseTree::Name(name) => self.bring(route, &name.ident, &name.ident, is_public),
            UseTree::Rename(rename) => self.bring(route, &rename.ident, &rename.rename, is_public),
        }
    }

    fn bring(&mut self, mut route: Route, ident: &Ident, name: &Ident, is_public: bool) {
        let mut name = plain(name);
        if ident == "self" {
            // `a::{self}` brings `a`, under its own name unless another is given.
            if name == "self" {
                name = route.segments.last().cloned().unwrap_or_default();
            }
        } else {
            route.segments.push(plain(ident));
        }
        self.program
            .define(self.module, &name, Def::Import(route.clone()));
        self.reexport(route, is_public);
    }

    fn reexport(&mut self, route: Route, is_public: bool) {
        if is_public && self.program.units[self.unit].is_open {
            self.program.reexports.push((self.module, route));
        }
    }
}
