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
async fn a_volume_made_from_another_has_a_copy_of_its_key() {
    let cloud = Cloud::new().await;
    let luks = cloud.encrypted_type().await;
    let (x, y) = (cloud.token("x", "donor").await, cloud.token("y", "recipient").await);
    let volume = cloud.volume(&x, Some("luks")).await;
    let plain = cloud.volume(&x, None).await;
    let body = json!({"snapshot": {"name": "s", "volume_id": volume["id"]}}).to_string();
    let snapshot = cloud.ask(&x, "POST", "/v3/snapshots", &body).await.body["snapshot"].clone();
    for (field, source) in [("snapshot_id", &snapshot["id"]), ("source_volid", &volume["id"])] {
        let ask = async |token: &str, more: serde_json::Value| {
            let mut body = json!({"volume": {field: source}});
            body["volume"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            cloud.ask(token, "POST", "/v3/volumes", &body.to_string()).await
        };
        let made = ask(&x, json!({"size": 2})).await;
        assert_eq!(made.status, 202, "{field}: {}", made.body);
        let made = &made.body["volume"];
        assert_eq!((&made[field], &made["size"]), (source, &json!(2)), "{field}");
        assert_eq!(made["volume_type"], "luks");
        let key = made["encryption_key_id"].as_str().unwrap();
        assert_ne!(key, volume["encryption_key_id"], "{field}");
        let print = |id: &str| {
            let secrets = cloud.simulator.secrets();
            secrets.into_iter().find(|secret| secret.id == id).unwrap().fingerprint
        };
        assert_eq!(print(key), print(volume["encryption_key_id"].as_str().unwrap()), "{field}");
        assert_eq!(ask(&x, json!({})).await.body["volume"]["size"], 1, "{field}: as its source");
        assert_eq!(ask(&y, json!({})).await.status, 404, "{field}: a stranger's");
        let other = ask(&x, json!({"volume_type": plain["volume_type"]})).await;
        let message = other.body["badRequest"]["message"].as_str().unwrap();
        assert!(message.contains("requested type is not compatible"), "{field}: {message}");
        assert_eq!(ask(&x, json!({"volume_type": luks})).await.status, 202, "{field}");
    }
    let body = json!({"volume": {"source_volid": "6f3e3b4e-55a8-4b0b-8f0f-1d52a6d1c1aa"}});
    assert_eq!(cloud.ask(&x, "POST", "/v3/volumes", &body.to_string()).await.status, 404);
}

#[tokio::test]
async fn a_volume_smaller_than_its_source_or_of_one_in_error_is_refused() {
    let cloud = Cloud::new().await;
    let (x, admin) = (cloud.token("x", "donor").await, cloud.token("admin", "admin").await);
    let body = json!({"volume": {"size": 2}}).to_string();
    let volume = cloud.ask(&x, "POST", "/v3/volumes", &body).await.body["volume"]["id"].clone();
    let path = format!("/v3/volumes/{}/action", volume.as_str().unwrap());
    let error = json!({"os-reset_status": {"status": "error"}}).to_string();
    for words in ["cannot be smaller than original volume size  2GB", "must be one of 'available"] {
        let body = json!({"volume": {"size": 1, "source_volid": volume}}).to_string();
        let refused = cloud.ask(&x, "POST", "/v3/volumes", &body).await;
        let message = refused.body["badRequest"]["message"].as_str().unwrap();
        assert!(refused.status == 400 && message.contains(words), "{message}");
        assert_eq!(cloud.ask(&admin, "POST", &path, &error).await.status, 202);
    }
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
