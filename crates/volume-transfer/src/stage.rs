//! A stage for scenes with crashes: the simulator in this process, the service as a child process.
//!
//! The child is the shipped binary's `serve`, so that killing it is what killing the service is.
//! Users speak real HTTP to both. The stage watches from outside: it keeps the [`History`] that the
//! invariants need and can look at rows and secrets at any moment.

mod call;
mod memory;
mod server;
mod user;

pub use call::Call;
pub use memory::peak_mib;
pub use server::{Server, ServerOptions};
pub use user::{Reply, User, client};

use crate::clouds;
use crate::ready::Ready;
use anyhow::Context as _;
use cinder_db::{Store, StoreConfig};
use simulator::server::Running;
use simulator::{Config, Simulator, Urls};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use transfer_core::invariants::{Answer, Told};
use transfer_core::{History, Operation, ProjectId, TransferId, VolumeId, World};

/// The password of every user on a stage.
const PASSWORD: &str = "secret";

/// How long the world may take to come to rest: several leases of [`ServerOptions::default`].
const REST: std::time::Duration = std::time::Duration::from_secs(8);

/// Everything but the service itself.
pub struct Stage {
    /// Where the simulator's faults and events are.
    pub simulator: Simulator,
    /// The rows, seen from outside.
    pub store: Store,
    binary: PathBuf,
    folder: tempfile::TempDir,
    database: String,
    started: AtomicU32,
    servers: Running,
    volumes: CancellationToken,
    urls: Ready,
    history: Mutex<History>,
}

impl Stage {
    /// Sets the stage. `binary` is the `volume-transfer` program whose `serve` will be run; the
    /// database is the one of this URL, or a file of the stage's own.
    ///
    /// # Errors
    /// When a socket, a file or the database cannot be had.
    pub async fn set(binary: PathBuf, seed: u64, database: Option<&str>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let own =
            || format!("sqlite:///{}?mode=rwc", folder.path().join("cinder.sqlite").display());
        let database = database.map_or_else(own, str::to_owned);
        let store =
            Store::connect(&StoreConfig { url: database.clone(), max_connections: 4 }).await?;
        store.create_cinder_tables().await?;
        store.migrate().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let simulator = Simulator::new(Config {
            seed,
            urls: Urls {
                block_storage: format!("http://{}", listener.local_addr()?),
                ..Urls::default()
            },
            ..Config::new(PASSWORD)
        })?;
        let servers = Running::on_loopback(&simulator).await?;
        let volumes = CancellationToken::new();
        tokio::spawn(simulator::server::serve(
            listener,
            simulator.block_storage_service(&store),
            volumes.clone(),
            std::time::Duration::from_secs(1),
        ));
        let urls = simulator.urls();
        Ok(Self {
            urls: Ready {
                identity: urls.identity,
                key_manager: urls.key_manager,
                block_storage: urls.block_storage,
                metrics: None,
            },
            simulator,
            store,
            binary,
            folder,
            database,
            started: AtomicU32::new(0),
            servers,
            volumes,
            history: Mutex::new(History::default()),
        })
    }

    /// The addresses of Keystone, Barbican and the block storage.
    pub fn urls(&self) -> &Ready {
        &self.urls
    }

    /// Starts the service and waits until it answers. Any number of them may run at once.
    ///
    /// # Errors
    /// When it does not start; its log is part of the message.
    pub async fn start_server(&self, options: &ServerOptions) -> anyhow::Result<Server> {
        self.start(&options.arguments()).await
    }

    /// As [`Stage::start_server`], with the times that `serve` has when it is told none.
    ///
    /// # Errors
    /// As [`Stage::start_server`].
    pub async fn start_server_as_shipped(&self) -> anyhow::Result<Server> {
        self.start(&[]).await
    }

    async fn start(&self, arguments: &[String]) -> anyhow::Result<Server> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let files = self.folder.path().join(format!("server-{number}"));
        let mut serve = self.program("serve");
        serve.args(["--database-connections", "8"]).args(arguments);
        Server::start(serve, &files).await
    }

    /// A command of the program on this stage's database, Keystone and Barbican.
    pub fn program(&self, command: &str) -> Command {
        let mut program = self.program_alone(command);
        program
            .args(["--config-file", "/dev/null", "--database", &self.database])
            .args(["--auth-url", &format!("{}/v3", self.urls.identity)])
            .args(["--key-manager-url", &self.urls.key_manager])
            .env("VOLUME_TRANSFER_PASSWORD", PASSWORD);
        program
    }

    /// A command of the program that knows nothing of this stage.
    pub fn program_alone(&self, command: &str) -> Command {
        let mut program = Command::new(&self.binary);
        program.arg(command).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null());
        program
    }

    /// Writes a `clouds.yaml` for the users of the stage.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_clouds(&self, path: &Path) -> anyhow::Result<()> {
        clouds::write(path, &self.urls.identity, &self.simulator.config().region, PASSWORD)
    }

    /// Logs a user in; the token is cached by the returned [`User`].
    ///
    /// # Errors
    /// When Keystone does not issue a token.
    pub async fn log_in(&self, user: &str, project: &str) -> anyhow::Result<User> {
        User::log_in(&self.urls, user, PASSWORD, project).await
    }

    /// Rows and secrets as they stand.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn world(&self) -> anyhow::Result<World> {
        Ok(self.simulator.world(&self.store).await?)
    }

    /// Lets the watcher see new rows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn observe(&self) -> anyhow::Result<World> {
        let world = self.world().await?;
        self.with_history(|history| history.observe(&world));
        Ok(world)
    }

    /// Records that a project showed the auth key of an offer of this volume.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn showed_auth_key(&self, volume: &str, project: &ProjectId) -> anyhow::Result<()> {
        let world = self.world().await?;
        self.with_history(|history| {
            history.showed_auth_key(&world, &VolumeId::new(volume), project);
        });
        Ok(())
    }

    /// Records what a caller was told.
    pub fn told(&self, offer: &str, operation: Operation, caller: &ProjectId, told: Told) {
        self.with_history(|history| {
            history.answers.push(Answer {
                offer: TransferId::new(offer),
                operation,
                caller: caller.clone(),
                told,
            });
        });
    }

    /// Waits until no hand-over is under way and no debt is open that anybody at work can pay, or
    /// until `REST` is over; returns the world as it is then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rest(&self) -> anyhow::Result<World> {
        self.wait_until(|world| claims_have_ended(world) && world.debts.is_empty()).await
    }

    /// As [`Stage::rest`], for the hand-overs only: debts may wait for their projects.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rest_of_claims(&self) -> anyhow::Result<World> {
        self.wait_until(claims_have_ended).await
    }

    async fn wait_until(&self, reached: impl Fn(&World) -> bool) -> anyhow::Result<World> {
        let deadline = tokio::time::Instant::now() + REST;
        loop {
            let world = self.world().await?;
            if reached(&world) || tokio::time::Instant::now() > deadline {
                return Ok(world);
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// What the watcher has seen.
    pub fn history(&self) -> History {
        self.with_history(|history| history.clone())
    }

    fn with_history<T>(&self, act: impl FnOnce(&mut History) -> T) -> T {
        act(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Clears the stage.
    pub async fn strike(self) {
        self.volumes.cancel();
        self.servers.stop().await;
    }
}

fn claims_have_ended(world: &World) -> bool {
    world.hand_overs.iter().all(transfer_core::HandOver::has_ended)
}
