//! Pages to look at and to test with: a run that fails, a run that holds, and coverage.

use check_page::Page;
use std::collections::BTreeMap;
use transfer_core::invariants::{
    Invariant, Material, OfferFate, OfferView, Row, RowId, SecretView, Violation, VolumeView, World,
};
use transfer_core::{ProjectId, SecretId};
use transfer_model::{Coverage, Lane, Step, Trace};

const VOLUME: &str = "5f0c1d2e-8a44-4b6e-9f3a-2d1c0b9a8e77";

/// A page with runs: one of them breaks invariants.
pub(crate) fn failing() -> Page {
    let facts = [("Protocols", "2"), ("States", "48 211"), ("Seed", "7"), ("Time", "1.9 s")];
    Page {
        title: "Check of the known-bad protocols".to_owned(),
        facts: facts.map(|(label, value)| (label.to_owned(), value.to_owned())).into(),
        traces: vec![upstream(), holding()],
        coverage: vec![("model".to_owned(), coverage())],
    }
}

/// A page of a check that passes.
pub(crate) fn passing() -> Page {
    let facts =
        [("States", "12 804 311"), ("Schedules", "4 000"), ("Seeds", "1 to 40"), ("Time", "84 s")];
    let mut complete = coverage();
    for times in complete.situations.values_mut() {
        *times += 1;
    }
    Page {
        title: "Check of the hand-over".to_owned(),
        facts: facts.map(|(label, value)| (label.to_owned(), value.to_owned())).into(),
        traces: Vec::new(),
        coverage: vec![("model".to_owned(), coverage()), ("schedules".to_owned(), complete)],
    }
}

/// A world with one volume of X and its two snapshots, which all name one secret.
fn world(key: &str) -> World {
    let row = |id: RowId| Row {
        id,
        project: "X".into(),
        key: Some(key.into()),
        size_gb: 1,
        uses_quota: true,
    };
    let volume = VolumeView {
        row: row(RowId::Volume("volume".into())),
        status: "available".to_owned(),
        type_name: None,
        snapshots: ["snapshot-1", "snapshot-2"].map(|id| row(RowId::Snapshot(id.into()))).into(),
    };
    World {
        service: "service".into(),
        volumes: vec![volume],
        secrets: BTreeMap::from([(key.into(), secret("X", Some("bytes of A")))]),
        offers: Vec::new(),
        hand_overs: Vec::new(),
        debts: Vec::new(),
        usages: BTreeMap::new(),
    }
}

fn secret(owner: &str, material: Option<&str>) -> SecretView {
    SecretView { owner: owner.into(), material: material.map(|m| Material(m.to_owned())) }
}

fn names() -> BTreeMap<ProjectId, String> {
    ["X", "Y", "Z", "admin", "service"].map(|name| (name.into(), name.to_owned())).into()
}

fn caller(name: &str) -> Lane {
    Lane::Caller(name.to_owned())
}

fn replica(name: &str) -> Lane {
    Lane::Replica(name.to_owned())
}

fn secrets(owner: &str) -> Lane {
    Lane::Secrets(owner.into())
}

/// A run as it is written down: each step changes the world that the one before left.
struct Run {
    world: World,
    steps: Vec<Step>,
}

impl Run {
    fn step(
        &mut self,
        actor: &str,
        lanes: (Lane, Lane),
        what: &str,
        change: impl FnOnce(&mut World),
    ) -> &mut Step {
        change(&mut self.world);
        self.steps.push(Step {
            actor: actor.to_owned(),
            from: lanes.0,
            to: lanes.1,
            what: what.to_owned(),
            fault: None,
            world: self.world.clone(),
            broken: Vec::new(),
        });
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }
}

fn name_key(world: &mut World, place: usize, key: &str) {
    let volume = &mut world.volumes[0];
    let row = if place == 0 { &mut volume.row } else { &mut volume.snapshots[place - 1] };
    row.key = Some(key.into());
}

/// The four unprotected steps: a crash before all snapshots are saved, and then an accept.
pub(crate) fn upstream() -> Trace {
    let start = world("A-X");
    let mut run = Run { world: start.clone(), steps: Vec::new() };
    let service = || replica("service");
    run.step("X offers", (caller("X"), service()), "POST an offer of the volume", |_| {});
    run.step("X offers", (service(), Lane::Database), "make the offer: awaiting-transfer", |w| {
        let offer =
            OfferView { id: "offer".into(), volume: "volume".into(), fate: OfferFate::Open };
        w.offers.push(offer);
    });
    run.step("X offers", (service(), secrets("service")), "get A-X and store a copy", |w| {
        w.secrets.insert("A-service".into(), secret("service", Some("bytes of A")));
    });
    let saves = (service(), Lane::Database);
    run.step("X offers", saves.clone(), "save the volume: it names A-service", |w| {
        name_key(w, 0, "A-service");
    });
    let lost = run.step("X offers", saves, "save snapshot 1: it names A-service", |w| {
        name_key(w, 1, "A-service");
    });
    lost.fault = Some("reply lost".to_owned());
    let dies = run.step("X offers", (service(), service()), "the process dies", |_| {});
    dies.fault = Some("crash".to_owned());
    accept_by_y(&mut run);
    Trace {
        protocol: "upstream".to_owned(),
        scenario: "crash before the last snapshot is saved, then an accept".to_owned(),
        replay: "model/upstream-crash/0.1.0.0.0.3.9.1.0.2.0".to_owned(),
        names: names(),
        start,
        steps: run.steps,
    }
}

fn accept_by_y(run: &mut Run) {
    let service = || replica("service");
    run.step("Y accepts", (caller("Y"), service()), "POST accept with the auth key", |_| {});
    run.step("Y accepts", (service(), secrets("Y")), "get A-service and store a copy", |w| {
        w.secrets.insert("A-Y".into(), secret("Y", Some("bytes of A")));
    });
    run.step("Y accepts", (service(), Lane::Database), "save volume and snapshot 1", |w| {
        name_key(w, 0, "A-Y");
        name_key(w, 1, "A-Y");
    });
    let moved = run.step("Y accepts", (service(), Lane::Database), "transfer_accept", |w| {
        w.offers[0].fate = OfferFate::Accepted("Y".into());
        let VolumeView { row, snapshots, .. } = &mut w.volumes[0];
        for row in std::iter::once(row).chain(snapshots) {
            row.project = "Y".into();
        }
    });
    moved.broken = vec![
        Violation {
            invariant: Invariant::RowsAgree,
            what: "volume volume and snapshot snapshot-2 no longer share a key".to_owned(),
        },
        Violation {
            invariant: Invariant::RowsAgree,
            what: "snapshot snapshot-1 and snapshot snapshot-2 no longer share a key".to_owned(),
        },
        Violation {
            invariant: Invariant::CustodianOwnsKey,
            what: "secret A-X of snapshot snapshot-2 belongs to project X, its custodian is Y"
                .to_owned(),
        },
    ];
    run.step("Y accepts", (service(), secrets("service")), "delete A-service", |w| {
        w.secrets.remove(&SecretId::from("A-service"));
    });
    let dangles = run.step("X cleans up", (caller("X"), secrets("X")), "delete A-X", |w| {
        w.secrets.remove(&SecretId::from("A-X"));
    });
    dangles.broken = vec![Violation {
        invariant: Invariant::ReferencedKeyIsLive,
        what: "snapshot snapshot-2 names secret A-X, which does not exist".to_owned(),
    }];
}

/// A run that breaks nothing, with ids as the services give them.
pub(crate) fn holding() -> Trace {
    const OLD: &str = "0a1b2c3d-1111-4222-8333-444455556666";
    const SHELL: &str = "9f8e7d6c-aaaa-4bbb-8ccc-ddddeeeeffff";
    let mut start = world(OLD);
    start.volumes[0].row.id = RowId::Volume(VOLUME.into());
    start.volumes[0].snapshots.pop();
    start.secrets.insert("other".into(), secret("Z", Some("bytes of another key")));
    let mut run = Run { world: start.clone(), steps: Vec::new() };
    let one = || replica("replica 1");
    run.step("offer by X", (caller("X"), one()), "POST an offer of the volume", |_| {});
    run.step("offer by X", (one(), Lane::Database), "claim", |_| {});
    run.step("offer by X", (one(), secrets("service")), "create a shell", |w| {
        w.secrets.insert(SHELL.into(), secret("service", None));
    });
    let fill = run.step("offer by X", (one(), secrets("service")), "fill the shell", |w| {
        w.secrets.insert(SHELL.into(), secret("service", Some("bytes of A")));
    });
    fill.fault = Some("reply lost".to_owned());
    run.step("offer by X", (one(), Lane::Database), "commit: rows, offer, quota, debts", |w| {
        name_key(w, 0, SHELL);
        name_key(w, 1, SHELL);
        let offer = OfferView { id: "offer".into(), volume: VOLUME.into(), fate: OfferFate::Open };
        w.offers.push(offer);
    });
    run.step("payment", (one(), secrets("X")), "delete the old secret", |w| {
        w.secrets.remove(&SecretId::from(OLD));
    });
    Trace {
        protocol: "hand-over".to_owned(),
        scenario: "one offer, and the reply of the fill lost".to_owned(),
        replay: "stack: offer X/0 1 0 2r 0 0".to_owned(),
        names: names(),
        start,
        steps: run.steps,
    }
}

/// Coverage of the size that an exploration has: 30 steps, 12 outcomes, 42 situations.
pub(crate) fn coverage() -> Coverage {
    const OUTCOMES: [&str; 12] = [
        "done",
        "refused",
        "token expired",
        "failed without effect",
        "reply lost",
        "lands late",
        "crash before",
        "crash after",
        "takes over",
        "fenced off",
        "timed out",
        "tried again",
    ];
    const VERBS: [&str; 10] = [
        "claim",
        "create a shell",
        "fill a shell",
        "read back",
        "save the state",
        "commit",
        "abort",
        "pay: delete a secret",
        "pay: sweep shells",
        "take over",
    ];
    let mut coverage = Coverage::default();
    for (at, operation) in ["initiate", "accept", "cancel"].into_iter().enumerate() {
        for (verb_at, verb) in VERBS.into_iter().enumerate() {
            for (outcome_at, outcome) in OUTCOMES.into_iter().enumerate() {
                let spread = (at * 131 + verb_at * 37 + outcome_at * 17) % 11;
                if outcome_at == 0 || spread > 4 {
                    let times = 7_u64.pow((spread.max(3) as u32) - 2) * (3 + verb_at as u64);
                    coverage.add_steps(&format!("{operation}: {verb}"), outcome, times);
                }
            }
        }
        for (state_at, state) in OUTCOMES.into_iter().chain(["told done", "never told"]).enumerate()
        {
            let times = if (at, state_at) == (2, 6) { 0 } else { 5_u64.pow(state_at as u32 % 9) };
            coverage.situation(&format!("{operation}: {state} while another is at work"), times);
        }
    }
    coverage
}
