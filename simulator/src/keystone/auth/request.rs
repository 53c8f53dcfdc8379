//! The body of a request for a token: its schema, its methods and its scope.

use serde_json::{Map, Value};

use crate::keystone::error::Refusal;
use crate::keystone::schema::{OPTION, Schema, TEXT, fault_in_full, list, object};

const ID_AND_NAME: Schema = object(&[("id", TEXT), ("name", TEXT)]);

const USER: Schema =
    object(&[("id", TEXT), ("name", TEXT), ("password", TEXT), ("domain", ID_AND_NAME)]);

const IDENTITY: Schema = Schema {
    required: Some(&["methods"]),
    ..object(&[
        ("methods", list(&TEXT)),
        ("password", object(&[("user", USER)])),
        ("token", Schema { required: Some(&["id"]), ..object(&[("id", TEXT)]) }),
    ])
};

const SCOPE: Schema = Schema {
    kinds: &["object", "string"],
    ..object(&[
        ("project", object(&[("name", TEXT), ("id", TEXT), ("domain", ID_AND_NAME)])),
        ("domain", ID_AND_NAME),
        ("OS-TRUST:trust", object(&[("id", TEXT)])),
        ("system", object(&[("all", Schema { kinds: &["boolean"], ..OPTION })])),
    ])
};

const TOKEN_ISSUE: Schema =
    Schema { required: Some(&["identity"]), ..object(&[("identity", IDENTITY), ("scope", SCOPE)]) };

/// A request that fits the schema.
pub(super) struct Asked {
    pub(super) auth: Value,
    /// Each once, in the order in which they are listed.
    pub(super) methods: Vec<String>,
}

impl Asked {
    /// What the request says for a method.
    pub(super) fn of(&self, method: &str) -> Option<&Value> {
        self.auth.get("identity")?.get(method)
    }

    pub(super) fn check_methods(&self) -> Result<(), Refusal> {
        for method in &self.methods {
            if self.of(method).is_none_or(Value::is_null) {
                return Err(Refusal::missing(method, "identity"));
            }
        }
        Ok(())
    }
}

/// The schema, and what Keystone checks beside it (auth/schema.py).
pub(super) fn parse(body: &Map<String, Value>) -> Result<Asked, Refusal> {
    let auth = body.get("auth").filter(|auth| !auth.is_null());
    let auth = auth.ok_or_else(|| Refusal::missing("auth", "request body"))?;
    if let Some(fault) = fault_in_full(&TOKEN_ISSUE, auth) {
        return Err(Refusal::Malformed(fault));
    }
    for at in [
        "identity/password/user",
        "identity/password/user/domain",
        "scope/project",
        "scope/project/domain",
        "scope/domain",
    ] {
        if let Some(entry) = auth.pointer(&format!("/{at}"))
            && entry.get("id").or_else(|| entry.get("name")).is_none()
        {
            let text = format!("Invalid input for field {at}: id or name must be present.");
            return Err(Refusal::Malformed(text));
        }
    }
    let mut methods: Vec<String> = Vec::new();
    let listed = auth.pointer("/identity/methods").and_then(Value::as_array).into_iter().flatten();
    for method in listed.filter_map(Value::as_str) {
        if !methods.iter().any(|known| known == method) {
            methods.push(method.to_owned());
        }
    }
    Ok(Asked { auth: auth.clone(), methods })
}

/// An id and a name, unless they are empty.
pub(super) fn id_and_name(given: Option<&Value>) -> (Option<&str>, Option<&str>) {
    let text = |key: &str| {
        let found = given.and_then(|given| given.get(key)).and_then(Value::as_str);
        found.filter(|text| !text.is_empty())
    };
    (text("id"), text("name"))
}

/// The one kind of scope that is named. In a text, Keystone looks for the names of the kinds; a
/// text that names one with particulars is beyond it.
pub(super) fn kind_of_scope(scope: &Value) -> Result<&'static str, Refusal> {
    const KINDS: [&str; 5] = ["system", "project", "domain", "OS-TRUST:trust", "unscoped"];
    let is_named = |kind: &&str| match scope.as_str() {
        Some(text) => text.contains(kind),
        None => scope.get(kind).is_some(),
    };
    let mut named = KINDS.into_iter().filter(is_named);
    match (named.next(), named.next()) {
        (Some(kind @ ("system" | "unscoped")), None) => Ok(kind),
        (Some(_), None) if scope.is_string() => {
            Err(Refusal::Malformed("string indices must be integers, not 'str'".to_owned()))
        }
        (Some(kind), None) => Ok(kind),
        (Some(_) | None, _) => {
            let attribute = "system, project, domain, OS-TRUST:trust or unscoped";
            Err(Refusal::missing(attribute, "scope"))
        }
    }
}
