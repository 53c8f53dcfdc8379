//! When two sides agree enough, and that every way not to is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use peer_replay::{CaseFile, Known, Recording, Verdict};
use serde_json::{Value, json};

/// A file of so many steps; the first is one of the service's own.
fn cases(steps: usize) -> CaseFile {
    let steps: Vec<_> = (0..steps)
        .map(|number| {
            let step = json!({"name": number.to_string(), "request": "GET /"});
            let service = json!({"name": "0", "request": "GET /", "tag": "service"});
            if number == 0 { service } else { step }
        })
        .collect();
    let script = json!({"name": "script", "service": "barbican", "steps": steps});
    let mut file: CaseFile =
        serde_json::from_value(json!({"about": "", "scripts": [script]})).unwrap();
    file.name = "file".to_owned();
    file
}

/// A recording of so many replies, of which the n-th has another body.
fn recording(steps: usize, different: &[(usize, Value)]) -> Recording {
    let answers: Vec<_> = (0..steps)
        .map(|number| {
            let other = different.iter().find(|(n, _)| *n == number).map(|(_, body)| body);
            let body = other.cloned().unwrap_or(json!({"total": 1, "secrets": []}));
            json!({
                "name": number.to_string(), "status": 200, "headers": {}, "body": {"json": body},
            })
        })
        .collect();
    serde_json::from_value(json!({"scripts": [{"name": "script", "answers": answers}]})).unwrap()
}

fn check(steps: usize, different: &[(usize, Value)], known: &str, expected: &[&str]) {
    let mut verdict = Verdict::default();
    verdict.add(&cases(steps), &recording(steps, &[]), &recording(steps, different));
    let verdict = verdict.under(&Known::read_all(known).unwrap(), 98);
    assert_eq!(verdict.problems, expected);
}

#[test]
fn two_sides_that_say_the_same_agree() {
    check(3, &[], "", &[]);
}

#[test]
fn a_difference_has_to_be_known() {
    let body = json!({"total": 2, "secrets": [], "next": "x"});
    let total = "file / script / 7: body/json/total: real 1, ours 2";
    let next = "file / script / 7: body/json/next: real nothing, ours \"x\"";
    let (total, next) = (format!("not known: {total}"), format!("not known: {next}"));
    let different = [(7, body)];
    check(50, &different, "", &[&total, &next]);
    check(50, &different, "| `file / script / 7` | `body/json/total` | a reason |", &[&next]);
    check(50, &different, "| `file / script / 7` | `body` | a reason |", &[]);
}

#[test]
fn what_is_known_has_to_be_so() {
    let row = "| `file / script / 7` | `body` | a reason |";
    check(50, &[], row, &["no longer so: file / script / 7: body"]);
    check(50, &[], "| `other / script / 7` | `body` | not compared |", &[]);
}

#[test]
fn a_request_of_the_service_has_to_agree_whatever_is_known() {
    let row = "| `file / script / 0` | `body` | a reason |";
    let told = "a request of the service itself: file / script / 0: body/json/secrets/0: \
                real nothing, ours 5";
    check(50, &[(0, json!({"total": 1, "secrets": [5]}))], row, &[told]);
}

#[test]
fn ninety_eight_of_a_hundred_are_enough_and_ninety_seven_are_not() {
    let rows = |count: usize| -> String {
        let row = |n| format!("| `file / script / {n}` | `body` | a reason |\n");
        (1..=count).map(row).collect()
    };
    let different =
        |count: usize| -> Vec<_> { (1..=count).map(|n| (n, json!({"total": 0}))).collect() };
    check(100, &different(2), &rows(2), &[]);
    check(100, &different(3), &rows(3), &["all: 97 of 100, 97.0 %; 98 % are enough"]);
}
