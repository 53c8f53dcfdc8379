//! `bulk` against a developer stack: everything arrives once, whatever ends a run.

#[path = "cli/program.rs"]
mod program;

use program::{Stack, program};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use volume_transfer::ready::Ready;
use volume_transfer::stage::User;

const PASSWORD: &str = "secret";
/// As many as the quota of a project allows beside the plain one.
const VOLUMES: usize = 9;

/// A stack with encrypted volumes of the donor, each with a snapshot, and a plain one.
struct Ground {
    folder: tempfile::TempDir,
    stack: Stack,
    urls: Ready,
    x: User,
    y: User,
}

impl Ground {
    async fn new(volumes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clouds = folder.path().join("clouds.yaml");
        let arguments = ["serve", "--dev", "--clouds", clouds.to_str().expect("a path")];
        let (stack, urls) = Stack::start(folder.path(), &arguments);
        let log_in = async |user: &str, project: &str| {
            User::log_in(&urls, user, PASSWORD, project).await.expect("a token")
        };
        log_in("admin", "admin").await.create_encrypted_type("luks").await.expect("a type");
        let (x, y) = (log_in("x", "donor").await, log_in("y", "recipient").await);
        for number in 0..volumes {
            let name = format!("import-{number}");
            let volume = x.create_volume(&name, Some("luks")).await.expect("a volume");
            x.create_snapshot(&name, &volume).await.expect("a snapshot");
        }
        x.create_volume("plain", None).await.expect("a volume");
        Self { folder, stack, urls, x, y }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bulk(&self, more: &[&str]) -> Command {
        let mut command = program();
        command.args(["bulk", "--from", "donor", "--to", "recipient", "--clouds"]);
        command.arg(self.path("clouds.yaml")).arg("--journal").arg(self.path("journal"));
        command.args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.bulk(more).output().expect("the program starts")
    }

    /// The names of a project's volumes.
    async fn names(&self, user: &User) -> BTreeSet<String> {
        let path = "/volumes/detail";
        let reply = user.block_storage(reqwest::Method::GET, path, None).await.expect("a list");
        let volumes = reply.body["volumes"].as_array().expect("volumes").clone();
        let name = |volume: &Value| volume["name"].as_str().expect("a name").to_owned();
        assert!(volumes.iter().all(|volume| volume["status"] == "available"), "{volumes:?}");
        volumes.iter().map(name).collect()
    }

    async fn offers(&self) -> usize {
        let offers = self.x.offers(&self.urls.block_storage).await.expect("a list");
        offers.body["transfers"].as_array().expect("transfers").len()
    }
}

fn json_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn journal_keys(journal: &Path) -> usize {
    std::fs::read_to_string(journal).expect("a journal").matches("auth_key").count()
}

#[tokio::test]
async fn what_is_meant_arrives_and_the_rest_stays() {
    let ground = Ground::new(3).await;
    let ahead = json_of(&ground.run(&["--name", "import-*", "--dry-run", "--json"]));
    assert_eq!((&ahead["clear"], &ahead["volumes"]), (&true.into(), &3.into()), "{ahead}");
    assert!(!ground.path("journal").exists(), "a dry run leaves nothing");

    let output = ground.run(&["--name", "import-*", "--json"]);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(0), "{done}");
    assert_eq!((&done["complete"], &done["arrived"]), (&true.into(), &3.into()), "{done}");
    let names = |numbers: std::ops::Range<usize>| -> BTreeSet<String> {
        numbers.map(|number| format!("import-{number}")).collect()
    };
    assert_eq!(ground.names(&ground.y).await, names(0..3));
    assert_eq!(ground.names(&ground.x).await, BTreeSet::from(["plain".to_owned()]));
    assert_eq!(journal_keys(&ground.path("journal")), 0, "no auth key stays");
    let mode = ground.path("journal").metadata().expect("a journal").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = json_of(&ground.run(&["--name", "import-*", "--json"]));
    assert_eq!((&again["arrived"], &again["arrived_before"]), (&0.into(), &3.into()), "{again}");
}

#[tokio::test]
async fn what_cannot_be_moved_is_foreseen_fails_and_is_tried_again_on_demand() {
    let ground = Ground::new(2).await;
    let names = ["import-0", "import-1"];
    std::fs::write(ground.path("list.csv"), format!("name\n{}\n", names.join("\n"))).expect("list");
    let list = ground.path("list.csv");
    let list = ["--list", list.to_str().expect("a path"), "--json"];
    let offered = offer(&ground, "import-1").await;

    let output = ground.run(&[&list[..], &["--dry-run"]].concat());
    let ahead = json_of(&output);
    assert_eq!(output.status.code(), Some(1), "{ahead}");
    let reason = ahead["failures"][0]["reason"].as_str().expect("a reason");
    assert_eq!(reason, "its status is awaiting-transfer, not available");

    let output = ground.run(&list);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(1), "{done}");
    assert_eq!((&done["arrived"], &done["left"]), (&1.into(), &0.into()), "{done}");
    let reason = done["failed"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("Invalid volume"), "Cinder's words: {reason}");

    let cancelled = ground.x.cancel(&ground.urls.block_storage, &offered).await.expect("a reply");
    cancelled.expect(202).expect("cancelled");
    let done = json_of(&ground.run(&[&list[..], &["--retry-failed"]].concat()));
    assert_eq!((&done["complete"], &done["arrived"]), (&true.into(), &1.into()), "{done}");
}

/// Offers a volume, and returns the offer's id.
async fn offer(ground: &Ground, name: &str) -> String {
    let path = format!("/volumes?name={name}");
    let reply = ground.x.block_storage(reqwest::Method::GET, &path, None).await.expect("a list");
    let volume = reply.text("/volumes/0/id").expect("an id");
    let offered = ground.x.offer(&ground.urls.block_storage, &volume).await.expect("a reply");
    offered.text("/transfer/id").expect("an id")
}

/// What a run finds that ended before it could write down what became of its request.
#[tokio::test]
async fn only_an_offer_of_the_run_itself_is_made_again() {
    let ground = Ground::new(1).await;
    let output = ground.run(&["--all", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{:?}", json_of(&output));
    let journal = ground.path("journal");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let head: Value = serde_json::from_str(text.lines().next().expect("a head")).expect("JSON");
    let own = format!("bulk-{}", head["run"].as_str().expect("an id"));
    let mut lines = text;
    let mut offers = Vec::new();
    for (name, offer_name) in [("own", own.as_str()), ("foreign", "bulk-of-others")] {
        let volume = ground.x.create_volume(name, None).await.expect("a volume");
        let body = serde_json::json!({"transfer": {"volume_id": volume, "name": offer_name}});
        let post = reqwest::Method::POST;
        let offered = ground.x.block_storage(post, "/volume-transfers", Some(body)).await;
        offers.push(offered.expect("a reply").text("/transfer/id").expect("an id"));
        lines += &format!("{}\n", serde_json::json!({"volume": volume, "place": "planned"}));
    }
    std::fs::write(&journal, lines).expect("written");

    let output = ground.run(&["--json"]);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(1), "{done}");
    assert_eq!((&done["arrived"], &done["left"]), (&1.into(), &0.into()), "{done}");
    let reason = done["failed"][0]["reason"].as_str().expect("a reason");
    assert_eq!(reason, format!("is on offer already, as transfer {}", offers[1]));
    assert_eq!(ground.offers().await, 1);
    assert!(ground.names(&ground.y).await.contains("own"));
}

#[tokio::test]
async fn a_run_that_is_killed_again_and_again_brings_every_volume_once() {
    let ground = Ground::new(VOLUMES).await;
    for _ in 0..3 {
        // The run dies in the midst of the next ones.
        let mut child = ground
            .bulk(&["--name", "import-*", "--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let told = lines.find(|line| line.as_ref().expect("a line").contains(" of 9 volumes"));
        assert!(told.is_some(), "it tells how far it is");
        child.kill().expect("killed");
        child.wait().expect("an exit status");
    }
    let output = ground.run(&["--jobs", "2", "--json"]);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(0), "{done}");
    let before = done["arrived_before"].as_u64().expect("a number");
    assert!(before >= 3, "each run got somewhere: {done}");
    let expected: BTreeSet<_> = (0..VOLUMES).map(|number| format!("import-{number}")).collect();
    assert_eq!(ground.names(&ground.y).await, expected);
    assert_eq!(ground.offers().await, 0);
    assert_eq!(journal_keys(&ground.path("journal")), 0);
    ground.stack.stop();
}

#[tokio::test]
async fn a_quota_that_is_used_up_stops_the_run_and_takes_the_last_offer_back() {
    let ground = Ground::new(3).await;
    for number in 0..8 {
        ground.y.create_volume(&format!("own-{number}"), None).await.expect("a volume");
    }
    let ahead = json_of(&ground.run(&["--all", "--dry-run", "--json"]));
    let obstacle = ahead["obstacles"][0].as_str().expect("an obstacle");
    assert_eq!(obstacle, "the recipient's quota of volumes has room for 2, 4 are needed");

    let output = ground.run(&["--all", "--jobs", "1", "--json"]);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(1), "{done}");
    assert_eq!((&done["arrived"], &done["left"]), (&2.into(), &2.into()), "{done}");
    assert!(done["stopped"].as_str().expect("a reason").contains("413"), "{done}");
    assert_eq!(ground.offers().await, 0, "nothing is left on offer");
    assert_eq!(ground.names(&ground.x).await.len(), 2);
}

#[tokio::test]
async fn what_would_go_wrong_with_every_volume_stops_the_run() {
    let ground = Ground::new(4).await;
    let third = ["bulk", "--from", "donor", "--to", "nobody", "--all", "--clouds"];
    let clouds = ground.path("clouds.yaml");
    let output = program().args(third).arg(&clouds).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no cloud \"nobody\"") && text.contains("recipient"), "{text}");

    let output = ground.run(&[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("say --all"), "{text}");
    assert!(!ground.path("journal").exists(), "nothing was begun");

    let text = std::fs::read_to_string(&clouds).expect("clouds.yaml");
    std::fs::write(&clouds, text.replace("password: secret", "password: wrong")).expect("written");
    let output = ground.run(&["--all"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("401") && !text.contains("wrong"), "{text}");
}
