//! Any sequence of events on any hand-over, legal or not: after every one of them the hand-over has
//! kept the promises of its documentation.

use crate::promises;
use arbitrary::{Arbitrary, Unstructured};
use transfer_core::{
    Effect, Event, HandOver, Operation, Parties, Pending, Refusal, SecretId, Step,
};

/// Lets it all happen.
pub(crate) fn check(input: &[u8]) {
    if let Ok(run) = Run::arbitrary_take_rest(Unstructured::new(input)) {
        run.check();
    }
}

/// A claim of up to four keys, and what happens to it.
#[derive(Arbitrary, Debug)]
struct Run {
    operation: Claimed,
    keys: [Option<Secret>; 4],
    events: Vec<Happening>,
}

#[derive(Arbitrary, Debug)]
enum Claimed {
    Initiate,
    Accept,
    Cancel,
}

/// One pool for keys and shells, small enough that a shell is often a secret that is in use.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Secret {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
}

#[derive(Arbitrary, Debug)]
enum Happening {
    /// What `pending` asks for happens; this is the secret that the key manager makes for it.
    Next(Secret),
    ShellCreated {
        old: Secret,
        shell: Secret,
    },
    Filled(Secret),
    Refused {
        of_fill: bool,
        status: u16,
    },
    Unknown {
        of_fill: bool,
    },
    GaveUp,
    TakenOver,
    Committed,
    Aborted,
}

impl Run {
    fn check(&self) {
        let mut state = self.claim();
        promises::check_state(&state);
        for happening in &self.events {
            let event = happening.event(&state);
            let mut next = state.clone();
            match next.apply(event.clone()) {
                Ok(()) => promises::check_move(&state, &event, &next),
                Err(_) => assert_eq!(next, state, "an illegal {event:?} changed the state"),
            }
            promises::check_state(&next);
            state = next;
        }
        promises::check_end(state);
    }

    fn claim(&self) -> HandOver {
        HandOver::claim(
            "h".into(),
            match self.operation {
                Claimed::Initiate => Operation::Initiate,
                Claimed::Accept => Operation::Accept,
                Claimed::Cancel => Operation::Cancel,
            },
            "v".into(),
            "t".into(),
            Parties { donor: "x".into(), caller: "y".into(), user: "u".into() },
            self.keys.iter().flatten().map(|key| key.id()),
        )
    }
}

impl Secret {
    fn id(self) -> SecretId {
        SecretId::new(format!("{self:?}"))
    }
}

impl Happening {
    fn event(&self, state: &HandOver) -> Event {
        let step = |of_fill: &bool| if *of_fill { Step::Fill } else { Step::CreateShell };
        match self {
            Self::Next(made) => next(state, made.id()).unwrap_or(Event::TakenOver),
            Self::ShellCreated { old, shell } => {
                Event::ShellCreated { old: old.id(), shell: shell.id() }
            }
            Self::Filled(old) => Event::Filled { old: old.id() },
            Self::Refused { of_fill, status } => Event::Refused {
                step: step(of_fill),
                refusal: Refusal { status: *status, message: "no".to_owned() },
            },
            Self::Unknown { of_fill } => Event::Unknown { step: step(of_fill) },
            Self::GaveUp => Event::GaveUp,
            Self::TakenOver => Event::TakenOver,
            Self::Committed => Event::Committed,
            Self::Aborted => Event::Aborted,
        }
    }
}

/// The event that answers what is pending, with `made` for the secret that it creates, if it does.
/// `None` at rest.
pub(crate) fn next(state: &HandOver, made: SecretId) -> Option<Event> {
    match state.pending() {
        Pending::Effects(effects) => match effects.into_iter().next()? {
            Effect::CreateShell { like, .. } => {
                Some(Event::ShellCreated { old: like, shell: made })
            }
            Effect::Fill { from, .. } => Some(Event::Filled { old: from }),
        },
        Pending::Commit => Some(Event::Committed),
        Pending::Abort => Some(Event::Aborted),
        Pending::Rest => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, HandOver, Operation, Parties, SecretId, Step, promises};
    use crate::objection::objection;

    fn claim(key: &str) -> HandOver {
        let parties = Parties { donor: "x".into(), caller: "y".into(), user: "u".into() };
        let keys = [SecretId::new(key)];
        HandOver::claim("h".into(), Operation::Accept, "v".into(), "t".into(), parties, keys)
    }

    fn after(events: &[Event]) -> HandOver {
        let mut state = claim("k");
        events.iter().for_each(|event| state.apply(event.clone()).unwrap());
        state
    }

    /// A state machine that goes another way than the event allows.
    #[test]
    fn a_move_that_breaks_a_promise_is_found() {
        let shell = Event::ShellCreated { old: "k".into(), shell: "s".into() };
        let filled = Event::Filled { old: "k".into() };
        let doubt = Event::Unknown { step: Step::CreateShell };
        let done = [shell.clone(), filled.clone(), Event::Committed];
        for (before, event, after, words) in [
            (after(&[]), Event::GaveUp, after(&done), "led from"),
            (after(&done), Event::GaveUp, after(&done), "had ended"),
            (after(&[]), shell.clone(), after(&[]), "was lost"),
            (after(std::slice::from_ref(&shell)), filled, after(&[]), "lost the shell"),
            (after(&[]), Event::GaveUp, claim("other"), "changed what the claim had bound"),
            (after(&[]), Event::TakenOver, after(&[Event::GaveUp]), "the fence"),
            (
                after(std::slice::from_ref(&doubt)),
                shell.clone(),
                after(&[shell]),
                "dispelled a doubt",
            ),
            (after(&[]), doubt, after(&[]), "leaves no doubt"),
        ] {
            let objection = objection(|| promises::check_move(&before, &event, &after));
            assert!(objection.contains(words), "{words}: {objection}");
        }
    }
}
