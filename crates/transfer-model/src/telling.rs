//! A run in words: who does what where.

use crate::action::{Action, Grant};
use crate::memo::Next;
use crate::verdict::{Hunt, Inspector, is_quiet};
use crate::world::{Due, KEYS, Late, Progress, Project, REQUESTS, Secret, State, offer_id};
use crate::{Lane, Protocol, Setting, Step, Trace, protocol, upstream, view};
use std::collections::BTreeSet;
use transfer_core::{Operation, Step as CopyStep, Violation};

/// Tells a run. One that does not come to rest is told until it stands still.
pub(crate) fn tell(setting: &Setting, scenario: &str, hunt: Hunt, actions: Vec<Action>) -> Trace {
    let inspector = Inspector::new(setting, hunt);
    let start = setting.start_state();
    let mut state = start.clone();
    let mut known = BTreeSet::new();
    let mut steps = Vec::new();
    let mut replay = Vec::new();
    for action in actions {
        replay.push(number(setting, &state, action));
        let next = setting.step(&state, action);
        let at_rest_only = matches!(hunt, Hunt::AtRest(_));
        let broken =
            if at_rest_only && !is_quiet(&next) { Vec::new() } else { inspector.broken(&next) };
        steps.push(told(setting, &state, action, &next, news(&mut known, broken)));
        state = next;
    }
    if known.is_empty() {
        let (rest, broken) = inspector.rest(&state);
        for (action, next) in rest {
            steps.push(told(setting, &state, action, &next, Vec::new()));
            state = next;
        }
        if let Some(last) = steps.last_mut() {
            last.broken = news(&mut known, broken);
        }
    }
    Trace {
        protocol: setting.protocol.name().to_owned(),
        scenario: scenario.to_owned(),
        replay: format!("model/{scenario}/{}", replay.join(".")),
        names: view::names(),
        start: view::world(&start),
        steps,
    }
}

/// The place of an action among all that can happen.
fn number(setting: &Setting, state: &State, action: Action) -> String {
    let mut actions = Vec::new();
    setting.actions(state, &mut actions);
    actions.iter().position(|other| *other == action).unwrap_or_default().to_string()
}

/// What was not broken before.
fn news(known: &mut BTreeSet<Violation>, broken: Vec<Violation>) -> Vec<Violation> {
    broken.into_iter().filter(|violation| known.insert(violation.clone())).collect()
}

/// Where a step begins, where it takes effect, and what it is.
struct Told {
    actor: String,
    from: Lane,
    to: Lane,
    what: String,
}

fn told(
    setting: &Setting,
    before: &State,
    action: Action,
    after: &State,
    broken: Vec<Violation>,
) -> Step {
    let Told { actor, from, to, what } = words(setting, before, action);
    let fault = action.fault().map(str::to_owned);
    Step { actor, from, to, what, fault, world: view::world(after), broken }
}

fn words(setting: &Setting, state: &State, action: Action) -> Told {
    match action {
        Action::Claim { slot, .. } if setting.protocol == Protocol::Upstream => begin(slot),
        Action::Claim { slot, offer, grant } => claim(state, slot, offer, grant),
        Action::Effect { slot, key, .. } => effect(state, usize::from(slot), usize::from(key)),
        Action::Save { slot, .. } => by_driver(slot, Lane::Database, "save the state"),
        Action::GoOnUnsaved { slot } => by_driver(slot, replica(), "go on without saving"),
        Action::End { slot, gives_up, .. } => {
            by_driver(slot, Lane::Database, end(state, usize::from(slot), gives_up))
        }
        Action::OutOfTurn { slot } => {
            let (owner, _) = protocol::wanted_out_of_turn(setting, state, usize::from(slot));
            by_driver(slot, Lane::Secrets(owner.id()), "delete secrets out of turn")
        }
        Action::ReadBack { slot } => {
            by_driver(slot, Lane::Database, "look up the commit, abort if it has not happened")
        }
        Action::Quota { slot } => by_driver(slot, Lane::Database, "move the quota"),
        Action::Upstream { slot, .. } => upstream_step(state, usize::from(slot)),
        Action::Crash { slot } => by_driver(slot, replica(), "the process dies"),
        Action::TakeOver { slot } => Told {
            actor: "recovery".to_owned(),
            from: Lane::Replica("recovery".to_owned()),
            to: Lane::Database,
            what: format!("end what is left of: {}", REQUESTS[usize::from(slot)].name),
        },
        Action::Land { at } => landing(state, usize::from(at)),
        Action::Delete { at, .. } => payment(state, usize::from(at), "delete"),
        Action::Sweep { at } => payment(state, usize::from(at), "sweep"),
        Action::Strike { at } => payment(state, usize::from(at), "strike out"),
    }
}

fn replica() -> Lane {
    Lane::Replica("service".to_owned())
}

fn by_driver(slot: u8, to: Lane, what: impl Into<String>) -> Told {
    let actor = REQUESTS[usize::from(slot)].name.to_owned();
    Told { actor, from: replica(), to, what: what.into() }
}

fn begin(slot: u8) -> Told {
    let request = REQUESTS[usize::from(slot)];
    let what = match request.operation {
        Operation::Initiate => "initiate: load the volume, insert the offer",
        Operation::Accept => "accept: load offer and volume, reserve the quota",
        Operation::Cancel => "cancel: load offer and volume",
        Operation::Restore => "restore: load the volume",
    };
    Told {
        actor: request.name.to_owned(),
        from: Lane::Caller(request.project.name().to_owned()),
        to: Lane::Database,
        what: what.to_owned(),
    }
}

fn claim(state: &State, slot: u8, offer: u8, grant: Grant) -> Told {
    let request = REQUESTS[usize::from(slot)];
    let of = match request.operation {
        Operation::Initiate | Operation::Restore => "the volume".to_owned(),
        Operation::Accept | Operation::Cancel => offer_id(usize::from(offer)),
    };
    let and = match grant {
        Grant::Free | Grant::ReplyLost => String::new(),
        Grant::TakesOver => {
            let others: Vec<_> =
                state.claims_on(request.volume).map(|slot| REQUESTS[slot].name).collect();
            format!(", and end what is left of: {}", others.join(", "))
        }
    };
    Told {
        actor: request.name.to_owned(),
        from: Lane::Caller(request.project.name().to_owned()),
        to: Lane::Database,
        what: format!("{}: claim {of}{and}", request.operation),
    }
}

fn effect(state: &State, slot: usize, key: usize) -> Told {
    let Progress::Copying { held, .. } = state.requests[slot] else {
        return by_driver(slot as u8, replica(), "nothing");
    };
    let info = held.info();
    let fills = match info.next {
        Next::Effects(wanted) => wanted[key.min(KEYS - 1)] == Some(CopyStep::Fill),
        Next::Commit | Next::Abort | Next::Rest => false,
    };
    let old = info.old[key].id();
    let what = if fills {
        format!("fill the shell with the payload of {old}")
    } else {
        format!("create a shell like {old}")
    };
    by_driver(slot as u8, Lane::Secrets(info.receiver.id()), what)
}

fn end(state: &State, slot: usize, gives_up: bool) -> &'static str {
    let Progress::Copying { held, outcomes, .. } = state.requests[slot] else { return "end" };
    let refused = outcomes.contains(&crate::world::Outcome::Refused);
    let commits = held.info().hand_over.keys().iter().all(|key| key.shell.is_some());
    match (gives_up, commits && !refused) {
        (true, _) => "give up: abort",
        (false, true) => "commit: rows, offer, quota, journal, debts",
        (false, false) => "abort: the rows are as before",
    }
}

fn landing(state: &State, at: usize) -> Told {
    let (to, what) = match state.network[at] {
        Late::Create { owner, shell, .. } => {
            (Lane::Secrets(owner.id()), format!("{} comes into being", shell.id()))
        }
        Late::Fill { shell, .. } => {
            (owner_lane(state, shell), format!("a payload arrives for {}", shell.id()))
        }
        Late::Delete { secret } => {
            (owner_lane(state, secret), format!("{} is deleted", secret.id()))
        }
        Late::Commit { slot, .. } => {
            (Lane::Database, format!("the commit of {} arrives", REQUESTS[usize::from(slot)].name))
        }
    };
    Told { actor: "the network".to_owned(), from: replica(), to, what }
}

fn owner_lane(state: &State, secret: Secret) -> Lane {
    let owner = state.kept(secret).map_or(Project::Service, |kept| kept.owner);
    Lane::Secrets(owner.id())
}

fn payment(state: &State, at: usize, verb: &str) -> Told {
    let owed = state.debts[at];
    let what = match owed.due {
        Due::Secret { secret, .. } => format!("{verb} {}", secret.id()),
        Due::Shells { slot, .. } => {
            format!("{verb} the empty shells of {}", REQUESTS[usize::from(slot)].name)
        }
    };
    let to = if verb == "strike out" { Lane::Database } else { Lane::Secrets(owed.authority.id()) };
    Told { actor: "payment".to_owned(), from: replica(), to, what: format!("pay a debt: {what}") }
}

fn upstream_step(state: &State, slot: usize) -> Told {
    let Progress::Upstream { next, old, new, copies, .. } = state.requests[slot] else {
        return by_driver(slot as u8, replica(), "nothing");
    };
    let copy = new.map_or_else(|| "the copy".to_owned(), Secret::id);
    let (to, what) = match next {
        upstream::Next::Store => {
            let (_, to) = upstream::parties(slot, copies + 1);
            (Lane::Secrets(to.id()), format!("get {} and store a copy", old.id()))
        }
        upstream::Next::Save(0) => (Lane::Database, format!("save the volume: it names {copy}")),
        upstream::Next::Save(place) => {
            (Lane::Database, format!("save snapshot {place}: it names {copy}"))
        }
        upstream::Next::Delete => {
            let (from, _) = upstream::parties(slot, copies);
            (Lane::Secrets(from.id()), format!("delete {}", old.id()))
        }
        upstream::Next::Finish if REQUESTS[slot].operation == Operation::Accept => {
            (Lane::Database, "transfer_accept: owner, status, offer".to_owned())
        }
        upstream::Next::Finish | upstream::Next::Destroy => {
            (Lane::Database, "transfer_destroy: status, offer".to_owned())
        }
        upstream::Next::Quota => (Lane::Database, "commit the quota".to_owned()),
        upstream::Next::RollBack => (Lane::Database, "roll the quota back".to_owned()),
    };
    by_driver(slot as u8, to, what)
}
