//! What an earlier run has asked for may still be under way when the next one begins: an offer, or
//! an accept. It is waited for where nothing else is in the way.

use bulk_transfer::{BlockStorage, Clouds, Journal, Place, Run};
use openstack_http::Password;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const BUSY: &str = "Invalid volume: Another transfer operation on volume v is in progress.";

fn reply(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// A Keystone that lets everybody in, and the block storage of one project.
async fn cloud(project: &str) -> (MockServer, BlockStorage) {
    let server = MockServer::start().await;
    let url = format!("{}/v3", server.uri());
    let domain = json!({"id": "d", "name": "D"});
    let token = json!({"token": {
        "methods": ["password"],
        "user": {"id": "u", "name": "u", "domain": domain},
        "project": {"id": project, "name": project, "domain": domain},
        "roles": [{"id": "r", "name": "member"}],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "catalog": [{"id": "c", "type": "block-storage", "name": "cinder", "endpoints": [
            {"id": "e", "interface": "public", "region": "R", "region_id": "R", "url": url},
        ]}],
    }});
    let issued = reply(201, &token).insert_header("x-subject-token", "t0ken");
    Mock::given(path("/v3/auth/tokens")).respond_with(issued).mount(&server).await;
    let folder = tempfile::tempdir().expect("a folder");
    let clouds = folder.path().join("clouds.yaml");
    let text = json!({"clouds": {project: {"auth": {
        "auth_url": url, "username": "u", "password": "p", "project_name": project,
        "user_domain_id": "d", "project_domain_id": "d",
    }}}});
    std::fs::write(&clouds, text.to_string()).expect("written");
    let settings = Clouds::read(Some(&clouds)).expect("clouds").cloud(project).expect("a cloud");
    (server, BlockStorage::connect(settings).await.expect("connects"))
}

/// The first request is refused, each later one answered.
async fn refuses_once(server: &MockServer, at: &str, answer: &Value) {
    let refusal = reply(400, &json!({"badRequest": {"code": 400, "message": BUSY}}));
    let given = || Mock::given(method("POST")).and(path_regex(at));
    given().respond_with(refusal).up_to_n_times(1).mount(server).await;
    given().respond_with(reply(202, answer)).mount(server).await;
}

async fn asked(server: &MockServer, method: &str, ending: &str) -> usize {
    let is_one = |one: &&Request| one.method.as_str() == method && one.url.path().ends_with(ending);
    server.received_requests().await.expect("recorded").iter().filter(is_one).count()
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
