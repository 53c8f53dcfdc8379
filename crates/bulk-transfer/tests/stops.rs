//! What stops a run: whose service has said what, what stays open for the next run, and what is
//! told while a service does not answer.

#[path = "stub/cloud.rs"]
mod stub;

use bulk_transfer::{BlockStorage, Journal, Outage, Place, Run, SETTLING, Stopped, Summary};
use serde_json::json;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use stub::{asked, cloud, reply};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

const VOLUMES: [&str; 3] = ["a", "b", "c"];

/// Donor and recipient, of which any request can be refused.
struct Ground {
    donors: MockServer,
    recipients: MockServer,
    donor: BlockStorage,
    recipient: BlockStorage,
    told: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let ((donors, donor), (recipients, recipient)) = (cloud("x").await, cloud("y").await);
        for id in VOLUMES {
            let volume = json!({"volume": {"id": id, "status": "available", "size": 1}});
            let at = path_regex(format!("/volumes/{id}$"));
            let found = Mock::given(method("GET")).and(at).respond_with(reply(200, &volume));
            found.mount(&donors).await;
            // Each volume's offer is called after it.
            let made = json!({"transfer": {"id": id, "auth_key": "0123456789abcdef"}});
            let is_its = wiremock::matchers::body_partial_json(json!({
                "transfer": {"volume_id": id},
            }));
            let offered = Mock::given(method("POST")).and(path_regex("/volume-transfers$"));
            offered.and(is_its).respond_with(reply(202, &made)).mount(&donors).await;
        }
        Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(202)).mount(&donors).await;
        let accepted = Mock::given(method("POST")).and(path_regex("/accept$"));
        accepted.respond_with(reply(202, &json!({"transfer": {}}))).mount(&recipients).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let listen = |side: BlockStorage| {
            let told = Arc::clone(&told);
            side.telling(move |outage| {
                let text = match outage {
                    Outage::Begun { cloud, said, .. } => format!("{cloud}: {said}"),
                    Outage::Over { cloud } => format!("{cloud} again"),
                };
                told.lock().expect("whole").push(text);
            })
        };
        let (donor, recipient) = (listen(donor), listen(recipient));
        let folder = tempfile::tempdir().expect("a folder");
        Self { donors, recipients, donor, recipient, told, folder }
    }

    /// From now on, so often.
    async fn refuse(&self, at: &str, status: u16, times: u64) {
        let server = if at.contains("accept") { &self.recipients } else { &self.donors };
        let said = reply(status, &json!({"error": {"message": "words"}}));
        let said = said.insert_header("retry-after", "0");
        let refused = Mock::given(method("POST")).and(path_regex(at)).respond_with(said);
        refused.up_to_n_times(times).with_priority(1).mount(server).await;
    }

    fn open(&self) -> Journal {
        let (donor, recipient) = (self.donor.party(), self.recipient.party());
        Journal::open(&self.folder.path().join("journal"), donor, recipient).expect("a journal")
    }

    /// Moves what is left, and says how far the volumes are then.
    async fn run(&self) -> (Summary, String) {
        let journal = self.open();
        journal.plan("--all", VOLUMES.map(|id| (id.into(), None))).expect("planned");
        let summary = Run {
            donor: &self.donor,
            recipient: &self.recipient,
            journal: &journal,
            jobs: NonZeroUsize::MIN,
            settling: SETTLING,
            stop: CancellationToken::new(),
        }
        .go(&|_event| ())
        .await;
        let letter = |(_, place): (_, Place)| match place {
            Place::Planned => 'p',
            Place::Refused => 'r',
            Place::Offered { .. } => 'o',
            Place::Arrived => 'a',
            Place::Failed { .. } => 'f',
        };
        (summary, journal.places().into_iter().map(letter).collect())
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("whole"))
    }
}

/// A refusal of the first volume's offer or accept, why the run stops, and how far the volumes are.
type Case = (&'static str, u16, fn(String) -> Stopped, &'static str, &'static str);

#[tokio::test]
async fn what_stops_a_run_says_whose_it_is_and_the_same_command_goes_on() {
    let (offer, accept) = ("/volume-transfers$", "/accept$");
    let silent = "the service does not answer: answered with status 503: words";
    let whose = |at| match at == offer {
        true => "donor \"x\", project x",
        false => "recipient \"y\", project y",
    };
    let cases: [Case; 5] = [
        (offer, 403, Stopped::Systemic, "refused with status 403: words", "rpp"),
        (accept, 403, Stopped::Systemic, "refused with status 403: words", "rpp"),
        (accept, 413, Stopped::Systemic, "refused with status 413: words", "ppp"),
        (offer, 503, Stopped::Outage, silent, "ppp"),
        (accept, 503, Stopped::Outage, silent, "opp"),
    ];
    for (at, status, kind, words, left) in cases {
        let case = format!("{at} {status}");
        let ground = Ground::new().await;
        let tries = if status == 503 { 9 } else { 1 };
        ground.refuse(at, status, tries).await;
        let (summary, places) = ground.run().await;
        assert_eq!(places, left, "{case}: {summary:?}");
        assert_eq!((summary.failed.len(), summary.left), (0, 3), "{case}");
        assert_eq!(summary.stopped, Some(kind(format!("{}: {words}", whose(at)))), "{case}");
        let (summary, places) = ground.run().await;
        assert!(summary.is_complete(), "{case}: {summary:?}");
        assert_eq!(places, "aaa", "{case}");
    }
}

/// A 403 that is one volume's own would otherwise stop each run before the same volume.
#[tokio::test]
async fn what_was_refused_is_tried_again_after_the_others() {
    let ground = Ground::new().await;
    ground.refuse("/volume-transfers/a/accept$", 403, 2).await;
    let ways = [("rpp", 0), ("raa", 2), ("aaa", 1)];
    for (number, (expected, arrived)) in ways.into_iter().enumerate() {
        let (summary, places) = ground.run().await;
        assert_eq!((places.as_str(), summary.arrived), (expected, arrived), "run {number}");
        assert_eq!(summary.stopped.is_some(), number < 2, "{summary:?}");
    }
    assert_eq!(asked(&ground.donors, "DELETE", "/volume-transfers/a").await, 2);
}

#[tokio::test]
async fn an_outage_is_told_when_it_begins_and_when_it_is_over() {
    let (begun, over) = ("answered with status 503: words", "again");
    for (at, cloud, tries, is_over) in [
        ("/volume-transfers$", "x", 2, true),
        ("/accept$", "y", 2, true),
        ("/accept$", "y", 8, true),
        ("/accept$", "y", 9, false),
    ] {
        let ground = Ground::new().await;
        ground.refuse(at, 503, tries).await;
        let (summary, _) = ground.run().await;
        assert_eq!(summary.is_complete(), is_over, "{at}: {summary:?}");
        let mut expected = vec![format!("{cloud}: {begun}")];
        expected.extend(is_over.then(|| format!("{cloud} {over}")));
        assert_eq!(ground.told(), expected, "{at}, {tries} times");
    }
}

#[tokio::test]
async fn an_outage_is_told_while_nothing_is_moved_yet() {
    let ground = Ground::new().await;
    let lists = Mock::given(method("GET")).and(path_regex("/volumes/detail$"));
    let no_answer = ResponseTemplate::new(503).insert_header("retry-after", "0");
    let no_answer = lists.respond_with(no_answer).up_to_n_times(1);
    no_answer.with_priority(1).mount(&ground.donors).await;
    let lists = Mock::given(method("GET")).and(path_regex("/volumes/detail$"));
    lists.respond_with(reply(200, &json!({"volumes": []}))).mount(&ground.donors).await;
    assert_eq!(ground.donor.volumes().await.unwrap(), []);
    assert_eq!(ground.told(), ["x: answered with status 503: service unavailable", "x again"]);
}
