//! Both sides, started and stopped by `conformance/peer_services.py`.
//!
//! The script lives as long as its standard input is open, so that nothing stays behind when this
//! process ends, however it ends.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use peer_replay::Endpoints;
use serde::Deserialize;

use crate::conformance::{empty, environment, scripts};
use crate::process;
use crate::workspace::Workspace;

/// How long both may take to start.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often to look whether they have.
const PAUSE: Duration = Duration::from_millis(100);

/// Where both sides are.
pub(super) struct Sides {
    pub(super) real: Endpoints,
    pub(super) simulated: Option<Endpoints>,
    script: Option<Child>,
}

/// What the script writes once all that it starts answers.
#[derive(Deserialize)]
struct Ready {
    real: Option<Side>,
    simulated: Option<Side>,
}

#[derive(Deserialize)]
struct Side {
    keystone: String,
    barbican: String,
    password: String,
}

impl Sides {
    /// Starts the real side, unless it is up already, and the simulated one, if it is wanted.
    pub(super) fn start(
        workspace: &Workspace,
        up: Option<Endpoints>,
        simulated: bool,
    ) -> Result<Self> {
        let up = match up {
            Some(real) if !simulated => return Ok(Self { real, simulated: None, script: None }),
            up => up,
        };
        let clients = environment(workspace, "clients")?;
        let directory = empty(&workspace.target.join("conformance").join("peers"))?;
        let mut script = workspace.command(clients.join("bin").join("python"));
        script.arg(scripts(workspace).join("peer_services.py"));
        script.arg("--directory").arg(&directory).env("PYTHONDONTWRITEBYTECODE", "1");
        if up.is_none() {
            script.arg("--services").arg(environment(workspace, "services")?);
        }
        if simulated {
            process::run(&mut workspace.cargo(["build", "-p", "volume-transfer"]))?;
            let binary = workspace.target.join("debug").join("volume-transfer");
            script.arg("--binary").arg(binary);
        }
        println!("$ {}", process::shown(&script));
        let mut child = script.stdin(Stdio::piped()).spawn().context("python does not start")?;
        let ready = wait(&mut child, &directory.join("ready.json"))?;
        let simulated = ready.simulated.map(Endpoints::from);
        let real = up.or(ready.real.map(Endpoints::from)).context("no real side is ready")?;
        Ok(Self { real, simulated, script: Some(child) })
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        if let Some(script) = &mut self.script {
            drop(script.stdin.take());
            // it says itself what went wrong
            drop(script.wait());
        }
    }
}

impl From<Side> for Endpoints {
    fn from(side: Side) -> Self {
        Self { keystone: side.keystone, barbican: side.barbican, password: side.password }
    }
}

/// Waits for the file, and no longer than the script lives.
fn wait(script: &mut Child, ready: &Path) -> Result<Ready> {
    let begun = Instant::now();
    while !ready.exists() {
        if let Some(status) = script.try_wait()? {
            anyhow::bail!("peer_services.py: {status}");
        }
        ensure!(begun.elapsed() < PATIENCE, "not ready after {} s", PATIENCE.as_secs());
        std::thread::sleep(PAUSE);
    }
    let text = std::fs::read_to_string(ready).with_context(|| ready.display().to_string())?;
    serde_json::from_str(&text).with_context(|| ready.display().to_string())
}
