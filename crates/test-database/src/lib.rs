//! The database that a test runs on: a file of SQLite, or a database of its own on the server that
//! `VOLUME_TRANSFER_TEST_DATABASE` names. It is empty at first, and gone when it is dropped.
//!
//! It is for tests: what it cannot do, it panics about. It knows nothing of any table.

use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _};
use tokio::runtime::RuntimeFlavor;

const SERVER: &str = "VOLUME_TRANSFER_TEST_DATABASE";
const EVERY: &str = "VOLUME_TRANSFER_TEST_EVERY";

/// Which database it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    MySql,
}

/// A database that was empty when it was made.
pub struct Database {
    /// Which database it is.
    pub kind: Kind,
    /// As the store is told it.
    pub url: String,
    raw: Raw,
    place: Place,
}

enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

enum Place {
    Directory(#[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir),
    Server { url: String, name: String, is_there: bool },
}

macro_rules! each {
    ($of:expr, $value:ident => $body:expr) => {
        match $of {
            Raw::Sqlite($value) => $body,
            Raw::Postgres($value) => $body,
            Raw::MySql($value) => $body,
        }
    };
}

/// The server that the tests are to run on, if it is not SQLite.
pub fn server() -> Option<String> {
    std::env::var(SERVER).ok().filter(|url| !url.is_empty())
}

/// A suite that takes long runs every so many-th of its cases:
/// `VOLUME_TRANSFER_TEST_EVERY`, else every one.
///
/// # Panics
/// When that is no number from 1 on.
pub fn every() -> usize {
    let Ok(text) = std::env::var(EVERY) else { return 1 };
    let every = text.parse().expect("VOLUME_TRANSFER_TEST_EVERY is a number");
    assert_ne!(every, 0, "{EVERY}: from 1 on");
    every
}

impl Database {
    /// Makes one.
    ///
    /// # Panics
    /// When the server does not let it.
    pub async fn create() -> Self {
        let Some(server) = server() else {
            let directory = tempfile::tempdir().expect("directory");
            let url = format!("sqlite:///{}/cinder.db?mode=rwc", directory.path().display());
            let raw = Raw::open(&url).await;
            return Self { kind: Kind::Sqlite, url, raw, place: Place::Directory(directory) };
        };
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        Raw::open(&server).await.execute(&format!("CREATE DATABASE {name}")).await;
        let (base, _database) = server.rsplit_once('/').expect("a database in the url");
        let url = format!("{base}/{name}");
        let raw = Raw::open(&url).await;
        let kind = match &raw {
            Raw::Sqlite(_) => panic!("{SERVER} names no server"),
            Raw::Postgres(_) => Kind::Postgres,
            Raw::MySql(_) => Kind::MySql,
        };
        Self { kind, url, raw, place: Place::Server { url: server, name, is_there: true } }
    }

    /// Removes it. Dropping it does, too, but the task that does so stands still meanwhile.
    ///
    /// # Panics
    /// When the server does not let it.
    pub async fn remove(mut self) {
        if let Place::Server { url, name, is_there } = &mut self.place {
            Raw::open(url).await.drop_database(name).await;
            *is_there = false;
        }
    }

    /// Runs a statement beside whoever else works on the database.
    ///
    /// # Panics
    /// When it fails.
    pub async fn sql(&self, statement: &str) {
        self.raw.execute(statement).await;
    }

    /// Every row that a query finds, as `column=value` texts; a boolean is 0 or 1.
    ///
    /// # Panics
    /// When it fails.
    pub async fn rows(&self, query: &str) -> Vec<String> {
        let mut shown = Vec::new();
        each!(&self.raw, pool => {
            // As text, whatever the type.
            for row in sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(pool).await.expect(query) {
                let cell = |column: &_| {
                    let (index, name, kind) = about(column);
                    let value = row.try_get_unchecked::<Option<String>, _>(index).expect("text");
                    let value = match (kind.as_str(), value) {
                        (_, None) => "NULL".to_owned(),
                        ("BOOL", Some(value)) => u8::from(value == "t").to_string(),
                        (_, Some(value)) => value,
                    };
                    format!("{name}={value}")
                };
                shown.push(row.columns().iter().map(cell).collect::<Vec<_>>().join(" "));
            }
        });
        shown
    }
}

fn about(column: &impl sqlx::Column) -> (usize, String, String) {
    (column.ordinal(), column.name().to_owned(), column.type_info().name().to_owned())
}

impl Raw {
    async fn open(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a scheme");
        match scheme.split('+').next() {
            Some("sqlite") => Self::Sqlite(SqlitePool::connect(url).await.expect("opens")),
            Some("postgresql") => {
                let pool = PgPool::connect(&format!("postgresql://{rest}")).await;
                Self::Postgres(pool.expect("opens"))
            }
            Some("mysql") => {
                Self::MySql(MySqlPool::connect(&format!("mysql://{rest}")).await.expect("opens"))
            }
            other => panic!("{SERVER} names a database of kind {other:?}"),
        }
    }

    /// Whoever is still connected to it holds it no longer.
    async fn drop_database(&self, name: &str) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(_) => {
                self.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
            }
            Self::MySql(pool) => {
                let connected = "SELECT id FROM information_schema.processlist WHERE db = ?";
                let ids = sqlx::query_scalar::<_, i64>(connected).bind(name).fetch_all(pool).await;
                for id in ids.expect(connected) {
                    // One that has gone meanwhile is not there to be ended.
                    let _gone =
                        sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}"))).execute(pool).await;
                }
                self.execute(&format!("DROP DATABASE IF EXISTS {name}")).await;
            }
        }
    }

    async fn execute(&self, statement: &str) {
        each!(self, pool => {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await.expect(statement);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Server { url, name, is_there: true } = self else { return };
        let (url, database) = (url.clone(), name.clone());
        // Not in the runtime of the test, which is about to end.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("runtime").block_on(async {
                Raw::open(&url).await.drop_database(&database).await;
            });
        });
        // PostgreSQL drops none while another client is about to log in: that one must go on.
        let handle = tokio::runtime::Handle::try_current();
        let others = handle.is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
        let dropped = match others {
            true => tokio::task::block_in_place(|| dropping.join()),
            false => dropping.join(),
        };
        if dropped.is_err() && !std::thread::panicking() {
            panic!("the database {name} is still there");
        }
    }
}
