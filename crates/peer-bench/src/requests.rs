//! How many requests Barbican has got.
//!
//! The real one writes a line for each into its log; the simulator counts those that a rule
//! meets, which is one that never strikes.

use crate::ground::Ready;
use crate::wire::{Parts, Wire};
use anyhow::{Context as _, Result};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Readings in a row without a change before Barbican counts as at rest.
const SAME: u32 = 3;

/// A counter.
pub(crate) enum Requests {
    Log { path: PathBuf },
    Rule { wire: Box<Wire>, url: String },
}

impl Requests {
    pub(crate) async fn of(wire: &Wire, ready: &Ready) -> Result<Self> {
        if let Some(path) = ready.barbican_log.clone() {
            return Ok(Self::Log { path });
        }
        let control = ready.simulator.as_ref().context("neither a log nor a simulator")?;
        let url = format!("{control}/faults");
        let rule = json!({"service": "barbican", "nth": u32::MAX,
                          "action": {"answer": {"status": 503}}});
        let headers = &[("content-type", "application/json")];
        let parts = Parts { headers, body: rule.to_string().into(), ..Parts::default() };
        wire.send(Method::POST, &url, StatusCode::CREATED, parts).await?;
        Ok(Self::Rule { wire: Box::new(wire.clone()), url })
    }

    /// Requests until now.
    async fn count(&self) -> Result<u64> {
        match self {
            Self::Log { path } => {
                let log =
                    tokio::fs::read(path).await.with_context(|| path.display().to_string())?;
                Ok(log.iter().filter(|byte| **byte == b'\n').count().try_into()?)
            }
            Self::Rule { wire, url } => {
                let reply = wire.send(Method::GET, url, StatusCode::OK, Parts::default()).await?;
                let rules: Value = reply.json()?;
                rules["faults"][0]["seen"].as_u64().context("the rule that counts is gone")
            }
        }
    }

    /// Requests until now, once no more come.
    pub(crate) async fn at_rest(&self) -> Result<u64> {
        let pause = Duration::from_millis(if matches!(self, Self::Log { .. }) { 100 } else { 10 });
        let (mut last, mut same) = (self.count().await?, 1);
        while same < SAME {
            tokio::time::sleep(pause).await;
            let now = self.count().await?;
            same = if now == last { same + 1 } else { 1 };
            last = now;
        }
        Ok(last)
    }
}
