//! The damage that upstream makes, class by class: what its faults and races leave in the rows and
//! in Barbican, what an audit must call it, and that a repair sets it right.

use crate::bench::{Bench, kinds};
use transfer_audit::Outcome;
use transfer_core::{SecretId, VolumeId};

const BYTES: [u8; 32] = [7; 32];

/// What upstream leaves.
struct Case {
    /// The step at which something happens, and what.
    source: &'static str,
    owner: &'static str,
    is_on_offer: bool,
    /// Who has the secret that the volume names.
    key: &'static str,
    /// Who has the secret that the snapshots name, if it is another one.
    snapshots: Option<&'static str>,
    /// Who has copies that nothing names.
    strays: &'static [&'static str],
    found: &'static [&'static str],
}

const fn case(source: &'static str, owner: &'static str, key: &'static str) -> Case {
    Case { source, owner, is_on_offer: false, key, snapshots: None, strays: &[], found: &[] }
}

impl Case {
    const fn on_offer(self) -> Self {
        Self { is_on_offer: true, ..self }
    }

    const fn snapshots(self, with: &'static str) -> Self {
        Self { snapshots: Some(with), ..self }
    }

    const fn strays(self, with: &'static [&'static str]) -> Self {
        Self { strays: with, ..self }
    }

    const fn finds(self, found: &'static [&'static str]) -> Self {
        Self { found, ..self }
    }
}

const NOT_WITH: &str = "key_not_with_service";
const WITH: &str = "key_with_service";
const STRANGER: &str = "key_with_stranger";
const DIFFERS: &str = "snapshot_key_differs";
const STRAY: &str = "stray_copy";

const CASES: &[Case] = &[
    case("create: killed after transfer_create", "donor", "donor").on_offer().finds(&[NOT_WITH]),
    case("create: killed after POST /v1/secrets", "donor", "donor")
        .on_offer()
        .strays(&["service"])
        .finds(&[NOT_WITH, STRAY]),
    case("create: reply of POST /v1/secrets lost", "donor", "donor")
        .strays(&["service"])
        .finds(&[STRAY]),
    case("create: killed after volume_update", "donor", "service")
        .on_offer()
        .snapshots("donor")
        .finds(&[NOT_WITH, DIFFERS]),
    case("create: killed after volume_update, then cancelled", "donor", "donor")
        .strays(&["donor"])
        .finds(&[STRAY]),
    case("create: reply of volume_update lost", "donor", "service")
        .snapshots("donor")
        .finds(&[WITH, DIFFERS]),
    case("create: killed after the last snapshot_update", "donor", "service")
        .on_offer()
        .strays(&["donor"])
        .finds(&[STRAY]),
    case("create: DELETE /v1/secrets/{id} fails", "donor", "service")
        .strays(&["donor"])
        .finds(&[WITH, STRAY]),
    case("create: reply of DELETE /v1/secrets/{id} lost", "donor", "service").finds(&[WITH]),
    case("accept: killed after POST /v1/secrets", "donor", "service")
        .on_offer()
        .strays(&["recipient"])
        .finds(&[STRAY]),
    case("accept: killed after POST /v1/secrets, then accepted", "recipient", "recipient")
        .strays(&["recipient"])
        .finds(&[STRAY]),
    case("accept: killed after volume_update", "donor", "recipient")
        .on_offer()
        .snapshots("service")
        .finds(&[NOT_WITH, DIFFERS]),
    case("accept: killed after the last snapshot_update", "donor", "recipient")
        .on_offer()
        .strays(&["service"])
        .finds(&[NOT_WITH, STRAY]),
    case("accept: killed before transfer_accept", "donor", "recipient")
        .on_offer()
        .finds(&[NOT_WITH]),
    case("accept: reply of transfer_accept lost", "recipient", "service").finds(&[WITH]),
    case("cancel: killed after POST /v1/secrets", "donor", "service")
        .on_offer()
        .strays(&["donor"])
        .finds(&[STRAY]),
    case("cancel: killed after volume_update", "donor", "donor")
        .on_offer()
        .snapshots("service")
        .finds(&[NOT_WITH, DIFFERS]),
    case("cancel: killed after the last snapshot_update", "donor", "donor")
        .on_offer()
        .strays(&["service"])
        .finds(&[NOT_WITH, STRAY]),
    case("race of two accepts of a project", "recipient", "recipient")
        .snapshots("recipient")
        .finds(&[DIFFERS]),
    case("race of accepts: the loser's snapshots", "recipient", "recipient")
        .snapshots("third")
        .finds(&[STRANGER, DIFFERS]),
    case("race of accepts: the loser's key", "third", "recipient")
        .strays(&["third"])
        .finds(&[STRANGER, STRAY]),
    case("race of accepts: the loser's volume key", "recipient", "third")
        .snapshots("recipient")
        .finds(&[STRANGER, DIFFERS]),
    case("race of accept and cancel: the snapshots", "donor", "donor")
        .snapshots("recipient")
        .finds(&[STRANGER, DIFFERS]),
    case("race of accept and cancel: the key", "donor", "recipient")
        .strays(&["donor"])
        .finds(&[STRANGER, STRAY]),
    case("race of accept and cancel: the key, accepted", "recipient", "donor")
        .strays(&["recipient"])
        .finds(&[STRANGER, STRAY]),
    case("race of two cancels", "donor", "donor").snapshots("donor").finds(&[DIFFERS]),
    case("race of two accepts, aborted late", "recipient", "service")
        .strays(&["recipient"])
        .finds(&[WITH, STRAY]),
    case("cancel by an administrator of another project", "donor", "admin").finds(&[STRANGER]),
];

async fn damaged(bench: &Bench, case: &Case) -> VolumeId {
    let key = bench.secret(case.key, BYTES).await;
    let volume = bench.volume(case.owner, &key, 2).await;
    if let Some(with) = case.snapshots {
        bench.snapshots_name(&volume, &bench.secret(with, BYTES).await).await;
    }
    for with in case.strays {
        bench.secret(with, BYTES).await;
    }
    if case.is_on_offer {
        bench.offer(&volume).await;
    }
    volume
}

#[tokio::test]
async fn all_that_upstream_damages_is_found_by_name_and_mended() {
    for case in CASES {
        let bench = Bench::new().await;
        let volume = damaged(&bench, case).await;
        let (summary, findings) = bench.audit().await;
        let mut expected = case.found.to_vec();
        expected.sort_unstable();
        assert_eq!(kinds(&findings), expected, "{}: {findings:#?}", case.source);
        assert!(findings.iter().all(|finding| finding.volume.as_ref() == Some(&volume)));
        assert_eq!((summary.not_visible, summary.unanswered), (0, 0), "{}", case.source);
        for outcome in bench.repair(findings).await {
            assert!(outcome.is_mended(), "{}: {outcome:?}", case.source);
        }
        let (summary, findings) = bench.audit().await;
        assert!(summary.is_clean(), "{}: {findings:#?}", case.source);
        let row = bench.store.audited_volume(&volume).await.unwrap().unwrap();
        assert_eq!(row.keys().len(), 1, "{}", case.source);
        let custodian = if case.is_on_offer { "service" } else { case.owner };
        assert_eq!(bench.bytes(custodian, row.keys()[0]).await, Some(BYTES.to_vec()));
        let left: Vec<_> = bench.simulator.secrets();
        assert_eq!(left.len(), 1, "{}: nothing else is left", case.source);
        assert!(bench.store.debts().await.unwrap().is_empty(), "{}", case.source);
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
    for outcome in bench.repair(findings.clone()).await {
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
        assert!(bench.repair(findings).await.iter().all(Outcome::is_mended));
        assert!(bench.audit().await.0.is_clean());
        let row = bench.store.audited_volume(&volume).await.unwrap().unwrap();
        assert_eq!(bench.bytes("donor", row.keys()[0]).await, Some(BYTES.to_vec()));
    }
}
