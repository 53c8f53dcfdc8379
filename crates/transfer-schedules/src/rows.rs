//! The rows that runs write: kept aside, brought back, and told in words.
//!
//! All of it beside the store, on a connection of its own. What of a row decides nothing is left
//! out of the words; `matching` says why.

use crate::Broken;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Compiled statements that are kept: more than there are.
const STATEMENTS: usize = 512;

/// The tables that hand-overs write.
pub(crate) const WRITTEN: [&str; 7] = [
    "volumes",
    "snapshots",
    "transfers",
    "quota_usages",
    "reservations",
    "volume_transfer_hand_overs",
    "volume_transfer_debts",
];

/// Statements beside the store.
#[derive(Clone)]
pub(crate) struct RawSql(Arc<Mutex<Connection>>);

/// A row in words.
#[derive(Clone)]
pub(crate) struct RowText {
    pub(crate) text: String,
    /// Of a hand-over that has ended: what is left to be known of it once its driver is gone.
    pub(crate) ended: Option<String>,
}

impl RawSql {
    /// The database of this name in SQLite's own in-memory file system.
    pub(crate) fn open(name: &str) -> Result<Self, Broken> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = Connection::open_with_flags_and_vfs(name, flags, "memdb");
        let connection = connection.map_err(broken)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "foreign_keys", false).map_err(broken)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs statements that somebody else than the service would run.
    pub(crate) fn run(&self, statements: &str) -> Result<(), Broken> {
        self.connection().execute_batch(statements).map_err(broken)
    }

    /// The statement for [`Self::rows`] of a table.
    pub(crate) fn all_rows(&self, table: &str) -> Result<String, Broken> {
        let connection = self.connection();
        let mut columns =
            connection.prepare("SELECT name FROM pragma_table_info(?1)").map_err(broken)?;
        let columns = columns.query_map([table], |row| row.get::<_, String>(0)).map_err(broken)?;
        let mut texts = Vec::new();
        for column in columns {
            let column = column.map_err(broken)?;
            // Reservations are found by another name than their number.
            if (table, column.as_str()) != ("reservations", "id") {
                texts.extend(decisive(&column).map(|text| format!("({text})")));
            }
        }
        let texts = texts.join(" || '|' || ");
        let live = if table == "reservations" { "NOT deleted" } else { "TRUE" };
        let ended = match table {
            "volume_transfer_hand_overs" => {
                "CASE WHEN claimed_volume_id IS NULL THEN id || '|' || phase END"
            }
            _ => "NULL",
        };
        Ok(format!("SELECT {texts}, {ended} FROM {table} WHERE {live} ORDER BY rowid"))
    }

    /// The rows of a table in the order in which they were inserted, without what decides nothing;
    /// `all` is the statement for them.
    pub(crate) fn rows(&self, all: &str) -> Result<Vec<RowText>, Broken> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(all).map_err(broken)?;
        let rows =
            statement.query_map([], |row| Ok(RowText { text: row.get(0)?, ended: row.get(1)? }));
        rows.map_err(broken)?.collect::<Result<_, _>>().map_err(broken)
    }

    /// Makes room for so many copies of the rows that runs write.
    pub(crate) fn make_room(&self, places: usize) -> Result<(), Broken> {
        for place in 0..places {
            for table in WRITTEN {
                let kept = kept(place, table);
                self.run(&format!("CREATE TEMP TABLE {kept} AS SELECT * FROM {table} LIMIT 0"))?;
            }
        }
        Ok(())
    }

    /// Keeps a copy of the rows.
    pub(crate) fn keep(&self, place: usize) -> Result<(), Broken> {
        self.copy(|table| (format!("main.{table}"), format!("temp.{}", kept(place, table))))
    }

    /// Brings the kept rows back.
    pub(crate) fn restore(&self, place: usize) -> Result<(), Broken> {
        self.copy(|table| (format!("temp.{}", kept(place, table)), format!("main.{table}")))
    }

    /// Replaces the rows of one table by another's, for each table that runs write.
    fn copy(&self, from_to: impl Fn(&str) -> (String, String)) -> Result<(), Broken> {
        self.repeat("BEGIN IMMEDIATE")?;
        for table in WRITTEN {
            let (from, to) = from_to(table);
            self.repeat(&format!("DELETE FROM {to}"))?;
            self.repeat(&format!("INSERT INTO {to} SELECT * FROM {from}"))?;
        }
        self.repeat("COMMIT")
    }

    /// Runs a statement that is run often; it is compiled once.
    fn repeat(&self, statement: &str) -> Result<(), Broken> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(statement).map_err(broken)?;
        statement.execute([]).map_err(broken)?;
        Ok(())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kept(place: usize, table: &str) -> String {
    format!("kept_{place}_{table}")
}

/// What of a column decides anything; `None` when nothing does.
fn decisive(column: &str) -> Option<String> {
    let now = "unixepoch('now', 'subsec') * 1000";
    match column {
        "expire" | "last_error" => None,
        "lease_expires_at_ms" => Some(format!("{column} > {now}")),
        // Due payments are made in the order in which they became due: that of the rows, unless
        // somebody had them all be due.
        "due_at_ms" => Some(format!("({column} > {now}) + 2 * ({column} = 0)")),
        _ if column.ends_with("_at_ms") => None,
        _ if column.ends_with("_at") => Some(format!("{column} IS NULL")),
        _ => Some(format!("quote({column})")),
    }
}

fn broken(error: impl Display) -> Broken {
    Broken::Stack(error.to_string())
}
