//! Debts: garbage on record until it is paid for.

use crate::db::{Row, Txn};
use crate::schema::{DEBTS, KEY_HOLDERS};
use crate::{Committed, DbError, Store, journal};
use sea_query::{Expr, ExprTrait, OnConflict, Order, Query, SelectStatement, UnionType};
use std::cmp::min;
use std::time::Duration;
use transfer_core::{
    Authority, Debt, Garbage, HandOver, HandOverId, ProjectId, SecretId, Settlement,
};

/// The pause after the first failed attempt to pay; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How much of a refusal's words is kept.
const ERROR_CHARACTERS: usize = 1000;

/// A debt as a report shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebtRow {
    /// The debt.
    pub debt: Debt,
    /// The database's clock when it was recorded, in ms since the epoch.
    pub created_at_ms: i64,
    /// How often its payment was tried.
    pub attempts: i64,
    /// What the last attempt came to.
    pub last_error: Option<String>,
    /// When recovery tries again, in ms since the epoch.
    pub due_at_ms: i64,
}

/// A hand-over that has ended, and what attempts to pay its debts came to.
#[derive(Clone, Debug)]
pub struct SettledEnd {
    /// The hand-over.
    pub hand_over: HandOverId,
    /// Each of its debts that was tried.
    pub debts: Vec<(Debt, Settlement)>,
}

impl Store {
    /// Debts that this authority can pay, the least tried first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn debts_of(
        &self,
        authority: &Authority,
        limit: u64,
    ) -> Result<Vec<Committed<Debt>>, DbError> {
        let mut select = debts();
        select.and_where(owed_by(authority)).limit(limit);
        select.order_by("attempts", Order::Asc).order_by("created_at_ms", Order::Asc);
        read_all(&self.db.select(&select).await?)
    }

    /// Debts that the service can pay and whose pause is over, the longest due first. Those of a
    /// hand-over whose driver is still at it, as far as its lease tells, are left to that driver.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn due_service_debts(&self, limit: u64) -> Result<Vec<Committed<Debt>>, DbError> {
        let mut txn = self.db.read().await?;
        let mut select = debts();
        select
            .and_where(owed_by(&Authority::Service))
            .and_where(Expr::col("due_at_ms").lte(txn.now_ms()))
            .and_where(Expr::col("hand_over_id").in_subquery(journal::at_work(&txn)).not())
            .order_by("due_at_ms", Order::Asc)
            .limit(limit);
        committed(&mut txn, &select).await
    }

    /// Records what an attempt to pay came to: a paid debt is struck out, any other stays, with
    /// the reason and a longer pause.
    ///
    /// # Errors
    /// [`DbError`]; the debt is as before then.
    pub async fn settle(&self, debt: &Debt, settlement: &Settlement) -> Result<(), DbError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                settle(&mut txn, debt, settlement).await?;
                txn.commit().await
            })
            .await
    }

    /// Records what became of the debts of hand-overs that have ended, as [`Store::settle`] does,
    /// and forgets these hand-overs.
    ///
    /// # Errors
    /// [`DbError`]; all is as before then.
    pub async fn settle_ends(&self, ends: &[SettledEnd]) -> Result<(), DbError> {
        let forgetting = journal::forgetting(ends.iter().map(|end| &end.hand_over));
        let debts = || ends.iter().flat_map(|end| &end.debts);
        if debts().next().is_none() {
            let forgotten = self.db.uninterrupted(|| self.db.write_once(&forgetting)).await;
            return forgotten.map(|_rows| ());
        }
        let is_paid = |settled: &&(Debt, Settlement)| settled.1 == Settlement::Paid;
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                strike_out(&mut txn, debts().filter(is_paid).map(|(debt, _)| debt)).await?;
                for (debt, settlement) in debts().filter(|settled| !is_paid(settled)) {
                    settle(&mut txn, debt, settlement).await?;
                }
                txn.execute(&forgetting).await?;
                txn.commit().await
            })
            .await
    }

    /// Records debts that belong to no commit and no abort: shells that a driver made before it
    /// noticed that it had been taken over.
    ///
    /// # Errors
    /// [`DbError`]; none is recorded then.
    pub async fn owe(&self, owed: &[Debt]) -> Result<(), DbError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                record(&mut txn, owed).await?;
                txn.commit().await
            })
            .await
    }

    /// Whether a live volume, snapshot, backup or hand-over names this secret. Such a secret must
    /// never be deleted.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn is_named(&self, secret: &SecretId) -> Result<bool, DbError> {
        let mut select = journal::live_with(secret.as_str());
        for table in KEY_HOLDERS {
            select.union(UnionType::All, naming(table, secret));
        }
        for row in self.db.select(&select).await? {
            let Some(state) = row.opt_text("state")? else { return Ok(true) };
            let of_hand_over = HandOver::from_journal(&state)?;
            let mut keys = of_hand_over.keys().iter();
            if keys.any(|key| key.old == *secret || key.shell.as_ref() == Some(secret)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every debt, oldest first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn debts(&self) -> Result<Vec<DebtRow>, DbError> {
        all(&mut self.db.read().await?).await
    }
}

async fn strike_out<'a>(
    txn: &mut Txn,
    paid: impl IntoIterator<Item = &'a Debt>,
) -> Result<(), DbError> {
    let ids: Vec<String> = paid.into_iter().map(|debt| debt.id().as_str().to_owned()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let delete = Query::delete().from_table(DEBTS).and_where(Expr::col("id").is_in(ids)).take();
    txn.execute(&delete).await.map(|_rows| ())
}

async fn settle(txn: &mut Txn, debt: &Debt, settlement: &Settlement) -> Result<(), DbError> {
    let id = debt.id();
    let error = match settlement {
        Settlement::Paid => return strike_out(txn, [debt]).await,
        Settlement::Refused(refusal) => refusal.to_string(),
        Settlement::Unknown(why) => why.clone(),
    };
    let mut select = debts();
    select.and_where(Expr::col("id").eq(id.as_str()));
    txn.lock(&mut select);
    let Some(row) = txn.first(&select).await? else { return Ok(()) };
    let attempts = row.int("attempts")?;
    let error: String = error.chars().take(ERROR_CHARACTERS).collect();
    let update = Query::update()
        .table(DEBTS)
        .value("attempts", attempts + 1)
        .value("last_error", error)
        .value("due_at_ms", txn.now_ms().add(journal::millis(pause(attempts))))
        .and_where(Expr::col("id").eq(id.as_str()))
        .take();
    txn.execute(&update).await.map(|_rows| ())
}

pub(crate) async fn all(txn: &mut Txn) -> Result<Vec<DebtRow>, DbError> {
    let mut select = debts();
    select.order_by("created_at_ms", Order::Asc).order_by("id", Order::Asc);
    txn.all(&select).await?.iter().map(DebtRow::read).collect()
}

/// Records debts; one that is on record already stays as it is.
pub(crate) async fn record(txn: &mut Txn, owed: &[Debt]) -> Result<(), DbError> {
    if owed.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert();
    insert.into_table(DEBTS).columns([
        "id",
        "hand_over_id",
        "project_id",
        "kind",
        "target",
        "created_at_ms",
        "attempts",
        "due_at_ms",
    ]);
    for debt in owed {
        let project = match &debt.authority {
            Authority::Service => None,
            Authority::Project(project) => Some(project.as_str()),
        };
        let (kind, target) = match &debt.garbage {
            Garbage::Secret(secret) => ("secret", secret.as_str()),
            Garbage::Shells { name } => ("shells", name.as_str()),
        };
        insert.values_panic([
            debt.id().as_str().into(),
            debt.hand_over.as_str().into(),
            project.into(),
            kind.into(),
            target.into(),
            txn.now_ms(),
            0.into(),
            txn.now_ms(),
        ]);
    }
    insert.on_conflict(OnConflict::column("id").do_nothing_on(["id"]).to_owned());
    txn.execute(&insert).await.map(|_rows| ())
}

pub(crate) async fn of_hand_over(
    txn: &mut Txn,
    id: &HandOverId,
) -> Result<Vec<Committed<Debt>>, DbError> {
    let mut select = debts();
    select.and_where(Expr::col("hand_over_id").eq(id.as_str())).order_by("id", Order::Asc);
    committed(txn, &select).await
}

/// A row without a state for each live one of a table that names a secret.
fn naming(table: &'static str, secret: &SecretId) -> SelectStatement {
    Query::select()
        .expr_as(Expr::cust("NULL"), "state")
        .from(table)
        .and_where(Expr::col("deleted").eq(false))
        .and_where(Expr::col("encryption_key_id").eq(secret.as_str()))
        .take()
}

fn debts() -> SelectStatement {
    Query::select()
        .columns([
            "hand_over_id",
            "project_id",
            "kind",
            "target",
            "created_at_ms",
            "attempts",
            "last_error",
            "due_at_ms",
        ])
        .from(DEBTS)
        .take()
}

fn owed_by(authority: &Authority) -> Expr {
    match authority {
        Authority::Service => Expr::col("project_id").is_null(),
        Authority::Project(project) => Expr::col("project_id").eq(project.as_str()),
    }
}

async fn committed(
    txn: &mut Txn,
    select: &SelectStatement,
) -> Result<Vec<Committed<Debt>>, DbError> {
    read_all(&txn.all(select).await?)
}

fn read_all(rows: &[Row]) -> Result<Vec<Committed<Debt>>, DbError> {
    rows.iter().map(|row| DebtRow::read(row).map(|row| Committed::new(row.debt))).collect()
}

fn pause(attempts: i64) -> Duration {
    let doublings = min(u32::try_from(attempts).unwrap_or(0), 16);
    min(FIRST_PAUSE * 2_u32.pow(doublings), LONGEST_PAUSE)
}

impl DebtRow {
    fn read(row: &Row) -> Result<Self, DbError> {
        let target = row.text("target")?;
        let garbage = match row.text("kind")?.as_str() {
            "secret" => Garbage::Secret(SecretId::new(target)),
            "shells" => Garbage::Shells { name: target },
            _unknown => {
                return Err(DbError::Malformed {
                    column: "kind".to_owned(),
                    expected: "kind of garbage",
                });
            }
        };
        Ok(Self {
            debt: Debt {
                hand_over: HandOverId::new(row.text("hand_over_id")?),
                authority: match row.opt_text("project_id")? {
                    None => Authority::Service,
                    Some(project) => Authority::Project(ProjectId::new(project)),
                },
                garbage,
            },
            created_at_ms: row.int("created_at_ms")?,
            attempts: row.int("attempts")?,
            last_error: row.opt_text("last_error")?,
            due_at_ms: row.int("due_at_ms")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        for (attempts, seconds) in [(0, 2), (1, 4), (5, 64), (10, 2048), (11, 3600), (99, 3600)] {
            assert_eq!(pause(attempts), Duration::from_secs(seconds), "{attempts}");
        }
    }
}
