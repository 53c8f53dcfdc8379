//! The connections of those who read, lent one at a time.
//!
//! There are as many as are used at once; of those that are not, some are kept.

use super::connection::Connection;
use crate::DbError;
use crate::dialect::SqliteFile;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All of one database.
#[derive(Debug)]
pub(super) struct Readers {
    file: SqliteFile,
    most: usize,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
    lent: AtomicUsize,
}

/// A connection that is lent until this is dropped. What it has begun is rolled back then.
#[derive(Debug)]
pub(in crate::db) struct Lent {
    readers: Arc<Readers>,
    /// `None` while a thread has it.
    connection: Option<Connection>,
}

impl Readers {
    pub(super) fn new(file: SqliteFile, most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { file, most, idle: Mutex::new(Some(Vec::new())), lent: AtomicUsize::new(0) }
    }

    pub(super) fn lend(self: &Arc<Self>) -> Result<Lent, DbError> {
        let idle = self.idle().as_mut().ok_or_else(closed)?.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open(&self.file)?,
        };
        self.lent.fetch_add(1, Ordering::Relaxed);
        Ok(Lent { readers: Arc::clone(self), connection: Some(connection) })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lent.load(Ordering::Relaxed) == 0
    }

    pub(super) fn close(&self) {
        drop(self.idle().take());
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    pub(super) fn connection(&self) -> Result<&Connection, DbError> {
        self.connection.as_ref().ok_or_else(lost)
    }

    /// Takes it to a thread; it comes back with [`Lent::put`].
    pub(super) fn take(&mut self) -> Result<Connection, DbError> {
        self.connection.take().ok_or_else(lost)
    }

    pub(super) fn put(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|own| own.reset().is_ok())
            && let Some(idle) = self.readers.idle().as_mut()
            && idle.len() < self.readers.most
        {
            idle.push(connection);
        }
        self.readers.lent.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn closed() -> DbError {
    DbError::Database("the database has been closed".to_owned())
}

fn lost() -> DbError {
    DbError::Database("the connection was lost with a thread".to_owned())
}
