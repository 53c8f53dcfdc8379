//! Any text as a journal row: it is refused, or loads to a state that says what the row says and
//! keeps the promises of a hand-over.

use crate::promises;
use serde_json::Value;
use transfer_core::HandOver;

/// Reads a text as a journal row.
pub(crate) fn check(input: &[u8]) {
    let Ok(row) = std::str::from_utf8(input) else { return };
    if let Ok(state) = HandOver::from_journal(row) {
        check_loaded(row, &state);
        promises::check_state(&state);
        promises::check_end(state);
    }
}

/// What the state would be written as agrees with the row that it was loaded from.
fn check_loaded(row: &str, state: &HandOver) {
    let read: Value = serde_json::from_str(row).unwrap();
    let written: Value = serde_json::from_str(&state.to_journal().unwrap()).unwrap();
    assert!(agree(&read, &written), "{row} was loaded as {written}");
}

/// Whether everything that both say is the same. A row may hold more than is read, and less where a
/// member was not yet written.
fn agree(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            written.iter().all(|(name, value)| read.get(name).is_none_or(|was| agree(was, value)))
        }
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len() && read.iter().zip(written).all(|(r, w)| agree(r, w))
        }
        (read, written) => read == written,
    }
}

#[cfg(test)]
mod tests {
    use super::{HandOver, check_loaded};
    use crate::objection::objection;

    #[test]
    fn a_row_that_loads_as_another_state_is_found() {
        let row = |giver: &str| {
            let parties = transfer_core::Parties {
                donor: giver.into(),
                caller: "y".into(),
                user: "u".into(),
            };
            let operation = transfer_core::Operation::Accept;
            let keys = [transfer_core::SecretId::new("k")];
            HandOver::claim("h".into(), operation, "v".into(), "t".into(), parties, keys)
        };
        let text = row("x").to_journal().unwrap();
        check_loaded(&text, &row("x"));
        let objection = objection(|| check_loaded(&text, &row("z")));
        assert!(objection.contains("was loaded as"), "{objection}");
    }
}
