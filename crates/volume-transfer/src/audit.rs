//! `audit`: what is wrong with keys, offers and records, as a table or as one JSON document.
//!
//! What is looked for and how is `transfer-audit`'s; this is its face. Findings are shown as they
//! come, so that memory does not grow with them.

mod progress;
mod table;

pub(crate) use table::Sheet;

use crate::service::{Peers, clock, connect_as_it_is, wire};
use crate::settings::Settings;
use anyhow::Context as _;
use bulk_transfer::{CloudSettings, Clouds};
use cinder_db::Store;
use clap::Args;
use keystone_client::{Keystone, ServiceSession};
use progress::Progress;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use transfer_audit::{Audit, Event, Images, Options, Summary, Viewer, Viewers};

/// The pause after the first unanswered question.
const PAUSE: Duration = Duration::from_millis(200);

/// Who looks, and how.
#[derive(Args, Clone, Debug)]
pub struct LookOptions {
    #[command(flatten)]
    clouds: CloudOptions,
    /// How many volumes at a time
    #[arg(long, value_name = "N", default_value = "8")]
    jobs: NonZeroUsize,
    /// Seconds for which a debt, an expired offer or a secret that nothing names may be left alone
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    older_than: u64,
    /// One JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Projects whose credentials are at hand.
#[derive(Args, Clone, Debug)]
pub struct CloudOptions {
    /// A cloud of clouds.yaml whose credentials are to be used, too; may be said again
    #[arg(long, value_name = "CLOUD")]
    cloud: Vec<String>,
    /// The file of the clouds [default: as openstacksdk looks for it]
    #[arg(long, value_name = "FILE")]
    clouds: Option<PathBuf>,
}

impl CloudOptions {
    /// Somebody of each.
    pub(crate) async fn viewers(&self, settings: &Settings) -> anyhow::Result<Vec<Viewer>> {
        let mut viewers = Vec::new();
        if !self.cloud.is_empty() {
            let clouds = Clouds::read(self.clouds.as_deref())?;
            for name in &self.cloud {
                viewers.push(viewer(settings, clouds.cloud(name)?).await?);
            }
        }
        Ok(viewers)
    }
}

/// All that looks.
pub(crate) struct Lookout {
    pub(crate) audit: Audit,
    pub(crate) images: Images,
    pub(crate) peers: Peers,
    pub(crate) store: Store,
}

/// Looks at everything, and says whether all of it is in order.
///
/// # Errors
/// When settings, credentials, the database or the services are of no use.
pub async fn run(settings: &Settings, options: &LookOptions) -> anyhow::Result<bool> {
    let lookout = Lookout::new(settings, options).await?;
    let sheet = Sheet::new(options.json);
    let tell = |event, progress: &Progress| {
        if let Event::Found(finding) = event {
            progress.aside(|| sheet.add(&json!(finding)));
        }
    };
    let summary = lookout.look(&tell).await?;
    sheet.end(&json!(summary), &words(&summary));
    Ok(summary.is_clean())
}

impl Lookout {
    pub(crate) async fn new(settings: &Settings, options: &LookOptions) -> anyhow::Result<Self> {
        let store = connect_as_it_is(settings).await?;
        let peers = Peers::reach(settings).await?;
        let service = Viewer::open("the service", peers.session.clone()).await?;
        let others = options.clouds.viewers(settings).await?;
        let barbican = peers.barbican.clone();
        let viewers = Viewers::new(barbican, service, others, PAUSE).await?;
        let how = Options {
            jobs: options.jobs,
            older_than: Duration::from_secs(options.older_than),
            ..Options::default()
        };
        Ok(Self {
            audit: Audit::new(store.clone(), viewers, clock(), how),
            images: Images::new(
                wire(&settings.keystone_tls()?, settings.limits()?)?,
                settings.interface()?,
                settings.region()?,
            ),
            peers,
            store,
        })
    }

    /// Runs the audit, with its progress on standard error.
    pub(crate) async fn look(
        &self,
        tell: &(dyn Fn(Event, &Progress) + Send + Sync),
    ) -> anyhow::Result<Summary> {
        let progress = Progress::default();
        let tell = |event| {
            progress.show(&event);
            tell(event, &progress);
        };
        let summary = self.audit.run(None, &tell).await;
        let summary = summary.context("the audit has not come to its end")?;
        progress.clear();
        Ok(summary)
    }
}

/// Somebody of a cloud; its catalogue does not matter, since there is one Barbican.
async fn viewer(settings: &Settings, cloud: CloudSettings) -> anyhow::Result<Viewer> {
    let exchange = wire(&cloud.tls, settings.limits()?)?;
    let keystone = Keystone::new(&cloud.auth_url, exchange);
    let session = ServiceSession::new(keystone, cloud.credentials, clock());
    Ok(Viewer::open(&format!("cloud {:?}", cloud.name), Arc::new(session)).await?)
}

/// What was looked at, in a few lines.
fn words(summary: &Summary) -> String {
    let Summary { volumes, encrypted, keys, findings, fixed_keys, .. } = summary;
    let mut lines = vec![format!(
        "{volumes} volumes, {encrypted} with a key, {keys} keys: {}",
        match findings {
            0 => "nothing wrong was seen".to_owned(),
            1 => "1 finding".to_owned(),
            many => format!("{many} findings"),
        }
    )];
    if *fixed_keys > 0 {
        lines.push(format!("not in Barbican: {fixed_keys} with the fixed key of the deployment"));
    }
    if summary.not_visible > 0 {
        let projects = summary.not_visible_by_project.len();
        let of = if projects == 1 { "project" } else { "projects" };
        lines.push(format!(
            "not visible: whose {} keys of {projects} {of} are; only those can tell (--cloud)",
            summary.not_visible
        ));
    }
    if summary.unanswered > 0 {
        lines.push(format!("not answered: {} questions; ask again", summary.unanswered));
    }
    lines.join("\n")
}
