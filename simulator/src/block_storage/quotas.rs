//! Quotas (cinder: `api/contrib/quotas.py`, `api/contrib/quota_classes.py`, `api/v3/limits.py`,
//! `api/contrib/used_limits.py`).
//!
//! A project's own limits stand in Cinder's tables, where everything that charges it finds them. Of
//! the classes only `default` has an effect. There are no backups and no groups here; Cinder lists
//! their limits all the same.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use cinder_db::QuotaOwner;
use http::StatusCode;
use serde_json::{Map, Value, json};
use transfer_core::ProjectId;

use super::fault::Fault;
use super::input::{self, Id};
use super::{Asked, Caller};
use crate::pyrepr::repr;
use crate::query::strict_bool;

const SHOW: &str = "volume_extension:quotas:show";
const UPDATE: &str = "volume_extension:quotas:update";
const DELETE: &str = "volume_extension:quotas:delete";
const SHOW_CLASS: &str = "volume_extension:quota_classes:get";
const UPDATE_CLASS: &str = "volume_extension:quota_classes:update";

/// What may stand in a quota set beside limits.
const NO_QUOTA: [&str; 2] = ["tenant_id", "id"];

struct Quota {
    name: String,
    limit: i64,
    in_use: i64,
    reserved: i64,
}

/// The limits of a project, with `usage` what it uses of them.
pub(super) async fn show(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    may_show(&caller, &id)?;
    let usage = caller.query.get("usage").and_then(strict_bool).unwrap_or(false);
    let mut set = Map::new();
    for quota in quotas(&caller, &id).await? {
        let shown = if usage {
            json!({"limit": quota.limit, "in_use": quota.in_use, "reserved": quota.reserved})
        } else {
            json!(quota.limit)
        };
        set.insert(quota.name, shown);
    }
    set.insert("id".to_owned(), id.into());
    Ok(Json(json!({ "quota_set": set })))
}

/// What a project without limits of its own has.
pub(super) async fn defaults(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    may_show(&caller, &id)?;
    let mut set = limits_of(&caller, &default_class()).await?;
    set.insert("id".to_owned(), id.into());
    Ok(Json(json!({ "quota_set": set })))
}

pub(super) async fn update(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(UPDATE)?;
    let given = input::body(&body, "quota_set")?;
    if given.is_empty() {
        let complaint = "{} should be non-empty";
        return Err(input::invalid("quota_set", &Value::Object(given), complaint));
    }
    let set = asked(&caller, &given, "quota set").await?;
    for quota in quotas(&caller, &id).await? {
        let used = quota.in_use + quota.reserved;
        let limit = set.get(&quota.name).copied().unwrap_or(-1);
        if limit != -1 && limit < used && quota.name != "per_volume_gigabytes" {
            return Err(Fault::bad(format!(
                "Quota {} limit must be equal or greater than existing resources. Current usage \
                 is {used} and the requested limit is {limit}.",
                quota.name
            )));
        }
    }
    let owner = QuotaOwner::Project(ProjectId::new(id));
    caller.store.set_quotas(&owner, &set).await?;
    Ok(Json(json!({"quota_set": limits_of(&caller, &owner).await?})))
}

pub(super) async fn delete(Extension(caller): Asked, Id(id): Id) -> Result<StatusCode, Fault> {
    caller.must_be_admin(DELETE)?;
    caller.store.delete_quotas(&QuotaOwner::Project(ProjectId::new(id))).await?;
    Ok(StatusCode::OK)
}

pub(super) async fn show_class(Extension(caller): Asked, Id(id): Id) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(SHOW_CLASS)?;
    let mut set = limits_of(&caller, &QuotaOwner::Class(id.clone())).await?;
    set.insert("id".to_owned(), id.into());
    Ok(Json(json!({ "quota_class_set": set })))
}

pub(super) async fn update_class(
    Extension(caller): Asked,
    Id(id): Id,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    caller.must_be_admin(UPDATE_CLASS)?;
    let given = input::body(&body, "quota_class_set")?;
    let set = asked(&caller, &given, "quota class set").await?;
    let owner = QuotaOwner::Class(id);
    caller.store.set_quotas(&owner, &set).await?;
    Ok(Json(json!({"quota_class_set": limits_of(&caller, &owner).await?})))
}

fn may_show(caller: &Caller, project: &str) -> Result<(), Fault> {
    if project == caller.project.id { Ok(()) } else { caller.must_be_admin(SHOW) }
}

fn default_class() -> QuotaOwner {
    QuotaOwner::Class("default".to_owned())
}

/// The limits that are asked for, if all of them are limits (cinder: `api/validation/validators.py`
/// `_validate_quota_set`).
async fn asked(
    caller: &Caller,
    given: &Map<String, Value>,
    what: &str,
) -> Result<BTreeMap<String, i64>, Fault> {
    let names = names(caller).await?;
    let is_quota = |name: &&String| !NO_QUOTA.contains(&name.as_str());
    let unknown: Vec<_> =
        given.keys().filter(is_quota).filter(|one| !names.contains(one)).collect();
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().map(String::as_str).collect();
        let bad = format!("Bad key(s) in {what}: {}", unknown.join(", "));
        return Err(Fault::bad(format!("Invalid input received: {bad}")));
    }
    let given = given.iter().filter(|(name, _)| is_quota(name));
    given.map(|(name, value)| Ok((name.clone(), limit(name, value)?))).collect()
}

fn limit(name: &str, value: &Value) -> Result<i64, Fault> {
    let text = value.as_str().map_or_else(|| repr(value), str::to_owned);
    let most = i64::from(i32::MAX);
    match text.parse::<i64>() {
        Err(_) => Err(Fault::bad(format!("{name} must be an integer"))),
        Ok(limit) if limit < -1 => Err(Fault::bad(format!("{name} must be >= -1"))),
        Ok(limit) if limit > most => Err(Fault::bad(format!("{name} must be <= {most}"))),
        Ok(limit) => Ok(limit),
    }
}

async fn limits_of(caller: &Caller, owner: &QuotaOwner) -> Result<Map<String, Value>, Fault> {
    let names = names(caller).await?;
    let mut limits = caller.store.quota_set(&caller.limits, owner, &names).await?;
    for (name, limit) in ELSEWHERE {
        // What nobody has set is Cinder's default, not unlimited.
        limits.entry(name.to_owned()).and_modify(|set| {
            if *set == -1 {
                *set = limit
            }
        });
    }
    Ok(limits.into_iter().map(|(name, limit)| (name, limit.into())).collect())
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

/// Limits of what is not here.
const ELSEWHERE: [(&str, i64); 3] = [("backups", 10), ("backup_gigabytes", 1000), ("groups", 10)];

/// All that there are limits of.
async fn names(caller: &Caller) -> Result<Vec<String>, Fault> {
    let ours = ["volumes", "snapshots", "gigabytes", "per_volume_gigabytes"];
    let others = ELSEWHERE.iter().map(|(name, _)| *name);
    let mut names: Vec<String> = ours.into_iter().chain(others).map(str::to_owned).collect();
    for kind in caller.store.volume_types(&cinder_db::Scope::All).await? {
        let of_type =
            ["volumes", "gigabytes", "snapshots"].map(|one| format!("{one}_{}", kind.name));
        names.extend(of_type);
    }
    Ok(names)
}

async fn quotas(caller: &Caller, project: &str) -> Result<Vec<Quota>, Fault> {
    let project = ProjectId::new(project);
    let limits = limits_of(caller, &QuotaOwner::Project(project.clone())).await?;
    let usages = caller.store.world_rows(&project).await?.usages;
    let quota = |(name, limit): (String, Value)| {
        let used = usages.get(&(project.clone(), name.clone()));
        let (in_use, reserved) = used.copied().unwrap_or_default();
        Quota { name, limit: limit.as_i64().unwrap_or(-1), in_use, reserved }
    };
    Ok(limits.into_iter().map(quota).collect())
}
