//! `cargo xtask tidy`: the house rules, as functions over the tree of files.
//!
//! The same rules run as an ordinary test of this crate. Each rule has a test with a planted
//! violation, because a rule that cannot fail says nothing. Rules read; they never repair.

mod arrows;
mod pages;
mod shape;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::{Package, Workspace};

/// What the rules look at.
pub(crate) struct House {
    files: Vec<File>,
    packages: Vec<Package>,
}

/// A text file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// A broken rule, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

type Rule = fn(&House) -> Vec<Violation>;

const RULES: &[Rule] = &[
    shape::files_say_what_they_are,
    shape::no_mod_rs,
    shape::no_catch_all_modules,
    shape::files_are_short,
    shape::lines_are_short,
    words::nothing_is_silenced,
    words::tests_do_not_sleep,
    words::no_machine_is_named,
    arrows::arrows_point_down,
    arrows::the_core_stays_small,
    pages::the_map_names_every_crate,
    pages::invariants_are_described,
    pages::the_readme_begins_with_its_commands,
];

/// Directories that hold no text of ours.
const SKIPPED: &[&str] = &[".git", "target", "artifacts", "corpus", "__pycache__"];

/// Checks every rule.
///
/// # Errors
/// When one is broken; all violations are printed first.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let house = House::read(&workspace.root)?;
    let violations = house.violations();
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: {} rules hold over {} files", RULES.len(), house.files.len());
        return Ok(());
    }
    bail!("{} house rules broken", violations.len())
}

impl House {
    /// Every text file under the root, and the packages that cargo knows.
    fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(root, root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let packages = Workspace::describe(&root.join("Cargo.toml"))?.packages;
        Ok(Self { files, packages })
    }

    fn violations(&self) -> Vec<Violation> {
        let mut found: Vec<_> = RULES.iter().flat_map(|rule| rule(self)).collect();
        found.sort();
        found
    }

    /// The files with that ending.
    fn ending(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    /// The text of a page, or that it is missing.
    fn page(&self, path: &str) -> Result<&str, Violation> {
        match self.files.iter().find(|file| file.path == path) {
            Some(file) => Ok(&file.text),
            None => Err(Violation { path: path.to_owned(), line: 0, what: "is missing".into() }),
        }
    }
}

impl File {
    fn violation(&self, line: usize, what: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, what: what.into() }
    }

    /// The lines, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Adds the text files of a directory; what is not UTF-8 is not text.
fn collect(root: &Path, directory: &Path, files: &mut Vec<File>) -> Result<()> {
    let shown = || directory.display().to_string();
    for entry in std::fs::read_dir(directory).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(shown)?);
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
            collect(root, &path, files)?;
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).unwrap_or(&path);
            files.push(File { path: path.to_string_lossy().replace('\\', "/"), text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A house of these files and no packages.
    pub(super) fn house(files: &[(&str, &str)]) -> House {
        let files = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        House { files, packages: Vec::new() }
    }

    /// The rule finds exactly these, each shown as `path:line: what`.
    pub(super) fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
        let found: Vec<_> = rule(&house(files)).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_house_is_tidy() {
        let root = Workspace::locate().unwrap().root;
        let violations = House::read(&root).unwrap().violations();
        let shown: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "\n{}", shown.join("\n"));
    }

    #[test]
    fn the_tree_is_read() {
        let house = House::read(&Workspace::locate().unwrap().root).unwrap();
        assert!(house.files.iter().any(|file| file.path == "xtask/src/tidy.rs"));
        assert!(house.packages.iter().any(|package| package.name == "transfer-core"));
        assert!(house.files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
