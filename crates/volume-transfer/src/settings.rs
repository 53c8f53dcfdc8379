//! The settings of the service: `cinder.conf`, with the environment and flags above it.
//!
//! A flag wins over the environment, the environment over the files, a later file over an earlier
//! one, and the files over the defaults. Of two options that exclude each other the one that was
//! said more strongly counts. Whatever is wrong or missing is said with its place and the remedy
//! before anything starts.

mod accounts;
mod flags;

pub use flags::SettingsArgs;

use anyhow::Context as _;
use cinder_conf::options::{
    barbican, database, default_group, healthcheck, key_manager, keystone_authtoken,
    oslo_middleware, oslo_policy as policy, volume_transfer,
};
use cinder_conf::{Assignment, Conf, Declared, Multi, Opt, Origin, Wrong};
use cinder_db::{Lengths, QuotaLimits, StoreConfig};
use openstack_http::{Limits, Tls};
use oslo_policy::Enforcer;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use transfer_api::ApiConfig;
use url::Url;

/// The key manager that there is, by its name and by that of its class.
const BARBICAN: [&str; 2] =
    ["barbican", "castellan.key_manager.barbican_key_manager.BarbicanKeyManager"];

/// As many connections as a pool has that is to have no limit.
const MOST_CONNECTIONS: i64 = 100;

/// The settings of the service. Has no `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Settings(Conf);

impl Settings {
    /// Checks every value, and those against each other that must agree.
    ///
    /// # Errors
    /// All that cannot be read, or the first that contradicts another.
    pub fn new(conf: Conf) -> anyhow::Result<Self> {
        conf.check()?;
        let settings = Self(conf);
        let backend = settings.0.need(&key_manager::BACKEND)?;
        if !BARBICAN.contains(&backend.as_str()) {
            let what = "only keys in Barbican change hands; migrate the keys to Barbican and \
                        write backend = barbican";
            return Err(settings.0.refuse(&key_manager::BACKEND.declared, what).into());
        }
        settings.check_accounts()?;
        settings.engine()?;
        Ok(settings)
    }

    /// The same, with something said above all else.
    #[must_use]
    pub fn under(mut self, layer: Vec<Assignment>) -> Self {
        self.0.add(layer);
        self
    }

    /// Every option, for `config` to show.
    pub fn conf(&self) -> &Conf {
        &self.0
    }

    /// Options that a file sets and the service does nothing about, and why.
    pub fn in_vain(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        cinder_conf::options::all().filter_map(|option| {
            let set = matches!(self.0.origin(option), Origin::File { .. });
            Some((option.name, option.unused.filter(|_| set)?))
        })
    }

    /// The host and the port to listen on.
    ///
    /// # Errors
    /// When one of them is empty.
    pub fn listen(&self) -> Result<(String, u16), Wrong> {
        Ok(match self.0.get(&volume_transfer::LISTEN)? {
            Some(address) => (address.ip().to_string(), address.port()),
            None => (
                self.0.need(&default_group::OSAPI_VOLUME_LISTEN)?,
                self.0.need(&default_group::OSAPI_VOLUME_LISTEN_PORT)?,
            ),
        })
    }

    /// Where metrics are served, if they are.
    ///
    /// # Errors
    /// When the API listens there.
    pub fn metrics_listen(&self) -> Result<Option<SocketAddr>, Wrong> {
        let own = self.0.get(&volume_transfer::METRICS_LISTEN)?;
        let (host, port) = self.listen()?;
        if own.is_some_and(|own| port != 0 && own.port() == port && own.ip().to_string() == host) {
            let what = "the API listens there; write another port";
            return Err(self.0.refuse(&volume_transfer::METRICS_LISTEN.declared, what));
        }
        Ok(own)
    }

    /// Where traces go, if they go anywhere: where the URL has no path, it is the one that OTLP
    /// prescribes.
    ///
    /// # Errors
    /// As [`Conf::get`].
    pub fn otlp_endpoint(&self) -> Result<Option<Url>, Wrong> {
        let endpoint = self.0.get(&volume_transfer::OTLP_ENDPOINT)?;
        Ok(endpoint.map(|mut url| {
            if url.path() == "/" {
                url.set_path("/v1/traces");
            }
            url
        }))
    }

    /// The file by which an operator has the health check fail.
    ///
    /// # Errors
    /// As [`Conf::get`].
    pub fn disable_by_file(&self) -> Result<Option<PathBuf>, Wrong> {
        Ok(self.text(&healthcheck::DISABLE_BY_FILE_PATH)?.map(PathBuf::from))
    }

    /// Cinder's database.
    ///
    /// # Errors
    /// When it is not named, or its URL cannot be used.
    pub fn database(&self) -> anyhow::Result<StoreConfig> {
        let url = self.text(&database::CONNECTION)?.context(
            "no database: say --database mysql+pymysql://user:password@host/cinder, \
             set VOLUME_TRANSFER_DATABASE, or write [database] connection in cinder.conf",
        )?;
        let kept = self.0.need(&database::MAX_POOL_SIZE)?;
        let more = self.0.need(&database::MAX_OVERFLOW)?;
        let no_limit = kept == 0 || more < 0;
        let most = if no_limit { MOST_CONNECTIONS } else { kept.saturating_add(more) };
        let max_connections = u32::try_from(most.min(MOST_CONNECTIONS)).unwrap_or_default();
        let config = StoreConfig { url, max_connections };
        let connection = &database::CONNECTION.declared;
        config.check().map_err(|error| self.0.refuse(connection, error.to_string()))?;
        Ok(config)
    }

    /// Whether Cinder's own tables are to be made.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn create_tables(&self) -> Result<bool, Wrong> {
        self.0.need(&volume_transfer::CREATE_TABLES)
    }

    /// Keystone's address.
    ///
    /// # Errors
    /// When it is not named.
    pub fn auth_url(&self) -> anyhow::Result<Url> {
        self.0.get(&keystone_authtoken::AUTH_URL)?.context(
            "no Keystone: say --auth-url http://keystone.example:5000/v3, set OS_AUTH_URL, \
             or write [keystone_authtoken] auth_url in cinder.conf",
        )
    }

    /// How far Barbican's certificate is trusted. As castellan has it, `verify_ssl_path` says
    /// nothing where `verify_ssl` is off.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn barbican_tls(&self) -> Result<Tls, Wrong> {
        let (verify, path) = (&barbican::VERIFY_SSL, &barbican::VERIFY_SSL_PATH);
        let verified =
            self.0.need(verify)? || self.0.rank(&path.declared) > self.0.rank(&verify.declared);
        Ok(match self.text(path)? {
            _ if !verified => Tls::Insecure,
            Some(path) => Tls::SystemAnd(path.into()),
            None => Tls::System,
        })
    }

    /// Barbican's address, if it is not to be looked for in the catalogue.
    ///
    /// # Errors
    /// As [`Conf::get`].
    pub fn key_manager(&self) -> Result<Option<Url>, Wrong> {
        self.0.get(&barbican::BARBICAN_ENDPOINT)
    }

    /// The interface of Barbican's endpoint in the catalogue.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn interface(&self) -> Result<String, Wrong> {
        self.0.need(&barbican::BARBICAN_ENDPOINT_TYPE)
    }

    /// The region of Barbican's endpoint in the catalogue.
    ///
    /// # Errors
    /// As [`Conf::get`].
    pub fn region(&self) -> Result<Option<String>, Wrong> {
        let own = self.text(&barbican::BARBICAN_REGION_NAME)?;
        if own.is_some() { Ok(own) } else { self.text(&keystone_authtoken::REGION_NAME) }
    }

    /// What one call may take.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn limits(&self) -> Result<Limits, Wrong> {
        Ok(Limits { total: self.ms(&volume_transfer::CALL_TIMEOUT_MS)?, ..Limits::default() })
    }

    /// How long new auth keys and their salts are.
    fn lengths(&self) -> Result<Lengths, Wrong> {
        let length =
            |option| self.0.need(option).map(|digits| usize::try_from(digits).unwrap_or(0));
        Ok(Lengths {
            salt: length(&default_group::VOLUME_TRANSFER_SALT_LENGTH)?,
            auth_key: length(&default_group::VOLUME_TRANSFER_KEY_LENGTH)?,
        })
    }

    /// The engine's times and choices.
    ///
    /// # Errors
    /// When the lease is too short for the patience.
    pub fn engine(&self) -> Result<transfer_engine::Options, Wrong> {
        let options = transfer_engine::Options {
            lease: self.ms(&volume_transfer::LEASE_MS)?,
            patience: self.ms(&volume_transfer::PATIENCE_MS)?,
            recovery_period: self.ms(&volume_transfer::RECOVERY_PERIOD_MS)?,
            expire_after: self.expire_after()?,
            lengths: self.lengths()?,
            ..transfer_engine::Options::default()
        };
        let checked = options.check(self.limits()?.total);
        checked.map_err(|error| self.0.refuse(&volume_transfer::LEASE_MS.declared, error))?;
        Ok(options)
    }

    /// How long an offer can be accepted, if not for ever.
    fn expire_after(&self) -> Result<Option<Duration>, Wrong> {
        let seconds = self.0.need(&volume_transfer::EXPIRE_AFTER)?.unsigned_abs();
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }

    /// How long a stop waits.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn grace(&self) -> Result<Duration, Wrong> {
        self.ms(&volume_transfer::GRACE_MS)
    }

    /// The quotas that hold where the database says nothing.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn quotas(&self) -> Result<QuotaLimits, Wrong> {
        // Options whose least and greatest values fit.
        let whole =
            |option| self.0.need(option).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        Ok(QuotaLimits {
            volumes: self.0.need(&default_group::QUOTA_VOLUMES)?,
            snapshots: self.0.need(&default_group::QUOTA_SNAPSHOTS)?,
            gigabytes: self.0.need(&default_group::QUOTA_GIGABYTES)?,
            per_volume_gigabytes: self.0.need(&default_group::PER_VOLUME_SIZE_LIMIT)?,
            no_snapshot_gb_quota: self.0.need(&default_group::NO_SNAPSHOT_GB_QUOTA)?,
            use_default_quota_class: self.0.need(&default_group::USE_DEFAULT_QUOTA_CLASS)?,
            reservation_expire_s: whole(&default_group::RESERVATION_EXPIRE)?,
            until_refresh: whole(&default_group::UNTIL_REFRESH)?,
            max_age_s: whole(&default_group::MAX_AGE)?,
        })
    }

    /// What the API is told of its deployment.
    ///
    /// # Errors
    /// As [`Settings::auth_url`] and [`Conf::need`].
    pub fn api(&self) -> anyhow::Result<ApiConfig> {
        let policy = Arc::new(self.policy()?);
        let page_limit = self.0.need(&default_group::OSAPI_MAX_LIMIT)?;
        let max_body = self.0.need(&oslo_middleware::MAX_REQUEST_BODY_SIZE)?;
        let challenge = match self.0.get(&keystone_authtoken::WWW_AUTHENTICATE_URI)? {
            Some(url) => url,
            None => self.auth_url()?,
        };
        Ok(ApiConfig {
            public_endpoint: self.0.get(&default_group::PUBLIC_ENDPOINT)?,
            www_authenticate_uri: challenge.to_string(),
            max_body: usize::try_from(max_body)?,
            page_limit: u32::try_from(page_limit)?,
            policy,
        })
    }

    /// Who may do what.
    fn policy(&self) -> anyhow::Result<Enforcer> {
        let (rules, clock) = (transfer_api::default_rules(), Arc::new(Instant::now));
        Ok(Enforcer::new(rules, self.policy_options()?, clock)?)
    }

    fn policy_options(&self) -> Result<oslo_policy::Options, Wrong> {
        let place = |option: &Declared, name: String| match self.0.origin(option) {
            Origin::Flag(_) | Origin::Environment(_) => Some(PathBuf::from(name)),
            Origin::Default | Origin::File { .. } => self.0.beside(&name),
        };
        let file = self.text(&policy::POLICY_FILE)?;
        let folders = self.0.get(&policy::POLICY_DIRS)?.map_or(Vec::new(), |Multi(names)| names);
        let folder = |name| place(&policy::POLICY_DIRS.declared, name);
        Ok(oslo_policy::Options {
            policy_file: file.and_then(|name| place(&policy::POLICY_FILE.declared, name)),
            policy_dirs: folders.into_iter().filter_map(folder).collect(),
            enforce_new_defaults: self.0.need(&policy::ENFORCE_NEW_DEFAULTS)?,
            enforce_scope: self.0.need(&policy::ENFORCE_SCOPE)?,
        })
    }

    /// Whether more is logged.
    ///
    /// # Errors
    /// As [`Conf::need`].
    pub fn debug(&self) -> Result<bool, Wrong> {
        self.0.need(&default_group::DEBUG)
    }

    /// Where logs go, if not to standard error.
    ///
    /// # Errors
    /// As [`Conf::get`].
    pub fn log_file(&self) -> Result<Option<PathBuf>, Wrong> {
        let folder = self.text(&default_group::LOG_DIR)?.unwrap_or_default();
        let file = self.text(&default_group::LOG_FILE)?;
        Ok(file.map(|file| Path::new(&folder).join(file)))
    }

    /// A text that says nothing when it is empty.
    fn text(&self, option: &Opt<String>) -> Result<Option<String>, Wrong> {
        Ok(self.0.get(option)?.filter(|text| !text.is_empty()))
    }

    fn ms(&self, option: &Opt<i64>) -> Result<Duration, Wrong> {
        Ok(Duration::from_millis(self.0.need(option)?.unsigned_abs()))
    }
}
