//! The command line: exit codes, words for what is wrong, files that are written, and state that
//! survives a restart.

#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/operating.rs"]
mod operating;
#[path = "cli/program.rs"]
mod program;

use program::{Stack, program};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::process::Output;
use volume_transfer::ready::{Ready, SimulatorReady};
use volume_transfer::stage::User;

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

#[test]
fn every_command_has_help_with_examples() {
    for command in [
        &[][..],
        &["demo"],
        &["check"],
        &["bulk"],
        &["serve"],
        &["simulate"],
        &["recover"],
        &["audit"],
        &["repair"],
        &["config"],
    ] {
        let output = run(&[command, &["--help"]].concat());
        assert!(output.status.success(), "{command:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains("Examples:"), "{command:?}: {text}");
        assert!(!text.contains('\u{1b}'), "{command:?}: colour although this is no terminal");
    }
}

#[test]
fn what_is_wrong_is_said_with_a_remedy_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = folder.path().join("wrong.conf");
    std::fs::write(&wrong, "[volume_transfer]\nlease_sm = 1\n").expect("written");
    let wrong = wrong.to_str().expect("a path");
    let database = format!("sqlite:///{}/c.sqlite?mode=rwc", folder.path().display());
    let empty = format!("sqlite:///{}/e.sqlite?mode=rwc", folder.path().display());
    let on = ["serve", "--create-tables", "--database", &database];
    let empty_file = folder.path().join("empty_password");
    std::fs::write(&empty_file, "\n").expect("written");
    let empty_file = empty_file.to_str().expect("a path");
    let known = ["--auth-url", "http://127.0.0.1:1/v3"];
    let deployed = folder.path().join("cinder.conf");
    std::fs::write(&deployed, "[oslo_policy]\npolicy_file = rules.yaml\n").expect("written");
    std::fs::write(folder.path().join("rules.yaml"), "none\n").expect("written");
    let deployed = deployed.to_str().expect("a path");
    let cases: &[(&[&str], &str)] = &[
        (&["serve"], "--database mysql+pymysql://"),
        (&["serve", "--database", "oracle://x"], "scheme \"oracle\" is not supported"),
        (&on, "--auth-url"),
        (&[&on[..], &known, &["--password-file", empty_file]].concat(), "empty_password is empty"),
        (&["serve", "--config-file", "/nonexistent.conf"], "/nonexistent.conf cannot be read"),
        (&["serve", "--config-file", wrong], "did you mean lease_ms?"),
        (&["serve", "--port-base", "1", "--ephemeral"], "cannot be used with"),
        (&["simulate", "--port-base", "65534"], "no room for 3 ports"),
        (&["simulate", "--fault", "barbican explode"], "explode: what is that?"),
        (&["simulate", "--scenario", "/nonexistent"], "/nonexistent cannot be read"),
        (&["simulate", "--host", "0.0.0.0"], "an address that clients can reach"),
        (&["simulate", "--control-anywhere"], "--control"),
        (&["simulate", "--barbican-policy", "odd"], "say one of: new, legacy"),
        (&["recover"], "--database"),
        (&["serve", "--database", &empty], "not Cinder's database"),
        (&[&on[..], &["--database-connections", "many"]].concat(), "not a whole number"),
        (&[&on[..], &["--policy-file", wrong]].concat(), "is not a mapping of names to rules"),
        (&[&on[..], &["--config-file", deployed]].concat(), "rules.yaml is not a mapping"),
        (&[&on[..], &["--policy-dir", wrong]].concat(), "wrong.conf cannot be read"),
        (&[&on[..], &["--enforce-scope", "perhaps"]].concat(), "perhaps"),
        (&["check", "--protocol", "perfect"], "say one of: hand-over, upstream"),
        (&["check", "--replay", "model/nowhere/0"], "there is no world \"nowhere\""),
        (&["check", "--replay", "x"], "those look like model/WORLD/1.0.2"),
        (&["check", "--replay", "offered-1:cancel:"], "the schedule ends early"),
        (&["check", "--quick", "--threads", "100000"], "a number from 1 to 1024"),
        (&["check", "--quick", "--report", "/nonexistent/x.html"], "cannot be written"),
        (&["nonsense"], "unrecognized subcommand"),
    ];
    for (arguments, words) in cases {
        let output = run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    let auth = ["--auth-url", "http://127.0.0.1:1/v3"];
    let output = run(&[&on[..], &auth].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("VOLUME_TRANSFER_PASSWORD"), "{text}");
}

/// Nothing in the settings is wrong: whoever watches over the service may start it again.
#[test]
fn what_may_pass_by_itself_ends_with_another_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:///{}/c.sqlite?mode=rwc", folder.path().display());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = listener.local_addr().expect("its address").to_string();
    let barbican = ["--key-manager-url", "http://127.0.0.1:1"];
    for (flags, words) in [
        (&[][..], "no token from Keystone at http://127.0.0.1:1/"),
        (&[&barbican[..], &["--listen", &taken]].concat(), "cannot listen on"),
    ] {
        let output = program()
            .args(["serve", "--create-tables", "--database", &database])
            .args(["--auth-url", "http://127.0.0.1:1/v3"])
            .args(flags)
            .env("VOLUME_TRANSFER_PASSWORD", "secret")
            .output()
            .expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn contradicting_settings_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:///{}/c.sqlite?mode=rwc", folder.path().display());
    for (flags, words) in [
        (&["--lease-ms", "1000"][..], "raise the lease"),
        (&["--recovery-period-ms", "0"], "write 1 or more"),
        (&["--insecure", "--cacert", "/x.pem"], "contradict"),
    ] {
        let output = program()
            .args(["serve", "--create-tables", "--database", &database])
            .args(["--auth-url", "http://127.0.0.1:1/v3"])
            .args(["--key-manager-url", "http://127.0.0.1:1"])
            .args(flags)
            .env("VOLUME_TRANSFER_PASSWORD", "secret")
            .output()
            .expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn a_stack_tells_where_it_is_and_keeps_its_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let clouds = folder.path().join("clouds.yaml");
    let arguments = [
        "serve",
        "--dev",
        "--state-dir",
        state.to_str().expect("a path"),
        "--clouds",
        clouds.to_str().expect("a path"),
        "--password",
        "other",
    ];
    let (stack, urls): (_, Ready) = Stack::start(folder.path(), &arguments);
    let text = std::fs::read_to_string(&clouds).expect("clouds.yaml");
    let document: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    for cloud in ["admin", "donor", "recipient", "third", "service"] {
        let auth = &document["clouds"][cloud]["auth"];
        assert_eq!(auth["password"], "other", "{cloud}");
        assert_eq!(auth["auth_url"], format!("{}/v3", urls.identity), "{cloud}");
    }
    let admin = User::log_in(&urls, "admin", "other", "admin").await.expect("a token");
    admin.create_encrypted_type("luks").await.expect("a type");
    let x = User::log_in(&urls, "x", "other", "donor").await.expect("a token");
    let volume = x.create_volume("kept", Some("luks")).await.expect("a volume");
    let (key, bytes) = key_of(&x, &volume).await;
    stack.stop();

    let (stack, urls): (_, Ready) = Stack::start(folder.path(), &arguments);
    let x = User::log_in(&urls, "x", "other", "donor").await.expect("a token");
    assert_eq!(key_of(&x, &volume).await, (key, bytes));
    stack.stop();
}

/// The id of a volume's key and the digest of its bytes, as its owner sees them.
async fn key_of(user: &User, volume: &str) -> (String, String) {
    let path = format!("/volumes/{volume}");
    let shown = user.block_storage(reqwest::Method::GET, &path, None).await.expect("a reply");
    let key = shown.text("/volume/encryption_key_id").expect("a key");
    let bytes = user.read_key(&key).await.expect("a reply").expect("the key's bytes");
    (key, bytes)
}

fn simulate(folder: &std::path::Path, arguments: &[&str]) -> (Stack, SimulatorReady) {
    Stack::start(folder, &[&["simulate"], arguments].concat())
}

#[test]
fn the_simulator_is_controlled_over_http_where_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, status) in [(&["--control"][..], 200), (&[], 404)] {
        let (stack, urls) = simulate(folder.path(), arguments);
        assert_eq!(status_of(&urls.identity, "/_simulator"), status, "{arguments:?}");
        stack.stop();
    }
}

#[test]
fn faults_and_a_scenario_stand_on_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script.toml");
    let text = "[[steps]]\nwhen = 'keystone GET / nth=2'\nfaults = ['keystone status=502']\n";
    std::fs::write(&script, text).expect("written");
    let script = script.to_str().expect("a path");
    let arguments = ["--fault", "keystone GET /v3 nth=2 status=503", "--scenario", script];
    let (stack, urls) = simulate(folder.path(), &arguments);
    for (path, status) in [("/v3", 200), ("/v3", 503), ("/v3", 200), ("/", 300), ("/", 502)] {
        assert_eq!(status_of(&urls.identity, path), status, "{path}");
    }
    stack.stop();
}

/// What Keystone answers a GET with.
fn status_of(url: &str, path: &str) -> u16 {
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("Keystone listens");
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply.split(' ').nth(1).expect("a status").parse().expect("a number")
}

#[test]
fn the_simulator_alone_answers_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    // which names nothing that does not answer
    let (stack, urls) = simulate(folder.path(), &[]);
    for url in [urls.identity, urls.key_manager] {
        let address = url.trim_start_matches("http://").to_owned();
        std::net::TcpStream::connect(address).expect("it listens");
    }
    stack.stop();
}

#[test]
fn recovery_of_a_clean_database_reports_nothing_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:///{}/c.sqlite?mode=rwc", folder.path().display());
    let output = program()
        .args(["recover", "--json", "--create-tables", "--database", &database])
        .args(["--auth-url", "http://127.0.0.1:1/v3"])
        .args(["--key-manager-url", "http://127.0.0.1:1"])
        .env("VOLUME_TRANSFER_PASSWORD", "secret")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["taken_over"], 0);
    assert_eq!(report["under_way"], 0);
}

#[test]
fn a_check_of_the_hand_over_holds_and_one_of_upstream_shows_how_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let page = page.to_str().expect("a path");

    let good = run(&["check", "--quick", "--json", "--report", page]);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    let found: Value = serde_json::from_slice(&good.stdout).expect("JSON");
    assert_eq!(found["verdict"], "holds");
    assert_eq!(found["missing"], serde_json::json!([]));
    assert_eq!(found["worlds"][1]["name"], "unreduced-0-1");
    let text = std::fs::read_to_string(page).expect("a page");
    assert!(text.contains("No run breaks an invariant.") && text.contains("lands late"));

    let bad = run(&["check", "--protocol", "upstream", "--json", "--report", page]);
    assert_eq!(bad.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&bad.stdout).expect("JSON");
    assert_eq!(found["verdict"], "broken");
    let runs = found["runs"].as_array().expect("runs");
    for of in ["failed-delete", "accept-against-cancel", "accept-against-accept"] {
        let run = runs.iter().find(|run| run["scenario"].as_str().expect("text").contains(of));
        let steps = run.expect(of)["steps"].as_array().expect("steps").len();
        assert!(steps <= 12, "{of}: {steps} steps");
    }
    assert!(std::fs::read_to_string(page).expect("a page").contains("<svg"));

    let replay = runs[0]["replay"].as_str().expect("text");
    let again = run(&["check", "--replay", replay, "--json"]);
    assert_eq!(again.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(found["runs"][0], runs[0]);
}

#[test]
fn a_replay_claims_no_more_than_it_has_run() {
    let cut = run(&["check", "--replay", "model/upstream-failed-delete/0.0.0"]);
    assert_eq!(cut.status.code(), Some(0));
    let text = String::from_utf8_lossy(&cut.stdout);
    assert!(text.contains("This run breaks no invariant."), "{text}");
    assert!(!text.contains("Every invariant holds"), "{text}");
}

#[test]
fn a_report_stands_until_there_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let path = page.to_str().expect("a path");
    std::fs::write(&page, "the last one, which is a good deal longer".repeat(100_000))
        .expect("a page");

    let failed = run(&["check", "--replay", "x", "--report", path]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(std::fs::read_to_string(&page).expect("a page").starts_with("the last one"));

    let replaced = run(&["check", "--protocol", "no-fence", "--report", path]);
    assert_eq!(replaced.status.code(), Some(1));
    let text = std::fs::read_to_string(&page).expect("a page");
    assert!(text.starts_with("<!") && text.trim_end().ends_with("</html>"), "{}", text.len());
}
