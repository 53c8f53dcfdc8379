//! Policy files: one that is named, and directories of more.
//!
//! A later file overrides an earlier one, rule by rule: first the file, then each directory's files
//! in the order of their names, without those that begin with a dot and without directories
//! below. A file or directory that is not there overrides nothing.

use crate::check::Check;
use crate::parser;
use crate::rules::Checks;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Policy files cannot be used. The rules that hold go on holding.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The operating system said no.
    #[error("policy file {path} cannot be read: {error}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The text is not one mapping of names to rules.
    #[error("policy file {path} is not a mapping of names to rules: {error}")]
    NotRules {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong there.
        error: serde_yaml_ng::Error,
    },
    /// A rule is neither text nor a list of lists of texts.
    #[error("policy file {path}: rule {rule} is neither text nor a list of lists of text")]
    NotARule {
        /// The file.
        path: PathBuf,
        /// The rule's name.
        rule: String,
    },
    /// A rule would ask a server.
    #[error(
        "policy file {path}: rule {rule} holds {check}, and checks by a remote server are not \
         supported"
    )]
    Remote {
        /// The file.
        path: PathBuf,
        /// The rule's name.
        rule: String,
        /// The check.
        check: String,
    },
}

/// Where policy files are.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sources {
    pub(crate) file: Option<PathBuf>,
    pub(crate) dirs: Vec<PathBuf>,
}

/// The files that there are, in the order of reading, and by what a change of one is noticed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Survey(Vec<(PathBuf, SystemTime, u64)>);

impl Sources {
    /// Looks which files there are. Reads none of them.
    pub(crate) fn survey(&self) -> Result<Survey, LoadError> {
        let mut paths: Vec<_> = self.file.iter().cloned().collect();
        for dir in &self.dirs {
            paths.extend(files_of(dir).map_err(|error| unreadable(dir, error))?);
        }
        let mut found = Vec::new();
        for path in paths {
            let seen = present(fs::metadata(&path)).and_then(|metadata| {
                let seen = metadata.map(|metadata| Ok((metadata.modified()?, metadata.len())));
                seen.transpose()
            });
            if let Some((modified, len)) = seen.map_err(|error| unreadable(&path, error))? {
                found.push((path, modified, len));
            }
        }
        Ok(Survey(found))
    }
}

impl Survey {
    /// Reads the files.
    pub(crate) fn read(&self) -> Result<Checks, LoadError> {
        let mut checks = Checks::new();
        for (path, _, _) in &self.0 {
            checks.extend(read(path)?);
        }
        Ok(checks)
    }

    /// Whether this file is one of them.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.0.iter().any(|(found, _, _)| found == path)
    }
}

/// A directory's files in the order of their names.
fn files_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in present(fs::read_dir(dir))?.into_iter().flatten() {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_dir = present(fs::metadata(entry.path()))?.as_ref().is_some_and(Metadata::is_dir);
        if !is_hidden && !is_dir {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The rules of one file. JSON is YAML, too.
fn read(path: &Path) -> Result<Checks, LoadError> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    let rules: Option<BTreeMap<String, Value>> = serde_yaml_ng::from_str(&text)
        .map_err(|error| LoadError::NotRules { path: path.to_owned(), error })?;
    let mut checks = Checks::new();
    for (rule, value) in rules.unwrap_or_default() {
        let Some(check) = parser::value(&value) else {
            return Err(LoadError::NotARule { path: path.to_owned(), rule });
        };
        let remote = check.leaves().into_iter().find(|leaf| matches!(leaf, Check::Remote(_)));
        if let Some(check) = remote.map(Check::to_string) {
            return Err(LoadError::Remote { path: path.to_owned(), rule, check });
        }
        checks.insert(rule, check);
    }
    Ok(checks)
}

/// What is there; not to be there is no error.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unreadable(path: &Path, error: io::Error) -> LoadError {
    LoadError::Unreadable { path: path.to_owned(), error }
}
