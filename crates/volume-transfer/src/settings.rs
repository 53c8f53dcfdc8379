//! The settings of `serve`: one struct that flags, the environment and a file fill alike.
//!
//! A flag wins over the environment, the environment over the file, the file over the default.
//! Whatever is wrong or missing is said with the remedy before anything starts.

use anyhow::{Context as _, bail};
use clap::Args;
use keystone_client::{ApplicationCredential, Credentials, DomainRef, ProjectRef, UserRef};
use openstack_http::{Limits, Password, Tls};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Settings of the service. In a file, the same names with underscores: `auth_url = "…"`.
#[derive(Args, Deserialize, Clone, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on [default: 127.0.0.1:8776]
    #[arg(long, env = "VOLUME_TRANSFER_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Cinder's database, as in cinder.conf: mysql+pymysql://cinder:…@db.example/cinder
    #[arg(long, env = "VOLUME_TRANSFER_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
    /// Make Cinder's own tables, too, where the database has none (for development)
    #[arg(long, env = "VOLUME_TRANSFER_CREATE_TABLES")]
    #[serde(default)]
    pub create_tables: bool,
    /// Keystone, with or without /v3
    #[arg(long, env = "OS_AUTH_URL", value_name = "URL")]
    pub auth_url: Option<Url>,
    /// The service's user [default: cinder]
    #[arg(long, env = "OS_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
    /// The domain of that user [default: Default]
    #[arg(long, env = "OS_USER_DOMAIN_NAME", value_name = "NAME")]
    pub user_domain_name: Option<String>,
    /// A file that holds the password and nothing else
    #[arg(long, env = "VOLUME_TRANSFER_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The service's project [default: service]
    #[arg(long, env = "OS_PROJECT_NAME", value_name = "NAME")]
    pub project_name: Option<String>,
    /// The domain of that project [default: Default]
    #[arg(long, env = "OS_PROJECT_DOMAIN_NAME", value_name = "NAME")]
    pub project_domain_name: Option<String>,
    /// An application credential instead of user and password
    #[arg(long, env = "OS_APPLICATION_CREDENTIAL_ID", value_name = "ID")]
    pub application_credential_id: Option<String>,
    /// A file that holds that credential's secret and nothing else
    #[arg(long, env = "VOLUME_TRANSFER_APPLICATION_CREDENTIAL_SECRET_FILE", value_name = "FILE")]
    pub application_credential_secret_file: Option<PathBuf>,
    /// The region of the endpoints in the catalogue
    #[arg(long, env = "OS_REGION_NAME", value_name = "NAME")]
    pub region_name: Option<String>,
    /// The interface of the endpoints in the catalogue [default: internal]
    #[arg(long, env = "OS_INTERFACE", value_name = "NAME")]
    pub interface: Option<String>,
    /// Barbican, instead of the one in the catalogue
    #[arg(long, env = "VOLUME_TRANSFER_KEY_MANAGER_URL", value_name = "URL")]
    pub key_manager_url: Option<Url>,
    /// Certificates to trust besides the system's, as PEM
    #[arg(long, env = "OS_CACERT", value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Do not verify TLS certificates
    #[arg(long, env = "VOLUME_TRANSFER_INSECURE")]
    #[serde(default)]
    pub insecure: bool,
    /// What links in replies begin with, instead of the request's own host
    #[arg(long, env = "VOLUME_TRANSFER_PUBLIC_ENDPOINT", value_name = "URL")]
    pub public_endpoint: Option<Url>,
    /// How long a claim lasts without a sign of life, in milliseconds [default: 60000]
    #[arg(long, env = "VOLUME_TRANSFER_LEASE_MS", value_name = "MS")]
    pub lease_ms: Option<u64>,
    /// How long an operation tries again after unknown outcomes, in milliseconds [default: 15000]
    #[arg(long, env = "VOLUME_TRANSFER_PATIENCE_MS", value_name = "MS")]
    pub patience_ms: Option<u64>,
    /// Time limit of one call to Keystone or Barbican, in milliseconds [default: 20000]
    #[arg(long, env = "VOLUME_TRANSFER_CALL_TIMEOUT_MS", value_name = "MS")]
    pub call_timeout_ms: Option<u64>,
    /// Time between two passes of recovery, in milliseconds [default: 5000]
    #[arg(long, env = "VOLUME_TRANSFER_RECOVERY_PERIOD_MS", value_name = "MS")]
    pub recovery_period_ms: Option<u64>,
    /// How long a stop waits for operations in progress, in milliseconds [default: 20000]
    #[arg(long, env = "VOLUME_TRANSFER_GRACE_MS", value_name = "MS")]
    pub grace_ms: Option<u64>,
    /// Most connections to the database [default: 8]
    #[arg(long, env = "VOLUME_TRANSFER_DATABASE_CONNECTIONS", value_name = "N")]
    pub database_connections: Option<u32>,
    /// A file of policy rules that override the defaults
    #[arg(long, env = "VOLUME_TRANSFER_POLICY_FILE", value_name = "FILE")]
    pub policy_file: Option<PathBuf>,
    /// A directory of more such files; may be said several times
    #[arg(long, env = "VOLUME_TRANSFER_POLICY_DIR", value_name = "DIRECTORY")]
    pub policy_dir: Option<Vec<PathBuf>>,
    /// Whether the new defaults of policy rules hold alone, without the older ones [default: true]
    #[arg(long, env = "VOLUME_TRANSFER_ENFORCE_NEW_DEFAULTS", value_name = "BOOL")]
    pub enforce_new_defaults: Option<bool>,
    /// Whether tokens of a scope that a policy rule is not for are refused [default: true]
    #[arg(long, env = "VOLUME_TRANSFER_ENFORCE_SCOPE", value_name = "BOOL")]
    pub enforce_scope: Option<bool>,
}

/// The environment variable that may hold the password.
const PASSWORD: &str = "VOLUME_TRANSFER_PASSWORD";
/// The environment variable that may hold an application credential's secret.
const CREDENTIAL_SECRET: &str = "OS_APPLICATION_CREDENTIAL_SECRET";

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// When it cannot be read or holds an unknown name or a wrong value.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("settings file {} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("settings file {} is wrong", path.display()))
    }

    /// These settings, and where they are silent those of a file.
    pub fn over(self, file: Self) -> Self {
        macro_rules! first {
            ($($field:ident),*; $($flag:ident),*) => {
                Self {
                    $($field: self.$field.or(file.$field),)*
                    $($flag: self.$flag || file.$flag,)*
                }
            };
        }
        first!(
            listen, database, auth_url, username, user_domain_name, password_file, project_name,
            project_domain_name, application_credential_id, application_credential_secret_file,
            region_name, interface, key_manager_url, cacert, public_endpoint, lease_ms,
            patience_ms, call_timeout_ms, recovery_period_ms, grace_ms, database_connections,
            policy_file, policy_dir, enforce_new_defaults, enforce_scope;
            create_tables, insecure
        )
    }

    /// The address to listen on.
    pub fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8776)))
    }

    /// Cinder's database.
    ///
    /// # Errors
    /// When it is not named.
    pub fn database(&self) -> anyhow::Result<&str> {
        self.database.as_deref().context(
            "no database: say --database mysql+pymysql://user:password@host/cinder \
             or set VOLUME_TRANSFER_DATABASE",
        )
    }

    /// Keystone's address.
    ///
    /// # Errors
    /// When it is not named.
    pub fn auth_url(&self) -> anyhow::Result<&Url> {
        self.auth_url.as_ref().context(
            "no Keystone: say --auth-url http://keystone.example:5000/v3 or set OS_AUTH_URL",
        )
    }

    /// The service's own credentials.
    ///
    /// # Errors
    /// When they are incomplete, ambiguous, or their file cannot be read.
    pub fn credentials(&self) -> anyhow::Result<Credentials> {
        let secret = |file: &Option<PathBuf>, variable: &str| -> anyhow::Result<Password> {
            if let Some(path) = file {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("secret file {} cannot be read", path.display()))?;
                return Ok(Password::new(text.trim_end_matches(['\r', '\n'])));
            }
            match std::env::var(variable) {
                Ok(text) => Ok(Password::new(text)),
                Err(_) => {
                    bail!("no secret for the service's account: name a file or set {variable}")
                }
            }
        };
        if let Some(id) = &self.application_credential_id {
            return Ok(Credentials::ApplicationCredential {
                credential: ApplicationCredential::Id(id.clone()),
                secret: secret(&self.application_credential_secret_file, CREDENTIAL_SECRET)?,
            });
        }
        let domain = |name: &Option<String>| {
            DomainRef::Name(name.clone().unwrap_or_else(|| "Default".to_owned()))
        };
        Ok(Credentials::Password {
            user: UserRef::Name {
                name: self.username.clone().unwrap_or_else(|| "cinder".to_owned()),
                domain: domain(&self.user_domain_name),
            },
            password: secret(&self.password_file, PASSWORD)?,
            project: ProjectRef::Name {
                name: self.project_name.clone().unwrap_or_else(|| "service".to_owned()),
                domain: domain(&self.project_domain_name),
            },
        })
    }

    /// How far TLS is trusted.
    ///
    /// # Errors
    /// When certificates cannot be read, or are named although they are not to be verified.
    pub fn tls(&self) -> anyhow::Result<Tls> {
        match (&self.cacert, self.insecure) {
            (Some(_), true) => bail!("--cacert and --insecure contradict each other: drop one"),
            (Some(path), false) => Ok(Tls::SystemAnd(path.clone())),
            (None, true) => Ok(Tls::Insecure),
            (None, false) => Ok(Tls::System),
        }
    }

    /// What one call may take.
    pub fn limits(&self) -> Limits {
        Limits { total: ms(self.call_timeout_ms, 20_000), ..Limits::default() }
    }

    /// The engine's times.
    ///
    /// # Errors
    /// When the lease is too short for the patience.
    pub fn engine(&self) -> anyhow::Result<transfer_engine::Options> {
        let options = transfer_engine::Options {
            lease: ms(self.lease_ms, 60_000),
            patience: ms(self.patience_ms, 15_000),
            recovery_period: ms(self.recovery_period_ms, 5_000),
            ..transfer_engine::Options::default()
        };
        if options.recovery_period.is_zero() {
            bail!("--recovery-period-ms 0 would be no recovery: say at least 1");
        }
        options.check(self.limits().total)?;
        Ok(options)
    }

    /// Which policy rules hold, and how.
    pub fn policy(&self) -> oslo_policy::Options {
        let defaults = oslo_policy::Options::default();
        oslo_policy::Options {
            policy_file: self.policy_file.clone(),
            policy_dirs: self.policy_dir.clone().unwrap_or_default(),
            enforce_new_defaults: self
                .enforce_new_defaults
                .unwrap_or(defaults.enforce_new_defaults),
            enforce_scope: self.enforce_scope.unwrap_or(defaults.enforce_scope),
        }
    }

    /// How long a stop waits.
    pub fn grace(&self) -> Duration {
        ms(self.grace_ms, 20_000)
    }
}

fn ms(set: Option<u64>, default: u64) -> Duration {
    Duration::from_millis(set.unwrap_or(default))
}
