//! What a step was, told from the gate and from what changed in the world.

use crate::choice::Choice;
use crate::gates::Ask;
use std::collections::BTreeMap;
use transfer_core::{AbortCause, HandOver, HandOverId, Phase, World};

/// A transaction that changed nothing and whose purpose is not known.
pub(crate) const TRANSACTION: &str = "run a transaction";

/// The transactions after which a driver's row in the journal says all that the driver knows of its
/// hand-over.
pub(crate) const WRITTEN_DOWN: [&str; 5] =
    ["claim", "take over and claim", "save the state", "commit", "abort"];

/// What a step was; `asks` is what the choosing actor stood at.
pub(crate) fn label(
    choice: Choice,
    ask: Option<&Ask>,
    before: &World,
    after: &World,
) -> &'static str {
    match (choice, ask) {
        (Choice::Expire, _) => "let leases run out",
        (Choice::Land, _) => "land late",
        (Choice::Rest, _) => "come to rest",
        (Choice::Pass { .. }, Some(Ask::Begin)) => "begin",
        (Choice::Pass { .. }, Some(Ask::Create(_))) => "create a shell",
        (Choice::Pass { .. }, Some(Ask::Fill(..))) => "fill a shell",
        (Choice::Pass { .. }, Some(Ask::Delete(..))) => "delete a secret",
        (Choice::Pass { fault: None, .. }, Some(Ask::Claim)) => match transaction(before, after) {
            TRANSACTION => "claim in vain",
            claim => claim,
        },
        (Choice::Pass { .. }, Some(Ask::Claim | Ask::Write) | None) => transaction(before, after),
    }
}

/// The live hand-over, if there is one: a scenario has one volume.
pub(crate) fn live(world: &World) -> Option<&HandOver> {
    world.hand_overs.iter().find(|hand_over| !hand_over.has_ended())
}

fn transaction(before: &World, after: &World) -> &'static str {
    let by_id = |world| -> BTreeMap<HandOverId, HandOver> {
        let World { hand_overs, .. }: &World = world;
        hand_overs.iter().map(|one| (one.id().clone(), one.clone())).collect()
    };
    let (old, new) = (by_id(before), by_id(after));
    if let Some(claimed) = new.keys().find(|id| !old.contains_key(*id)) {
        let others = new.iter().filter(|(id, _)| *id != claimed);
        let takes_over = others.into_iter().any(|(id, now)| old.get(id) != Some(now));
        return if takes_over { "take over and claim" } else { "claim" };
    }
    if old.keys().any(|id| !new.contains_key(id)) {
        return "forget the hand-over";
    }
    if let Some(changed) = new.iter().find(|(id, now)| old.get(id) != Some(now)) {
        return match changed.1.phase() {
            Phase::Committed => "commit",
            Phase::Aborted(AbortCause::TakenOver) => "take over",
            Phase::Aborted(_) => "abort",
            Phase::Copying | Phase::Aborting(_) => "save the state",
        };
    }
    match after.debts.len().cmp(&before.debts.len()) {
        std::cmp::Ordering::Less => "strike out a debt",
        std::cmp::Ordering::Greater => "record debts",
        std::cmp::Ordering::Equal => TRANSACTION,
    }
}
