//! Lists of offers, as Cinder filters, sorts and pages them.

use crate::fixture::Fixture;
use cinder_db::{Direction, ListError, Scope, TransferQuery};
use std::collections::BTreeMap;
use transfer_core::TransferId;

fn everything() -> TransferQuery {
    TransferQuery {
        scope: Scope::All,
        filters: BTreeMap::new(),
        sort: Vec::new(),
        marker: None,
        limit: None,
        offset: 0,
    }
}

fn filtered(filters: &[(&str, &str)]) -> TransferQuery {
    let filters = filters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    TransferQuery { filters: filters.collect(), ..everything() }
}

fn sorted(keys: &[(&str, Direction)]) -> TransferQuery {
    let sort = keys.iter().map(|(key, direction)| ((*key).to_owned(), *direction)).collect();
    TransferQuery { sort, ..everything() }
}

/// `t1` to `t5`, each made after the one before except that `t2` and `t3` are equally old; the
/// volumes of `t4` and `t5` are `y`'s, and `t5` is over.
async fn offers() -> Fixture {
    let fixture = Fixture::new().await;
    for (index, owner, second, name) in [
        (1, "x", 1, "'a'"),
        (2, "x", 2, "'b'"),
        (3, "x", 2, "NULL"),
        (4, "y", 4, "'a'"),
        (5, "y", 5, "'a'"),
    ] {
        fixture.volume(&format!("v{index}"), owner, None).await;
        let deleted = index == 5;
        fixture
            .sql(&format!(
                "INSERT INTO transfers (id, volume_id, display_name, created_at, deleted, \
                     no_snapshots, source_project_id, accepted, salt, crypt_hash)
                 VALUES ('t{index}', 'v{index}', {name}, '2026-01-01 00:00:0{second}.000000', \
                     {deleted}, FALSE, '{owner}', FALSE, 'salt', 'hash')"
            ))
            .await;
    }
    fixture
}

async fn ids(fixture: &Fixture, query: &TransferQuery) -> String {
    let found = fixture.store.transfers(query).await.expect("listed");
    let ids: Vec<&str> = found.iter().map(|transfer| transfer.id.as_str()).collect();
    ids.join(" ")
}

#[tokio::test]
async fn filters_and_orders_are_cinders() {
    use Direction::{Ascending, Descending};
    let fixture = offers().await;
    let of_x = TransferQuery { scope: Scope::Project("x".into()), ..everything() };
    for (query, expected) in [
        (everything(), "t4 t3 t2 t1"),
        (of_x, "t3 t2 t1"),
        (sorted(&[("created_at", Ascending), ("id", Ascending)]), "t1 t2 t3 t4"),
        (sorted(&[("created_at", Ascending)]), "t1 t2 t3 t4"),
        (sorted(&[("created_at", Ascending), ("id", Descending)]), "t1 t3 t2 t4"),
        (sorted(&[("display_name", Ascending)]), "t3 t1 t4 t2"),
        (sorted(&[("display_name", Descending)]), "t2 t4 t1 t3"),
        (sorted(&[("accepted", Descending)]), "t4 t3 t2 t1"),
        (filtered(&[("display_name", "a")]), "t4 t1"),
        (filtered(&[("display_name", "a"), ("volume_id", "v1")]), "t1"),
        (filtered(&[("project_id", "y")]), "t4"),
        (filtered(&[("source_project_id", "x")]), "t3 t2 t1"),
        (filtered(&[("no_snapshots", "True")]), ""),
        (filtered(&[("no_snapshots", "false")]), "t4 t3 t2 t1"),
        (filtered(&[("no_snapshots", "perhaps")]), ""),
        (filtered(&[("created_at", "2026-01-01T00:00:02.000000")]), "t3 t2"),
        (filtered(&[("created_at", "yesterday")]), ""),
        (filtered(&[("deleted", "true")]), ""),
        (filtered(&[("limit", "1")]), ""),
        (filtered(&[("salt", "salt")]), ""),
        (filtered(&[("crypt_hash", "hash")]), ""),
        (filtered(&[("volume_id", "' OR '1'='1")]), ""),
        (TransferQuery { limit: Some(2), ..everything() }, "t4 t3"),
        (TransferQuery { limit: Some(0), ..everything() }, ""),
        (TransferQuery { offset: 3, ..everything() }, "t1"),
        (TransferQuery { limit: Some(1), offset: 1, ..everything() }, "t3"),
        (TransferQuery { marker: Some("t1".into()), ..everything() }, ""),
    ] {
        assert_eq!(ids(&fixture, &query).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn pages_put_together_are_the_list_in_every_order() {
    use Direction::{Ascending, Descending};
    let fixture = offers().await;
    for keys in [
        vec![],
        vec![("created_at", Ascending)],
        vec![("created_at", Ascending), ("id", Descending)],
        vec![("display_name", Ascending)],
        vec![("display_name", Descending), ("created_at", Ascending)],
        vec![("destination_project_id", Descending)],
        vec![("updated_at", Ascending)],
        vec![("no_snapshots", Ascending), ("volume_id", Descending)],
    ] {
        let whole = ids(&fixture, &sorted(&keys)).await;
        let mut pages = Vec::new();
        let mut marker: Option<TransferId> = None;
        for _page in 0..5 {
            let query = TransferQuery { marker, limit: Some(1), ..sorted(&keys) };
            let page = ids(&fixture, &query).await;
            if page.is_empty() {
                break;
            }
            marker = Some(page.as_str().into());
            pages.push(page);
            if pages.len() == 4 {
                break;
            }
        }
        assert_eq!(pages.join(" "), whole, "{keys:?}");
    }
}

#[tokio::test]
async fn a_marker_must_be_visible_and_a_sort_key_a_column() {
    let fixture = offers().await;
    for (scope, marker) in
        [(Scope::All, "t9"), (Scope::All, "t5"), (Scope::Project("x".into()), "t4")]
    {
        let query = TransferQuery { scope, marker: Some(marker.into()), ..everything() };
        let refused = fixture.store.transfers(&query).await.expect_err(marker);
        assert_eq!(refused.to_string(), format!("Transfer {marker} could not be found."));
    }
    for key in ["salt", "crypt_hash", "name", "id; DROP TABLE transfers"] {
        let query = sorted(&[(key, Direction::Ascending)]);
        let refused = fixture.store.transfers(&query).await.expect_err(key);
        assert!(matches!(refused, ListError::InvalidSortKey(_)), "{refused}");
    }
}

#[tokio::test]
async fn one_offer_is_shown_to_the_project_of_its_volume_and_to_administrators() {
    let fixture = offers().await;
    for (scope, id, shown) in [
        (Scope::All, "t1", true),
        (Scope::Project("x".into()), "t1", true),
        (Scope::Project("y".into()), "t1", false),
        (Scope::All, "t5", false),
    ] {
        let found = fixture.store.transfer(&scope, &id.into()).await.expect("looked up");
        assert_eq!(found.is_some(), shown, "{scope:?} {id}");
    }
    fixture.sql("UPDATE volumes SET deleted = TRUE WHERE id = 'v1'").await;
    let scope = Scope::Project("x".into());
    let found = fixture.store.transfer(&scope, &"t1".into()).await.expect("looked up");
    let found = found.expect("a deleted volume does not hide its offer");
    assert_eq!(found.name.as_deref(), Some("a"));
    assert_eq!(found.no_snapshots, Some(false));
    let created = found.created_at.expect("created").to_string();
    assert_eq!(created, "2026-01-01 0:00:01.0");
    let volume = fixture.store.volume_of_transfer(&"t2".into()).await.expect("looked up");
    assert_eq!(volume.expect("volume").id, "v2".into());
    assert!(fixture.store.volume_of_transfer(&"t1".into()).await.expect("looked up").is_none());
}
