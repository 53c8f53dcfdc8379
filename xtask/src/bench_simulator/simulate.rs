//! A running `volume-transfer simulate`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::lane::PASSWORD;

/// How long to wait for a start before giving up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look whether it has started.
const PAUSE: Duration = Duration::from_micros(200);

/// The process, killed when dropped.
pub(super) struct Simulate {
    process: Child,
    pub(super) identity: String,
    pub(super) key_manager: String,
}

#[derive(Deserialize)]
struct Ready {
    identity: String,
    key_manager: String,
}

impl Simulate {
    /// Starts it, and returns once it says that it is ready.
    pub(super) async fn start(binary: &Path, directory: &Path) -> Result<Self> {
        let ready: PathBuf = directory.join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let mut command = Command::new(binary);
        command.args(["simulate", "--ephemeral", "--password", PASSWORD, "--ready-file"]);
        command.arg(&ready).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn()?;
        let (identity, key_manager) = (String::new(), String::new());
        let mut simulate = Self { process, identity, key_manager };
        let begun = Instant::now();
        while !ready.exists() {
            ensure!(begun.elapsed() < PATIENCE, "not ready after {PATIENCE:?}");
            if let Some(status) = simulate.process.try_wait()? {
                bail!("simulate ended with {status}");
            }
            tokio::time::sleep(PAUSE).await;
        }
        let ready: Ready = serde_json::from_slice(&std::fs::read(&ready)?)?;
        (simulate.identity, simulate.key_manager) = (ready.identity, ready.key_manager);
        Ok(simulate)
    }

    pub(super) fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: f64 = kib.context("no VmRSS in /proc")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Simulate {
    fn drop(&mut self) {
        if self.process.kill().and_then(|()| self.process.wait()).is_err() {
            println!("process {} was gone before it was ended", self.process.id());
        }
    }
}
