//! A fresh database, shorthands for what most tests do with it, and raw SQL beside the store for
//! states that only somebody else could have made.

use cinder_db::{
    AcceptClaim, AuthKey, Caller, CancelClaim, InitiateClaim, NewSnapshot, NewVolume, QuotaLimits,
    Scope, Store, StoreConfig,
};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use test_database::Database;
use transfer_core::{Event, HandOver, SecretId, TransferId};

pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) database: Database,
}

/// What is said on this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens until what this gives is dropped.
    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// How many lines have these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        let said = String::from_utf8(self.0.lock().expect("whole").clone()).expect("text");
        said.lines().filter(|line| line.contains(words)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A user of the project of the same name.
pub(crate) fn caller(name: &str) -> Caller {
    let is_admin = name.starts_with("admin");
    Caller { project: name.into(), user: format!("user-{name}").as_str().into(), is_admin }
}

pub(crate) fn new_volume(id: &str, project: &str, key: Option<&str>) -> NewVolume {
    NewVolume {
        id: id.into(),
        project: project.into(),
        user: format!("user-{project}").as_str().into(),
        size_gb: 2,
        status: "available".to_owned(),
        name: Some(format!("volume {id}")),
        description: None,
        volume_type: None,
        key: key.map(SecretId::new),
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: None,
        metadata: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn new_snapshot(id: &str, volume: &str) -> NewSnapshot {
    NewSnapshot {
        id: id.into(),
        volume: volume.into(),
        user: "user-x".into(),
        status: "available".to_owned(),
        name: None,
        description: None,
        force: false,
    }
}

/// Offers `volume` as transfer `t-<id>`.
pub(crate) fn initiate(id: &str, volume: &str, by: &str) -> InitiateClaim {
    InitiateClaim {
        hand_over_id: id.into(),
        transfer_id: format!("t-{id}").as_str().into(),
        volume: volume.into(),
        caller: caller(by),
        name: Some("an offer".to_owned()),
        no_snapshots: false,
        encrypted_allowed: true,
        expire_after: None,
        lengths: cinder_db::Lengths::default(),
        lease: LEASE,
    }
}

pub(crate) fn accept(id: &str, transfer: &TransferId, key: &AuthKey, by: &str) -> AcceptClaim {
    AcceptClaim {
        hand_over_id: id.into(),
        transfer: transfer.clone(),
        auth_key: key.clone(),
        caller: caller(by),
        limits: QuotaLimits::default(),
        lease: LEASE,
    }
}

pub(crate) fn cancel(id: &str, transfer: &TransferId, by: &str) -> CancelClaim {
    CancelClaim {
        hand_over_id: id.into(),
        transfer: transfer.clone(),
        caller: caller(by),
        lease: LEASE,
    }
}

/// Does all the copies: key `k` arrives as `k+`.
pub(crate) fn copied(mut hand_over: HandOver) -> HandOver {
    for key in hand_over.keys().to_vec() {
        let shell = SecretId::new(format!("{}+", key.old));
        hand_over.apply(Event::ShellCreated { old: key.old.clone(), shell }).expect("shell");
        hand_over.apply(Event::Filled { old: key.old }).expect("filled");
    }
    hand_over
}

/// Stops trying.
pub(crate) fn given_up(mut hand_over: HandOver) -> HandOver {
    hand_over.apply(Event::GaveUp).expect("gave up");
    hand_over
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = Database::create().await;
        let config = StoreConfig { url: database.url.clone(), max_connections: 4 };
        let store = Store::connect(&config).await.expect("connects");
        store.create_cinder_tables().await.expect("cinder's tables");
        store.migrate().await.expect("our tables");
        Self { store, database }
    }

    /// A handle of another process, as far as the store can tell.
    pub(crate) async fn another_store(&self) -> Store {
        let config = StoreConfig { url: self.database.url.clone(), max_connections: 2 };
        Store::connect(&config).await.expect("connects")
    }

    pub(crate) async fn volume(&self, id: &str, project: &str, key: Option<&str>) {
        let new = new_volume(id, project, key);
        self.store.create_volume(&new, &QuotaLimits::default()).await.expect("volume");
    }

    pub(crate) async fn snapshot(&self, id: &str, volume: &str) {
        let limits = QuotaLimits::default();
        let new = new_snapshot(id, volume);
        self.store.create_snapshot(&Scope::All, &new, &limits).await.expect("snapshot");
    }

    /// A committed offer of a volume by its project.
    pub(crate) async fn offer(&self, id: &str, volume: &str, by: &str) -> (TransferId, AuthKey) {
        let claim = initiate(id, volume, by);
        let offered = self.store.claim_initiate(&claim).await.expect("claimed");
        self.store.commit(copied(offered.hand_over.into_inner())).await.expect("committed");
        (claim.transfer_id, offered.auth_key)
    }

    pub(crate) async fn sql(&self, statement: &str) {
        self.database.sql(statement).await;
    }

    /// Every row that a query finds, as `column=value` texts.
    pub(crate) async fn rows(&self, query: &str) -> Vec<String> {
        self.database.rows(query).await
    }

    /// The only value of a query's only row.
    pub(crate) async fn value(&self, query: &str) -> String {
        let rows = self.rows(query).await;
        assert_eq!(rows.len(), 1, "{query}");
        rows[0].split_once('=').map(|(_, value)| value.to_owned()).expect("one column")
    }

    /// All that a hand-over may touch, except the times at which rows were touched.
    pub(crate) async fn rows_of_cinder(&self) -> Vec<String> {
        let mut all = Vec::new();
        for query in [
            "SELECT id, status, user_id, project_id, encryption_key_id, deleted FROM volumes
             ORDER BY id",
            "SELECT id, status, user_id, project_id, encryption_key_id, deleted FROM snapshots
             ORDER BY id",
            "SELECT * FROM transfers ORDER BY id",
            "SELECT project_id, resource, in_use, reserved FROM quota_usages
             WHERE in_use <> 0 OR reserved <> 0 ORDER BY id",
            "SELECT resource, delta FROM reservations WHERE NOT deleted ORDER BY id",
        ] {
            all.extend(self.rows(query).await);
        }
        all
    }

    /// [`Fixture::rows_of_cinder`], the journal and the debts.
    pub(crate) async fn everything(&self) -> Vec<String> {
        let mut all = self.rows_of_cinder().await;
        for query in [
            "SELECT id, claimed_volume_id, version, state, details, lease_expires_at_ms
             FROM volume_transfer_hand_overs ORDER BY id",
            "SELECT id, attempts FROM volume_transfer_debts ORDER BY id",
        ] {
            all.extend(self.rows(query).await);
        }
        all
    }
}
