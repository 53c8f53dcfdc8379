//! `cargo xtask services`: a MariaDB and a PostgreSQL of the project's own, for its tests.
//!
//! Each listens on the loopback alone, keeps its data under `target/services`, and has one user
//! with a password, one who has to come by TLS, and one who needs a certificate for that.
//! `target/services/NAME/url` says where it is, as `cinder.conf` would; `certificates` beside
//! it holds whom to believe. Only
//! processes that were started here are ended, by their ids. They forgo durability: what they hold
//! is worth nothing.

mod certificates;
mod server;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;
pub(crate) use server::Server;

/// What to do with the servers.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Starts those that are not up
    Up,
    /// Ends those that are up
    Down {
        /// Delete their data, too
        #[arg(long)]
        wipe: bool,
    },
    /// Says which are up, and where
    Status,
}

/// Carries it out.
///
/// # Errors
/// When a server is not installed, or does not start or end.
pub(crate) fn run(workspace: &Workspace, action: &Action) -> Result<()> {
    for server in servers(workspace) {
        match action {
            Action::Up => server.up()?,
            Action::Down { wipe } => {
                server.down()?;
                if *wipe {
                    server.wipe()?;
                }
            }
            Action::Status => {}
        }
        match server.url()? {
            Some(url) => println!("{}: up, {url}", server.name()),
            None => println!("{}: down", server.name()),
        }
    }
    Ok(())
}

/// What runs on each server, and of how many cases one. A number that is no multiple of 7, the
/// number of faults in the crash matrix, leaves no fault out.
const SUITES: [(&str, usize); 4] = [
    ("test -p cinder-db --test store", 3),
    ("test -p volume-transfer --test replicas", 3),
    ("test -p volume-transfer --test crash_matrix", 24),
    ("test -p volume-transfer --test races", 8),
];

/// The suites on each server, between `up` and `down --wipe`.
///
/// # Errors
/// When a server does not start, or a test fails.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    run(workspace, &Action::Up)?;
    let tested = servers(workspace).iter().try_for_each(|server| test_on(workspace, server));
    let ended = run(workspace, &Action::Down { wipe: true });
    tested.and(ended)
}

/// A server for the length of a measurement.
pub(crate) struct Lent {
    server: Server,
    url: String,
    was_up: bool,
}

impl Lent {
    pub(crate) fn name(&self) -> &'static str {
        self.server.name()
    }

    /// Its address without a database, as `cinder.conf` would have it.
    pub(crate) fn server(&self) -> &str {
        self.url.rsplit_once('/').map_or(&self.url, |(server, _database)| server)
    }

    /// The address of an empty database of its own.
    ///
    /// # Errors
    /// When the server does not make one.
    pub(crate) fn fresh_database(&self) -> Result<String> {
        let name = format!("fresh_{}", std::process::id());
        self.server.run_sql(&format!("CREATE DATABASE {name}"))?;
        Ok(format!("{}/{name}", self.server()))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.was_up
            && let Err(error) = self.server.down()
        {
            println!("{error:#}");
        }
    }
}

/// The MariaDB, which goes down again afterwards unless it is up already.
///
/// # Errors
/// When it does not start.
pub(crate) fn mariadb(workspace: &Workspace) -> Result<Lent> {
    lend(Server::mariadb(&workspace.target.join("services")))
}

/// The PostgreSQL, likewise.
///
/// # Errors
/// When it does not start.
pub(crate) fn postgresql(workspace: &Workspace) -> Result<Lent> {
    lend(Server::postgresql(&workspace.target.join("services")))
}

fn lend(server: Server) -> Result<Lent> {
    let was_up = server.url()?.is_some();
    server.up()?;
    let url = server.url()?.with_context(|| format!("{} is down", server.name()))?;
    Ok(Lent { server, url, was_up })
}

fn test_on(workspace: &Workspace, server: &Server) -> Result<()> {
    let url = server.url()?.with_context(|| format!("{} is down", server.name()))?;
    SUITES.iter().try_for_each(|(suite, every)| {
        let mut test = workspace.cargo(suite.split(' '));
        test.env("VOLUME_TRANSFER_TEST_DATABASE", &url);
        test.env("VOLUME_TRANSFER_TEST_CERTIFICATES", server.certificates());
        process::run(test.env("VOLUME_TRANSFER_TEST_EVERY", every.to_string()))
    })
}

fn servers(workspace: &Workspace) -> [Server; 2] {
    let directory: PathBuf = workspace.target.join("services");
    [Server::postgresql(&directory), Server::mariadb(&directory)]
}
