//! The pool and transactions: the only module, with `dialect`, that names a database.
//!
//! Invariants: every statement runs in a transaction, or is a select that stands alone; a
//! transaction that is dropped is rolled back; [`DbError::Interrupted`] is said of a transaction
//! only when nothing of it has happened.

mod again;
mod row;
mod sqlite;

pub(crate) use again::Interruptible;
pub(crate) use row::Row;

use crate::dialect::{Definition, Dialect, Options};
use crate::turnstile::{Passage, Turnstile};
use crate::{ConnectError, DbError, StoreConfig};
use again::Turns;
use sea_query::{Expr, QueryStatementWriter, SelectStatement, Values};
use sea_query_sqlx::SqlxValues;
use sqlite::{Sqlite, SqliteTxn};
use sqlx::mysql::{MySql, MySqlPool};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgPool, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Database, Executor as _, IntoArguments, Transaction};
use std::sync::Arc;
use std::time::Duration;
use time::{OffsetDateTime, PrimitiveDateTime};

/// How long a transaction waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many prepared statements all connections of this process keep on a MariaDB, which has a
/// limit for all who use it (`max_prepared_stmt_count`, 16,382 unless it is told otherwise): a
/// quarter of that.
const PREPARED: usize = 4095;

/// The most that one connection keeps: more than there are.
const STATEMENTS: usize = 100;

/// How long a connection is trusted after its last use.
const FRESH: Duration = Duration::from_secs(1);

/// The same thing of whichever database it is.
#[derive(Clone, Debug)]
enum Each<S, P, M> {
    Sqlite(S),
    Postgres(P),
    MySql(M),
}

type Pool = Each<Sqlite, PgPool, MySqlPool>;

type Inner = Each<SqliteTxn, Transaction<'static, Postgres>, Transaction<'static, MySql>>;

/// A database.
#[derive(Clone, Debug)]
pub(crate) struct Db {
    pool: Pool,
    dialect: Dialect,
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
            Options::Sqlite(file) => {
                let pool = Pool::Sqlite(Sqlite::open(file, max)?);
                return Ok(Self { pool, dialect, turns: Turns::default(), turnstile: None });
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
                let kept = PREPARED / usize::try_from(max).unwrap_or(1).max(1);
                let options = options.statement_cache_capacity(kept.clamp(1, STATEMENTS));
                pool.connect_with(options).await.map(Pool::MySql)
            }
        }
        .map_err(|error| ConnectError::Open { place, why: error.to_string() })?;
        Ok(Self { pool, dialect, turns: Turns::default(), turnstile: None })
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
        let inner = match &self.pool {
            Pool::Sqlite(pool) => Inner::Sqlite(pool.write().await?),
            Pool::Postgres(pool) => Inner::Postgres(begin(pool, self.dialect.begin_write()).await?),
            Pool::MySql(pool) => Inner::MySql(begin(pool, self.dialect.begin_write()).await?),
        };
        Ok(Txn { inner, dialect: self.dialect, writes: true, watched })
    }

    /// Runs an insert, update or delete as a transaction of its own, in one round trip; gives the
    /// number of rows that it matched.
    ///
    /// Only for what changes nothing when it is done twice: where the server is lost before it has
    /// answered, that is an interruption here.
    pub(crate) async fn write_once(
        &self,
        statement: &impl QueryStatementWriter,
    ) -> Result<u64, DbError> {
        if self.turnstile.is_none() {
            let (sql, values) = self.dialect.build(statement);
            match &self.pool {
                Pool::Sqlite(_) => {}
                Pool::Postgres(pool) => {
                    return Ok(query((sql, values)).execute(pool).await?.rows_affected());
                }
                Pool::MySql(pool) => {
                    return Ok(query((sql, values)).execute(pool).await?.rows_affected());
                }
            }
        }
        let mut txn = self.write().await?;
        let matched = txn.execute(statement).await?;
        txn.commit().await?;
        Ok(matched)
    }

    /// The database's clock in milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> Expr {
        self.dialect.now_ms()
    }

    /// A transaction that reads one snapshot.
    pub(crate) async fn read(&self) -> Result<Txn, DbError> {
        let watched = self.watch(Passage::Free);
        let statement = self.dialect.begin_read();
        let inner = match &self.pool {
            Pool::Sqlite(pool) => Inner::Sqlite(pool.read(statement).await?),
            Pool::Postgres(pool) => Inner::Postgres(begin(pool, statement).await?),
            Pool::MySql(pool) => Inner::MySql(begin(pool, statement).await?),
        };
        Ok(Txn { inner, dialect: self.dialect, writes: false, watched })
    }

    /// A select that stands alone: it sees one snapshot without a transaction around it. When it is
    /// interrupted it is run once more: by then its connection is another one.
    pub(crate) async fn select(&self, select: &SelectStatement) -> Result<Vec<Row>, DbError> {
        let watched = self.watch(Passage::Free);
        let (sql, values) = self.dialect.build(select);
        if let Some(watched) = &watched {
            watched.turnstile.statement(&sql);
        }
        match self.found(&sql, &values).await {
            Err(DbError::Interrupted(_)) => self.found(&sql, &values).await,
            found => found,
        }
    }

    async fn found(&self, sql: &str, values: &Values) -> Result<Vec<Row>, DbError> {
        let own = || (sql.to_owned(), values.clone());
        Ok(match &self.pool {
            Pool::Sqlite(pool) => rows(pool.select(sql, values).await?),
            Pool::Postgres(pool) => rows(query(own()).fetch_all(pool).await?),
            Pool::MySql(pool) => rows(query(own()).fetch_all(pool).await?),
        })
    }

    fn watch(&self, passage: Passage) -> Option<Watched> {
        let turnstile = self.turnstile.clone()?;
        turnstile.begins();
        Some(Watched { turnstile, passage, committed: false })
    }

    pub(crate) fn is_idle(&self) -> bool {
        let (idle, size) = match &self.pool {
            Pool::Sqlite(pool) => return pool.is_idle(),
            Pool::Postgres(pool) => (pool.num_idle(), pool.size()),
            Pool::MySql(pool) => (pool.num_idle(), pool.size()),
        };
        u32::try_from(idle).is_ok_and(|idle| idle == size)
    }

    pub(crate) async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
            Pool::MySql(pool) => pool.close().await,
        }
    }
}

/// Begins a transaction on a server. On the heap: this may have to open a connection, and whatever
/// begins a transaction would hold the room for that from its own beginning to its end.
async fn begin<D: Database>(
    pool: &sqlx::Pool<D>,
    statement: &'static str,
) -> Result<Transaction<'static, D>, sqlx::Error> {
    Box::pin(pool.begin_with(statement)).await
}

/// A connection that was in use a moment ago is not asked again whether it is whole: that would be
/// one more round trip for each transaction. What it then fails with is an interruption.
fn limits<D: Database>(max_connections: u32) -> PoolOptions<D> {
    PoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut D::Connection, known| {
            Box::pin(async move { Ok(known.idle_for < FRESH || connection.ping().await.is_ok()) })
        })
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
    pub(crate) async fn execute(
        &mut self,
        statement: &impl QueryStatementWriter,
    ) -> Result<u64, DbError> {
        let (sql, values) = self.dialect.build(statement);
        self.tell(&sql);
        Ok(match &mut self.inner {
            Inner::Sqlite(txn) => txn.execute(&sql, &values)?,
            Inner::Postgres(txn) => query((sql, values)).execute(&mut **txn).await?.rows_affected(),
            Inner::MySql(txn) => query((sql, values)).execute(&mut **txn).await?.rows_affected(),
        })
    }

    pub(crate) async fn all(&mut self, select: &SelectStatement) -> Result<Vec<Row>, DbError> {
        let (sql, values) = self.dialect.build(select);
        self.tell(&sql);
        Ok(match &mut self.inner {
            Inner::Sqlite(txn) => rows(txn.rows(sql, values, usize::MAX).await?),
            Inner::Postgres(txn) => rows(query((sql, values)).fetch_all(&mut **txn).await?),
            Inner::MySql(txn) => rows(query((sql, values)).fetch_all(&mut **txn).await?),
        })
    }

    pub(crate) async fn first(&mut self, select: &SelectStatement) -> Result<Option<Row>, DbError> {
        let (sql, values) = self.dialect.build(select);
        self.tell(&sql);
        Ok(match &mut self.inner {
            Inner::Sqlite(txn) => txn.rows(sql, values, 1).await?.pop().map(Row::from),
            Inner::Postgres(txn) => {
                query((sql, values)).fetch_optional(&mut **txn).await?.map(Row::from)
            }
            Inner::MySql(txn) => {
                query((sql, values)).fetch_optional(&mut **txn).await?.map(Row::from)
            }
        })
    }

    /// Whether a select finds anything.
    pub(crate) async fn any(&mut self, select: &SelectStatement) -> Result<bool, DbError> {
        Ok(self.first(select).await?.is_some())
    }

    /// Creates a table or an index that is not there yet.
    pub(crate) async fn define(&mut self, statement: &impl Definition) -> Result<(), DbError> {
        let sql = statement.sql(self.dialect);
        self.tell(&sql);
        let query = || sqlx::raw_sql(AssertSqlSafe(sql.clone()));
        let done = match &mut self.inner {
            Inner::Sqlite(txn) => return txn.execute(&sql, &Values(Vec::new())).map(|_rows| ()),
            Inner::Postgres(txn) => query().execute(&mut **txn).await.map(|_done| ()),
            Inner::MySql(txn) => query().execute(&mut **txn).await.map(|_done| ()),
        };
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
                Inner::Sqlite(txn) => txn.roll_back(),
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

fn query<D: Database>((sql, values): (String, Values)) -> Query<'static, D, SqlxValues>
where
    SqlxValues: IntoArguments<D>,
{
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values))
}

fn rows<R>(found: Vec<R>) -> Vec<Row>
where
    Row: From<R>,
{
    found.into_iter().map(Row::from).collect()
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
