//! Barbican's state: secrets and containers with their consumers and access lists, orders, quotas
//! and transport keys.
//!
//! Ids are UUIDs of version 4. A secret that is past its expiration is treated as absent
//! everywhere, as Barbican's queries do; deleting removes the record, its entries in containers and
//! all that stands at it, and wipes its bytes. What is not used costs nothing to copy.

mod access;
mod container;
mod quota;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::identity::hex;
use crate::payload::Payload;

pub(crate) use access::Acl;
pub(crate) use container::{Container, ContainerUse, Entry};
pub(crate) use quota::{Quotas, RESOURCES};

/// The data of a secret that was filled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Filling {
    pub(crate) payload: Payload,
    /// One of Barbican's internal content types, such as `application/octet-stream`.
    pub(crate) content_type: String,
}

/// Somebody who uses a secret or a container, in its own words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Consumer<U> {
    #[serde(flatten)]
    pub(crate) usage: U,
    /// Id of the project that entered it first.
    #[serde(default)]
    pub(crate) project_id: String,
    /// Whether it has gone; if it comes back it is still the first project's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) released: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
}

/// Who says that it uses a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretUse {
    pub(crate) service: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
}

/// What a caller says of a new secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) name: Option<String>,
    pub(crate) secret_type: String,
    pub(crate) algorithm: Option<String>,
    pub(crate) bit_length: Option<i64>,
    pub(crate) mode: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) expiration: Option<OffsetDateTime>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) id: String,
    /// Position in the order of creation, which is the order of lists.
    pub(crate) seq: u64,
    pub(crate) project_id: String,
    pub(crate) creator_id: String,
    pub(crate) attributes: Attributes,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated: OffsetDateTime,
    pub(crate) filling: Option<Filling>,
    pub(crate) consumers: Vec<Consumer<SecretUse>>,
    /// What its users keep with it, under lower-case keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acl: Option<Box<Acl>>,
}

impl Secret {
    /// What uses the secret now.
    pub(crate) fn usages(&self) -> impl Iterator<Item = &SecretUse> {
        self.consumers.iter().filter(|consumer| !consumer.released).map(|consumer| &consumer.usage)
    }

    pub(crate) fn is_live(&self, now: OffsetDateTime) -> bool {
        self.attributes.expiration.is_none_or(|end| end > now)
    }
}

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Secret(String),
    Container(String),
    Failed { status: u16, reason: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) project_id: String,
    pub(crate) creator_id: String,
    pub(crate) kind: String,
    pub(crate) meta: Map<String, Value>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
    pub(crate) outcome: Outcome,
}

/// A key with which secrets may be wrapped on their way; nothing here unwraps them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TransportKey {
    pub(crate) seq: u64,
    pub(crate) plugin_name: String,
    pub(crate) transport_key: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeyManager {
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) orders: BTreeMap<String, Order>,
    #[serde(default)]
    pub(crate) containers: BTreeMap<String, Container>,
    /// By the id of the project.
    #[serde(default)]
    pub(crate) quotas: BTreeMap<String, Quotas>,
    #[serde(default)]
    pub(crate) transport_keys: BTreeMap<String, TransportKey>,
    last_seq: u64,
}

impl KeyManager {
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// The secret of that id, unless it is unknown or expired.
    pub(crate) fn live(&self, id: &str, now: OffsetDateTime) -> Option<&Secret> {
        self.secrets.get(id).filter(|secret| secret.is_live(now))
    }

    /// Deletes a secret and takes it out of every container.
    pub(crate) fn remove_secret(&mut self, id: &str) {
        self.secrets.remove(id);
        for container in self.containers.values_mut() {
            container.entries.retain(|entry| entry.secret_id != id);
        }
    }
}

/// A secret as a checker may see it: everything but the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretView {
    /// The UUID at the end of the secret's reference.
    pub id: String,
    /// Id of the project that owns the secret.
    pub project: String,
    /// Id of the user who stored it.
    pub creator: String,
    /// The name given by whoever stored it.
    pub name: Option<String>,
    /// Whether the secret has a payload.
    pub filled: bool,
    /// SHA-256, in hexadecimal, over the payload's bytes and then its content type.
    pub fingerprint: Option<String>,
    /// Content type of the payload.
    pub content_type: Option<String>,
    /// `symmetric`, `opaque`, …
    pub secret_type: String,
    /// Such as `AES`.
    pub algorithm: Option<String>,
    /// Length of the key in bits, as the creator stated it.
    pub bit_length: Option<i64>,
    /// Such as `cbc`.
    pub mode: Option<String>,
    /// When it was stored.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// From when on Barbican treats the secret as absent.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expiration: Option<OffsetDateTime>,
    /// How many consumers are registered.
    pub consumers: usize,
}

impl From<&Secret> for SecretView {
    fn from(secret: &Secret) -> Self {
        let attributes = secret.attributes.clone();
        Self {
            id: secret.id.clone(),
            project: secret.project_id.clone(),
            creator: secret.creator_id.clone(),
            name: attributes.name,
            filled: secret.filling.is_some(),
            fingerprint: secret.filling.as_ref().map(fingerprint),
            content_type: secret.filling.as_ref().map(|filling| filling.content_type.clone()),
            secret_type: attributes.secret_type,
            algorithm: attributes.algorithm,
            bit_length: attributes.bit_length,
            mode: attributes.mode,
            created: secret.created,
            expiration: attributes.expiration,
            consumers: secret.usages().count(),
        }
    }
}

fn fingerprint(filling: &Filling) -> String {
    let mut hasher = Sha256::new();
    hasher.update(filling.payload.as_bytes());
    hasher.update(filling.content_type.as_bytes());
    hex(&hasher.finalize())
}
