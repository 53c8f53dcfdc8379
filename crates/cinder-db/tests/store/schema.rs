//! The tables that the store makes are those of a real Cinder.

use crate::fixture::Fixture;
use cinder_db::{Store, StoreConfig};
use test_database::Kind;

/// What a real Cinder makes, line by line; the file says how it was made.
fn golden(kind: Kind) -> Vec<String> {
    let text = include_str!("../../src/cinder_tables.txt");
    let not_null = if kind == Kind::Sqlite { "" } else { " not-null" };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.replace(" not-null*", not_null)).collect()
}

/// Selects the description of all tables, in the words of the golden file.
fn descriptions(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Sqlite => [
            "SELECT 'column ' || t.name || ' ' || c.name || ' ' || upper(c.type)
                 || iif(c.\"notnull\", ' not-null', '')
                 || coalesce(' default=' || iif(dflt_value = 'TRUE', '1', dflt_value), '')
                 || iif(pk, ' key', '') AS line
             FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'",
            "SELECT iif(i.origin = 'u', 'unique ' || t.name, 'index ' || t.name || ' ' || i.name)
                 || ' ' || (SELECT group_concat(c.name) FROM pragma_index_info(i.name) c) AS line
             FROM sqlite_schema t, pragma_index_list(t.name) i
             WHERE t.type = 'table' AND i.origin <> 'pk'",
        ],
        Kind::Postgres => [
            "SELECT 'column ' || table_name || ' ' || column_name || ' '
                 || CASE data_type WHEN 'timestamp without time zone' THEN 'DATETIME'
                        WHEN 'character varying' THEN 'VARCHAR(' || character_maximum_length || ')'
                        ELSE upper(data_type) END
                 || CASE is_nullable WHEN 'NO' THEN ' not-null' ELSE '' END
                 || CASE upper(column_default) WHEN 'TRUE' THEN ' default=1' ELSE '' END
                 || CASE WHEN EXISTS (
                        SELECT 1 FROM pg_index i JOIN pg_attribute a
                        ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                        WHERE i.indisprimary AND i.indrelid = table_name::regclass
                            AND a.attname = column_name
                    ) THEN ' key' ELSE '' END AS line
             FROM information_schema.columns WHERE table_schema = 'public'",
            "SELECT CASE WHEN d.indisunique THEN 'unique ' || t.relname
                    ELSE 'index ' || t.relname || ' ' || i.relname END
                 || ' ' || (SELECT string_agg(a.attname, ',' ORDER BY k.place)
                    FROM unnest(d.indkey) WITH ORDINALITY k (number, place)
                    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) AS line
             FROM pg_index d JOIN pg_class i ON i.oid = d.indexrelid
             JOIN pg_class t ON t.oid = d.indrelid
             WHERE t.relnamespace = 'public'::regnamespace AND NOT d.indisprimary",
        ],
        Kind::MySql => [
            "SELECT concat('column ', table_name, ' ', column_name, ' ',
                    CASE WHEN column_type = 'tinyint(1)' THEN 'BOOLEAN'
                        WHEN column_type LIKE 'int%' THEN 'INTEGER'
                        ELSE upper(column_type) END,
                    if(is_nullable = 'NO', ' not-null', ''),
                    if(column_default = '1', ' default=1', ''),
                    if(column_key = 'PRI', ' key', '')) AS line
             FROM information_schema.columns WHERE table_schema = database()",
            "SELECT concat(if(non_unique, concat('index ', table_name, ' ', index_name),
                    concat('unique ', table_name)),
                    ' ', group_concat(column_name ORDER BY seq_in_index)) AS line
             FROM information_schema.statistics
             WHERE table_schema = database() AND index_name <> 'PRIMARY'
             GROUP BY table_name, index_name, non_unique",
        ],
    }
}

/// Describes the store's tables, without our own.
async fn made(fixture: &Fixture) -> Vec<String> {
    let mut lines = Vec::new();
    for query in descriptions(fixture.database.kind) {
        let rows = fixture.rows(query).await;
        lines.extend(rows.iter().map(|row| row.replacen("line=", "", 1)));
    }
    lines.retain(|line| !line.contains(" volume_transfer_"));
    lines
}

#[tokio::test]
async fn the_tests_run_on_the_database_that_was_asked_for() {
    let fixture = Fixture::new().await;
    let (version, words) = match fixture.database.kind {
        Kind::Sqlite => ("sqlite_version()", "3."),
        Kind::Postgres => ("version()", "PostgreSQL"),
        Kind::MySql => ("version()", "MariaDB"),
    };
    let version = fixture.value(&format!("SELECT {version}")).await;
    assert!(version.contains(words), "{version}");
    let asked = test_database::server().unwrap_or_else(|| "sqlite:".to_owned());
    assert_eq!(asked.split(['+', ':']).next(), fixture.database.url.split(['+', ':']).next());
    eprintln!("database: {version}");
}

#[tokio::test]
async fn cinders_tables_are_those_of_a_real_cinder() {
    let fixture = Fixture::new().await;
    let (mut expected, mut found) = (golden(fixture.database.kind), made(&fixture).await);
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
    let versions = "SELECT version FROM volume_transfer_migrations ORDER BY version";
    assert_eq!(fixture.rows(versions).await, ["version=1", "version=2", "version=3"]);
}

#[tokio::test]
async fn tables_of_a_newer_program_are_left_alone() {
    let fixture = Fixture::new().await;
    fixture.sql("INSERT INTO volume_transfer_migrations VALUES (99, 0)").await;
    let error = fixture.store.migrate().await.expect_err("too new");
    assert_eq!(
        error.to_string(),
        "the tables are at migration 99, newer than 3, the newest known here"
    );
}

#[tokio::test]
async fn a_file_of_sqlite_is_made_when_it_is_asked_for() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().display();
    for (url, opens) in [
        (format!("sqlite:///{path}/a.db?mode=rwc"), true),
        (format!("sqlite+pysqlite:///{path}/c.db?mode=rwc"), true),
        (format!("sqlite:///{path}/absent.db"), false),
    ] {
        let store = Store::connect(&StoreConfig { url: url.clone(), max_connections: 1 }).await;
        assert_eq!(store.is_ok(), opens, "{url}");
        if let Err(error) = store {
            assert!(error.to_string().contains(&format!("{path}/absent.db")), "{error}");
        }
    }
}
