//! Snapshots (cinder: `api/v3/snapshots.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use cinder_db::{Described, NewSnapshot, Scope, Snapshot};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use transfer_core::{SnapshotId, VolumeId};

use super::fault::Fault;
use super::input::{self, Id};
use super::page::{Listed, Page, SortKey};
use super::types::new_id;
use super::{Asked, Caller, actions, views};
use crate::Simulator;

const KEY: &str = "snapshot";

/// The statuses that an administrator may set (cinder: `objects/fields.py` SnapshotStatus).
const STATUSES: &[&str] = &[
    "error",
    "available",
    "creating",
    "deleting",
    "deleted",
    "updating",
    "error_deleting",
    "unmanaging",
    "backing-up",
    "restoring",
];

const FORCE: &str = "Since microversion 3.66 the 'force' flag is invalid for this request.  For \
                     backward compatability, however, when the 'force' flag is passed with a \
                     value evaluating to True, it is silently ignored.";

impl Listed for Snapshot {
    const KIND: &'static str = "Snapshot";

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn sort_key(name: &str) -> Option<fn(&Self) -> SortKey> {
        let key: fn(&Self) -> SortKey = match name {
            "id" => |snapshot| SortKey::Text(Some(snapshot.id.to_string())),
            "name" | "display_name" => |snapshot| SortKey::Text(snapshot.name.clone()),
            "status" => |snapshot| SortKey::Text(Some(snapshot.status.clone())),
            "volume_id" => |snapshot| SortKey::Text(Some(snapshot.volume.to_string())),
            "volume_size" => |snapshot| SortKey::Number(snapshot.size_gb),
            "created_at" => |snapshot| SortKey::Time(snapshot.created_at),
            "updated_at" => |snapshot| SortKey::Time(snapshot.updated_at),
            _ => return None,
        };
        Some(key)
    }
}

pub(super) async fn list(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let page = visible(&caller).await?;
    let mut shown = Vec::new();
    for snapshot in &page.items {
        shown.push(views::snapshot_summary(snapshot, &metadata(&caller, snapshot).await?));
    }
    Ok(Json(page.document(&caller, "snapshots", "snapshots_links", shown)))
}

pub(super) async fn detail(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let page = visible(&caller).await?;
    let mut shown = Vec::new();
    for snapshot in &page.items {
        shown.push(view_in_full(&caller, snapshot).await?);
    }
    Ok(Json(page.document(&caller, "snapshots", "snapshots_links", shown)))
}

async fn visible(caller: &Caller) -> Result<Page<Snapshot>, Fault> {
    let mut snapshots = caller.store.snapshots(&caller.listed()).await?;
    snapshots.retain(|snapshot| {
        caller.asks_for("name", snapshot.name.as_deref())
            && caller.asks_for("status", Some(&snapshot.status))
            && caller.asks_for("volume_id", Some(snapshot.volume.as_str()))
    });
    Page::of(caller, snapshots)
}

pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let snapshot = find(&caller, &id).await?;
    Ok(Json(json!({"snapshot": view_in_full(&caller, &snapshot).await?})))
}

async fn metadata(caller: &Caller, snapshot: &Snapshot) -> Result<BTreeMap<String, String>, Fault> {
    Ok(caller.store.metadata(&Described::Snapshot(snapshot.id.clone())).await?)
}

async fn view_in_full(caller: &Caller, snapshot: &Snapshot) -> Result<Value, Fault> {
    Ok(views::snapshot_in_full(caller, snapshot, &metadata(caller, snapshot).await?))
}

pub(super) async fn find(caller: &Caller, id: &str) -> Result<Snapshot, Fault> {
    let found = caller.store.snapshot(&caller.scope(), &SnapshotId::new(id)).await?;
    found.ok_or_else(|| Fault::not_found("Snapshot", id))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Fault> {
    caller.must_be_member("volume:create_snapshot")?;
    let given = input::body(&body, KEY)?;
    let known = ["name", "display_name", "description", "volume_id", "force", "metadata"];
    input::only(&given, KEY, &known)?;
    let volume = input::required_uuid(&given, KEY, "volume_id")?;
    let new = NewSnapshot {
        id: SnapshotId::new(new_id(&simulator)?),
        volume: VolumeId::new(volume),
        user: caller.user(),
        status: "available".to_owned(),
        name: input::text(&given, "name")?,
        description: input::text(&given, "description")?,
        force: force(&caller, &given)?,
    };
    let metadata = input::metadata(&given, "metadata")?;
    let made = caller.store.create_snapshot(&caller.scope(), &new, &caller.limits).await?;
    let described = Described::Snapshot(made.id.clone());
    caller.store.set_metadata(&caller.scope(), &described, &metadata, true).await?;
    let shown = views::snapshot(&caller, &made, &metadata);
    Ok((StatusCode::ACCEPTED, Json(json!({ "snapshot": shown }))))
}

pub(super) async fn update(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let given = input::body(&body, KEY)?;
    input::only(&given, KEY, &["name", "description", "display_name", "display_description"])?;
    if given.is_empty() {
        return Err(input::fits_no_schema(KEY, &Value::Object(given)));
    }
    let either = |name: &str, old: &str| match input::text(&given, name)? {
        Some(text) => Ok::<_, Fault>(Some(text)),
        None => input::text(&given, old),
    };
    let name = either("name", "display_name")?;
    let description = either("description", "display_description")?;
    find(&caller, &id).await?;
    caller.must_be_member("volume:update_snapshot")?;
    let (scope, id) = (caller.scope(), SnapshotId::new(id));
    let changed =
        caller.store.update_snapshot(&scope, &id, name.as_deref(), description.as_deref()).await?;
    let metadata = metadata(&caller, &changed).await?;
    Ok(Json(json!({"snapshot": views::snapshot(&caller, &changed, &metadata)})))
}

pub(super) async fn delete(Extension(caller): Asked, Id(id): Id) -> Result<StatusCode, Fault> {
    caller.must_be_member("volume:delete_snapshot")?;
    let id = SnapshotId::new(id);
    caller.store.delete_snapshot(&caller.scope(), &id, &caller.limits).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whether a volume that is in use is taken a snapshot of; from 3.66 on it always is.
fn force(caller: &Caller, given: &Map<String, Value>) -> Result<bool, Fault> {
    let asked = input::flag(given, "force")?;
    if !caller.microversion.is_at_least(66) {
        return Ok(asked.unwrap_or(false));
    }
    if asked == Some(false) { Err(Fault::bad(FORCE)) } else { Ok(true) }
}

pub(super) async fn act(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<StatusCode, Fault> {
    const FORCE_DELETE: &str = "os-force_delete";
    const UPDATE_STATUS: &str = "os-update_snapshot_status";
    let known = [actions::RESET_STATUS, FORCE_DELETE, UPDATE_STATUS];
    let (action, given) = actions::asked(&body, &known)?;
    let found = find(&caller, &id).await;
    let id = SnapshotId::new(id);
    let status = match action {
        FORCE_DELETE => {
            found?;
            caller.must_be_admin("volume_extension:snapshot_admin_actions:force_delete")?;
            caller.store.force_delete_snapshot(&id, &caller.limits).await?;
            return Ok(StatusCode::ACCEPTED);
        }
        UPDATE_STATUS => {
            let status = input::required(&given, UPDATE_STATUS, "status")?;
            let progress = input::text(&given, "progress")?;
            let current = found?.status;
            caller.must_be_member("snapshot_extension:snapshot_actions:update_snapshot_status")?;
            let status = follows(&current, status)?;
            if let Some(progress) = progress {
                caller.store.set_snapshot_progress(&Scope::All, &id, &progress).await?;
            }
            status
        }
        _ => {
            let status = input::required(&given, actions::RESET_STATUS, "status")?;
            let status = actions::known("Snapshot", &status, STATUSES)?;
            found?;
            caller.must_be_admin("volume_extension:snapshot_admin_actions:reset_status")?;
            status
        }
    };
    caller.store.set_snapshot_status(&Scope::All, &id, &status).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The next status, if it may follow (cinder: `api/contrib/snapshot_actions.py`).
fn follows(current: &str, next: String) -> Result<String, Fault> {
    let allowed: &[&str] = match current {
        "creating" => &["creating", "available", "error"],
        "deleting" => &["deleting", "error_deleting"],
        _ => {
            return Err(Fault::bad(format!(
                "Snapshot status {current} not allowed for update_snapshot_status"
            )));
        }
    };
    if allowed.contains(&next.as_str()) {
        return Ok(next);
    }
    Err(Fault::bad(format!(
        "Provided snapshot status {next} not allowed for snapshot with status {current}."
    )))
}
