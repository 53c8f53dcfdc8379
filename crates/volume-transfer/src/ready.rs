//! The ready file: where the services are, written once they all answer.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

/// The services' addresses, without versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Keystone.
    pub identity: String,
    /// Barbican.
    pub key_manager: String,
    /// Cinder, or the part of it that this service is.
    pub block_storage: String,
    /// The service's metrics, where they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
}

impl Ready {
    /// Writes the file whole or not at all: whoever waits for it never reads a part.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(path, self)
    }
}

/// Where the simulator's services are, when no block storage is beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorReady {
    /// Keystone.
    pub identity: String,
    /// Barbican.
    pub key_manager: String,
}

impl SimulatorReady {
    /// As [`Ready::write`].
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(path, self)
    }
}

/// Takes away what an earlier run has left: whoever waits for the file waits for this one's.
///
/// # Errors
/// When there is a file that cannot be removed.
pub(crate) fn begin(path: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be replaced", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(path: &Path, ready: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(ready)?;
    text.push('\n');
    write_whole(path, &text)
}

/// Writes a file by way of a temporary one beside it.
pub(crate) fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let name = path.display();
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("{name} cannot be written"))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("{name} cannot be written"))?;
    file.persist(path).with_context(|| format!("{name} cannot be written"))?;
    Ok(())
}
