//! The state file, and what is never shown.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use simulator::{Clock, Config, Simulator, StateFileError};
use time::macros::datetime;

use crate::cloud::{CONTENT, Cloud, PASSWORD, key};

fn start(path: &Path) -> Result<Cloud, StateFileError> {
    let mut config = Config::new(PASSWORD);
    config.clock = Clock::frozen(datetime!(2026-11-24 03:55:05 UTC));
    config.state_file = Some(path.to_owned());
    Ok(Cloud { simulator: Simulator::new(config)? })
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
async fn the_state_file_is_private_and_holds_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let cloud = start(&path).unwrap();
    let x = cloud.own_token("x").await;
    cloud.store(&x, key("one")).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&x) && !text.contains(PASSWORD));
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(names, ["state.json"]);
}

#[tokio::test]
async fn a_state_file_that_is_not_ours_is_refused_without_quoting_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, "{\"secret\": \"S0tLS0tL\"}").unwrap();
    let refusal = start(&path).err().unwrap();
    assert!(matches!(refusal, StateFileError::Malformed { .. }));
    assert!(!refusal.to_string().contains("S0tL"));
    let blocked = start(folder.path()).err().unwrap();
    assert!(matches!(blocked, StateFileError::Io { .. }));
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
    let cloud = Cloud { simulator: Simulator::new(Config::new(PASSWORD)).unwrap() };
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
