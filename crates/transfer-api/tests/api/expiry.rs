//! Offers that have expired, as callers meet them.

use crate::stack::{Stack, volume_id};
use serde_json::json;

const TRANSFERS: &str = "/v3/volume-transfers";

/// An expired offer of an encrypted volume; its id and auth key.
async fn expired(stack: &Stack, number: u8) -> (String, String) {
    let volume = stack.encrypted_volume(&volume_id(number)).await;
    let offer = stack.offer(&volume).await;
    let set = "UPDATE transfers SET expires_at = '2026-01-01 00:00:00.000000'";
    stack.sql(&format!("{set} WHERE id = '{}'", offer.0)).await;
    offer
}

#[tokio::test]
async fn nobody_can_accept_it_and_its_project_sees_it_until_it_is_taken_back() {
    let stack = Stack::new().await;
    let (id, auth_key) = expired(&stack, 1).await;
    let (x, y) = (stack.token("x", "donor").await, stack.token("y", "recipient").await);
    for auth_key in [auth_key.as_str(), "wrong"] {
        let ask = stack.ask("POST", &format!("{TRANSFERS}/{id}/accept")).version("3.70");
        let reply = ask.token(&y).json(&json!({"accept": {"auth_key": auth_key}})).send().await;
        assert_eq!(reply.status, 404);
        let told = reply.fault("itemNotFound");
        assert_eq!(told, format!("Transfer {id} could not be found."));
    }
    let show = stack.ask("GET", &format!("{TRANSFERS}/{id}")).token(&x).send().await;
    assert_eq!(show.status, 200);
    assert!(show.json()["transfer"].get("expires_at").is_none(), "the API does not change");
    let list = stack.ask("GET", TRANSFERS).token(&x).send().await;
    assert_eq!(list.json()["transfers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_request_that_takes_it_back_is_not_disturbed_by_what_it_sets_off() {
    let stack = Stack::new().await;
    let (one, _) = expired(&stack, 1).await;
    let (other, _) = expired(&stack, 2).await;
    stack.engine.look_for_expired().await.unwrap();
    let x = stack.token("x", "donor").await;
    let ask = stack.ask("DELETE", &format!("{TRANSFERS}/{one}")).token(&x);
    assert_eq!(ask.send().await.status, 202);
    stack.until_ended(&other).await;
    stack.come_to_rest().await;
    let owner = stack.project("donor");
    let (world, secrets) = stack.everything().await;
    assert!(world.volumes.iter().all(|volume| volume.status == "available"));
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().all(|secret| secret.project == owner.as_str()));
}

#[tokio::test]
async fn whoever_may_take_it_back_does_so_with_any_request_of_its_project() {
    // Who calls, with which roles, with which request, and whether that takes the offer back.
    for (user, project, roles, path, takes_back) in [
        ("z", "donor", "member", TRANSFERS, true),
        ("z", "donor", "member", "/v3/volume-transfers/nothing", true),
        ("z", "donor", "member", "/v3/no-such-thing", true),
        ("z", "donor", "admin", TRANSFERS, true),
        ("z", "donor", "reader", TRANSFERS, false),
        ("z", "donor", "creator", TRANSFERS, false),
        ("z", "recipient", "member", TRANSFERS, false),
        ("z", "recipient", "admin", TRANSFERS, false),
    ] {
        let stack = Stack::new().await;
        let (id, _auth_key) = expired(&stack, 1).await;
        stack.engine.look_for_expired().await.unwrap();
        assert!(stack.simulator.set_roles(user, project, &[roles]).unwrap());
        let token = stack.token(user, project).await;
        stack.ask("GET", path).token(&token).send().await;
        // Then a member of the project calls, and has nothing left to do or all of it.
        let x = stack.token("x", "donor").await;
        let calls = async {
            while stack.is_open(&id).await {
                stack.ask("GET", TRANSFERS).token(&x).send().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), calls).await.expect("ended");
        stack.come_to_rest().await;
        let shells = stack.simulator.events();
        let by = |name: &str| {
            let made = shells.iter().filter(|e| e.method == "POST" && e.template == "/v1/secrets");
            made.filter(|event| event.user.as_deref() == Some(name)).count()
        };
        // One of x's is the key that the volume began with.
        let expected = if takes_back { (1, 1) } else { (0, 2) };
        assert_eq!((by(user), by("x")), expected, "{user} {project} {roles} {path}");
    }
}
