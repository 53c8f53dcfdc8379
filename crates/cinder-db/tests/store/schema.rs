//! The tables that the store makes are those of a real Cinder.

use crate::fixture::Fixture;
use cinder_db::{ConnectError, Store, StoreConfig};

/// What a real Cinder makes, line by line; the file says how it was made.
fn golden() -> Vec<String> {
    let text = include_str!("../../src/cinder_tables.txt");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Describes the store's tables in the words of the golden file.
async fn made(fixture: &Fixture) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for line in golden() {
        let table = line.split(' ').nth(1).expect("table").to_owned();
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    let mut lines = Vec::new();
    for table in tables {
        let columns = format!(
            "SELECT 'column {table} ' || name || ' ' || upper(type)
                 || iif(\"notnull\", ' not-null', '')
                 || coalesce(' default=' || iif(dflt_value = 'TRUE', '1', dflt_value), '')
                 || iif(pk, ' key', '') AS line
             FROM pragma_table_info('{table}') ORDER BY cid"
        );
        let indexes = format!(
            "SELECT iif(i.origin = 'u', 'unique {table} ', 'index {table} ' || i.name || ' ')
                 || (SELECT group_concat(c.name) FROM pragma_index_info(i.name) c) AS line
             FROM pragma_index_list('{table}') i WHERE i.origin <> 'pk' ORDER BY i.name"
        );
        for query in [columns, indexes] {
            let rows = fixture.rows(&query).await;
            lines.extend(rows.iter().map(|row| row.replacen("line=", "", 1)));
        }
    }
    lines
}

#[tokio::test]
async fn cinders_tables_are_those_of_a_real_cinder() {
    let fixture = Fixture::new().await;
    let (mut expected, mut found) = (golden(), made(&fixture).await);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_fresh_database_has_cinders_default_type_and_quota_class() {
    let fixture = Fixture::new().await;
    let types = fixture.rows("SELECT name, is_public, deleted FROM volume_types").await;
    assert_eq!(types, ["name=__DEFAULT__ is_public=1 deleted=0"]);
    let class = "SELECT resource, hard_limit FROM quota_classes WHERE class_name = 'default'";
    assert_eq!(
        fixture.rows(class).await,
        [
            "resource=volumes hard_limit=10",
            "resource=snapshots hard_limit=10",
            "resource=gigabytes hard_limit=1000",
            "resource=per_volume_gigabytes hard_limit=-1",
        ]
    );
}

#[tokio::test]
async fn making_the_tables_again_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let before = fixture.everything().await;
    fixture.store.create_cinder_tables().await.expect("again");
    fixture.store.migrate().await.expect("again");
    assert_eq!(fixture.everything().await, before);
    assert_eq!(fixture.value("SELECT count(*) FROM volume_types").await, "1");
}

#[tokio::test]
async fn many_replicas_may_migrate_at_the_same_time() {
    let fixture = Fixture::new().await;
    fixture.sql("DROP TABLE volume_transfer_migrations").await;
    fixture.sql("DROP TABLE volume_transfer_hand_overs").await;
    let stores = [fixture.another_store().await, fixture.another_store().await];
    let (first, second) = tokio::join!(stores[0].migrate(), stores[1].migrate());
    first.expect("first");
    second.expect("second");
    let versions = "SELECT version FROM volume_transfer_migrations";
    assert_eq!(fixture.value(versions).await, "1");
}

#[tokio::test]
async fn tables_of_a_newer_program_are_left_alone() {
    let fixture = Fixture::new().await;
    fixture.sql("INSERT INTO volume_transfer_migrations VALUES (99, 0)").await;
    let error = fixture.store.migrate().await.expect_err("too new");
    assert_eq!(
        error.to_string(),
        "the tables are at migration 99, newer than 1, the newest known here"
    );
}

#[tokio::test]
async fn a_database_url_is_as_cinder_writes_it() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().display();
    for (url, opens) in [
        (format!("sqlite://{path}/a.db?mode=rwc"), true),
        (format!("sqlite:///{path}/b.db?mode=rwc"), true),
        (format!("sqlite+pysqlite:///{path}/c.db?mode=rwc"), true),
        (format!("sqlite:///{path}/absent.db"), false),
    ] {
        let store = Store::connect(&StoreConfig { url: url.clone(), max_connections: 1 }).await;
        assert_eq!(store.is_ok(), opens, "{url}");
    }
    let url = "postgresql+psycopg2://cinder:password@db/cinder".to_owned();
    let refused = Store::connect(&StoreConfig { url, max_connections: 1 }).await;
    let Err(error @ ConnectError::UnsupportedScheme { .. }) = refused else {
        panic!("another database was accepted");
    };
    assert!(!format!("{error} {error:?}").contains("password"));
}
