//! What quotas count, and when it is too much.

use super::{Mistake, Reference};
use crate::operation::{Kind, Person};
use std::collections::BTreeMap;

/// What the configuration allows every project.
pub(crate) const VOLUMES: i64 = 4;
pub(crate) const SNAPSHOTS: i64 = 4;
pub(crate) const GIGABYTES: i64 = 8;

impl Reference {
    /// What the rows of a project add up to, by resource.
    pub(crate) fn used(&self, project: Person) -> BTreeMap<String, i64> {
        let mut used = BTreeMap::new();
        for volume in self.volumes.iter().filter(|volume| volume.live) {
            if volume.owner == project {
                count(&mut used, volume.kind, &[("volumes", 1), ("gigabytes", volume.size_gb)]);
            }
            for _own in volume.snapshots.iter().filter(|snapshot| snapshot.owner == project) {
                count(&mut used, volume.kind, &[("snapshots", 1), ("gigabytes", volume.size_gb)]);
            }
        }
        used
    }

    /// Whether so much of a resource is more than somebody's project may have.
    pub(super) fn exceeds(&self, by: Person, resource: &'static str, amount: i64) -> bool {
        let configured = match resource {
            "volumes" => VOLUMES,
            "snapshots" => SNAPSHOTS,
            "gigabytes" => GIGABYTES,
            _of_a_type_or_of_one_volume => -1,
        };
        let limit = self.limits.get(&(by, resource)).copied().unwrap_or(configured);
        limit >= 0 && amount > limit
    }

    /// Whether these gains are more than somebody's project may have beside what it has.
    pub(super) fn is_over(&self, by: Person, gains: &BTreeMap<String, i64>) -> bool {
        let used = self.used(by);
        let limited = ["volumes", "gigabytes", "snapshots"];
        let of_type = ["volumes_fast", "gigabytes_fast", "snapshots_fast"];
        let types_too = !self.wrongly(Mistake::TypesHaveNoQuota);
        limited.into_iter().chain(of_type.into_iter().filter(|_one| types_too)).any(|resource| {
            let gain = gains.get(resource).copied().unwrap_or(0);
            gain > 0 && self.exceeds(by, resource, gain + used.get(resource).copied().unwrap_or(0))
        })
    }
}

/// Each counts for all types and for its own.
pub(super) fn count(counts: &mut BTreeMap<String, i64>, kind: Kind, amounts: &[(&str, i64)]) {
    for (resource, amount) in amounts {
        *counts.entry((*resource).to_owned()).or_insert(0) += amount;
        *counts.entry(format!("{resource}_{}", kind.name())).or_insert(0) += amount;
    }
}
