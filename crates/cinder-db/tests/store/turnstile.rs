//! The seam before transactions: what its holder decides happens, and nothing is held meanwhile.

use crate::fixture::{Fixture, LEASE, copied, initiate};
use async_trait::async_trait;
use cinder_db::{DbError, EndError, Passage, SettledEnd, Store, Turnstile};
use futures::FutureExt as _;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Lets through as it is told, and writes down what passes.
#[derive(Debug)]
struct Keeper {
    passage: Mutex<Passage>,
    entries: Semaphore,
    replies: Semaphore,
    seen: Mutex<Vec<String>>,
}

impl Keeper {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            passage: Mutex::new(Passage::Free),
            entries: Semaphore::new(Semaphore::MAX_PERMITS),
            replies: Semaphore::new(Semaphore::MAX_PERMITS),
            seen: Mutex::default(),
        })
    }

    fn says(&self, passage: Passage) {
        *self.passage.lock().expect("whole") = passage;
    }

    fn sees(&self, what: impl Into<String>) {
        self.seen.lock().expect("whole").push(what.into());
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().expect("whole"))
    }
}

#[async_trait]
impl Turnstile for Keeper {
    async fn enter(&self) -> Passage {
        self.sees("enter");
        self.entries.acquire().await.expect("open").forget();
        *self.passage.lock().expect("whole")
    }

    fn begins(&self) {
        self.sees("begins");
    }

    fn statement(&self, sql: &str) {
        self.sees(sql.split(' ').next().unwrap_or_default());
    }

    fn over(&self, committed: bool) {
        self.sees(if committed { "committed" } else { "rolled back" });
    }

    async fn leave(&self) {
        self.sees("leave");
        self.replies.acquire().await.expect("open").forget();
    }
}

async fn watched() -> (Fixture, Arc<Keeper>, Store) {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let keeper = Keeper::new();
    let store = fixture.store.with_turnstile(Arc::<Keeper>::clone(&keeper));
    (fixture, keeper, store)
}

#[tokio::test]
async fn every_transaction_is_seen_and_those_that_write_are_asked() {
    let (_fixture, keeper, store) = watched().await;
    store
        .settle_ends(&[SettledEnd { hand_over: "nothing".into(), debts: vec![] }])
        .await
        .expect("deletes nothing");
    assert_eq!(keeper.seen(), ["enter", "begins", "DELETE", "committed", "leave"]);
    store.ping().await.expect("reads");
    assert_eq!(keeper.seen(), ["begins", "SELECT", "rolled back"]);
}

#[tokio::test]
async fn what_the_turnstile_decides_comes_to_pass() {
    for (passage, error, happens) in [
        (Passage::Free, None, true),
        (Passage::NoBegin, Some("the transaction did not begin"), false),
        (Passage::NoCommit, Some("the commit failed"), false),
        (Passage::ReplyLost, Some("the commit's reply was lost"), true),
    ] {
        let (fixture, keeper, store) = watched().await;
        let claimed = store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
        let copied = copied(claimed.hand_over.into_inner());
        keeper.says(passage);
        let told = store.commit(copied).await;
        match (told, error) {
            (Ok(_ended), None) => {}
            (Err(EndError::Db(DbError::Database(words))), Some(error)) => {
                assert_eq!((words.as_str(), passage), (error, Passage::NoBegin));
            }
            (Err(EndError::Unknown(DbError::Database(words))), Some(error)) => {
                assert_eq!(words, error);
                assert_ne!(passage, Passage::NoBegin, "nothing is unknown before the commit");
            }
            (told, error) => panic!("{passage:?}: {told:?}, expected {error:?}"),
        }
        let key = if happens { "k+" } else { "k" };
        let found = fixture.value("SELECT encryption_key_id FROM volumes").await;
        assert_eq!(found, key, "{passage:?}");
        let ended = store.ended(&"h".into()).await.expect("answers");
        assert_eq!(ended.is_some(), happens, "{passage:?}");
    }
}

#[tokio::test]
async fn whoever_is_held_holds_up_nobody_else() {
    let (fixture, keeper, store) = watched().await;
    let claimed = fixture.store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
    let state = claimed.hand_over.into_inner();
    // More of them than there are connections: some before their beginning, some before the reply.
    for held in ["enter", "leave"] {
        let gate = if held == "enter" { &keeper.entries } else { &keeper.replies };
        let open = gate.forget_permits(Semaphore::MAX_PERMITS);
        let mut waiting: Vec<_> =
            (0..6).map(|_| Box::pin(store.save(state.clone(), LEASE))).collect();
        let count = || keeper.seen.lock().unwrap().iter().filter(|seen| *seen == held).count();
        while count() < waiting.len() {
            for one in &mut waiting {
                assert!(one.as_mut().now_or_never().is_none(), "held at {held}");
            }
            tokio::task::yield_now().await;
        }
        fixture.store.save(state.clone(), LEASE).await.expect("nobody is in the way");
        gate.add_permits(open);
        for one in waiting {
            one.await.expect("saved in the end");
        }
        keeper.seen();
    }
}
