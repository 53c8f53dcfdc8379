//! Where logs go and how much is logged. RUST_LOG goes before everything else.

use crate::settings::Settings;
use anyhow::Context as _;
use clap::ValueEnum;
use std::fs::File;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// What `debug` shows more of: the service, and not its libraries.
const DEBUG: &str = "info,volume_transfer=debug,transfer_api=debug,transfer_engine=debug,\
                     cinder_db=debug,barbican_client=debug,keystone_client=debug,\
                     openstack_http=debug";

/// How logs are written.
#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl LogFormat {
    /// Logs to standard error, from this level on.
    pub fn begin(self, level: &str) {
        let ansi = std::io::stderr().is_terminal();
        self.begin_on(BoxMakeWriter::new(std::io::stderr), level, ansi);
    }

    /// Logs as the settings say.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin_as(self, settings: &Settings) -> anyhow::Result<()> {
        let level = if settings.debug()? { DEBUG } else { "info" };
        let Some(path) = settings.log_file()? else {
            self.begin(level);
            return Ok(());
        };
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| {
            format!("the log file {} cannot be written; see log_file", path.display())
        })?;
        self.begin_on(BoxMakeWriter::new(Mutex::new(file)), level, false);
        Ok(())
    }

    fn begin_on(self, writer: BoxMakeWriter, level: &str, ansi: bool) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        match self {
            Self::Text => logs.with_ansi(ansi).init(),
            Self::Json => logs.json().init(),
        }
    }
}
