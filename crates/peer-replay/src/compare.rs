//! Where two recordings of one case file differ.

use serde::Serialize;
use serde_json::Value;

use crate::recording::{Outcome, Recording};

/// One place of one reply at which the two sides say different things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `file / script / step`.
    pub case: String,
    /// `status`, `headers/location`, `body/json/total`.
    pub place: String,
    /// What the real side has there, if anything.
    pub real: Option<Value>,
    /// What our side has there.
    pub ours: Option<Value>,
}

/// Every difference between two recordings of the file called `file`.
pub fn differences(file: &str, real: &Recording, ours: &Recording) -> Vec<Difference> {
    let mut found = Vec::new();
    let (real, ours) = (outcomes(real), outcomes(ours));
    for (case, outcome) in &real {
        let other = ours.iter().find(|(other, _)| other == case).map(|(_, outcome)| *outcome);
        let case = format!("{file} / {case}");
        compare(&case, "", json(Some(outcome)).as_ref(), json(other).as_ref(), &mut found);
    }
    for (case, outcome) in &ours {
        if !real.iter().any(|(other, _)| other == case) {
            let case = format!("{file} / {case}");
            compare(&case, "", None, json(Some(outcome)).as_ref(), &mut found);
        }
    }
    found
}

/// `script / step`, and what came of it.
fn outcomes(recording: &Recording) -> Vec<(String, &Outcome)> {
    let scripts = recording.scripts.iter();
    scripts
        .flat_map(|script| {
            let of = |name: &str| format!("{} / {name}", script.name);
            script.answers.iter().map(move |answer| (of(&answer.name), &answer.outcome))
        })
        .collect()
}

fn json(outcome: Option<&Outcome>) -> Option<Value> {
    outcome.and_then(|outcome| serde_json::to_value(outcome).ok())
}

fn compare(
    case: &str,
    place: &str,
    real: Option<&Value>,
    ours: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let below = |name: &str| match place {
        "" => name.to_owned(),
        place => format!("{place}/{name}"),
    };
    match (real, ours) {
        (real, ours) if real == ours => {}
        (Some(Value::Object(real)), Some(Value::Object(ours))) => {
            for (name, value) in real {
                compare(case, &below(name), Some(value), ours.get(name), found);
            }
            for (name, value) in ours.iter().filter(|(name, _)| !real.contains_key(*name)) {
                compare(case, &below(name), None, Some(value), found);
            }
        }
        (Some(Value::Array(real)), Some(Value::Array(ours))) => {
            for index in 0..real.len().max(ours.len()) {
                let (real, ours) = (real.get(index), ours.get(index));
                compare(case, &below(&index.to_string()), real, ours, found);
            }
        }
        (real, ours) => found.push(Difference {
            case: case.to_owned(),
            place: place.to_owned(),
            real: real.cloned(),
            ours: ours.cloned(),
        }),
    }
}
