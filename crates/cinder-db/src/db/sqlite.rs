//! SQLite in this process: a statement runs where it is asked for.
//!
//! A statement of a request takes microseconds, less than handing it to another thread and being
//! woken by it. What waits (for the disk, for a writer of another process) or may read much (a
//! transaction that only reads) has a thread for that.
//!
//! Writers share one connection ([`group`]), readers have theirs ([`readers`]). A database in
//! memory, which has no write-ahead log, knows no reader beside a writer: there all share one.

mod connection;
mod group;
mod readers;

pub(super) use connection::SqliteRow;

use crate::dialect::SqliteFile;
use crate::{ConnectError, DbError};
use connection::{Connection, on_a_thread};
use group::{Alone, Groups, Part};
use readers::{Lent, Readers};
use sea_query::Values;
use std::sync::Arc;

/// A database. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    groups: Groups,
    /// `None` where all share one connection.
    readers: Option<Arc<Readers>>,
}

/// A transaction.
#[derive(Debug)]
pub(super) enum SqliteTxn {
    Reading(Reader),
    Writing(Part),
}

/// Whose connection is read on.
#[derive(Debug)]
pub(super) enum Reader {
    Own(Lent),
    Shared(Alone),
}

impl Sqlite {
    /// Opens the file; keeps up to `most` connections for readers.
    pub(super) fn open(file: SqliteFile, most: u32) -> Result<Self, ConnectError> {
        let first = Connection::open_to_write(&file).map_err(|error| ConnectError::Open {
            place: file.path.clone(),
            why: error.to_string(),
        })?;
        let has_log = first.has_log();
        let groups = Groups::new(file.clone(), first);
        let readers = has_log.then(|| Arc::new(Readers::new(file.clone(), most)));
        Ok(Self { groups, readers })
    }

    pub(super) async fn write(&self) -> Result<SqliteTxn, DbError> {
        self.groups.join().await.map(SqliteTxn::Writing)
    }

    pub(super) async fn read(&self, begin: &'static str) -> Result<SqliteTxn, DbError> {
        let mut reader = self.reader().await?;
        reader.connection()?.run(begin)?;
        Ok(SqliteTxn::Reading(reader))
    }

    /// What a select finds that stands alone.
    pub(super) async fn select(&self, sql: &str, of: &Values) -> Result<Vec<SqliteRow>, DbError> {
        self.reader().await?.connection()?.rows(sql, of, usize::MAX)
    }

    async fn reader(&self) -> Result<Reader, DbError> {
        match &self.readers {
            Some(readers) => readers.lend().map(Reader::Own),
            None => self.groups.alone().await.map(Reader::Shared),
        }
    }

    /// Whether nobody uses a connection.
    pub(super) fn is_idle(&self) -> bool {
        self.groups.is_idle() && self.readers.as_ref().is_none_or(|readers| readers.is_idle())
    }

    /// Whoever comes from now on is refused.
    pub(super) async fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.close();
        }
        self.groups.close().await;
    }
}

impl Reader {
    fn connection(&mut self) -> Result<&Connection, DbError> {
        match self {
            Self::Own(lent) => lent.connection(),
            Self::Shared(alone) => alone.connection(),
        }
    }

    /// Its own connection reads on a thread.
    async fn rows(
        &mut self,
        sql: String,
        values: Values,
        limit: usize,
    ) -> Result<Vec<SqliteRow>, DbError> {
        let Self::Own(lent) = self else { return self.connection()?.rows(&sql, &values, limit) };
        let connection = lent.take()?;
        let reading = on_a_thread(move || {
            let rows = connection.rows(&sql, &values, limit);
            (connection, rows)
        });
        let (connection, rows) = reading.await?;
        lent.put(connection);
        rows
    }
}

impl SqliteTxn {
    /// Gives the number of rows that were written.
    pub(super) fn execute(&mut self, sql: &str, values: &Values) -> Result<u64, DbError> {
        match self {
            Self::Reading(reader) => reader.connection()?.execute(sql, values),
            Self::Writing(part) => part.connection()?.execute(sql, values),
        }
    }

    /// Gives `limit` rows at most.
    pub(super) async fn rows(
        &mut self,
        sql: String,
        values: Values,
        limit: usize,
    ) -> Result<Vec<SqliteRow>, DbError> {
        match self {
            Self::Reading(reader) => reader.rows(sql, values, limit).await,
            Self::Writing(part) => part.connection()?.rows(&sql, &values, limit),
        }
    }

    /// Success is told when it is on disk.
    pub(super) async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::Reading(mut reader) => reader.connection()?.run("COMMIT"),
            Self::Writing(part) => part.commit().await,
        }
    }

    pub(super) fn roll_back(self) {
        match self {
            // As when it is dropped.
            Self::Reading(reader) => drop(reader),
            Self::Writing(part) => part.roll_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has been told of success, and whoever hears it from them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_committed_is_read_by_whoever_begins_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let file = SqliteFile::read(&format!("{}?mode=rwc", path.display())).unwrap();
        let sqlite = Sqlite::open(file, 8).unwrap();
        let nothing = || Values(Vec::new());
        let mut txn = sqlite.write().await.unwrap();
        txn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", &nothing()).unwrap();
        txn.commit().await.unwrap();
        let tasks = (0..4_i64).map(|id| {
            let sqlite = sqlite.clone();
            tokio::spawn(async move {
                for n in 0..300_i64 {
                    let mut txn = sqlite.write().await.unwrap();
                    let put = format!("INSERT OR REPLACE INTO t VALUES ({id}, {n})");
                    txn.execute(&put, &nothing()).unwrap();
                    txn.commit().await.unwrap();
                    let get = format!("SELECT n FROM t WHERE id = {id}");
                    let found = sqlite.select(&get, &nothing()).await.unwrap();
                    assert_eq!(found[0].integer("n"), Some(Some(n)), "alone");
                    let mut txn = sqlite.read("BEGIN").await.unwrap();
                    for limit in [1, usize::MAX] {
                        let found = txn.rows(get.clone(), nothing(), limit).await.unwrap();
                        assert_eq!(found[0].integer("n"), Some(Some(n)), "in a transaction");
                    }
                    if n % 2 == 0 {
                        txn.commit().await.unwrap();
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
}
