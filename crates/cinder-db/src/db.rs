//! The pool and transactions: the only module, with `dialect`, that names a database.
//!
//! Invariants: every statement runs in a transaction, or is a select that stands alone; a
//! transaction that is dropped is rolled back; [`DbError::Interrupted`] is said of a transaction
//! only when nothing of it has happened.

mod again;
mod row;
mod server;
mod sqlite;

pub(crate) use again::Interruptible;
pub(crate) use row::Row;

use crate::dialect::{Definition, Dialect, Options};
use crate::turnstile::{Passage, Turnstile};
use crate::{ConnectError, DbError, StoreConfig};
use again::Turns;
use sea_query::{Expr, QueryStatementWriter, SelectStatement, Values};
use server::{Lent, Server};
use sqlite::{Sqlite, SqliteRow, SqliteTxn};
use std::sync::Arc;
use time::{OffsetDateTime, PrimitiveDateTime};

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(Sqlite),
    Server(Server),
}

enum Inner {
    Sqlite(SqliteTxn),
    Server(Lent),
}

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
        let (dialect, place, most) = (options.dialect(), options.place(), config.max_connections);
        let pool = match options {
            Options::Sqlite(file) => Pool::Sqlite(Sqlite::open(file, most)?),
            Options::Server(address) => {
                let server = Server::connect(*address, most).await;
                Pool::Server(server.map_err(|why| ConnectError::Open { place, why })?)
            }
        };
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
            Pool::Server(server) => Inner::Server(server.begin(self.dialect.begin_write()).await?),
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
        if let (Pool::Server(server), None) = (&self.pool, &self.turnstile) {
            let (sql, values) = self.dialect.build(statement);
            return server.lend().await?.execute(sql, values).await;
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
            Pool::Server(server) => Inner::Server(server.begin(statement).await?),
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
        match &self.pool {
            Pool::Sqlite(pool) => pool.select(sql, values).await.map(rows),
            Pool::Server(server) => server.lend().await?.all(sql.to_owned(), values.clone()).await,
        }
    }

    fn watch(&self, passage: Passage) -> Option<Watched> {
        let turnstile = self.turnstile.clone()?;
        turnstile.begins();
        Some(Watched { turnstile, passage, committed: false })
    }

    pub(crate) fn is_idle(&self) -> bool {
        match &self.pool {
            Pool::Sqlite(pool) => pool.is_idle(),
            Pool::Server(server) => server.is_idle(),
        }
    }

    pub(crate) async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Server(server) => server.close().await,
        }
    }
}

impl Txn {
    /// Locks the rows that a select is going to find, if this transaction writes and the database
    /// locks rows at all.
    pub(crate) fn lock(&self, select: &mut SelectStatement) {
        if self.writes {
            select.lock_exclusive();
        }
    }

    /// Before rows that many want to lock are locked: waits for those who came earlier. The names
    /// are of whom the rows belong to, in the order in which everybody gives them.
    pub(crate) async fn line_up<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), DbError> {
        match self.dialect.line_up(names) {
            Some(select) => self.first(&select).await.map(|_row| ()),
            None => Ok(()),
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
        match &mut self.inner {
            Inner::Sqlite(txn) => txn.execute(&sql, &values),
            Inner::Server(lent) => lent.execute(sql, values).await,
        }
    }

    pub(crate) async fn all(&mut self, select: &SelectStatement) -> Result<Vec<Row>, DbError> {
        let (sql, values) = self.dialect.build(select);
        self.tell(&sql);
        match &mut self.inner {
            Inner::Sqlite(txn) => txn.rows(sql, values, usize::MAX).await.map(rows),
            Inner::Server(lent) => lent.all(sql, values).await,
        }
    }

    pub(crate) async fn first(&mut self, select: &SelectStatement) -> Result<Option<Row>, DbError> {
        let (sql, values) = self.dialect.build(select);
        self.tell(&sql);
        Ok(match &mut self.inner {
            Inner::Sqlite(txn) => txn.rows(sql, values, 1).await?.pop().map(Row::from),
            Inner::Server(lent) => lent.first(sql, values).await?,
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
        let done = match &mut self.inner {
            Inner::Sqlite(txn) => return txn.execute(&sql, &Values(Vec::new())).map(|_rows| ()),
            Inner::Server(lent) => lent.define(sql).await,
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
                Inner::Server(lent) => lent.roll_back().await?,
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

fn rows(found: Vec<SqliteRow>) -> Vec<Row> {
    found.into_iter().map(Row::from).collect()
}

async fn commit(inner: Inner) -> Result<(), DbError> {
    match inner {
        Inner::Sqlite(txn) => txn.commit().await,
        Inner::Server(lent) => lent.commit().await,
    }
}

/// The time that Cinder's date columns get: naive UTC of this machine, as Cinder itself does it.
pub(crate) fn utc_now() -> PrimitiveDateTime {
    let now = OffsetDateTime::now_utc();
    let micros = now.nanosecond() / 1_000 * 1_000;
    let now = now.replace_nanosecond(micros).unwrap_or(now);
    PrimitiveDateTime::new(now.date(), now.time())
}
