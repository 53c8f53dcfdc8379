//! The damage that upstream makes: how its faults and races were recorded to leave rows and secrets
//! (`cargo xtask conformance audit --record`), what an audit calls it, and what a repair leaves.
//!
//! All of it stands in one database. What is wrong with an end was told by a script that knows
//! nothing of this crate, from the same rows and secrets.

use crate::bench::{Bench, kinds};
use serde::Deserialize;
use std::collections::BTreeMap;
use transfer_audit::{Finding, Outcome};
use transfer_core::{SecretId, VolumeId};

/// What a key holds in tests of a single volume.
const BYTES: [u8; 32] = [7; 32];

const RECORDED: &str = include_str!("../../../../conformance/audit/ends.json");

/// An end, and the cases that come to it.
#[derive(Deserialize)]
struct Recorded {
    end: End,
    cases: Vec<String>,
}

/// A volume, its snapshots and its secrets, which have letters here.
#[derive(Deserialize)]
struct End {
    status: String,
    project: String,
    key: String,
    /// The project of each, and the secret that it names.
    snapshots: Vec<(String, String)>,
    offers: usize,
    /// Who has those that exist.
    secrets: BTreeMap<String, String>,
    /// A kind of finding and a secret each, sorted.
    damage: Vec<(String, Option<String>)>,
}

impl End {
    fn is_lost(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Who has to have the key.
    fn custodian(&self) -> &str {
        if self.status == "awaiting-transfer" { "service" } else { &self.project }
    }
}

/// An end that has been made again.
struct Volume {
    recorded: Recorded,
    id: VolumeId,
    bytes: [u8; 32],
    letters: BTreeMap<SecretId, String>,
}

impl Volume {
    async fn make(bench: &Bench, number: usize, recorded: Recorded) -> Self {
        let bytes = [u8::try_from(number).unwrap() + 100; 32];
        let end = &recorded.end;
        let mut ids = BTreeMap::new();
        let named = end.snapshots.iter().map(|(_project, key)| key).chain([&end.key]);
        for letter in named.chain(end.secrets.keys()) {
            if !ids.contains_key(letter) {
                let secret = match end.secrets.get(letter) {
                    Some(owner) => bench.secret(owner, bytes).await,
                    None => bench.gone("donor").await,
                };
                ids.insert(letter.clone(), secret);
            }
        }
        let snapshots = u32::try_from(end.snapshots.len()).unwrap();
        let id = bench.volume(&end.project, &ids[&end.key], snapshots).await;
        for (number, (project, key)) in end.snapshots.iter().enumerate() {
            let project = bench.project(project);
            let set = format!("project_id = '{project}', encryption_key_id = '{}'", ids[key]);
            let one = "SELECT id FROM snapshots WHERE volume_id";
            let one = format!("{one} = '{id}' ORDER BY id LIMIT 1 OFFSET {number}");
            bench.sql(&format!("UPDATE snapshots SET {set} WHERE id = ({one})")).await;
        }
        for _ in 0..end.offers {
            bench.offer(&id).await;
        }
        bench.status(&id, &end.status).await;
        let letters = ids.into_iter().map(|(letter, secret)| (secret, letter)).collect();
        Self { recorded, id, bytes, letters }
    }

    /// What was found of it, as it is recorded.
    fn found(&self, findings: &[Finding]) -> Vec<(String, Option<String>)> {
        let own = findings.iter().filter(|finding| finding.volume.as_ref() == Some(&self.id));
        let mut found: Vec<_> = own
            .map(|finding| {
                let letter = |secret| self.letters.get(secret).map_or("another", String::as_str);
                (finding.kind.to_owned(), finding.secret.as_ref().map(|s| letter(s).to_owned()))
            })
            .collect();
        found.sort();
        found
    }
}

/// Every end, each on a volume of one database.
async fn make_all(bench: &Bench) -> Vec<Volume> {
    let recorded: Vec<Recorded> = serde_json::from_str(RECORDED).unwrap();
    let mut volumes = Vec::new();
    for (number, recorded) in recorded.into_iter().enumerate() {
        volumes.push(Volume::make(bench, number, recorded).await);
    }
    volumes
}

fn is_found(volumes: &[Volume], findings: &[Finding], wrong: impl Fn(&End) -> bool) {
    let mut expected = 0;
    for volume in volumes {
        let end = &volume.recorded.end;
        let damage = if wrong(end) { end.damage.clone() } else { Vec::new() };
        expected += damage.len();
        assert_eq!(volume.found(findings), damage, "{:#?}", volume.recorded.cases);
    }
    assert_eq!(findings.len(), expected, "nothing is found of anything else: {findings:#?}");
}

#[tokio::test]
async fn all_that_upstream_damages_is_found_by_name_and_only_what_has_no_key_left_is_left() {
    let bench = Bench::new().await;
    let volumes = make_all(&bench).await;
    let (summary, findings) = bench.audit().await;
    is_found(&volumes, &findings, |_end| true);
    assert_eq!((summary.not_visible, summary.unanswered), (0, 0));

    let lost = |of: &Finding| {
        let is_it = |volume: &&Volume| Some(&volume.id) == of.volume.as_ref();
        volumes.iter().find(is_it).unwrap().recorded.end.is_lost()
    };
    for (finding, outcome) in bench.repair(findings).await {
        let is_right = match &outcome {
            Outcome::Lost(_) => lost(&finding),
            Outcome::Mended(_) => !lost(&finding),
            Outcome::WouldMend(_) | Outcome::Left(_) => false,
        };
        assert!(is_right, "{finding:#?}: {outcome:?}");
    }

    is_found(&volumes, &bench.audit().await.1, End::is_lost);
    let kept = volumes.iter().filter(|volume| !volume.recorded.end.is_lost());
    for volume in kept.clone() {
        let row = bench.store.audited_volume(&volume.id).await.unwrap().unwrap();
        let cases = &volume.recorded.cases;
        assert_eq!((row.keys().len(), &row.status), (1, &volume.recorded.end.status), "{cases:#?}");
        let bytes = bench.bytes(volume.recorded.end.custodian(), row.keys()[0]).await;
        assert_eq!(bytes, Some(volume.bytes.to_vec()), "{cases:#?}");
    }
    assert_eq!(bench.simulator.secrets().len(), kept.count(), "nothing else is left");
    assert!(bench.store.debts().await.unwrap().is_empty());
}

#[test]
fn the_recording_has_damage_of_every_class_losses_and_what_is_in_order() {
    let recorded: Vec<Recorded> = serde_json::from_str(RECORDED).unwrap();
    let mut all: Vec<_> = recorded.iter().flat_map(|of| &of.end.damage).map(|of| &of.0).collect();
    all.sort();
    all.dedup();
    let upstreams = [
        "key_gone",
        "key_not_with_service",
        "key_with_service",
        "key_with_stranger",
        "snapshot_key_differs",
        "stray_copy",
    ];
    assert_eq!(all, upstreams);
    assert!(recorded.iter().any(|of| of.end.damage.is_empty()));
    assert!(recorded.iter().any(|of| of.end.is_lost()));
    let cases = recorded.iter().flat_map(|of| &of.cases);
    for operation in ["initiate", "accept", "cancel"] {
        for fault in ["refused", "lost", "crash-before", "crash-after"] {
            let begin = format!("{operation}: {fault} at step ");
            assert!(cases.clone().any(|case| case.starts_with(&begin)), "{begin}");
        }
        let races = cases.clone().filter(|case| case.starts_with(&format!("{operation} by ")));
        assert!(races.count() > 0, "{operation}");
    }
}

#[tokio::test]
async fn a_key_that_is_gone_everywhere_is_reported_as_lost_and_left() {
    let bench = Bench::new().await;
    let gone = bench.gone("donor").await;
    let volume = bench.volume("donor", &gone, 1).await;
    let empty = bench.shell("donor", "nobody's").await;
    bench.snapshots_name(&volume, &empty).await;
    let before = bench.store.audited_volume(&volume).await.unwrap();
    let (_, findings) = bench.audit().await;
    assert_eq!(kinds(&findings), ["key_empty", "key_gone", "snapshot_key_differs"]);
    for (_finding, outcome) in bench.repair(findings.clone()).await {
        assert!(matches!(outcome, Outcome::Lost(_)), "{outcome:?}");
    }
    assert_eq!(bench.store.audited_volume(&volume).await.unwrap(), before);
    assert_eq!(kinds(&bench.audit().await.1), kinds(&findings), "and found again");
}

#[tokio::test]
async fn a_key_that_only_the_other_rows_have_comes_back_from_them() {
    for volume_has_it in [true, false] {
        let bench = Bench::new().await;
        let there = bench.secret("donor", BYTES).await;
        let gone = bench.gone("donor").await;
        let (own, other): (&SecretId, &SecretId) =
            if volume_has_it { (&there, &gone) } else { (&gone, &there) };
        let volume = bench.volume("donor", own, 2).await;
        bench.snapshots_name(&volume, other).await;
        let (_, findings) = bench.audit().await;
        assert_eq!(kinds(&findings), ["key_gone", "snapshot_key_differs"]);
        let outcomes = bench.repair(findings).await;
        assert!(outcomes.iter().all(|(_finding, outcome)| outcome.is_mended()));
        assert!(bench.audit().await.0.is_clean());
        let row = bench.store.audited_volume(&volume).await.unwrap().unwrap();
        assert_eq!(bench.bytes("donor", row.keys()[0]).await, Some(BYTES.to_vec()));
    }
}
