//! The handle on the database.

use crate::db::Db;
use crate::dialect::Options;
use crate::{ConnectError, DbError, Turnstile};
use std::fmt;
use std::sync::Arc;

/// Where the database is.
#[derive(Clone)]
pub struct StoreConfig {
    /// As `[database] connection` of `cinder.conf`: `mysql+pymysql://cinder:…@db/cinder`,
    /// `postgresql://cinder:…@db/cinder`. A file of SQLite is
    /// `sqlite:////var/lib/cinder.sqlite`, with three slashes relative to the working directory;
    /// `?mode=rwc` creates it.
    pub url: String,
    /// The size of the pool.
    pub max_connections: u32,
}

impl fmt::Debug for StoreConfig {
    /// The URL holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl StoreConfig {
    /// Whether the URL is one that can be used, as far as that shows before it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ConnectError> {
        Options::read(&self.url).map(drop)
    }
}

/// Cinder's tables and ours. Cheap to clone; clones share the pool.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
}

impl Store {
    /// Opens the database. Neither creates nor migrates tables.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(config: &StoreConfig) -> Result<Self, ConnectError> {
        Ok(Self { db: Db::connect(config).await? })
    }

    /// A handle on the same pool whose transactions pass a turnstile.
    #[must_use]
    pub fn with_turnstile(&self, turnstile: Arc<dyn Turnstile>) -> Self {
        Self { db: self.db.with_turnstile(turnstile) }
    }

    /// Asks the database for nothing, to see whether it answers.
    ///
    /// # Errors
    /// [`DbError`] when it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        let one = sea_query::Query::select().expr(sea_query::Expr::val(1)).take();
        self.db.select(&one).await.map(|_row| ())
    }

    /// Whether every connection is back in the pool. One whose transaction was dropped comes back a
    /// moment later, when a task of the runtime has rolled it back.
    pub fn is_idle(&self) -> bool {
        self.db.is_idle()
    }

    /// Closes the pool; what is under way is rolled back.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
