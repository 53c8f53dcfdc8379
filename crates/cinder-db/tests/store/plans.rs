//! How the database finds what a request asks for, never by reading a whole table, and how an audit
//! pages through the tables, sorting none of them.
//!
//! Every statement is written down and then explained by the database itself. The tables are small,
//! so the planner is told to use an index wherever it can: a scan or a sort that stays is one for
//! want of an index.

use crate::fixture::{Fixture, LEASE, accept, caller, cancel, copied, initiate};
use crate::listener::Listener;
use cinder_db::{Direction, Scope, SettledEnd, Store, TransferQuery};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use test_database::Kind;
use transfer_core::{Authority, Settlement};

/// All that requests of a project do, from claim to the payment of debts.
async fn serve_requests(fixture: &Fixture, store: &Store) {
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s", "v").await;
    let scope = caller("x").scope();
    let claim = initiate("i", "v", "x");
    store.volume(&scope, &"v".into()).await.expect("answers");
    let offered = store.claim_initiate(&claim).await.expect("claimed");
    end(store, offered.hand_over.into_inner(), "x").await;
    store.transfer(&scope, &claim.transfer_id).await.expect("answers");
    store.volume_of_transfer(&claim.transfer_id).await.expect("answers");
    let query = TransferQuery {
        scope: scope.clone(),
        filters: BTreeMap::new(),
        sort: vec![("created_at".to_owned(), Direction::Descending)],
        marker: Some(claim.transfer_id.clone()),
        limit: Some(10),
        offset: 0,
    };
    store.transfers(&query).await.expect("lists");
    for after in [None, Some(&claim.transfer_id)] {
        store.expired_offers(&scope, Duration::ZERO, after, 64).await.expect("answers");
    }
    store.has_expired_offers().await.expect("answers");
    let taken = accept("a", &claim.transfer_id, &offered.auth_key, "y");
    let accepted = store.claim_accept(&taken).await.expect("claimed");
    end(store, accepted.into_inner(), "y").await;
    let (transfer, _key) = fixture.offer("o", "v", "y").await;
    let cancelled = store.claim_cancel(&cancel("c", &transfer, "y")).await.expect("claimed");
    end(store, cancelled.into_inner(), "y").await;
    let again = store.claim_initiate(&initiate("b", "v", "y")).await.expect("claimed");
    let mut given_up = again.hand_over.into_inner();
    given_up.apply(transfer_core::Event::GaveUp).expect("gives up");
    store.abort(given_up).await.expect("aborted");
}

async fn end(store: &Store, claimed: transfer_core::HandOver, project: &str) {
    let saved = store.save(claimed, LEASE).await.expect("saved").into_inner();
    let id = saved.id().clone();
    store.commit(copied(saved)).await.expect("committed");
    let ended = store.ended(&id).await.expect("answers").expect("has ended");
    store.debts_of(&Authority::Project(project.into()), 64).await.expect("answers");
    let mut settled = Vec::new();
    for debt in &ended.debts {
        store.is_named(&"k".into()).await.expect("answers");
        store.settle(debt, &Settlement::Unknown("no reply".to_owned())).await.expect("settled");
        settled.push(((**debt).clone(), Settlement::Paid));
    }
    store.settle_ends(&[SettledEnd { hand_over: id, debts: settled }]).await.expect("settled");
}

/// Rows of others, so that not every plan is as good as any other.
async fn fill(fixture: &Fixture) {
    let postgres = fixture.database.kind == Kind::Postgres;
    let (no, yes) = if postgres { ("false", "true") } else { ("0", "1") };
    for number in 1_000..1_100 {
        let (project, key) = (format!("'p{}'", number % 10), format!("'k{number}'"));
        for (table, columns, values) in [
            (
                "volumes",
                "id, volume_type_id, deleted, project_id, encryption_key_id, use_quota",
                format!("{key}, 'type', {no}, {project}, {key}, {yes}"),
            ),
            (
                "snapshots",
                "id, volume_type_id, deleted, project_id, encryption_key_id, volume_id, use_quota",
                format!("{key}, 'type', {no}, {project}, {key}, {key}, {yes}"),
            ),
            (
                "backups",
                "id, deleted, volume_id, encryption_key_id",
                format!("{key}, {no}, {key}, {key}"),
            ),
            ("transfers", "id, deleted, volume_id", format!("{key}, {yes}, {key}")),
            (
                "quotas",
                "id, deleted, project_id, resource, hard_limit",
                format!("{number}, {no}, {project}, 'volumes', 5"),
            ),
        ] {
            fixture.sql(&format!("INSERT INTO {table} ({columns}) VALUES ({values})")).await;
        }
    }
}

/// What explains a statement, with nothing for each of its values.
fn explanation(kind: Kind, sql: &str) -> String {
    match kind {
        Kind::Sqlite => format!("EXPLAIN QUERY PLAN {sql}"),
        Kind::Postgres => {
            let count = (1..).take_while(|n| sql.contains(&format!("${n}"))).count();
            let values = vec!["NULL"; count].join(", ");
            let values = if count == 0 { String::new() } else { format!("({values})") };
            format!(
                "SET enable_seqscan = off; SET enable_sort = off;
                 SET plan_cache_mode = force_generic_plan;
                 PREPARE explained AS {sql}; EXPLAIN EXECUTE explained{values};
                 DEALLOCATE explained"
            )
        }
        Kind::MySql => {
            let sql = sql.replace("LIMIT ?", "LIMIT 1").replace("OFFSET ?", "OFFSET 0");
            // A text that any column can be compared with, and that no row has.
            let sql = sql.replace('?', "'17'");
            format!("SET SESSION max_seeks_for_key = 1; EXPLAIN {sql}")
        }
    }
}

/// Whether a line of an explanation tells of a table that is read from end to end, or of all rows
/// in it that are live: those are most, but for transfers.
fn is_scan(kind: Kind, line: &str) -> bool {
    let is_of_offers = line.contains("volume_transfer_transfers_open_idx");
    match kind {
        Kind::Sqlite => {
            line.contains("detail=SCAN") || line.contains("(deleted=?)") && !is_of_offers
        }
        Kind::Postgres => line.contains("Seq Scan"),
        // Neither does it read the whole of an index.
        Kind::MySql => line.contains(" type=ALL ") || line.contains(" type=index "),
    }
}

/// Whether a line of an explanation tells of rows that are put in order after they were found.
fn is_sort(kind: Kind, line: &str) -> bool {
    match kind {
        Kind::Sqlite => line.contains("USE TEMP B-TREE"),
        Kind::Postgres => line.contains("Sort Key"),
        Kind::MySql => line.contains("Using filesort") || line.contains("Using temporary"),
    }
}

/// All that an audit asks of the database.
async fn audit(store: &Store) {
    store.count_volumes().await.expect("answers");
    store.claims().await.expect("answers");
    store.debts().await.expect("answers");
    let first = store.audited_volumes(None, 2).await.expect("answers");
    let next = store.audited_volumes(first.last().map(|volume| &volume.id), 2).await;
    for volume in first.iter().chain(&next.expect("answers")) {
        store.audited_volume(&volume.id).await.expect("answers");
    }
    for after in [None, Some("k1050".into())] {
        let all = store.expired_offers(&Scope::All, Duration::ZERO, after.as_ref(), 2);
        all.await.expect("answers");
    }
    store.named_among(&["k1050".into(), "k1051".into()]).await.expect("answers");
}

/// A statement of an audit that may read a whole table, or sort.
struct Exempt {
    /// Words of it, without quotes.
    words: &'static str,
    scans: bool,
    sorts: bool,
}

const EXEMPT: [Exempt; 6] = [
    // All are counted, once.
    Exempt { words: "SELECT COUNT(", scans: true, sorts: false },
    // From the beginning of the key's index, as many as a page has.
    Exempt { words: "FROM volumes WHERE NOT deleted ORDER BY id", scans: true, sorts: false },
    // Those of a page of volumes.
    Exempt { words: "AND volume_id IN (", scans: false, sorts: true },
    // Offers that are open and have expired.
    Exempt { words: "transfers.expires_at <=", scans: false, sorts: true },
    // Our own tables hold what is at work and what is left of that, and volumes do not add to it.
    Exempt { words: "claimed_volume_id IS NOT NULL", scans: true, sorts: true },
    Exempt { words: "FROM volume_transfer_debts", scans: true, sorts: true },
];

#[tokio::test]
async fn an_audit_pages_through_the_tables_and_sorts_none_of_them() {
    let fixture = Fixture::new().await;
    let (listener, store) = Listener::on(&fixture.store);
    fill(&fixture).await;
    audit(&store).await;
    let kind = fixture.database.kind;
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    for sql in listener.heard().into_iter().collect::<BTreeSet<String>>() {
        let words = sql.replace(['"', '`'], "");
        let exempt = EXEMPT.iter().find(|exempt| words.contains(exempt.words));
        used.extend(exempt.map(|exempt| exempt.words));
        let plan = fixture.rows(&explanation(kind, &sql)).await;
        let scans = plan.iter().any(|line| is_scan(kind, line));
        let sorts = plan.iter().any(|line| is_sort(kind, line));
        if scans && !exempt.is_some_and(|exempt| exempt.scans)
            || sorts && !exempt.is_some_and(|exempt| exempt.sorts)
        {
            wrong.push(format!("{sql}\n    {}", plan.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(used.len(), EXEMPT.len(), "{used:?}");
}

#[tokio::test]
async fn no_statement_of_a_request_reads_a_whole_table() {
    let fixture = Fixture::new().await;
    let (listener, store) = Listener::on(&fixture.store);
    fill(&fixture).await;
    serve_requests(&fixture, &store).await;
    let statements: BTreeSet<String> = listener.heard().into_iter().collect();
    assert!(statements.len() > 30, "{}", statements.len());
    let kind = fixture.database.kind;
    let mut scans = Vec::new();
    // An insert of values reads nothing, and looks as if it did.
    for sql in statements.iter().filter(|sql| !sql.starts_with("INSERT")) {
        let plan = fixture.rows(&explanation(kind, sql)).await;
        if plan.iter().any(|line| is_scan(kind, line)) {
            scans.push(format!("{sql}\n    {}", plan.join("\n    ")));
        }
    }
    assert!(scans.is_empty(), "{} of {}:\n{}", scans.len(), statements.len(), scans.join("\n"));
}

#[tokio::test]
async fn a_scan_and_a_sort_are_noticed() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let kind = fixture.database.kind;
    let plan = fixture.rows(&explanation(kind, "SELECT id FROM volumes WHERE size = 7")).await;
    assert!(plan.iter().any(|line| is_scan(kind, line)), "{plan:?}");
    let plan = fixture.rows(&explanation(kind, "SELECT id FROM volumes WHERE id = 'v'")).await;
    assert!(!plan.iter().any(|line| is_scan(kind, line)), "{plan:?}");
    let plan = fixture.rows(&explanation(kind, "SELECT id FROM volumes ORDER BY size")).await;
    assert!(plan.iter().any(|line| is_sort(kind, line)), "{plan:?}");
    let plan = fixture.rows(&explanation(kind, "SELECT id FROM volumes ORDER BY id")).await;
    assert!(!plan.iter().any(|line| is_sort(kind, line)), "{plan:?}");
}
