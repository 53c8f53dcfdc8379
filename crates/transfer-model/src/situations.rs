//! Situations that must come about, so that the exploration is not about nothing.

use crate::memo::Next;
use crate::world::{Due, Fate, Late, Offer, Outcome, Progress, Project, REQUESTS, State, Volume};
use transfer_core::Operation;
use transfer_core::invariants::Told;

type Situation = (&'static str, fn(&State) -> bool);

/// All of them.
pub(crate) const SITUATIONS: [Situation; 41] = [
    ("initiate: claimed, no shell recorded", |s| copying(s, Operation::Initiate, false)),
    ("initiate: shells recorded", |s| copying(s, Operation::Initiate, true)),
    ("initiate: one key filled, the other not", |s| half_filled(s, Operation::Initiate)),
    ("accept: claimed, no shell recorded", |s| copying(s, Operation::Accept, false)),
    ("accept: shells recorded", |s| copying(s, Operation::Accept, true)),
    ("accept: one key filled, the other not", |s| half_filled(s, Operation::Accept)),
    ("cancel: claimed, no shell recorded", |s| copying(s, Operation::Cancel, false)),
    ("cancel: shells recorded", |s| copying(s, Operation::Cancel, true)),
    ("cancel: one key filled, the other not", |s| half_filled(s, Operation::Cancel)),
    ("initiate: told done", |s| told(s, Operation::Initiate, Told::Done)),
    ("initiate: told that nothing changed", |s| told(s, Operation::Initiate, Told::Refused)),
    ("initiate: never told", |s| told(s, Operation::Initiate, Told::Nothing)),
    ("accept: told done", |s| told(s, Operation::Accept, Told::Done)),
    ("accept: told that nothing changed", |s| told(s, Operation::Accept, Told::Refused)),
    ("accept: never told", |s| told(s, Operation::Accept, Told::Nothing)),
    ("cancel: told done", |s| told(s, Operation::Cancel, Told::Done)),
    ("cancel: told that nothing changed", |s| told(s, Operation::Cancel, Told::Refused)),
    ("cancel: never told", |s| told(s, Operation::Cancel, Told::Nothing)),
    ("an offer that nobody knows the auth key of", |s| open(s, false)),
    ("an offer that somebody can accept", |s| open(s, true)),
    ("accepted by Y", |s| fate(s, Fate::Accepted(Project::Y))),
    ("accepted by Z", |s| fate(s, Fate::Accepted(Project::Z))),
    ("cancelled", |s| fate(s, Fate::Cancelled)),
    ("cancelled and offered again", |s| {
        fate(s, Fate::Cancelled) && (open(s, true) || open(s, false))
    }),
    ("debt: X's old secret", |s| debt(s, Project::X, false)),
    ("debt: the service's old secret", |s| debt(s, Project::Service, false)),
    ("debt: a shell of the service", |s| debt(s, Project::Service, true)),
    ("debt: a shell of X", |s| debt(s, Project::X, true)),
    ("debt: a shell of Y", |s| debt(s, Project::Y, true)),
    ("debt: a shell of Z", |s| debt(s, Project::Z, true)),
    ("debt: shells of the service in doubt", |s| in_doubt(s, Project::Service)),
    ("debt: shells of X in doubt", |s| in_doubt(s, Project::X)),
    ("debt: shells of Y in doubt", |s| in_doubt(s, Project::Y)),
    ("debt: nobody has its authority at hand", |s| s.debts.iter().any(|debt| !debt.at_hand)),
    ("a commit's reply is lost while it is on its way", |s| {
        s.requests.iter().any(|request| matches!(request, Progress::ReadingBack { .. }))
    }),
    ("a shell that comes late", |s| {
        s.network.iter().any(|late| matches!(late, Late::Create { .. }))
    }),
    ("a payload that comes late", |s| {
        s.network.iter().any(|late| matches!(late, Late::Fill { .. }))
    }),
    ("a commit that comes late", |s| {
        s.network.iter().any(|late| matches!(late, Late::Commit { .. }))
    }),
    ("a driver that was taken over, and another at work", |s| {
        let copies = |slot: &usize| matches!(s.requests[*slot], Progress::Copying { .. });
        let first = |slot: &usize| REQUESTS[*slot].volume == Volume::First;
        let drivers = || (0..REQUESTS.len()).filter(copies).filter(first);
        drivers().count() > 1 && drivers().any(|slot| s.journal[slot].is_none())
    }),
    ("a dead driver's claim", |s| {
        s.journal.iter().zip(&s.requests).any(|(entry, request)| {
            let live = entry.is_some_and(|entry| !entry.held.info().hand_over.has_ended());
            live && !request.is_active()
        })
    }),
    ("both volumes change hands at once", |s| {
        s.claims_on(Volume::First).next().is_some() && s.claims_on(Volume::Second).next().is_some()
    }),
];

fn copying(state: &State, operation: Operation, recorded: bool) -> bool {
    state.journal.iter().enumerate().any(|(slot, entry)| {
        let info = entry.map(|entry| entry.held.info());
        info.is_some_and(|info| {
            matches!(info.next, Next::Effects(_))
                && info.shells.iter().any(Option::is_some) == recorded
        }) && REQUESTS[slot].operation == operation
    })
}

fn half_filled(state: &State, operation: Operation) -> bool {
    state.requests.iter().enumerate().any(|(slot, request)| match request {
        Progress::Copying { outcomes, .. } => {
            REQUESTS[slot].operation == operation
                && outcomes.contains(&Outcome::Filled)
                && outcomes.contains(&Outcome::Waiting)
        }
        Progress::Idle
        | Progress::Named
        | Progress::ReadingBack { .. }
        | Progress::QuotaLeft { .. }
        | Progress::Upstream { .. }
        | Progress::Over { .. } => false,
    })
}

fn told(state: &State, operation: Operation, answer: Told) -> bool {
    state.requests.iter().enumerate().any(|(slot, request)| match request {
        Progress::Over { told, .. } => REQUESTS[slot].operation == operation && *told == answer,
        Progress::Idle
        | Progress::Named
        | Progress::Copying { .. }
        | Progress::ReadingBack { .. }
        | Progress::QuotaLeft { .. }
        | Progress::Upstream { .. } => false,
    })
}

fn open(state: &State, key_known: bool) -> bool {
    fate(state, Fate::Open { key_known })
}

fn fate(state: &State, fate: Fate) -> bool {
    state.offers.contains(&Some(Offer { volume: Volume::First, fate }))
}

fn debt(state: &State, authority: Project, of_shell: bool) -> bool {
    state.debts.iter().any(|debt| match debt.due {
        Due::Secret { is_old, .. } => debt.authority == authority && is_old != of_shell,
        Due::Shells { .. } => false,
    })
}

fn in_doubt(state: &State, authority: Project) -> bool {
    state
        .debts
        .iter()
        .any(|debt| debt.authority == authority && matches!(debt.due, Due::Shells { .. }))
}
