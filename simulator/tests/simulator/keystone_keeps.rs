//! What is kept of Keystone's directory: over a restart, over a checkpoint, and never in the clear.

use std::path::Path;

use serde_json::{Value, json};
use simulator::{Clock, Config, Simulator};
use time::macros::datetime;

use crate::cloud::{Cloud, PASSWORD, login};

fn start(path: &Path) -> Cloud {
    let mut config = Config::new(PASSWORD);
    config.clock = Clock::frozen(datetime!(2026-11-24 03:55:05 UTC));
    config.state_file = Some(path.to_owned());
    Cloud::from(Simulator::new(config).unwrap())
}

/// Makes a user with a password of its own, and a credential of x; both have `secret` in them.
async fn fill(cloud: &Cloud) -> String {
    let (admin, x) = (cloud.own_token("admin").await, cloud.own_token("x").await);
    let user = json!({"user": {"name": "own", "password": "user-secret"}});
    let made = cloud.keystone("POST", "/v3/users").with("x-auth-token", &admin).json(user).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = cloud.simulator.user_id("x").unwrap();
    let ask = cloud.keystone("POST", &format!("/v3/users/{id}/application_credentials"));
    let body = json!({"application_credential": {"name": "c", "secret": "credential-secret"}});
    let made = ask.with("x-auth-token", &x).json(body).await;
    assert_eq!(made.json()["application_credential"]["secret"], "credential-secret");
    made.json()["application_credential"]["id"].as_str().unwrap().to_owned()
}

fn by_password(password: &str) -> Value {
    let user = json!({"name": "own", "domain": {"id": "default"}, "password": password});
    json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}})
}

fn by_credential(id: &str, secret: &str) -> Value {
    let credential = json!({"id": id, "secret": secret});
    let methods = ["application_credential"];
    json!({"auth": {"identity": {"methods": methods, "application_credential": credential}}})
}

#[tokio::test]
async fn a_restart_keeps_users_and_credentials_and_the_file_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let id = fill(&start(&path)).await;
    let kept = std::fs::read_to_string(&path).unwrap();
    for secret in ["user-secret", "credential-secret", PASSWORD] {
        assert!(!kept.contains(secret), "{secret}");
    }
    let after = start(&path);
    for (body, status) in [
        (by_password("user-secret"), 201),
        (by_password(PASSWORD), 401),
        (by_credential(&id, "credential-secret"), 201),
        (by_credential(&id, PASSWORD), 401),
        (login("x", "donor"), 201),
    ] {
        let reply = after.keystone("POST", "/v3/auth/tokens").json(body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn a_checkpoint_takes_users_back_with_all_the_rest() {
    let cloud = Cloud::new();
    let checkpoint = cloud.simulator.checkpoint();
    let mut ids = Vec::new();
    for _time in 0..2 {
        ids.push(fill(&cloud).await);
        assert!(cloud.simulator.user_id("own").is_some());
        cloud.simulator.restore(&checkpoint);
        assert_eq!(cloud.simulator.user_id("own"), None);
    }
    assert_eq!(ids[0], ids[1], "ids go on from the checkpoint");
}

#[tokio::test]
async fn a_request_that_is_refused_draws_nothing() {
    let (one, other) = (Cloud::new(), Cloud::new());
    let admin = one.own_token("admin").await;
    assert_eq!(other.own_token("admin").await, admin);
    let taken = json!({"user": {"name": "x", "password": "p"}});
    let ask = one.keystone("POST", "/v3/users").with("x-auth-token", &admin);
    assert_eq!(ask.json(taken).await.status, 409);
    assert_eq!(one.own_token("x").await, other.own_token("x").await);
}

#[tokio::test]
async fn the_seeded_world_has_the_ids_that_it_always_had() {
    let cloud = Cloud::new();
    for (project, id) in [
        ("admin", "b336f9db77304a6883fa386064794df6"),
        ("donor", "e94d984ef6f44165b34cf999ccd1ffe2"),
        ("recipient", "1d2a9bed3ba646e087afcd6215c1a137"),
        ("third", "1da1ff591cfe45d2b9f0fdd5bdbe93ec"),
        ("service", "cc12a5e5d9db4c00a46c45eb22b30c3d"),
    ] {
        assert_eq!(cloud.simulator.project_id(project).as_deref(), Some(id), "{project}");
    }
    for (user, id) in [
        ("admin", "2a245253fd9646a09d8b49c2500b1621"),
        ("x", "d08f8022e5e94dcc938c39342dd8e72b"),
        ("y", "240b1b063c1f49cdb5b89ad11fc692ed"),
        ("z", "fde931b3b94042a093071a27c88d5db5"),
        ("cinder", "1cfadf89eba744388422c8a39f6d413a"),
    ] {
        assert_eq!(cloud.simulator.user_id(user).as_deref(), Some(id), "{user}");
    }
}
