//! The rows that runs write: kept aside, brought back, and told in words.
//!
//! All of it beside the store, on a connection of its own. What of a row decides nothing is left
//! out of the words; `matching` says why.

use crate::Broken;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use std::fmt::Display;
use std::str::FromStr as _;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The tables that hand-overs write.
const WRITTEN: [&str; 7] = [
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
pub(crate) struct RawSql(Arc<Mutex<SqliteConnection>>);

/// A row in words.
#[derive(Clone)]
pub(crate) struct RowText {
    pub(crate) table: String,
    pub(crate) text: String,
    /// Of a hand-over that has ended: what is left to be known of it once its driver is gone.
    pub(crate) ended: Option<String>,
}

impl RawSql {
    pub(crate) async fn open(url: &str) -> Result<Self, Broken> {
        let options = SqliteConnectOptions::from_str(url).map_err(broken)?;
        let connection = SqliteConnection::connect_with(&options.foreign_keys(false)).await;
        Ok(Self(Arc::new(Mutex::new(connection.map_err(broken)?))))
    }

    /// Runs statements that somebody else than the service would run.
    pub(crate) async fn run(&self, statements: &str) -> Result<(), Broken> {
        let mut connection = self.0.lock().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *connection).await.map_err(broken)?;
        Ok(())
    }

    /// The statement for [`Self::rows`].
    pub(crate) async fn all_rows(&self) -> Result<String, Broken> {
        let mut connection = self.0.lock().await;
        let mut selects = Vec::new();
        for (place, table) in WRITTEN.into_iter().enumerate() {
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns = sqlx::query(AssertSqlSafe(columns)).fetch_all(&mut *connection).await;
            let mut texts = Vec::new();
            for column in columns.map_err(broken)? {
                let column: String = column.try_get(0).map_err(broken)?;
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
            selects.push(format!(
                "SELECT '{table}' AS name, {texts} AS row, {ended} AS ended, {place} AS place, \
                 rowid AS number FROM {table} WHERE {live}"
            ));
        }
        let all = selects.join(" UNION ALL ");
        Ok(format!("SELECT name, row, ended FROM ({all}) ORDER BY place, number"))
    }

    /// The rows that runs write, in the order in which they were inserted, without what decides
    /// nothing; `all` is the statement for them.
    pub(crate) async fn rows(&self, all: &str) -> Result<Vec<RowText>, Broken> {
        let mut connection = self.0.lock().await;
        let rows = sqlx::query(AssertSqlSafe(all));
        let rows = rows.fetch_all(&mut *connection).await.map_err(broken)?;
        let read = |row: &SqliteRow| {
            let (table, text, ended) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(RowText { table, text, ended })
        };
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(broken)
    }

    /// Runs statements that are run often; they are compiled once.
    pub(crate) async fn repeat(&self, statements: &str) -> Result<(), Broken> {
        let mut connection = self.0.lock().await;
        let repeated = sqlx::query(AssertSqlSafe(statements));
        repeated.execute(&mut *connection).await.map_err(broken)?;
        Ok(())
    }
}

/// Statements that make room for copies of the rows that runs write.
pub(crate) fn make_room(place: usize) -> String {
    let room = |table| {
        format!("CREATE TEMP TABLE kept_{place}_{table} AS SELECT * FROM main.{table} LIMIT 0;")
    };
    WRITTEN.map(room).concat()
}

/// Statements that keep a copy of the rows.
pub(crate) fn keep(place: usize) -> String {
    let copy = |table| {
        let kept = format!("temp.kept_{place}_{table}");
        format!("DELETE FROM {kept}; INSERT INTO {kept} SELECT * FROM main.{table};")
    };
    format!("BEGIN; {} COMMIT;", WRITTEN.map(copy).concat())
}

/// Statements that bring the kept rows back.
pub(crate) fn restore(place: usize) -> String {
    let copy = |table| {
        let kept = format!("temp.kept_{place}_{table}");
        format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM {kept};")
    };
    format!("BEGIN IMMEDIATE; {} COMMIT;", WRITTEN.map(copy).concat())
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
