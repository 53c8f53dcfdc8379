//! An operation that is about to be carried out, whichever of the three it is, and the requests
//! to the key manager that it consists of.

use crate::bench::{Bench, SOON, options};
use cinder_db::Store;
use simulator::Service;
use simulator::faults::{Action, Fault, Rule};
use transfer_core::invariants::OfferFate;
use transfer_core::{Operation, ProjectId, World};
use transfer_engine::{Engine, Offered, Options, TransferError};

pub(crate) const OPERATIONS: [Operation; 3] =
    [Operation::Initiate, Operation::Accept, Operation::Cancel];

/// One request to the key manager, by what it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// The giver reads what the old secret is.
    Metadata,
    /// The giver reads the key.
    Payload,
    /// The receiver creates the shell.
    Shell,
    /// The receiver fills it.
    Fill,
    /// The receiver looks at what is in it.
    ReadBack,
    /// The giver deletes the old secret.
    Delete,
    /// The receiver deletes a shell.
    Clear,
}

/// Those that every hand-over makes before its commit.
pub(crate) const COPYING: [Ask; 4] = [Ask::Metadata, Ask::Payload, Ask::Shell, Ask::Fill];

pub(crate) struct Scene {
    pub(crate) bench: Bench,
    pub(crate) operation: Operation,
    pub(crate) before: World,
    offer: Option<Offered>,
    begun: usize,
}

impl Scene {
    /// Everything that comes before the operation is over and done with.
    pub(crate) async fn new(operation: Operation) -> Self {
        Self::on(Bench::new().await, operation).await
    }

    pub(crate) async fn with(operation: Operation, options: Options) -> Self {
        Self::on(Bench::with(options, true).await, operation).await
    }

    pub(crate) async fn on(bench: Bench, operation: Operation) -> Self {
        let offer = if operation == Operation::Initiate {
            None
        } else {
            let engine = bench.another_engine(options());
            let offered = engine.initiate(bench.x.clone(), bench.offer_of()).await.unwrap();
            assert!(engine.shut_down(SOON).await);
            Some(offered)
        };
        let before = bench.world().await;
        let begun = bench.simulator.events().len();
        Self { bench, operation, before, offer, begun }
    }

    /// Carries the operation out.
    pub(crate) async fn run(&self) -> Result<(), TransferError> {
        self.run_on(&self.bench.engine).await
    }

    pub(crate) async fn run_on(&self, engine: &Engine) -> Result<(), TransferError> {
        let (x, y) = (self.bench.x.clone(), self.bench.y.clone());
        match (self.operation, &self.offer) {
            (Operation::Accept, Some(offer)) => {
                engine.accept(y, offer.transfer.clone(), offer.auth_key.clone()).await
            }
            (Operation::Cancel, Some(offer)) => engine.cancel(x, offer.transfer.clone()).await,
            (_, _) => engine.initiate(x, self.bench.offer_of()).await.map(|_offered| ()),
        }
    }

    /// The offer that the operation ends.
    pub(crate) fn offer(&self) -> Option<&Offered> {
        self.offer.as_ref()
    }

    /// The other way to end the offer: x takes it back.
    pub(crate) async fn cancel_on(&self, engine: &Engine) -> Result<(), TransferError> {
        let offer = self.offer.as_ref().unwrap();
        engine.cancel(self.bench.x.clone(), offer.transfer.clone()).await
    }

    pub(crate) fn fault(&self, ask: Ask, action: Action) -> Fault {
        self.bench.simulator.faults().add(self.rule(ask, action))
    }

    /// Fits this request of this operation, whoever else asks for the like.
    pub(crate) fn rule(&self, ask: Ask, action: Action) -> Rule {
        let (user, method, template) = self.shape(ask);
        Rule::on(Service::Barbican, action).method(method).template(template).user(user)
    }

    /// How often it was made since the operation began.
    pub(crate) fn asked(&self, ask: Ask) -> usize {
        let (user, method, template) = self.shape(ask);
        let events = self.bench.simulator.events();
        let fits = events[self.begun..].iter().filter(|event| {
            event.user.as_deref() == Some(user)
                && event.method == method
                && event.template == template
        });
        fits.count()
    }

    fn shape(&self, ask: Ask) -> (&'static str, &'static str, &'static str) {
        let (giver, receiver) = match self.operation {
            Operation::Initiate => ("x", "cinder"),
            Operation::Accept => ("cinder", "y"),
            Operation::Cancel | Operation::Restore => ("cinder", "x"),
        };
        match ask {
            Ask::Metadata => (giver, "GET", "/v1/secrets/{id}"),
            Ask::Payload => (giver, "GET", "/v1/secrets/{id}/payload"),
            Ask::Shell => (receiver, "POST", "/v1/secrets"),
            Ask::Fill => (receiver, "PUT", "/v1/secrets/{id}"),
            Ask::ReadBack => (receiver, "GET", "/v1/secrets/{id}/payload"),
            Ask::Delete => (giver, "DELETE", "/v1/secrets/{id}"),
            Ask::Clear => (receiver, "DELETE", "/v1/secrets/{id}"),
        }
    }

    /// The background work is finished and everybody pays; then the operation has taken effect,
    /// and nothing is left of it but the key in its new place.
    pub(crate) async fn done(&self) {
        let after = self.rest().await;
        let (owner, status, fate) = self.outcome();
        assert_eq!(after.volumes[0].row.project, owner);
        assert_eq!(after.volumes[0].status, status);
        assert_eq!(after.offers.last().map(|offer| &offer.fate), Some(&fate));
        assert_eq!(after.secrets.len(), self.before.secrets.len(), "no copy stays");
        assert_eq!(after.hand_overs, []);
        assert_eq!(after.debts, []);
    }

    /// As [`Scene::done`], for an operation that failed: everything is as it was.
    pub(crate) async fn undone(&self) {
        self.assert_undone(&self.rest().await);
    }

    /// As [`Scene::undone`], for a process whose database went away: another one looks.
    pub(crate) async fn undone_on(mut self, store: Store) {
        assert!(self.bench.engine.shut_down(SOON).await);
        self.bench.store = store;
        self.bench.engine = self.bench.another_engine(options());
        self.assert_undone(&self.rest().await);
    }

    fn assert_undone(&self, after: &World) {
        assert_eq!(after.volumes, self.before.volumes);
        assert_eq!(after.offers, self.before.offers);
        assert_eq!(after.secrets, self.before.secrets);
        // A usage of nothing is as good as none.
        let used = |world: &World| {
            let mut usages = world.usages.clone();
            usages.retain(|_resource, used| *used != (0, 0));
            usages
        };
        assert_eq!(used(after), used(&self.before));
        assert_eq!(after.debts, []);
    }

    async fn rest(&self) -> World {
        assert!(self.bench.engine.shut_down(SOON).await);
        self.bench.everybody_pays().await;
        self.bench.at_rest().await
    }

    fn outcome(&self) -> (ProjectId, &'static str, OfferFate) {
        let (x, y) = (self.bench.x.project.clone(), self.bench.y.project.clone());
        match self.operation {
            Operation::Initiate => (x, "awaiting-transfer", OfferFate::Open),
            Operation::Accept => (y.clone(), "available", OfferFate::Accepted(y)),
            Operation::Cancel | Operation::Restore => (x, "available", OfferFate::Cancelled),
        }
    }
}
