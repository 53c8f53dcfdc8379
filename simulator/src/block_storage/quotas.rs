//! Quotas, to look at (cinder: `api/contrib/quotas.py`, `api/v3/limits.py`,
//! `api/contrib/used_limits.py`).
//!
//! The limits are those that everything here is charged against: the deployment's. No project has
//! limits of its own.

use axum::Json;
use axum::extract::Extension;
use serde_json::{Map, Value, json};
use transfer_core::ProjectId;

use super::fault::Fault;
use super::input::Id;
use super::{Asked, Caller};
use crate::query::strict_bool;

const SHOW: &str = "volume_extension:quotas:show";

struct Quota {
    name: String,
    limit: i64,
    in_use: i64,
    reserved: i64,
}

/// The limits of a project, with `usage` what it uses of them.
pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    let usage = caller.query.get("usage").and_then(strict_bool).unwrap_or(false);
    document(&caller, &id, usage).await
}

pub(super) async fn defaults(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    document(&caller, &id, false).await
}

async fn document(caller: &Caller, project: &str, usage: bool) -> Result<Json<Value>, Fault> {
    if project != caller.project.id {
        caller.must_be_admin(SHOW)?;
    }
    let mut set = Map::new();
    for quota in quotas(caller, project).await? {
        let shown = if usage {
            json!({"limit": quota.limit, "in_use": quota.in_use, "reserved": quota.reserved})
        } else {
            json!(quota.limit)
        };
        set.insert(quota.name, shown);
    }
    set.insert("id".to_owned(), project.into());
    Ok(Json(json!({ "quota_set": set })))
}

/// The caller's limits and use, under other names.
pub(super) async fn limits(Extension(caller): Asked) -> Result<Json<Value>, Fault> {
    let mut absolute = Map::new();
    for quota in quotas(&caller, &caller.project.id).await? {
        let (limit, used) = match quota.name.as_str() {
            "volumes" => ("maxTotalVolumes", "totalVolumesUsed"),
            "snapshots" => ("maxTotalSnapshots", "totalSnapshotsUsed"),
            "gigabytes" => ("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
            "backups" => ("maxTotalBackups", "totalBackupsUsed"),
            "backup_gigabytes" => ("maxTotalBackupGigabytes", "totalBackupGigabytesUsed"),
            _ => continue,
        };
        absolute.insert(limit.to_owned(), quota.limit.into());
        absolute.insert(used.to_owned(), quota.in_use.into());
    }
    Ok(Json(json!({"limits": {"rate": [], "absolute": absolute}})))
}

async fn quotas(caller: &Caller, project: &str) -> Result<Vec<Quota>, Fault> {
    let limits = &caller.limits;
    let mut named: Vec<(String, i64)> = [
        ("volumes", limits.volumes),
        ("snapshots", limits.snapshots),
        ("gigabytes", limits.gigabytes),
        ("per_volume_gigabytes", limits.per_volume_gigabytes),
        // There are no backups and no groups here; Cinder lists their defaults all the same.
        ("backups", 10),
        ("backup_gigabytes", 1000),
        ("groups", 10),
    ]
    .map(|(name, limit)| (name.to_owned(), limit))
    .into();
    for kind in caller.store.volume_types(&cinder_db::Scope::All).await? {
        for resource in ["volumes", "gigabytes", "snapshots"] {
            named.push((format!("{resource}_{}", kind.name), -1));
        }
    }
    let project = ProjectId::new(project);
    let usages = caller.store.world_rows(&project).await?.usages;
    let quota = |(name, limit): (String, i64)| {
        let used = usages.get(&(project.clone(), name.clone()));
        let (in_use, reserved) = used.copied().unwrap_or_default();
        Quota { name, limit, in_use, reserved }
    };
    Ok(named.into_iter().map(quota).collect())
}
