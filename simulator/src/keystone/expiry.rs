//! Instants as Keystone writes and reads them.

use serde_json::Value;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::error::Refusal;

/// Such as `2026-11-24T03:55:02.000000Z`.
pub(super) fn shown(at: OffsetDateTime) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    at.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

/// Such as `2026-11-24T03:55:02.000000`: the form without a zone, which stands for UTC.
fn bare(at: OffsetDateTime) -> String {
    shown(at).trim_end_matches('Z').to_owned()
}

/// The end that a request sets, which has to lie ahead; null when it sets none.
pub(super) fn of(given: Option<&Value>, now: OffsetDateTime) -> Result<Value, Refusal> {
    let Some(text) = given.and_then(Value::as_str) else { return Ok(Value::Null) };
    let close = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    let malformed = |what: &str| Refusal::Malformed(format!("{what} {close}"));
    let at = read(text).ok_or_else(|| malformed("Timestamp not in expected format."))?;
    if at < now {
        return Err(malformed("The 'expires_at' must not be before now."));
    }
    Ok(Value::from(bare(at)))
}

/// Reads an instant of UTC, with or without the `Z` that says so.
pub(super) fn read(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!(
        version = 2,
        "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
    );
    let text = text.strip_suffix('Z').unwrap_or(text).replacen(' ', "T", 1);
    PrimitiveDateTime::parse(&text, format).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::of;

    #[test]
    fn an_end_is_read_as_keystone_reads_it() {
        let now = datetime!(2026-11-24 03:55:05 UTC);
        for (given, expected) in [
            (json!("2037-01-02T03:04:05"), Some(json!("2037-01-02T03:04:05.000000"))),
            (json!("2037-01-02T03:04:05.123Z"), Some(json!("2037-01-02T03:04:05.123000"))),
            (json!("2037-01-02 03:04:05"), Some(json!("2037-01-02T03:04:05.000000"))),
            (json!(null), Some(json!(null))),
            (json!("2026-11-24T03:55:04Z"), None),
            (json!("2037-01-02T03:04:05+02:00"), None),
            (json!("2037-01-02"), None),
            (json!("soon"), None),
        ] {
            assert_eq!(of(Some(&given), now).ok(), expected, "{given}");
        }
    }
}
