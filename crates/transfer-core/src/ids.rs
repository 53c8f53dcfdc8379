//! Newtype identifiers: a `SecretId` is not a `VolumeId`.
//!
//! Each wraps the string that OpenStack uses (a UUID with or without dashes). The core only
//! compares them; whoever reads one from outside validates its form.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps an identifier as the service that issued it spells it.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }
    )*};
}

ids! {
    /// A Cinder volume.
    VolumeId;
    /// A Cinder snapshot.
    SnapshotId;
    /// A Cinder transfer: the offer of a volume.
    TransferId;
    /// A Barbican secret.
    SecretId;
    /// A Keystone project.
    ProjectId;
    /// A Keystone user.
    UserId;
    /// One hand-over: one claim on one volume, and the name of the shells it creates.
    HandOverId;
}

/// The key id that Cinder's `ConfKeyManager` gives to its one fixed key: not a Barbican secret.
pub const FIXED_KEY_ID: &str = "00000000-0000-0000-0000-000000000000";

impl SecretId {
    /// Whether this is the fixed key of `ConfKeyManager`, which nobody can hand over.
    pub fn is_fixed_key(&self) -> bool {
        self.0 == FIXED_KEY_ID
    }
}
