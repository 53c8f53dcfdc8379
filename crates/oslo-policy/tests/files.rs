//! Files that come, change, break and go while rules are enforced.

#![expect(clippy::unwrap_used, reason = "a test that cannot write its files has failed")]

use oslo_policy::{Attributes, Clock, Enforcer, LoadError, Options, RuleDefault};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

/// An enforcer of one rule on files of its own, at a time that only the test moves.
struct Stage {
    home: TempDir,
    now: Arc<Mutex<Instant>>,
    enforcer: Enforcer,
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Result<Self, LoadError> {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("policy.d")).unwrap();
        for (name, text) in files {
            fs::write(home.path().join(name), text).unwrap();
        }
        let options = Options {
            policy_file: Some(home.path().join("policy.yaml")),
            policy_dirs: vec![home.path().join("policy.d"), home.path().join("none.d")],
            ..Options::default()
        };
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock: Clock = {
            let now = now.clone();
            Arc::new(move || *now.lock().unwrap())
        };
        let enforcer = Enforcer::new(vec![RuleDefault::new("act", "!")], options, clock)?;
        Ok(Self { home, now, enforcer })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn allows(&self) -> bool {
        self.enforcer.enforce("act", &Attributes::new(), &Attributes::new())
    }

    fn allows_after_a_second(&self) -> bool {
        self.pass(Duration::from_secs(1));
        self.allows()
    }
}

const ALLOW: &str = r#""act": "@""#;
const REFUSE: &str = r#""act": "not @""#;

#[test]
fn a_change_holds_a_second_later_and_not_before() {
    let stage = Stage::new(&[]).unwrap();
    assert!(!stage.allows());
    stage.write("policy.yaml", ALLOW);
    assert!(!stage.allows());
    stage.pass(Duration::from_millis(999));
    assert!(!stage.allows());
    stage.pass(Duration::from_millis(1));
    assert!(stage.allows());
}

#[test]
fn files_are_noticed_when_they_come_change_and_go() {
    let stage = Stage::new(&[]).unwrap();
    stage.write("policy.yaml", ALLOW);
    assert!(stage.allows_after_a_second());
    stage.write("policy.d/b.yaml", REFUSE);
    assert!(!stage.allows_after_a_second());
    stage.write("policy.d/c.json", r#"{"act": []}"#);
    assert!(stage.allows_after_a_second());
    fs::remove_file(stage.path("policy.d/c.json")).unwrap();
    assert!(!stage.allows_after_a_second());
    fs::rename(stage.path("policy.d/b.yaml"), stage.path("policy.d/.b.yaml")).unwrap();
    assert!(stage.allows_after_a_second());
    fs::create_dir(stage.path("none.d")).unwrap();
    stage.write("none.d/z", REFUSE);
    assert!(!stage.allows_after_a_second());
    fs::remove_dir_all(stage.path("none.d")).unwrap();
    fs::remove_file(stage.path("policy.yaml")).unwrap();
    assert!(!stage.allows_after_a_second());
}

#[test]
fn a_change_of_the_time_alone_or_of_the_size_alone_is_noticed() {
    let stage = Stage::new(&[("policy.yaml", r#""act": "@""#)]).unwrap();
    let path = stage.path("policy.yaml");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let rewrite = |text: &str, modified: SystemTime| {
        stage.write("policy.yaml", text);
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    };
    rewrite(r#""act": "!""#, modified + Duration::from_secs(9));
    assert!(!stage.allows_after_a_second());
    // a file that is put back is older, and new all the same
    rewrite(r#""act": "@""#, modified - Duration::from_secs(9));
    assert!(stage.allows_after_a_second());
    rewrite(REFUSE, modified - Duration::from_secs(9));
    assert!(!stage.allows_after_a_second());
}

#[test]
fn a_file_that_cannot_be_used_is_said_at_the_start() {
    let at_start = |text: &str| Stage::new(&[("policy.yaml", text)]).err().unwrap().to_string();
    for (text, words) in [
        ("act: [", "is not a mapping of names to rules"),
        ("- act", "is not a mapping of names to rules"),
        ("text", "is not a mapping of names to rules"),
        ("act: {a: b}", "rule act is neither text nor"),
        ("act: 5", "rule act is neither text nor"),
        ("act: false", "rule act is neither text nor"),
        ("act: [[5]]", "rule act is neither text nor"),
        ("act: '@ or http://policy.example/%(id)s'", "holds http://policy.example/%(id)s, and"),
        ("act: [[\"https://policy.example\"]]", "holds https://policy.example, and checks by a"),
    ] {
        let said = at_start(text);
        assert!(said.contains(words) && said.contains("policy.yaml"), "{text}: {said}");
    }
    let unreadable = Stage::new(&[("none.d", "a file, not a directory")]).err().unwrap();
    assert!(matches!(unreadable, LoadError::Unreadable { .. }), "{unreadable}");
}

#[test]
fn a_file_that_breaks_leaves_the_rules_and_is_said_once() {
    let log = Log::default();
    tracing::subscriber::with_default(log.subscriber(), || {
        let stage = Stage::new(&[("policy.yaml", ALLOW)]).unwrap();
        stage.write("policy.yaml", "act: [");
        for _ in 0..3 {
            assert!(stage.allows_after_a_second());
        }
        assert_eq!(log.count("the old rules hold"), 1);
        stage.write("policy.yaml", REFUSE);
        assert!(!stage.allows_after_a_second());
        stage.write("policy.d/a.yaml", "act: http://policy.example");
        for _ in 0..3 {
            assert!(!stage.allows_after_a_second());
        }
        assert_eq!(log.count("the old rules hold"), 2);
        fs::remove_file(stage.path("policy.d/a.yaml")).unwrap();
        stage.write("none.d", "no directory");
        stage.write("policy.yaml", ALLOW);
        for _ in 0..3 {
            assert!(!stage.allows_after_a_second());
        }
        assert_eq!(log.count("the old rules hold"), 3);
        fs::remove_file(stage.path("none.d")).unwrap();
        assert!(stage.allows_after_a_second());
        assert_eq!(log.count("the old rules hold"), 3);
    });
}

#[test]
fn flaws_of_rules_are_said_when_they_are_read() {
    for (text, said) in [
        (r#""act": "not rule:b""#, "rule act refers to b, which is not defined"),
        (r#""act": "! or rule:act""#, "rule act refers to itself, or to one that does"),
        ("\"act\": \"rule:b\"\n\"b\": \"not (@ and rule:act)\"", "rule b refers to itself, or to"),
        ("\"act\": \"rule:b\"\n\"default\": \"rule:act\"", "rule default refers to itself, or"),
        (r#""act": "@ or a.:%(b)s""#, "rule act holds a.:%(b)s, which can never be decided"),
        (r#""act": "role:%(b)d""#, "rule act holds role:%(b)d, which can never be decided"),
        (r#""act": "@ and""#, "not understood: it refuses everybody"),
    ] {
        let log = Log::default();
        tracing::subscriber::with_default(log.subscriber(), || {
            Stage::new(&[("policy.yaml", text)]).unwrap();
        });
        assert_eq!(log.count(said), 1, "{text}: {}", log.text());
    }
    let log = Log::default();
    tracing::subscriber::with_default(log.subscriber(), || {
        let stage = Stage::new(&[("policy.yaml", "act: rule:b\nb: rule:act\nc: rule:b")]).unwrap();
        assert!(!stage.allows());
    });
    assert_eq!(log.count("refers to itself, or to one that does"), 3, "{}", log.text());
    assert_eq!(log.count("cannot be decided: refused"), 1, "{}", log.text());
}

#[test]
fn a_chain_of_rules_that_is_too_long_refuses() {
    let chain = |length: usize| {
        let links = (1..length).map(|link| format!("r{link}: rule:r{}\n", link + 1));
        let links: String = links.collect();
        format!("act: rule:r1\n{links}r{length}: \"@\"\n")
    };
    let allows = |length| Stage::new(&[("policy.yaml", &chain(length))]).unwrap().allows();
    assert!(allows(400));
    assert!(!allows(1_000));
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn subscriber(&self) -> impl tracing::Subscriber + use<> {
        tracing_subscriber::fmt().with_ansi(false).with_writer(self.clone()).finish()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn count(&self, words: &str) -> usize {
        self.text().matches(words).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
