//! Counting what a project really has, whatever its usage says.

use super::{Kind, QuotaLimits, Resource};
use crate::DbError;
use crate::db::Txn;
use sea_query::{Expr, ExprTrait, Query};
use transfer_core::ProjectId;

/// What a project really has (cinder: `db/api.py` `_sync_volumes`, `_sync_gigabytes`,
/// `_sync_snapshots`). Rows with `use_quota` false do not count.
pub(super) async fn count(
    txn: &mut Txn,
    limits: &QuotaLimits,
    project: &ProjectId,
    resource: &Resource,
) -> Result<i64, DbError> {
    let volumes = sum(txn, project, resource, "volumes", "size").await?;
    let snapshots = sum(txn, project, resource, "snapshots", "volume_size").await?;
    Ok(match resource.kind {
        Kind::Volumes => volumes.0,
        Kind::Snapshots => snapshots.0,
        Kind::Gigabytes if limits.no_snapshot_gb_quota => volumes.1,
        Kind::Gigabytes => volumes.1 + snapshots.1,
    })
}

async fn sum(
    txn: &mut Txn,
    project: &ProjectId,
    resource: &Resource,
    table: &'static str,
    size: &'static str,
) -> Result<(i64, i64), DbError> {
    let mut select = Query::select()
        .expr_as(Expr::col("id").count(), "rows")
        .expr_as(Expr::col(size).sum(), "gigabytes")
        .from(table)
        .and_where(Expr::col("deleted").eq(false))
        .and_where(Expr::col("use_quota").eq(true))
        .and_where(Expr::col("project_id").eq(project.as_str()))
        .take();
    if let Some(of_type) = &resource.of_type {
        let is_of_type = Expr::col(("volumes", "volume_type_id")).eq(of_type.id.as_str());
        if table == "volumes" {
            select.and_where(is_of_type);
        } else {
            // A snapshot counts for the type that its volume has now.
            let own = Query::select()
                .expr(Expr::val(1))
                .from("volumes")
                .and_where(Expr::col(("volumes", "id")).equals((table, "volume_id")))
                .and_where(is_of_type)
                .take();
            select.and_where(Expr::exists(own));
        }
    }
    match txn.first(&select).await? {
        Some(row) => Ok((row.int("rows")?, row.int("gigabytes")?)),
        None => Ok((0, 0)),
    }
}
