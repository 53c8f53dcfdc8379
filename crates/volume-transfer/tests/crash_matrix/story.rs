//! The story that every case tells: X offers a volume with two snapshots; Y accepts it, or X takes
//! it back.

use super::case::Step;
use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use simulator::Service;
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use test_database::Database;
use transfer_core::Operation;
use transfer_core::invariants::{Told, check_at_rest};
use volume_transfer::stage::{Reply, Server, ServerOptions, Stage, User};

/// Whether the volume and its snapshots name one key or three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    Shared,
    Distinct,
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "one key",
            Self::Distinct => "three keys",
        })
    }
}

pub(crate) struct Story {
    database: Database,
    pub(crate) stage: Stage,
    pub(crate) server: Option<Server>,
    x: User,
    y: User,
    volume: String,
    /// The open offer's id and auth key, as X learned them.
    offer: Mutex<Option<(String, String)>>,
    digest: String,
}

impl Story {
    pub(crate) async fn begin(binary: PathBuf, keys: Keys) -> anyhow::Result<Self> {
        let database = Database::create().await;
        let stage = Stage::set(binary, 7, Some(&database.url)).await?;
        let admin = stage.log_in("admin", "admin").await?;
        admin.create_encrypted_type("luks").await?;
        let x = stage.log_in("x", "donor").await?;
        let y = stage.log_in("y", "recipient").await?;
        let volume = x.create_volume("v", Some("luks")).await?;
        for name in ["s1", "s2"] {
            let snapshot = x.create_snapshot(name, &volume).await?;
            if keys == Keys::Distinct {
                let key = x.order_key().await?;
                name_another_key(&database, &snapshot, &key).await;
            }
        }
        let world = stage.observe().await?;
        let key = world.volumes[0].row.key.clone().context("no key")?;
        let digest = x.read_key(key.as_str()).await?.ok().context("x cannot read its own key")?;
        let server = Some(stage.start_server(&ServerOptions::default()).await?);
        Ok(Self { database, stage, server, x, y, volume, offer: Mutex::new(None), digest })
    }

    pub(crate) fn url(&self) -> anyhow::Result<String> {
        Ok(self.server.as_ref().context("no server")?.url().to_owned())
    }

    fn offer(&self) -> anyhow::Result<(String, String)> {
        let offer = self.offer.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        offer.clone().context("no offer")
    }

    fn set_offer(&self, offer: Option<(String, String)>) -> anyhow::Result<()> {
        *self.offer.lock().map_err(|_| anyhow::anyhow!("poisoned"))? = offer;
        Ok(())
    }

    /// What has to be before the operation can be. The server remembers nothing of that, so that it
    /// has the most to ask.
    pub(crate) async fn prepare(&mut self, operation: Operation) -> anyhow::Result<()> {
        match operation {
            Operation::Initiate | Operation::Restore => Ok(()),
            Operation::Accept | Operation::Cancel => {
                self.offer_again().await?;
                self.server.take().context("no server")?.kill().await?;
                self.server = Some(self.stage.start_server(&ServerOptions::default()).await?);
                self.stage.showed_auth_key(&self.volume, &self.y.project).await
            }
        }
    }

    async fn offer_again(&self) -> anyhow::Result<()> {
        let reply = self.x.offer(&self.url()?, &self.volume).await?.expect(202)?;
        self.set_offer(Some((reply.text("/transfer/id")?, reply.text("/transfer/auth_key")?)))?;
        self.stage.rest().await?;
        Ok(())
    }

    /// The operation, as its user does it.
    pub(crate) async fn act(&self, operation: Operation, url: &str) -> anyhow::Result<Reply> {
        match operation {
            Operation::Initiate => {
                let reply = self.x.offer(url, &self.volume).await?;
                if reply.status == 202 {
                    let offer = (reply.text("/transfer/id")?, reply.text("/transfer/auth_key")?);
                    self.set_offer(Some(offer))?;
                }
                Ok(reply)
            }
            Operation::Accept => {
                let (id, auth_key) = self.offer()?;
                self.y.accept(url, &id, &auth_key).await
            }
            Operation::Cancel | Operation::Restore => self.x.cancel(url, &self.offer()?.0).await,
        }
    }

    /// The requests that the operation causes on a server that has just started.
    pub(crate) async fn steps_of(mut self, operation: Operation) -> anyhow::Result<Vec<Step>> {
        self.prepare(operation).await?;
        self.record(operation).await
    }

    /// The requests that it causes once tokens are cached, whether the server itself has made the
    /// key or has never seen it.
    pub(crate) async fn warm_steps_of(
        mut self,
        operation: Operation,
        is_known: bool,
    ) -> anyhow::Result<Vec<Step>> {
        if operation != Operation::Initiate || is_known {
            self.offer_again().await?;
        }
        if operation == Operation::Initiate && is_known {
            self.act(Operation::Cancel, &self.url()?).await?.expect(202)?;
            self.stage.rest().await?;
        }
        if !is_known {
            self.server.take().context("no server")?.kill().await?;
            self.server = Some(self.stage.start_server(&ServerOptions::default()).await?);
        }
        for user in [&self.x, &self.y] {
            user.offers(&self.url()?).await?.expect(200)?;
        }
        self.record(operation).await
    }

    async fn record(self, operation: Operation) -> anyhow::Result<Vec<Step>> {
        let before = self.stage.simulator.events().len();
        self.act(operation, &self.url()?).await?.expect(202)?;
        self.stage.rest().await?;
        let events = self.stage.simulator.events().split_off(before);
        self.end().await?;
        let of_the_server: Vec<_> =
            events.into_iter().filter(|event| event.service != Service::BlockStorage).collect();
        Ok(Step::of(&of_the_server))
    }

    pub(crate) fn told_nothing(&self, operation: Operation) -> anyhow::Result<()> {
        self.tell(operation, Told::Nothing)
    }

    pub(crate) async fn told(&self, operation: Operation, reply: &Reply) -> anyhow::Result<()> {
        self.tell(operation, reply.told())?;
        if operation == Operation::Initiate {
            let offers = self.offers().await?;
            match reply.told() {
                Told::Done => ensure!(offers.len() == 1, "told done, and there is no offer"),
                Told::Refused => ensure!(offers.is_empty(), "told refused, and there is an offer"),
                Told::Nothing => {}
            }
        }
        Ok(())
    }

    fn tell(&self, operation: Operation, told: Told) -> anyhow::Result<()> {
        let caller = match operation {
            Operation::Initiate | Operation::Restore => return Ok(()),
            Operation::Accept => &self.y.project,
            Operation::Cancel => &self.x.project,
        };
        self.stage.told(&self.offer()?.0, operation, caller, told);
        Ok(())
    }

    async fn offers(&self) -> anyhow::Result<Vec<String>> {
        let reply = self.x.offers(&self.url()?).await?.expect(200)?;
        let offers = reply.body["transfers"].as_array().context("no list")?;
        Ok(offers.iter().filter_map(|o| o["id"].as_str().map(str::to_owned)).collect())
    }

    /// Waits for recovery; then each user calls once, which lets their projects' debts be paid.
    pub(crate) async fn next_calls(&self) -> anyhow::Result<()> {
        self.stage.rest_of_claims().await?;
        for user in [&self.x, &self.y] {
            user.offers(&self.url()?).await?.expect(200)?;
        }
        self.stage.rest().await?;
        Ok(())
    }

    pub(crate) async fn check(&self, when: &str) -> anyhow::Result<()> {
        let world = self.stage.world().await?;
        let broken = check_at_rest(&world, &self.stage.history());
        if let Some(violation) = broken.first() {
            bail!("{when}: {violation} (and {} more)", broken.len() - 1);
        }
        ensure!(world.debts.is_empty(), "{when}: debts remain: {:?}", world.debts);
        Ok(())
    }

    /// No shell is left that nobody filled.
    pub(crate) fn check_shells(&self) -> anyhow::Result<()> {
        let shells = self.stage.simulator.secrets().into_iter().filter(|secret| !secret.filled);
        let names: Vec<_> = shells.filter_map(|secret| secret.name).collect();
        ensure!(names.is_empty(), "empty shells remain: {names:?}");
        Ok(())
    }

    /// Whatever happened: the operation is done in the end, and the volume ends with Y.
    pub(crate) async fn tell_to_the_end(&self, operation: Operation) -> anyhow::Result<()> {
        let mut owner = self.owner().await?;
        if operation == Operation::Cancel && !self.offers().await?.is_empty() {
            self.repeat(Operation::Cancel).await?;
            self.set_offer(None)?;
        }
        if owner != self.y.project.as_str() {
            self.stage.showed_auth_key(&self.volume, &self.y.project).await?;
            for lost in self.offers().await? {
                let known = self.offer().is_ok_and(|(id, _)| id == lost);
                if !known {
                    self.x.cancel(&self.url()?, &lost).await?.expect(202)?;
                }
            }
            if self.offers().await?.is_empty() {
                self.offer_again().await?;
            }
            self.repeat(Operation::Accept).await?;
            owner = self.owner().await?;
        }
        ensure!(owner == self.y.project.as_str(), "the volume is not y's");
        self.stage.rest().await?;
        let key = self.key().await?;
        ensure!(self.y.read_key(&key).await? == Ok(self.digest.clone()), "y cannot read the key");
        ensure!(self.x.read_key(&key).await? == Err(403), "x can still read the key");
        Ok(())
    }

    async fn repeat(&self, operation: Operation) -> anyhow::Result<()> {
        let reply = self.act(operation, &self.url()?).await?.expect(202)?;
        self.tell(operation, reply.told())
    }

    async fn owner(&self) -> anyhow::Result<String> {
        let world = self.stage.world().await?;
        Ok(world.volumes[0].row.project.to_string())
    }

    async fn key(&self) -> anyhow::Result<String> {
        let world = self.stage.world().await?;
        Ok(world.volumes[0].row.key.clone().context("no key")?.to_string())
    }

    /// A planted fault: the key is deleted behind everybody's back.
    pub(crate) async fn lose_the_key(self) -> anyhow::Result<()> {
        let url = format!("{}/v1/secrets/{}", self.stage.urls().key_manager, self.key().await?);
        self.x.ask(Method::DELETE, &url, None).await?.expect(204)?;
        self.check("after the key was deleted").await
    }

    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        if let Some(server) = self.server.take() {
            let status = server.stop().await?;
            ensure!(status.success(), "the server stopped with {status}");
        }
        self.stage.strike().await;
        self.database.remove().await;
        Ok(())
    }
}

/// Gives a snapshot a key of its own, as volumes have it whose key was migrated between snapshots.
async fn name_another_key(database: &Database, snapshot: &str, key: &str) {
    let names = format!("UPDATE snapshots SET encryption_key_id = '{key}' WHERE id = '{snapshot}'");
    database.sql(&names).await;
}
