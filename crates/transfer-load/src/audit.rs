//! An audit of very many volumes: it finds nothing where nothing is wrong, all of what is planted
//! among them, says how far it is, and its memory does not grow with them.
//!
//! Most volumes are rows alone, without a key; a few are made as users make them, with keys and
//! snapshots, and lie among the others by their ids.

use crate::ground::{Ground, Size};
use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use transfer_core::VolumeId;
use volume_transfer::stage::peak_mib;

/// How much more an audit of all may hold than one of the few, in MiB.
const MORE_MIB: f64 = 16.0;
/// Without a terminal, an audit says this often how far it is.
const PROGRESS: Duration = Duration::from_secs(15);
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How the ids of rows alone begin: between those that begin with other digits.
const MARK: &str = "7eed-";

/// What is to be done.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// How many volumes without a key, each with a snapshot
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    pub volumes: usize,
    /// How many encrypted volumes among them
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub encrypted: usize,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many volumes there were, encrypted ones included.
    pub volumes: usize,
    /// Those with a key.
    pub encrypted: usize,
    /// An audit of the encrypted ones alone, with nothing wrong.
    pub few_clean: Audited,
    /// An audit of all, with nothing wrong.
    pub clean: Audited,
    /// An audit of all, once damage was planted.
    pub damaged: Audited,
    /// An audit of the encrypted ones alone, with that damage.
    pub few_damaged: Audited,
    /// How much was planted.
    pub planted: usize,
    /// What is wrong.
    pub findings: Vec<String>,
}

/// What one audit came to.
#[derive(Clone, Debug, Serialize)]
pub struct Audited {
    /// How long it took.
    pub seconds: f64,
    /// Its peak, in MiB.
    pub peak_mib: f64,
    /// How often it said how far it was.
    pub progress: usize,
    /// The volumes that it says it has looked at.
    pub volumes: u64,
    /// What it found: kind and volume.
    #[serde(skip)]
    found: BTreeSet<(String, String)>,
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
    ensure!(plan.encrypted >= DAMAGE.len(), "--encrypted: at least {}", DAMAGE.len());
    let ground = Ground::set(binary, 0).await?;
    let encrypted = ground.make(Size { volumes: plan.encrypted, snapshots: 1 }).await?;
    let few_clean = audit(&ground).await?;
    fill(&ground, plan.volumes).await;
    let clean = audit(&ground).await?;
    let planted = plant(&ground, &encrypted).await;
    let damaged = audit(&ground).await?;
    empty(&ground).await;
    let few_damaged = audit(&ground).await?;
    let volumes = plan.volumes + plan.encrypted;
    let sound = BTreeSet::new();
    let of_few = planted.iter().filter(|(_, volume)| !volume.starts_with(MARK)).cloned().collect();
    let mut findings = Vec::new();
    for (name, audited, all, expected) in [
        ("few, clean", &few_clean, plan.encrypted, &sound),
        ("clean", &clean, volumes, &sound),
        ("damaged", &damaged, volumes, &planted),
        ("few, damaged", &few_damaged, plan.encrypted, &of_few),
    ] {
        findings.extend(wrong(name, audited, all, expected));
    }
    for (name, all, few) in [("clean", &clean, &few_clean), ("damaged", &damaged, &few_damaged)] {
        if all.peak_mib > few.peak_mib + MORE_MIB {
            let (peak, few) = (all.peak_mib, few.peak_mib);
            findings.push(format!("{name}: {peak:.1} MiB, and {few:.1} MiB for the few"));
        }
    }
    ground.strike().await?;
    Ok(Report {
        volumes,
        encrypted: plan.encrypted,
        few_clean,
        clean,
        damaged,
        few_damaged,
        planted: planted.len(),
        findings,
    })
}

/// What an audit should have found and has not, and the other way round.
fn wrong(
    name: &str,
    audited: &Audited,
    volumes: usize,
    expected: &BTreeSet<(String, String)>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, volume) in expected.difference(&audited.found) {
        wrong.push(format!("{name}: {kind} of {volume} was not found"));
    }
    for (kind, volume) in audited.found.difference(expected) {
        wrong.push(format!("{name}: {kind} of {volume} was found, and is not there"));
    }
    if audited.volumes != volumes as u64 {
        wrong.push(format!("{name}: {} of {volumes} volumes were looked at", audited.volumes));
    }
    let lines = (audited.seconds / PROGRESS.as_secs_f64()) as usize;
    // The last part of it is spent on secrets, of which nothing is said.
    if audited.progress + 2 < lines {
        wrong.push(format!("{name}: {} lines in {:.0} s", audited.progress, audited.seconds));
    }
    wrong
}

/// Makes rows of volumes and snapshots without keys, each time from all there are.
async fn fill(ground: &Ground, volumes: usize) {
    const COLUMNS: &str = "created_at, deleted, user_id, project_id, size, status, attach_status, \
                           volume_type_id, use_quota";
    let insert = |id: &str, rest: &str| {
        format!("INSERT INTO volumes (id, {COLUMNS}) SELECT {id}, {COLUMNS} FROM volumes {rest}")
    };
    ground.sql(&insert(&format!("'{MARK}'"), "LIMIT 1")).await;
    let mut made = 1;
    for letter in 'a'.. {
        let more = made.min(volumes - made);
        if more == 0 {
            break;
        }
        let rest = format!("WHERE id LIKE '{MARK}%' LIMIT {more}");
        ground.sql(&insert(&format!("concat(id, '{letter}')"), &rest)).await;
        made += more;
    }
    ground
        .sql(&format!(
            "INSERT INTO snapshots (id, volume_id, created_at, deleted, user_id, project_id, \
             volume_size, status, volume_type_id, use_quota) SELECT id, id, created_at, deleted, \
             user_id, project_id, size, 'available', volume_type_id, use_quota FROM volumes \
             WHERE id LIKE '{MARK}%'"
        ))
        .await;
}

/// Takes away what [`fill`] has made.
async fn empty(ground: &Ground) {
    for table in ["snapshots", "volumes"] {
        ground.sql(&format!("DELETE FROM {table} WHERE id LIKE '{MARK}%'")).await;
    }
}

/// Kinds of damage, and how each is done to a volume.
const DAMAGE: [(&str, &[&str]); 4] = [
    (
        "key_gone",
        &[
            "UPDATE volumes SET encryption_key_id = 'f0000000-0000-4000-8000-000000000000' \
             WHERE id = '{}'",
            "UPDATE snapshots SET encryption_key_id = 'f0000000-0000-4000-8000-000000000000' \
             WHERE volume_id = '{}'",
        ],
    ),
    (
        "snapshot_key_missing",
        &["UPDATE snapshots SET encryption_key_id = NULL WHERE volume_id = '{}'"],
    ),
    (
        "snapshot_project_differs",
        &["UPDATE snapshots SET project_id = 'elsewhere' WHERE volume_id = '{}'"],
    ),
    (
        "awaiting_without_offer",
        &["UPDATE volumes SET status = 'awaiting-transfer' WHERE id = '{}'"],
    ),
];

/// Damages every encrypted volume, and some of the rows alone; says what an audit has to find.
async fn plant(ground: &Ground, encrypted: &[VolumeId]) -> BTreeSet<(String, String)> {
    let mut planted = BTreeSet::new();
    let damages = DAMAGE.iter().cycle();
    let mut damaged: Vec<_> = encrypted
        .iter()
        .zip(damages)
        .map(|(volume, damage)| (volume.to_string(), damage))
        .collect();
    let awaiting = &DAMAGE[DAMAGE.len() - 1];
    damaged.extend(["", "b", "bd"].map(|of| (format!("{MARK}{of}"), awaiting)));
    for (volume, (kind, statements)) in damaged {
        for statement in *statements {
            ground.sql(&statement.replace("{}", &volume)).await;
        }
        planted.insert(((*kind).to_owned(), volume));
    }
    planted
}

/// Runs the program's own `audit`, and looks at what it holds meanwhile.
async fn audit(ground: &Ground) -> anyhow::Result<Audited> {
    let mut program = ground.audit_program()?;
    let begun = Instant::now();
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut out, mut errors) = (String::new(), String::new());
    let stdout = child.stdout.take().context("its output")?;
    let stderr = child.stderr.take().context("its errors")?;
    let process = child.id().context("it has not ended")?;
    let mut peak = 0.0_f64;
    let watching = async {
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            ticks.tick().await;
            match peak_mib(process) {
                Some(held) => peak = peak.max(held),
                None => std::future::pending().await,
            }
        }
    };
    let reading = async {
        let (mut stdout, mut stderr) = (stdout, stderr);
        tokio::try_join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut errors))
    };
    tokio::select! {
        read = reading => { read?; }
        () = watching => {}
    }
    child.wait().await?;
    let told: Value = serde_json::from_str(&out).with_context(|| errors.clone())?;
    let findings = told["findings"].as_array().into_iter().flatten();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let found = findings.map(|finding| (text(finding, "kind"), text(finding, "volume"))).collect();
    Ok(Audited {
        seconds: begun.elapsed().as_secs_f64(),
        peak_mib: peak,
        progress: errors.lines().filter(|line| line.ends_with(" volumes")).count(),
        volumes: told["summary"]["volumes"].as_u64().unwrap_or_default(),
        found,
    })
}
