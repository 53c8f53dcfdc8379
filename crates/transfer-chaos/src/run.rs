//! One run: set up, play while everything fails, let it come to rest, judge.

use crate::client::{Ball, Game};
use crate::fleet::{self, Fleet};
use crate::record::Asked;
use crate::report::Report;
use crate::verdict;
use anyhow::{Context as _, bail, ensure};
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use test_database::Database;
use tokio_util::sync::CancellationToken;
use transfer_core::invariants::World;
use transfer_core::{HandOver, ProjectId, VolumeId};
use volume_transfer::stage::{Call, ServerOptions, Stage, User};

/// How many volumes change hands; two of three are encrypted.
const VOLUMES: usize = 15;

/// How many of Barbican's requests fail, by each of the four ways.
const EACH_WAY: f64 = 0.0125;

/// How long the world may take to come to rest: a debt that was refused waits for its next turn.
const REST: Duration = Duration::from_secs(120);

/// What is to be run.
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    pub(crate) replicas: usize,
    pub(crate) clients: u64,
    pub(crate) operations: u64,
    pub(crate) seed: u64,
    pub(crate) restarts: u64,
}

/// Restarts the database and returns when it is up again.
pub(crate) trait Restart {
    /// Restarts it.
    fn restart(&mut self) -> impl Future<Output = anyhow::Result<()>>;
}

/// Runs it.
///
/// # Errors
/// What kept it from being run: nothing that it found out.
pub(crate) async fn run(plan: Plan, restarter: &mut impl Restart) -> anyhow::Result<Report> {
    ensure!(plan.replicas > 1, "chaos takes two replicas at least");
    let begun = Instant::now();
    let database = Database::create().await;
    let stage = Arc::new(Stage::set(plan.binary.clone(), plan.seed, Some(&database.url)).await?);
    // Nobody is to be refused for want of room.
    database.sql("UPDATE quota_classes SET hard_limit = -1").await;
    let mut users = Vec::new();
    for (user, project) in [("x", "donor"), ("y", "recipient"), ("z", "third")] {
        users.push(stage.log_in(user, project).await?);
    }
    let balls = balls(&stage, &database, &users).await?;
    stage.observe().await?;

    let fleet = Arc::new(Fleet::new(plan.replicas));
    let calm = CancellationToken::new();
    let options = ServerOptions { patience_ms: 900, ..ServerOptions::default() };
    let keep = fleet::keep(fleet.clone(), stage.clone(), options, plan.seed, calm.clone());
    let keeping = tokio::spawn(keep);
    fail_now_and_then(&stage);
    let game = Arc::new(Game::new(users, balls, fleet.clone(), plan.operations));
    let playing: Vec<_> = (0..plan.clients)
        .map(|client| {
            let (game, seed) = (game.clone(), plan.seed.wrapping_mul(1_000).wrapping_add(client));
            tokio::spawn(async move { game.play(seed).await })
        })
        .collect();
    let has_failed = || keeping.is_finished();
    let Some(database_restarts) = watch(&game, plan.restarts, restarter, has_failed).await? else {
        keeping.await??;
        bail!("the replicas are left alone");
    };
    for client in playing {
        client.await?;
    }
    calm.cancel();
    stage.simulator.faults().clear();
    let servers = keeping.await??;
    let world = come_to_rest(&stage, &game).await?;
    let record = game.record();
    account(&stage, &record.asked).await?;
    let (findings, faults) = verdict::judge(&stage, &world, &record, &game.first_owners());
    for server in servers {
        let status = server.stop().await?;
        ensure!(status.success(), "a replica stopped with {status}");
    }
    database.remove().await;
    Ok(Report {
        kills: fleet.kills.load(Ordering::Relaxed),
        pauses: fleet.pauses.load(Ordering::Relaxed),
        database_restarts,
        faults,
        seed: plan.seed,
        seconds: begun.elapsed().as_secs(),
        ..Report::of(&record, findings)
    })
}

/// Makes the volumes: of three two are encrypted, with two snapshots that have keys of their own;
/// of four one is never shown to the third project.
async fn balls(stage: &Stage, database: &Database, users: &[User]) -> anyhow::Result<Vec<Ball>> {
    stage.log_in("admin", "admin").await?.create_encrypted_type("luks").await?;
    let mut balls = Vec::new();
    for number in 0..VOLUMES {
        let players: Vec<usize> = match number % 4 {
            0 => vec![number % 2, 1 - number % 2],
            _ => (0..users.len()).map(|turn| (number + turn) % users.len()).collect(),
        };
        let owner = &users[players[0]];
        let encrypted = number % 3 > 0;
        let volume = owner.create_volume("v", encrypted.then_some("luks")).await?;
        for name in ["s1", "s2"] {
            let snapshot = owner.create_snapshot(name, &volume).await?;
            if encrypted {
                let key = owner.order_key().await?;
                let names = format!(
                    "UPDATE snapshots SET encryption_key_id = '{key}' WHERE id = '{snapshot}'"
                );
                database.sql(&names).await;
            }
        }
        balls.push(Ball { volume: VolumeId::new(volume), players });
    }
    Ok(balls)
}

/// One in twenty of Barbican's requests fails: refused, not heard, not answered, late.
fn fail_now_and_then(stage: &Stage) {
    // Longer than the service waits for a call, now and then.
    let late = Action::Delay { from: Duration::from_millis(50), to: Duration::from_millis(1_500) };
    let ways =
        [Action::Answer { status: 503, retry_after: None }, Action::DropBefore, Action::DropAfter];
    for way in ways.into_iter().chain([late]) {
        let rule = Rule::on(Service::Barbican, way).standing().probability(EACH_WAY);
        stage.simulator.faults().add(rule);
    }
}

/// Tells how far it is and restarts the database in between; returns how often it did, or nothing
/// when it has failed meanwhile.
async fn watch(
    game: &Game,
    restarts: u64,
    restarter: &mut impl Restart,
    has_failed: impl Fn() -> bool,
) -> anyhow::Result<Option<u64>> {
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let (mut restarted, mut told) = (0, Instant::now());
    loop {
        ticks.tick().await;
        let done = game.operations.load(Ordering::Relaxed);
        if restarted < restarts && done * (restarts + 1) >= game.goal * (restarted + 1) {
            restarter.restart().await.context("the database was not restarted")?;
            restarted += 1;
        }
        if told.elapsed() >= Duration::from_secs(5) {
            told = Instant::now();
            let fleet = &game.fleet;
            let kills = fleet.kills.load(Ordering::Relaxed);
            let pauses = fleet.pauses.load(Ordering::Relaxed);
            eprintln!("{done} of {} operations, {kills} kills, {pauses} pauses", game.goal);
        }
        if has_failed() {
            return Ok(None);
        }
        if done >= game.goal {
            return Ok(Some(restarted));
        }
    }
}

/// Lets every project call until nothing is under way and nothing is owed, or `REST` is over.
async fn come_to_rest(stage: &Stage, game: &Game) -> anyhow::Result<World> {
    let deadline = Instant::now() + REST;
    loop {
        for url in game.fleet.urls() {
            for user in 0..game.users.len() {
                game.list(user, &url).await;
            }
        }
        let world = stage.world().await?;
        let at_rest = world.hand_overs.iter().all(HandOver::has_ended) && world.debts.is_empty();
        if at_rest || Instant::now() > deadline {
            return Ok(world);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Tells the stage's watcher who showed an auth key, and what callers were told.
async fn account(stage: &Stage, asked: &[Asked]) -> anyhow::Result<()> {
    let mut shown: Vec<(&VolumeId, &ProjectId)> =
        asked.iter().filter(|one| one.right_key).map(|one| (&one.volume, &one.project)).collect();
    shown.sort();
    shown.dedup();
    for (volume, project) in shown {
        stage.showed_auth_key(volume.as_str(), project).await?;
    }
    for one in asked {
        if let (Call::Accept | Call::Cancel, Some(offer)) = (one.operation, &one.offer) {
            stage.told(offer.as_str(), one.operation.into(), &one.project, one.answer.told);
        }
    }
    Ok(())
}
