//! Several replicas on one database, as processes: one stands still past its lease, is killed, or
//! is told to stop, each in the middle of an operation that the key manager holds at a known step.
//! The others see the truth, recover, and nothing is lost.
//!
//! On SQLite, or on the server that `VOLUME_TRANSFER_TEST_DATABASE` names; every case, or every
//! n-th of them as `VOLUME_TRANSFER_TEST_EVERY` says.

use anyhow::{Context as _, ensure};
use simulator::Service;
use simulator::faults::{Action, Fault, Rule};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use test_database::Database;
use transfer_core::invariants::{Told, check_at_rest};
use volume_transfer::stage::{Call, Reply, Server, ServerOptions, Stage, User};

/// How long a case may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two steps that change something at the key manager: the shell is there, the key is in it.
const STEPS: [(&str, &str); 2] = [("POST", "/v1/secrets"), ("PUT", "/v1/secrets/{id}")];

struct Scene {
    database: Database,
    stage: Stage,
    x: User,
    y: User,
    volume: String,
    /// The open offer and its auth key.
    offer: Mutex<Option<(String, String)>>,
}

impl Scene {
    async fn set() -> anyhow::Result<Self> {
        let database = Database::create().await;
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_volume-transfer"));
        let stage = Stage::set(binary, 5, Some(&database.url)).await?;
        stage.log_in("admin", "admin").await?.create_encrypted_type("luks").await?;
        let x = stage.log_in("x", "donor").await?;
        let y = stage.log_in("y", "recipient").await?;
        let volume = x.create_volume("v", Some("luks")).await?;
        x.create_snapshot("s", &volume).await?;
        stage.observe().await?;
        Ok(Self { database, stage, x, y, volume, offer: Mutex::new(None) })
    }

    async fn replica(&self) -> anyhow::Result<Server> {
        self.stage.start_server(&ServerOptions::default()).await
    }

    fn offer(&self) -> anyhow::Result<(String, String)> {
        let offer = self.offer.lock().ok().and_then(|offer| offer.clone());
        offer.context("no offer")
    }

    /// The operation at a replica, and what its caller was told.
    async fn act(&self, operation: Call, replica: &str) -> anyhow::Result<Reply> {
        let (reply, caller) = match operation {
            Call::Initiate => (self.x.offer(replica, &self.volume).await?, &self.x),
            Call::Accept => {
                let (id, auth_key) = self.offer()?;
                self.stage.showed_auth_key(&self.volume, &self.y.project).await?;
                (self.y.accept(replica, &id, &auth_key).await?, &self.y)
            }
            Call::Cancel => (self.x.cancel(replica, &self.offer()?.0).await?, &self.x),
        };
        let mut offer = self.offer.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        match operation {
            Call::Initiate if reply.status == 202 => {
                *offer = Some((reply.text("/transfer/id")?, reply.text("/transfer/auth_key")?));
            }
            Call::Initiate => {}
            Call::Accept | Call::Cancel => {
                let (id, _) = offer.as_ref().context("no offer")?;
                self.stage.told(id, operation.into(), &caller.project, reply.told());
            }
        }
        Ok(reply)
    }

    /// What has to be before the operation can be.
    async fn prepare(&self, operation: Call, replica: &str) -> anyhow::Result<()> {
        if operation != Call::Initiate {
            self.act(Call::Initiate, replica).await?.expect(202)?;
            self.stage.rest().await?;
        }
        Ok(())
    }

    /// The next request of this kind is carried out, and its reply is held.
    fn hold(&self, (method, template): (&str, &str)) -> Fault {
        let rule = Rule::on(Service::Barbican, Action::HoldAfter).method(method).template(template);
        self.stage.simulator.faults().add(rule)
    }

    async fn open_offers(&self, replica: &str) -> anyhow::Result<Vec<String>> {
        let reply = self.x.offers(replica).await?.expect(200)?;
        let rows = reply.body["transfers"].as_array().context("no list")?;
        Ok(rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect())
    }

    /// The hand-over that stood still or died is ended by another replica.
    async fn recovered(&self) -> anyhow::Result<()> {
        let world = self.stage.rest_of_claims().await?;
        let live = world.hand_overs.iter().filter(|hand_over| !hand_over.has_ended()).count();
        ensure!(live == 0, "{live} hand-overs are still under way");
        Ok(())
    }

    /// Both users call, and then nothing is wrong, owed or left lying about.
    async fn check(&self, replica: &str) -> anyhow::Result<()> {
        self.recovered().await?;
        for user in [&self.x, &self.y] {
            user.offers(replica).await?.expect(200)?;
        }
        let world = self.stage.rest().await?;
        let broken = check_at_rest(&world, &self.stage.history());
        ensure!(broken.is_empty(), "{}", broken[0]);
        ensure!(world.debts.is_empty(), "debts remain: {:?}", world.debts);
        let shells = self.stage.simulator.secrets().into_iter().filter(|secret| !secret.filled);
        ensure!(shells.count() == 0, "empty shells remain");
        Ok(())
    }

    async fn strike(self, replicas: impl IntoIterator<Item = Server>) -> anyhow::Result<()> {
        for replica in replicas {
            let status = replica.stop().await?;
            ensure!(status.success(), "a replica stopped with {status}");
        }
        self.stage.strike().await;
        self.database.remove().await;
        Ok(())
    }
}

/// Every operation, held at every step; or every n-th of these.
async fn each_case(case: impl AsyncFn(Call, (&'static str, &'static str)) -> anyhow::Result<()>) {
    let operations = [Call::Initiate, Call::Accept, Call::Cancel];
    let cases = operations.into_iter().flat_map(|operation| STEPS.map(|step| (operation, step)));
    for (operation, step) in cases.step_by(test_database::every()) {
        match tokio::time::timeout(PATIENCE, case(operation, step)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{operation} at {step:?}: {error:#}"),
            Err(_) => panic!("{operation} at {step:?}: nothing moves any more"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stood_still_past_its_lease_does_no_harm() {
    each_case(async |operation, step| {
        let scene = Scene::set().await?;
        let (first, second) = tokio::try_join!(scene.replica(), scene.replica())?;
        scene.prepare(operation, first.url()).await?;
        let held = scene.hold(step);
        let meanwhile = async {
            held.reached().await;
            first.pause().await?;
            scene.recovered().await?;
            // The volume is free: the other replica does the same operation.
            scene.act(operation, second.url()).await?.expect(202)?;
            held.release();
            first.resume().await
        };
        // The caller waits all the time, and is told the truth at last.
        let act = async {
            let (id, auth_key) = scene.offer().unwrap_or_default();
            match operation {
                Call::Initiate => scene.x.offer(first.url(), &scene.volume).await,
                Call::Accept => scene.y.accept(first.url(), &id, &auth_key).await,
                Call::Cancel => scene.x.cancel(first.url(), &id).await,
            }
        };
        let (late, done) = tokio::join!(act, meanwhile);
        done?;
        let late = late?.expect(503)?;
        ensure!(late.body.to_string().contains("Nothing has changed"), "{}", late.body);
        scene.check(first.url()).await?;
        let offers = scene.open_offers(first.url()).await?;
        ensure!(offers.len() == usize::from(operation == Call::Initiate), "{offers:?}");
        scene.strike([first, second]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_replica_left_is_ended_by_another_one() {
    each_case(async |operation, step| {
        let scene = Scene::set().await?;
        let (first, second) = tokio::try_join!(scene.replica(), scene.replica())?;
        let url = first.url().to_owned();
        scene.prepare(operation, &url).await?;
        let held = scene.hold(step);
        let kill = async {
            held.reached().await;
            first.kill().await
        };
        let (answer, killed) = tokio::join!(scene.act(operation, &url), kill);
        killed?;
        ensure!(answer.is_err(), "a dead replica answers: {answer:?}");
        held.release();
        scene.check(second.url()).await?;
        scene.act(operation, second.url()).await?.expect(202)?;
        scene.check(second.url()).await?;
        scene.strike([second]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_to_another_replica_in_the_middle_sees_the_truth() {
    each_case(async |operation, step| {
        let scene = Scene::set().await?;
        let (first, second) = tokio::try_join!(scene.replica(), scene.replica())?;
        let other = second.url();
        scene.prepare(operation, other).await?;
        let before = scene.open_offers(other).await?;
        let held = scene.hold(step);
        let look = async {
            held.reached().await;
            // Nothing has happened yet, and nobody else can come in between.
            let offers = scene.open_offers(other).await?;
            ensure!(offers == before, "{offers:?}, but {before:?}");
            let rival = match (operation, scene.offer()) {
                (Call::Initiate, _) | (_, Err(_)) => scene.x.offer(other, &scene.volume).await?,
                (_, Ok((id, auth_key))) => {
                    scene.x.cancel(other, &id).await?.expect(400)?;
                    scene.y.accept(other, &id, &auth_key).await?
                }
            };
            ensure!(rival.told() == Told::Refused, "{rival:?}");
            held.release();
            Ok(())
        };
        let (reply, looked) = tokio::join!(scene.act(operation, first.url()), look);
        looked?;
        reply?.expect(202)?;
        // It has happened, for every replica at once.
        let expected: Vec<String> = match operation {
            Call::Initiate => vec![scene.offer()?.0],
            Call::Accept | Call::Cancel => Vec::new(),
        };
        let offers = scene.open_offers(other).await?;
        ensure!(offers == expected, "{offers:?}, but {expected:?}");
        scene.check(other).await?;
        scene.strike([first, second]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_restarted_one_after_the_other_lose_nothing() {
    each_case(async |operation, step| {
        let scene = Scene::set().await?;
        let (mut first, mut second) = tokio::try_join!(scene.replica(), scene.replica())?;
        for _replica in 0..2 {
            let (stays, goes) = (&second, first);
            scene.prepare(operation, goes.url()).await?;
            let held = scene.hold(step);
            let going = goes.url().to_owned();
            let stop = async {
                held.reached().await;
                goes.terminate().await?;
                no_longer_listens(&scene.y, &going).await;
                scene.y.offers(stays.url()).await?.expect(200)?;
                held.release();
                goes.stop().await
            };
            let (reply, stopped) = tokio::join!(scene.act(operation, &going), stop);
            // What was under way is finished and answered before the replica ends.
            reply?.expect(202)?;
            let stopped = stopped?;
            ensure!(stopped.success(), "a replica stopped with {stopped}");
            scene.check(stays.url()).await?;
            back_to_the_start(&scene, operation, stays.url()).await?;
            first = second;
            second = scene.replica().await?;
        }
        scene.strike([first, second]).await
    })
    .await;
}

/// X has the volume again, and it is not on offer.
async fn back_to_the_start(scene: &Scene, operation: Call, replica: &str) -> anyhow::Result<()> {
    match operation {
        Call::Initiate => {
            scene.act(Call::Cancel, replica).await?.expect(202)?;
        }
        Call::Accept => {
            let reply = scene.y.offer(replica, &scene.volume).await?.expect(202)?;
            let (id, auth_key) = (reply.text("/transfer/id")?, reply.text("/transfer/auth_key")?);
            scene.stage.showed_auth_key(&scene.volume, &scene.x.project).await?;
            scene.x.accept(replica, &id, &auth_key).await?.expect(202)?;
        }
        Call::Cancel => {}
    }
    scene.check(replica).await
}

/// Returns when nobody listens there any more.
async fn no_longer_listens(user: &User, replica: &str) {
    let fresh = || async {
        let address = replica.trim_start_matches("http://").to_owned();
        tokio::net::TcpStream::connect(address).await.is_ok()
    };
    while fresh().await {
        drop(user.offers(replica).await);
    }
}
