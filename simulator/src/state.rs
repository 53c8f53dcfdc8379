//! All that a simulated cloud remembers, and the file it may be kept in.
//!
//! The file is JSON, written beside its place with mode 0600 and renamed over it, so that a reader
//! (or a restart) sees the state before or after a change and never half of it. It survives the
//! process, not the machine: nothing is flushed to the disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::draws::Draws;
use crate::identity::Identity;
use crate::key_manager::KeyManager;

/// Of the shape of the file: it goes up when a file as it was before no longer loads.
const VERSION: u32 = 2;

/// The file.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    state: &'a State,
}

/// What is read of a file first: whether it can be read.
#[derive(Deserialize)]
struct Label {
    version: Option<u32>,
}

#[derive(Deserialize)]
struct Read {
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) draws: Draws,
    pub(crate) identity: Identity,
    pub(crate) key_manager: KeyManager,
}

impl State {
    pub(crate) fn seeded(seed: u64, region: &str) -> Self {
        Self {
            draws: Draws::new(seed),
            identity: Identity::seeded(seed, region),
            key_manager: KeyManager::default(),
        }
    }
}

/// Why the state file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file system refused.
    #[error("cannot use the state file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Another simulator keeps its state there.
    #[error("the state file {path} is in use by another simulator: stop it, or name another place")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another shape, from before or after this simulator.
    #[error(
        "the state file {path} is of version {found}, and this simulator reads version {VERSION} \
         alone: delete the file to begin anew"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The file does not say which version it is.
    #[error(
        "the state file {path} names no version: either it is none of a simulator's, or one wrote \
         it from before there were versions; delete the file to begin anew"
    )]
    NoVersion {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what this simulator writes. The parser's message is withheld: it may quote
    /// the file.
    #[error("the state file {path} is not readable: line {line}, column {column}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped, counted from 1.
        line: usize,
        /// Where reading stopped, counted from 1.
        column: usize,
    },
}

/// Takes the state file for this process alone, for as long as what it gives is there. The lock is
/// on a file beside it: the state file itself is a new one after each change.
pub(crate) fn own(path: &Path) -> Result<File, StateFileError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let refused = |source| StateFileError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&beside);
    let file = file.map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateFileError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// Reads the state; `None` when there is no such file yet.
pub(crate) fn load(path: &Path) -> Result<Option<State>, StateFileError> {
    let text = match fs::read(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateFileError::Io { path: path.to_owned(), source }),
    };
    let label: Label = serde_json::from_slice(&text).map_err(|error| malformed(path, &error))?;
    match label.version {
        Some(VERSION) => {}
        Some(found) => {
            return Err(StateFileError::OtherVersion { path: path.to_owned(), found });
        }
        None => return Err(StateFileError::NoVersion { path: path.to_owned() }),
    }
    let read: Read = serde_json::from_slice(&text).map_err(|error| malformed(path, &error))?;
    Ok(Some(read.state))
}

/// Replaces the file by `state`.
pub(crate) fn save(path: &Path, state: &State) -> Result<(), StateFileError> {
    let written = Written { version: VERSION, state };
    let text = serde_json::to_vec(&written).map_err(|error| malformed(path, &error))?;
    let text = Zeroizing::new(text);
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    write_private(Path::new(&beside), &text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|source| StateFileError::Io { path: path.to_owned(), source })
}

fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    // A file left by a run that was killed may have another mode: start from nothing.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)
}

fn malformed(path: &Path, error: &serde_json::Error) -> StateFileError {
    StateFileError::Malformed { path: path.to_owned(), line: error.line(), column: error.column() }
}
