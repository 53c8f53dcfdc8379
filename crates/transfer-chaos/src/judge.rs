//! Whether every answer was true, given how the rows stand in the end.
//!
//! The rows keep every offer with its end. For each volume they are put into an order, each start
//! and each end is laid to the door of a request that may have done it, and each moment of the
//! order gets the earliest and the latest time at which it can have been. What does not fit is an
//! untrue answer: a success without effect, an effect after a refusal, a refusal without a reason,
//! a list that tells of another time, two owners at once.
//!
//! Sound rather than complete: an honest service is never accused, however slow its answers are.

mod chain;

use crate::record::{Asked, Listed, Moment, Record, Span};
use chain::Chain;
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::invariants::{OfferView, Told, World};
use transfer_core::{ProjectId, TransferId, VolumeId};
use volume_transfer::stage::Call;

/// How long after an answer that promises nothing, or a failure, an operation may still keep others
/// from the volume: the longest pause of a replica, its lease, and recovery.
const LINGERS: Moment = 60_000_000;

/// Every answer that is not true, in words. `owners` is who had which volume before the first
/// request.
pub(crate) fn untrue_answers(
    record: &Record,
    owners: &BTreeMap<VolumeId, ProjectId>,
    world: &World,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut chains = BTreeMap::new();
    for (volume, owner) in owners {
        let asked: Vec<&Asked> = record.asked.iter().filter(|a| a.volume == *volume).collect();
        let offers: Vec<&OfferView> =
            world.offers.iter().filter(|offer| offer.volume == *volume).collect();
        let chain = Chain::of(volume, owner, &offers, &asked, &record.listed, &mut found);
        let owner = world.volumes.iter().find(|view| view.id() == Some(volume));
        let owner = owner.map(|view| &view.row.project);
        if owner != Some(chain.last_owner()) {
            let expected = chain.last_owner();
            found.push(format!("volume {volume} went to {expected}, and is {owner:?}'s"));
        }
        let answers = asked.iter().enumerate();
        found.extend(answers.filter_map(|(index, one)| judge(index, one, &chain, &asked)));
        chains.insert(volume, chain);
    }
    let known = chains.values().flat_map(Chain::links).map(|link| &link.offer);
    let known: BTreeSet<&TransferId> = known.collect();
    for listed in &record.listed {
        found.extend(chains.values().flat_map(|chain| judge_list(listed, chain)));
        let unknown = listed.offers.iter().filter(|offer| !known.contains(offer));
        found.extend(unknown.map(|offer| format!("offer {offer} was listed and never was")));
    }
    found
}

fn judge(index: usize, one: &Asked, chain: &Chain, others: &[&Asked]) -> Option<String> {
    let wrong = |why: &str| {
        let Asked { operation, volume, offer, project, span, answer, .. } = one;
        let offer = offer.as_ref().map_or_else(String::new, |offer| format!(" (offer {offer})"));
        Some(format!(
            "{operation} of volume {volume}{offer} by {project}, from {} to {} µs, was told \
             {answer:?}: {why}",
            span.began, span.ended
        ))
    };
    match (one.answer.told, one.answer.status) {
        (Told::Nothing, None | Some(503)) => None,
        (Told::Nothing, Some(_)) => wrong("nobody should be told that"),
        (Told::Done, _) if chain.did(index) => None,
        (Told::Done, _) => wrong("nothing came of it"),
        (Told::Refused, status) if refusal_is_founded(one, status, chain, others) => None,
        (Told::Refused, _) => wrong("there was no reason"),
    }
}

/// Whether there was a moment at which this refusal was right.
fn refusal_is_founded(one: &Asked, status: Option<u16>, chain: &Chain, others: &[&Asked]) -> bool {
    let find = |one: &Asked| one.offer.as_ref().and_then(|offer| chain.find(offer));
    let busy = || others.iter().any(|other| keeps_busy(other, one));
    match (one.operation, status) {
        (_, Some(503)) => true,
        (Call::Initiate, Some(404)) => chain.had_another_owner(&one.project, one.span),
        (Call::Initiate, Some(400)) => chain.was_on_offer(one.span) || busy(),
        (Call::Accept | Call::Cancel, Some(404)) => match find(one) {
            None => true,
            Some(link) => {
                let foreign = one.operation == Call::Cancel && link.source != one.project;
                foreign || !link.was_open_throughout(one.span)
            }
        },
        (Call::Accept, Some(400)) => !one.right_key || busy(),
        (Call::Cancel, Some(400)) => busy(),
        (Call::Initiate | Call::Accept | Call::Cancel, _) => false,
    }
}

/// Whether an operation may have held the volume while another one was refused.
fn keeps_busy(other: &Asked, one: &Asked) -> bool {
    let lingers = match (other.answer.told, other.answer.status) {
        (Told::Done, _) => 0,
        (Told::Refused, Some(400..500)) => 0,
        (Told::Refused | Told::Nothing, _) => LINGERS,
    };
    let held = Span { began: other.span.began, ended: other.span.ended + lingers };
    !std::ptr::eq(other, one) && held.meets(one.span)
}

fn judge_list(listed: &Listed, chain: &Chain) -> Vec<String> {
    let Listed { project, span, offers } = listed;
    let mut found = Vec::new();
    for link in chain.links() {
        let (offer, theirs) = (&link.offer, link.source == *project);
        if offers.contains(offer) && !(theirs && link.was_open_sometime(*span)) {
            found.push(format!("offer {offer} was listed for {project} at another time: {span:?}"));
        }
        if theirs && link.was_open_throughout(*span) && !offers.contains(offer) {
            found.push(format!("offer {offer} was kept from {project} in a list: {span:?}"));
        }
    }
    found
}

#[cfg(test)]
mod tests;
