//! The developer stack: simulator, block storage and transfer service in one process.

use crate::clouds;
use crate::listening::serve_until;
use crate::metrics;
use crate::ready::{self, Ready, SimulatorReady};
use crate::service::{self, Service};
use crate::settings::Settings;
use anyhow::{Context as _, ensure};
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use cinder_conf::options::{barbican, database, keystone_authtoken, volume_transfer};
use cinder_conf::{Assignment, Declared, Origin};
use clap::Args;
use simulator::faults::{Rule, Scenario};
use simulator::{BarbicanPolicy, Config, Control, Simulator, Urls};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where a developer stack listens and what it keeps.
#[derive(Args, Clone, Debug)]
pub struct StackOptions {
    /// Keep the state here, so that it survives a restart
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Write a clouds.yaml for the clouds admin, donor, recipient, third and service
    #[arg(long, value_name = "FILE")]
    pub clouds: Option<PathBuf>,
    /// Write the services' URLs here, as JSON, once all of them answer
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Listen on N, N+1 and N+2 instead of 5000 (identity), 9311 (key manager) and 8776 (block
    /// storage)
    #[arg(long, value_name = "N", conflicts_with = "ephemeral")]
    pub port_base: Option<u16>,
    /// Listen on free ports
    #[arg(long)]
    pub ephemeral: bool,
    /// Listen on this address, which the catalogue then names
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Let /_simulator on the identity's port set faults, move the clock and tell what was asked
    /// for, and show a browser the same at /
    #[arg(long)]
    pub control: bool,
    /// Let other machines reach that, too: it asks nobody who they are
    #[arg(long, requires = "control")]
    pub control_anywhere: bool,
    /// Have requests fail, as in 'barbican POST /v1/secrets nth=3 status=503'; again for more
    #[arg(long = "fault", value_name = "RULE")]
    pub faults: Vec<Rule>,
    /// Play a script of faults and time, in TOML
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// The password of every user
    #[arg(long, default_value = "secret", hide_env_values = true)]
    pub password: String,
    /// What ids and keys follow from: the same seed, the same run [default: the scenario's, or 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Which of its default policies Barbican enforces: new or legacy
    #[arg(long, default_value = "new", value_name = "POLICY")]
    pub barbican_policy: BarbicanPolicy,
}

/// Where a block storage is unless something else is said.
const BLOCK_STORAGE_PORT: u16 = 8776;

impl StackOptions {
    fn ports(&self) -> anyhow::Result<[u16; 3]> {
        match (self.port_base, self.ephemeral) {
            (_, true) => Ok([0, 0, 0]),
            (None, false) => Ok([5000, 9311, BLOCK_STORAGE_PORT]),
            (Some(base), false) => {
                let last = base.checked_add(2).context("--port-base leaves no room for 3 ports")?;
                Ok([base, base + 1, last])
            }
        }
    }
}

impl StackOptions {
    fn control(&self) -> Control {
        match (self.control, self.control_anywhere) {
            (false, _) => Control::Off,
            (true, false) => Control::OnLoopback,
            (true, true) => Control::Anywhere,
        }
    }

    fn scenario(&self) -> anyhow::Result<Scenario> {
        let Some(path) = &self.scenario else { return Ok(Scenario::default()) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        text.parse().with_context(|| path.display().to_string())
    }
}

async fn bind(host: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    ensure!(!host.is_unspecified(), "--host {host}: say an address that clients can reach");
    let address = SocketAddr::from((host, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; try --port-base N or --ephemeral"))
}

/// The simulated Keystone and Barbican of a stack, listening.
struct Simulated {
    simulator: Simulator,
    servers: simulator::server::Running,
}

/// Starts both, with a catalogue that says the block storage is at `block_storage`.
fn simulate(
    options: &StackOptions,
    [identity, key_manager]: [TcpListener; 2],
    block_storage: SocketAddr,
) -> anyhow::Result<Simulated> {
    if let Some(folder) = &options.state_dir {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let scenario = options.scenario()?;
    let config = Config::new(options.password.as_str()).playing(scenario);
    let simulator = Simulator::new(Config {
        seed: options.seed.unwrap_or(config.seed),
        control: options.control(),
        faults: options.faults.clone(),
        barbican_policy: options.barbican_policy,
        urls: Urls { block_storage: format!("http://{block_storage}"), ..Urls::default() },
        state_file: options.state_dir.as_ref().map(|folder| folder.join("simulator.json")),
        ..config
    })?;
    let servers = simulator::server::Running::start(&simulator, identity, key_manager)
        .context("--control: --control-anywhere lets other machines reach it")?;
    Ok(Simulated { simulator, servers })
}

/// Within one router a broken connection can only be told.
async fn broken(_: simulator::faults::Broken) -> StatusCode {
    StatusCode::BAD_GATEWAY
}

fn write_clouds(options: &StackOptions, simulator: &Simulator) -> anyhow::Result<()> {
    let Some(path) = &options.clouds else { return Ok(()) };
    let region = &simulator.config().region;
    clouds::write(path, &simulator.urls().identity, region, &options.password)
}

/// What the service of a stack is told, whatever else it is told.
fn stack_settings(options: &StackOptions, urls: &Urls, folder: &Path) -> Vec<Assignment> {
    let database = format!("sqlite:///{}?mode=rwc", folder.join("cinder.sqlite").display());
    let said: [(&Declared, &str); 8] = [
        (&database::CONNECTION.declared, &database),
        (&database::MAX_POOL_SIZE.declared, "8"),
        (&database::MAX_OVERFLOW.declared, "0"),
        (&volume_transfer::CREATE_TABLES.declared, "true"),
        (&keystone_authtoken::AUTH_URL.declared, &format!("{}/v3", urls.identity)),
        (&keystone_authtoken::AUTH_TYPE.declared, "password"),
        (&keystone_authtoken::PASSWORD.declared, &options.password),
        (&barbican::BARBICAN_ENDPOINT.declared, &urls.key_manager),
    ];
    said.map(|(option, text)| Assignment::of(option, text, Origin::Flag("--dev"))).into()
}

/// Serves the whole stack until `stop`. Calls `ready` once everything answers.
///
/// # Errors
/// What kept it from starting.
pub async fn run(
    options: &StackOptions,
    settings: Settings,
    stop: CancellationToken,
    ready: impl FnOnce(&Ready),
) -> anyhow::Result<()> {
    ready::begin(options.ready_file.as_deref())?;
    let [identity, key_manager, block_storage] = options.ports()?;
    let listener = bind(options.host, block_storage).await?;
    let both = [bind(options.host, identity).await?, bind(options.host, key_manager).await?];
    let simulated = simulate(options, both, listener.local_addr()?)?;
    let urls = simulated.simulator.urls();
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let folder: &Path = options.state_dir.as_deref().unwrap_or(scratch.path());
    let settings = settings.under(stack_settings(options, &urls, folder));
    let store = service::connect(&settings).await?;
    let service = Service::on_store(&settings, store.clone()).await?;
    let volumes = simulated.simulator.block_storage_service(&store);
    let router = service.router.fallback_service(HandleError::new(volumes, broken));
    let urls = Ready {
        identity: urls.identity,
        key_manager: urls.key_manager,
        block_storage: urls.block_storage,
        metrics: metrics::begin(&settings, &store, &stop).await?,
    };
    service.engine.start_recovery();
    write_clouds(options, &simulated.simulator)?;
    if let Some(path) = &options.ready_file {
        urls.write(path)?;
    }
    ready(&urls);
    let grace = settings.grace()?;
    serve_until(listener, router, stop, grace).await?;
    if !service.engine.shut_down(grace).await {
        tracing::warn!("operations still in progress; recovery takes over when their leases end");
    }
    simulated.servers.stop().await;
    Ok(())
}

/// Serves Keystone and Barbican alone until `stop`. Calls `ready` once both answer.
///
/// # Errors
/// What kept them from starting.
pub async fn run_simulator(
    options: &StackOptions,
    stop: CancellationToken,
    ready: impl FnOnce(&SimulatorReady),
) -> anyhow::Result<()> {
    ready::begin(options.ready_file.as_deref())?;
    let [identity, key_manager, block_storage] = options.ports()?;
    let both = [bind(options.host, identity).await?, bind(options.host, key_manager).await?];
    // The catalogue names a port; whoever runs a block storage there may have it.
    let block_storage = if options.ephemeral { BLOCK_STORAGE_PORT } else { block_storage };
    let block_storage = SocketAddr::from((options.host, block_storage));
    let simulated = simulate(options, both, block_storage)?;
    write_clouds(options, &simulated.simulator)?;
    let urls = simulated.simulator.urls();
    let urls = SimulatorReady { identity: urls.identity, key_manager: urls.key_manager };
    if let Some(path) = &options.ready_file {
        urls.write(path)?;
    }
    ready(&urls);
    stop.cancelled().await;
    simulated.servers.stop().await;
    Ok(())
}
