//! One row of a result.
//!
//! Values are decoded whatever the column calls itself: SQLite types values and not columns, and
//! an integer may be of any width. `NULL` is never an error here.

use super::sqlite::SqliteRow;
use crate::{DbError, dialect};
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Column as _, Decode, Row as _, TypeInfo as _};
use time::PrimitiveDateTime;

/// How a value is read of a row of SQLite's; `None` when it is of another type.
type OfSqlite<T> = fn(&SqliteRow, &str) -> Option<Option<T>>;

/// One row of a result.
pub(crate) struct Row(Each);

enum Each {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    MySql(MySqlRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(Each::Sqlite(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Each::Postgres(row))
    }
}

impl From<MySqlRow> for Row {
    fn from(row: MySqlRow) -> Self {
        Self(Each::MySql(row))
    }
}

impl Row {
    fn get<'r, T>(&'r self, column: &str, of_sqlite: OfSqlite<T>) -> Option<Option<T>>
    where
        T: Decode<'r, Postgres> + Decode<'r, MySql>,
    {
        match &self.0 {
            Each::Sqlite(row) => of_sqlite(row, column),
            Each::Postgres(row) => row.try_get_unchecked(column).ok(),
            Each::MySql(row) => row.try_get_unchecked(column).ok(),
        }
    }

    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, DbError> {
        self.get(column, SqliteRow::text).ok_or_else(|| malformed(column, "text"))
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, DbError> {
        self.opt_text(column)?.ok_or_else(|| malformed(column, "text"))
    }

    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, DbError> {
        if let Each::MySql(row) = &self.0
            && row.try_column(column).is_ok_and(|of| of.type_info().name() == "DECIMAL")
        {
            // A sum of integers: digits.
            let digits = self.opt_text(column)?;
            let parsed = digits.map(|digits| digits.parse());
            return parsed.transpose().map_err(|_error| malformed(column, "integer"));
        }
        self.get(column, SqliteRow::integer).ok_or_else(|| malformed(column, "integer"))
    }

    /// An integer; `NULL` counts as 0.
    pub(crate) fn int(&self, column: &str) -> Result<i64, DbError> {
        Ok(self.opt_int(column)?.unwrap_or(0))
    }

    /// A boolean, or the integer that stands for one.
    pub(crate) fn opt_bool(&self, column: &str) -> Result<Option<bool>, DbError> {
        let integer = self.get(column, SqliteRow::integer);
        Ok(integer.ok_or_else(|| malformed(column, "boolean"))?.map(|value| value != 0))
    }

    /// A boolean; `NULL` counts as false.
    pub(crate) fn bool(&self, column: &str) -> Result<bool, DbError> {
        Ok(self.opt_bool(column)?.unwrap_or(false))
    }

    pub(crate) fn datetime(&self, column: &str) -> Result<Option<PrimitiveDateTime>, DbError> {
        let of_sqlite = |row: &SqliteRow, column: &str| match row.text(column)? {
            Some(text) => dialect::parse_datetime(&text).map(Some),
            None => Some(None),
        };
        self.get(column, of_sqlite).ok_or_else(|| malformed(column, "date"))
    }
}

fn malformed(column: &str, expected: &'static str) -> DbError {
    DbError::Malformed { column: column.to_owned(), expected }
}
