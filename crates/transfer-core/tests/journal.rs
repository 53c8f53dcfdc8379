//! Journal rows as golden files: an old row must load for as long as its schema is known, and a
//! state must be written as it always was.
//!
//! `golden/schema-N-CASE.json` is the row of a case as schema N writes it, and a final newline.
//!
//! **A new schema:** raise `SCHEMA` and add a `schema-N-CASE.json` for every case; the text is in
//! the failure of `every_state_is_written_as_the_newest_golden_row`. Do not touch older files:
//! they stand for rows that exist, and must still load to the states of their cases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use transfer_core::{
    AbortCause, Authority, Event, HandOver, JournalError, Operation, Parties, Phase, Refusal,
    Replaced, Restoration, SCHEMA, SecretId, Step,
};

fn claim(operation: Operation, keys: &[&str]) -> HandOver {
    let donor = "f0c1a2b3c4d5e6f708192a3b4c5d6e7f";
    let recipient = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    HandOver::claim(
        "7d1f8a52-3c7e-4d5b-9f60-2b8f4f1f1c11".into(),
        operation,
        "2f5c9a0e-5f0b-4f3e-8a44-6f3f5d0e9b22".into(),
        "c4b8f2de-9a6d-4f0c-b1a5-0d7f2a6c3e33".into(),
        Parties {
            donor: donor.into(),
            caller: if operation == Operation::Accept { recipient } else { donor }.into(),
            user: "9e8d7c6b5a49382716050f1e2d3c4b5a".into(),
        },
        keys.iter().map(|key| SecretId::from(*key)),
    )
}

/// Of a volume on offer whose key is with a stranger, and whose snapshots name two other secrets.
fn restore() -> HandOver {
    let like = claim(Operation::Cancel, &["k1"]);
    let stranger = Authority::Project("5566778899aabbccddeeff0011223344".into());
    let gone = Replaced { secret: "k2".into(), owner: None };
    let kept = Replaced { secret: "k3".into(), owner: Some(Authority::Service) };
    let replaced = vec![gone, kept];
    HandOver::restore(
        like.id().clone(),
        like.volume().clone(),
        like.transfer().clone(),
        like.parties().clone(),
        "k1".into(),
        Restoration { giver: stranger, receiver: Authority::Service, replaced },
    )
}

fn after(mut hand_over: HandOver, events: &[Event]) -> HandOver {
    for event in events {
        hand_over.apply(event.clone()).expect("a case is a legal sequence");
    }
    hand_over
}

fn shell(old: &str, shell: &str) -> Event {
    Event::ShellCreated { old: old.into(), shell: shell.into() }
}

fn filled(old: &str) -> Event {
    Event::Filled { old: old.into() }
}

fn refused(step: Step) -> Event {
    let message = "Forbidden: \"secrets:post\" is not allowed\nfor the r\u{f4}le of a reader";
    Event::Refused { step, refusal: Refusal { status: 403, message: message.to_owned() } }
}

/// Every state that a row can hold, by the name of its golden file.
fn cases() -> Vec<(&'static str, HandOver)> {
    use Operation::{Accept, Cancel, Initiate};
    let doubt = Event::Unknown { step: Step::CreateShell };
    let one = |operation| claim(operation, &["k1"]);
    let two = |operation| claim(operation, &["k1", "k2"]);
    let full = [shell("k1", "s1"), shell("k2", "s2"), filled("k2"), filled("k1")];
    let committed = [&full[..], &[Event::Committed]].concat();
    let restored = [shell("k1", "s1"), filled("k1"), Event::Committed];
    let refused_fill = [shell("k1", "s1"), refused(Step::Fill)];
    let gave_up = [shell("k2", "s2"), doubt.clone(), Event::GaveUp];
    let ended = |events: &[Event]| [events, &[Event::Aborted]].concat();
    vec![
        ("copying-plain", claim(Initiate, &[])),
        ("copying-no-shell", one(Initiate)),
        ("copying-in-doubt", after(one(Accept), &[doubt])),
        ("copying-some-shells", after(two(Accept), &[shell("k2", "s2")])),
        ("copying-some-filled", after(two(Initiate), &full[..3])),
        ("copying-filled", after(two(Cancel), &full)),
        ("aborting-refused-shell", after(one(Accept), &[refused(Step::CreateShell)])),
        ("aborting-refused-fill", after(two(Initiate), &refused_fill)),
        ("aborting-gave-up", after(two(Cancel), &gave_up)),
        ("aborting-taken-over", after(two(Accept), &[shell("k1", "s1"), Event::TakenOver])),
        ("committed-plain", after(claim(Accept, &[]), &[Event::Committed])),
        ("committed-initiate", after(two(Initiate), &committed)),
        ("committed-accept", after(two(Accept), &committed)),
        ("committed-cancel", after(two(Cancel), &committed)),
        ("copying-restore", restore()),
        ("committed-restore", after(restore(), &restored)),
        ("aborted-refused", after(two(Initiate), &ended(&refused_fill))),
        ("aborted-gave-up", after(two(Cancel), &ended(&gave_up))),
        ("aborted-taken-over", after(one(Accept), &ended(&[Event::TakenOver]))),
    ]
}

fn golden(schema: u32, case: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    directory.join(format!("schema-{schema}-{case}.json"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn golden_rows_of_every_schema_load_to_the_states_of_their_cases() {
    for schema in 1..=SCHEMA {
        for (case, state) in cases() {
            let loaded = HandOver::from_journal(&read(&golden(schema, case)));
            assert_eq!(loaded.expect("a known row loads"), state, "schema {schema}: {case}");
        }
    }
}

#[test]
fn every_state_is_written_as_the_newest_golden_row() {
    for (case, state) in cases() {
        let text = state.to_journal().expect("every state can be written");
        let golden = std::fs::read_to_string(golden(SCHEMA, case)).unwrap_or_default();
        assert_eq!(format!("{text}\n"), golden, "{case}");
    }
}

#[test]
fn every_golden_file_belongs_to_a_case_of_a_known_schema() {
    let known: BTreeSet<PathBuf> = (1..=SCHEMA)
        .flat_map(|schema| cases().into_iter().map(move |(case, _)| golden(schema, case)))
        .collect();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let present: BTreeSet<PathBuf> = std::fs::read_dir(directory)
        .expect("the golden files")
        .map(|entry| entry.expect("a golden file").path())
        .collect();
    assert_eq!(present, known);
}

/// A new variant does not compile here; give it a case, and its name to the list.
#[test]
fn every_phase_cause_and_operation_has_a_case() {
    let cause = |cause: &AbortCause| match cause {
        AbortCause::Refused { step: Step::CreateShell, .. } => "refused shell",
        AbortCause::Refused { step: Step::Fill, .. } => "refused fill",
        AbortCause::GaveUp => "gave up",
        AbortCause::TakenOver => "taken over",
    };
    let mut covered = BTreeSet::new();
    for (_, state) in cases() {
        covered.insert(match state.operation() {
            Operation::Initiate => "initiate",
            Operation::Accept => "accept",
            Operation::Cancel => "cancel",
            Operation::Restore => "restore",
        });
        let (phase, why) = match state.phase() {
            Phase::Copying => ("copying", None),
            Phase::Aborting(why) => ("aborting", Some(why)),
            Phase::Committed => ("committed", None),
            Phase::Aborted(why) => ("aborted", Some(why)),
        };
        covered.insert(phase);
        covered.extend(why.map(cause));
    }
    let all = "initiate accept cancel restore copying aborting committed aborted";
    let causes = ["refused shell", "refused fill", "gave up", "taken over"];
    assert_eq!(covered, all.split(' ').chain(causes).collect());
}

#[test]
fn a_row_of_a_newer_schema_is_refused_with_its_number() {
    let newer = SCHEMA + 1;
    for row in [
        format!(r#"{{"schema":{newer},"hand_over":{{"shape":"of tomorrow"}}}}"#),
        format!(r#"{{"schema":{newer}}}"#),
    ] {
        let error = HandOver::from_journal(&row).expect_err("a row of tomorrow");
        assert!(matches!(error, JournalError::TooNew { found } if found == newer), "{row}");
        let numbers = format!("schema {newer} is newer than {SCHEMA}");
        assert!(error.to_string().contains(&numbers), "{error}");
    }
}

#[test]
fn malformed_rows_are_errors() {
    let (_, state) = cases().remove(3);
    let row = state.to_journal().expect("every state can be written");
    let spoiled = |from: &str, to: &str| {
        assert!(row.contains(from), "{from} is in {row}");
        row.replacen(from, to, 1)
    };
    for (what, text) in [
        ("nothing", String::new()),
        ("no object", "[]".to_owned()),
        ("cut off", row[..row.len() - 1].to_owned()),
        ("two rows", format!("{row}{row}")),
        ("no schema", spoiled(r#""schema":1,"#, "")),
        ("a schema that never was", spoiled(r#""schema":1"#, r#""schema":0"#)),
        ("a negative schema", spoiled(r#""schema":1"#, r#""schema":-1"#)),
        ("no hand-over", r#"{"schema":1}"#.to_owned()),
        ("no version", spoiled(r#""version":1,"#, "")),
        ("a version before the claim", spoiled(r#""version":1"#, r#""version":0"#)),
        ("an unknown operation", spoiled(r#""accept""#, r#""steal""#)),
        ("an unknown phase", spoiled(r#""copying""#, r#""resting""#)),
        ("an abort without a cause", spoiled(r#""copying""#, r#""aborting""#)),
        ("a number for a key", spoiled(r#""old":"k1""#, r#""old":1"#)),
        ("no word on the payload", spoiled(r#","filled":false"#, "")),
        ("the same key twice", spoiled(r#""old":"k1""#, r#""old":"k2""#)),
        ("a key for a shell", spoiled(r#""shell":"s2""#, r#""shell":"k1""#)),
        ("a filled key without a shell", spoiled(r#""filled":false"#, r#""filled":true"#)),
        ("a restore of nobody knows what", spoiled(r#""accept""#, r#""restore""#)),
        ("a commit of empty shells", spoiled(r#""copying""#, r#""committed""#)),
    ] {
        let error = HandOver::from_journal(&text).expect_err(what);
        assert!(!matches!(error, JournalError::TooNew { .. }), "{what}: {error}");
    }
}
