//! What an operator watches: metrics and the health check, of a stack that runs.

use crate::program::Stack;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use transfer_metrics::{Kind, TABLE};
use volume_transfer::ready::Ready;
use volume_transfer::stage::{User, client};

const PAGE: &str = include_str!("../../../../docs/operations.md");

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

#[test]
fn the_page_for_operators_describes_every_metric_as_it_is_declared() {
    let expected: BTreeSet<String> = TABLE
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
            let (name, kind, labels) = (metric.name, kind(metric.kind), labels.join(", "));
            format!("| `{name}` | {kind} | {labels} | {} |", metric.help)
        })
        .collect();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `volume_transfer_"));
    let found: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert_eq!(found, expected);
}

/// The metrics of one scrape: kinds by name, and the names of labels that samples carry.
#[derive(Default)]
struct Scrape {
    kinds: BTreeMap<String, String>,
    labels: BTreeMap<String, BTreeSet<String>>,
    text: String,
}

async fn scrape(urls: &Ready) -> Scrape {
    let address = urls.metrics.expect("metrics are served");
    let text = get(&format!("http://{address}/metrics"), "*/*").await.1;
    let mut scrape = Scrape { text, ..Scrape::default() };
    for line in scrape.text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            scrape.kinds.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') && !line.is_empty() {
            let (sample, _value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let of = scrape.labels.entry(family.unwrap_or(name).to_owned()).or_default();
            let names = labels.split("\",").filter_map(|label| label.split_once('='));
            of.extend(names.map(|(name, _)| name.to_owned()).filter(|name| name != "le"));
        }
    }
    scrape
}

async fn get(url: &str, accept: &str) -> (u16, String) {
    let request = client().expect("a client").get(url).header("accept", accept);
    let reply = request.send().await.expect("a reply");
    (reply.status().as_u16(), reply.text().await.expect("text"))
}

fn stack(folder: &std::path::Path, more: &[&str]) -> (Stack, Ready) {
    let conf = folder.join("cinder.conf");
    let disabled = folder.join("disabled");
    let text = format!(
        "[volume_transfer]\nmetrics_listen = 127.0.0.1:0\n\
         [healthcheck]\ndisable_by_file_path = {}\n",
        disabled.display()
    );
    std::fs::write(&conf, text).expect("written");
    let conf = conf.to_str().expect("a path");
    Stack::start(folder, &[&["serve", "--dev", "--config-file", conf], more].concat())
}

#[tokio::test]
async fn a_run_exports_exactly_the_metrics_that_are_declared() {
    let folder = tempfile::tempdir().expect("a folder");
    let (stack, urls) = stack(folder.path(), &[]);
    let user =
        async |name, project| User::log_in(&urls, name, "secret", project).await.expect("a token");
    user("admin", "admin").await.create_encrypted_type("luks").await.expect("a type");
    let (donor, recipient) = (user("x", "donor").await, user("y", "recipient").await);
    let volume = donor.create_volume("v", Some("luks")).await.expect("a volume");
    let service = &urls.block_storage;
    let offer = donor.offer(service, &volume).await.expect("a reply");
    let id = offer.text("/transfer/id").expect("an offer");
    donor.cancel(service, &id).await.expect("a reply").expect(202).expect("cancelled");
    let offer = donor.offer(service, &volume).await.expect("a reply");
    let (id, key) = (offer.text("/transfer/id"), offer.text("/transfer/auth_key"));
    let (id, key) = (id.expect("an offer"), key.expect("its key"));
    recipient.accept(service, &id, "wrong").await.expect("a reply").expect(400).expect("refused");
    recipient.accept(service, &id, &key).await.expect("a reply").expect(202).expect("accepted");

    let paid = "volume_transfer_debt_payments_total{outcome=\"paid\"}";
    let deadline = Instant::now() + Duration::from_secs(30);
    let scraped = loop {
        let scraped = scrape(&urls).await;
        if scraped.text.contains(paid) {
            break scraped;
        }
        assert!(Instant::now() < deadline, "no debt was paid: {}", scraped.text);
        tokio::task::yield_now().await;
    };
    let declared: BTreeMap<String, String> =
        TABLE.iter().map(|m| (m.name.to_owned(), kind(m.kind).to_owned())).collect();
    assert_eq!(scraped.kinds, declared);
    for metric in TABLE {
        let labels: BTreeSet<String> = metric.labels.iter().map(|&l| l.to_owned()).collect();
        assert_eq!(scraped.labels[metric.name], labels, "{}", metric.name);
    }
    for sample in [
        "volume_transfer_operations_total{operation=\"initiate\",outcome=\"done\"} 2",
        "volume_transfer_operations_total{operation=\"cancel\",outcome=\"done\"} 1",
        "volume_transfer_operations_total{operation=\"accept\",outcome=\"rejected\"} 1",
        "volume_transfer_operations_total{operation=\"accept\",outcome=\"done\"} 1",
        "volume_transfer_phase_duration_seconds_count{phase=\"fill\",outcome=\"done\"} 4",
        "volume_transfer_database_up 1",
        "volume_transfer_open_offers 0",
        "volume_transfer_expired_offers 0",
    ] {
        assert!(scraped.text.lines().any(|line| line == sample), "{sample}: {}", scraped.text);
    }
    for id in [volume.as_str(), id.as_str(), donor.project.as_str()] {
        assert!(!scraped.text.contains(id), "an id is a label");
    }
    stack.stop();
}

#[tokio::test]
async fn the_health_check_names_what_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, urls) = stack(folder.path(), &[]);
    let url = format!("{}/healthcheck", urls.block_storage);
    assert_eq!(get(&url, "*/*").await, (200, "OK".to_owned()));
    let disabled = folder.path().join("disabled");
    std::fs::write(&disabled, "").expect("written");
    assert_eq!(get(&url, "*/*").await, (503, "service: DISABLED BY FILE".to_owned()));
    std::fs::remove_file(&disabled).expect("removed");
    assert_eq!(get(&url, "*/*").await.0, 200);
    running.stop();

    let (running, urls) = stack(folder.path(), &["--fault", "barbican GET / standing status=503"]);
    let url = format!("{}/healthcheck", urls.block_storage);
    assert_eq!(get(&url, "*/*").await, (503, "barbican: FAILS".to_owned()));
    let (status, text) = get(&url, "application/json").await;
    assert_eq!(status, 503);
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let expected = serde_json::json!([
        {"class": "database", "reason": "OK"},
        {"class": "keystone", "reason": "OK"},
        {"class": "barbican", "reason": "FAILS"},
    ]);
    assert_eq!(document["reasons"], expected);
    running.stop();
}
