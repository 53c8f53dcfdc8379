//! Containers: named references to secrets.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Acl, Consumer};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// Position in the order of creation, which is the order of lists.
    pub(crate) seq: u64,
    pub(crate) project_id: String,
    pub(crate) creator_id: String,
    pub(crate) name: Option<String>,
    /// `generic`, `rsa`, `certificate`, or `dsa` where an order made it.
    pub(crate) kind: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) consumers: Vec<Consumer<ContainerUse>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acl: Option<Box<Acl>>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated: OffsetDateTime,
}

impl Container {
    /// What uses the container now.
    pub(crate) fn usages(&self) -> impl Iterator<Item = &ContainerUse> {
        self.consumers.iter().filter(|consumer| !consumer.released).map(|consumer| &consumer.usage)
    }
}

/// A secret under the name that it has in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: Option<String>,
    pub(crate) secret_id: String,
}

/// Who says that it uses a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerUse {
    pub(crate) name: String,
    #[serde(rename = "URL")]
    pub(crate) url: String,
}
