//! `transfer-core`, remembered: a hand-over's state is a number, and what an event does to it is
//! looked up when it has been asked before.
//!
//! Every answer comes from [`HandOver::apply`], [`HandOver::pending`] and [`HandOver::debts`]
//! themselves; this module only spares the model from asking twice. The numbers depend on the order
//! of asking and mean nothing outside of the process.

use crate::world::{KEYS, Project, Secret};
use arrayvec::ArrayVec;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};
use transfer_core::{
    Authority, Effect, Event, Garbage, HandOver, Pending, Refusal, SecretId, Step,
};

/// A hand-over's state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Held(u32);

/// What a state is, and what it asks for.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) hand_over: HandOver,
    pub(crate) next: Next,
    /// The keys, in the order in which the hand-over copies them.
    pub(crate) old: ArrayVec<Secret, KEYS>,
    pub(crate) shells: [Option<Secret>; KEYS],
    pub(crate) giver: Project,
    pub(crate) receiver: Project,
}

/// [`Pending`] in the model's codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// What is wanted for each key.
    Effects([Option<Step>; KEYS]),
    Commit,
    Abort,
    Rest,
}

/// [`Event`] in the model's codes; keys by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Happening {
    Created(usize, Secret),
    Filled(usize),
    Refused(Step),
    Unknown(Step),
    GaveUp,
    TakenOver,
    Committed,
    Aborted,
}

#[derive(Default)]
struct Table {
    infos: Vec<&'static Info>,
    numbers: HashMap<HandOver, Held>,
}

static TABLE: OnceLock<RwLock<Table>> = OnceLock::new();

thread_local! {
    static INFOS: RefCell<Vec<&'static Info>> = const { RefCell::new(Vec::new()) };
    static APPLIED: RefCell<HashMap<(Held, Happening), Held>> = RefCell::new(HashMap::new());
}

impl Held {
    /// The number of a state.
    pub(crate) fn of(hand_over: HandOver) -> Self {
        let mut table = table().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.numbers.get(&hand_over) {
            return *known;
        }
        let held = Self(u32::try_from(table.infos.len()).unwrap_or(u32::MAX));
        table.numbers.insert(hand_over.clone(), held);
        // As long as the process: there are some thousand states at most.
        table.infos.push(Box::leak(Box::new(Info::of(hand_over))));
        held
    }

    /// What it is.
    pub(crate) fn info(self) -> &'static Info {
        let at = self.0 as usize;
        INFOS.with_borrow_mut(|mine| {
            if at >= mine.len() {
                let table = table().read().unwrap_or_else(PoisonError::into_inner);
                mine.clone_from(&table.infos);
            }
            mine[at]
        })
    }

    /// What an event makes of it.
    pub(crate) fn after(self, happening: Happening) -> Self {
        let known = APPLIED.with_borrow(|applied| applied.get(&(self, happening)).copied());
        known.unwrap_or_else(|| {
            let info = self.info();
            let mut next = info.hand_over.clone();
            if let Err(illegal) = next.apply(info.event(happening)) {
                unreachable!("the model sends what the protocol does not allow: {illegal}");
            }
            let held = Self::of(next);
            APPLIED.with_borrow_mut(|applied| applied.insert((self, happening), held));
            held
        })
    }
}

impl Info {
    fn of(hand_over: HandOver) -> Self {
        let keys = hand_over.keys();
        let next = match hand_over.pending() {
            Pending::Commit => Next::Commit,
            Pending::Abort => Next::Abort,
            Pending::Rest => Next::Rest,
            Pending::Effects(effects) => {
                let mut wanted = [None; KEYS];
                for effect in effects {
                    let (old, step) = match effect {
                        Effect::CreateShell { like, .. } => (like, Step::CreateShell),
                        Effect::Fill { from, .. } => (from, Step::Fill),
                    };
                    if let Some(key) = keys.iter().position(|key| key.old == old) {
                        wanted[key] = Some(step);
                    }
                }
                Next::Effects(wanted)
            }
        };
        let mut shells = [None; KEYS];
        for (place, key) in shells.iter_mut().zip(keys) {
            *place = key.shell.as_ref().map(secret);
        }
        Self {
            next,
            shells,
            old: keys.iter().map(|key| secret(&key.old)).collect(),
            giver: project(&hand_over.giver()),
            receiver: project(&hand_over.receiver()),
            hand_over,
        }
    }

    /// Whether it names the secret, as a key or as a shell.
    pub(crate) fn names(&self, secret: Secret) -> bool {
        self.old.contains(&secret) || self.shells.contains(&Some(secret))
    }

    /// The debts that its end leaves: secrets, and whether shells are in doubt.
    pub(crate) fn debts(&self) -> (ArrayVec<(Secret, Project), 4>, Option<Project>) {
        let mut secrets = ArrayVec::new();
        let mut in_doubt = None;
        for debt in self.hand_over.debts() {
            let authority = project(&debt.authority);
            match debt.garbage {
                Garbage::Secret(id) => secrets.push((secret(&id), authority)),
                Garbage::Shells { .. } => in_doubt = Some(authority),
            }
        }
        (secrets, in_doubt)
    }

    fn event(&self, happening: Happening) -> Event {
        let old = |key: usize| self.hand_over.keys()[key].old.clone();
        match happening {
            Happening::Created(key, shell) => {
                Event::ShellCreated { old: old(key), shell: secret_id(shell) }
            }
            Happening::Filled(key) => Event::Filled { old: old(key) },
            Happening::Refused(step) => Event::Refused {
                step,
                refusal: Refusal { status: 403, message: "refused".to_owned() },
            },
            Happening::Unknown(step) => Event::Unknown { step },
            Happening::GaveUp => Event::GaveUp,
            Happening::TakenOver => Event::TakenOver,
            Happening::Committed => Event::Committed,
            Happening::Aborted => Event::Aborted,
        }
    }
}

fn table() -> &'static RwLock<Table> {
    TABLE.get_or_init(RwLock::default)
}

/// A secret's id in `transfer-core`'s terms.
pub(crate) fn secret_id(secret: Secret) -> SecretId {
    SecretId::new(secret.id())
}

fn secret(id: &SecretId) -> Secret {
    static CODES: OnceLock<HashMap<String, Secret>> = OnceLock::new();
    let codes = CODES.get_or_init(|| Secret::all().map(|s| (s.id(), s)).collect());
    codes[id.as_str()]
}

fn project(authority: &Authority) -> Project {
    match authority {
        Authority::Service => Project::Service,
        Authority::Project(id) => {
            let all = [Project::X, Project::Y, Project::Z, Project::Admin];
            all.into_iter().find(|project| project.name() == id.as_str()).unwrap_or(Project::Admin)
        }
    }
}
