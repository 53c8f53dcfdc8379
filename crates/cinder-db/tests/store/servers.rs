//! What only many connections, or a server at the end of one, bring about: rivals, interruptions,
//! broken connections. SQLite has rivals; the rest is of servers, and is said to be left out there.

use crate::fixture::{Fixture, LEASE, accept, cancel, copied, initiate};
use crate::proxy::{Cut, Proxy};
use cinder_db::{ClaimError, DbError, EndError, Scope, Store, StoreConfig, TransferQuery};
use futures::future::join_all;
use std::collections::BTreeMap;
use test_database::Kind;
use transfer_core::{HandOver, Phase};

/// An encrypted volume, unless this is SQLite.
async fn on_a_server() -> Option<Fixture> {
    let fixture = Fixture::new().await;
    if fixture.database.kind == Kind::Sqlite {
        eprintln!("left out on SQLite: there is no server");
        return None;
    }
    fixture.volume("v", "x", Some("k")).await;
    Some(fixture)
}

async fn claimed(fixture: &Fixture) -> HandOver {
    let claim = initiate("h", "v", "x");
    fixture.store.claim_initiate(&claim).await.expect("claimed").hand_over.into_inner()
}

/// The store of another process, by way of a proxy.
async fn by_proxy(fixture: &Fixture) -> (Proxy, Store) {
    let proxy = Proxy::to(&fixture.database.url).await;
    let config = StoreConfig { url: proxy.url(&fixture.database.url), max_connections: 2 };
    (proxy, Store::connect(&config).await.expect("connects"))
}

/// How many of them won; whoever did not must have been told that somebody else is at it.
fn winners<T>(claims: Vec<Result<T, ClaimError>>) -> usize {
    let mut won = 0;
    for claim in claims {
        match claim {
            Ok(_claimed) => won += 1,
            Err(ClaimError::InProgress(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    won
}

#[tokio::test]
async fn of_rivals_on_many_connections_one_wins_and_the_others_are_told_so() {
    let fixture = Fixture::new().await;
    let stores = [fixture.another_store().await, fixture.another_store().await];
    let store = |index: usize| &stores[index % stores.len()];
    for round in 0..5 {
        let volume = format!("v{round}");
        fixture.volume(&volume, "x", Some("k")).await;
        let claims: Vec<_> =
            (0..6).map(|index| initiate(&format!("i{round}-{index}"), &volume, "x")).collect();
        let attempts = claims.iter().enumerate();
        let offered =
            join_all(attempts.map(|(index, claim)| store(index).claim_initiate(claim))).await;
        assert_eq!(winners(offered), 1, "offers of {volume}");

        let volume = format!("w{round}");
        fixture.volume(&volume, "x", Some("k")).await;
        let (transfer, key) = fixture.offer(&format!("o{round}"), &volume, "x").await;
        // Projects that have no usage of anything yet.
        let accepts: Vec<_> = (0..5)
            .map(|index| {
                accept(&format!("a{round}-{index}"), &transfer, &key, &format!("y{round}-{index}"))
            })
            .collect();
        let taken_back = cancel(&format!("c{round}"), &transfer, "x");
        let accepting =
            accepts.iter().enumerate().map(|(index, claim)| store(index).claim_accept(claim));
        let (accepted, cancelled) =
            tokio::join!(join_all(accepting), stores[0].claim_cancel(&taken_back));
        assert_eq!(winners(accepted) + winners(vec![cancelled]), 1, "takers of {volume}");
    }
}

#[tokio::test]
async fn accepts_in_both_directions_wait_for_each_other_and_both_succeed() {
    let fixture = Fixture::new().await;
    let stores = [fixture.another_store().await, fixture.another_store().await];
    for round in 0..5 {
        let mut claims = Vec::new();
        for (from, to) in [("x", "y"), ("y", "x")] {
            let volume = format!("{from}{round}");
            fixture.volume(&volume, from, None).await;
            let (transfer, key) = fixture.offer(&format!("o{volume}"), &volume, from).await;
            claims.push(accept(&format!("a{volume}"), &transfer, &key, to));
        }
        let accepted = join_all(claims.iter().zip(&stores).map(async |(claim, store)| {
            let claimed = store.claim_accept(claim).await.expect("claimed");
            store.commit(claimed.into_inner()).await.expect("committed")
        }));
        assert_eq!(accepted.await.len(), 2);
    }
    if fixture.database.kind == Kind::Postgres {
        // Nobody got stuck on the way: PostgreSQL takes a second to notice that.
        let stuck = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(fixture.value(stuck).await, "0");
    }
    let reserved = "SELECT sum(reserved) FROM quota_usages";
    assert_eq!(fixture.value(reserved).await, "0");
    let volumes = "SELECT project_id, in_use FROM quota_usages WHERE resource = 'volumes'
                   ORDER BY project_id";
    assert_eq!(fixture.rows(volumes).await, ["project_id=x in_use=5", "project_id=y in_use=5"]);
}

/// Lets the server choose the first so many claims as victims of a deadlock.
async fn victims(fixture: &Fixture, count: u32) {
    fixture.sql("CREATE SEQUENCE tries").await;
    let statements: &[&str] = match fixture.database.kind {
        Kind::Sqlite => &[],
        Kind::Postgres => &[
            "CREATE FUNCTION choose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('tries') <= {} THEN
                     RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF;
                 RETURN NEW; END $$",
            "CREATE TRIGGER chosen BEFORE INSERT ON volume_transfer_hand_overs
             FOR EACH ROW EXECUTE FUNCTION choose()",
        ],
        Kind::MySql => &["CREATE TRIGGER chosen BEFORE INSERT ON volume_transfer_hand_overs
             FOR EACH ROW BEGIN
                 IF NEXTVAL(tries) <= {} THEN
                     SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; END"],
    };
    for statement in statements {
        fixture.sql(&statement.replace("{}", &count.to_string())).await;
    }
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_run_again_and_not_for_ever() {
    for (count, succeeds) in [(3, true), (1_000, false)] {
        let Some(fixture) = on_a_server().await else { return };
        victims(&fixture, count).await;
        let before = fixture.everything().await;
        match fixture.store.claim_initiate(&initiate("h", "v", "x")).await {
            Ok(offered) => {
                assert!(succeeds, "{count}");
                let ended = fixture.store.commit(copied(offered.hand_over.into_inner())).await;
                ended.expect("committed");
            }
            Err(ClaimError::Db(DbError::Interrupted(words))) => {
                assert!(!succeeds, "{count}: {words}");
                assert_eq!(fixture.everything().await, before);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_unknown_and_can_be_read_back() {
    for (cut, happens) in [(Cut::After("COMMIT"), true), (Cut::Before("COMMIT"), false)] {
        let Some(fixture) = on_a_server().await else { return };
        let copied = copied(claimed(&fixture).await);
        let (proxy, store) = by_proxy(&fixture).await;
        proxy.arm(cut);
        let told = store.commit(copied.clone()).await.expect_err("no reply");
        assert!(matches!(told, EndError::Unknown(_)), "{cut:?}: {told}");
        assert!(!proxy.is_armed(), "{cut:?}");
        let ended = store.ended(copied.id()).await.expect("another connection");
        assert_eq!(ended.is_some(), happens, "{cut:?}");
        match ended {
            Some(ended) => assert_eq!(*ended.hand_over.phase(), Phase::Committed),
            None => drop(store.commit(copied).await.expect("nothing had happened")),
        }
        let key = fixture.value("SELECT encryption_key_id FROM volumes").await;
        assert_eq!(key, "k+", "{cut:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_commit_is_made_up_for() {
    for cut in [
        Cut::Before("UPDATE"),
        Cut::After("UPDATE"),
        Cut::After("INSERT"),
        Cut::Before("COMMITTED"),
    ] {
        let Some(fixture) = on_a_server().await else { return };
        let copied = copied(claimed(&fixture).await);
        let (proxy, store) = by_proxy(&fixture).await;
        proxy.arm(cut);
        store.commit(copied).await.unwrap_or_else(|error| panic!("{cut:?}: {error}"));
        assert!(!proxy.is_armed(), "{cut:?}");
        let key = fixture.value("SELECT encryption_key_id FROM volumes").await;
        assert_eq!(key, "k+", "{cut:?}");
    }
}

#[tokio::test]
async fn who_stands_still_in_a_transaction_does_not_keep_others_from_its_rows_for_long() {
    let Some(fixture) = on_a_server().await else { return };
    let copied = copied(claimed(&fixture).await);
    let (proxy, store) = by_proxy(&fixture).await;
    proxy.arm(Cut::StillAfter("UPDATE"));
    let standing = tokio::spawn({
        let copied = copied.clone();
        async move { store.commit(copied).await }
    });
    proxy.stands_still().await;
    // Its rows are locked, and nobody is there to let them go.
    let patience = std::time::Duration::from_secs(30);
    let ended = tokio::time::timeout(patience, fixture.store.commit(copied)).await;
    ended.expect("the rows are let go").expect("committed");
    let key = fixture.value("SELECT encryption_key_id FROM volumes").await;
    assert_eq!(key, "k+");
    standing.abort();
}

#[tokio::test]
async fn connections_that_broke_while_nobody_used_them_are_replaced() {
    let Some(fixture) = on_a_server().await else { return };
    let (proxy, store) = by_proxy(&fixture).await;
    let (one, other) = tokio::join!(store.ping(), store.ping());
    one.and(other).expect("answers");
    proxy.break_all();
    // The first that is found to be broken says enough of the other.
    store.ping().await.expect("answers on another connection");
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn a_statement_is_one_question_and_a_transaction_two_more() {
    let Some(fixture) = on_a_server().await else { return };
    let proxy = Proxy::to(&fixture.database.url).await;
    let config = StoreConfig { url: proxy.url(&fixture.database.url), max_connections: 1 };
    let store = Store::connect(&config).await.expect("connects");
    // The second time, when every statement has been prepared.
    let mut asked = Vec::new();
    for round in ["1", "2"] {
        let volume = format!("v{round}");
        fixture.volume(&volume, "x", Some(&format!("k{round}"))).await;
        asked.clear();
        proxy.questions();
        store.ping().await.expect("answers");
        asked.push(("ping", proxy.questions()));
        let claim = initiate(&format!("h{round}"), &volume, "x");
        let offered = store.claim_initiate(&claim).await.expect("claimed");
        asked.push(("claim", proxy.questions()));
        let copied = copied(offered.hand_over.into_inner());
        let saved = store.save(copied, LEASE).await.expect("saved").into_inner();
        asked.push(("save", proxy.questions()));
        store.commit(saved).await.expect("committed");
        asked.push(("commit", proxy.questions()));
    }
    // As many statements as `statements.rs` has of each, but for the snapshot's.
    assert_eq!(asked, [("ping", 1), ("claim", 4 + 2), ("save", 1), ("commit", 7 + 2)]);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_refusal_lets_the_rows_go_and_keeps_the_connection() {
    let Some(fixture) = on_a_server().await else { return };
    fixture.sql("UPDATE volumes SET status = 'in-use'").await;
    let (proxy, store) = by_proxy(&fixture).await;
    for round in 0..10 {
        let refused = store.claim_initiate(&initiate(&format!("h{round}"), "v", "x")).await;
        assert!(matches!(refused, Err(ClaimError::InvalidVolume(_))), "{refused:?}");
        // Waits for the lock, if it is still there.
        let other = fixture.store.claim_initiate(&initiate("other", "v", "x")).await;
        assert!(matches!(other, Err(ClaimError::InvalidVolume(_))), "{other:?}");
    }
    assert!(proxy.connections() <= 2, "{}", proxy.connections());
}

/// Only PostgreSQL has what makes it refuse a commit. Nothing tells whether the transaction is
/// still open afterwards.
#[tokio::test]
async fn a_connection_whose_commit_was_refused_is_rolled_back_before_it_is_used_again() {
    let Some(fixture) = on_a_server().await else { return };
    if fixture.database.kind != Kind::Postgres {
        eprintln!("left out on MariaDB: it refuses no commit");
        return;
    }
    let proxy = Proxy::to(&fixture.database.url).await;
    let config = StoreConfig { url: proxy.url(&fixture.database.url), max_connections: 1 };
    let store = Store::connect(&config).await.expect("connects");
    for statement in [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'no commit'; END $$",
        "CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON volume_transfer_hand_overs
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    ] {
        fixture.sql(statement).await;
    }
    let mut asked = 0;
    // The second time, when every statement has been prepared.
    for round in ["1", "2"] {
        proxy.questions();
        let refused = store.claim_initiate(&initiate(&format!("h{round}"), "v", "x")).await;
        assert!(matches!(refused, Err(ClaimError::Db(DbError::Database(_)))), "{refused:?}");
        store.ping().await.expect("answers");
        asked = proxy.questions();
    }
    assert_eq!((asked, proxy.connections()), (4 + 2 + 1 + 1, 1));
}

/// Whatever it is in the middle of.
#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_the_answer_to_something_else() {
    let Some(fixture) = on_a_server().await else { return };
    fixture.volume("w", "x", None).await;
    let proxy = Proxy::to(&fixture.database.url).await;
    let config = StoreConfig { url: proxy.url(&fixture.database.url), max_connections: 1 };
    let store = Store::connect(&config).await.expect("connects");
    for polls in 0..40 {
        let (v, scope, before) = ("v".into(), Scope::All, proxy.connections());
        let mut reading = Box::pin(store.volume(&scope, &v));
        let mut is_read = false;
        for _ in 0..polls {
            is_read = futures::poll!(reading.as_mut()).is_ready();
            if is_read {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(reading);
        let w = store.volume(&Scope::All, &"w".into()).await.expect("read").expect("there");
        assert_eq!(w.id, "w".into(), "{polls}");
        let is_another = proxy.connections() > before;
        assert_eq!(is_another, polls > 0 && !is_read, "{polls}");
    }
}

#[tokio::test]
async fn cinder_may_add_columns_while_the_service_runs() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s", "v").await;
    fixture.offer("o", "v", "x").await;
    let config = StoreConfig { url: fixture.database.url.clone(), max_connections: 1 };
    let store = Store::connect(&config).await.expect("connects");
    let query = TransferQuery {
        scope: Scope::All,
        filters: BTreeMap::new(),
        sort: Vec::new(),
        marker: None,
        limit: None,
        offset: 0,
    };
    let look = async || {
        store.volume(&Scope::All, &"v".into()).await.expect("read").expect("there");
        assert_eq!(store.snapshots_of(&"v".into()).await.expect("read").len(), 1);
        assert_eq!(store.transfers(&query).await.expect("listed").len(), 1);
    };
    look().await;
    for table in ["volumes", "snapshots", "transfers"] {
        fixture.sql(&format!("ALTER TABLE {table} ADD COLUMN later INTEGER")).await;
    }
    look().await;
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_and_the_password_is_not_repeated() {
    let Some(fixture) = on_a_server().await else { return };
    let (scheme, rest) = fixture.database.url.split_once("://").expect("a url");
    let (_credentials, address) = rest.split_once('@').expect("credentials");
    let url = format!("{scheme}://nobody:not-a-password@{address}");
    let config = StoreConfig { url, max_connections: 1 };
    assert!(!format!("{config:?}").contains("not-a-password"));
    let error = Store::connect(&config).await.expect_err("not let in");
    assert!(error.to_string().contains("nobody"), "{error}");
    assert!(!format!("{error} {error:?}").contains("not-a-password"));
    let shown = format!("{:?}", fixture.store);
    assert!(!shown.contains("word"), "{shown}");
}

#[tokio::test]
async fn a_statement_has_a_limit_of_time() {
    let Some(fixture) = on_a_server().await else { return };
    // What the limit of the store's own session is, told by an error.
    let (statements, limit): (&[&str], _) = match fixture.database.kind {
        Kind::Sqlite => (&[], ""),
        Kind::Postgres => (
            &[
                "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     RAISE EXCEPTION 'limit %', current_setting('statement_timeout'); END $$",
                "CREATE TRIGGER told BEFORE INSERT ON volume_transfer_hand_overs
                 FOR EACH ROW EXECUTE FUNCTION tell()",
            ],
            "limit 1min",
        ),
        Kind::MySql => (
            &["CREATE TRIGGER told BEFORE INSERT ON volume_transfer_hand_overs FOR EACH ROW BEGIN
                   DECLARE words TEXT DEFAULT concat('limit ', @@max_statement_time);
                   SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = words; END"],
            "limit 60",
        ),
    };
    for statement in statements {
        fixture.sql(statement).await;
    }
    match fixture.store.claim_initiate(&initiate("h", "v", "x")).await {
        Err(ClaimError::Db(DbError::Database(words))) => assert!(words.contains(limit), "{words}"),
        Err(other) => panic!("{other}"),
        Ok(_claimed) => panic!("claimed in spite of the trigger"),
    }
}
