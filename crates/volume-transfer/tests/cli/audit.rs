//! `audit` and `repair` beside a running stack, as an operator says them.

use crate::program::{Stack, program};
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use volume_transfer::ready::Ready;
use volume_transfer::stage::User;

/// A stack whose volumes and clouds lie in a folder.
fn start(folder: &Path) -> (Stack, Ready) {
    let clouds = folder.join("clouds.yaml");
    let arguments = ["serve", "--dev", "--password", "secret"].map(str::to_owned).into_iter();
    let places =
        ["--state-dir", &*folder.to_string_lossy(), "--clouds", &*clouds.to_string_lossy()]
            .map(str::to_owned);
    let arguments: Vec<String> = arguments.chain(places).collect();
    Stack::start(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The program with an operator's settings.
fn run(folder: &Path, urls: &Ready, arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .args(["--older-than", "0", "--auth-url", &format!("{}/v3", urls.identity)])
        .args(["--database", &format!("sqlite:///{}/cinder.sqlite", folder.display())])
        .env("VOLUME_TRANSFER_PASSWORD", "secret")
        .env("OS_CLIENT_CONFIG_FILE", folder.join("clouds.yaml"))
        .output()
        .expect("the program starts")
}

fn json(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// An encrypted volume whose offer upstream has cancelled by half: its key is still the service's.
async fn half_cancelled(folder: &Path, urls: &Ready) -> String {
    let admin = User::log_in(urls, "admin", "secret", "admin").await.expect("a token");
    admin.create_encrypted_type("luks").await.expect("a type");
    let x = User::log_in(urls, "x", "secret", "donor").await.expect("a token");
    let volume = x.create_volume("data", Some("luks")).await.expect("a volume");
    let offered = x.offer(&urls.block_storage, &volume).await.expect("a reply");
    assert_eq!(offered.status, 202);
    let url = format!("sqlite:///{}/cinder.sqlite", folder.display());
    let database = sqlx::SqlitePool::connect(&url).await.expect("connects");
    for statement in
        ["UPDATE transfers SET deleted = TRUE", "UPDATE volumes SET status = 'available'"]
    {
        sqlx::query(statement).execute(&database).await.expect("written");
    }
    database.close().await;
    volume
}

#[tokio::test]
async fn damage_is_found_and_mended_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (stack, urls) = start(folder.path());
    let run = |arguments: &[&str]| run(folder.path(), &urls, arguments);
    let clean = run(&["audit", "--json"]);
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stderr));
    assert_eq!(json(&clean)["findings"], Value::Array(vec![]));

    let volume = half_cancelled(folder.path(), &urls).await;
    let found = run(&["audit", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let document = json(&found);
    let finding = &document["findings"][0];
    assert_eq!(finding["kind"], "key_with_service");
    assert_eq!(finding["invariant"], "custodian_owns_key");
    assert_eq!(finding["volume"], volume);
    assert_eq!(document["summary"]["by_invariant"]["custodian_owns_key"], 1);
    let table = String::from_utf8(run(&["audit"]).stdout).expect("text");
    for words in ["FINDING", "key_with_service", &volume, "What to do:", "1 finding"] {
        assert!(table.contains(words), "{words}: {table}");
    }

    for (arguments, code, outcome) in [
        (&["repair", "--json"][..], 1, "left"),
        (&["repair", "--json", "--cloud", "donor"], 1, "would_mend"),
        (&["repair", "--json", "--cloud", "donor", "--apply"], 0, "mended"),
    ] {
        let output = run(arguments);
        let document = json(&output);
        assert_eq!(document["findings"][0]["outcome"], outcome, "{document}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
    let other = run(&["repair", "--json", "--item", "nothing", "--cloud", "donor"]);
    let told = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(2), "{told}");
    assert!(told.contains("--item nothing: nothing is found about it"), "{told}");
    let clean = run(&["audit", "--json", "--cloud", "donor", "--cloud", "recipient"]);
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stdout));
    assert_eq!(json(&clean)["summary"]["not_visible"], 0);
    stack.stop();
}

#[tokio::test]
async fn an_audit_that_cannot_begin_says_why_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (stack, urls) = start(folder.path());
    for (arguments, words) in [
        (&["audit", "--cloud", "nobody"][..], "no cloud \"nobody\""),
        (&["audit", "--username", "nobody"], "no token"),
        (&["audit", "--jobs", "0"], "--jobs"),
    ] {
        let output = run(folder.path(), &urls, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:///{}/cinder.sqlite?mode=rwc", elsewhere.path().display());
    let config = cinder_db::StoreConfig { url, max_connections: 1 };
    let store = cinder_db::Store::connect(&config).await.expect("connects");
    store.create_cinder_tables().await.expect("Cinder's tables");
    store.close().await;
    let output = run(elsewhere.path(), &urls, &["audit"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("`volume-transfer recover` makes them"), "{errors}");
    stack.stop();
}

#[tokio::test]
async fn recover_with_a_cloud_ends_what_waits_for_its_project() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("expiring.conf");
    std::fs::write(&conf, "[volume_transfer]\nexpire_after = 1\n").expect("written");
    let clouds = folder.path().join("clouds.yaml");
    let fault = "barbican DELETE /v1/secrets/{id} standing status=403";
    let (stack, urls): (_, Ready) = Stack::start(
        folder.path(),
        &[
            &[
                "serve",
                "--dev",
                "--password",
                "secret",
                "--config-file",
                conf.to_str().expect("a path"),
            ],
            &["--state-dir", folder.path().to_str().expect("a path")][..],
            &["--clouds", clouds.to_str().expect("a path"), "--control", "--fault", fault],
        ]
        .concat(),
    );
    let admin = User::log_in(&urls, "admin", "secret", "admin").await.expect("a token");
    admin.create_encrypted_type("luks").await.expect("a type");
    let x = User::log_in(&urls, "x", "secret", "donor").await.expect("a token");
    let volume = x.create_volume("data", Some("luks")).await.expect("a volume");
    let offered = x.offer(&urls.block_storage, &volume).await.expect("a reply");
    assert_eq!(offered.status, 202);
    let recover = |more: &[&str]| {
        program()
            .args(["recover", "--json", "--config-file"])
            .arg(&conf)
            .args(["--auth-url", &format!("{}/v3", urls.identity)])
            .args(["--key-manager-url", &urls.key_manager])
            .args(["--database", &format!("sqlite:///{}/cinder.sqlite", folder.path().display())])
            .args(more)
            .env("VOLUME_TRANSFER_PASSWORD", "secret")
            .env("OS_CLIENT_CONFIG_FILE", &clouds)
            .output()
            .expect("the program starts")
    };
    let project = format!("project {}", x.project);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let alone = loop {
        // Until the offer has expired, and the request that made it has tried to pay.
        let report = json(&recover(&[]));
        assert!(std::time::Instant::now() < deadline, "{report}");
        if report["expired_offers"] == 1 && report["owed"][&project] == 1 {
            break report;
        }
    };
    assert_eq!(alone["paid_by"], serde_json::json!({}));
    let faults = format!("{}/_simulator/faults", urls.identity);
    let forgotten = volume_transfer::stage::client().expect("a client").delete(faults).send().await;
    assert!(forgotten.expect("a reply").status().is_success());
    let output = recover(&["--cloud", "donor"]);
    let report = json(&output);
    assert_eq!(report["paid_by"]["cloud \"donor\""]["paid"], 1, "{report}");
    assert_eq!((&report["expired_offers"], &report["owed"]), (&0.into(), &serde_json::json!({})));
    assert_eq!(output.status.code(), Some(0), "{report}");
    let shown = x.block_storage(reqwest::Method::GET, &format!("/volumes/{volume}"), None).await;
    assert_eq!(shown.expect("a reply").text("/volume/status").expect("a status"), "available");
    stack.stop();
}
