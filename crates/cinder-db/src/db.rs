//! The pool and transactions: the only module, with `dialect`, that names a database.
//!
//! Invariants: every statement runs in a transaction, or is a select that stands alone; a
//! transaction that is dropped is rolled back; [`DbError::Interrupted`] is said of a transaction
//! only when nothing of it has happened.

mod again;
mod group;
mod row;

pub(crate) use again::Interruptible;
pub(crate) use row::Row;

use crate::dialect::{Definition, Dialect, Options};
use crate::turnstile::{Passage, Turnstile};
use crate::{ConnectError, DbError, StoreConfig};
use again::Turns;
use group::{Groups, SqliteTxn};
use sea_query::{Expr, SelectStatement};
use sea_query_sqlx::SqlxBinder;
use sqlx::mysql::{MySql, MySqlPool};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgPool, Postgres};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Database, Executor as _, Transaction};
use std::sync::Arc;
use std::time::Duration;
use time::{OffsetDateTime, PrimitiveDateTime};

/// How long a transaction waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The same thing of whichever database it is.
#[derive(Clone, Debug)]
enum Each<S, P, M> {
    Sqlite(S),
    Postgres(P),
    MySql(M),
}

/// Says the same to whichever database it is.
macro_rules! each {
    ($of:expr, $value:ident => $body:expr) => {
        match $of {
            Each::Sqlite($value) => $body,
            Each::Postgres($value) => $body,
            Each::MySql($value) => $body,
        }
    };
}
use each;

type Pool = Each<SqlitePool, PgPool, MySqlPool>;

type Inner = Each<SqliteTxn, Transaction<'static, Postgres>, Transaction<'static, MySql>>;

/// A database.
#[derive(Clone, Debug)]
pub(crate) struct Db {
    pool: Pool,
    dialect: Dialect,
    /// The writers of SQLite.
    groups: Option<Groups>,
    turns: Turns,
    turnstile: Option<Arc<dyn Turnstile>>,
}

/// One transaction.
pub(crate) struct Txn {
    inner: Inner,
    dialect: Dialect,
    writes: bool,
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

impl Db {
    pub(crate) async fn connect(config: &StoreConfig) -> Result<Self, ConnectError> {
        let options = Options::read(&config.url)?;
        let (dialect, max) = (options.dialect(), config.max_connections);
        let place = options.place();
        let pool = match options {
            Options::Sqlite(options) => {
                // A connection is a thread of this process: it is not lost behind our back.
                let pool = limits(max).test_before_acquire(false);
                pool.connect_with(options).await.map(Pool::Sqlite)
            }
            Options::Postgres(options) => {
                let pool = limits::<Postgres>(max).after_connect(move |connection, _meta| {
                    Box::pin(async move {
                        connection.execute(Dialect::POSTGRES_SESSION).await.map(|_done| ())
                    })
                });
                pool.connect_with(options).await.map(Pool::Postgres)
            }
            Options::MySql(options) => {
                let pool = limits::<MySql>(max).after_connect(move |connection, _meta| {
                    Box::pin(async move {
                        connection.execute(Dialect::MYSQL_SESSION).await.map(|_done| ())
                    })
                });
                pool.connect_with(options).await.map(Pool::MySql)
            }
        }
        .map_err(|error| ConnectError::Open { place, why: error.to_string() })?;
        let groups = match &pool {
            Pool::Sqlite(pool) => Some(Groups::new(pool.clone())),
            Pool::Postgres(_) | Pool::MySql(_) => None,
        };
        Ok(Self { pool, dialect, groups, turns: Turns::default(), turnstile: None })
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
        let inner = match &self.groups {
            Some(groups) => Inner::Sqlite(SqliteTxn::Writing(groups.join().await?)),
            None => self.begin(self.dialect.begin_write()).await?,
        };
        Ok(Txn { inner, dialect: self.dialect, writes: true, watched })
    }

    /// A transaction that reads one snapshot.
    pub(crate) async fn read(&self) -> Result<Txn, DbError> {
        let watched = self.watch(Passage::Free);
        let inner = self.begin(self.dialect.begin_read()).await?;
        Ok(Txn { inner, dialect: self.dialect, writes: false, watched })
    }

    /// A select that stands alone: it sees one snapshot without a transaction around it.
    pub(crate) async fn select(&self, select: &SelectStatement) -> Result<Vec<Row>, DbError> {
        let watched = self.watch(Passage::Free);
        let (sql, values) = self.dialect.build(select);
        if let Some(watched) = &watched {
            watched.turnstile.statement(&sql);
        }
        let query = AssertSqlSafe(sql);
        Ok(each!(&self.pool, pool => {
            let rows = sqlx::query_with(query, values).fetch_all(pool).await?;
            rows.into_iter().map(Row::from).collect()
        }))
    }

    async fn begin(&self, how: &'static str) -> Result<Inner, sqlx::Error> {
        match &self.pool {
            Pool::Sqlite(pool) => {
                let txn = pool.begin_with(how).await?;
                Ok(Inner::Sqlite(SqliteTxn::Reading(txn)))
            }
            Pool::Postgres(pool) => pool.begin_with(how).await.map(Inner::Postgres),
            Pool::MySql(pool) => pool.begin_with(how).await.map(Inner::MySql),
        }
    }

    fn watch(&self, passage: Passage) -> Option<Watched> {
        let turnstile = self.turnstile.clone()?;
        turnstile.begins();
        Some(Watched { turnstile, passage, committed: false })
    }

    pub(crate) fn is_idle(&self) -> bool {
        let (idle, size) = each!(&self.pool, pool => (pool.num_idle(), pool.size()));
        u32::try_from(idle).is_ok_and(|idle| idle == size)
    }

    pub(crate) async fn close(&self) {
        each!(&self.pool, pool => pool.close().await);
    }
}

fn limits<D: Database>(max_connections: u32) -> PoolOptions<D> {
    PoolOptions::new().max_connections(max_connections).acquire_timeout(ACQUIRE_TIMEOUT)
}

impl Txn {
    /// Locks the rows that a select is going to find, if this transaction writes and the database
    /// locks rows at all.
    pub(crate) fn lock(&self, select: &mut SelectStatement) {
        if self.writes {
            select.lock_exclusive();
        }
    }

    /// Whether others may write at the same time, so that rows have to be locked.
    pub(crate) fn has_rivals(&self) -> bool {
        self.writes && self.dialect != Dialect::Sqlite
    }

    /// The database's clock in milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> Expr {
        self.dialect.now_ms()
    }

    /// What the database's clock will show in so many seconds, as Cinder's date columns have it.
    pub(crate) fn utc_in(&self, seconds: i64) -> Expr {
        self.dialect.utc_in(seconds)
    }

    /// Where this database differs from the others.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs an insert, update or delete; gives the number of rows that it matched.
    pub(crate) async fn execute(&mut self, statement: &impl SqlxBinder) -> Result<u64, DbError> {
        let (sql, values) = self.dialect.build(statement);
        self.tell(&sql);
        let query = AssertSqlSafe(sql);
        Ok(each!(&mut self.inner, txn => {
            sqlx::query_with(query, values).execute(&mut **txn).await?.rows_affected()
        }))
    }

    pub(crate) async fn all(&mut self, select: &SelectStatement) -> Result<Vec<Row>, DbError> {
        let (sql, values) = self.dialect.build(select);
        self.tell(&sql);
        let query = AssertSqlSafe(sql);
        Ok(each!(&mut self.inner, txn => {
            let rows = sqlx::query_with(query, values).fetch_all(&mut **txn).await?;
            rows.into_iter().map(Row::from).collect()
        }))
    }

    pub(crate) async fn first(&mut self, select: &SelectStatement) -> Result<Option<Row>, DbError> {
        let (sql, values) = self.dialect.build(select);
        self.tell(&sql);
        let query = AssertSqlSafe(sql);
        Ok(each!(&mut self.inner, txn => {
            sqlx::query_with(query, values).fetch_optional(&mut **txn).await?.map(Row::from)
        }))
    }

    /// Whether a select finds anything.
    pub(crate) async fn any(&mut self, select: &SelectStatement) -> Result<bool, DbError> {
        Ok(self.first(select).await?.is_some())
    }

    /// Creates a table or an index that is not there yet.
    pub(crate) async fn define(&mut self, statement: &impl Definition) -> Result<(), DbError> {
        let sql = statement.sql(self.dialect);
        self.tell(&sql);
        let query = AssertSqlSafe(sql);
        let done = each!(&mut self.inner, txn => {
            sqlx::raw_sql(query).execute(&mut **txn).await.map(|_done| ())
        });
        match done {
            Err(error) if self.dialect.is_there_already(&error) => Ok(()),
            done => Ok(done?),
        }
    }

    fn tell(&self, sql: &str) {
        if let Some(watched) = &self.watched {
            watched.turnstile.statement(sql);
        }
    }

    /// After an error nobody knows whether it happened, unless it is [`DbError::Interrupted`].
    pub(crate) async fn commit(self) -> Result<(), DbError> {
        let Self { inner, watched, writes: _, dialect: _ } = self;
        let Some(mut watched) = watched else { return commit(inner).await };
        if watched.passage == Passage::NoCommit {
            match inner {
                Inner::Sqlite(txn) => txn.rollback().await?,
                Inner::Postgres(txn) => txn.rollback().await?,
                Inner::MySql(txn) => txn.rollback().await?,
            }
            return Err(DbError::Database("the commit failed".to_owned()));
        }
        commit(inner).await?;
        watched.committed = true;
        let (turnstile, passage) = (Arc::clone(&watched.turnstile), watched.passage);
        drop(watched);
        turnstile.leave().await;
        match passage {
            Passage::ReplyLost => Err(DbError::Database("the commit's reply was lost".to_owned())),
            Passage::Free | Passage::NoBegin | Passage::NoCommit => Ok(()),
        }
    }
}

async fn commit(inner: Inner) -> Result<(), DbError> {
    match inner {
        Inner::Sqlite(txn) => txn.commit().await,
        Inner::Postgres(txn) => txn.commit().await.map_err(DbError::of_commit),
        Inner::MySql(txn) => txn.commit().await.map_err(DbError::of_commit),
    }
}

/// The time that Cinder's date columns get: naive UTC of this machine, as Cinder itself does it.
pub(crate) fn utc_now() -> PrimitiveDateTime {
    let now = OffsetDateTime::now_utc();
    let micros = now.nanosecond() / 1_000 * 1_000;
    let now = now.replace_nanosecond(micros).unwrap_or(now);
    PrimitiveDateTime::new(now.date(), now.time())
}
