//! Where the databases differ: the clock, date columns, column types, opening a connection.
//!
//! Every statement outside this module and `db` is built with sea-query and is the same on every
//! database. A new database is a new set of answers to the questions asked here.

use crate::ConnectError;
use sea_query::{ColumnDef, Expr, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use std::str::FromStr;
use std::time::Duration;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// How long a writer waits for a writer of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// As `SQLAlchemy` writes `DATETIME` on SQLite: naive UTC with microseconds.
const DATETIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");

/// Starts a transaction that is going to write. The lock is taken at once, so that what is read
/// first is still true when it is written on.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Starts a transaction that only reads, on one snapshot.
pub(crate) const BEGIN_READ: &str = "BEGIN";

/// How many transactions of this process may write at the same time. SQLite has one writer, and
/// its busy handler polls: writers of one process queue before it instead.
pub(crate) const WRITERS: usize = 1;

/// The database's clock in milliseconds since the epoch.
pub(crate) fn now_ms() -> Expr {
    Expr::cust("CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)")
}

/// How a date is bound.
pub(crate) fn datetime(value: PrimitiveDateTime) -> Value {
    Value::from(value.format(DATETIME).ok())
}

/// How a date is read.
pub(crate) fn parse_datetime(text: &str) -> Option<PrimitiveDateTime> {
    let text = if text.contains('.') { text.to_owned() } else { format!("{text}.000000") };
    PrimitiveDateTime::parse(&text, DATETIME).ok()
}

/// Cinder's types, as its models name them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    DateTime,
    Boolean,
    Integer,
    Varchar(u32),
}

/// Gives a column its type.
pub(crate) fn set_type(column: &mut ColumnDef, of: Type) {
    match of {
        Type::DateTime => column.custom("DATETIME"),
        Type::Boolean => column.boolean(),
        Type::Integer => column.integer(),
        Type::Varchar(length) => column.string_len(length),
    };
}

/// The connection options for a URL as `[database] connection` of `cinder.conf` has it.
pub(crate) fn connect_options(url: &str) -> Result<SqliteConnectOptions, ConnectError> {
    let scheme = url.split("://").next().unwrap_or_default();
    let dialect = scheme.split('+').next().unwrap_or_default();
    if dialect != "sqlite" {
        return Err(ConnectError::UnsupportedScheme { scheme: scheme.to_owned() });
    }
    let url = url.replacen(scheme, dialect, 1);
    let options = SqliteConnectOptions::from_str(&url)
        .map_err(|error| ConnectError::Open(error.to_string()))?;
    Ok(options
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(BUSY_TIMEOUT)
        // Cinder does not enforce them on SQLite either, and its rows may break them.
        .foreign_keys(false))
}
