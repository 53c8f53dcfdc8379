//! The address of a file of SQLite.

use super::url::{query_pairs, unquote};
use crate::ConnectError;
use rusqlite::OpenFlags;

/// A file of SQLite, and how it is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SqliteFile {
    pub(crate) path: String,
    pub(crate) flags: OpenFlags,
    /// The file system, where it is not the machine's own.
    pub(crate) vfs: Option<String>,
}

impl SqliteFile {
    /// Reads `path?mode=…&vfs=…`. The mode is `rw`, `ro` or `rwc`, which creates the file.
    pub(crate) fn read(address: &str) -> Result<Self, ConnectError> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let access = |flags| flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut file = Self {
            path: unquote(path)?,
            flags: access(OpenFlags::SQLITE_OPEN_READ_WRITE),
            vfs: None,
        };
        for (name, value) in query_pairs(query) {
            match (name.as_str(), value.as_str()) {
                ("mode", "rw") => {}
                ("mode", "ro") => file.flags = access(OpenFlags::SQLITE_OPEN_READ_ONLY),
                ("mode", "rwc") => file.flags |= OpenFlags::SQLITE_OPEN_CREATE,
                ("mode", _other) => return Err(ConnectError::Url("mode")),
                ("vfs", _any) => file.vfs = Some(value),
                _unknown => return Err(ConnectError::UnsupportedOption { name }),
            }
        }
        Ok(file)
    }
}
