//! A bulk of encrypted volumes that is killed at random moments and begun again each time.
//!
//! When a run is killed follows from the seed, counted in offers and arrivals that its journal
//! tells; how far the requests under way are then does not.

use crate::followed::Followed;
use crate::ground::{Ground, Size};
use crate::left::{self, Expected};
use crate::{gateway, too_much_memory};
use anyhow::Context as _;
use clap::Args;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use serde_json::Value;
use simulator::Urls;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use transfer_core::VolumeId;
use volume_transfer::stage::peak_mib;

/// Between two looks at a run.
const PERIOD: Duration = Duration::from_millis(2);
/// Kills come in the first so many percent of a run: what is killed must still be there.
const KILLED_WITHIN: usize = 90;
/// How often the service's memory is told.
const PARTS: usize = 10;

/// What is to be done.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// How many encrypted volumes
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub volumes: usize,
    /// How many snapshots of each
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub snapshots: usize,
    /// How often the run is killed
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub kills: usize,
    /// How many volumes at a time
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub jobs: usize,
    /// What the moments of the kills follow from [default: any]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Says the same moments again.
    pub seed: u64,
    /// How many volumes.
    pub volumes: usize,
    /// How many snapshots in all.
    pub snapshots: usize,
    /// How often a run was killed, before it came to its end.
    pub kills: usize,
    /// After how many offers and arrivals each was.
    pub killed_at: Vec<usize>,
    /// How many offers were made; those whose auth key died with a run were taken back.
    pub offers: usize,
    /// What all runs took.
    pub seconds: f64,
    /// The service's peak, in MiB, when each tenth of the volumes had arrived.
    pub service_mib: Vec<f64>,
    /// Its peak in the end.
    pub service_peak_mib: f64,
    /// The peak of the run that held most.
    pub bulk_peak_mib: f64,
    /// What is wrong.
    pub findings: Vec<String>,
}

impl crate::Report for Report {
    fn findings(&self) -> &[String] {
        &self.findings
    }
}

/// Does it.
///
/// # Errors
/// What kept it from being done: nothing that it found out.
pub async fn run(plan: &Plan, binary: &Path) -> anyhow::Result<Report> {
    let seed = plan.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let ground = Ground::set(binary, seed).await?;
    let size = Size { volumes: plan.volumes, snapshots: plan.snapshots };
    let volumes = ground.make(size).await?;
    let mut history = ground.history().await?;
    // All of the recipient's are shown to it, sooner or later.
    for entitled in history.entitled.values_mut() {
        entitled.insert(ground.recipient.project.clone());
    }
    let stop = CancellationToken::new();
    let block_storage = &ground.stage.urls().block_storage;
    let gateway = gateway::open(ground.server.url(), block_storage, stop.clone()).await?;
    let simulator = &ground.stage.simulator;
    simulator.set_urls(Urls { block_storage: gateway, ..simulator.urls() });

    let mut runs = Runs::of(&ground, plan)?;
    let begun = Instant::now();
    let ended = runs.all(moments(plan, seed)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let Runs { kills, killed_at, service_mib, bulk_peak_mib, ref journal, .. } = runs;

    let world = ground.rest().await?;
    let expected = |volume: &VolumeId| Expected {
        volume: volume.clone(),
        project: ground.recipient.project.clone(),
        status: "available",
        snapshots: plan.snapshots,
        accepts: 1,
    };
    let expected: Vec<Expected> = volumes.iter().map(expected).collect();
    let service_peak_mib = ground.server.peak_mib()?;
    let mut findings: Vec<String> = ended.into_iter().collect();
    findings.extend(left::findings(&world, &history, &expected));
    findings.extend(kept_keys(&std::fs::read_to_string(journal)?));
    findings.extend(ground.audit().await?);
    findings.extend(too_much_memory(service_peak_mib, 0));
    let report = Report {
        seed,
        volumes: volumes.len(),
        snapshots: world.volumes.iter().map(|volume| volume.snapshots.len()).sum(),
        kills,
        killed_at,
        offers: world.offers.len(),
        seconds,
        service_mib,
        service_peak_mib,
        bulk_peak_mib,
        findings,
    };
    stop.cancel();
    ground.strike().await?;
    Ok(report)
}

/// After how many offers and arrivals the runs are killed, the first one first.
fn moments(plan: &Plan, seed: u64) -> Vec<usize> {
    let mut dice = StdRng::seed_from_u64(seed);
    let last = plan.volumes * 2 * KILLED_WITHIN / 100;
    let mut moments: Vec<_> = (0..plan.kills).map(|_| dice.random_range(0..=last)).collect();
    moments.sort_unstable();
    moments
}

/// A journal that has come to its end names no auth key.
fn kept_keys(journal: &str) -> Option<String> {
    let kept = journal.matches("auth_key").count();
    (kept > 0).then(|| format!("{kept} auth keys are still in the journal"))
}

/// The runs of one journal.
struct Runs<'a> {
    ground: &'a Ground,
    volumes: usize,
    jobs: usize,
    clouds: PathBuf,
    journal: PathBuf,
    followed: Followed,
    kills: usize,
    killed_at: Vec<usize>,
    service_mib: Vec<f64>,
    bulk_peak_mib: f64,
}

impl<'a> Runs<'a> {
    fn of(ground: &'a Ground, plan: &Plan) -> anyhow::Result<Self> {
        let clouds = ground.folder.path().join("clouds.yaml");
        ground.stage.write_clouds(&clouds)?;
        let journal = ground.folder.path().join("journal");
        Ok(Self {
            ground,
            volumes: plan.volumes,
            jobs: plan.jobs,
            clouds,
            followed: Followed::new(journal.clone()),
            journal,
            kills: 0,
            killed_at: Vec::new(),
            service_mib: Vec::new(),
            bulk_peak_mib: 0.0,
        })
    }

    /// Runs it and kills it at these moments, until one comes to its end; says what is wrong with
    /// that end.
    async fn all(&mut self, moments: Vec<usize>) -> anyhow::Result<Option<String>> {
        let mut moments = moments.into_iter();
        loop {
            let said = self.ground.folder.path().join("said");
            let mut child = self
                .command()
                .stderr(std::fs::File::create(&said)?)
                .kill_on_drop(true)
                .spawn()
                .context("bulk cannot be started")?;
            let mut stdout = child.stdout.take().context("no standard output")?;
            let Some(status) = self.watch(&mut child, moments.next()).await? else {
                self.kills += 1;
                self.killed_at.push(self.followed.steps());
                eprintln!("killed after {} offers and arrivals", self.followed.steps());
                continue;
            };
            let mut told = String::new();
            stdout.read_to_string(&mut told).await?;
            let told: Value = serde_json::from_str(&told).unwrap_or_default();
            let said = std::fs::read_to_string(&said)?;
            let complete = status.success() && told["complete"] == true;
            return Ok((!complete).then(|| format!("bulk: {status}: {told}\n{said}")));
        }
    }

    /// Follows a run until it ends, or until so much has been done: then it is killed.
    async fn watch(
        &mut self,
        child: &mut Child,
        moment: Option<usize>,
    ) -> anyhow::Result<Option<ExitStatus>> {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                status = child.wait() => return Ok(Some(status?)),
                _ = ticks.tick() => {}
            }
            let begun = self.followed.read_on()?;
            if begun && moment.is_some_and(|moment| self.followed.steps() >= moment) {
                child.kill().await.context("bulk cannot be killed")?;
                return Ok(None);
            }
            let held = child.id().and_then(peak_mib).unwrap_or_default();
            self.bulk_peak_mib = self.bulk_peak_mib.max(held);
            while self.followed.arrived() * PARTS >= self.volumes * (self.service_mib.len() + 1) {
                self.service_mib.push(self.ground.server.peak_mib()?);
            }
        }
    }

    fn command(&self) -> Command {
        let mut bulk = self.ground.stage.program_alone("bulk");
        bulk.args(["--from", "donor", "--to", "recipient", "--all", "--json", "--clouds"])
            .arg(&self.clouds)
            .arg("--journal")
            .arg(&self.journal)
            .args(["--jobs", &self.jobs.to_string()])
            .stdout(Stdio::piped());
        bulk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_come_in_order_from_the_seed_and_before_the_end() {
        let plan = Plan { volumes: 100, snapshots: 0, kills: 50, jobs: 1, seed: None };
        let moments = moments(&plan, 7);
        assert_eq!(moments, super::moments(&plan, 7));
        assert_ne!(moments, super::moments(&plan, 8));
        assert!(moments.is_sorted() && moments.last().is_some_and(|last| *last <= 180));
    }

    #[test]
    fn a_key_that_stays_in_the_journal_is_noticed() {
        assert_eq!(kept_keys("{\"volume\":\"v\",\"place\":\"arrived\"}\n"), None);
        assert!(kept_keys("{\"place\":\"offered\",\"auth_key\":\"0\"}\n").is_some());
    }
}
