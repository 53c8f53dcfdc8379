//! The tables: Cinder's own, as a real Cinder makes them, and ours beside them.
//!
//! Cinder's are described by `cinder_tables.txt` and are created only for the embedded block
//! storage; beside a real Cinder they are used as they are, but for the indexes that requests need.
//! Ours are migrated by every start.

use crate::db::{Txn, utc_now};
use crate::dialect::{self, Dialect, Type};
use crate::{DbError, Store};
use sea_query::{ColumnDef, Expr, ExprTrait, Index, Query, Table, TableCreateStatement};
use std::collections::BTreeMap;

const CINDER_TABLES: &str = include_str!("cinder_tables.txt");

/// The name of the volume type that `cinder-manage db sync` creates.
pub(crate) const DEFAULT_TYPE: &str = "__DEFAULT__";

/// The quota class `default` of a fresh database, as far as this crate knows the resources.
const DEFAULT_QUOTAS: [(&str, i64); 4] =
    [("volumes", 10), ("snapshots", 10), ("gigabytes", 1000), ("per_volume_gigabytes", -1)];

/// The newest migration of our tables.
const NEWEST: i64 = 3;

/// Cinder's tables whose live rows name secrets, all in `encryption_key_id`.
pub(crate) const KEY_HOLDERS: [&str; 3] = ["volumes", "snapshots", "backups"];

pub(crate) const HAND_OVERS: &str = "volume_transfer_hand_overs";
pub(crate) const DEBTS: &str = "volume_transfer_debts";
const MIGRATIONS: &str = "volume_transfer_migrations";

impl Store {
    /// Creates Cinder's tables where they are missing, with the volume type and the default quota
    /// class of a fresh Cinder. For the embedded block storage only.
    ///
    /// # Errors
    /// [`DbError`]; nothing has changed then.
    pub async fn create_cinder_tables(&self) -> Result<(), DbError> {
        let mut txn = self.db.write().await?;
        lock(&mut txn).await?;
        let made = create_cinder_tables(&mut txn).await;
        unlock(&mut txn).await?;
        made?;
        txn.commit().await
    }

    /// Brings our own tables up to date. Any number of processes may do so at the same time.
    ///
    /// # Errors
    /// [`DbError::TooNew`] when a newer program has been here, else [`DbError`]. What was made
    /// before it stays on MySQL, whose definitions are no part of a transaction: the next start
    /// goes on there.
    pub async fn migrate(&self) -> Result<(), DbError> {
        let mut txn = self.db.write().await?;
        lock(&mut txn).await?;
        let migrated = migrate(&mut txn).await;
        unlock(&mut txn).await?;
        migrated?;
        txn.commit().await
    }
}

async fn lock(txn: &mut Txn) -> Result<(), DbError> {
    let Some(lock) = txn.dialect().lock_schema() else { return Ok(()) };
    let taken = txn.first(&Query::select().expr_as(lock, "taken").take()).await?;
    match taken.map(|row| row.int("taken")).transpose()? {
        Some(1) => Ok(()),
        Some(_) | None => Err(DbError::Database(
            "another process has been shaping the schema for long".to_owned(),
        )),
    }
}

async fn unlock(txn: &mut Txn) -> Result<(), DbError> {
    let Some(unlock) = txn.dialect().unlock_schema() else { return Ok(()) };
    txn.first(&Query::select().expr_as(unlock, "given_back").take()).await.map(|_row| ())
}

async fn create_cinder_tables(txn: &mut Txn) -> Result<(), DbError> {
    let dialect = txn.dialect();
    let mut tables: BTreeMap<&str, TableCreateStatement> = BTreeMap::new();
    let mut indexes = Vec::new();
    for line in CINDER_TABLES.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["column", table, name, kind, rest @ ..] => {
                let create = tables.entry(table).or_insert_with(|| new_table(table));
                create.col(column(dialect, name, kind, rest));
            }
            ["unique", table, columns] => {
                let mut unique = Index::create().unique().take();
                for name in columns.split(',') {
                    unique.col(name.to_owned());
                }
                tables.entry(table).or_insert_with(|| new_table(table)).index(&mut unique);
            }
            ["index", table, name, columns] => {
                let mut index = Index::create();
                index.if_not_exists().name(*name).table((*table).to_owned());
                for name in columns.split(',') {
                    index.col(name.to_owned());
                }
                indexes.push(index.take());
            }
            _comment => {}
        }
    }
    for table in tables.values() {
        txn.define(table).await?;
    }
    for index in &indexes {
        txn.define(index).await?;
    }
    seed(txn).await
}

async fn migrate(txn: &mut Txn) -> Result<(), DbError> {
    let mut migrations = new_table(MIGRATIONS);
    migrations
        .col(ColumnDef::new("version").big_integer().not_null().primary_key())
        .col(ColumnDef::new("applied_at_ms").big_integer().not_null());
    txn.define(&migrations).await?;
    let newest =
        Query::select().expr_as(Expr::col("version").max(), "version").from(MIGRATIONS).take();
    let found = txn.first(&newest).await?.map_or(Ok(0), |row| row.int("version"))?;
    if found > NEWEST {
        return Err(DbError::TooNew { found, known: NEWEST });
    }
    if found < 1 {
        create_hand_overs(txn).await?;
        create_debts(txn).await?;
        record_migration(txn, 1).await?;
    }
    if found < 2 {
        create_indexes(txn).await?;
        record_migration(txn, 2).await?;
    }
    if found < 3 {
        // Backups, too, name secrets that are looked up.
        index(txn, "volume_transfer_backups_key_idx", "backups", "encryption_key_id").await?;
        record_migration(txn, 3).await?;
    }
    Ok(())
}

fn new_table(name: &str) -> TableCreateStatement {
    Table::create().if_not_exists().table(name.to_owned()).take()
}

fn column(dialect: Dialect, name: &str, kind: &str, rest: &[&str]) -> ColumnDef {
    let mut column = ColumnDef::new(name.to_owned());
    let length = kind.strip_prefix("VARCHAR(").and_then(|tail| tail.strip_suffix(')'));
    let of = match (kind, length.and_then(|digits| digits.parse().ok())) {
        ("DATETIME", _) => Type::DateTime,
        ("BOOLEAN", _) => Type::Boolean,
        (_, Some(length)) => Type::Varchar(length),
        (_, None) if rest.contains(&"key") => Type::Serial,
        (_, None) => Type::Integer,
    };
    dialect.set_type(&mut column, of);
    for word in rest {
        match *word {
            "not-null" => column.not_null(),
            "not-null*" if dialect != Dialect::Sqlite => column.not_null(),
            "default=1" => column.default(true),
            "key" => column.primary_key(),
            _ => &mut column,
        };
    }
    column
}

async fn seed(txn: &mut Txn) -> Result<(), DbError> {
    let now = dialect::datetime(utc_now());
    let types = Query::select().column("id").from("volume_types").limit(1).take();
    if !txn.any(&types).await? {
        let insert = Query::insert()
            .into_table("volume_types")
            .columns([
                "created_at",
                "updated_at",
                "deleted",
                "id",
                "name",
                "is_public",
                "description",
            ])
            .values_panic([
                now.clone().into(),
                now.clone().into(),
                false.into(),
                uuid::Uuid::new_v4().to_string().into(),
                DEFAULT_TYPE.into(),
                true.into(),
                "Default Volume Type".into(),
            ])
            .take();
        txn.execute(&insert).await?;
    }
    let classes = Query::select().column("id").from("quota_classes").limit(1).take();
    if !txn.any(&classes).await? {
        let mut insert = Query::insert()
            .into_table("quota_classes")
            .columns(["created_at", "deleted", "class_name", "resource", "hard_limit"])
            .take();
        for (resource, limit) in DEFAULT_QUOTAS {
            insert.values_panic([
                now.clone().into(),
                false.into(),
                "default".into(),
                resource.into(),
                limit.into(),
            ]);
        }
        txn.execute(&insert).await?;
    }
    Ok(())
}

async fn create_hand_overs(txn: &mut Txn) -> Result<(), DbError> {
    let mut table = new_table(HAND_OVERS);
    txn.dialect().set_options(&mut table);
    table
        .col(ColumnDef::new("id").string_len(36).not_null().primary_key())
        // The claim: at most one live hand-over for a volume, and NULL once it has ended.
        .col(ColumnDef::new("claimed_volume_id").string_len(36).unique_key())
        .col(ColumnDef::new("volume_id").string_len(36).not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("phase").string_len(16).not_null())
        .col(text(txn, "state").not_null())
        .col(text(txn, "details").not_null())
        .col(ColumnDef::new("lease_expires_at_ms").big_integer().not_null())
        .col(ColumnDef::new("created_at_ms").big_integer().not_null())
        .col(ColumnDef::new("updated_at_ms").big_integer().not_null());
    txn.define(&table).await
}

async fn create_debts(txn: &mut Txn) -> Result<(), DbError> {
    let mut table = new_table(DEBTS);
    txn.dialect().set_options(&mut table);
    table
        .col(ColumnDef::new("id").string_len(255).not_null().primary_key())
        .col(ColumnDef::new("hand_over_id").string_len(36).not_null())
        // The project whose authority it takes; NULL for the service's own.
        .col(ColumnDef::new("project_id").string_len(255))
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(ColumnDef::new("target").string_len(255).not_null())
        .col(ColumnDef::new("created_at_ms").big_integer().not_null())
        .col(ColumnDef::new("attempts").big_integer().not_null())
        .col(text(txn, "last_error"))
        .col(ColumnDef::new("due_at_ms").big_integer().not_null());
    txn.define(&table).await?;
    let index = Index::create()
        .if_not_exists()
        .name("volume_transfer_debts_project_due_idx")
        .table(DEBTS)
        .col("project_id")
        .col("due_at_ms")
        .take();
    txn.define(&index).await
}

/// What a request looks up, and neither Cinder nor the first migration has an index for: the rows
/// that name a secret, the offers that are open, the quotas of a project, the debts of a hand-over.
async fn create_indexes(txn: &mut Txn) -> Result<(), DbError> {
    for (name, table, column) in [
        ("volume_transfer_volumes_key_idx", "volumes", "encryption_key_id"),
        ("volume_transfer_snapshots_key_idx", "snapshots", "encryption_key_id"),
        ("volume_transfer_transfers_open_idx", "transfers", "deleted"),
        ("volume_transfer_quotas_project_idx", "quotas", "project_id"),
        ("volume_transfer_debts_hand_over_idx", DEBTS, "hand_over_id"),
    ] {
        index(txn, name, table, column).await?;
    }
    Ok(())
}

async fn index(
    txn: &mut Txn,
    name: &'static str,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbError> {
    let index = Index::create().if_not_exists().name(name).table(table).col(column).take();
    txn.define(&index).await
}

fn text(txn: &Txn, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    txn.dialect().set_type(&mut column, Type::Text);
    column
}

async fn record_migration(txn: &mut Txn, version: i64) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table(MIGRATIONS)
        .columns(["version", "applied_at_ms"])
        .values_panic([version.into(), txn.now_ms()])
        .take();
    txn.execute(&insert).await.map(|_rows| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_cinders_that_names_secrets_is_known() {
        let columns = CINDER_TABLES.lines().filter_map(|line| {
            let (table, column) = line.strip_prefix("column ")?.split_once(' ')?;
            column.contains("key_id").then(|| format!("{table} {column}"))
        });
        let of = |table: &&str| format!("{table} encryption_key_id VARCHAR(36)");
        let expected: Vec<_> = KEY_HOLDERS.iter().map(of).collect();
        assert_eq!(columns.collect::<Vec<_>>(), expected);
    }
}
