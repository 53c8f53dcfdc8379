//! Lists of open offers: filters, order and pages (cinder: `db/api.py` `transfer_get_all`,
//! `_process_transfer_filters`, `process_sort_params`; `common/sqlalchemyutils.py`
//! `paginate_query`).

use crate::db::Txn;
use crate::transfers::{self, Transfer};
use crate::volumes::Scope;
use crate::{DbError, Store, dialect};
use sea_query::{Cond, Condition, Expr, ExprTrait, Func, Order, SelectStatement, Value};
use std::collections::BTreeMap;
use time::PrimitiveDateTime;
use time::macros::datetime;
use transfer_core::{ProjectId, TransferId};

/// Which way a list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Which open offers, in which order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransferQuery {
    /// Offers of whose volumes.
    pub scope: Scope,
    /// Columns of `transfers` and the values they must have; `project_id` is that of the volume.
    /// A key that is no column, or a value that is none of its column's, leaves nothing.
    pub filters: BTreeMap<String, String>,
    /// The keys to sort by. `created_at` and `id` are added, in the direction of the first key.
    pub sort: Vec<(String, Direction)>,
    /// The last offer of the page before.
    pub marker: Option<TransferId>,
    /// The size of the page.
    pub limit: Option<u64>,
    /// How many to leave out.
    pub offset: u64,
}

/// Why a list cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The marker is no open offer that the scope shows.
    #[error("Transfer {0} could not be found.")]
    MarkerNotFound(TransferId),
    /// A sort key is no column. Cinder's text.
    #[error("Invalid input received: Invalid sort key")]
    InvalidSortKey(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A column as filters and sort keys see it. The salt and the hash are not among them.
#[derive(Clone, Copy)]
enum Column {
    Text(&'static str),
    Date(&'static str),
    Boolean(&'static str),
}

/// What Cinder sorts an absent date as.
const LONG_AGO: PrimitiveDateTime = datetime!(1900-01-01 00:00);

const COLUMNS: [Column; 12] = [
    Column::Text("id"),
    Column::Text("volume_id"),
    Column::Text("display_name"),
    Column::Text("source_project_id"),
    Column::Text("destination_project_id"),
    Column::Date("created_at"),
    Column::Date("updated_at"),
    Column::Date("deleted_at"),
    Column::Date("expires_at"),
    Column::Boolean("deleted"),
    Column::Boolean("no_snapshots"),
    Column::Boolean("accepted"),
];

impl Store {
    /// A page of open offers.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn transfers(&self, query: &TransferQuery) -> Result<Vec<Transfer>, ListError> {
        let mut txn = self.db.read().await?;
        let keys = sort_keys(&query.sort)?;
        let mut select = transfers::open(&query.scope);
        if !filter(&mut select, &query.filters) {
            return Ok(Vec::new());
        }
        if let Some(marker) = &query.marker {
            select.cond_where(after(&mut txn, query, marker, &keys).await?);
        }
        for (column, direction) in keys {
            let order = match direction {
                Direction::Ascending => Order::Asc,
                Direction::Descending => Order::Desc,
            };
            select.order_by_expr(column.sorted(), order);
        }
        // An offset without a limit is no SQL in every dialect.
        let limit = query.limit.unwrap_or_else(|| i64::MAX.unsigned_abs());
        select.limit(limit).offset(query.offset);
        let rows = txn.all(&select).await?;
        Ok(rows.iter().map(Transfer::read).collect::<Result<_, _>>()?)
    }
}

/// False when nothing can match.
fn filter(select: &mut SelectStatement, filters: &BTreeMap<String, String>) -> bool {
    for (key, wanted) in filters {
        if key == "project_id" {
            transfers::of_project(select, &ProjectId::new(wanted.as_str()));
            continue;
        }
        let Some(column) = Column::named(key) else { return false };
        let Some(value) = column.value(wanted) else { return false };
        select.and_where(Expr::col(column.name()).eq(Expr::val(value)));
    }
    true
}

fn sort_keys(asked: &[(String, Direction)]) -> Result<Vec<(Column, Direction)>, ListError> {
    let rest = asked.first().map_or(Direction::Descending, |(_, direction)| *direction);
    let mut keys = Vec::new();
    for (key, direction) in asked {
        let column = Column::named(key).ok_or_else(|| ListError::InvalidSortKey(key.clone()))?;
        keys.push((column, *direction));
    }
    for column in [Column::Date("created_at"), Column::Text("id")] {
        if !asked.iter().any(|(key, _)| key == column.name()) {
            keys.push((column, rest));
        }
    }
    Ok(keys)
}

/// The rows that come after the marker: `(k1 > v1) or (k1 = v1 and k2 > v2) or …`.
async fn after(
    txn: &mut Txn,
    query: &TransferQuery,
    marker: &TransferId,
    keys: &[(Column, Direction)],
) -> Result<Condition, ListError> {
    let mut select = transfers::open(&query.scope);
    select.and_where(Expr::col("id").eq(marker.as_str()));
    let row = txn.first(&select).await?.ok_or_else(|| ListError::MarkerNotFound(marker.clone()))?;
    let mut any = Cond::any();
    let mut equal = Cond::all();
    for (column, direction) in keys {
        let value = match column {
            Column::Text(name) => row.opt_text(name)?.map(Value::from),
            Column::Date(name) => row.datetime(name)?.map(dialect::datetime),
            Column::Boolean(name) => row.opt_bool(name)?.map(Value::from),
        };
        let value = Expr::val(value.unwrap_or_else(|| column.absent()));
        let beyond = match direction {
            Direction::Ascending => column.sorted().gt(value.clone()),
            Direction::Descending => column.sorted().lt(value.clone()),
        };
        any = any.add(equal.clone().add(beyond));
        equal = equal.add(column.sorted().eq(value));
    }
    Ok(any)
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        COLUMNS.into_iter().find(|column| column.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Date(name) | Self::Boolean(name) => name,
        }
    }

    fn value(self, text: &str) -> Option<Value> {
        match self {
            Self::Text(_) => Some(text.into()),
            Self::Date(_) => {
                dialect::parse_datetime(&text.replace('T', " ")).map(dialect::datetime)
            }
            Self::Boolean(_) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true.into()),
                "false" | "0" => Some(false.into()),
                _neither => None,
            },
        }
    }

    /// What an absent value counts as when rows are sorted.
    fn absent(self) -> Value {
        match self {
            Self::Text(_) => "".into(),
            Self::Date(_) => dialect::datetime(LONG_AGO),
            Self::Boolean(_) => false.into(),
        }
    }

    fn sorted(self) -> Expr {
        Func::coalesce([Expr::col(self.name()), Expr::val(self.absent())]).into()
    }
}
