//! Quotas: limits, reservations and usages, as Cinder keeps them.
//!
//! Follows cinder: `db/api.py` `quota_reserve`, `reservation_commit`, `reservation_rollback` and
//! `quota.py` `DbQuotaDriver`, inside the caller's transaction: a refusal leaves nothing behind.
//! A usage is counted anew when its row is missing or negative, and as often as `until_refresh` and
//! `max_age` want it.

mod counting;
mod reservations;
mod sets;

pub(crate) use reservations::{Demand, commit, reserve, roll_back};
pub use sets::QuotaOwner;

use crate::DbError;
use crate::db::Txn;
use sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use std::collections::BTreeMap;
use std::fmt;
use transfer_core::ProjectId;

/// The deployment's limits: `cinder.conf`, under what the database says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaLimits {
    /// `quota_volumes`; negative is unlimited, here and below.
    pub volumes: i64,
    /// `quota_snapshots`.
    pub snapshots: i64,
    /// `quota_gigabytes`.
    pub gigabytes: i64,
    /// `per_volume_size_limit`, in GiB.
    pub per_volume_gigabytes: i64,
    /// `no_snapshot_gb_quota`: snapshots do not count as gigabytes.
    pub no_snapshot_gb_quota: bool,
    /// `use_default_quota_class`: the quota class `default` overrides the configuration.
    pub use_default_quota_class: bool,
    /// `reservation_expire`, in seconds.
    pub reservation_expire_s: u32,
    /// `until_refresh`: after so many reservations a usage is counted anew; 0 is never.
    pub until_refresh: u32,
    /// `max_age`: after so many seconds, likewise.
    pub max_age_s: u32,
}

impl Default for QuotaLimits {
    /// Cinder's defaults.
    fn default() -> Self {
        Self {
            volumes: 10,
            snapshots: 10,
            gigabytes: 1000,
            per_volume_gigabytes: -1,
            no_snapshot_gb_quota: false,
            use_default_quota_class: true,
            reservation_expire_s: 86_400,
            until_refresh: 0,
            max_age_s: 0,
        }
    }
}

/// The quota class that counts for everybody.
const DEFAULT_CLASS: &str = "default";

/// The resource of which a volume has its size, and nothing is in use.
const PER_VOLUME: &str = "per_volume_gigabytes";

/// A quota is too small. The texts are Cinder's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OverQuota {
    /// Cinder's `VolumeSizeExceedsAvailableQuota`.
    #[error(
        "Requested volume or snapshot exceeds allowed {name} quota. Requested {requested}G, \
         quota is {quota}G and {consumed}G has been consumed."
    )]
    Gigabytes {
        /// `gigabytes` or `gigabytes_<type>`.
        name: String,
        /// GiB asked for.
        requested: i64,
        /// GiB in use and reserved.
        consumed: i64,
        /// The limit in GiB.
        quota: i64,
    },
    /// Cinder's `VolumeLimitExceeded`.
    #[error("Maximum number of volumes allowed ({allowed}) exceeded for quota '{name}'.")]
    Volumes {
        /// `volumes` or `volumes_<type>`.
        name: String,
        /// The limit.
        allowed: i64,
    },
    /// Cinder's `SnapshotLimitExceeded`.
    #[error("Maximum number of snapshots allowed ({allowed}) exceeded")]
    Snapshots {
        /// The limit.
        allowed: i64,
    },
    /// Cinder's `VolumeSizeExceedsLimit`.
    #[error("Requested volume size {size_gb}G is larger than maximum allowed limit {limit_gb}G.")]
    VolumeSize {
        /// The volume's size in GiB.
        size_gb: i64,
        /// The limit in GiB.
        limit_gb: i64,
    },
    /// Cinder's `QuotaUsageOverflow`: no column of a usage holds so much.
    #[error(
        "Quota usage would overflow for resources: [{}]. The requested operation would exceed the \
         maximum allowed value ({MOST_IN_USE}) for quota tracking.",
        quoted(names)
    )]
    Overflow {
        /// The resources, sorted.
        names: Vec<String>,
    },
}

/// The most that a usage can count.
pub(crate) const MOST_IN_USE: i64 = 0x7fff_ffff;

/// A list as Python writes it.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// What quotas count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Volumes,
    Gigabytes,
    Snapshots,
}

/// A volume type as quotas know it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct QuotaType {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// One quota resource: a kind, of all types or of one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Resource {
    kind: Kind,
    of_type: Option<QuotaType>,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Volumes => "volumes",
            Kind::Gigabytes => "gigabytes",
            Kind::Snapshots => "snapshots",
        })?;
        match &self.of_type {
            Some(of_type) => write!(f, "_{}", of_type.name),
            None => Ok(()),
        }
    }
}

/// Changes of usage, by resource. Each counts for all types and for its own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Charge(BTreeMap<Resource, i64>);

impl Charge {
    pub(crate) fn add(&mut self, of_type: Option<&QuotaType>, kind: Kind, amount: i64) {
        *self.0.entry(Resource { kind, of_type: None }).or_insert(0) += amount;
        if let Some(of_type) = of_type {
            let resource = Resource { kind, of_type: Some(of_type.clone()) };
            *self.0.entry(resource).or_insert(0) += amount;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of all resources that count in these charges, and of the size of a volume.
    pub(crate) fn names<'a>(charges: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        let charged =
            charges.into_iter().flat_map(|charge| charge.0.keys().map(Resource::to_string));
        charged.chain([PER_VOLUME.to_owned()]).collect()
    }
}

/// Why [`reserve`] reserved nothing.
#[derive(Debug)]
pub(crate) enum Exceeded {
    /// The resource, the limit, and what is in use and reserved, sorted by the resource's name.
    Limits(Vec<(String, i64, i64)>),
    /// The resources of which there would be more than can be counted, sorted.
    Columns(Vec<String>),
}

impl Exceeded {
    /// Cinder's choice of what to complain about (cinder: `quota_utils.py`
    /// `process_reserve_over_quota`): the first gigabytes, else the first of the kind.
    pub(crate) fn explain(self, kind: Kind, requested: i64) -> OverQuota {
        let overs = match self {
            Self::Limits(overs) => overs,
            Self::Columns(names) => return OverQuota::Overflow { names },
        };
        let Some((name, quota, consumed)) = overs.into_iter().next() else {
            return OverQuota::Snapshots { allowed: 0 };
        };
        if name.contains("gigabytes") {
            return OverQuota::Gigabytes { name, requested, consumed, quota };
        }
        match kind {
            Kind::Snapshots => OverQuota::Snapshots { allowed: quota },
            Kind::Volumes | Kind::Gigabytes => OverQuota::Volumes { name, allowed: quota },
        }
    }
}

/// The limits of some projects on some resources: a project's own, else those of the class
/// `default`, else the configuration's. `NULL` in a project's own row means that it has none of
/// its own.
pub(crate) struct Limits {
    configured: QuotaLimits,
    of_class: BTreeMap<String, i64>,
    of_project: BTreeMap<(String, String), i64>,
}

impl Limits {
    /// Reads what the database says of them.
    pub(crate) async fn read(
        txn: &mut Txn,
        configured: &QuotaLimits,
        projects: impl IntoIterator<Item = &ProjectId>,
        names: &[String],
    ) -> Result<Self, DbError> {
        let projects = projects.into_iter().map(ProjectId::as_str);
        let mut select = limits_of("quotas", "project_id", projects, names);
        if configured.use_default_quota_class {
            let class = limits_of("quota_classes", "class_name", [DEFAULT_CLASS], names);
            select.union(UnionType::All, class);
        }
        let (mut of_class, mut of_project) = (BTreeMap::new(), BTreeMap::new());
        for row in txn.all(&select).await? {
            let Some(limit) = row.opt_int("hard_limit")? else { continue };
            let (owner, name) = (row.text("owner")?, row.text("resource")?);
            match row.text("of")?.as_str() {
                "quotas" => drop(of_project.insert((owner, name), limit)),
                _class => drop(of_class.insert(name, limit)),
            }
        }
        Ok(Self { configured: configured.clone(), of_class, of_project })
    }

    /// The limit of a resource; negative is unlimited.
    pub(crate) fn of(&self, project: &ProjectId, name: &str) -> i64 {
        let own = self.of_project.get(&(project.as_str().to_owned(), name.to_owned()));
        let limit = own.or_else(|| self.of_class.get(name)).copied();
        limit.unwrap_or_else(|| configured(&self.configured, name))
    }

    /// Checks the size of one volume (cinder: `quota.py` `limit_check`).
    pub(crate) fn check_volume_size(
        &self,
        project: &ProjectId,
        size_gb: i64,
    ) -> Result<(), OverQuota> {
        let limit_gb = self.of(project, PER_VOLUME);
        if limit_gb >= 0 && limit_gb < size_gb {
            return Err(OverQuota::VolumeSize { size_gb, limit_gb });
        }
        Ok(())
    }
}

fn configured(limits: &QuotaLimits, name: &str) -> i64 {
    match name {
        "volumes" => limits.volumes,
        "snapshots" => limits.snapshots,
        "gigabytes" => limits.gigabytes,
        PER_VOLUME => limits.per_volume_gigabytes,
        _of_a_type => -1,
    }
}

/// What a table says of some owners' limits.
fn limits_of<'a>(
    table: &'static str,
    owner_column: &'static str,
    owners: impl IntoIterator<Item = &'a str>,
    names: &[String],
) -> SelectStatement {
    Query::select()
        .expr_as(Expr::cust(format!("'{table}'")), "of")
        .expr_as(Expr::col(owner_column), "owner")
        .columns(["resource", "hard_limit"])
        .from(table)
        .and_where(Expr::col("deleted").eq(false))
        .and_where(Expr::col(owner_column).is_in(owners))
        .and_where(Expr::col("resource").is_in(names))
        .take()
}
