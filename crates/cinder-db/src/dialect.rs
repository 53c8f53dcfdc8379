//! Where the databases differ: the clock, date columns, column types, errors, opening a connection.
//!
//! Every statement outside this module and `db` is built with sea-query and is the same on every
//! database. A new database is a new set of answers to the questions asked here.

mod sqlite_file;
mod url;

pub(crate) use sqlite_file::SqliteFile;
pub(crate) use url::{Address, Options};

use sea_query::{
    ColumnDef, Expr, Func, IndexCreateStatement, MysqlQueryBuilder, PostgresQueryBuilder, Query,
    QueryStatementWriter, SelectStatement, SqliteQueryBuilder, TableCreateStatement, Value, Values,
};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// As `SQLAlchemy` writes `DATETIME` on SQLite: naive UTC with microseconds.
const DATETIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");

/// "vol-tran": what tells our advisory locks from those of others.
const VOL_TRAN: &str = "8533481217394372974";

/// Which database it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    /// MariaDB and MySQL.
    MySql,
}

/// Cinder's types, as its models name them, and what our own tables have beside them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    DateTime,
    Boolean,
    Integer,
    /// The key of a table whose rows are numbered by the database.
    Serial,
    Varchar(u32),
    /// Text of any length.
    Text,
}

impl Dialect {
    /// What a connection to MySQL is told first. Cinder's own setting is the server's, 50 s: longer
    /// than a caller waits. MariaDB, and not MySQL, ends a transaction whose process stands still,
    /// so that nobody waits long for the rows that it has locked.
    pub(crate) const MYSQL_SESSION: &'static str = "SET SESSION innodb_lock_wait_timeout = 10 \
         /*M!100300 , idle_transaction_timeout = 5 , max_statement_time = 60 */";

    /// What a connection to PostgreSQL is told first: as on MariaDB, a process that stands still
    /// loses its transaction and the locks of it. Every statement has its index, and is planned
    /// once: while a table is small or has not been analyzed, that plan would be to read all of it,
    /// and would stay. (What cannot be helped looks expensive enough then to be compiled.)
    pub(crate) const POSTGRES_SESSION: &'static str = "SET statement_timeout = '60s'; \
         SET idle_in_transaction_session_timeout = '5s'; SET enable_seqscan = off; SET jit = off";

    /// Starts a transaction that is going to write, so that what is read first, under a lock, is
    /// still true when it is written on. SQLite's lock is taken at once and is on everything (see
    /// `db::sqlite`); the others lock rows, and every read must see what has been committed until
    /// then: the snapshot of MySQL's own default would be older than the lock that it waited for.
    pub(crate) fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Self::MySql => {
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ WRITE"
            }
        }
    }

    /// Starts a transaction that only reads, on one snapshot.
    pub(crate) fn begin_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::MySql => {
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                 START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            }
        }
    }

    /// The database's clock in milliseconds since the epoch; the same for a whole statement.
    pub(crate) fn now_ms(self) -> Expr {
        Expr::cust(match self {
            Self::Sqlite => "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)",
            Self::Postgres => {
                "CAST(floor(EXTRACT(EPOCH FROM statement_timestamp()) * 1000) AS BIGINT)"
            }
            Self::MySql => "CAST(FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)",
        })
    }

    /// What the database's clock will show in so many seconds, or has shown: naive UTC, as Cinder's
    /// date columns have it; MySQL's have whole seconds.
    pub(crate) fn utc_in(self, seconds: i64) -> Expr {
        Expr::cust(match self {
            Self::Sqlite => {
                format!("strftime('%Y-%m-%d %H:%M:%f000', 'now', '{seconds:+} seconds')")
            }
            Self::Postgres => format!(
                "((statement_timestamp() AT TIME ZONE 'UTC') + make_interval(secs => {seconds}))"
            ),
            Self::MySql => format!("(UTC_TIMESTAMP() + INTERVAL {seconds} SECOND)"),
        })
    }

    /// A statement in this database's words, and its values as this database binds them.
    pub(crate) fn build(self, statement: &impl QueryStatementWriter) -> (String, Values) {
        match self {
            Self::Sqlite => {
                let (sql, mut values) = statement.build(SqliteQueryBuilder);
                for value in &mut values.0 {
                    if let Value::TimeDateTime(date) = value {
                        let text = date.and_then(|date| date.format(DATETIME).ok());
                        *value = Value::from(text);
                    }
                }
                (sql, values)
            }
            Self::Postgres => statement.build(PostgresQueryBuilder),
            Self::MySql => statement.build(MysqlQueryBuilder),
        }
    }

    /// Gives a column its type.
    pub(crate) fn set_type(self, column: &mut ColumnDef, of: Type) {
        match (of, self) {
            (Type::DateTime, Self::Postgres) => column.timestamp(),
            (Type::DateTime, Self::Sqlite | Self::MySql) => column.custom("DATETIME"),
            (Type::Boolean, _) => column.boolean(),
            (Type::Integer, _) | (Type::Serial, Self::Sqlite) => column.integer(),
            (Type::Serial, Self::Postgres | Self::MySql) => column.integer().auto_increment(),
            (Type::Varchar(length), _) => column.string_len(length),
            (Type::Text, Self::Sqlite | Self::Postgres) => column.text(),
            // Its TEXT ends at 64 KiB.
            (Type::Text, Self::MySql) => column.custom("MEDIUMTEXT"),
        };
    }

    /// Gives a table of our own what the database's defaults may not give it: transactions, and
    /// ids that differ when a letter's case does.
    pub(crate) fn set_options(self, table: &mut TableCreateStatement) {
        match self {
            Self::Sqlite | Self::Postgres => {}
            Self::MySql => {
                table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
            }
        }
    }

    /// Takes this database's lock of those who shape the schema, where beginning to write has not
    /// taken it; 0 when it is not to be had. To make an index may take longer than statements do.
    pub(crate) fn lock_schema(self) -> Option<Expr> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Expr::cust(format!(
                "(SELECT 1 FROM (SELECT set_config('statement_timeout', '0', true), \
                  pg_advisory_xact_lock({VOL_TRAN})) AS taken)",
            ))),
            Self::MySql => {
                Some(Expr::cust("GET_LOCK(LEFT(CONCAT('volume_transfer.', DATABASE()), 64), 50)"))
            }
        }
    }

    /// Gives it back, where the end of the transaction does not.
    pub(crate) fn unlock_schema(self) -> Option<Expr> {
        match self {
            Self::Sqlite | Self::Postgres => None,
            Self::MySql => {
                Some(Expr::cust("RELEASE_LOCK(LEFT(CONCAT('volume_transfer.', DATABASE()), 64))"))
            }
        }
    }

    /// Waits, until the transaction ends, behind all others that have asked for one of these names;
    /// `None` where whoever waits for a row stands in such a line anyway. With PostgreSQL everybody
    /// who waits for a row is woken by each change of it, and looks at all that it was since.
    pub(crate) fn line_up<'a>(
        self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<SelectStatement> {
        if self != Self::Postgres {
            return None;
        }
        let mut select = Query::select();
        for name in names {
            let key = Func::cust("hashtextextended").arg(name).arg(Expr::cust(VOL_TRAN));
            select.expr(Func::cust("pg_advisory_xact_lock").arg(key));
        }
        Some(select)
    }

    /// Whether an index was not made because it is there. MySQL knows no `IF NOT EXISTS` for it.
    pub(crate) fn is_there_already(self, error: &sqlx::Error) -> bool {
        self == Self::MySql && mysql_number(error) == Some(1061)
    }
}

/// Whether the server has rolled the whole transaction back, or refuses to go on with it, for a
/// reason that lies in other transactions or in itself.
pub(crate) fn is_interruption(error: &sqlx::Error) -> bool {
    if let Some(number) = mysql_number(error) {
        // A lock wait that was too long; a deadlock; a row that changed under a snapshot.
        return [1205, 1213, 1020].contains(&number) || is_disconnection(error);
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Serialization failure; deadlock; a lock wait that was too long.
    code.is_some_and(|code| ["40001", "40P01", "55P03"].contains(&code.as_ref()))
        || is_disconnection(error)
}

/// Whether the connection is gone. What became of a commit that ends like this is unknown.
pub(crate) fn is_disconnection(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Io(_)) {
        return true;
    }
    if let Some(number) = mysql_number(error) {
        // Shutdown in progress; connection killed.
        return [1053, 1927].contains(&number);
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Shutdown by an administrator, after a crash; not started yet; a transaction that stood still.
    code.is_some_and(|code| ["57P01", "57P02", "57P03", "25P03"].contains(&code.as_ref()))
}

fn mysql_number(error: &sqlx::Error) -> Option<u16> {
    let refused = error.as_database_error()?;
    refused.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(|refused| refused.number())
}

/// A statement that shapes the schema.
pub(crate) trait Definition {
    fn sql(&self, dialect: Dialect) -> String;
}

impl Definition for TableCreateStatement {
    fn sql(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Sqlite => self.build(SqliteQueryBuilder),
            Dialect::Postgres => self.build(PostgresQueryBuilder),
            Dialect::MySql => unlimited(&self.build(MysqlQueryBuilder)),
        }
    }
}

impl Definition for IndexCreateStatement {
    fn sql(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Sqlite => self.build(SqliteQueryBuilder),
            Dialect::Postgres => self.build(PostgresQueryBuilder),
            Dialect::MySql => unlimited(&self.build(MysqlQueryBuilder)),
        }
    }
}

/// Without the limit of a session's statements, which MariaDB lifts for one statement alone.
fn unlimited(sql: &str) -> String {
    format!("/*M!100300 SET STATEMENT max_statement_time = 0 FOR */ {sql}")
}

/// How a date is bound.
pub(crate) fn datetime(value: PrimitiveDateTime) -> Value {
    Value::from(value)
}

/// How a date is read from text.
pub(crate) fn parse_datetime(text: &str) -> Option<PrimitiveDateTime> {
    let text = if text.contains('.') { text.to_owned() } else { format!("{text}.000000") };
    PrimitiveDateTime::parse(&text, DATETIME).ok()
}
