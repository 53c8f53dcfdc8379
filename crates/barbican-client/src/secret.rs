//! What Barbican says about a secret beside its bytes.
//!
//! Follows barbican: `common/validators.py` NewSecretValidator (what a new secret may be told)
//! and `plugin/util/mime_types.py` (what a payload may be).

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use transfer_core::{SecretId, UserId};
use uuid::Uuid;

/// What a copy of a secret takes over from it, and what a new secret is told. Barbican refuses a
/// null, so whatever is not known is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// What kind of secret it is.
    pub secret_type: SecretType,
    /// The cipher the key is for, `aes` for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The key's length in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_length: Option<u32>,
    /// The cipher's mode, `cbc` for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// When the secret ends, as Barbican spells it (ISO 8601, UTC without a zone).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
}

/// Barbican's kinds of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretType {
    /// A symmetric key: what Cinder makes for a volume.
    Symmetric,
    /// A passphrase.
    Passphrase,
    /// A private key.
    Private,
    /// A public key.
    Public,
    /// A certificate.
    Certificate,
    /// Anything else.
    Opaque,
}

/// Barbican's kinds of payload, charset variants included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application/octet-stream`.
    OctetStream,
    /// `text/plain`, always UTF-8.
    TextPlain,
    /// `application/pkcs8`. Barbican takes it with the creation of a secret only, so a shell is
    /// filled with the same bytes as `application/octet-stream`.
    Pkcs8,
}

/// A secret without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its id.
    pub id: SecretId,
    /// Its name; Cinder's keys have none.
    pub name: Option<String>,
    /// What a copy takes over.
    pub attributes: Attributes,
    /// The kind of its payload; none for a shell, which has no payload yet.
    pub content_type: Option<ContentType>,
    /// `ACTIVE`, or what Barbican calls an unusable one.
    pub status: String,
    /// The user who created it, where Barbican remembers.
    pub creator: Option<UserId>,
}

impl ContentType {
    /// Reads a media type; parameters do not matter, for `utf-8` is the only charset there is.
    fn parse(media_type: &str) -> Option<Self> {
        match media_type.split(';').next().map(str::trim)?.to_ascii_lowercase().as_str() {
            "application/octet-stream" => Some(Self::OctetStream),
            "text/plain" => Some(Self::TextPlain),
            "application/pkcs8" => Some(Self::Pkcs8),
            _ => None,
        }
    }

    /// Whether a reply's `Content-Type` is this one.
    pub(crate) fn is(self, header: Option<&HeaderValue>) -> bool {
        let media_type = header.and_then(|header| header.to_str().ok());
        media_type.and_then(Self::parse) == Some(self)
    }

    /// What the payload is called when a shell is filled with it.
    pub(crate) fn of_fill(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::TextPlain => "text/plain",
            Self::OctetStream | Self::Pkcs8 => "application/octet-stream",
        })
    }
}

/// A secret as `GET /v1/secrets/{id}` and the list spell it.
#[derive(Deserialize)]
pub(crate) struct SecretDocument {
    secret_ref: String,
    name: Option<String>,
    status: String,
    creator_id: Option<String>,
    content_types: Option<ContentTypes>,
    /// Shown from microversion 1.1 on.
    pub(crate) consumers: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(flatten)]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct ContentTypes {
    default: String,
}

impl SecretDocument {
    /// The metadata, or nothing where the id or the content type cannot be read.
    pub(crate) fn metadata(self) -> Option<Metadata> {
        let content_type = match self.content_types {
            Some(ContentTypes { default }) => Some(ContentType::parse(&default)?),
            None => None,
        };
        Some(Metadata {
            id: referenced(&self.secret_ref)?,
            name: self.name,
            attributes: self.attributes,
            content_type,
            status: self.status,
            creator: self.creator_id.map(UserId::new),
        })
    }
}

/// The secret that a reference names, whatever host Barbican believes to be (its `host_href` is
/// often left at `localhost`).
pub(crate) fn referenced(secret_ref: &str) -> Option<SecretId> {
    let id = secret_ref.trim_end_matches('/').rsplit('/').next()?;
    is_canonical(id).then(|| SecretId::from(id))
}

/// Whether an id is a UUID as Barbican spells it: lower-case, with dashes.
pub(crate) fn is_canonical(id: &str) -> bool {
    Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == id)
}
