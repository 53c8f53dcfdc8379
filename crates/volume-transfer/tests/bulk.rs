//! `bulk` against a developer stack: everything arrives once, whatever ends a run.

#[path = "cli/program.rs"]
mod program;
#[path = "bulk/stops.rs"]
mod stops;

use program::{Stack, program};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use volume_transfer::ready::Ready;
use volume_transfer::stage::User;

const PASSWORD: &str = "secret";

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
        Self::with(volumes, &[]).await
    }

    async fn with(volumes: usize, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clouds = folder.path().join("clouds.yaml");
        let state = folder.path().join("state");
        let arguments = ["serve", "--dev", "--clouds", clouds.to_str().expect("a path")];
        let state = ["--state-dir", state.to_str().expect("a path")];
        let arguments = [&arguments[..], &state, more].concat();
        let (stack, urls) = Stack::start(folder.path(), &arguments);
        let admin = log_in(&urls, "admin", "admin").await;
        admin.create_encrypted_type("luks").await.expect("a type");
        let (x, y) = (log_in(&urls, "x", "donor").await, log_in(&urls, "y", "recipient").await);
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

async fn log_in(urls: &Ready, user: &str, project: &str) -> User {
    User::log_in(urls, user, PASSWORD, project).await.expect("a token")
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
async fn what_has_come_to_fit_since_is_moved_too_and_another_selection_is_another_run() {
    let ground = Ground::new(1).await;
    assert_eq!(ground.run(&["--name", "import-*"]).status.code(), Some(0));
    ground.x.create_volume("import-late", Some("luks")).await.expect("a volume");
    let ahead = json_of(&ground.run(&["--name", "import-*", "--dry-run", "--json"]));
    assert_eq!((&ahead["volumes"], &ahead["arrived_before"]), (&1.into(), &1.into()), "{ahead}");
    assert_eq!(ahead["moving"][0]["name"], "import-late", "{ahead}");
    let done = json_of(&ground.run(&["--name", "import-*", "--json"]));
    assert_eq!((&done["arrived"], &done["arrived_before"]), (&1.into(), &1.into()), "{done}");

    for more in [&["--all"][..], &["--all", "--dry-run"]] {
        let refused = ground.run(more);
        assert_eq!(refused.status.code(), Some(2));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains("is of a run of --name import-*, not of --all"), "{words}");
    }
    // Whoever does not say which volumes goes on with whatever there is.
    assert_eq!(ground.run(&["--json"]).status.code(), Some(0));
    assert_eq!(ground.names(&ground.x).await, BTreeSet::from(["plain".to_owned()]));
}

/// The journal that run `r` of the volumes called `import-*` would have left.
fn write_journal(ground: &Ground, lines: &[Value]) {
    let party = |cloud: &str, user: &User| json!({"cloud": cloud, "project": user.project});
    let head = json!({
        "version": 1, "run": "r", "donor": party("donor", &ground.x),
        "recipient": party("recipient", &ground.y), "selection": "--name import-*",
    });
    let lines = [head].iter().chain(lines).map(|line| format!("{line}\n")).collect::<String>();
    std::fs::write(ground.path("journal"), lines).expect("a journal");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(ground.path("journal"), private).expect("its mode");
}

/// What an earlier run gave up, since another one was at it, has arrived by that one.
#[tokio::test]
async fn what_has_arrived_meanwhile_has_not_failed() {
    let ground = Ground::new(2).await;
    let (one, other) = (volume(&ground, "import-0").await, volume(&ground, "import-1").await);
    let failed = |volume: &str| json!({"volume": volume, "place": "failed", "reason": "busy"});
    write_journal(&ground, &[failed(&one), failed(&other)]);
    let (offer, auth_key) = offer_as(&ground, &one, "mine").await;
    let accepted = ground.y.accept(&ground.urls.block_storage, &offer, &auth_key).await;
    accepted.expect("a reply").expect(202).expect("accepted");
    let done = json_of(&ground.run(&["--name", "import-*", "--json"]));
    assert_eq!((&done["arrived"], &done["arrived_before"]), (&0.into(), &1.into()), "{done}");
    assert_eq!(done["failed"][0]["volume"], other, "{done}");
}

/// Its own open offers, left by a crash, are no obstacle; what has arrived is not looked for, even
/// if the run does not know yet that it has; what it has given up is told.
#[tokio::test]
async fn a_dry_run_knows_the_run_that_it_looks_ahead_of() {
    let ground = Ground::new(3).await;
    let (one, other) = (volume(&ground, "import-0").await, volume(&ground, "import-1").await);
    let busy = volume(&ground, "import-2").await;
    let place = |volume: &str, place: &str| json!({"volume": volume, "place": place});
    let failed = json!({"volume": busy, "name": "import-2", "place": "failed", "reason": "busy"});
    write_journal(
        &ground,
        &[place(&one, "planned"), place(&other, "planned"), place("gone", "arrived"), failed],
    );
    offer_as(&ground, &one, "bulk-r").await;
    let (offer, auth_key) = offer_as(&ground, &other, "bulk-r").await;
    let accepted = ground.y.accept(&ground.urls.block_storage, &offer, &auth_key).await;
    accepted.expect("a reply").expect(202).expect("accepted");

    for (more, clear, volumes, failed) in [
        (&[][..], false, 1, json!([{"volume": busy, "name": "import-2", "reason": "busy"}])),
        (&["--retry-failed"], true, 2, json!([])),
    ] {
        let output = ground.run(&[&["--name", "import-*", "--dry-run", "--json"], more].concat());
        let ahead = json_of(&output);
        assert_eq!(output.status.code(), Some(i32::from(!clear)), "{ahead}");
        assert_eq!((&ahead["clear"], &ahead["volumes"]), (&clear.into(), &volumes.into()));
        let before = (&ahead["arrived_before"], &ahead["on_offer"]);
        assert_eq!(before, (&2.into(), &1.into()), "{ahead}");
        assert_eq!(ahead["failed_before"], failed, "{ahead}");
        assert_eq!(ahead["failures"], json!([]), "{ahead}");
    }
    let done = json_of(&ground.run(&["--name", "import-*", "--retry-failed", "--json"]));
    assert_eq!((&done["complete"], &done["arrived"]), (&true.into(), &3.into()), "{done}");
}

/// A report that nobody can read keeps nothing from arriving, and it has arrived.
#[tokio::test]
async fn a_run_does_not_need_somebody_to_tell() {
    let ground = Ground::new(2).await;
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
    let mut run = ground.bulk(&["--all"]);
    let output = run.stdout(full()).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("the report cannot be written"), "{told}");
    assert_eq!(ground.names(&ground.x).await, BTreeSet::new());
    ground.x.create_volume("late", None).await.expect("a volume");
    let mut run = ground.bulk(&["--all"]);
    let status = run.stdout(full()).stderr(full()).status().expect("it runs");
    assert_eq!(status.code(), Some(0));
    assert_eq!(ground.names(&ground.x).await, BTreeSet::new());
}

#[tokio::test]
async fn what_cannot_be_moved_is_foreseen_fails_and_is_tried_again_on_demand() {
    let ground = Ground::new(2).await;
    let names = ["import-0", "import-1"];
    std::fs::write(ground.path("list.csv"), format!("name\n{}\n", names.join("\n"))).expect("list");
    let list = ground.path("list.csv");
    let list = ["--list", list.to_str().expect("a path"), "--json"];
    let (offered, _) = offer_as(&ground, &volume(&ground, "import-1").await, "mine").await;

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

/// The id of a volume of the donor's.
async fn volume(ground: &Ground, name: &str) -> String {
    let path = format!("/volumes?name={name}");
    let reply = ground.x.block_storage(reqwest::Method::GET, &path, None).await.expect("a list");
    reply.text("/volumes/0/id").expect("an id")
}

/// Offers a volume, and returns the offer's id and its auth key.
async fn offer_as(ground: &Ground, volume: &str, name: &str) -> (String, String) {
    let body = json!({"transfer": {"volume_id": volume, "name": name}});
    let path = "/volume-transfers";
    let offered = ground.x.block_storage(reqwest::Method::POST, path, Some(body)).await;
    let offered = offered.expect("a reply");
    let text = |name: &str| offered.text(&format!("/transfer/{name}")).expect("a text");
    (text("id"), text("auth_key"))
}

/// What the run of a journal calls its offers.
fn offer_name(journal: &str) -> String {
    let head: Value = serde_json::from_str(journal.lines().next().expect("a head")).expect("JSON");
    format!("bulk-{}", head["run"].as_str().expect("an id"))
}

/// What a run finds that ended before it could write down what became of its request.
#[tokio::test]
async fn only_an_offer_of_the_run_itself_is_made_again() {
    let ground = Ground::new(1).await;
    let output = ground.run(&["--all", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{:?}", json_of(&output));
    let journal = ground.path("journal");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let own = offer_name(&text);
    let mut lines = text;
    let mut offers = Vec::new();
    for (name, offer_name) in [("own", own.as_str()), ("foreign", "bulk-of-others")] {
        let volume = ground.x.create_volume(name, None).await.expect("a volume");
        offers.push(offer_as(&ground, &volume, offer_name).await.0);
        lines += &format!("{}\n", json!({"volume": volume, "place": "planned"}));
    }
    std::fs::write(&journal, lines).expect("written");

    let output = ground.run(&["--json"]);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(1), "{done}");
    assert_eq!((&done["arrived"], &done["left"]), (&1.into(), &0.into()), "{done}");
    let reason = done["failed"][0]["reason"].as_str().expect("a reason");
    assert_eq!(reason, format!("is on offer already, as transfer {}", offers[1]), "{done}");
    assert_eq!(ground.offers().await, 1);
    assert!(ground.names(&ground.y).await.contains("own"));
}

/// What a killed run leaves: offers whose auth keys are known or lost, and one that was accepted.
#[tokio::test]
async fn the_offers_of_a_run_are_taken_back_on_demand_and_no_others() {
    let ground = Ground::new(4).await;
    let output = ground.run(&["--name", "import-3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{:?}", json_of(&output));
    let journal = ground.path("journal");
    let mut lines = std::fs::read_to_string(&journal).expect("a journal");
    let own = offer_name(&lines);
    let mut foreign = String::new();
    for (number, name) in [own.as_str(), own.as_str(), own.as_str(), "others"].iter().enumerate() {
        let volume = match number {
            3 => ground.x.create_volume("foreign", None).await.expect("a volume"),
            _ => volume(&ground, &format!("import-{number}")).await,
        };
        let (offer, auth_key) = offer_as(&ground, &volume, name).await;
        let known = json!({"volume": volume, "place": "offered", "transfer": offer,
            "auth_key": auth_key});
        let lost = json!({"volume": volume, "place": "planned"});
        match number {
            0 => lines += &format!("{lost}\n"),
            1 => lines += &format!("{lost}\n{known}\n"),
            2 => {
                lines += &format!("{known}\n");
                let accept = ground.y.accept(&ground.urls.block_storage, &offer, &auth_key).await;
                accept.expect("a reply").expect(202).expect("accepted");
            }
            _ => foreign = offer,
        }
    }
    lines += &format!("{}\n", json!({"volume": "given-up", "place": "failed", "reason": "busy"}));
    std::fs::write(&journal, lines).expect("written");

    let output = ground.run(&["--take-back", "--json"]);
    let done = json_of(&output);
    assert_eq!(output.status.code(), Some(0), "{done}");
    let counts = (&done["taken_back"], &done["arrived"], &done["complete"]);
    assert_eq!(counts, (&2.into(), &1.into(), &true.into()), "{done}");
    let others = (&done["arrived_before"], &done["failed_before"][0]["reason"], &done["left"]);
    assert_eq!(others, (&1.into(), &"busy".into(), &2.into()), "{done}");
    assert_eq!(journal_keys(&journal), 0, "no auth key stays");
    let offers = ground.x.offers(&ground.urls.block_storage).await.expect("a list");
    let offers = offers.body["transfers"].as_array().expect("transfers").clone();
    assert_eq!(offers.iter().map(|offer| &offer["id"]).collect::<Vec<_>>(), [&json!(foreign)]);

    let again = json_of(&ground.run(&["--json"]));
    assert_eq!((&again["left"], &again["arrived"]), (&0.into(), &2.into()), "{again}");
    ground.stack.stop();
}

#[tokio::test]
async fn without_a_journal_there_is_nothing_to_take_back() {
    let ground = Ground::new(0).await;
    let output = ground.run(&["--take-back"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("there is no journal"), "{text}");
    assert!(!ground.path("journal").exists());
}

/// Snapshots, private types, and roles that let nobody store a key: the runs then fail as was said.
#[tokio::test]
async fn each_thing_that_will_fail_is_foreseen() {
    let ground = Ground::with(3, &["--barbican-policy", "legacy"]).await;
    let admin = log_in(&ground.urls, "admin", "admin").await;
    let database = format!("sqlite:///{}", ground.path("state/cinder.sqlite").display());
    let database = sqlx::SqlitePool::connect(&database).await.expect("the stack's database");
    let hidden = volume(&ground, "import-0").await;
    let private = "UPDATE volume_types SET is_public = 0 WHERE name = 'private'";
    admin.create_encrypted_type("private").await.expect("a type");
    let typed = ground.x.create_volume("import-typed", Some("private")).await.expect("a volume");
    sqlx::query(private).execute(&database).await.expect("updated");
    let snapshot = format!("/snapshots?volume_id={hidden}");
    let get = reqwest::Method::GET;
    let snapshot = ground.x.block_storage(get.clone(), &snapshot, None).await.expect("a list");
    let snapshot = snapshot.text("/snapshots/0/id").expect("an id");
    let path = format!("/snapshots/{snapshot}/action");
    let reset = json!({"os-reset_status": {"status": "error"}});
    let reset = admin.block_storage(reqwest::Method::POST, &path, Some(reset)).await;
    reset.expect("a reply").expect(202).expect("it is in error now");

    let ahead = json_of(&ground.run(&["--name", "import-*", "--dry-run", "--json"]));
    let failure = |volume: &str| {
        let failures = ahead["failures"].as_array().expect("failures");
        let found = failures.iter().find(|failed| failed["volume"] == volume);
        found.and_then(|failed| failed["reason"].as_str()).unwrap_or_default().to_owned()
    };
    let words = format!("the status of its snapshot {snapshot} is error, not available");
    assert_eq!(failure(&hidden), words, "{ahead}");
    assert_eq!(failure(&typed), "the recipient has no access to its type private", "{ahead}");
    assert_eq!(ahead["obstacles"], json!([]), "{ahead}");
    let done = json_of(&ground.run(&["--name", "import-*", "--json"]));
    let failed = done["failed"].as_array().expect("a list");
    let failed: BTreeSet<_> = failed.iter().map(|failed| failed["volume"].as_str()).collect();
    assert_eq!(failed, BTreeSet::from([Some(hidden.as_str()), Some(typed.as_str())]), "{done}");

    // Under the legacy policy a member may not store a key unless they are creator, too.
    let find = async |what: &str, name: &str| {
        let url = format!("{}/v3/{what}?name={name}", ground.urls.identity);
        let reply = admin.ask(get.clone(), &url, None).await.expect("a list");
        reply.text(&format!("/{what}/0/id")).expect("an id")
    };
    let (user, role) = (find("users", "y").await, find("roles", "creator").await);
    let grant = format!(
        "{}/v3/projects/{}/users/{user}/roles/{role}",
        ground.urls.identity, ground.y.project
    );
    let revoked = admin.ask(reqwest::Method::DELETE, &grant, None).await.expect("a reply");
    revoked.expect(204).expect("revoked");
    std::fs::remove_file(ground.path("journal")).expect("removed");
    ground.x.create_volume("late", Some("luks")).await.expect("a volume");
    let ahead = json_of(&ground.run(&["--name", "late", "--dry-run", "--json"]));
    let obstacle = ahead["obstacles"][0].as_str().unwrap_or_default();
    assert!(obstacle.contains("does not let the recipient at keys"), "{ahead}");
    let output = ground.run(&["--name", "late", "--json"]);
    let done = json_of(&output);
    assert!(done["stopped"].as_str().is_some_and(|why| why.contains("403")), "{done}");
    assert_eq!(ground.offers().await, 0, "{done}");
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
    let whose = format!("recipient \"recipient\", project {}: refused with", ground.y.project);
    let stopped = done["stopped"].as_str().expect("a reason");
    assert!(stopped.starts_with(&whose) && stopped.contains("413"), "{done}");
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
