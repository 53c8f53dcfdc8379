//! How types, volumes and snapshots are shown (cinder: `api/v3/views/`, `api/views/`).

use cinder_db::{Encryption, Snapshot, Volume, VolumeType};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::{Caller, extra_specs};

/// Texts by name.
type Metadata = BTreeMap<String, String>;

/// Naive UTC with microseconds, as Python's `isoformat` writes it.
fn instant(at: Option<PrimitiveDateTime>) -> Value {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");
    at.and_then(|at| at.format(&format).ok()).map_or(Value::Null, Value::String)
}

fn links(caller: &Caller, kind: &str, id: &str) -> Value {
    let host = &caller.host;
    let project =
        if caller.names_project { format!("/{}", caller.project.id) } else { String::new() };
    json!([
        {"rel": "self", "href": format!("{host}/v3{project}/{kind}/{id}")},
        {"rel": "bookmark", "href": format!("{host}{project}/{kind}/{id}")},
    ])
}

pub(super) fn volume_summary(caller: &Caller, volume: &Volume) -> Value {
    let id = volume.id.as_str();
    json!({"id": id, "name": volume.name, "links": links(caller, "volumes", id)})
}

/// What a request that makes or changes a volume is answered with.
pub(super) fn volume(
    caller: &Caller,
    volume: &Volume,
    type_name: Option<&str>,
    metadata: &Metadata,
) -> Value {
    let mut view = volume_summary(caller, volume);
    let detail = json!({
        "status": volume.status,
        "size": volume.size_gb,
        "availability_zone": volume.availability_zone,
        "created_at": instant(volume.created_at),
        "updated_at": instant(volume.updated_at),
        "attachments": [],
        "description": volume.description,
        "volume_type": type_name,
        "snapshot_id": volume.snapshot_id,
        "source_volid": volume.source_volume_id,
        "metadata": metadata,
        "user_id": volume.user.as_str(),
        "bootable": volume.bootable.to_string(),
        "encrypted": volume.key.is_some(),
        "replication_status": null,
        "consistencygroup_id": null,
        "multiattach": volume.multiattach,
    });
    merge(&mut view, detail);
    if caller.is_admin() {
        merge(&mut view, json!({"migration_status": null}));
    }
    let since = |minor: u16, view: &mut Value, more: Value| {
        if caller.microversion.is_at_least(minor) {
            merge(view, more);
        }
    };
    since(13, &mut view, json!({"group_id": null}));
    if caller.is_admin() {
        since(21, &mut view, json!({"provider_id": null}));
        since(61, &mut view, json!({"cluster_name": null}));
    }
    since(48, &mut view, json!({"service_uuid": null, "shared_targets": true}));
    since(63, &mut view, json!({"volume_type_id": volume.volume_type_id}));
    if volume.key.is_some() {
        let key = volume.key.as_ref().map(|key| key.as_str());
        since(64, &mut view, json!({"encryption_key_id": key}));
    }
    since(65, &mut view, json!({"consumes_quota": volume.use_quota}));
    view
}

/// What Cinder's extensions add where a volume is shown.
pub(super) fn extend_volume(caller: &Caller, volume: &Volume, view: &mut Value) {
    merge(view, json!({"os-vol-tenant-attr:tenant_id": volume.project.as_str()}));
    if caller.is_admin() {
        merge(
            view,
            json!({
                "os-vol-host-attr:host": volume.host,
                "os-vol-mig-status-attr:migstat": null,
                "os-vol-mig-status-attr:name_id": null,
            }),
        );
    }
}

pub(super) fn snapshot_summary(snapshot: &Snapshot, metadata: &Metadata) -> Value {
    json!({
        "id": snapshot.id.as_str(),
        "name": snapshot.name,
        "description": snapshot.description,
        "volume_id": snapshot.volume.as_str(),
        "status": snapshot.status,
        "size": snapshot.size_gb,
        "created_at": instant(snapshot.created_at),
        "updated_at": instant(snapshot.updated_at),
        "metadata": metadata,
    })
}

/// What a request that makes a snapshot is answered with.
pub(super) fn snapshot(caller: &Caller, snapshot: &Snapshot, metadata: &Metadata) -> Value {
    let mut view = snapshot_summary(snapshot, metadata);
    let since = |minor: u16, view: &mut Value, more: Value| {
        if caller.microversion.is_at_least(minor) {
            merge(view, more);
        }
    };
    since(14, &mut view, json!({"group_snapshot_id": null}));
    since(41, &mut view, json!({"user_id": snapshot.user.as_str()}));
    since(65, &mut view, json!({"consumes_quota": snapshot.use_quota}));
    view
}

/// What Cinder's extension adds where a snapshot is shown.
pub(super) fn snapshot_in_full(caller: &Caller, snapshot: &Snapshot, metadata: &Metadata) -> Value {
    let mut view = self::snapshot(caller, snapshot, metadata);
    merge(
        &mut view,
        json!({
            "os-extended-snapshot-attributes:project_id": snapshot.project.as_str(),
            "os-extended-snapshot-attributes:progress": snapshot.progress,
        }),
    );
    view
}

/// What the request that changes a type is answered with.
pub(super) fn volume_type_of(caller: &Caller, kind: &VolumeType) -> Value {
    json!({
        "id": kind.id,
        "name": kind.name,
        "is_public": kind.is_public,
        "description": kind.description,
        "extra_specs": extra_specs::shown(caller, kind),
    })
}

/// What the request that makes a type is answered with: access is an extension of Cinder's.
pub(super) fn volume_type(caller: &Caller, kind: &VolumeType) -> Value {
    let mut view = volume_type_of(caller, kind);
    merge(&mut view, json!({"os-volume-type-access:is_public": kind.is_public}));
    view
}

pub(super) fn volume_type_in_full(caller: &Caller, kind: &VolumeType) -> Value {
    let mut view = volume_type(caller, kind);
    if caller.is_admin() {
        merge(&mut view, json!({"qos_specs_id": null}));
    }
    view
}

pub(super) fn encryption(kind: &VolumeType, encryption: &Encryption) -> Value {
    json!({
        "volume_type_id": kind.id,
        "encryption_id": encryption.id,
        "provider": encryption.provider,
        "cipher": encryption.cipher,
        "key_size": encryption.key_size,
        "control_location": encryption.control_location,
        "created_at": instant(kind.created_at),
        "updated_at": null,
        "deleted_at": null,
        "deleted": false,
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
