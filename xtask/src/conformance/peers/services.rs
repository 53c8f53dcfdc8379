//! Both sides, started and stopped by a script of `conformance/`.
//!
//! The script lives as long as its standard input is open, so that nothing stays behind when this
//! process ends, however it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use peer_replay::{BlockStorage, Endpoints, Policy};
use serde::Deserialize;

use super::Pair;
use crate::conformance::{checked_binary, empty, environment, scripts};
use crate::process;
use crate::workspace::Workspace;

/// How long both may take to start.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often to look whether they have.
const PAUSE: Duration = Duration::from_millis(100);

/// One side, for each of Barbican's policies.
pub(super) type Side = BTreeMap<Policy, Endpoints>;

/// Where both sides are.
pub(super) struct Sides {
    pub(super) real: Side,
    pub(super) ours: Side,
    script: Option<Child>,
}

/// What the script writes once all that it starts answers.
#[derive(Deserialize)]
struct Ready {
    real: BTreeMap<Policy, Address>,
    ours: BTreeMap<Policy, Address>,
}

#[derive(Deserialize)]
struct Address {
    keystone: String,
    barbican: String,
    password: String,
    block_storage: Option<BlockStorage>,
}

impl Sides {
    /// Starts the real side, unless it is up already, and ours, if it is wanted; with a Barbican
    /// for each of the policies.
    pub(super) fn start(
        workspace: &Workspace,
        pair: &Pair,
        up: Option<Side>,
        policies: &BTreeSet<Policy>,
        ours: bool,
    ) -> Result<Self> {
        let up = match up {
            Some(real) if !ours => {
                return Ok(Self { real, ours: Side::new(), script: None });
            }
            up => up,
        };
        let clients = environment(workspace, "clients")?;
        let run = format!("{}-services", pair.name);
        let directory = empty(&workspace.target.join("conformance").join(run))?;
        let mut script = workspace.command(clients.join("bin").join("python"));
        script.arg(scripts(workspace).join(pair.script));
        script.arg("--directory").arg(&directory).env("PYTHONDONTWRITEBYTECODE", "1");
        script.arg("--policies").args(policies.iter().map(|policy| policy.name()));
        if up.is_none() {
            for name in pair.environments {
                script.arg(format!("--{name}")).arg(environment(workspace, name)?);
            }
        }
        if ours {
            script.arg("--binary").arg(checked_binary(workspace)?);
        }
        println!("$ {}", process::shown(&script));
        let mut child = script.stdin(Stdio::piped()).spawn().context("python does not start")?;
        let ready = wait(&mut child, &directory.join("ready.json"))?;
        let real = up.unwrap_or_else(|| side(ready.real));
        Ok(Self { real, ours: side(ready.ours), script: Some(child) })
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

fn side(addresses: BTreeMap<Policy, Address>) -> Side {
    let endpoints = |Address { keystone, barbican, password, block_storage }| Endpoints {
        keystone,
        barbican,
        password,
        block_storage,
    };
    addresses.into_iter().map(|(policy, address)| (policy, endpoints(address))).collect()
}

/// Waits for the file, and no longer than the script lives.
fn wait(script: &mut Child, ready: &Path) -> Result<Ready> {
    let begun = Instant::now();
    while !ready.exists() {
        if let Some(status) = script.try_wait()? {
            anyhow::bail!("the services: {status}");
        }
        ensure!(begun.elapsed() < PATIENCE, "not ready after {} s", PATIENCE.as_secs());
        std::thread::sleep(PAUSE);
    }
    let text = std::fs::read_to_string(ready).with_context(|| ready.display().to_string())?;
    serde_json::from_str(&text).with_context(|| ready.display().to_string())
}
