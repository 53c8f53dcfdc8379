//! What a volume is made from: a snapshot, or another volume (cinder:
//! `volume/flows/api/create_volume.py`, `volume/api.py` create).
//!
//! The new volume has a copy of its source's key, made with the caller's authority, and is of its
//! source's type, or of one that encrypts in the same way.

use cinder_db::{NewVolume, Snapshot, Volume, VolumeType};
use serde_json::{Map, Value};
use transfer_core::{SecretId, SnapshotId, VolumeId};

use super::fault::Fault;
use super::{Caller, input};

/// Statuses of volumes that may be cloned.
const CLONABLE: [&str; 2] = ["available", "in-use"];

/// What matters of a source.
pub(super) struct Source {
    kind: Kind,
    size_gb: i64,
    type_id: Option<String>,
    /// The secret with its key.
    pub(super) key: Option<SecretId>,
}

enum Kind {
    Snapshot(SnapshotId),
    Volume(VolumeId),
}

impl From<Snapshot> for Source {
    fn from(from: Snapshot) -> Self {
        let (size_gb, type_id) = (from.size_gb, from.volume_type_id);
        Self { kind: Kind::Snapshot(from.id), size_gb, type_id, key: from.key }
    }
}

impl From<Volume> for Source {
    fn from(from: Volume) -> Self {
        let (size_gb, type_id) = (from.size_gb, from.volume_type_id);
        Self { kind: Kind::Volume(from.id), size_gb, type_id, key: from.key }
    }
}

impl Source {
    /// The source that is asked for, if it is there and at rest.
    pub(super) async fn of(
        caller: &Caller,
        given: &Map<String, Value>,
    ) -> Result<Option<Self>, Fault> {
        if let Some(id) = input::text(given, "snapshot_id")? {
            let found = caller.store.snapshot(&caller.scope(), &SnapshotId::new(&*id)).await?;
            let found = found.ok_or_else(|| Fault::not_found("Snapshot", &id))?;
            if found.status != "available" {
                return Err(Fault::bad(
                    "Invalid snapshot: Originating snapshot status must be one of 'available' \
                     values",
                ));
            }
            return Ok(Some(found.into()));
        }
        let Some(id) = input::text(given, "source_volid")? else { return Ok(None) };
        let found = caller.store.volume(&caller.scope(), &VolumeId::new(&*id)).await?;
        let found = found.ok_or_else(|| Fault::not_found("Volume", &id))?;
        if !CLONABLE.contains(&found.status.as_str()) {
            return Err(Fault::bad(
                "Invalid volume: Originating source volume status must be one of 'available, \
                 in-use' values",
            ));
        }
        Ok(Some(found.into()))
    }

    /// The size that the new volume has; its source's, if none is asked for.
    pub(super) fn size(&self, asked: Option<i64>) -> Result<i64, Fault> {
        let (source, size) = (self.size_gb, asked.unwrap_or(self.size_gb));
        if size >= source {
            return Ok(size);
        }
        let rest = match self.kind {
            Kind::Snapshot(_) => {
                format!("the snapshot size {source}GB. They must be >= original snapshot size.")
            }
            Kind::Volume(_) => {
                format!("original volume size  {source}GB. They must be >= original volume size.")
            }
        };
        let message = format!("Volume size '{size}'GB cannot be smaller than {rest}");
        Err(Fault::bad(format!("Invalid input received: {message}")))
    }

    /// Makes it the source of a new volume, whose type may be `asked` for.
    pub(super) async fn apply(
        &self,
        caller: &Caller,
        new: &mut NewVolume,
        asked: Option<&VolumeType>,
    ) -> Result<(), Fault> {
        match &self.kind {
            Kind::Snapshot(id) => new.snapshot_id = Some(id.to_string()),
            Kind::Volume(id) => new.source_volume_id = Some(id.to_string()),
        }
        let Some(asked) = asked.filter(|asked| Some(&asked.id) != self.type_id.as_ref()) else {
            new.volume_type.clone_from(&self.type_id);
            return Ok(());
        };
        let types = caller.store.volume_types(&cinder_db::Scope::All).await?;
        let own = types.into_iter().find(|one| Some(&one.id) == self.type_id.as_ref());
        if own.is_some_and(|own| own.encryption.is_none()) && asked.encryption.is_none() {
            return Ok(());
        }
        let advice = match self.kind {
            Kind::Snapshot(_) => "recommend omitting the type argument",
            Kind::Volume(_) => "either match source volume, or omit type argument",
        };
        Err(Fault::bad(format!(
            "Invalid input received: Invalid volume_type provided: {} (requested type is not \
             compatible; {advice}).",
            asked.id
        )))
    }
}
