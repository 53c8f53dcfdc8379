//! What stands in the database at one moment, for whoever watches it over time.

use crate::db::Txn;
use crate::expiry::count_expired;
use crate::reports::{Counts, count};
use crate::schema::DEBTS;
use crate::{DbError, Store, journal};
use sea_query::{Expr, ExprTrait, Order, Query};
use std::time::Duration;

/// What stands in the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Open offers, whoever made them, that can be accepted.
    pub open_offers: u64,
    /// Open offers that cannot, since they have expired.
    pub expired_offers: u64,
    /// Claims and debts.
    pub counts: Counts,
    /// How old the debts are that the service can pay.
    pub service_debts: Ages,
    /// How old the debts are that take a project's authority.
    pub project_debts: Ages,
}

/// How old debts are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ages {
    /// For each of the ages that were asked about: how many debts are that old or older.
    pub at_least: Vec<u64>,
    /// The age of the oldest; zero without any.
    pub oldest: Duration,
}

impl Store {
    /// What stands at this moment; of debts, how many are as old as each of `ages`.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn standing(&self, ages: &[Duration]) -> Result<Standing, DbError> {
        let counts = self.counts().await?;
        let mut txn = self.db.read().await?;
        let is_open = Expr::col("deleted").eq(false);
        let expired_offers = count_expired(&mut txn).await?;
        Ok(Standing {
            open_offers: count(&mut txn, "transfers", is_open).await? - expired_offers,
            expired_offers,
            counts,
            service_debts: of(&mut txn, Expr::col("project_id").is_null(), ages).await?,
            project_debts: of(&mut txn, Expr::col("project_id").is_not_null(), ages).await?,
        })
    }
}

async fn of(txn: &mut Txn, which: Expr, ages: &[Duration]) -> Result<Ages, DbError> {
    let age = txn.now_ms().sub(Expr::col("created_at_ms"));
    let select = Query::select()
        .expr_as(age.clone(), "age")
        .from(DEBTS)
        .and_where(which.clone())
        .order_by("created_at_ms", Order::Asc)
        .limit(1)
        .take();
    let oldest = txn.first(&select).await?.map_or(Ok(0), |row| row.int("age"))?;
    let mut at_least = Vec::new();
    for least in ages {
        let is_that_old = age.clone().gte(journal::millis(*least));
        at_least.push(count(txn, DEBTS, which.clone().and(is_that_old)).await?);
    }
    Ok(Ages { at_least, oldest: Duration::from_millis(u64::try_from(oldest).unwrap_or(0)) })
}
