//! The machine: carries a history out on the real service, and holds every answer, and the world
//! after it, against the reference and the invariants.

use crate::cloud::Cloud;
use crate::operation::{Ask, Fault, How, Operation, Person, Shown, What};
use crate::reference::{Fate, Mistake, Reference};
use crate::request::{self, Made};
use crate::service::{Outcome, Service, Stroke};
use crate::tally::Tally;
use crate::watcher::Watcher;
use crate::{compare, life};
use openstack_http::Exchange as _;
use simulator::Service as Which;
use simulator::events::Event;
use simulator::faults::{Action, Early, Rule};
use std::collections::BTreeMap;
use transfer_core::invariants::{Told, World};
use transfer_core::{ProjectId, SecretId, TransferId};

/// A cloud with a service, the reference beside it, and what a watcher saw.
pub(crate) struct Machine {
    pub(crate) cloud: Cloud,
    pub(crate) service: Service,
    pub(crate) reference: Reference,
    pub(crate) offers: Vec<Made>,
    pub(crate) keys_made: u32,
    watcher: Watcher,
    tokens: BTreeMap<Person, String>,
}

/// Carries a history out; says what the reference or an invariant does not allow.
pub(crate) fn run(
    history: &[Operation],
    mistake: Option<Mistake>,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut machine = Machine::new(mistake);
    for operation in history {
        let at = |what| format!("{operation:?}: {what}");
        machine.step(operation, tally).map_err(at)?;
    }
    machine.come_to_rest().map_err(|what| format!("at rest: {what}"))
}

impl Machine {
    pub(crate) fn new(mistake: Option<Mistake>) -> Self {
        let starting = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cloud = starting.block_on(Cloud::new());
        let service = Service::start(&cloud);
        let mut machine = Self {
            cloud,
            service,
            reference: Reference::with(mistake),
            offers: Vec::new(),
            keys_made: 0,
            watcher: Watcher::default(),
            tokens: BTreeMap::new(),
        };
        for person in Person::ALL {
            machine.log_in(person);
        }
        life::begin(&mut machine);
        machine
    }

    /// One operation, and a look at what it did.
    pub(crate) fn step(&mut self, operation: &Operation, tally: &mut Tally) -> Result<(), String> {
        match operation {
            Operation::Ask(ask) => self.ask(ask, operation, tally)?,
            Operation::Live(life) => {
                let (expected, after) = self.reference.after(operation);
                let status = life::live(self, *life);
                if status != expected {
                    return Err(format!("came out as {status}, the reference says {expected}"));
                }
                self.reference = after;
                tally.count(operation.name(), status);
            }
        }
        self.look()
    }

    /// A request to the API, whose fault may be met.
    fn ask(&mut self, ask: &Ask, operation: &Operation, tally: &mut Tally) -> Result<(), String> {
        let by = self.reference.asker(ask);
        let (expected, after) = self.reference.after(operation);
        let request = request::of(self, by, ask, &self.tokens[&by]);
        self.note_auth_key(by, ask);
        let planted = ask.fault.map(|fault| {
            let stroke = match fault.how {
                How::Kills { .. } => Stroke::Kills,
                How::LandsLate => Stroke::Holds,
                How::Refused { .. }
                | How::Fails
                | How::NeverArrives
                | How::LosesItsReply
                | How::ComesBackGarbled => Stroke::Survives,
            };
            (self.cloud.simulator.faults().add(rule(fault)), stroke)
        });
        let begun = self.cloud.simulator.events().len();
        let Outcome { reply, struck } = self.service.ask(request, planted);
        self.cloud.simulator.faults().clear();
        let met = ask.fault.filter(|_fault| struck).map(|fault| self.met(fault, begun));
        if let Some((fault, _request)) = &met {
            let fault = *fault;
            tally.met(fault);
            if matches!(fault.how, How::Kills { .. }) {
                self.die();
            }
        }
        self.note_answer(by, ask, reply.as_ref().map(|reply| reply.status));
        let Some(reply) = reply else { return self.find_out(after, tally) };
        tally.count(operation.name(), reply.status);
        if reply.status == expected {
            request::check(self, by, ask, &reply)?;
            self.adopt(after, request::made(ask, &reply));
        } else if !met.is_some_and(|(fault, request)| allows(fault, &request, reply.status)) {
            let (status, text) = (reply.status, reply.text);
            return Err(format!("answered {status} {text}, the reference says {expected}"));
        }
        if reply.status == 401 {
            self.log_in(by);
        }
        Ok(())
    }

    /// The request that a fault struck, of those since.
    fn met(&self, fault: Fault, begun: usize) -> (Fault, Event) {
        let since = self.cloud.simulator.events().into_iter().skip(begun);
        let mut asked = since.filter(|event| event.service == fault.service);
        (fault, asked.nth(fault.nth as usize - 1).unwrap())
    }

    /// Nobody was told: the operation took place or did not.
    fn find_out(&mut self, mut after: Reference, tally: &mut Tally) -> Result<(), String> {
        let world = self.world();
        if compare::differences(self, &self.reference, &world).is_empty() {
            tally.count("in doubt and not done", 0);
            return Ok(());
        }
        tally.count("in doubt and done", 0);
        let known = |id: &TransferId| self.offers.iter().any(|made| made.id == *id);
        let new = world.offers.iter().map(|offer| &offer.id).find(|id| !known(id));
        let made = new.map(|id| Made { id: id.clone(), auth_key: None });
        if let (Some(_), Some(offer)) = (&made, after.offers.last_mut()) {
            offer.key_known = false;
        }
        self.adopt(after, made);
        Ok(())
    }

    fn adopt(&mut self, after: Reference, made: Option<Made>) {
        self.reference = after;
        self.offers.extend(made);
    }

    /// The service is gone from one moment to the next, its lease runs out, and another begins with
    /// recovery.
    fn die(&mut self) {
        self.restart();
        self.sql("UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 0");
        self.recover();
    }

    pub(crate) fn restart(&mut self) {
        self.service = Service::start(&self.cloud);
    }

    pub(crate) fn recover(&self) {
        self.service.run(self.service.engine.recover()).unwrap();
    }

    fn note_auth_key(&mut self, by: Person, ask: &Ask) {
        let What::Accept { offer, shown: Shown::Right } = ask.what else { return };
        let Some(number) = self.reference.offer(offer) else { return };
        let known = &self.reference.offers[number];
        if known.key_known && known.fate == Fate::Open {
            let (world, project) = (self.world(), self.project(by));
            self.watcher.showed_auth_key(&world, &life::volume_id(known.volume), &project);
        }
    }

    fn note_answer(&mut self, by: Person, ask: &Ask, status: Option<u16>) {
        let told = match status {
            None => Told::Nothing,
            Some(202) => Told::Done,
            Some(_refused) => Told::Refused,
        };
        let id = |place| self.reference.offer(place).map(|number| self.offers[number].id.clone());
        match ask.what {
            What::Accept { offer, .. } => {
                if let Some(id) = id(offer) {
                    self.watcher.accepted(id, self.project(by), told);
                }
            }
            What::Withdraw { offer } => {
                if let Some(id) = id(offer) {
                    self.watcher.cancelled(id, told);
                }
            }
            What::Offer { .. } | What::Show { .. } | What::List { .. } => {}
        }
    }

    fn log_in(&mut self, person: Person) {
        let token = self.service.run(self.cloud.token(person.user(), person.project()));
        self.tokens.insert(person, token);
        self.reference.log_in(person);
    }

    /// The invariants hold, and the world is as the reference says.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        let world = self.world();
        self.watcher.see(&world);
        self.all_right(self.watcher.broken(&world), &world)
    }

    fn all_right(&self, broken: Vec<String>, world: &World) -> Result<(), String> {
        let differences = compare::differences(self, &self.reference, world);
        // What is broken says more than what is different.
        let wrong = if broken.is_empty() { differences } else { broken };
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// No service fails any more, everybody comes back, and all is paid.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.restart();
        self.sql("UPDATE volume_transfer_debts SET due_at_ms = 0");
        self.recover();
        for person in Person::ALL {
            self.log_in(person);
            let request = request::list(&self.tokens[&person]);
            let Outcome { reply, .. } = self.service.ask(request, None);
            assert_eq!(reply.map(|reply| reply.status), Some(200));
        }
        let world = self.world();
        self.all_right(self.watcher.broken_at_rest(&world), &world)
    }

    pub(crate) fn world(&self) -> World {
        self.service.run(self.cloud.simulator.world(&self.service.store)).unwrap()
    }

    pub(crate) fn project(&self, person: Person) -> ProjectId {
        self.cloud.project(person.project())
    }

    /// What somebody else writes into the database.
    pub(crate) fn sql(&self, statements: &str) {
        use sqlx::Connection as _;
        self.service.run(async {
            let url = &self.cloud.database;
            let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
            let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements));
            statements.execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// Whoever owns a secret deletes it.
    pub(crate) fn delete_secret(&self, secret: &SecretId) {
        let secrets = self.cloud.simulator.secrets();
        let found = secrets.iter().find(|view| view.id == secret.as_str()).unwrap();
        let owner =
            Person::ALL.into_iter().find(|person| self.project(*person).as_str() == found.project);
        let (user, project) =
            owner.map_or(("cinder", "service"), |person| (person.user(), person.project()));
        let url = format!("{}/v1/secrets/{secret}", self.cloud.simulator.urls().key_manager);
        let reply = self.service.run(async {
            let token = self.cloud.token(user, project).await;
            let request = http::Request::delete(url).header("x-auth-token", token);
            self.cloud.barbican.exchange(request.body(bytes::Bytes::new()).unwrap()).await.unwrap()
        });
        assert_eq!(reply.status(), 204);
    }
}

fn rule(fault: Fault) -> Rule {
    let action = match fault.how {
        How::Refused { status } => Action::Answer { status, retry_after: None },
        How::Fails => Action::Answer { status: 503, retry_after: None },
        How::NeverArrives => Action::DropBefore,
        How::LosesItsReply => Action::DropAfter,
        How::ComesBackGarbled => Action::Garbage,
        How::LandsLate => Action::Late(Early::Drop),
        How::Kills { after: false } => Action::HoldBefore,
        How::Kills { after: true } => Action::HoldAfter,
    };
    Rule::on(fault.service, action).nth(fault.nth)
}

/// What a caller may be told when this happens to this request of the service, besides what the
/// reference says: always that nothing has changed. Deletions come after the answer, and a token of
/// the service's own that is refused is renewed once.
fn allows(fault: Fault, request: &Event, status: u16) -> bool {
    let is_own = request.user.as_deref() == Some("cinder");
    match (fault.service, fault.how) {
        _ if request.method == http::Method::DELETE => false,
        (Which::Barbican, How::Refused { status: 401 }) if is_own => false,
        (Which::Keystone, How::Refused { status: 401 }) if request.method == http::Method::GET => {
            false
        }
        (Which::Barbican, How::Refused { status: refused }) => status == refused,
        (
            _,
            How::Refused { .. }
            | How::Fails
            | How::NeverArrives
            | How::LosesItsReply
            | How::ComesBackGarbled
            | How::LandsLate
            | How::Kills { .. },
        ) => status == 503,
    }
}
