//! What a project may have at most.

use serde::{Deserialize, Serialize};

/// The resources that a quota is set for, by the names that the API gives them.
pub(crate) const RESOURCES: [&str; 5] = ["secrets", "orders", "containers", "consumers", "cas"];

/// Quotas as they were set for a project, in the order of [`RESOURCES`]. `None` stands for the
/// default, which is no limit; so does any negative number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Quotas {
    /// Position in the order of creation, which is the order of lists.
    pub(crate) seq: u64,
    pub(crate) limits: [Option<i64>; 5],
}

impl Quotas {
    /// The limit of a resource; negative when there is none.
    pub(crate) fn limit(&self, resource: &str) -> i64 {
        let place = RESOURCES.iter().position(|known| *known == resource);
        place.and_then(|place| self.limits[place]).unwrap_or(-1)
    }
}
