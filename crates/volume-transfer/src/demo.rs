//! The demo: encrypted volumes change hands, are interrupted by a crash, and are put right again.
//!
//! Everything is real except the cloud around it: the service is a child process, its database is
//! SQLite, Keystone, Barbican and the block storage are the simulator's, and all of them speak
//! HTTP over loopback. After each scene the demo looks at rows and secrets from outside and checks
//! every invariant; it succeeds only if all of them hold and every fact is as announced.

mod report;
mod scenes;

pub use report::{Fact, Holding, Scene};

use crate::stage::{ServerOptions, Stage};
use report::Printer;
use std::path::PathBuf;

/// How the demo shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Tables for people, as they happen.
    Tables,
    /// One JSON document at the end.
    Json,
}

/// Plays all scenes. True when everything held.
///
/// # Errors
/// When the stage cannot be set or a request gets no reply; a fact that does not hold is no error
/// but a false result.
pub async fn run(binary: PathBuf, show: Show, seed: u64) -> anyhow::Result<bool> {
    let stage = Stage::set(binary, seed, None).await?;
    let mut printer = Printer::new(show);
    printer.opening(stage.urls());
    let outcome = scenes::play(&stage, &ServerOptions::default(), &mut printer).await;
    stage.strike().await;
    outcome?;
    printer.closing()
}
