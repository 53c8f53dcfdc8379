//! Offers made, taken, and taken back, as callers see them.

use crate::stack::{Stack, volume_id};
use cinder_db::{NewSnapshot, Scope};
use serde_json::{Value, json};
use transfer_core::SecretId;
use transfer_core::invariants::OfferFate;

/// Statuses and owner of the only volume, and the fate of the last offer.
async fn state(stack: &Stack) -> (String, String, OfferFate) {
    let (rows, _secrets) = stack.everything().await;
    let volume = &rows.volumes[0];
    let fate = rows.offers.last().unwrap().fate.clone();
    (volume.status.clone(), volume.row.project.to_string(), fate)
}

#[tokio::test]
async fn an_encrypted_volume_goes_to_whoever_shows_the_auth_key() {
    for project_in_path in [false, true] {
        let stack = Stack::new().await;
        let volume = stack.encrypted_volume(&volume_id(1)).await;
        let (donor, recipient) = (stack.project("donor"), stack.project("recipient"));
        let path = |project: &str| {
            let project = if project_in_path { format!("/{project}") } else { String::new() };
            format!("/v3{project}/volume-transfers")
        };
        let token = stack.token("x", "donor").await;
        let body = json!({"transfer": {"volume_id": volume.as_str(), "name": " gift "}});
        let ask = stack.ask("POST", &path(donor.as_str())).version("3.71").token(&token);
        let created = ask.json(&body).send().await;
        assert_eq!(created.status, 202, "{created:?}");
        let transfer = created.json()["transfer"].clone();
        let id = transfer["id"].as_str().unwrap();
        let auth_key = transfer["auth_key"].as_str().unwrap().to_owned();
        assert_eq!(auth_key.len(), 16);
        let link = if project_in_path { format!("/{donor}") } else { String::new() };
        let expected = json!({
            "id": id,
            "volume_id": volume.as_str(),
            "name": "gift",
            "created_at": transfer["created_at"],
            "auth_key": auth_key,
            "links": [
                {
                    "rel": "self",
                    "href": format!("http://volume.test/v3{link}/os-volume-transfer/{id}"),
                },
                {
                    "rel": "bookmark",
                    "href": format!("http://volume.test{link}/os-volume-transfer/{id}"),
                },
            ],
            "no_snapshots": false,
            "source_project_id": donor.as_str(),
            "destination_project_id": null,
            "accepted": false,
        });
        assert_eq!(transfer, expected);
        assert_eq!(transfer["created_at"].as_str().unwrap().len(), 26);
        assert_eq!(state(&stack).await.0, "awaiting-transfer");

        let shown = stack.ask("GET", &format!("{}/{id}", path(donor.as_str())));
        let shown = shown.version("3.71").token(&token).send().await.json()["transfer"].clone();
        let mut without_key = transfer.clone();
        without_key.as_object_mut().unwrap().remove("auth_key");
        assert_eq!(shown, without_key);

        let token = stack.token("y", "recipient").await;
        let ask = stack.ask("POST", &format!("{}/{id}/accept", path(recipient.as_str())));
        let body = json!({"accept": {"auth_key": auth_key}});
        let accepted = ask.version("3.0").token(&token).json(&body).send().await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let accepted = accepted.json()["transfer"].clone();
        let fields: Vec<&String> = accepted.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "links", "name", "volume_id"]);
        assert_eq!(accepted["name"], "gift");
        let fate = OfferFate::Accepted(recipient.clone());
        assert_eq!(state(&stack).await, ("available".into(), recipient.to_string(), fate));

        stack.come_to_rest().await;
        let secrets = stack.simulator.secrets();
        assert_eq!(secrets.len(), 1, "{secrets:?}");
        assert_eq!(secrets[0].project, recipient.as_str());
    }
}

#[tokio::test]
async fn an_offer_taken_back_leaves_the_volume_with_its_project() {
    let stack = Stack::new().await;
    let volume = stack.encrypted_volume(&volume_id(1)).await;
    let (id, _auth_key) = stack.offer(&volume).await;
    let token = stack.token("x", "donor").await;
    let path = format!("/v3/os-volume-transfer/{id}");
    let deleted = stack.ask("DELETE", &path).version("3.71").token(&token).send().await;
    assert_eq!((deleted.status, deleted.text.as_str()), (202, ""));
    assert_eq!(deleted.header("openstack-api-version"), Some("volume 3.71"));
    let again = stack.ask("DELETE", &path).token(&token).send().await;
    assert_eq!(again.fault("itemNotFound"), format!("Transfer {id} could not be found."));
    let donor = stack.project("donor").to_string();
    assert_eq!(state(&stack).await, ("available".into(), donor, OfferFate::Cancelled));
}

#[tokio::test]
async fn an_integer_can_be_an_auth_key() {
    // An auth key is drawn at random and seldom has digits only, so this one does not fit; that it
    // is judged at all shows that it was read as text.
    let stack = Stack::new().await;
    let (id, _auth_key) = stack.offer(&stack.volume(&volume_id(1)).await).await;
    let token = stack.token("y", "recipient").await;
    let ask = stack.ask("POST", &format!("/v3/volume-transfers/{id}/accept")).token(&token);
    let reply = ask.json(&json!({"accept": {"auth_key": 1_234_567_890_123_456_u64}})).send().await;
    assert_eq!(
        reply.fault("badRequest"),
        format!("Invalid auth key: Attempt to transfer {id} with invalid auth key.")
    );
}

#[tokio::test]
async fn what_stands_in_the_way_of_an_offer_is_said_in_cinders_words() {
    let stack = Stack::new().await;
    let plain = stack.volume(&volume_id(1)).await;
    let encrypted = stack.encrypted_volume(&volume_id(2)).await;
    let fixed_key = SecretId::new(transfer_core::FIXED_KEY_ID);
    let fixed = stack.volume_with(&volume_id(3), Some(fixed_key)).await;
    let snapshot = NewSnapshot {
        id: "s".into(),
        volume: plain.clone(),
        user: "x".into(),
        status: "creating".to_owned(),
        name: None,
        description: None,
        force: false,
    };
    let limits = cinder_db::QuotaLimits { gigabytes: -1, ..cinder_db::QuotaLimits::default() };
    stack.store.create_snapshot(&Scope::All, &snapshot, &limits).await.unwrap();
    let token = stack.token("x", "donor").await;
    let before = stack.everything().await;
    let current = "/v3/volume-transfers";
    let legacy = "/v3/os-volume-transfer";
    for (path, version, volume, no_snapshots, message) in [
        (current, "3.71", &plain, false, "Invalid snapshot: snapshot: s status must be available"),
        (
            current,
            "3.69",
            &encrypted,
            false,
            "Invalid volume: transferring encrypted volume is not supported",
        ),
        (
            legacy,
            "3.71",
            &encrypted,
            false,
            "Invalid volume: transferring encrypted volume is not supported",
        ),
        (
            current,
            "3.70",
            &encrypted,
            true,
            "Invalid volume: transferring an encrypted volume without its snapshots is not \
             supported",
        ),
        (
            current,
            "3.70",
            &fixed,
            false,
            "Invalid volume: volume 11111111-1111-4111-8111-111111111103 is encrypted with the \
             fixed key of the deployment; migrate the key to the key manager first",
        ),
    ] {
        let mut body = json!({"transfer": {"volume_id": volume.as_str()}});
        if no_snapshots {
            body["transfer"]["no_snapshots"] = Value::Bool(true);
        }
        let ask = stack.ask("POST", path).version(version).token(&token);
        assert_eq!(ask.json(&body).send().await.fault("badRequest"), message, "{path} {version}");
    }
    assert_eq!(stack.everything().await, before);
}

#[tokio::test]
async fn a_recipient_over_quota_is_told_which_one() {
    // The recipient's limits are 2 volumes and 5 GiB; a volume has 2 GiB.
    let stack = Stack::new().await;
    let token = stack.token("y", "recipient").await;
    for n in 1..=3 {
        let (id, auth_key) = stack.offer(&stack.volume(&volume_id(n)).await).await;
        let ask = stack.ask("POST", &format!("/v3/volume-transfers/{id}/accept")).token(&token);
        let before = stack.everything().await;
        let reply = ask.json(&json!({"accept": {"auth_key": auth_key}})).send().await;
        if n <= 2 {
            assert_eq!(reply.status, 202, "{reply:?}");
            continue;
        }
        assert_eq!(reply.status, 413);
        assert_eq!(reply.header("retry-after"), Some("0"));
        assert_eq!(reply.json()["overLimit"]["retryAfter"], "0");
        assert_eq!(
            reply.fault("overLimit"),
            "Requested volume or snapshot exceeds allowed gigabytes quota. Requested 2G, quota is \
             5G and 4G has been consumed."
        );
        assert_eq!(stack.everything().await, before);
    }
}
