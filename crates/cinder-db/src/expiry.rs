//! Offers whose time is over. Cinder's column `expires_at` says when that is, by the database's
//! clock; an offer without it stands until somebody ends it.

use crate::db::{Row, Txn};
use crate::journal::OfferDetails;
use crate::reports::count;
use crate::volumes::Scope;
use crate::{DbError, Store};
use sea_query::{Expr, ExprTrait, Order, Query};
use std::time::Duration;
use transfer_core::{ProjectId, TransferId, UserId, VolumeId};

/// An open offer of a live volume that nobody can accept any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpiredOffer {
    /// The offer.
    pub id: TransferId,
    /// The volume, which still awaits its transfer.
    pub volume: VolumeId,
    /// The project of the volume.
    pub project: ProjectId,
    /// The user of the volume.
    pub user: UserId,
}

impl Store {
    /// The next expired offers after one, in the order of the database for ids: those within a
    /// scope whose time has been over for so long.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn expired_offers(
        &self,
        scope: &Scope,
        over_for: Duration,
        after: Option<&TransferId>,
        limit: u64,
    ) -> Result<Vec<ExpiredOffer>, DbError> {
        let mut txn = self.db.read().await?;
        let mut select = Query::select();
        select
            .column(("transfers", "id"))
            .columns([("volumes", "project_id"), ("volumes", "user_id")])
            .column(("transfers", "volume_id"))
            .from("transfers")
            .inner_join("volumes", Expr::col(("volumes", "id")).equals(("transfers", "volume_id")))
            .and_where(Expr::col(("transfers", "deleted")).eq(false))
            .and_where(Expr::col(("volumes", "deleted")).eq(false))
            .and_where(is_over(&txn, over_for))
            .order_by(("transfers", "id"), Order::Asc)
            .limit(limit);
        if let Scope::Project(project) = scope {
            select.and_where(Expr::col(("volumes", "project_id")).eq(project.as_str()));
        }
        if let Some(after) = after {
            select.and_where(Expr::col(("transfers", "id")).gt(after.as_str()));
        }
        let read = |row: &Row| {
            Ok(ExpiredOffer {
                id: TransferId::new(row.text("id")?),
                volume: VolumeId::new(row.text("volume_id")?),
                project: ProjectId::new(row.opt_text("project_id")?.unwrap_or_default()),
                user: UserId::new(row.opt_text("user_id")?.unwrap_or_default()),
            })
        };
        txn.all(&select).await?.iter().map(read).collect()
    }

    /// Whether there is any expired offer.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn has_expired_offers(&self) -> Result<bool, DbError> {
        let mut txn = self.db.read().await?;
        let is_over = is_over(&txn, Duration::ZERO);
        let select = Query::select()
            .column("id")
            .from("transfers")
            .and_where(Expr::col("deleted").eq(false))
            .and_where(is_over)
            .limit(1)
            .take();
        txn.any(&select).await
    }
}

/// How many open offers have expired.
pub(crate) async fn count_expired(txn: &mut Txn) -> Result<u64, DbError> {
    let is_over = is_over(txn, Duration::ZERO);
    count(txn, "transfers", Expr::col("deleted").eq(false).and(is_over)).await
}

/// Whether the time of a row of `transfers` has been over for so long; never for NULL.
pub(crate) fn is_over(txn: &Txn, by: Duration) -> Expr {
    Expr::col(("transfers", "expires_at")).lte(txn.utc_in(-i64::from(seconds(by))))
}

/// When an offer that is made now expires.
pub(crate) fn expires_at(txn: &Txn, offer: &OfferDetails) -> Expr {
    match offer.expire_after_s {
        Some(after) => txn.utc_in(i64::from(after)),
        None => Expr::null(),
    }
}

/// Whole seconds, as many as a date column can be moved by.
pub(crate) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
