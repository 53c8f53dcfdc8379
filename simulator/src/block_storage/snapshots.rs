//! Snapshots (cinder: `api/v3/snapshots.py`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use cinder_db::{NewSnapshot, Scope, Snapshot};
use http::StatusCode;
use serde_json::{Value, json};
use transfer_core::{SnapshotId, VolumeId};

use super::fault::Fault;
use super::input::{self, Id};
use super::types::new_id;
use super::volumes::reset_status;
use super::{Asked, Caller, views};
use crate::Simulator;
use crate::query::{Query, strict_bool};

pub(super) async fn list(
    Extension(caller): Asked,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    let snapshots = visible(&caller, &Query::parse(query.as_deref())).await?;
    let shown: Vec<Value> = snapshots.iter().map(views::snapshot_summary).collect();
    Ok(Json(json!({ "snapshots": shown })))
}

pub(super) async fn detail(
    Extension(caller): Asked,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    let snapshots = visible(&caller, &Query::parse(query.as_deref())).await?;
    let shown: Vec<Value> = snapshots.iter().map(|s| views::snapshot(&caller, s)).collect();
    Ok(Json(json!({ "snapshots": shown })))
}

async fn visible(caller: &Caller, query: &Query) -> Result<Vec<Snapshot>, Fault> {
    let everybody = query.get("all_tenants").and_then(strict_bool).unwrap_or(false);
    let scope = if everybody { caller.scope() } else { caller.own() };
    let mut snapshots = caller.store.snapshots(&scope).await?;
    let fits = |wanted: Option<&str>, found: Option<&str>| wanted.is_none_or(|w| found == Some(w));
    snapshots.retain(|snapshot| {
        fits(query.get("name"), snapshot.name.as_deref())
            && fits(query.get("status"), Some(&snapshot.status))
            && fits(query.get("volume_id"), Some(snapshot.volume.as_str()))
    });
    Ok(snapshots)
}

pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let found = caller.store.snapshot(&caller.scope(), &SnapshotId::new(id.as_str())).await?;
    let missing = || Fault::missing(format!("Snapshot {id} could not be found."));
    let snapshot = found.ok_or_else(missing)?;
    Ok(Json(json!({"snapshot": views::snapshot(&caller, &snapshot)})))
}

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Asked,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Fault> {
    caller.must_be_member("volume:create_snapshot")?;
    let given = input::body(&body, "snapshot")?;
    let new = NewSnapshot {
        id: SnapshotId::new(new_id(&simulator)?),
        volume: VolumeId::new(input::required(&given, "volume_id")?),
        user: caller.user(),
        status: "available".to_owned(),
        name: input::text(&given, "name")?,
        description: input::text(&given, "description")?,
        force: input::flag(&given, "force", false)?,
    };
    let made = caller.store.create_snapshot(&caller.scope(), &new, &caller.limits).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"snapshot": views::snapshot_summary(&made)}))))
}

pub(super) async fn delete(Extension(caller): Asked, Id(id): Id) -> Result<StatusCode, Fault> {
    caller.must_be_member("volume:delete_snapshot")?;
    let id = SnapshotId::new(id);
    caller.store.delete_snapshot(&caller.scope(), &id, &caller.limits).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn act(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<StatusCode, Fault> {
    let policy = "volume_extension:snapshot_admin_actions:reset_status";
    let status = reset_status(&caller, &body, policy)?;
    caller.store.set_snapshot_status(&Scope::All, &SnapshotId::new(id), &status).await?;
    Ok(StatusCode::ACCEPTED)
}
