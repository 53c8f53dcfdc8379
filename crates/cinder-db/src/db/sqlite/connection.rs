//! One connection to SQLite, its statements and the rows that they find.
//!
//! Invariants: a commit is on disk when it is told: `synchronous` stays SQLite's own FULL, since
//! with NORMAL a power cut takes back commits of which callers have been told, and whose old
//! secrets are deleted. A connection that is dropped rolls back.

use crate::DbError;
use crate::dialect::SqliteFile;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as Cell;
use rusqlite::{CachedStatement, ErrorCode};
use sea_query::{Value, Values};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a writer waits for a writer of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the database the connection for writers keeps in memory.
const WRITERS_CACHE_KIB: i64 = 8192;

/// Pages in the write-ahead log after which a writer brings them home. Most pages of tables that
/// every hand-over writes are there many times by then, and go home once.
const LOG_PAGES: i64 = 4000;

/// Compiled statements that a connection keeps: more than there are.
const STATEMENTS: usize = 256;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Nobody ever waits for it: it lets whoever has the connection be shared between threads.
    sqlite: Mutex<rusqlite::Connection>,
    has_log: bool,
}

/// One row of a result.
#[derive(Debug)]
pub(in crate::db) struct SqliteRow {
    names: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Connection {
    pub(super) fn open(file: &SqliteFile) -> Result<Self, rusqlite::Error> {
        let sqlite = match &file.vfs {
            Some(vfs) => {
                rusqlite::Connection::open_with_flags_and_vfs(&file.path, file.flags, vfs.as_str())
            }
            None => rusqlite::Connection::open_with_flags(&file.path, file.flags),
        }?;
        sqlite.busy_timeout(BUSY_TIMEOUT)?;
        sqlite.set_prepared_statement_cache_capacity(STATEMENTS);
        // Without it a statement with LIKE is compiled anew for every pattern.
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let mode = sqlite
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        // Cinder does not enforce them on SQLite either, and its rows may break them.
        sqlite.pragma_update(None, "foreign_keys", false)?;
        // What undoes a writer's part of a shared transaction would otherwise go to a file of its
        // own as soon as it is more than a few pages.
        sqlite.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(Self { sqlite: Mutex::new(sqlite), has_log: mode == "wal" })
    }

    /// One for writers. They need the upper parts of every index again and again, and in a large
    /// database these are more than a connection keeps unless it is told.
    pub(super) fn open_to_write(file: &SqliteFile) -> Result<Self, rusqlite::Error> {
        let connection = Self::open(file)?;
        let sqlite = connection.sqlite();
        sqlite.pragma_update(None, "cache_size", -WRITERS_CACHE_KIB)?;
        // It answers with the number.
        sqlite.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_pages| Ok(()))?;
        drop(sqlite);
        Ok(connection)
    }

    fn sqlite(&self) -> MutexGuard<'_, rusqlite::Connection> {
        self.sqlite.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has a write-ahead log, and a disk below that.
    pub(super) fn has_log(&self) -> bool {
        self.has_log
    }

    /// Runs a statement without values and results.
    pub(super) fn run(&self, sql: &str) -> Result<(), DbError> {
        run(&self.sqlite(), sql).map_err(DbError::from)
    }

    /// Rolls back, if a transaction is open.
    pub(super) fn reset(&self) -> Result<(), DbError> {
        let is_open = !self.sqlite().is_autocommit();
        if is_open { self.run("ROLLBACK") } else { Ok(()) }
    }

    /// Runs a statement; gives the number of rows that it wrote.
    pub(super) fn execute(&self, sql: &str, values: &Values) -> Result<u64, DbError> {
        let written = prepare(&self.sqlite(), sql, values)?.raw_execute()?;
        Ok(u64::try_from(written).unwrap_or(u64::MAX))
    }

    /// The rows that a statement finds, `limit` at most.
    pub(super) fn rows(
        &self,
        sql: &str,
        values: &Values,
        limit: usize,
    ) -> Result<Vec<SqliteRow>, DbError> {
        let sqlite = self.sqlite();
        let mut statement = prepare(&sqlite, sql, values)?;
        let names: Arc<[String]> =
            statement.column_names().into_iter().map(ToOwned::to_owned).collect();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let cells = (0..names.len()).map(|place| row.get::<_, Cell>(place));
            let cells = cells.collect::<Result<_, _>>()?;
            found.push(SqliteRow { names: Arc::clone(&names), cells });
        }
        Ok(found)
    }

    /// Begins a transaction that writes. Where another process writes, it waits on a thread.
    pub(super) async fn begin(self, begin: &'static str) -> Result<Self, DbError> {
        match self.try_to_begin(begin) {
            Ok(()) => Ok(self),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                on_a_thread(move || self.run(begin).map(|()| self)).await?
            }
            Err(error) => Err(error.into()),
        }
    }

    fn try_to_begin(&self, begin: &str) -> Result<(), rusqlite::Error> {
        let sqlite = self.sqlite();
        sqlite.busy_timeout(Duration::ZERO)?;
        let begun = run(&sqlite, begin);
        sqlite.busy_timeout(BUSY_TIMEOUT)?;
        begun
    }

    /// Commits, on a thread where a disk has to be waited for.
    pub(super) async fn commit(self) -> Result<Self, DbError> {
        let has_log = self.has_log;
        let commit = move || self.run("COMMIT").map(|()| self);
        if has_log { on_a_thread(commit).await? } else { commit() }
    }
}

/// Runs what waits.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DbError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_ended| DbError::Database("the runtime ended meanwhile".to_owned()))
}

fn run(sqlite: &rusqlite::Connection, sql: &str) -> Result<(), rusqlite::Error> {
    sqlite.prepare_cached(sql)?.raw_execute().map(|_rows| ())
}

fn prepare<'a>(
    sqlite: &'a rusqlite::Connection,
    sql: &str,
    values: &Values,
) -> Result<CachedStatement<'a>, DbError> {
    let mut statement = sqlite.prepare_cached(sql)?;
    for (place, value) in values.iter().enumerate() {
        bind(&mut statement, place + 1, value)?;
    }
    Ok(statement)
}

fn bind(to: &mut CachedStatement<'_>, place: usize, value: &Value) -> Result<(), DbError> {
    let bound = match value {
        Value::Bool(value) => to.raw_bind_parameter(place, value),
        Value::TinyInt(value) => to.raw_bind_parameter(place, value),
        Value::SmallInt(value) => to.raw_bind_parameter(place, value),
        Value::Int(value) => to.raw_bind_parameter(place, value),
        Value::BigInt(value) => to.raw_bind_parameter(place, value),
        Value::TinyUnsigned(value) => to.raw_bind_parameter(place, value),
        Value::SmallUnsigned(value) => to.raw_bind_parameter(place, value),
        Value::Unsigned(value) => to.raw_bind_parameter(place, value),
        Value::BigUnsigned(value) => to
            .raw_bind_parameter(place, value.map(|value| i64::try_from(value).unwrap_or(i64::MAX))),
        Value::Double(value) => to.raw_bind_parameter(place, value),
        Value::String(value) => to.raw_bind_parameter(place, value),
        Value::Bytes(value) => to.raw_bind_parameter(place, value),
        // Dates are texts by now (see `Dialect::build`).
        Value::TimeDateTime(_)
        | Value::TimeDateTimeWithTimeZone(_)
        | Value::TimeDate(_)
        | Value::TimeTime(_)
        | Value::Float(_)
        | Value::Char(_)
        | Value::Enum(_) => {
            return Err(DbError::Database("a value of a kind that is never bound".to_owned()));
        }
    };
    Ok(bound?)
}

impl SqliteRow {
    /// The value of a column; `None` when there is no such column.
    fn cell(&self, column: &str) -> Option<&Cell> {
        let place = self.names.iter().position(|name| name == column)?;
        self.cells.get(place)
    }

    /// A text, or the digits of a number; `NULL` is `Some(None)`.
    pub(in crate::db) fn text(&self, column: &str) -> Option<Option<String>> {
        Some(match self.cell(column)? {
            Cell::Null => None,
            Cell::Integer(integer) => Some(integer.to_string()),
            Cell::Real(real) => Some(real.to_string()),
            Cell::Text(text) => Some(text.clone()),
            Cell::Blob(_) => return None,
        })
    }

    /// An integer, or one that a text spells.
    pub(in crate::db) fn integer(&self, column: &str) -> Option<Option<i64>> {
        Some(match self.cell(column)? {
            Cell::Null => None,
            Cell::Integer(integer) => Some(*integer),
            Cell::Text(text) => Some(text.parse().ok()?),
            Cell::Real(_) | Cell::Blob(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_compiled_once_whatever_pattern_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let file = SqliteFile::read(&format!("{}?mode=rwc", path.display())).unwrap();
        let connection = Connection::open(&file).unwrap();
        connection.run("CREATE TABLE t (name TEXT)").unwrap();
        let select = "SELECT name FROM t WHERE name LIKE ?";
        for pattern in ["%a%", "%b%", "%c%"] {
            let values = Values(vec![Value::from(pattern)]);
            assert!(connection.rows(select, &values, 1).unwrap().is_empty());
        }
        let sqlite = connection.sqlite();
        let statement = sqlite.prepare_cached(select).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 3);
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
