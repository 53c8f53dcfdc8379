//! Random sequences of claims, steps, commits, aborts, take-overs and payments keep the invariants.
//!
//! The database is the real one; secrets are a map. Drivers that were taken over go on with what
//! they had, as a driver that stalled would.

use crate::fixture::{Fixture, LEASE, accept, cancel, initiate};
use cinder_db::{AuthKey, ClaimError, Committed, EndError, FenceError, QuotaLimits, Scope};
use proptest::prelude::*;
use std::collections::BTreeMap;
use transfer_core::invariants::{
    Answer, History, Material, SecretView, Told, World, check, check_at_rest,
};
use transfer_core::{
    AbortCause, Authority, Effect, Event, HandOver, Operation, Payment, Pending, Phase, ProjectId,
    Refusal, SecretId, Settlement, TransferId,
};

const VOLUMES: [&str; 2] = ["v0", "v1"];
const PROJECTS: [&str; 3] = ["x", "y", "z"];

#[derive(Clone, Debug)]
enum Action {
    Initiate {
        volume: usize,
    },
    Accept {
        offer: usize,
        project: usize,
    },
    Cancel {
        offer: usize,
        project: usize,
    },
    /// The next effect of a driver, and its record.
    Step {
        driver: usize,
    },
    End {
        driver: usize,
    },
    GiveUp {
        driver: usize,
    },
    /// All leases run out and a replica recovers.
    Recover,
    Pay,
    Snapshot {
        volume: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let (volume, driver, offer) = (0..VOLUMES.len(), 0..4_usize, 0..3_usize);
    prop_oneof![
        3 => volume.clone().prop_map(|volume| Action::Initiate { volume }),
        4 => (offer.clone(), 0..PROJECTS.len())
            .prop_map(|(offer, project)| Action::Accept { offer, project }),
        2 => (offer, 0..PROJECTS.len())
            .prop_map(|(offer, project)| Action::Cancel { offer, project }),
        12 => driver.clone().prop_map(|driver| Action::Step { driver }),
        6 => driver.clone().prop_map(|driver| Action::End { driver }),
        1 => driver.prop_map(|driver| Action::GiveUp { driver }),
        1 => Just(Action::Recover),
        2 => Just(Action::Pay),
        1 => volume.prop_map(|volume| Action::Snapshot { volume }),
    ]
}

struct Cloud {
    fixture: Fixture,
    history: History,
    secrets: BTreeMap<SecretId, (SecretView, String)>,
    drivers: Vec<Committed<HandOver>>,
    offers: Vec<(TransferId, AuthKey)>,
    fresh: u32,
}

impl Cloud {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let mut secrets = BTreeMap::new();
        for (volume, key) in [(VOLUMES[0], Some("k0")), (VOLUMES[1], None)] {
            fixture.volume(volume, "x", key).await;
            fixture.snapshot(&format!("s-{volume}"), volume).await;
        }
        let view = SecretView { owner: "x".into(), material: Some(Material("k0".to_owned())) };
        secrets.insert("k0".into(), (view, "key".to_owned()));
        let mut cloud = Self {
            fixture,
            history: History::default(),
            secrets,
            drivers: Vec::new(),
            offers: Vec::new(),
            fresh: 0,
        };
        let world = cloud.world().await;
        cloud.history.observe(&world);
        cloud
    }

    async fn world(&self) -> World {
        let mut world = self.fixture.store.world_rows(&"service".into()).await.expect("world");
        world.secrets =
            self.secrets.iter().map(|(id, (view, _))| (id.clone(), view.clone())).collect();
        world
    }

    fn fresh(&mut self) -> String {
        self.fresh += 1;
        format!("n{}", self.fresh)
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Initiate { volume } => self.initiate(VOLUMES[volume]).await,
            Action::Accept { offer, project } => {
                let Some((transfer, key)) = self.offers.get(offer).cloned() else { return };
                let world = self.world().await;
                let open = world.offers.iter().find(|open| open.id == transfer);
                if let Some(open) = open {
                    let volume = open.volume.clone();
                    self.history.showed_auth_key(&world, &volume, &PROJECTS[project].into());
                }
                let claim = accept(&self.fresh(), &transfer, &key, PROJECTS[project]);
                let claimed = self.fixture.store.claim_accept(&claim).await;
                self.drive(claimed);
            }
            Action::Cancel { offer, project } => {
                let Some((transfer, _)) = self.offers.get(offer).cloned() else { return };
                let claim = cancel(&self.fresh(), &transfer, PROJECTS[project]);
                let claimed = self.fixture.store.claim_cancel(&claim).await;
                self.drive(claimed);
            }
            Action::Step { driver } => self.step(driver).await,
            Action::End { driver } => self.end(driver).await,
            Action::GiveUp { driver } => {
                let Some(state) = self.drivers.get(driver) else { return };
                let mut state = state.clone().into_inner();
                if state.apply(Event::GaveUp).is_ok() {
                    self.save(driver, state).await;
                }
            }
            Action::Recover => self.recover().await,
            Action::Pay => self.pay().await,
            Action::Snapshot { volume } => {
                let id = self.fresh();
                let new = crate::fixture::new_snapshot(&id, VOLUMES[volume]);
                let limits = QuotaLimits::default();
                let made = self.fixture.store.create_snapshot(&Scope::All, &new, &limits).await;
                if made.is_ok() {
                    let world = self.world().await;
                    self.history.observe(&world);
                }
            }
        }
    }

    async fn initiate(&mut self, volume: &str) {
        let world = self.world().await;
        let view = world.volumes.iter().find(|view| view.id() == Some(&volume.into()));
        let owner = view.expect("live").row.project.as_str().to_owned();
        let claim = initiate(&self.fresh(), volume, &owner);
        match self.fixture.store.claim_initiate(&claim).await {
            Ok(offered) => {
                self.offers.insert(0, (claim.transfer_id, offered.auth_key));
                self.drivers.push(offered.hand_over);
            }
            Err(ClaimError::Db(error)) => panic!("{error}"),
            Err(_refused) => {}
        }
    }

    fn drive(&mut self, claimed: Result<Committed<HandOver>, ClaimError>) {
        match claimed {
            Ok(hand_over) => self.drivers.push(hand_over),
            Err(ClaimError::Db(error)) => panic!("{error}"),
            Err(_refused) => {}
        }
    }

    async fn step(&mut self, driver: usize) {
        let Some(state) = self.drivers.get(driver) else { return };
        let Some(effect) = state.effects().into_iter().next() else { return };
        let mut next = state.clone().into_inner();
        let event = match effect.into_inner() {
            Effect::CreateShell { like, receiver, name, .. } => {
                let shell = SecretId::new(self.fresh());
                let view = SecretView { owner: owner_of(&receiver), material: None };
                self.secrets.insert(shell.clone(), (view, name));
                Event::ShellCreated { old: like, shell }
            }
            Effect::Fill { from, shell, .. } => {
                let material = self.secrets.get(&from).and_then(|(view, _)| view.material.clone());
                match (self.secrets.get_mut(&shell), material) {
                    (Some((view, _)), Some(material)) => {
                        view.material = Some(material);
                        Event::Filled { old: from }
                    }
                    (_, _) => Event::Refused {
                        step: transfer_core::Step::Fill,
                        refusal: Refusal { status: 404, message: "gone".to_owned() },
                    },
                }
            }
        };
        next.apply(event).expect("asked for");
        self.save(driver, next).await;
    }

    async fn save(&mut self, driver: usize, next: HandOver) {
        match self.fixture.store.save(next.clone(), LEASE).await {
            Ok(saved) => self.drivers[driver] = saved,
            Err(FenceError::Fenced) => {
                self.drivers.remove(driver);
                self.fixture.store.owe(&next.debts_of_shells()).await.expect("owed");
            }
            Err(FenceError::Db(error)) => panic!("{error}"),
        }
    }

    async fn end(&mut self, driver: usize) {
        let Some(state) = self.drivers.get(driver) else { return };
        let state = state.clone().into_inner();
        let ended = match state.pending() {
            Pending::Commit => self.fixture.store.commit(state.clone()).await,
            Pending::Abort => self.fixture.store.abort(state.clone()).await,
            Pending::Effects(_) | Pending::Rest => return,
        };
        self.drivers.remove(driver);
        let told = match ended {
            Ok(ended) => match ended.hand_over.phase() {
                Phase::Committed => Told::Done,
                Phase::Aborted(AbortCause::TakenOver) => panic!("by whom?"),
                Phase::Aborted(_) => Told::Refused,
                Phase::Copying | Phase::Aborting(_) => panic!("not ended"),
            },
            Err(EndError::Fenced) => Told::Refused,
            Err(EndError::ConflictingRows) => {
                let mut back = state.clone();
                back.apply(Event::GaveUp).expect("copying");
                self.fixture.store.abort(back).await.expect("aborted");
                Told::Refused
            }
            Err(error @ (EndError::Unknown(_) | EndError::Db(_))) => panic!("{error}"),
        };
        if state.operation() != Operation::Initiate {
            self.history.answers.push(Answer {
                offer: state.transfer().clone(),
                operation: state.operation(),
                caller: state.parties().caller.clone(),
                told,
            });
        }
    }

    async fn recover(&mut self) {
        self.fixture.sql("UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 0").await;
        self.fixture.store.take_over_expired(100).await.expect("recovered");
    }

    async fn pay(&mut self) {
        for row in self.fixture.store.debts().await.expect("debts") {
            let garbage: Vec<SecretId> = match row.debt.pending() {
                Payment::Delete { secret, .. } => vec![secret],
                Payment::Sweep { name, .. } => {
                    let shells = self
                        .secrets
                        .iter()
                        .filter(|(_, (view, called))| view.material.is_none() && *called == name);
                    shells.map(|(id, _)| id.clone()).collect()
                }
            };
            let mut settlement = Settlement::Paid;
            for secret in garbage {
                if self.fixture.store.is_named(&secret).await.expect("looked up") {
                    settlement = Settlement::Unknown("named".to_owned());
                } else {
                    self.secrets.remove(&secret);
                }
            }
            self.fixture.store.settle(&row.debt, &settlement).await.expect("settled");
        }
    }
}

fn owner_of(authority: &Authority) -> ProjectId {
    match authority {
        Authority::Service => "service".into(),
        Authority::Project(project) => project.clone(),
    }
}

async fn run(actions: Vec<Action>) -> Result<(), TestCaseError> {
    let mut cloud = Cloud::new().await;
    for action in actions {
        cloud.act(action.clone()).await;
        let broken = check(&cloud.world().await, &cloud.history);
        prop_assert!(broken.is_empty(), "after {action:?}: {broken:?}");
    }
    cloud.recover().await;
    cloud.pay().await;
    let broken = check_at_rest(&cloud.world().await, &cloud.history);
    prop_assert!(broken.is_empty(), "at rest: {broken:?}");
    Ok(())
}

/// How many sequences there are: of a server, whose fresh databases take time, a part of them.
fn cases() -> u32 {
    48_u32.div_ceil(u32::try_from(test_database::every()).unwrap_or(u32::MAX))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_keeps_the_invariants(
        actions in proptest::collection::vec(action(), 1..60),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        runtime.block_on(run(actions))?;
    }
}

/// The sequences are worth something only if they get somewhere.
#[tokio::test]
async fn a_sequence_hands_an_encrypted_volume_over() {
    let step = || Action::Step { driver: 0 };
    let mut actions = vec![Action::Initiate { volume: 0 }, step(), step()];
    actions.extend([Action::End { driver: 0 }, Action::Accept { offer: 0, project: 1 }]);
    actions.extend([step(), step(), Action::End { driver: 0 }, Action::Pay]);
    let mut cloud = Cloud::new().await;
    for action in actions {
        cloud.act(action).await;
    }
    let world = cloud.world().await;
    assert_eq!(world.volumes[0].row.project, "y".into());
    assert!(world.debts.is_empty());
    assert_eq!(world.secrets.len(), 1, "one copy of the key is left");
    assert!(check_at_rest(&world, &cloud.history).is_empty());
}
