//! Where logs go and how much is logged, and the traces that are made beside them. RUST_LOG goes
//! before everything else.

use crate::settings::Settings;
use crate::traces::{STEPS, Traces};
use anyhow::Context as _;
use clap::ValueEnum;
use std::fs::File;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

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
        self.begin_on(BoxMakeWriter::new(std::io::stderr), level, ansi, &Traces::off());
    }

    /// Logs, and traces, as the settings say.
    ///
    /// # Errors
    /// When the file cannot be written, or traces cannot be sent.
    pub fn begin_as(self, settings: &Settings) -> anyhow::Result<Traces> {
        let level = if settings.debug()? { DEBUG } else { "info" };
        let traces = Traces::begin(settings)?;
        let (writer, ansi) = match settings.log_file()? {
            None => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
            Some(path) => {
                let file = File::options().create(true).append(true).open(&path);
                let file = file.with_context(|| {
                    format!("the log file {} cannot be written; see log_file", path.display())
                })?;
                (BoxMakeWriter::new(Mutex::new(file)), false)
            }
        };
        self.begin_on(writer, level, ansi, &traces);
        Ok(traces)
    }

    fn begin_on(self, writer: BoxMakeWriter, level: &str, ansi: bool, traces: &Traces) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        // A step of a trace stands between an event and its request: without it both are lost.
        let (steps, most) = match traces.are_on() {
            true => (true, LevelFilter::TRACE),
            false => (false, LevelFilter::OFF),
        };
        let steps = filter_fn(move |on| steps && on.is_span() && on.target() == STEPS);
        let filter = filter.or(steps.with_max_level_hint(most));
        let logs = tracing_subscriber::fmt::layer().with_writer(writer);
        let logs = match self {
            Self::Text => logs.with_ansi(ansi).boxed(),
            Self::Json => logs.json().boxed(),
        };
        tracing_subscriber::registry().with(logs.with_filter(filter)).with(traces.layer()).init();
    }
}
