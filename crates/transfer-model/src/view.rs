//! A state as the invariants see it: the world, and the history that a watcher has.

use crate::memo::secret_id;
use crate::world::{
    Due, Fate, Kept, OFFERS, Offer, Owed, Progress, Project, REQUESTS, ROWS, Request, SECOND,
    Secret, State, Volume, hand_over_id, offer_id,
};
use crate::{Setting, Start};
use std::collections::BTreeMap;
use transfer_core::invariants::{
    Answer, History, Material, OfferFate, OfferView, Row, RowId, SecretView, Told, VolumeView,
    World,
};
use transfer_core::{Authority, Debt, Garbage, Operation, ProjectId};

impl Project {
    pub(crate) fn id(self) -> ProjectId {
        self.name().into()
    }

    pub(crate) fn authority(self) -> Authority {
        if self == Self::Service { Authority::Service } else { Authority::Project(self.id()) }
    }
}

fn row_id(place: usize) -> RowId {
    match place {
        0 => RowId::Volume("volume".into()),
        SECOND => RowId::Volume("another-volume".into()),
        _ => RowId::Snapshot(format!("snapshot-{place}").as_str().into()),
    }
}

fn material(key: Secret) -> Material {
    Material(format!("bytes of {}", key.id()))
}

/// The world.
pub(crate) fn world(state: &State) -> World {
    let row = |place: usize| {
        state.rows[place].map(|row| Row {
            id: row_id(place),
            project: row.project.id(),
            key: row.key.map(secret_id),
            size_gb: 1,
            uses_quota: true,
        })
    };
    let volumes = [Volume::First, Volume::Second].into_iter().filter_map(|volume| {
        let places = State::places(volume);
        let awaiting = state.awaiting[volume as usize];
        Some(VolumeView {
            row: row(places[0])?,
            status: if awaiting { "awaiting-transfer" } else { "available" }.to_owned(),
            type_name: None,
            snapshots: places[1..].iter().filter_map(|place| row(*place)).collect(),
        })
    });
    let view =
        |kept: &Kept| SecretView { owner: kept.owner.id(), material: kept.material.map(material) };
    let usages = Project::TENANTS.iter().zip(state.usages).map(|(project, usage)| {
        let counts = (i64::from(usage.in_use), i64::from(usage.reserved));
        ((project.id(), "volumes".to_owned()), counts)
    });
    World {
        service: Project::Service.id(),
        volumes: volumes.collect(),
        secrets: state.secrets.iter().map(|kept| (secret_id(kept.secret), view(kept))).collect(),
        offers: offers(state),
        hand_overs: state
            .journal
            .iter()
            .flatten()
            .map(|entry| entry.held.info().hand_over.clone())
            .collect(),
        debts: state.debts.iter().map(debt).collect(),
        usages: usages.collect(),
    }
}

fn offers(state: &State) -> Vec<OfferView> {
    let offer = |(at, offer): (usize, &Option<Offer>)| {
        let Offer { volume, fate } = (*offer)?;
        let fate = match fate {
            Fate::Open { .. } => OfferFate::Open,
            Fate::Accepted(project) => OfferFate::Accepted(project.id()),
            Fate::Cancelled => OfferFate::Cancelled,
        };
        let RowId::Volume(volume) = row_id(State::places(volume)[0]) else { return None };
        Some(OfferView { id: offer_id(at).as_str().into(), volume, fate })
    };
    state.offers.iter().enumerate().filter_map(offer).collect()
}

fn debt(owed: &Owed) -> Debt {
    let (by, garbage) = match owed.due {
        Due::Secret { secret, .. } => {
            ("a-hand-over".to_owned(), Garbage::Secret(secret_id(secret)))
        }
        Due::Shells { slot, .. } => {
            let by = hand_over_id(usize::from(slot));
            let name = format!("volume-transfer-{by}");
            (by, Garbage::Shells { name })
        }
    };
    Debt { hand_over: by.as_str().into(), authority: owed.authority.authority(), garbage }
}

/// What a watcher saw: the keys at the start, who showed an auth key, what callers were told.
pub(crate) fn history(setting: &Setting, state: &State) -> History {
    let mut history = History::default();
    let start = setting.start_state();
    for place in 0..ROWS {
        let Some(row) = start.rows[place] else { continue };
        let Some(key) = row.key else { continue };
        let Some(original) = start.kept(key).and_then(|kept| kept.material) else { continue };
        history.keys.insert(row_id(place), (secret_id(key), material(original)));
        let entitled = history.entitled.entry(row_id(place)).or_default();
        entitled.insert(row.project.id());
        if place != SECOND {
            let recipients = [Project::Y, Project::Z].into_iter();
            entitled.extend(recipients.filter(|one| showed_auth_key(state, *one)).map(Project::id));
        }
    }
    for (slot, progress) in state.requests.iter().enumerate() {
        let Some(offer) = progress.offer() else { continue };
        let told = match progress {
            Progress::Over { told, .. } => *told,
            Progress::Idle
            | Progress::Named
            | Progress::Copying { .. }
            | Progress::ReadingBack { .. }
            | Progress::QuotaLeft { .. }
            | Progress::Upstream { .. } => Told::Nothing,
        };
        let request = REQUESTS[slot];
        if request.operation != Operation::Initiate {
            history.answers.push(Answer {
                offer: offer_id(offer).as_str().into(),
                operation: request.operation,
                caller: request.project.id(),
                told,
            });
        }
    }
    history
}

/// Whether the project showed an auth key, as far as anything is left of it: an accept of it that
/// was granted, what became of one, or what one has left to be deleted.
fn showed_auth_key(state: &State, project: Project) -> bool {
    let accepts = |(slot, request): (usize, &Progress)| {
        let Request { operation, project: by, .. } = REQUESTS[slot];
        operation == Operation::Accept && by == project && *request != Progress::Idle
    };
    state.requests.iter().enumerate().any(accepts)
        || state.owner(Volume::First) == Some(project)
        || state.debts.iter().any(|owed| owed.authority == project)
}

impl Setting {
    /// The state at the start.
    pub(crate) fn start_state(&self) -> State {
        use crate::world::{Row as ModelRow, SLOTS, Usage};
        let mut state = State {
            rows: [None; ROWS],
            awaiting: [false; 2],
            offers: [None; OFFERS],
            secrets: arrayvec::ArrayVec::new(),
            journal: [None; SLOTS],
            debts: arrayvec::ArrayVec::new(),
            requests: [Progress::Idle; SLOTS],
            network: arrayvec::ArrayVec::new(),
            usages: [Usage::default(); 3],
            faults: self.faults,
            crashes: self.crashes,
        };
        for (place, key) in self.rows.iter().enumerate() {
            let Some(key) = key else { continue };
            state.rows[place] = Some(ModelRow { project: Project::X, key: *key });
            if let Some(key) = *key {
                let (owner, material) = (Project::X, Some(key));
                state.create(Kept { secret: key, owner, material, shell_of: None });
            }
        }
        state.usages[0].in_use = 1 + i8::from(state.rows[SECOND].is_some());
        if self.start == Start::Offered {
            self.offer(&mut state);
        }
        state
    }

    /// The first volume has been offered, and X knows the auth key.
    fn offer(&self, state: &mut State) {
        for place in State::places(Volume::First) {
            let Some(row) = &mut state.rows[*place] else { continue };
            let Some(old) = row.key else { continue };
            let Some(secret) = old.alike(Project::Service).next() else { continue };
            row.key = Some(secret);
            state.delete(old);
            let (owner, material) = (Project::Service, Some(old));
            state.create(Kept { secret, owner, material, shell_of: None });
        }
        state.awaiting[0] = true;
        let fate = Fate::Open { key_known: true };
        state.offers[0] = Some(Offer { volume: Volume::First, fate });
    }
}

/// How the projects are called.
pub(crate) fn names() -> BTreeMap<ProjectId, String> {
    let all = [Project::X, Project::Y, Project::Z, Project::Admin, Project::Service];
    all.into_iter().map(|project| (project.id(), project.name().to_owned())).collect()
}
