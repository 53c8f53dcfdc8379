//! `cinder.conf` as the program takes it: what counts in the end and why, what is refused, and
//! that what it says takes effect.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SECRETS: [&str; 4] = ["hush-connection", "hush-password", "hush-rabbit", "hush-variable"];

const CONF: &str = "[DEFAULT]
transport_url = rabbit://cinder:hush-rabbit@mq:5672/
quota_volumes = 20
osapi_volume_listen = $my_ip
my_ip = 127.0.0.1
debug: yes

[database]
connection = mysql+pymysql://cinder:hush-connection@db/cinder?charset=utf8
max_pool_size = 7

[keystone_authtoken]
auth_section = service
service_token_roles = service, admin

[service]
auth_url = http://keystone:5000
password = hush-password
user_domain_id = default

[key_manager]
api_class = castellan.key_manager.barbican_key_manager.BarbicanKeyManager

[lvm]
volume_group = vg

[volume_transfer]
lease_ms = 90000
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("a path").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.0.path(), name)
    }
}

fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volume-transfer"));
    for (name, _) in std::env::vars() {
        if name.starts_with("OS_") || name.starts_with("VOLUME_TRANSFER_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let output = program(arguments, variables).output().expect("the program starts");
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{arguments:?} shows {secret}: {text}");
        }
    }
    output
}

/// What `config --json` says, as `value @ place`, with the folder's name left out.
fn effective(
    folder: &Folder,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> impl Fn(&str) -> String + use<> {
    let output = run(&[&["config", "--json"], arguments].concat(), variables);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let root = format!("{}/", folder.0.path().display());
    move |name| {
        let (group, name) = name.split_once('.').expect("group.name");
        let one = all.iter().find(|one| one["group"] == group && one["name"] == name).expect(name);
        let value = one["value"].as_str().unwrap_or("none");
        let place = one["place"].as_str().unwrap_or("default");
        format!("{value} @ {}", place.replace(&root, ""))
    }
}

#[test]
fn every_option_is_told_with_its_place() {
    let folder = Folder::new();
    let file = folder.write("cinder.conf", CONF);
    folder.write("d/b.conf", "[DEFAULT]\nquota_volumes = 30\n");
    folder.write("d/a.conf", "[DEFAULT]\nquota_volumes = 25\nquota_snapshots = 26\n");
    let dir = folder.path("d");
    let dir = dir.to_str().expect("a path");
    let told = effective(
        &folder,
        &["--config-file", &file, "--config-dir", dir, "--lease-ms", "95000", "--insecure"],
        &[
            ("VOLUME_TRANSFER_LEASE_MS", "1"),
            ("OS_USERNAME", "someone"),
            ("VOLUME_TRANSFER_PASSWORD", "hush-variable"),
        ],
    );
    for (name, expected) in [
        ("DEFAULT.quota_volumes", "30 @ d/b.conf:2"),
        ("DEFAULT.quota_snapshots", "26 @ d/a.conf:3"),
        ("DEFAULT.quota_gigabytes", "1000 @ default"),
        ("DEFAULT.transport_url", "rabbit://cinder:***@mq:5672/ @ cinder.conf:2"),
        ("DEFAULT.osapi_volume_listen", "127.0.0.1 @ cinder.conf:4"),
        ("DEFAULT.debug", "True @ cinder.conf:6"),
        ("database.connection", "mysql+pymysql://cinder:***@db/cinder @ cinder.conf:9"),
        ("database.pool_timeout", "none @ default"),
        ("keystone_authtoken.auth_url", "http://keystone:5000/ @ cinder.conf:17"),
        ("keystone_authtoken.username", "someone @ OS_USERNAME"),
        ("keystone_authtoken.password", "*** @ VOLUME_TRANSFER_PASSWORD"),
        ("keystone_authtoken.insecure", "True @ --insecure"),
        ("barbican.verify_ssl", "False @ --insecure"),
        ("keystone_authtoken.service_token_roles", "service,admin @ cinder.conf:14"),
        ("volume_transfer.lease_ms", "95000 @ --lease-ms"),
        ("volume_transfer.patience_ms", "15000 @ default"),
    ] {
        assert_eq!(told(name), expected, "{name}");
    }
    let before = ["--config-dir", dir, "--config-file", &file];
    assert_eq!(effective(&folder, &before, &[])("DEFAULT.quota_volumes"), "20 @ cinder.conf:3");
}

#[test]
fn the_text_is_for_people() {
    let folder = Folder::new();
    let file = folder.write("cinder.conf", CONF);
    let output = run(&["config", "--config-file", &file], &[]);
    let text = String::from_utf8(output.stdout).expect("text");
    let line = |begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin)).expect(begin);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(text.starts_with("[DEFAULT]\n") && text.contains("\n\n[database]\n"), "{text}");
    assert_eq!(line("max_pool_size"), format!("max_pool_size = 7 # {file}:10"));
    assert_eq!(line("quota_gigabytes"), "quota_gigabytes = 1000 # default");
    assert_eq!(line("log_file"), "log_file = # default");
    let unused = format!("# {file}:2; not used: no messages are sent");
    assert!(line("transport_url").ends_with(&unused), "{text}");
}

#[test]
fn what_cannot_be_used_is_told_with_file_line_and_remedy() {
    for (text, words) in [
        (
            "[database]\nmax_pool_size = many\n",
            "cinder.conf:2: [database] max_pool_size = \"many\": not a whole number; write digits",
        ),
        ("[volume_transfer]\nlease_sm = 1\n", "cinder.conf:2: [volume_transfer] lease_sm"),
        ("[volume_transfer]\ndatabase = x\n", "there is no such option"),
        (
            "[key_manager]\nbackend = cinder.keymgr.conf_key_mgr.ConfKeyManager\n",
            "cinder.conf:2: [key_manager] backend = \"cinder.keymgr.conf_key_mgr.ConfKeyManager\": \
             only keys in Barbican change hands; migrate the keys to Barbican",
        ),
        (
            "[keystone_authtoken]\nauth_type = v3kerberos\n",
            "cinder.conf:2: [keystone_authtoken] auth_type = \"v3kerberos\": not known; write",
        ),
        (
            "[keystone_authtoken]\ncafile = /x\ninsecure = true\n",
            "cinder.conf:3: [keystone_authtoken] insecure = \"true\": contradicts cafile, ",
        ),
        (
            "[volume_transfer]\nlease_ms = 1000\n",
            "cinder.conf:2: [volume_transfer] lease_ms = \"1000\": lease of 1s is too short",
        ),
        ("[database]\n  connection = hush-connection\n", "cinder.conf:2: an indented line"),
        (
            "[database]\nconnection = oracle://x:hush-connection@db/cinder\n",
            "cinder.conf:2: [database] connection: database url with scheme \"oracle\"",
        ),
        (
            "[database]\nconnection = mysql://x:hush-connection@db:99999/cinder\n",
            "cinder.conf:2: [database] connection: the database url has a wrong port",
        ),
        ("connection = hush-connection\n", "cinder.conf:1: an assignment before the first section"),
        (
            "[keystone_authtoken]\npassword = $hush-password\n",
            "cinder.conf:2: [keystone_authtoken] password: there is a $ before what is no option",
        ),
    ] {
        let folder = Folder::new();
        let file = folder.write("cinder.conf", text);
        for command in ["config", "serve", "recover"] {
            let output = run(&[command, "--config-file", &file], &[]);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {text}: {told}");
            assert!(told.contains(words), "{command} {text}: {told}");
        }
    }
}

/// What `serve` finds out before it speaks to anybody, `config` finds out as well.
#[test]
fn what_serve_would_not_take_config_does_not_take() {
    let database = "[database]\nconnection = sqlite:////nowhere/x.sqlite\n";
    let keystone = "[keystone_authtoken]\nauth_url = http://127.0.0.1:1\n";
    let password = "password = hush-password\n";
    for (text, words) in [
        (String::new(), "no database: say --database"),
        (database.to_owned(), "no Keystone: say --auth-url"),
        (format!("{database}{keystone}"), "password"),
        (
            format!("{database}{keystone}{password}cafile = /nowhere.pem\n"),
            "no certificate authority could be read from /nowhere.pem",
        ),
        (
            format!(
                "{database}{keystone}{password}[volume_transfer]\nlisten = 127.0.0.1:9\n\
                 metrics_listen = 127.0.0.1:9\n"
            ),
            "the API listens there; write another port",
        ),
    ] {
        let folder = Folder::new();
        let file = folder.write("cinder.conf", &text);
        let output = run(&["config", "--config-file", &file], &[]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}: {told}");
        assert!(told.contains(words), "{text}: {told}");
    }
}

#[test]
fn a_flag_settles_what_the_file_leaves_to_contradict() {
    let folder = Folder::new();
    let file = folder.write(
        "cinder.conf",
        "[database]\nconnection = sqlite:////x\n[keystone_authtoken]\ncafile = /x\n\
             auth_url = http://127.0.0.1:1\npassword = hush-password\n\
             [barbican]\nverify_ssl = no\n",
    );
    for (flags, code, words) in [
        (&["--insecure"][..], 0, ""),
        (&["--cacert", "/nowhere.pem"], 2, "could be read from /nowhere.pem"),
    ] {
        let output = run(&[&["config", "--config-file", &file], flags].concat(), &[]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {told}");
        assert!(told.contains(words), "{told}");
    }
}

/// One pass of recovery is a service that is put together from its settings and stops.
#[test]
fn recovery_runs_from_cinder_conf_alone() {
    let folder = Folder::new();
    let database = folder.path("cinder.sqlite");
    let log = folder.path("transfer.log");
    let file = folder.write(
        "cinder.conf",
        &format!(
            "[DEFAULT]\nlog_dir = {}\nlog_file = transfer.log\ndebug = true\n\
             [database]\nconnection = sqlite:///{}?mode=rwc\n\
             [keystone_authtoken]\nauth_url = http://127.0.0.1:1/v3\nauth_type = password\n\
             username = cinder\npassword = hush-password\n\
             [barbican]\nbarbican_endpoint = http://127.0.0.1:1\n\
             [volume_transfer]\ncreate_tables = yes\n",
            folder.0.path().display(),
            database.display()
        ),
    );
    let output = run(&["recover", "--json", "--config-file", &file], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["under_way"], 0);
    assert!(database.exists() && log.exists());
    assert!(output.stderr.is_empty(), "logs go to the file alone");
}

#[test]
fn flags_beat_variables_and_files_and_a_password_may_have_a_file() {
    let folder = Folder::new();
    let file = folder.write("cinder.conf", CONF);
    let other = format!("sqlite:///{}?mode=rwc", folder.path("other.sqlite").display());
    let base = ["recover", "--config-file", &file, "--database", &other, "--create-tables"];
    let here = ["--auth-url", "http://127.0.0.1:1/v3", "--key-manager-url", "http://127.0.0.1:1"];
    let output = run(&[&base[..], &here].concat(), &[("VOLUME_TRANSFER_DATABASE", "oracle://x")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(folder.path("other.sqlite").exists());
    let missing = [&base[..], &here, &["--password-file", "/nonexistent"]].concat();
    let output = run(&missing, &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("secret file /nonexistent cannot be read"), "{told}");
}

/// What a server answers to a plain request, headers and all.
fn get(url: &str, path: &str) -> String {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply
}

#[test]
fn what_cinder_conf_says_takes_effect() {
    let folder = Folder::new();
    let file = folder.write(
        "cinder.conf",
        &format!(
            "[DEFAULT]\npublic_endpoint = https://volume.example/cinder\n\
             osapi_volume_listen = 127.0.0.1\nosapi_volume_listen_port = 0\n\
             [database]\nconnection = sqlite:///{}?mode=rwc\n\
             [keystone_authtoken]\nauth_url = http://127.0.0.1:1/v3\npassword = hush-password\n\
             www_authenticate_uri = http://keystone.example/v3\n\
             [barbican]\nbarbican_endpoint = http://127.0.0.1:1\n\
             [volume_transfer]\ncreate_tables = yes\n",
            folder.path("cinder.sqlite").display()
        ),
    );
    let ready = folder.path("ready.json");
    let mut command = program(&["serve", "--config-file", &file, "--ready-file"], &[]);
    let mut child = command.arg(&ready).stderr(Stdio::null()).spawn().expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ready.exists() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let urls: Value =
        serde_json::from_str(&std::fs::read_to_string(&ready).expect("ready")).expect("JSON");
    let url = urls["block_storage"].as_str().expect("a URL");
    let (versions, refused) = (get(url, "/"), get(url, "/v3/p/volume-transfers"));
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    assert!(versions.contains("https://volume.example/cinder/v3/"), "{versions}");
    assert!(refused.contains("http://keystone.example/v3"), "{refused}");
}
