//! Access lists of secrets and containers: Barbican knows of one operation, `read`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Who may read what the list stands at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Acl {
    /// Whether the whole project may; otherwise it is private.
    pub(crate) project_access: bool,
    /// Ids of users of any project who may as well, each once.
    pub(crate) users: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated: OffsetDateTime,
}

impl Acl {
    pub(crate) fn names(&self, user_id: &str) -> bool {
        self.users.iter().any(|named| named == user_id)
    }
}
