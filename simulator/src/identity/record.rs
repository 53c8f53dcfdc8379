//! One thing that Keystone keeps: its id, its attributes as they are shown, and a secret that
//! never is.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::hex;

/// The collections of Keystone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    Domain,
    Project,
    User,
    Group,
    Role,
    Region,
    Service,
    Endpoint,
    ApplicationCredential,
    AccessRule,
    Trust,
}

impl Kind {
    /// What Keystone calls it in a refusal.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Project => "project",
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
            Self::Region => "region",
            Self::Service => "service",
            Self::Endpoint => "endpoint",
            Self::ApplicationCredential => "Application Credential",
            Self::AccessRule => "Access Rule",
            Self::Trust => "trust",
        }
    }
}

/// What a password or the secret of an application credential is checked against.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Secret {
    /// The password that the cloud was started with; it is not part of the state.
    OfTheCloud,
    Hashed {
        salt: String,
        hash: String,
    },
}

impl Secret {
    /// Forgets the text and keeps a hash of it.
    pub(crate) fn of(text: &str, salt: String) -> Self {
        let hash = hashed(text, &salt);
        Self::Hashed { salt, hash }
    }

    /// Compares in a time that does not depend on where the texts differ.
    pub(crate) fn is(&self, text: &str, of_the_cloud: &str) -> bool {
        let (salt, hash) = match self {
            Self::OfTheCloud => ("", hashed(of_the_cloud, "")),
            Self::Hashed { salt, hash } => (salt.as_str(), hash.clone()),
        };
        hashed(text, salt).as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

fn hashed(text: &str, salt: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt.as_bytes());
    hasher.update([0]);
    hasher.update(text.as_bytes());
    hex(&hasher.finalize())
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) fields: Map<String, Value>,
    pub(crate) secret: Option<Secret>,
}

impl Record {
    pub(crate) fn new(id: impl Into<String>, fields: Map<String, Value>) -> Self {
        Self { id: id.into(), fields, secret: None }
    }

    /// An attribute that is a text.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    pub(crate) fn domain_id(&self) -> Option<&str> {
        self.text("domain_id")
    }

    /// Whatever cannot be disabled is enabled.
    pub(crate) fn is_enabled(&self) -> bool {
        self.flag("enabled").unwrap_or(true)
    }

    pub(crate) fn flag(&self, field: &str) -> Option<bool> {
        self.fields.get(field).and_then(Value::as_bool)
    }

    /// The texts of an attribute that is a list of them.
    pub(crate) fn texts(&self, field: &str) -> impl Iterator<Item = &str> {
        let items = self.fields.get(field).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The attributes with the id among them.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let mut shown = self.fields.clone();
        shown.insert("id".to_owned(), Value::from(self.id.as_str()));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_knows_its_text_and_does_not_tell() {
        let hashed = Secret::of("open sesame", "salt".to_owned());
        for (secret, text, expected) in [
            (&hashed, "open sesame", true),
            (&hashed, "open sesam", false),
            (&hashed, "of the cloud", false),
            (&Secret::OfTheCloud, "of the cloud", true),
            (&Secret::OfTheCloud, "", false),
        ] {
            assert_eq!(secret.is(text, "of the cloud"), expected, "{text}");
        }
        let kept = serde_json::to_string(&hashed).unwrap();
        assert!(!kept.contains("sesame"));
        assert_eq!(format!("{hashed:?}"), "Secret(..)");
    }
}
