//! The journal of a run: which volumes it moves, and how far each is.
//!
//! A file of JSON lines that is only appended to while a run goes on, so that a process that dies
//! leaves all that it knew; a line that was cut short is no line. It is locked by the run, readable
//! by its owner alone, and holds auth keys of open offers. [`Journal::tidy`] writes it anew without
//! the keys of offers that have ended. Power that fails may lose the last lines: the run then finds
//! out from the clouds.

use openstack_http::Password;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use transfer_core::{ProjectId, TransferId, VolumeId};

const VERSION: u32 = 1;

/// One side of a run: a cloud of `clouds.yaml`, and which project that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The cloud's name.
    pub cloud: String,
    /// The project.
    pub project: ProjectId,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, project {}", self.cloud, self.project)
    }
}

/// How far a volume is.
#[derive(Clone, Debug)]
pub enum Place {
    /// Nothing is known to have happened.
    Planned,
    /// As planned, and not before the others: refused with a 403, which may be theirs, too.
    Refused,
    /// Offered.
    Offered {
        /// The offer.
        transfer: TransferId,
        /// What opens it.
        auth_key: Password,
    },
    /// The recipient has it.
    Arrived,
    /// It stays with the donor.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("journal {path}: {said}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        said: std::io::Error,
    },
    /// Another run has it.
    #[error("journal {0} is in use by another run")]
    InUse(PathBuf),
    /// It is of other clouds or projects.
    #[error(
        "journal {path} is of a run from {donor} to {recipient}; name another with --journal, or \
         remove it"
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Its donor.
        donor: Party,
        /// Its recipient.
        recipient: Party,
    },
    /// A line is none of ours.
    #[error("journal {path}, line {line}: not what this program writes")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// Others could read auth keys in it.
    #[error("journal {path} has mode {mode:o}: others may have read auth keys; chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    /// Offers of this run are called after it.
    run: String,
    donor: Party,
    recipient: Party,
    /// Which volumes were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<String>,
}

/// One line: a volume, and how far it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    volume: VolumeId,
    place: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What people call the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// An open journal.
pub struct Journal {
    path: PathBuf,
    run: String,
    begun_before: bool,
    kept: Mutex<Kept>,
}

struct Kept {
    file: File,
    head: Head,
    /// In the order of the plan.
    order: Vec<VolumeId>,
    places: BTreeMap<VolumeId, Place>,
    names: BTreeMap<VolumeId, String>,
}

impl Journal {
    /// Opens the journal of a run between these parties, or begins one.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path, donor: &Party, recipient: &Party) -> Result<Self, JournalError> {
        let io = |said| JournalError::Io { path: path.to_owned(), said };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(path).map_err(io)?;
        // It is written anew under its own name, whatever leads there.
        let path = &path.canonicalize().map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse(path.to_owned())),
            Err(TryLockError::Error(said)) => return Err(io(said)),
        }
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(JournalError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let begun_before = !text.is_empty();
        let (head, lines) = if begun_before {
            read(path, &text)?
        } else {
            let head = Head {
                version: VERSION,
                run: uuid::Uuid::new_v4().to_string(),
                donor: donor.clone(),
                recipient: recipient.clone(),
                selection: None,
            };
            write_line(&mut file, &head).map_err(io)?;
            (head, Vec::new())
        };
        if (&head.donor, &head.recipient) != (donor, recipient) {
            let Head { donor, recipient, .. } = head;
            return Err(JournalError::OtherRun { path: path.to_owned(), donor, recipient });
        }
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(io)?;
        }
        let run = head.run.clone();
        let (order, places, names) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut kept = Kept { file, head, order, places, names };
        for (volume, place, name) in lines {
            kept.set(&volume, place);
            kept.names.extend(name.map(|name| (volume, name)));
        }
        Ok(Self { path: path.to_owned(), run, begun_before, kept: Mutex::new(kept) })
    }

    /// Whether an earlier run has left it.
    pub fn was_there(&self) -> bool {
        self.begun_before
    }

    /// What offers of this run are called.
    pub fn offer_name(&self) -> String {
        format!("bulk-{}", self.run)
    }

    /// How far the volumes are, in the order of the plan.
    pub fn places(&self) -> Vec<(VolumeId, Place)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |volume: &VolumeId| (volume.clone(), kept.places[volume].clone());
        kept.order.iter().map(place).collect()
    }

    /// Which volumes were asked for; none where nobody has planned yet.
    pub fn selection(&self) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).head.selection.clone()
    }

    /// What people call a volume of the plan.
    pub fn name(&self, volume: &VolumeId) -> Option<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).names.get(volume).cloned()
    }

    /// Writes down which volumes are meant, besides those that are planned already, and what was
    /// asked for: all of them, or none if the process dies meanwhile.
    ///
    /// # Errors
    /// [`JournalError`]; nothing of it is there then.
    pub fn plan(
        &self,
        selection: &str,
        volumes: impl IntoIterator<Item = (VolumeId, Option<String>)>,
    ) -> Result<(), JournalError> {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.head.selection = Some(selection.to_owned());
            for (volume, name) in volumes {
                if !kept.places.contains_key(&volume) {
                    kept.set(&volume, Place::Planned);
                    kept.names.extend(name.map(|name| (volume, name)));
                }
            }
        }
        self.tidy()
    }

    /// Writes down how far a volume is.
    ///
    /// # Errors
    /// [`JournalError`]: nothing more should be begun then.
    pub fn record(&self, volume: &VolumeId, place: Place) -> Result<(), JournalError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let written = write_line(&mut kept.file, &Line::new(volume, &place, None));
        written.map_err(|said| JournalError::Io { path: self.path.clone(), said })?;
        kept.set(volume, place);
        Ok(())
    }

    /// Writes the journal anew: one line for each volume, and no auth key but those of open offers.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is as it was then.
    pub fn tidy(&self) -> Result<(), JournalError> {
        let io = |said| JournalError::Io { path: self.path.clone(), said };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        write_line(&mut text, &kept.head).map_err(io)?;
        for volume in &kept.order {
            let name = kept.names.get(volume).cloned();
            write_line(&mut text, &Line::new(volume, &kept.places[volume], name)).map_err(io)?;
        }
        let mut old = OpenOptions::new().write(true).open(&self.path).map_err(io)?;
        let length = old.metadata().map_err(io)?.len();
        match self.write_beside(&text) {
            Ok(file) => kept.file = file,
            // Where no other file can be, the keys of offers that have ended go nevertheless: in
            // the room that the journal has, of which none is wanting half-way.
            Err(_) if !kept.has_open_offers() && text.len() as u64 <= length => {
                overwrite(&mut old).map_err(io)?;
                old.rewind().and_then(|()| old.write_all(&text)).map_err(io)?;
                old.set_len(text.len() as u64).and_then(|()| old.sync_all()).map_err(io)?;
                return Ok(());
            }
            Err(said) => return Err(io(said)),
        }
        // The blocks of the old file may outlive its name; only now does nobody need them.
        overwrite(&mut old).map_err(io)?;
        Ok(())
    }

    /// A file with this text, locked, in the place of the journal.
    fn write_beside(&self, text: &[u8]) -> std::io::Result<File> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        if let Err(error) = file.write_all(text).and_then(|()| file.sync_all()) {
            // A part of it would only take room.
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
        file.lock()?;
        std::fs::rename(&beside, &self.path)?;
        Ok(file)
    }
}

impl Kept {
    fn has_open_offers(&self) -> bool {
        self.places.values().any(|place| matches!(place, Place::Offered { .. }))
    }

    fn set(&mut self, volume: &VolumeId, place: Place) {
        if self.places.insert(volume.clone(), place).is_none() {
            self.order.push(volume.clone());
        }
    }
}

impl Line {
    fn new(volume: &VolumeId, place: &Place, name: Option<String>) -> Self {
        let mut line = Self {
            volume: volume.clone(),
            place: String::new(),
            transfer: None,
            auth_key: None,
            reason: None,
            name,
        };
        line.place = match place {
            Place::Planned => "planned",
            Place::Refused => "refused",
            Place::Offered { transfer, auth_key } => {
                line.transfer = Some(transfer.clone());
                line.auth_key = Some(auth_key.expose().to_owned());
                "offered"
            }
            Place::Arrived => "arrived",
            Place::Failed { reason } => {
                line.reason = Some(reason.clone());
                "failed"
            }
        }
        .to_owned();
        line
    }

    fn place(self) -> Option<(VolumeId, Place, Option<String>)> {
        let place = match (self.place.as_str(), self.transfer, self.auth_key, self.reason) {
            ("planned", None, None, None) => Place::Planned,
            ("refused", None, None, None) => Place::Refused,
            ("offered", Some(transfer), Some(auth_key), None) => {
                Place::Offered { transfer, auth_key: Password::new(auth_key) }
            }
            ("arrived", None, None, None) => Place::Arrived,
            ("failed", None, None, Some(reason)) => Place::Failed { reason },
            _ => return None,
        };
        Some((self.volume, place, self.name))
    }
}

type Lines = Vec<(VolumeId, Place, Option<String>)>;

fn read(path: &Path, text: &str) -> Result<(Head, Lines), JournalError> {
    let malformed = |line: usize| JournalError::Malformed { path: path.to_owned(), line };
    let mut lines = text.split_inclusive('\n');
    let head: Head =
        lines.next().and_then(|line| serde_json::from_str(line).ok()).ok_or(malformed(1))?;
    if head.version != VERSION {
        return Err(malformed(1));
    }
    let mut places = Vec::new();
    for (at, line) in lines.enumerate() {
        let read = serde_json::from_str::<Line>(line).ok().and_then(Line::place);
        match read {
            Some(place) => places.push(place),
            // A line that was cut short, here or by an earlier run.
            None if !line.trim_end().ends_with('}') => {}
            None => return Err(malformed(at + 2)),
        }
    }
    Ok((head, places))
}

fn write_line(to: &mut impl std::io::Write, line: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    // At once, so that a line is whole or cut short and never mixed with another.
    to.write_all(&text)
}

fn overwrite(file: &mut File) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    file.rewind()?;
    std::io::copy(&mut std::io::repeat(b' ').take(length), file)?;
    file.sync_data()
}

#[cfg(test)]
mod tests;
