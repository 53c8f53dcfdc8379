//! What request bodies may hold, and what is said of those that hold something else.
//!
//! cinder: `api/schemas/volume_transfer.py` as jsonschema judges it: the first error counts, in
//! the order type, members (in the schema's order), required members, unknown members; the words
//! are those of `api/validation/validators.py`. Differs from Cinder where it answers 500: a name
//! that is a number is 400 here.

use crate::fault::Fault;
use crate::python::{Value, quoted};
use cinder_db::AuthKey;
use transfer_core::VolumeId;

/// The body of a request to offer a volume.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Creation {
    pub(crate) volume: VolumeId,
    /// Without surrounding spaces, not empty.
    pub(crate) name: Option<String>,
    pub(crate) no_snapshots: bool,
}

/// Reads `{"transfer": {"volume_id", "name"?, "no_snapshots"?}}`; the last only where `snapshots`.
///
/// # Errors
/// A 400 in Cinder's words.
pub(crate) fn creation(body: &Value, snapshots: bool) -> Result<Creation, Fault> {
    let schema = if snapshots { &CREATE_WITH_SNAPSHOTS } else { &CREATE };
    let transfer = member_of(body, "transfer", schema)?;
    let text = |name| transfer.get(name).and_then(Value::text);
    let no_snapshots = match transfer.get("no_snapshots") {
        Some(Value::Bool(no_snapshots)) => *no_snapshots,
        Some(Value::Str(text)) => is_true(text),
        _ => false,
    };
    Ok(Creation {
        volume: VolumeId::new(text("volume_id").unwrap_or_default()),
        name: text("name").map(|name| name.trim().to_owned()),
        no_snapshots,
    })
}

/// Reads `{"accept": {"auth_key"}}`, a string or an integer.
///
/// # Errors
/// A 400 in Cinder's words, which quote the caller's own key back to the caller.
pub(crate) fn auth_key(body: &Value) -> Result<AuthKey, Fault> {
    let accept = member_of(body, "accept", &ACCEPT)?;
    Ok(AuthKey::new(accept.get("auth_key").map(Value::to_string).unwrap_or_default()))
}

/// oslo.utils: `strutils.bool_from_string`.
pub(crate) fn is_true(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    matches!(text.as_str(), "1" | "t" | "true" | "on" | "y" | "yes")
}

enum Schema {
    /// Members that are known, and those of them that are required.
    Object(&'static [(&'static str, Schema)], &'static [&'static str]),
    Uuid,
    Name,
    Boolean,
    AuthKey,
}

const VOLUME_ID: (&str, Schema) = ("volume_id", Schema::Uuid);
const NAME: (&str, Schema) = ("name", Schema::Name);
const REQUIRED: &[&str] = &["volume_id"];

const CREATE: Schema = Schema::Object(&[VOLUME_ID, NAME], REQUIRED);
const CREATE_WITH_SNAPSHOTS: Schema =
    Schema::Object(&[VOLUME_ID, NAME, ("no_snapshots", Schema::Boolean)], REQUIRED);
const ACCEPT: Schema = Schema::Object(&[("auth_key", Schema::AuthKey)], &["auth_key"]);

/// The strings that count as booleans, and the booleans, as jsonschema lists them.
const BOOLEANS: [(&str, &[&str]); 2] = [
    ("True", &["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t"]),
    ("False", &["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"]),
];

/// The first thing that is wrong. `field` is the innermost member it is wrong with.
struct Complaint<'a> {
    field: Option<&'static str>,
    value: &'a Value,
    message: String,
}

/// The value of a body's only member, once the whole body fits.
fn member_of<'a>(body: &'a Value, name: &'static str, schema: &Schema) -> Result<&'a Value, Fault> {
    let members = [(name, schema)];
    let complaint = object(body, None, members.into_iter(), &[name]);
    match (complaint, body.get(name)) {
        (None, Some(member)) => Ok(member),
        (Some(Complaint { field: Some(field), value, message }), _) => Err(Fault::bad_request(
            format!("Invalid input for field/attribute {field}. Value: {value}. {message}"),
        )),
        (complaint, _) => {
            Err(Fault::bad_request(complaint.map_or_else(String::new, |c| c.message)))
        }
    }
}

fn object<'a, 's>(
    value: &'a Value,
    field: Option<&'static str>,
    members: impl Iterator<Item = (&'static str, &'s Schema)> + Clone,
    required: &[&str],
) -> Option<Complaint<'a>> {
    let complain = |message| Some(Complaint { field, value, message });
    let Value::Dict(present) = value else { return complain(not_of_type(value, "'object'")) };
    let inner = |(name, schema): (&'static str, &'s Schema)| {
        value.get(name).and_then(|member| schema.judge(member, name))
    };
    if let Some(complaint) = members.clone().find_map(inner) {
        return Some(complaint);
    }
    if let Some(missing) = required.iter().find(|name| value.get(name).is_none()) {
        return complain(format!("'{missing}' is a required property"));
    }
    let known = |name: &str| members.clone().any(|(member, _)| member == name);
    let unknown = present.iter().map(|(name, _)| name).filter(|name| !known(name));
    let mut unknown: Vec<&String> = unknown.collect();
    unknown.sort_unstable();
    let unknown: Vec<String> = unknown.into_iter().map(|name| quoted(name)).collect();
    match unknown.len() {
        0 => None,
        len => complain(format!(
            "Additional properties are not allowed ({} {} unexpected)",
            unknown.join(", "),
            if len == 1 { "was" } else { "were" }
        )),
    }
}

impl Schema {
    fn judge<'a>(&self, value: &'a Value, field: &'static str) -> Option<Complaint<'a>> {
        let text = value.text();
        let message = match self {
            Self::Object(members, required) => {
                let members = members.iter().map(|(name, schema)| (*name, schema));
                return object(value, Some(field), members, required);
            }
            Self::Uuid => match text {
                None => not_of_type(value, "'string'"),
                Some(text) if is_uuid_like(text) => return None,
                Some(_) => format!("{} is not a 'uuid'", value.repr()),
            },
            Self::Name => match text {
                None if *value == Value::None => return None,
                Some(text) if is_name(text) => return None,
                _ => format!("{} is not valid under any of the given schemas", value.repr()),
            },
            Self::Boolean => match text {
                None if matches!(value, Value::Bool(_)) => return None,
                None => not_of_type(value, "'boolean', 'string'"),
                Some(text) if BOOLEANS.iter().any(|(_, words)| words.contains(&text)) => {
                    return None;
                }
                Some(_) => format!("{} is not one of [{}]", value.repr(), booleans()),
            },
            Self::AuthKey => match value {
                Value::Str(_) | Value::Int(_) => return None,
                Value::None
                | Value::Bool(_)
                | Value::Float(_)
                | Value::List(_)
                | Value::Dict(_) => not_of_type(value, "'string', 'integer'"),
            },
        };
        Some(Complaint { field: Some(field), value, message })
    }
}

fn not_of_type(value: &Value, types: &str) -> String {
    format!("{} is not of type {types}", value.repr())
}

fn booleans() -> String {
    let words = BOOLEANS.iter().map(|(boolean, words)| {
        let words = words.iter().map(|word| quoted(word));
        std::iter::once((*boolean).to_owned()).chain(words).collect::<Vec<_>>().join(", ")
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Cinder's format `name_skip_leading_trailing_spaces`. A NUL is refused with it: the databases
/// below do not take one.
fn is_name(text: &str) -> bool {
    let length = text.trim().chars().count();
    (1..=255).contains(&length) && !text.contains('\0')
}

/// oslo.utils: `uuidutils.is_uuid_like`.
fn is_uuid_like(text: &str) -> bool {
    let text = text.replace("urn:", "").replace("uuid:", "");
    let digits = text.trim_matches(['{', '}']).replace('-', "");
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{Creation, auth_key, creation};
    use transfer_core::VolumeId;

    const VOLUME: &str = "11111111-1111-4111-8111-111111111111";
    const BOOLEANS: &str = "[True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', \
                            'yes', 'y', 't', False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', \
                            'off', 'NO', 'No', 'no', 'n', 'f']";

    fn complaint_of_creation(body: &str, snapshots: bool) -> String {
        let body = serde_json::from_str(&body.replace("VOLUME", VOLUME)).unwrap();
        creation(&body, snapshots).unwrap_err().message
    }

    #[test]
    fn bodies_that_offer_a_volume_are_refused_in_cinders_words() {
        for (body, message) in [
            ("null", "None is not of type 'object'"),
            ("[1]", "[1] is not of type 'object'"),
            (r#""x""#, "'x' is not of type 'object'"),
            ("{}", "'transfer' is a required property"),
            (r#"{"x": 1}"#, "'transfer' is a required property"),
            (
                r#"{"transfer": null}"#,
                "Invalid input for field/attribute transfer. Value: None. \
                 None is not of type 'object'",
            ),
            (
                r#"{"transfer": "a"}"#,
                "Invalid input for field/attribute transfer. Value: a. 'a' is not of type 'object'",
            ),
            (
                r#"{"transfer": 5, "x": 1}"#,
                "Invalid input for field/attribute transfer. Value: 5. 5 is not of type 'object'",
            ),
            (
                r#"{"transfer": {}}"#,
                "Invalid input for field/attribute transfer. Value: {}. \
                 'volume_id' is a required property",
            ),
            (
                r#"{"transfer": {"volume_id": 5, "name": 5}}"#,
                "Invalid input for field/attribute volume_id. Value: 5. 5 is not of type 'string'",
            ),
            (
                r#"{"transfer": {"volume_id": "it's"}}"#,
                "Invalid input for field/attribute volume_id. Value: it's. \
                 \"it's\" is not a 'uuid'",
            ),
            (
                r#"{"transfer": {"name": "", "x": 5}}"#,
                "Invalid input for field/attribute name. Value: . \
                 '' is not valid under any of the given schemas",
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME", "name": 5}}"#,
                "Invalid input for field/attribute name. Value: 5. \
                 5 is not valid under any of the given schemas",
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME", "name": "  "}}"#,
                "Invalid input for field/attribute name. Value:   . \
                 '  ' is not valid under any of the given schemas",
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME", "name": "a\u0000b"}}"#,
                "Invalid input for field/attribute name. Value: a\0b. \
                 'a\\x00b' is not valid under any of the given schemas",
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME", "no_snapshots": 1}}"#,
                "Invalid input for field/attribute no_snapshots. Value: 1. \
                 1 is not of type 'boolean', 'string'",
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME", "no_snapshots": "tRue"}}"#,
                &format!(
                    "Invalid input for field/attribute no_snapshots. Value: tRue. \
                     'tRue' is not one of {BOOLEANS}"
                ),
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME", "z": 1, "a": 2}}"#,
                &format!(
                    "Invalid input for field/attribute transfer. Value: \
                     {{'volume_id': '{VOLUME}', 'z': 1, 'a': 2}}. \
                     Additional properties are not allowed ('a', 'z' were unexpected)"
                ),
            ),
            (
                r#"{"transfer": {"volume_id": "VOLUME"}, "extra": 1}"#,
                "Additional properties are not allowed ('extra' was unexpected)",
            ),
        ] {
            assert_eq!(complaint_of_creation(body, true), message, "{body}");
        }
    }

    #[test]
    fn no_snapshots_is_unknown_before_its_microversion() {
        let body = r#"{"transfer": {"volume_id": "VOLUME", "no_snapshots": true}}"#;
        let message = format!(
            "Invalid input for field/attribute transfer. Value: \
             {{'volume_id': '{VOLUME}', 'no_snapshots': True}}. \
             Additional properties are not allowed ('no_snapshots' was unexpected)"
        );
        assert_eq!(complaint_of_creation(body, false), message);
    }

    #[test]
    fn names_are_counted_in_characters_without_surrounding_spaces() {
        let body = |name: &str| {
            let body = serde_json::json!({"transfer": {"volume_id": VOLUME, "name": name}});
            serde_json::from_value(body).unwrap()
        };
        let longest = "é".repeat(255);
        let named = creation(&body(&format!(" {longest} ")), true).unwrap();
        assert_eq!(named.name, Some(longest.clone()));
        assert!(creation(&body(&format!("{longest}é")), true).is_err());
    }

    #[test]
    fn good_bodies_are_read() {
        let offer = |name: Option<&str>, no_snapshots| Creation {
            volume: VolumeId::new(VOLUME),
            name: name.map(str::to_owned),
            no_snapshots,
        };
        for (members, expected) in [
            ("", offer(None, false)),
            (r#", "name": null"#, offer(None, false)),
            (r#", "name": " n ""#, offer(Some("n"), false)),
            (r#", "no_snapshots": true"#, offer(None, true)),
            (r#", "no_snapshots": "YES""#, offer(None, true)),
            (r#", "no_snapshots": "Off""#, offer(None, false)),
        ] {
            let body = format!(r#"{{"transfer": {{"volume_id": "{VOLUME}"{members}}}}}"#);
            let read = creation(&serde_json::from_str(&body).unwrap(), true).unwrap();
            assert_eq!(read, expected, "{members}");
        }
    }

    #[test]
    fn volume_ids_may_be_any_spelling_of_a_uuid() {
        for (id, good) in [
            ("{11111111-1111-4111-8111-111111111111}", true),
            ("11111111111141118111111111111111", true),
            ("urn:uuid:AAAAAAAA-1111-4111-8111-111111111111", true),
            (" 11111111-1111-4111-8111-111111111111", false),
            ("", false),
        ] {
            let body = serde_json::json!({"transfer": {"volume_id": id}});
            let read = creation(&serde_json::from_value(body).unwrap(), true);
            assert_eq!(read.is_ok(), good, "{id:?}");
        }
    }

    #[test]
    fn auth_keys_are_strings_or_integers() {
        for (body, expected) in [
            (r#"{"accept": {"auth_key": "k"}}"#, Ok("k")),
            (r#"{"accept": {"auth_key": ""}}"#, Ok("")),
            (r#"{"accept": {"auth_key": 1234567890123456}}"#, Ok("1234567890123456")),
            ("{}", Err("'accept' is a required property")),
            (
                r#"{"accept": {"auth_key": true}}"#,
                Err("Invalid input for field/attribute auth_key. Value: True. \
                     True is not of type 'string', 'integer'"),
            ),
            (
                r#"{"accept": {"auth_key": 1.0}}"#,
                Err("Invalid input for field/attribute auth_key. Value: 1.0. \
                     1.0 is not of type 'string', 'integer'"),
            ),
            (
                r#"{"accept": {"a": 1}}"#,
                Err("Invalid input for field/attribute accept. Value: {'a': 1}. \
                     'auth_key' is a required property"),
            ),
            (
                r#"{"accept": {"auth_key": "x", "a": 1}}"#,
                Err("Invalid input for field/attribute accept. Value: {'auth_key': 'x', 'a': 1}. \
                     Additional properties are not allowed ('a' was unexpected)"),
            ),
            (
                r#"{"accept": {"auth_key": "x"}, "b": 1}"#,
                Err("Additional properties are not allowed ('b' was unexpected)"),
            ),
        ] {
            let read = auth_key(&serde_json::from_str(body).unwrap());
            let read = read.map(|key| key.reveal().to_owned()).map_err(|fault| fault.message);
            assert_eq!(read.as_deref().map_err(String::as_str), expected, "{body}");
        }
    }
}
