//! What is measured, as the script that started it tells, and the tokens of those who ask.

use crate::wire::{Parts, Wire};
use anyhow::{Context as _, Result};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The addresses of one ground.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// Keystone, with its version.
    pub(crate) keystone: String,
    /// Barbican, without a version.
    pub(crate) barbican: String,
    /// The processes of both; children of them count, too.
    pub(crate) key_manager_pids: Vec<u32>,
    password: String,
    /// The real Barbican's log, one line a request.
    pub(crate) barbican_log: Option<PathBuf>,
    /// The simulator's control.
    pub(crate) simulator: Option<String>,
    pub(crate) storages: Vec<Storage>,
}

/// A block storage with volumes of donor.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Storage {
    pub(crate) name: String,
    /// On one database.
    pub(crate) replicas: Vec<Replica>,
    /// Volumes in that database that are nobody's here.
    #[serde(default)]
    pub(crate) others: u64,
    pub(crate) volumes: Vec<String>,
}

/// A process; children of it count, too.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Replica {
    pub(crate) url: String,
    pub(crate) pid: u32,
}

impl Storage {
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.replicas.iter().map(|replica| replica.pid).collect()
    }
}

impl Ready {
    /// As the script wrote it.
    ///
    /// # Errors
    /// When it is not there, or of another shape.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// A user's token, and the project that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) token: String,
    pub(crate) project: String,
}

/// Who takes part in a hand-over.
#[derive(Clone, Debug)]
pub(crate) struct Logins {
    pub(crate) donor: Login,
    pub(crate) recipient: Login,
    pub(crate) service: Login,
}

impl Logins {
    pub(crate) async fn of(wire: &Wire, ready: &Ready) -> Result<Self> {
        Ok(Self {
            donor: log_in(wire, ready, "x", "donor").await?,
            recipient: log_in(wire, ready, "y", "recipient").await?,
            service: log_in(wire, ready, "cinder", "service").await?,
        })
    }
}

async fn log_in(wire: &Wire, ready: &Ready, user: &str, project: &str) -> Result<Login> {
    let domain = json!({"id": "default"});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": user, "domain": domain, "password": ready.password,
        }}},
        "scope": {"project": {"name": project, "domain": domain}},
    }});
    let parts = Parts {
        headers: &[("content-type", "application/json")],
        body: body.to_string().into(),
        ..Parts::default()
    };
    let url = format!("{}/auth/tokens", ready.keystone);
    let reply = wire.send(Method::POST, &url, StatusCode::CREATED, parts).await?;
    let token = reply.headers.get("x-subject-token").context("no token")?.to_str()?.to_owned();
    let document: Value = reply.json()?;
    let project = document["token"]["project"]["id"].as_str().context("no project")?.to_owned();
    Ok(Login { token, project })
}
