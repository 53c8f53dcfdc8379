//! Volumes and snapshots with their keys: what is made, who may, and what faults do to it.

use serde_json::json;
use simulator::Service;
use simulator::faults::{Action, Rule};

use crate::cloud::Cloud;

#[tokio::test]
async fn an_encrypted_volume_has_a_key_of_its_owner_and_takes_it_along() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    let x = cloud.token("x", "donor").await;
    let volume = cloud.volume(&x, Some("luks")).await;
    assert_eq!(volume["status"], "available");
    assert_eq!(volume["encrypted"], true);
    let key = volume["encryption_key_id"].as_str().unwrap();
    let secrets = cloud.simulator.secrets();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0].id, key);
    assert_eq!(Some(secrets[0].project.clone()), cloud.simulator.project_id("donor"));
    assert_eq!((secrets[0].algorithm.as_deref(), secrets[0].bit_length), (Some("aes"), Some(256)));

    let id = volume["id"].as_str().unwrap();
    let body = json!({"snapshot": {"name": "s", "volume_id": id}}).to_string();
    let snapshot = cloud.ask(&x, "POST", "/v3/snapshots", &body).await;
    assert_eq!(snapshot.status, 202, "{}", snapshot.body);
    let world = cloud.simulator.world(&cloud.store).await.unwrap();
    assert_eq!(world.volumes[0].snapshots[0].key, world.volumes[0].row.key);

    let path = format!("/v3/volumes/{id}");
    let kept = cloud.ask(&x, "DELETE", &path, "").await;
    assert_eq!(kept.status, 400, "a volume with snapshots stays");
    let snapshot = snapshot.body["snapshot"]["id"].as_str().unwrap();
    let path_of_snapshot = format!("/v3/snapshots/{snapshot}");
    assert_eq!(cloud.ask(&x, "DELETE", &path_of_snapshot, "").await.status, 202);
    assert_eq!(cloud.ask(&x, "DELETE", &path, "").await.status, 202);
    assert_eq!(cloud.ask(&x, "GET", &path, "").await.status, 404);
    assert_eq!(cloud.simulator.secrets(), []);
}

#[tokio::test]
async fn a_volume_on_offer_cannot_be_deleted() {
    let cloud = Cloud::new().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let volume = cloud.volume(&x, None).await;
    let path = format!("/v3/volumes/{}", volume["id"].as_str().unwrap());
    let reset = json!({"os-reset_status": {"status": "awaiting-transfer"}}).to_string();
    let action = format!("{path}/action");
    assert_eq!(cloud.ask(&x, "POST", &action, &reset).await.status, 403);
    assert_eq!(cloud.ask(&admin, "POST", &action, &reset).await.status, 202);
    let refused = cloud.ask(&x, "DELETE", &path, "").await;
    assert_eq!(refused.status, 400);
    let message = refused.body["badRequest"]["message"].as_str().unwrap();
    assert!(message.contains("awaiting a transfer"), "{message}");
}

#[tokio::test]
async fn a_user_who_may_not_store_keys_gets_no_encrypted_volume() {
    let cloud = Cloud::new().await;
    cloud.encrypted_type().await;
    assert!(cloud.simulator.set_roles("x", "donor", &["reader"]).unwrap());
    let x = cloud.token("x", "donor").await;
    let body = json!({"volume": {"size": 1, "volume_type": "luks"}}).to_string();
    let refused = cloud.ask(&x, "POST", "/v3/volumes", &body).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(cloud.simulator.secrets(), []);
}

#[tokio::test]
async fn faults_reach_the_block_storage_too() {
    let cloud = Cloud::new().await;
    let x = cloud.token("x", "donor").await;
    let faults = cloud.simulator.faults();
    let fail = Action::Answer { status: 503, retry_after: None };
    faults.add(Rule::on(Service::BlockStorage, fail).template("/v3/volumes"));
    faults.add(Rule::on(Service::BlockStorage, Action::DropAfter).method("POST"));
    let reply = cloud.ask(&x, "GET", "/v3/volumes", "").await;
    assert_eq!((reply.status, &reply.body["serviceUnavailable"]["code"]), (503, &json!(503)));
    let body = json!({"volume": {"size": 1}}).to_string();
    assert!(cloud.attempt(&x, "POST", "/v3/volumes", &body).await.is_err());
    let world = cloud.simulator.world(&cloud.store).await.unwrap();
    assert_eq!(world.volumes.len(), 1, "the effect took place, the reply was lost");
}
