//! Fuzzing as a library: what a target feeds in and what must come of it. A failure is a panic.
//!
//! - [`Run`] is a claim and a sequence of events, legal or not; after every one of them the
//!   hand-over has kept the promises of its documentation.
//! - [`check_row`] takes a text for a journal row: it is refused, or loads to a state that keeps
//!   the same promises.
//!
//! The promises themselves stand in `promises`. Nothing here reads a clock or draws a number: an
//! input reproduces its run.

mod promises;

use arbitrary::Arbitrary;
use transfer_core::{
    Effect, Event, HandOver, Operation, Parties, Pending, Refusal, SecretId, Step,
};

/// A claim of up to four keys, and what happens to it.
#[derive(Arbitrary, Debug)]
pub struct Run {
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
    /// Lets it all happen.
    ///
    /// # Panics
    /// When the hand-over breaks a promise.
    pub fn check(&self) {
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

/// Reads a text as a journal row.
///
/// # Panics
/// When what loads is not written as it was read, or breaks a promise.
pub fn check_row(row: &str) {
    if let Ok(state) = HandOver::from_journal(row) {
        promises::check_state(&state);
        promises::check_end(state);
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
fn next(state: &HandOver, made: SecretId) -> Option<Event> {
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
