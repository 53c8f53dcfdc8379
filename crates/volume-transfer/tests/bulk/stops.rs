//! What a run that is stopped tells on the standard error, and how it exits.

use super::{Ground, json_of, program, volume, write_journal};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

/// The recipient gets no look at a volume, and is told to come again after so many seconds.
fn no_looks(seconds: u32) -> String {
    format!(
        "block_storage GET /v3/{{project_id}}/volumes/{{id}} project=recipient standing status=503 \
         retry_after={seconds}"
    )
}

/// A stack with such a fault, and a run that has been begun with.
async fn begun(fault: &str) -> Ground {
    let ground = Ground::with(1, &["--fault", fault]).await;
    let planned = json!({"volume": volume(&ground, "import-0").await, "place": "planned"});
    write_journal(&ground, &[planned]);
    ground
}

#[tokio::test]
async fn an_outage_is_told_as_it_begins_and_has_an_exit_code_of_its_own() {
    let ground = begun(&no_looks(0)).await;
    let output = ground.run(&["--json"]);
    let (done, told) = (json_of(&output), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(75), "{done} {told}");
    assert_eq!((&done["complete"], &done["left"]), (&false.into(), &1.into()), "{done}");
    let whose = format!("recipient \"recipient\", project {}: the service", ground.y.project);
    assert!(done["stopped"].as_str().is_some_and(|why| why.starts_with(&whose)), "{done}");
    assert_eq!(told.matches("cloud \"recipient\" is not available, trying").count(), 1, "{told}");
}

#[test]
fn a_run_that_cannot_begin_for_an_outage_may_be_begun_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let clouds = folder.path().join("clouds.yaml");
    // Nobody listens on this port.
    let auth = json!({"auth_url": "http://127.0.0.1:1/v3", "username": "u", "password": "p",
        "project_name": "n", "user_domain_id": "d", "project_domain_id": "d"});
    let text = json!({"clouds": {"x": {"auth": auth}, "y": {"auth": auth}}}).to_string();
    std::fs::write(&clouds, text).expect("written");
    let mut run = program::program();
    run.args(["bulk", "--from", "x", "--to", "y", "--all", "--clouds"]).arg(&clouds);
    let output = run.current_dir(folder.path()).output().expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{told}");
    // Both are asked at once.
    let of = |cloud: &str| told.starts_with(&format!("error: cloud \"{cloud}\": "));
    assert!(of("x") || of("y"), "{told}");
}

/// A run whose standard error is read line by line.
struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, lines }
    }

    fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// The next line with these words.
    fn hear(&mut self, words: &str) -> String {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).expect("text"), 0, "nobody says {words:?}");
        }
        line
    }

    fn code(self) -> Option<i32> {
        self.end().0
    }

    /// How it exits, and its report if that is read.
    fn end(mut self) -> (Option<i32>, String) {
        let mut report = String::new();
        if let Some(mut output) = self.child.stdout.take() {
            output.read_to_string(&mut report).expect("text");
        }
        (self.child.wait().expect("an exit status").code(), report)
    }
}

#[tokio::test]
async fn a_signal_lets_a_run_finish_and_a_second_interrupt_ends_it_at_once() {
    let ground = begun(&no_looks(30)).await;
    for signal in ["INT", "TERM", "HUP"] {
        let mut running = Running::start(ground.bulk(&[]));
        running.hear("is not available");
        running.signal(signal);
        let first = running.hear("interrupted");
        assert!(first.contains("finishing what is under way; Ctrl-C once more"), "{first}");
        running.signal("INT");
        let second = running.hear("stopped at once");
        let journal = ground.path("journal");
        assert!(second.contains(&format!("the journal {}", journal.display())), "{second}");
        assert_eq!(running.code(), Some(130), "{signal}");
    }
}

/// An accept that is waited for is left to the next run, with its offer in the journal.
#[tokio::test]
async fn a_signal_ends_a_run_that_waits_for_a_service() {
    let fault = "barbican POST /v1/secrets project=recipient standing status=503 retry_after=30";
    for signal in ["INT", "TERM", "HUP"] {
        let ground = Ground::with(1, &["--fault", fault]).await;
        let mut command = ground.bulk(&["--name", "import-*", "--json"]);
        let mut running = Running::start({
            command.stdout(Stdio::piped());
            command
        });
        running.hear("is not available");
        running.signal(signal);
        let (code, report) = running.end();
        assert_eq!(code, Some(1), "{signal}");
        let done: Value = serde_json::from_str(&report).expect("a report");
        assert_eq!((&done["left"], &done["on_offer"]), (&1.into(), &1.into()), "{done}");
        let journal = std::fs::read_to_string(ground.path("journal")).expect("a journal");
        assert_eq!(journal.matches("\"offered\"").count(), 1, "{signal}: {journal}");
    }
}

/// Nothing has been begun, so that there is nothing to finish, and nothing is left behind.
#[tokio::test]
async fn a_signal_ends_a_run_that_has_not_begun_to_move() {
    let fault = "block_storage GET /v3/{project_id}/volumes/detail project=donor standing \
                 status=503 retry_after=30";
    let ground = Ground::with(1, &["--fault", fault]).await;
    for more in [&[][..], &["--dry-run"]] {
        let mut running = Running::start(ground.bulk(&[&["--name", "import-*"], more].concat()));
        running.hear("is not available");
        running.signal("INT");
        running.hear("interrupted");
        running.hear("nothing was under way");
        assert_eq!(running.code(), Some(1), "{more:?}");
        assert!(!ground.path("journal").exists(), "{more:?}");
    }
}
