//! How many statements each step of an operation takes, and which: on a server, each is a round
//! trip, with one more to begin a transaction and one to commit it.

use crate::fixture::{Fixture, LEASE, accept, cancel, copied, initiate};
use crate::listener::Listener;
use cinder_db::{Ended, SettledEnd, Store};
use std::fmt::Write as _;
use test_database::Kind;
use transfer_core::{HandOver, Settlement};

/// PostgreSQL alone: a place in the line of those who are going to change a project's usages.
const LINE: &str = "SELECT";

/// What an operation on an encrypted volume with a snapshot asks the database, step by step.
const STEPS: [(&str, &[&str]); 12] = [
    (
        "initiate, claim",
        &[
            "SELECT volumes",
            "SELECT volumes snapshots volume_transfer_hand_overs",
            "UPDATE volumes",
            "INSERT volume_transfer_hand_overs",
        ],
    ),
    ("initiate, shell", &["UPDATE volume_transfer_hand_overs"]),
    (
        "initiate, commit",
        &[
            "SELECT volumes",
            "SELECT volume_transfer_hand_overs",
            "SELECT snapshots",
            "UPDATE volumes",
            "UPDATE snapshots",
            "INSERT transfers",
            "UPDATE volume_transfer_hand_overs",
            "INSERT volume_transfer_debts",
        ],
    ),
    (
        "initiate, debts",
        &[
            "SELECT volume_transfer_hand_overs volumes snapshots backups",
            "DELETE volume_transfer_debts",
            "DELETE volume_transfer_hand_overs",
        ],
    ),
    (
        "accept, claim",
        &[
            "SELECT volumes transfers",
            "SELECT transfers",
            "SELECT volumes snapshots volume_transfer_hand_overs",
            "SELECT volume_types volume_type_projects",
            "SELECT quotas quota_classes",
            LINE,
            "SELECT quota_usages",
            "UPDATE quota_usages",
            "INSERT reservations",
            "INSERT volume_transfer_hand_overs",
        ],
    ),
    ("accept, shell", &["UPDATE volume_transfer_hand_overs"]),
    (
        "accept, commit",
        &[
            "SELECT volumes",
            "SELECT volume_transfer_hand_overs",
            "SELECT snapshots",
            "UPDATE volumes",
            "UPDATE snapshots",
            "UPDATE transfers",
            "UPDATE volume_transfer_hand_overs",
            "INSERT volume_transfer_debts",
            "SELECT reservations",
            LINE,
            "SELECT quota_usages",
            "UPDATE quota_usages",
            "UPDATE reservations",
        ],
    ),
    (
        "accept, debts",
        &[
            "SELECT volume_transfer_hand_overs volumes snapshots backups",
            "DELETE volume_transfer_debts",
            "DELETE volume_transfer_hand_overs",
        ],
    ),
    (
        "cancel, claim",
        &[
            "SELECT volumes transfers",
            "SELECT transfers volumes",
            "SELECT volumes snapshots volume_transfer_hand_overs",
            "INSERT volume_transfer_hand_overs",
        ],
    ),
    ("cancel, shell", &["UPDATE volume_transfer_hand_overs"]),
    (
        "cancel, commit",
        &[
            "SELECT volumes",
            "SELECT volume_transfer_hand_overs",
            "SELECT snapshots",
            "UPDATE volumes",
            "UPDATE snapshots",
            "UPDATE transfers",
            "UPDATE volume_transfer_hand_overs",
            "INSERT volume_transfer_debts",
        ],
    ),
    (
        "cancel, debts",
        &[
            "SELECT volume_transfer_hand_overs volumes snapshots backups",
            "DELETE volume_transfer_debts",
            "DELETE volume_transfer_hand_overs",
        ],
    ),
];

fn expected_on(kind: Kind, texts: &[&'static str]) -> Vec<&'static str> {
    texts.iter().copied().filter(|text| kind == Kind::Postgres || *text != LINE).collect()
}

/// A statement's verb, and the tables that it names.
fn told(sql: &str) -> String {
    // PostgreSQL's clock.
    let sql = sql.replace("EPOCH FROM", "EPOCH");
    let mut words = sql.split([' ', '(', ')']).filter(|word| !word.is_empty());
    let mut told = words.next().unwrap_or_default().to_owned();
    // What an insert does on a conflict is an update, too, but of no other table.
    let mut before = told.clone();
    for word in words {
        let leads = ["FROM", "INTO", "JOIN"].contains(&before.as_str());
        if leads || before == "UPDATE" && told == "UPDATE" {
            let _ = write!(told, " {}", word.trim_matches(['"', '`']));
        }
        word.clone_into(&mut before);
    }
    told
}

struct Telling {
    listener: std::sync::Arc<Listener>,
    steps: Vec<(String, Vec<String>)>,
}

impl Telling {
    fn step(&mut self, name: &str) {
        let heard = self.listener.heard().iter().map(|sql| told(sql)).collect();
        self.steps.push((name.to_owned(), heard));
    }

    /// From a claim to the payment of what is left.
    async fn rest(&mut self, operation: &str, store: &Store, claimed: HandOver) {
        self.step(&format!("{operation}, claim"));
        let saved = store.save(claimed, LEASE).await.expect("saved").into_inner();
        self.step(&format!("{operation}, shell"));
        let Ended { hand_over, debts } = store.commit(copied(saved)).await.expect("committed");
        self.step(&format!("{operation}, commit"));
        store.is_named(&"k".into()).await.expect("answers");
        let paid = debts.iter().map(|debt| ((**debt).clone(), Settlement::Paid)).collect();
        let end = SettledEnd { hand_over: hand_over.id().clone(), debts: paid };
        store.settle_ends(&[end]).await.expect("settled");
        self.step(&format!("{operation}, debts"));
    }
}

/// The same on every database, but for that line: what else one of them needs, the others are
/// asked, too.
#[tokio::test]
async fn a_step_takes_these_statements_and_no_more() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s", "v").await;
    // The usages of both projects are there, as in any cloud that has run for a day.
    fixture.volume("other", "y", None).await;
    fixture.snapshot("another", "other").await;
    let (listener, store) = Listener::on(&fixture.store);
    let mut telling = Telling { listener, steps: Vec::new() };
    let offer = initiate("i", "v", "x");
    let offered = store.claim_initiate(&offer).await.expect("claimed");
    telling.rest("initiate", &store, offered.hand_over.into_inner()).await;
    let taken = accept("a", &offer.transfer_id, &offered.auth_key, "y");
    let accepted = store.claim_accept(&taken).await.expect("claimed");
    telling.rest("accept", &store, accepted.into_inner()).await;
    let (transfer, _key) = fixture.offer("o", "v", "y").await;
    telling.listener.heard();
    let cancelled = store.claim_cancel(&cancel("c", &transfer, "y")).await.expect("claimed");
    telling.rest("cancel", &store, cancelled.into_inner()).await;
    assert_eq!(telling.steps.len(), STEPS.len());
    for ((step, heard), (expected_step, expected)) in telling.steps.iter().zip(STEPS) {
        assert_eq!(step, expected_step);
        assert_eq!(*heard, expected_on(fixture.database.kind, expected), "{step}");
    }
}
