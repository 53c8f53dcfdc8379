//! Which files are read, and in which order.

use crate::conf::{Assignment, Conf, Origin};
use crate::ini::{self, BadLine};
use std::path::{Path, PathBuf};

/// A file, or a folder whose `*.conf` files are read in the order of their names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigPath {
    /// `--config-file`
    File(PathBuf),
    /// `--config-dir`
    Dir(PathBuf),
}

/// What kept a file from being read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not there, not readable, or not text.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// A line that says nothing.
    #[error("{}:{}: {bad}", path.display(), bad.line)]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        bad: BadLine,
    },
}

/// Cinder's own file and folder, where they exist: what is read when none is named.
pub fn default_paths() -> Vec<ConfigPath> {
    let file = PathBuf::from("/etc/cinder/cinder.conf");
    let dir = PathBuf::from("/etc/cinder/cinder.conf.d");
    let file = file.exists().then_some(ConfigPath::File(file));
    let dir = dir.exists().then_some(ConfigPath::Dir(dir));
    file.into_iter().chain(dir).collect()
}

impl Conf {
    /// Reads files in their order: a later one wins.
    ///
    /// # Errors
    /// [`ReadError`], the first.
    pub fn read(paths: &[ConfigPath]) -> Result<Self, ReadError> {
        let mut conf = Self::default();
        for path in paths {
            match path {
                ConfigPath::File(path) => {
                    conf.add(read_file(path)?);
                    conf.folders.extend(path.parent().map(Path::to_owned));
                }
                ConfigPath::Dir(path) => {
                    for path in files_of(path)? {
                        conf.add(read_file(&path)?);
                    }
                }
            }
        }
        Ok(conf)
    }
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let unreadable = |reason| ReadError::Unreadable { path: dir.to_owned(), reason };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".conf") && !text.starts_with('.') {
            files.push(dir.join(&name));
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<Assignment>, ReadError> {
    let text = std::fs::read_to_string(path)
        .map_err(|reason| ReadError::Unreadable { path: path.to_owned(), reason })?;
    let entries =
        ini::parse(&text).map_err(|bad| ReadError::Line { path: path.to_owned(), bad })?;
    let assignments = entries.into_iter().map(|entry| {
        let origin = Origin::File { path: path.to_owned(), line: entry.line };
        Assignment::new(&entry.section, &entry.name, entry.value, origin)
    });
    Ok(assignments.collect())
}
