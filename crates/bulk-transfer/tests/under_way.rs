//! What an earlier run has asked for may still be under way when the next one begins: an offer, or
//! an accept. It is waited for where nothing else is in the way.

#[path = "stub/cloud.rs"]
mod stub;

use bulk_transfer::{Journal, Place, Run};
use openstack_http::Password;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use stub::{asked, cloud, reply};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const BUSY: &str = "Invalid volume: Another transfer operation on volume v is in progress.";

/// The first request is refused, each later one answered.
async fn refuses_once(server: &MockServer, at: &str, answer: &Value) {
    let refusal = reply(400, &json!({"badRequest": {"code": 400, "message": BUSY}}));
    let given = || Mock::given(method("POST")).and(path_regex(at));
    given().respond_with(refusal).up_to_n_times(1).mount(server).await;
    given().respond_with(reply(202, answer)).mount(server).await;
}

/// How far a volume is, whether an earlier run has brought it there, and its status; how often it
/// is offered and accepted then, and whether it arrives.
type Case = (fn() -> Place, bool, &'static str, (usize, usize), bool);

#[tokio::test]
async fn what_an_earlier_run_has_asked_for_is_waited_for() {
    let planned = || Place::Planned;
    let offered =
        || Place::Offered { transfer: "t".into(), auth_key: Password::new("0123456789abcdef") };
    let cases: [Case; 5] = [
        (planned, true, "available", (2, 2), true),
        (planned, true, "in-use", (1, 0), false),
        (planned, false, "available", (1, 0), false),
        (offered, true, "awaiting-transfer", (0, 2), true),
        (offered, false, "awaiting-transfer", (0, 1), false),
    ];
    for (place, is_resumed, status, (offers, accepts), arrives) in cases {
        let case = format!("{status}, resumed {is_resumed}");
        let ((donors, donor), (recipients, recipient)) = (cloud("x").await, cloud("y").await);
        let volume = json!({"volume": {"id": "v", "name": "n", "status": status, "size": 1,
            "metadata": {}, "volume_type": null, "encrypted": true}});
        let found = Mock::given(method("GET")).and(path_regex("/volumes/v$"));
        found.respond_with(reply(200, &volume)).mount(&donors).await;
        let made = json!({"transfer": {"id": "t", "auth_key": "0123456789abcdef"}});
        refuses_once(&donors, "/volume-transfers$", &made).await;
        refuses_once(&recipients, "/volume-transfers/t/accept$", &json!({"transfer": {}})).await;
        Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(202)).mount(&donors).await;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal");
        let mut journal = Journal::open(&file, "x", "y").unwrap();
        journal.plan("--all", [("v".into(), None)]).unwrap();
        journal.record(&"v".into(), place()).unwrap();
        if is_resumed {
            drop(journal);
            journal = Journal::open(&file, "x", "y").unwrap();
        }
        let (jobs, stop) = (NonZeroUsize::MIN, CancellationToken::new());
        let run = Run { donor: &donor, recipient: &recipient, journal: &journal, jobs, stop };
        let summary = run.go(&|_event| ()).await;
        assert_eq!(summary.is_complete(), arrives, "{case}: {summary:?}");
        let told = summary.failed.iter().all(|failed| failed.reason == BUSY);
        assert!(told && summary.stopped.is_none(), "{case}: {summary:?}");
        let times = (
            asked(&donors, "POST", "/volume-transfers").await,
            asked(&recipients, "POST", "/accept").await,
        );
        assert_eq!(times, (offers, accepts), "{case}");
        let taken_back = asked(&donors, "DELETE", "/volume-transfers/t").await;
        assert_eq!(taken_back, usize::from(accepts == 1), "{case}");
    }
}
