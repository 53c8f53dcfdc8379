//! The state file, and what is never shown.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use simulator::{Clock, Config, Simulator, StateFileError};
use time::macros::datetime;

use crate::cloud::{CONTENT, Cloud, PASSWORD, key};

fn start(path: &Path) -> Result<Cloud, StateFileError> {
    let mut config = Config::new(PASSWORD);
    config.clock = Clock::frozen(datetime!(2026-11-24 03:55:05 UTC));
    config.state_file = Some(path.to_owned());
    Ok(Simulator::new(config)?.into())
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let before = start(&path).unwrap();
    let x = before.own_token("x").await;
    let kept = before.store(&x, key("kept")).await;
    let deleted = before.store(&x, key("deleted")).await;
    assert_eq!(
        before.barbican("DELETE", &deleted).with("x-auth-token", &x).empty().await.status,
        204
    );
    assert!(before.simulator.set_roles("y", "donor", &["member"]).unwrap());
    let secrets = before.simulator.secrets();
    drop(before);

    let after = start(&path).unwrap();
    assert_eq!(after.simulator.secrets(), secrets);
    let ask = after.barbican("GET", &format!("{kept}/payload")).with("x-auth-token", &x);
    assert_eq!(ask.with("accept", CONTENT).empty().await.body, [b'K'; 32].as_slice());
    let y = after.token("y", "donor").await;
    assert_ne!(y, x);
    let fresh = after.store(&y, key("fresh")).await;
    assert!(fresh != kept && fresh != deleted);
}

#[tokio::test]
async fn a_restart_forgets_nothing_of_what_stands_at_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let before = start(&path).unwrap();
    let (x, admin) = (before.own_token("x").await, before.own_token("admin").await);
    let secret = before.store(&x, key("kept")).await;
    let entries = json!([{"name": "one", "secret_ref": format!("http://127.0.0.1:9311{secret}")}]);
    let container = json!({"type": "generic", "secret_refs": entries});
    let container = before.make(&x, "/v1/containers", container).await;
    let volume = json!({"service": "cinder", "resource_type": "volume", "resource_id": "1"});
    let transport = json!({"plugin_name": "p", "transport_key": "k"});
    for (token, method, path, body) in [
        (&x, "PUT", format!("{secret}/metadata"), json!({"metadata": {"a": "b"}})),
        (&x, "PUT", format!("{secret}/acl"), json!({"read": {"users": ["y"]}})),
        (&x, "PUT", format!("{container}/acl"), json!({"read": {"project-access": false}})),
        (&x, "POST", format!("{secret}/consumers"), volume.clone()),
        (&x, "DELETE", format!("{secret}/consumers"), volume.clone()),
        (&x, "POST", format!("{secret}/consumers"), volume),
        (&x, "POST", format!("{container}/consumers"), json!({"name": "n", "URL": "u"})),
        (&admin, "PUT", "/v1/project-quotas/p".to_owned(), json!({"project_quotas": {"cas": 1}})),
        (&admin, "POST", "/v1/transport_keys".to_owned(), transport),
    ] {
        let reply = before.tell(token, method, &path, body).await;
        assert!(reply.status.is_success(), "{method} {path}: {}", reply.text());
    }
    let shown = async |cloud: &Cloud| {
        let mut shown = Vec::new();
        for (token, path) in [
            (&x, secret.clone()),
            (&x, format!("{secret}/metadata")),
            (&x, format!("{secret}/acl")),
            (&x, format!("{secret}/consumers")),
            (&x, container.clone()),
            (&x, format!("{container}/acl")),
            (&x, format!("{container}/consumers")),
            (&admin, "/v1/project-quotas".to_owned()),
            (&admin, "/v1/transport_keys".to_owned()),
        ] {
            let reply = cloud.tell(token, "GET", &path, Value::Null).await;
            assert_eq!(reply.status, 200, "{path}");
            shown.push(reply.json());
        }
        shown
    };
    let expected = shown(&before).await;
    drop(before);
    let after = start(&path).unwrap();
    assert_eq!(shown(&after).await, expected);
    assert_eq!(after.simulator.secrets()[0].consumers, 1);
}

#[tokio::test]
async fn the_state_file_is_private_and_holds_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let cloud = start(&path).unwrap();
    let x = cloud.own_token("x").await;
    cloud.store(&x, key("one")).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&x) && !text.contains(PASSWORD));
    let names: BTreeSet<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["state.json".into(), "state.json.lock".into()]));
}

#[tokio::test]
async fn two_simulators_do_not_share_a_state_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let first = start(&path).unwrap();
    let refusal = start(&path).err().unwrap().to_string();
    assert!(refusal.contains("in use by another simulator"), "{refusal}");
    drop(first);
    start(&path).unwrap();
}

#[tokio::test]
async fn a_state_file_that_is_not_ours_is_refused_without_quoting_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    for (text, told) in [
        (r#"{"version": 2, "state": "S0tLS0tL"}"#, "not readable: line 1, column 34"),
        (r#"{"version": 1, "state": "S0tLS0tL"}"#, "is of version 1, and this simulator reads"),
        (r#"{"version": 3, "state": "S0tLS0tL"}"#, "is of version 3, and this simulator reads"),
        (r#"{"draws": {}, "secret": "S0tLS0tL"}"#, "names no version"),
        (r#""S0tLS0tL""#, "not readable: line 1, column 10"),
    ] {
        std::fs::write(&path, text).unwrap();
        let refusal = start(&path).err().unwrap().to_string();
        assert!(refusal.contains(told), "{text}: {refusal}");
        assert!(refusal.contains("state.json"), "{refusal}");
        assert!(!refusal.contains("S0tL"), "{refusal}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it is left alone");
    }
    let blocked = start(folder.path()).err().unwrap();
    assert!(matches!(blocked, StateFileError::Io { .. }));
}

/// When this fails, raise the version in `state.rs` and replace the file by one that it writes.
#[tokio::test]
async fn a_state_file_that_this_version_has_once_written_still_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, include_str!("state.json")).unwrap();
    let cloud = start(&path).unwrap();
    let secrets = cloud.simulator.secrets();
    let shown: Vec<_> =
        secrets.iter().map(|secret| (secret.name.as_deref(), secret.consumers)).collect();
    assert_eq!(shown, [(Some("golden"), 1), (Some("ordered"), 0)]);
    let x = cloud.own_token("x").await;
    for (path, total) in [("/v1/secrets", 2), ("/v1/containers", 1), ("/v1/orders", 1)] {
        let listed = cloud.tell(&x, "GET", path, Value::Null).await.json();
        assert_eq!(listed["total"], total, "{path}: {listed}");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let cloud = start(&path).unwrap();
    let x = cloud.own_token("x").await;
    folder.close().unwrap();
    let reply =
        cloud.barbican("POST", "/v1/secrets").with("x-auth-token", &x).json(key("lost")).await;
    assert_eq!(reply.status, 500);
}

#[tokio::test]
async fn no_debug_output_shows_a_payload_a_token_or_the_password() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    cloud.store(&x, key("one")).await;
    let simulator = &cloud.simulator;
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        simulator,
        simulator.config(),
        simulator.secrets(),
        simulator.events(),
        simulator.faults(),
        simulator.barbican_service(),
    );
    assert!(shown.contains("one"));
    let bytes = format!("{:?}", [b'K'; 4]);
    for secret in ["KKKK", "S0tL", "4b4b4b", bytes.trim_matches(['[', ']']), &x, PASSWORD] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_checkpoint_is_a_way_back_as_often_as_one_likes() {
    let cloud = Cloud::from(Simulator::new(Config::new(PASSWORD)).unwrap());
    let x = cloud.own_token("x").await;
    let kept = cloud.store(&x, key("kept")).await;
    let (before, checkpoint) = (cloud.simulator.secrets(), cloud.simulator.checkpoint());
    let mut later = Vec::new();
    for _time in 0..2 {
        later.push(cloud.store(&x, key("later")).await);
        let gone = cloud.barbican("DELETE", &kept).with("x-auth-token", &x).empty().await;
        assert_eq!(gone.status, 204);
        cloud.simulator.restore(&checkpoint);
        assert_eq!(cloud.simulator.secrets(), before);
        assert_eq!(cloud.simulator.events(), []);
    }
    assert_eq!(later[0], later[1], "ids go on from the checkpoint");
}
