//! Invariants about outcomes: what took effect, what callers were told, what quotas count.

use super::world::{History, OfferFate, Told, World};
use crate::{Authority, Operation, ProjectId};
use std::collections::BTreeMap;

/// An answer is true when success means that the offer ended that way for that caller, and an
/// error means that it did not, unless another request of the same project may have done it.
pub(super) fn one_outcome(world: &World, history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for offer in &world.offers {
        let answers: Vec<_> = history.answers.iter().filter(|a| a.offer == offer.id).collect();
        let successes = answers.iter().filter(|a| a.told == Told::Done).count();
        if successes > 1 {
            found.push(format!("offer {} ended {successes} times", offer.id));
        }
        for answer in &answers {
            let took_effect = match answer.operation {
                Operation::Accept => offer.fate == OfferFate::Accepted(answer.caller.clone()),
                Operation::Cancel => offer.fate == OfferFate::Cancelled,
                Operation::Initiate | Operation::Restore => continue,
            };
            let explained = answers.iter().any(|other| {
                // The rows do not tell who took an offer back.
                let may_be_its_doing =
                    answer.operation == Operation::Cancel || other.caller == answer.caller;
                other.operation == answer.operation
                    && may_be_its_doing
                    && other.told != Told::Refused
            });
            match answer.told {
                Told::Done if !took_effect => found.push(format!(
                    "{} of offer {} by project {} was told done, but the offer is {:?}",
                    answer.operation, offer.id, answer.caller, offer.fate
                )),
                Told::Refused if took_effect && !explained => found.push(format!(
                    "{} of offer {} by project {} was told that nothing changed, but it did",
                    answer.operation, offer.id, answer.caller
                )),
                Told::Done | Told::Refused | Told::Nothing => {}
            }
        }
    }
    found
}

/// `in_use` equals what the rows add up to, for every project and resource that has a usage row,
/// and nothing is reserved without a hand-over that has not ended.
pub(super) fn quota_conserved(world: &World) -> Vec<String> {
    let counted = count_rows(world);
    let moving = world.hand_overs.iter().any(|hand_over| !hand_over.has_ended());
    let mut found = Vec::new();
    for ((project, resource), (in_use, reserved)) in &world.usages {
        let rows = counted.get(&(project, resource.clone())).copied().unwrap_or(0);
        if *in_use != rows {
            found.push(format!(
                "project {project} is charged {in_use} {resource}, its rows add up to {rows}"
            ));
        }
        if *reserved != 0 && !moving {
            found.push(format!("project {project} has {reserved} {resource} reserved for nothing"));
        }
    }
    found
}

fn count_rows(world: &World) -> BTreeMap<(&ProjectId, String), i64> {
    let mut counted = BTreeMap::new();
    for volume in &world.volumes {
        for row in volume.rows().filter(|row| row.uses_quota) {
            let count = match row.id {
                super::RowId::Volume(_) => "volumes",
                super::RowId::Snapshot(_) => "snapshots",
            };
            for (resource, amount) in [(count, 1), ("gigabytes", row.size_gb)] {
                *counted.entry((&row.project, resource.to_owned())).or_insert(0) += amount;
                if let Some(type_name) = &volume.type_name {
                    *counted
                        .entry((&row.project, format!("{resource}_{type_name}")))
                        .or_insert(0) += amount;
                }
            }
        }
    }
    counted
}

pub(super) fn drains(world: &World) -> Vec<String> {
    let claims =
        world.hand_overs.iter().filter(|hand_over| !hand_over.has_ended()).map(|hand_over| {
            format!("hand-over {} still claims {}", hand_over.id(), hand_over.volume())
        });
    let debts = world
        .debts
        .iter()
        .filter(|debt| debt.authority == Authority::Service)
        .map(|debt| format!("debt {} is payable and not paid", debt.id().as_str()));
    claims.chain(debts).collect()
}
