//! The pool, transactions and rows: the only module, with `dialect`, that names a database.
//!
//! Invariants: every statement runs in a transaction; a transaction that is dropped is rolled back.

use crate::dialect;
use crate::turnstile::{Passage, Turnstile};
use crate::{ConnectError, DbError};
use sea_query::{SelectStatement, SqliteQueryBuilder};
use sea_query_sqlx::SqlxBinder;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite};
use std::sync::Arc;
use time::{OffsetDateTime, PrimitiveDateTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A database.
#[derive(Clone, Debug)]
pub(crate) struct Db {
    pool: SqlitePool,
    writers: Arc<Semaphore>,
    turnstile: Option<Arc<dyn Turnstile>>,
}

/// One transaction.
pub(crate) struct Txn {
    inner: sqlx::Transaction<'static, Sqlite>,
    writer: Option<OwnedSemaphorePermit>,
    watched: Option<Watched>,
}

/// A transaction that somebody watches. Dropped after the transaction itself.
struct Watched {
    turnstile: Arc<dyn Turnstile>,
    passage: Passage,
    committed: bool,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.turnstile.over(self.committed);
    }
}

/// One row of a result.
pub(crate) struct Row(SqliteRow);

impl Db {
    pub(crate) async fn connect(url: &str, max_connections: u32) -> Result<Self, ConnectError> {
        let options = dialect::connect_options(url)?;
        let pool = SqlitePoolOptions::new()
            .max_connections(max_connections)
            // A connection is a thread of this process: it is not lost behind our back.
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(|error| ConnectError::Open(error.to_string()))?;
        let writers = Arc::new(Semaphore::new(dialect::WRITERS));
        Ok(Self { pool, writers, turnstile: None })
    }

    /// The same database, watched.
    pub(crate) fn with_turnstile(&self, turnstile: Arc<dyn Turnstile>) -> Self {
        Self { turnstile: Some(turnstile), ..self.clone() }
    }

    /// A transaction that may write.
    pub(crate) async fn write(&self) -> Result<Txn, DbError> {
        let passage = match &self.turnstile {
            Some(turnstile) => turnstile.enter().await,
            None => Passage::Free,
        };
        if passage == Passage::NoBegin {
            return Err(DbError::Database("the transaction did not begin".to_owned()));
        }
        let watched = self.watch(passage);
        let writer = Arc::clone(&self.writers).acquire_owned().await;
        let inner = self.pool.begin_with(dialect::BEGIN_WRITE).await?;
        Ok(Txn { inner, writer: writer.ok(), watched })
    }

    /// A transaction that reads one snapshot.
    pub(crate) async fn read(&self) -> Result<Txn, DbError> {
        let watched = self.watch(Passage::Free);
        let inner = self.pool.begin_with(dialect::BEGIN_READ).await?;
        Ok(Txn { inner, writer: None, watched })
    }

    fn watch(&self, passage: Passage) -> Option<Watched> {
        let turnstile = self.turnstile.clone()?;
        turnstile.begins();
        Some(Watched { turnstile, passage, committed: false })
    }

    pub(crate) fn is_idle(&self) -> bool {
        u32::try_from(self.pool.num_idle()).is_ok_and(|idle| idle == self.pool.size())
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl Txn {
    /// Locks the rows that a select is going to find, if this transaction writes and the database
    /// locks rows at all.
    pub(crate) fn lock(&self, select: &mut SelectStatement) {
        if self.writer.is_some() {
            select.lock_exclusive();
        }
    }

    /// Runs an insert, update or delete; gives the number of rows that it matched.
    pub(crate) async fn execute(&mut self, statement: &impl SqlxBinder) -> Result<u64, DbError> {
        let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
        self.tell(&sql);
        let done = sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut *self.inner).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn all(&mut self, select: &SelectStatement) -> Result<Vec<Row>, DbError> {
        let (sql, values) = select.build_sqlx(SqliteQueryBuilder);
        self.tell(&sql);
        let rows = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut *self.inner).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    pub(crate) async fn first(&mut self, select: &SelectStatement) -> Result<Option<Row>, DbError> {
        let (sql, values) = select.build_sqlx(SqliteQueryBuilder);
        self.tell(&sql);
        let row =
            sqlx::query_with(AssertSqlSafe(sql), values).fetch_optional(&mut *self.inner).await?;
        Ok(row.map(Row))
    }

    /// Whether a select finds anything.
    pub(crate) async fn any(&mut self, select: &SelectStatement) -> Result<bool, DbError> {
        Ok(self.first(select).await?.is_some())
    }

    /// Creates a table or an index.
    pub(crate) async fn define(&mut self, statement: &impl Definition) -> Result<(), DbError> {
        let sql = statement.sql();
        self.tell(&sql);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *self.inner).await?;
        Ok(())
    }

    fn tell(&self, sql: &str) {
        if let Some(watched) = &self.watched {
            watched.turnstile.statement(sql);
        }
    }

    /// After an error nobody knows whether it happened.
    pub(crate) async fn commit(self) -> Result<(), DbError> {
        let Self { inner, writer, watched } = self;
        let Some(mut watched) = watched else { return Ok(inner.commit().await?) };
        if watched.passage == Passage::NoCommit {
            inner.rollback().await?;
            return Err(DbError::Database("the commit failed".to_owned()));
        }
        inner.commit().await?;
        watched.committed = true;
        let (turnstile, passage) = (Arc::clone(&watched.turnstile), watched.passage);
        drop((writer, watched));
        turnstile.leave().await;
        match passage {
            Passage::ReplyLost => Err(DbError::Database("the commit's reply was lost".to_owned())),
            Passage::Free | Passage::NoBegin | Passage::NoCommit => Ok(()),
        }
    }
}

/// A statement that shapes the schema.
pub(crate) trait Definition {
    fn sql(&self) -> String;
}

impl Definition for sea_query::TableCreateStatement {
    fn sql(&self) -> String {
        self.build(SqliteQueryBuilder)
    }
}

impl Definition for sea_query::IndexCreateStatement {
    fn sql(&self) -> String {
        self.build(SqliteQueryBuilder)
    }
}

/// The time that Cinder's date columns get: naive UTC of this machine, as Cinder itself does it.
pub(crate) fn utc_now() -> PrimitiveDateTime {
    let now = OffsetDateTime::now_utc();
    let micros = now.nanosecond() / 1_000 * 1_000;
    let now = now.replace_nanosecond(micros).unwrap_or(now);
    PrimitiveDateTime::new(now.date(), now.time())
}

impl Row {
    fn get<'r, T>(&'r self, column: &str, expected: &'static str) -> Result<Option<T>, DbError>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        // Unchecked, because SQLite types values and not columns.
        self.0
            .try_get_unchecked::<Option<T>, _>(column)
            .map_err(|_error| DbError::Malformed { column: column.to_owned(), expected })
    }

    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, DbError> {
        self.get(column, "text")
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, DbError> {
        self.opt_text(column)?
            .ok_or_else(|| DbError::Malformed { column: column.to_owned(), expected: "text" })
    }

    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, DbError> {
        self.get(column, "integer")
    }

    /// An integer; `NULL` counts as 0.
    pub(crate) fn int(&self, column: &str) -> Result<i64, DbError> {
        Ok(self.opt_int(column)?.unwrap_or(0))
    }

    pub(crate) fn opt_bool(&self, column: &str) -> Result<Option<bool>, DbError> {
        Ok(self.get::<i64>(column, "boolean")?.map(|value| value != 0))
    }

    /// A boolean; `NULL` counts as false.
    pub(crate) fn bool(&self, column: &str) -> Result<bool, DbError> {
        Ok(self.opt_bool(column)?.unwrap_or(false))
    }

    pub(crate) fn datetime(&self, column: &str) -> Result<Option<PrimitiveDateTime>, DbError> {
        let Some(text) = self.opt_text(column)? else { return Ok(None) };
        dialect::parse_datetime(&text)
            .map(Some)
            .ok_or_else(|| DbError::Malformed { column: column.to_owned(), expected: "date" })
    }
}
