//! Quota sets, to be looked at and set: those of a project, and those of a quota class.
//!
//! Follows cinder: `quota.py` `DbQuotaDriver`, `db/api.py` `quota_update` and
//! `quota_destroy_by_project`. Usage is not here, and nothing is checked against it.

use std::collections::BTreeMap;

use sea_query::{Expr, ExprTrait, Query};
use transfer_core::ProjectId;

use super::{Limits, QuotaLimits, configured, limits_of};
use crate::db::utc_now;
use crate::volumes::touch;
use crate::{DbError, Store, dialect};

/// Whose limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuotaOwner {
    /// A project's own; what it has not of its own is the deployment's.
    Project(ProjectId),
    /// A class; `default` is the deployment's.
    Class(String),
}

impl QuotaOwner {
    /// The table, its column that names the owner, and the name.
    fn place(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::Project(project) => ("quotas", "project_id", project.as_str()),
            Self::Class(class) => ("quota_classes", "class_name", class),
        }
    }
}

impl Store {
    /// The limits that count for an owner, by resource.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn quota_set(
        &self,
        limits: &QuotaLimits,
        owner: &QuotaOwner,
        names: &[String],
    ) -> Result<BTreeMap<String, i64>, DbError> {
        let mut txn = self.db.read().await?;
        match owner {
            QuotaOwner::Project(project) => {
                let limits = Limits::read(&mut txn, limits, [project], names).await?;
                Ok(names.iter().map(|name| (name.clone(), limits.of(project, name))).collect())
            }
            QuotaOwner::Class(class) => {
                let configured = |name: &String| (name.clone(), configured(limits, name));
                let mut found: BTreeMap<_, _> = names.iter().map(configured).collect();
                let (table, column, _) = owner.place();
                for row in txn.all(&limits_of(table, column, [class.as_str()], names)).await? {
                    if let Some(limit) = row.opt_int("hard_limit")? {
                        found.insert(row.text("resource")?, limit);
                    }
                }
                Ok(found)
            }
        }
    }

    /// Sets limits of an owner; those that are not named stay.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn set_quotas(
        &self,
        owner: &QuotaOwner,
        set: &BTreeMap<String, i64>,
    ) -> Result<(), DbError> {
        let (table, column, name) = owner.place();
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                for (resource, limit) in set {
                    let own = Expr::col(column)
                        .eq(name)
                        .and(Expr::col("resource").eq(resource.as_str()))
                        .and(Expr::col("deleted").eq(false));
                    let there =
                        Query::select().column("id").from(table).and_where(own.clone()).take();
                    if txn.any(&there).await? {
                        let update = touch(table).value("hard_limit", *limit).and_where(own).take();
                        txn.execute(&update).await?;
                        continue;
                    }
                    let insert = Query::insert()
                        .into_table(table)
                        .columns(["created_at", "deleted", column, "resource", "hard_limit"])
                        .values_panic([
                            dialect::datetime(utc_now()).into(),
                            false.into(),
                            name.into(),
                            resource.as_str().into(),
                            (*limit).into(),
                        ])
                        .take();
                    txn.execute(&insert).await?;
                }
                txn.commit().await
            })
            .await
    }

    /// Takes all limits of its own from an owner.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn delete_quotas(&self, owner: &QuotaOwner) -> Result<(), DbError> {
        let (table, column, name) = owner.place();
        self.db
            .uninterrupted(|| async {
                let update = touch(table)
                    .value("deleted", true)
                    .value("deleted_at", dialect::datetime(utc_now()))
                    .and_where(Expr::col(column).eq(name))
                    .and_where(Expr::col("deleted").eq(false))
                    .take();
                let mut txn = self.db.write().await?;
                txn.execute(&update).await?;
                txn.commit().await
            })
            .await
    }
}
