//! What a repair insists on before it changes anything, and what it leaves alone.

use crate::bench::{Bench, kinds};
use simulator::Service;
use simulator::faults::{Action, Rule};
use transfer_audit::{Finding, Outcome};
use transfer_core::{Authority, Debt, Garbage, SecretId, VolumeId};
use transfer_engine::{Caller, Offer};

const BYTES: [u8; 32] = [7; 32];

/// A volume of the donor, not on offer, whose key is with the service.
async fn half_cancelled() -> (Bench, VolumeId, SecretId) {
    let bench = Bench::new().await;
    let key = bench.secret("service", BYTES).await;
    let volume = bench.volume("donor", &key, 1).await;
    (bench, volume, key)
}

/// What becomes of the findings of a kind, with these credentials.
async fn mend(bench: &Bench, kind: &str, projects: &[&str], apply: bool) -> Outcome {
    let (_, mut findings) = bench.audit().await;
    findings.retain(|finding: &Finding| finding.kind == kind);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let mut repairs = bench.repairs_by(projects).await;
    let outcome = repairs.mend(&findings[0], apply).await;
    assert!(repairs.finish().await);
    outcome
}

async fn is_left(bench: &Bench, kind: &str, projects: &[&str], words: &str) {
    let before = (bench.store.audited_volumes(None, 100).await.unwrap(), bench.simulator.secrets());
    let outcome = mend(bench, kind, projects, true).await;
    assert!(matches!(&outcome, Outcome::Left(why) if why.contains(words)), "{outcome:?}");
    let after = (bench.store.audited_volumes(None, 100).await.unwrap(), bench.simulator.secrets());
    assert_eq!(before.0, after.0);
    assert_eq!(before.1.len(), after.1.len());
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_do_and_changes_nothing() {
    let (bench, volume, key) = half_cancelled().await;
    let before = bench.store.audited_volume(&volume).await.unwrap();
    let outcome = mend(&bench, "key_with_service", &["donor"], false).await;
    let words = format!("copy secret {key} from the service to project");
    assert!(matches!(&outcome, Outcome::WouldMend(what) if what.contains(&words)), "{outcome:?}");
    assert_eq!(bench.store.audited_volume(&volume).await.unwrap(), before);
    assert_eq!(bench.simulator.secrets().len(), 1);
    assert!(bench.store.claims().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_goes_to_a_project_with_its_own_credentials_alone() {
    let (bench, _volume, _key) = half_cancelled().await;
    is_left(&bench, "key_with_service", &["recipient"], "needs credentials of project").await;
    assert!(mend(&bench, "key_with_service", &["donor"], true).await.is_mended());
    assert!(bench.audit().await.0.is_clean());
}

#[tokio::test]
async fn a_volume_that_somebody_uses_is_left_alone() {
    let (bench, volume, _key) = half_cancelled().await;
    bench.status(&volume, "in-use").await;
    is_left(&bench, "key_with_service", &["donor"], "the volume is in-use").await;
}

#[tokio::test]
async fn of_two_different_keys_nobody_can_tell_which_is_true() {
    let (bench, volume, _key) = half_cancelled().await;
    let other = bench.secret("donor", [8; 32]).await;
    bench.snapshots_name(&volume, &other).await;
    is_left(&bench, "key_with_service", &["donor"], "hold different keys").await;
}

#[tokio::test]
async fn a_secret_that_nobody_here_can_read_may_be_another_key() {
    let (bench, volume, _key) = half_cancelled().await;
    let hidden = bench.secret("third", BYTES).await;
    bench.snapshots_name(&volume, &hidden).await;
    is_left(&bench, "key_with_service", &["donor"], "needs credentials of the project that").await;
}

#[tokio::test]
async fn a_restore_that_is_refused_leaves_the_rows_as_they_were_and_can_be_said_again() {
    let (bench, _volume, _key) = half_cancelled().await;
    for (method, template) in [("POST", "/v1/secrets"), ("PUT", "/v1/secrets/{id}")] {
        let no = Action::Answer { status: 403, retry_after: None };
        let rule = Rule::on(Service::Barbican, no).method(method).template(template);
        bench.simulator.faults().add(rule);
        is_left(&bench, "key_with_service", &["donor"], "403").await;
        bench.simulator.faults().clear();
    }
    assert!(mend(&bench, "key_with_service", &["donor"], true).await.is_mended());
    assert!(bench.audit().await.0.is_clean());
}

#[tokio::test]
async fn a_stray_copy_is_kept_while_the_volumes_own_key_is_not_in_order() {
    let (bench, _volume, _key) = half_cancelled().await;
    bench.secret("donor", BYTES).await;
    let all = &["donor", "recipient"];
    is_left(&bench, "stray_copy", all, "the volume's own key comes first").await;
}

#[tokio::test]
async fn a_key_of_which_no_volume_is_known_is_never_deleted() {
    let bench = Bench::new().await;
    bench.secret("service", BYTES).await;
    is_left(&bench, "stray_key", &["donor"], "by hand").await;
}

#[tokio::test]
async fn a_backups_own_copy_of_a_key_is_no_stray() {
    let bench = Bench::new().await;
    let key = bench.secret("donor", BYTES).await;
    let volume = bench.volume("donor", &key, 0).await;
    let copy = bench.secret("donor", BYTES).await;
    bench
        .sql(&format!(
            "INSERT INTO backups (id, volume_id, deleted, encryption_key_id) \
             VALUES ('b', '{volume}', FALSE, '{copy}')"
        ))
        .await;
    assert_eq!(kinds(&bench.audit().await.1), [""; 0]);
}

#[tokio::test]
async fn a_key_that_a_backup_shares_with_its_volume_outlives_the_hand_over_of_the_volume() {
    let bench = Bench::new().await;
    let key = bench.secret("donor", BYTES).await;
    let volume = bench.volume("donor", &key, 0).await;
    // Cinder gives a backup a copy of its own, and has not always done so.
    bench
        .sql(&format!(
            "INSERT INTO backups (id, volume_id, deleted, encryption_key_id) \
             VALUES ('b', '{volume}', FALSE, '{key}')"
        ))
        .await;
    let engine = bench.engine();
    let caller = Caller {
        project: bench.project("donor"),
        user: "x".into(),
        is_admin: false,
        token: bench.session("donor").token().await.unwrap().token.clone(),
    };
    let offer = Offer { volume, name: None, no_snapshots: false, encrypted_allowed: true };
    engine.initiate(caller, offer).await.unwrap();
    assert!(engine.shut_down(std::time::Duration::from_secs(10)).await);
    assert_eq!(bench.bytes("donor", &key).await, Some(BYTES.to_vec()), "the backup can be read");
    let (_, findings) = bench.audit().await;
    assert_eq!(kinds(&findings), ["debt_unpaid"]);
    assert!(findings[0].what.contains("still named by a volume, a snapshot, a backup"));
    is_left(&bench, "debt_unpaid", &["donor"], "stays on record as a debt").await;
    // Cinder deletes the key with the backup, or leaves it to us: nothing names it any more.
    bench.sql("UPDATE backups SET deleted = TRUE").await;
    assert!(mend_all(&bench, "debt_unpaid").await.is_mended());
    assert_eq!(bench.bytes("donor", &key).await, None);
}

#[tokio::test]
async fn a_restore_that_is_taken_over_changes_nothing_and_can_be_said_again() {
    let (bench, volume, key) = half_cancelled().await;
    let held = Rule::on(Service::Barbican, Action::HoldBefore).method("PUT");
    let held = bench.simulator.faults().add(held.template("/v1/secrets/{id}"));
    let meets = async {
        held.reached().await;
        bench.sql("UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 1").await;
        assert_eq!(kinds(&bench.audit().await.1), ["claim_expired", "key_with_service"]);
        assert_eq!(bench.engine().recover().await.unwrap().taken_over, 1);
        held.release();
    };
    let all = async { tokio::join!(mend_all(&bench, "key_with_service"), meets) };
    let (outcome, ()) =
        tokio::time::timeout(std::time::Duration::from_secs(60), all).await.unwrap();
    assert!(matches!(&outcome, Outcome::Left(_)), "{outcome:?}");
    let row = bench.store.audited_volume(&volume).await.unwrap().unwrap();
    assert_eq!(row.keys(), [&key]);
    assert!(mend_all(&bench, "key_with_service").await.is_mended());
    bench.repair(bench.audit().await.1).await;
    assert!(bench.audit().await.0.is_clean());
    assert_eq!(bench.simulator.secrets().len(), 1, "no shell is left");
}

async fn mend_all(bench: &Bench, kind: &str) -> Outcome {
    mend(bench, kind, &["donor", "recipient"], true).await
}

#[tokio::test]
async fn an_abandoned_hand_over_is_ended_on_demand() {
    let bench = Bench::new().await;
    let key = bench.secret("donor", BYTES).await;
    let volume = bench.volume("donor", &key, 0).await;
    bench.claim(&volume, std::time::Duration::ZERO).await;
    assert!(mend_all(&bench, "claim_expired").await.is_mended());
    let row = bench.store.audited_volume(&volume).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.claim), ("available", None));
    bench.repair(bench.audit().await.1).await;
    assert!(bench.audit().await.0.is_clean());
}

#[tokio::test]
async fn a_debt_is_paid_with_the_credentials_of_its_project_alone() {
    let bench = Bench::new().await;
    let garbage = bench.secret("recipient", BYTES).await;
    let authority = Authority::Project(bench.project("recipient"));
    let debt = Debt { hand_over: "h".into(), authority, garbage: Garbage::Secret(garbage) };
    bench.store.owe(&[debt]).await.unwrap();
    is_left(&bench, "debt_unpaid", &["donor"], "needs credentials of project").await;
    assert!(mend_all(&bench, "debt_unpaid").await.is_mended());
    assert_eq!(bench.simulator.secrets().len(), 0);
    assert!(bench.audit().await.0.is_clean());
}

#[tokio::test]
async fn an_expired_offer_is_taken_back_with_the_credentials_of_its_project_alone() {
    let bench = Bench::new().await;
    let key = bench.secret("service", BYTES).await;
    let volume = bench.volume("donor", &key, 1).await;
    bench.offer(&volume).await;
    bench.sql("UPDATE transfers SET expires_at = '2026-01-01 00:00:01.000000'").await;
    is_left(&bench, "offer_expired", &["recipient"], "needs credentials of project").await;
    assert!(mend_all(&bench, "offer_expired").await.is_mended());
    let row = bench.store.audited_volume(&volume).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.offers.len()), ("available", 0));
    assert!(bench.audit().await.0.is_clean());
    assert_eq!(bench.simulator.secrets().len(), 1, "the donor's copy alone");
}

#[tokio::test]
async fn an_empty_shell_is_swept_by_its_name_and_nothing_that_is_filled() {
    let bench = Bench::new().await;
    let shell = bench.shell("donor", "volume-transfer-of-yesterday").await;
    let filled = bench.secret("donor", BYTES).await;
    let outcome = mend(&bench, "stray_shell", &["donor"], true).await;
    assert!(outcome.is_mended(), "{outcome:?}");
    let left: Vec<_> = bench.simulator.secrets().into_iter().map(|secret| secret.id).collect();
    assert_eq!(left, [filled.as_str()], "not {shell}");
    assert!(bench.store.debts().await.unwrap().is_empty());
}
