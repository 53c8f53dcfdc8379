//! Races on the running server: two requests at the same moment, random delays in the key manager.
//! Exactly one wins, every answer is true, every invariant holds.
//!
//! On SQLite, or on the server that `VOLUME_TRANSFER_TEST_DATABASE` names; with
//! `VOLUME_TRANSFER_TEST_EVERY` an n-th of the rounds.

#![expect(clippy::print_stdout, reason = "the figures are what is wanted of these tests")]

use anyhow::{Context as _, ensure};
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::path::PathBuf;
use std::time::Duration;
use test_database::Database;
use transfer_core::Operation;
use transfer_core::invariants::check_at_rest;
use volume_transfer::stage::{Reply, Server, ServerOptions, Stage, User};

/// Rounds of each race.
const ROUNDS: usize = 200;
/// What the delays follow from.
const SEED: u64 = 20_261_124;

struct Arena {
    database: Database,
    stage: Stage,
    server: Server,
    x: User,
    y: User,
    z: User,
}

impl Arena {
    async fn open() -> anyhow::Result<Self> {
        println!("seed {SEED}");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_volume-transfer"));
        let database = Database::create().await;
        let stage = Stage::set(binary, SEED, Some(&database.url)).await?;
        stage.log_in("admin", "admin").await?.create_encrypted_type("luks").await?;
        let x = stage.log_in("x", "donor").await?;
        let y = stage.log_in("y", "recipient").await?;
        let z = stage.log_in("z", "third").await?;
        let delay = Action::Delay { from: Duration::ZERO, to: Duration::from_millis(12) };
        stage.simulator.faults().add(Rule::on(Service::Barbican, delay).standing());
        let options = ServerOptions { lease_ms: 30_000, ..ServerOptions::default() };
        let server = stage.start_server(&options).await?;
        Ok(Self { database, stage, server, x, y, z })
    }

    async fn new_volume(&self) -> anyhow::Result<String> {
        let volume = self.x.create_volume("v", Some("luks")).await?;
        self.x.create_snapshot("s", &volume).await?;
        self.stage.observe().await?;
        Ok(volume)
    }

    async fn offer(&self, volume: &str) -> anyhow::Result<(String, String)> {
        let reply = self.x.offer(self.server.url(), volume).await?.expect(202)?;
        Ok((reply.text("/transfer/id")?, reply.text("/transfer/auth_key")?))
    }

    /// Both answers are looked at against the world; exactly one is a success.
    async fn judge(&self, answers: [(&User, Operation, &str, &Reply); 2]) -> anyhow::Result<()> {
        for (user, operation, offer, reply) in answers {
            ensure!(
                matches!(reply.status, 202 | 400 | 404),
                "{operation} by {}: {} {}",
                user.name,
                reply.status,
                reply.body
            );
            if operation != Operation::Initiate {
                self.stage.told(offer, operation, &user.project, reply.told());
            }
        }
        let winners = answers.iter().filter(|(_, _, _, reply)| reply.status == 202).count();
        let told = answers.map(|(_, _, _, reply)| reply);
        ensure!(winners == 1, "{winners} winners: {told:?}");
        let world = self.stage.rest().await?;
        ensure!(world.debts.is_empty(), "debts remain: {:?}", world.debts);
        let broken = check_at_rest(&world, &self.stage.history());
        ensure!(broken.is_empty(), "{}", broken[0]);
        Ok(())
    }

    /// Makes room for the next round: whoever owns the volume deletes it.
    async fn clear(&self, volume: &str) -> anyhow::Result<()> {
        let world = self.stage.world().await?;
        let view = world.volumes.first().context("no volume")?;
        let owners = [&self.x, &self.y, &self.z];
        let owner = owners.into_iter().find(|user| user.project == view.row.project);
        owner.context("nobody owns the volume")?.delete_volume(volume).await
    }

    async fn close(self) -> anyhow::Result<()> {
        let status = self.server.stop().await?;
        ensure!(status.success(), "the server stopped with {status}");
        self.stage.strike().await;
        self.database.remove().await;
        Ok(())
    }
}

async fn accepts(arena: &Arena) -> anyhow::Result<()> {
    let volume = arena.new_volume().await?;
    let (offer, auth_key) = arena.offer(&volume).await?;
    for user in [&arena.y, &arena.z] {
        arena.stage.showed_auth_key(&volume, &user.project).await?;
    }
    let url = arena.server.url();
    let (first, second) = tokio::try_join!(
        arena.y.accept(url, &offer, &auth_key),
        arena.z.accept(url, &offer, &auth_key),
    )?;
    let accept = Operation::Accept;
    arena.judge([(&arena.y, accept, &offer, &first), (&arena.z, accept, &offer, &second)]).await?;
    arena.clear(&volume).await
}

async fn accept_and_cancel(arena: &Arena) -> anyhow::Result<()> {
    let volume = arena.new_volume().await?;
    let (offer, auth_key) = arena.offer(&volume).await?;
    arena.stage.showed_auth_key(&volume, &arena.y.project).await?;
    let url = arena.server.url();
    let (accepted, cancelled) =
        tokio::try_join!(arena.y.accept(url, &offer, &auth_key), arena.x.cancel(url, &offer),)?;
    arena
        .judge([
            (&arena.y, Operation::Accept, &offer, &accepted),
            (&arena.x, Operation::Cancel, &offer, &cancelled),
        ])
        .await?;
    arena.clear(&volume).await
}

async fn creates(arena: &Arena) -> anyhow::Result<()> {
    let volume = arena.new_volume().await?;
    let url = arena.server.url();
    let (first, second) =
        tokio::try_join!(arena.x.offer(url, &volume), arena.x.offer(url, &volume))?;
    let initiate = Operation::Initiate;
    arena.judge([(&arena.x, initiate, "", &first), (&arena.x, initiate, "", &second)]).await?;
    let won = if first.status == 202 { first } else { second };
    arena.x.cancel(url, &won.text("/transfer/id")?).await?.expect(202)?;
    arena.stage.rest().await?;
    arena.clear(&volume).await
}

async fn race(name: &str, round: impl AsyncFn(&Arena) -> anyhow::Result<()>) {
    let arena = Arena::open().await.expect("an arena");
    let rounds = ROUNDS / test_database::every();
    for number in 1..=rounds {
        if let Err(error) = round(&arena).await {
            panic!("{name}, round {number}: {error:#}\n{}", arena.server.log());
        }
    }
    println!("{name}: {rounds} rounds, one winner each, nothing inconsistent");
    arena.close().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_accepts_exactly_one_wins() {
    race("accept against accept", accepts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_accept_and_cancel_exactly_one_wins() {
    race("accept against cancel", accept_and_cancel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_creates_exactly_one_wins() {
    race("create against create", creates).await;
}
