//! The simulator replies as the real Keystone and Barbican were recorded to.
//!
//! The requests are `conformance/peers/cases`, the replies `conformance/peers/recorded`, and the
//! differences that stay are those of `FIDELITY.md`. `cargo xtask conformance peers` makes sure of
//! the recordings themselves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use peer_replay::{CaseFile, Endpoints, Known, Policy, Recording, Session, Verdict};
use simulator::faults::{Action, Rule};
use simulator::server::Running;
use simulator::{BarbicanPolicy, Config, Service, Simulator};

const PASSWORD: &str = "correct horse";
/// How many of a hundred requests have to agree.
const ENOUGH: usize = 98;

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/peers")
}

fn cases() -> Vec<CaseFile> {
    CaseFile::read_all(&peers().join("cases")).unwrap()
}

fn known() -> Vec<Known> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("FIDELITY.md");
    Known::read_all(&std::fs::read_to_string(page).unwrap()).unwrap()
}

/// A cloud under the policy that the file is for.
fn simulator(file: &CaseFile) -> Simulator {
    let mut config = Config::new(PASSWORD);
    config.barbican_policy = match file.policy {
        Policy::New => BarbicanPolicy::New,
        Policy::Legacy => BarbicanPolicy::Legacy,
    };
    Simulator::new(config).unwrap()
}

/// Sends every request to a simulator that fails as the rule says, and compares.
async fn verdict(files: &[CaseFile], rule: Option<Rule>) -> Verdict {
    let mut verdict = Verdict::default();
    for file in files {
        let simulator = simulator(file);
        if let Some(rule) = rule.clone() {
            simulator.faults().add(rule);
        }
        let running = Running::on_loopback(&simulator).await.unwrap();
        let urls = running.urls();
        let endpoints = Endpoints {
            keystone: urls.identity.clone(),
            barbican: urls.key_manager.clone(),
            password: PASSWORD.to_owned(),
            block_storage: None,
        };
        let mut session = Session::open(endpoints).await.unwrap();
        let recorded = peers().join("recorded").join(format!("{}.json", file.name));
        let recorded = Recording::read(&recorded).unwrap();
        verdict.add(file, &recorded, &session.replay(file).await.unwrap());
        running.stop().await;
    }
    verdict.under(&known(), ENOUGH)
}

#[tokio::test]
async fn the_simulator_replies_as_the_real_services_were_recorded_to() {
    let verdict = verdict(&cases(), None).await;
    for file in &verdict.files {
        println!("{file}");
    }
    println!("{}", verdict.total());
    assert!(verdict.problems.is_empty(), "\n{}", verdict.problems.join("\n"));
}

#[tokio::test]
async fn one_reply_that_is_not_as_recorded_is_told() {
    let files: Vec<_> =
        cases().into_iter().filter(|file| file.name == "keystone-discovery").collect();
    let told = "not known: keystone-discovery / version documents / version 3, for a user: \
                status: real 200, ours 503";
    let before = verdict(&files, None).await;
    assert!(!before.problems.iter().any(|problem| problem == told));
    let broken = Action::Answer { status: 503, retry_after: None };
    let rule = Rule::on(Service::Keystone, broken).template("/v3").method("GET").user("x");
    let after = verdict(&files, Some(rule)).await;
    assert!(after.problems.iter().any(|problem| problem == told), "{:?}", after.problems);
}

#[test]
fn there_is_a_recording_for_every_file_of_cases_and_no_other() {
    let directory = std::fs::read_dir(peers().join("recorded")).unwrap();
    let recorded = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let recorded: BTreeSet<_> = recorded.collect();
    let cases = cases().iter().map(|file| format!("{}.json", file.name)).collect();
    assert_eq!(recorded, cases);
}
