//! The service as a child process: started, stopped, paused, killed.

use super::peak_mib;
use crate::ready::Ready;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a server may take to answer or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// The times that a server on a stage lives by.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// See `serve --lease-ms`.
    pub lease_ms: u64,
    /// See `serve --patience-ms`.
    pub patience_ms: u64,
    /// See `serve --call-timeout-ms`.
    pub call_timeout_ms: u64,
    /// See `serve --recovery-period-ms`.
    pub recovery_period_ms: u64,
}

impl ServerOptions {
    pub(super) fn arguments(&self) -> Vec<String> {
        let Self { lease_ms, patience_ms, call_timeout_ms, recovery_period_ms } = self;
        vec![
            format!("--lease-ms={lease_ms}"),
            format!("--patience-ms={patience_ms}"),
            format!("--call-timeout-ms={call_timeout_ms}"),
            format!("--recovery-period-ms={recovery_period_ms}"),
        ]
    }
}

impl Default for ServerOptions {
    /// Short enough that a scene with a crash ends within seconds.
    fn default() -> Self {
        Self { lease_ms: 2_000, patience_ms: 900, call_timeout_ms: 1_000, recovery_period_ms: 100 }
    }
}

/// A running server.
pub struct Server {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Server {
    /// Starts `serve`, told already where everything else is.
    pub(super) async fn start(mut serve: Command, files: &Path) -> anyhow::Result<Self> {
        let log = files.with_extension("log");
        let ready_file = files.with_extension("json");
        let output = std::fs::File::create(&log)?;
        let child = serve
            .args(["--listen", "127.0.0.1:0", "--ready-file"])
            .arg(&ready_file)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!("{} cannot be started", serve.as_std().get_program().display())
            })?;
        let mut server = Self { child, url: String::new(), log };
        let ready: Ready = server.wait_until_ready(&ready_file).await?;
        server.url = ready.block_storage;
        Ok(server)
    }

    /// The file appears whole, by a rename, once the server answers.
    async fn wait_until_ready(&mut self, file: &Path) -> anyhow::Result<Ready> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Ok(text) = tokio::fs::read_to_string(file).await {
                return Ok(serde_json::from_str(&text)?);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("the server does not answer:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Where the transfer API is, without a version.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The most memory that it has held so far, in MiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        self.child.id().and_then(peak_mib).context("the server has ended already")
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_else(|error| error.to_string())
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("the server cannot be killed")
    }

    /// SIGSTOP: the process stands still, its connections stay open.
    ///
    /// # Errors
    /// When it has ended, or the signal cannot be sent.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.signal("-STOP").await
    }

    /// SIGCONT: the process goes on, and does not know that it stood still.
    ///
    /// # Errors
    /// As [`Server::pause`].
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.signal("-CONT").await
    }

    /// SIGTERM: it takes no new requests, and ends when those under way are answered.
    ///
    /// # Errors
    /// As [`Server::pause`].
    pub async fn terminate(&self) -> anyhow::Result<()> {
        self.signal("-TERM").await
    }

    /// [`Server::terminate`], and the exit status.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.terminate().await?;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(status.context("the server does not stop")??)
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.child.id().context("the server has ended already")?;
        let sent = Command::new("kill").args([signal, &pid.to_string()]).status().await?;
        if !sent.success() {
            bail!("{signal} could not be sent to {pid}");
        }
        Ok(())
    }
}
