//! Connections to a server, PostgreSQL or MySQL.
//!
//! `sqlx` speaks to it; its pool is not used: that asks each connection that comes back whether it
//! is whole, one more round trip for every transaction and every select. Here it is known.
//!
//! Invariants: a connection is lent again only when its last statement has been answered and no
//! transaction is open on it; any other is rolled back, or closed.

use super::Row;
use crate::DbError;
use crate::dialect::{Address, Dialect, is_disconnection};
use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult,
};
use sea_query::Values;
use sea_query_sqlx::SqlxValues;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Database, IntoArguments};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long a transaction waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection is trusted after its last use.
const FRESH: Duration = Duration::from_secs(1);

/// How long one that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(600);

/// How long any is kept: behind a proxy, they spread over its servers anew.
const LIFETIME: Duration = Duration::from_secs(1800);

/// How many prepared statements all connections of this process keep on a MariaDB, which has a
/// limit for all who use it (`max_prepared_stmt_count`, 16,382 unless it is told otherwise): a
/// quarter of that.
const PREPARED: usize = 4095;

/// The most that one connection keeps: more than there are.
const STATEMENTS: usize = 100;

/// One server. Clones share its connections.
#[derive(Clone)]
pub(super) struct Server(Pool<Connections>);

/// A connection, for a statement or a transaction.
pub(super) struct Lent {
    /// `None` only once it is on its way back.
    object: Option<Object<Connections>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    InTransaction,
    /// A statement is not answered, or ended in a way that leaves the connection unusable.
    Waiting,
}

/// Makes connections, and looks after those that nobody uses.
struct Connections {
    address: Address,
    /// When one was last found to be broken. Others may have broken with it.
    broke: Mutex<Option<Instant>>,
    tidied: Mutex<Instant>,
}

enum Connection {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

/// The same expression on either kind of connection.
macro_rules! on {
    ($connection:expr, $inner:ident => $asked:expr) => {
        match $connection {
            Connection::Postgres($inner) => $asked,
            Connection::MySql($inner) => $asked,
        }
    };
}

impl fmt::Debug for Server {
    /// Its address holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connections", &self.0.status()).finish_non_exhaustive()
    }
}

impl Server {
    /// Makes the first connection of `most`, or says why there is none.
    pub(super) async fn connect(address: Address, most: u32) -> Result<Self, String> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let connections = Connections {
            address: keeping(address, (PREPARED / most).clamp(1, STATEMENTS)),
            broke: Mutex::default(),
            tidied: Mutex::new(Instant::now()),
        };
        let pool = Pool::builder(connections)
            .max_size(most)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            // Those that are not needed become idle.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build();
        let server = Self(pool.map_err(|error| error.to_string())?);
        match server.0.get().await {
            Ok(_first) => Ok(server),
            Err(PoolError::Backend(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A connection for one statement.
    pub(super) async fn lend(&self) -> Result<Lent, DbError> {
        self.tidy();
        // On the heap: this may have to open one, and whoever borrows it would hold the room for
        // that from beginning to end.
        match Box::pin(self.0.get()).await {
            Ok(object) => Ok(Lent { object: Some(object), state: State::Ready }),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Timeout(_)) => Err(DbError::Database(format!(
                "no connection within {} s: all are in use, or the server does not answer",
                PATIENCE.as_secs()
            ))),
            Err(error) => Err(DbError::Database(error.to_string())),
        }
    }

    /// A connection on which a transaction has begun.
    pub(super) async fn begin(&self, statement: &'static str) -> Result<Lent, DbError> {
        let mut lent = self.lend().await?;
        lent.run(statement).await?;
        lent.state = State::InTransaction;
        Ok(lent)
    }

    /// Closes what has been idle for long, once in a while.
    fn tidy(&self) {
        let mut tidied = locked(&self.0.manager().tidied);
        if tidied.elapsed() > IDLE / 2 {
            *tidied = Instant::now();
            drop(tidied);
            let idle = self.0.retain(|_, metrics| metrics.last_used() < IDLE);
            tokio::spawn(close(idle.removed));
        }
    }

    /// Whether nobody uses a connection.
    pub(super) fn is_idle(&self) -> bool {
        let status = self.0.status();
        status.available == status.size
    }

    /// Whoever comes from now on is refused.
    pub(super) async fn close(&self) {
        let idle = self.0.retain(|_, _| false);
        self.0.close();
        close(idle.removed).await;
    }
}

async fn close(connections: Vec<Connection>) {
    for connection in connections {
        // One that is broken is closed already.
        let _broken = on!(connection, inner => inner.close().await);
    }
}

/// With so many prepared statements kept on each connection.
fn keeping(address: Address, statements: usize) -> Address {
    match address {
        Address::Postgres(_) => address,
        Address::MySql(options) => Address::MySql(options.statement_cache_capacity(statements)),
    }
}

impl Manager for Connections {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Connection, sqlx::Error> {
        let (mut connection, session) = match &self.address {
            Address::Postgres(address) => {
                (Connection::Postgres(address.connect().await?), Dialect::POSTGRES_SESSION)
            }
            Address::MySql(address) => {
                (Connection::MySql(address.connect().await?), Dialect::MYSQL_SESSION)
            }
        };
        connection.run(session).await?;
        Ok(connection)
    }

    /// One that was in use a moment ago is not asked again whether it is whole. What it then fails
    /// with is an interruption.
    async fn recycle(&self, one: &mut Connection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > LIFETIME {
            return Err(RecycleError::message("it has been in use for long"));
        }
        let used = metrics.recycled.unwrap_or(metrics.created);
        let is_suspect = locked(&self.broke).is_some_and(|broke| used <= broke);
        if is_suspect || used.elapsed() > FRESH {
            on!(one, inner => inner.ping().await)?;
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        on!(self, inner => sqlx::raw_sql(sql).execute(inner).await.map(|_done| ()))
    }
}

impl Lent {
    /// The connection, to ask it something; what comes of it is [`Lent::heard`].
    fn ask(&mut self) -> Result<&mut Connection, DbError> {
        self.state = State::Waiting;
        match &mut self.object {
            Some(object) => Ok(object),
            None => Err(DbError::Database("the connection was given back".to_owned())),
        }
    }

    /// Notes that the connection has answered, as far as it has, and is in `state` again.
    fn heard<T>(&mut self, state: State, said: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        match &said {
            Err(error) if error.as_database_error().is_none() || is_disconnection(error) => {
                if let Some(pool) = self.object.as_ref().and_then(Object::pool) {
                    *locked(&pool.manager().broke) = Some(Instant::now());
                }
            }
            Ok(_) | Err(_) => self.state = state,
        }
        said
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), DbError> {
        let state = self.state;
        let said = self.ask()?.run(sql).await;
        Ok(self.heard(state, said)?)
    }

    /// Runs what shapes the schema.
    pub(super) async fn define(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let state = self.state;
        let Ok(asked) = self.ask() else { return Err(sqlx::Error::PoolClosed) };
        let said = on!(asked, inner => {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(inner).await.map(|_done| ())
        });
        self.heard(state, said)
    }

    /// Gives the number of rows that were written.
    pub(super) async fn execute(&mut self, sql: String, values: Values) -> Result<u64, DbError> {
        let state = self.state;
        let said = on!(self.ask()?, inner => {
            query(sql, values).execute(inner).await.map(|done| done.rows_affected())
        });
        Ok(self.heard(state, said)?)
    }

    pub(super) async fn all(&mut self, sql: String, values: Values) -> Result<Vec<Row>, DbError> {
        let state = self.state;
        let said = on!(self.ask()?, inner => {
            let found = query(sql, values).fetch_all(inner).await;
            found.map(|rows| rows.into_iter().map(Row::from).collect())
        });
        Ok(self.heard(state, said)?)
    }

    pub(super) async fn first(
        &mut self,
        sql: String,
        values: Values,
    ) -> Result<Option<Row>, DbError> {
        let state = self.state;
        let said = on!(self.ask()?, inner => {
            query(sql, values).fetch_optional(inner).await.map(|row| row.map(Row::from))
        });
        Ok(self.heard(state, said)?)
    }

    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        let said = self.ask()?.run("COMMIT").await;
        // One that is refused may have left the transaction open.
        let state = if said.is_ok() { State::Ready } else { State::InTransaction };
        self.heard(state, said).map_err(DbError::of_commit)
    }

    pub(super) async fn roll_back(mut self) -> Result<(), DbError> {
        // Closed, if this future ends early.
        self.state = State::Waiting;
        self.run("ROLLBACK").await?;
        self.state = State::Ready;
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        match (self.state, Handle::try_current()) {
            (State::Ready, _) => drop(object),
            // By a task, since this cannot wait.
            (State::InTransaction, Ok(runtime)) => {
                let lent = Self { object: Some(object), state: State::Waiting };
                drop(runtime.spawn(lent.roll_back()));
            }
            // By the server, when it finds that it is closed.
            (State::InTransaction | State::Waiting, _) => drop(Object::take(object)),
        }
    }
}

fn query<D: Database>(sql: String, values: Values) -> Query<'static, D, SqlxValues>
where
    SqlxValues: IntoArguments<D>,
{
    sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values))
}
