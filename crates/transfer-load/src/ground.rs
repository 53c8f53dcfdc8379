//! Where a check takes place: simulator, database, the service as a process, a donor's volumes.

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use test_database::Database;
use tokio::process::Command;
use transfer_core::VolumeId;
use transfer_core::invariants::{History, World};
use volume_transfer::stage::{Server, Stage, User};

/// How many requests make the volumes at once.
const MAKERS: usize = 8;

/// Everything that a check needs.
pub(crate) struct Ground {
    pub(crate) stage: Stage,
    pub(crate) server: Server,
    pub(crate) donor: User,
    pub(crate) recipient: User,
    pub(crate) folder: tempfile::TempDir,
    database: Database,
}

/// How many volumes, and how many snapshots of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) volumes: usize,
    pub(crate) snapshots: usize,
}

impl Ground {
    pub(crate) async fn set(binary: &Path, seed: u64) -> anyhow::Result<Self> {
        let database = Database::create().await;
        let stage = Stage::set(binary.to_owned(), seed, Some(&database.url)).await?;
        // Nobody is to be refused for want of room.
        database.sql("UPDATE quota_classes SET hard_limit = -1").await;
        stage.log_in("admin", "admin").await?.create_encrypted_type("luks").await?;
        Ok(Self {
            server: stage.start_server_as_shipped().await?,
            donor: stage.log_in("x", "donor").await?,
            recipient: stage.log_in("y", "recipient").await?,
            folder: tempfile::tempdir().context("no temporary folder")?,
            stage,
            database,
        })
    }

    /// Makes encrypted volumes of the donor's, with snapshots.
    pub(crate) async fn make(&self, size: Size) -> anyhow::Result<Vec<VolumeId>> {
        let make = async |number: usize| -> anyhow::Result<VolumeId> {
            let name = format!("volume-{number}");
            let volume = self.donor.create_volume(&name, Some("luks")).await?;
            for snapshot in 0..size.snapshots {
                self.donor.create_snapshot(&format!("{name}-{snapshot}"), &volume).await?;
            }
            Ok(VolumeId::new(volume))
        };
        futures::stream::iter((0..size.volumes).map(make)).buffered(MAKERS).try_collect().await
    }

    /// What a watcher sees before anything is done.
    pub(crate) async fn history(&self) -> anyhow::Result<History> {
        let mut history = History::default();
        history.observe(&self.stage.world().await?);
        Ok(history)
    }

    /// The world once nothing is under way, after each project has called once more: so it pays
    /// what it owes.
    pub(crate) async fn rest(&self) -> anyhow::Result<World> {
        for user in [&self.donor, &self.recipient] {
            user.offers(self.server.url()).await?.expect(200)?;
        }
        self.stage.rest().await
    }

    /// What the program's own `audit` finds, seen with both projects' eyes.
    pub(crate) async fn audit(&self) -> anyhow::Result<Vec<String>> {
        let mut audit = self.audit_program()?;
        let audit = audit.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await?;
        let text = String::from_utf8_lossy(&audit.stderr);
        let told: Value = serde_json::from_slice(&audit.stdout)
            .with_context(|| format!("audit: {}: {text}", audit.status))?;
        let findings = told["findings"].as_array().into_iter().flatten();
        let mut found: Vec<String> =
            findings.map(|finding| format!("audit: {}", finding["what"])).collect();
        let unseen = &told["summary"]["not_visible"];
        if !audit.status.success() || *unseen != 0 {
            found.push(format!("audit: {}, {unseen} keys not visible", audit.status));
        }
        Ok(found)
    }

    /// The program's own `audit`, with both projects' eyes.
    pub(crate) fn audit_program(&self) -> anyhow::Result<Command> {
        let clouds = self.folder.path().join("audit.yaml");
        self.stage.write_clouds(&clouds)?;
        let mut audit = self.stage.program("audit");
        audit
            .args(["--json", "--older-than", "0", "--cloud", "donor", "--cloud", "recipient"])
            .arg("--clouds")
            .arg(&clouds);
        Ok(audit)
    }

    /// Does something to the rows behind everybody's back.
    pub(crate) async fn sql(&self, statement: &str) {
        self.database.sql(statement).await;
    }

    pub(crate) async fn strike(self) -> anyhow::Result<()> {
        let status = self.server.stop().await?;
        ensure!(status.success(), "the service stopped with {status}");
        self.stage.strike().await;
        self.database.remove().await;
        Ok(())
    }
}
