//! What an earlier run has asked for may still be under way when the next one begins: an offer, or
//! an accept. It is waited for where nothing else is in the way.

#[path = "stub/cloud.rs"]
mod stub;

use bulk_transfer::{BlockStorage, Journal, Place, Run};
use openstack_http::Password;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::time::Duration;
use stub::{asked, cloud, reply};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const BUSY: &str = "Invalid volume: Another transfer operation on volume v is in progress.";

/// So many requests are refused, each later one answered.
async fn refuses(server: &MockServer, at: &str, times: u64, answer: &Value) {
    let refusal = reply(400, &json!({"badRequest": {"code": 400, "message": BUSY}}));
    let given = || Mock::given(method("POST")).and(path_regex(at));
    if times > 0 {
        given().respond_with(refusal).up_to_n_times(times).mount(server).await;
    }
    given().respond_with(reply(202, answer)).mount(server).await;
}

/// A volume, its offer and its accept, which are refused so often, and a journal that is resumed.
struct Ground {
    donors: MockServer,
    recipients: MockServer,
    donor: BlockStorage,
    recipient: BlockStorage,
    folder: tempfile::TempDir,
}

impl Ground {
    async fn new(status: &str, times: u64) -> Self {
        let ((donors, donor), (recipients, recipient)) = (cloud("x").await, cloud("y").await);
        let volume = json!({"volume": {"id": "v", "name": "n", "status": status, "size": 1,
            "metadata": {}, "volume_type": null, "encrypted": true}});
        let found = Mock::given(method("GET")).and(path_regex("/volumes/v$"));
        found.respond_with(reply(200, &volume)).mount(&donors).await;
        let made = json!({"transfer": {"id": "t", "auth_key": "0123456789abcdef"}});
        refuses(&donors, "/volume-transfers$", times, &made).await;
        let accepted = json!({"transfer": {}});
        refuses(&recipients, "/volume-transfers/t/accept$", times, &accepted).await;
        let folder = tempfile::tempdir().expect("it is whole");
        Self { donors, recipients, donor, recipient, folder }
    }

    fn journal(&self, place: Place, is_resumed: bool) -> Journal {
        let path = self.folder.path().join("journal");
        let parties = (self.donor.party(), self.recipient.party());
        let open = || Journal::open(&path, parties.0, parties.1).expect("it is whole");
        let journal = open();
        journal.plan("--all", [("v".into(), None)]).expect("it is whole");
        journal.record(&"v".into(), place).expect("it is whole");
        if !is_resumed {
            return journal;
        }
        drop(journal);
        open()
    }

    fn run<'a>(&'a self, journal: &'a Journal) -> Run<'a> {
        let (donor, recipient) = (&self.donor, &self.recipient);
        let (jobs, settling) = (NonZeroUsize::MIN, Duration::from_millis(1));
        Run { donor, recipient, journal, jobs, settling, stop: CancellationToken::new() }
    }
}

fn planned() -> Place {
    Place::Planned
}

fn offered() -> Place {
    Place::Offered { transfer: "t".into(), auth_key: Password::new("0123456789abcdef") }
}

/// How far a volume is, whether an earlier run has brought it there, and its status; how often it
/// is offered and accepted then, and whether it arrives.
type Case = (fn() -> Place, bool, &'static str, (usize, usize), bool);

#[tokio::test]
async fn what_an_earlier_run_has_asked_for_is_waited_for() {
    let cases: [Case; 5] = [
        (planned, true, "available", (2, 2), true),
        (planned, true, "in-use", (1, 0), false),
        (planned, false, "available", (1, 0), false),
        (offered, true, "awaiting-transfer", (0, 2), true),
        (offered, false, "awaiting-transfer", (0, 2), true),
    ];
    for (place, is_resumed, status, (offers, accepts), arrives) in cases {
        let case = format!("{status}, resumed {is_resumed}");
        let ground = Ground::new(status, 1).await;
        let journal = ground.journal(place(), is_resumed);
        let summary = ground.run(&journal).go(&|_event| ()).await;
        assert_eq!(summary.is_complete(), arrives, "{case}: {summary:?}");
        // It has not failed: nobody can tell before it is over.
        let told = summary.under_way.iter().all(|busy| busy.reason == BUSY);
        assert!(told && summary.failed.is_empty() && summary.stopped.is_none(), "{summary:?}");
        assert_eq!(summary.under_way.len(), usize::from(!arrives), "{case}: {summary:?}");
        let times = (
            asked(&ground.donors, "POST", "/volume-transfers").await,
            asked(&ground.recipients, "POST", "/accept").await,
        );
        assert_eq!(times, (offers, accepts), "{case}");
        assert_eq!(asked(&ground.donors, "DELETE", "/volume-transfers/t").await, 0, "{case}");
    }
}

/// A run's accepts may take longer than the run that has asked for them, and than the next one.
#[tokio::test]
async fn what_is_under_way_for_longer_is_left_to_the_next_run_with_its_auth_key() {
    let ground = Ground::new("awaiting-transfer", 1000).await;
    let journal = ground.journal(offered(), true);
    let summary = ground.run(&journal).go(&|_event| ()).await;
    assert_eq!((summary.left, summary.on_offer, summary.failed.len()), (1, 1, 0), "{summary:?}");
    assert_eq!(summary.under_way[0].reason, BUSY);
    let places = journal.places();
    assert!(matches!(places[..], [(_, Place::Offered { .. })]), "{places:?}");
    assert_eq!(asked(&ground.donors, "DELETE", "/volume-transfers/t").await, 0);
}

#[tokio::test]
async fn an_offer_is_taken_back_once_what_is_under_way_is_over() {
    let ground = Ground::new("available", 0).await;
    let refusal = reply(400, &json!({"badRequest": {"code": 400, "message": BUSY}}));
    let delete = || Mock::given(method("DELETE")).and(path_regex("/volume-transfers/t$"));
    delete().respond_with(refusal).up_to_n_times(2).mount(&ground.donors).await;
    delete().respond_with(ResponseTemplate::new(202)).mount(&ground.donors).await;
    let journal = ground.journal(offered(), true);
    let offer = json!({"id": "t", "volume_id": "v", "name": journal.offer_name()});
    let offers = Mock::given(method("GET")).and(path_regex("/volume-transfers/detail$"));
    let offers = offers.respond_with(reply(200, &json!({"transfers": [offer]})));
    offers.mount(&ground.donors).await;
    let taken = ground.run(&journal).take_back().await.unwrap();
    assert!(taken.is_complete() && taken.taken_back == 1, "{taken:?}");
    assert_eq!(asked(&ground.donors, "DELETE", "/volume-transfers/t").await, 3);
}
