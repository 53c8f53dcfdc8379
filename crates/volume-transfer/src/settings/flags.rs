//! The flags and variables of the commands that need settings, each with the options that it sets.
//!
//! Help and defaults are those of the options. No secret is a flag, for flags can be seen by
//! others: a secret comes from a file or a variable.

use super::Settings;
use cinder_conf::options::{
    barbican, database, default_group, keystone_authtoken, oslo_policy, volume_transfer,
};
use cinder_conf::{Assignment, Conf, ConfigPath, Declared, Origin, Secret, default_paths};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::path::PathBuf;

/// The environment variable that may hold the password.
pub(super) const PASSWORD: &str = "VOLUME_TRANSFER_PASSWORD";
/// The environment variable that may hold an application credential's secret.
pub(super) const CREDENTIAL_SECRET: &str = "OS_APPLICATION_CREDENTIAL_SECRET";

/// Variables that are no flags.
static VARIABLES: [(&str, &Declared); 2] = [
    (PASSWORD, &keystone_authtoken::PASSWORD.declared),
    (CREDENTIAL_SECRET, &keystone_authtoken::APPLICATION_CREDENTIAL_SECRET.declared),
];

const FILE: &str = "config-file";
const DIR: &str = "config-dir";

/// A flag, and the variable that says the same.
struct Flag {
    name: &'static str,
    variable: &'static str,
    /// What its value is called; a switch has none.
    value: Option<&'static str>,
    /// The option that gets the value, and with it its help.
    option: &'static Declared,
    /// Options that follow from it.
    also: &'static [(&'static Declared, Text)],
}

/// What an option gets that follows from a flag.
enum Text {
    Same,
    Fixed(&'static str),
}

macro_rules! flags {
    ($($name:literal $variable:literal $($value:literal)? => $option:path
       $(, $also:path = $text:expr)*;)*) => {
        &[$(Flag {
            name: concat!("--", $name),
            variable: $variable,
            value: [$(Some($value),)? None][0],
            option: &$option.declared,
            also: &[$((&$also.declared, $text)),*],
        }),*]
    };
}

static FLAGS: &[Flag] = flags! {
    "listen" "VOLUME_TRANSFER_LISTEN" "ADDR:PORT" => volume_transfer::LISTEN;
    "database" "VOLUME_TRANSFER_DATABASE" "URL" => database::CONNECTION;
    "database-connections" "VOLUME_TRANSFER_DATABASE_CONNECTIONS" "N" => database::MAX_POOL_SIZE,
        database::MAX_OVERFLOW = Text::Fixed("0");
    "create-tables" "VOLUME_TRANSFER_CREATE_TABLES" => volume_transfer::CREATE_TABLES;
    "auth-url" "OS_AUTH_URL" "URL" => keystone_authtoken::AUTH_URL;
    "username" "OS_USERNAME" "NAME" => keystone_authtoken::USERNAME;
    "user-domain-name" "OS_USER_DOMAIN_NAME" "NAME" => keystone_authtoken::USER_DOMAIN_NAME;
    "password-file" "VOLUME_TRANSFER_PASSWORD_FILE" "FILE" => volume_transfer::PASSWORD_FILE;
    "project-name" "OS_PROJECT_NAME" "NAME" => keystone_authtoken::PROJECT_NAME;
    "project-domain-name" "OS_PROJECT_DOMAIN_NAME" "NAME" =>
        keystone_authtoken::PROJECT_DOMAIN_NAME;
    "application-credential-id" "OS_APPLICATION_CREDENTIAL_ID" "ID" =>
        keystone_authtoken::APPLICATION_CREDENTIAL_ID,
        keystone_authtoken::AUTH_TYPE = Text::Fixed("v3applicationcredential");
    "application-credential-secret-file" "VOLUME_TRANSFER_APPLICATION_CREDENTIAL_SECRET_FILE"
        "FILE" => volume_transfer::APPLICATION_CREDENTIAL_SECRET_FILE;
    "region-name" "OS_REGION_NAME" "NAME" => barbican::BARBICAN_REGION_NAME;
    "interface" "OS_INTERFACE" "NAME" => barbican::BARBICAN_ENDPOINT_TYPE;
    "key-manager-url" "VOLUME_TRANSFER_KEY_MANAGER_URL" "URL" => barbican::BARBICAN_ENDPOINT;
    "cacert" "OS_CACERT" "FILE" => keystone_authtoken::CAFILE,
        barbican::VERIFY_SSL_PATH = Text::Same;
    "insecure" "VOLUME_TRANSFER_INSECURE" => keystone_authtoken::INSECURE,
        barbican::VERIFY_SSL = Text::Fixed("false");
    "public-endpoint" "VOLUME_TRANSFER_PUBLIC_ENDPOINT" "URL" => default_group::PUBLIC_ENDPOINT;
    "policy-file" "VOLUME_TRANSFER_POLICY_FILE" "FILE" => oslo_policy::POLICY_FILE;
    "policy-dir" "VOLUME_TRANSFER_POLICY_DIR" "DIR" => oslo_policy::POLICY_DIRS;
    "enforce-new-defaults" "VOLUME_TRANSFER_ENFORCE_NEW_DEFAULTS" "BOOL" =>
        oslo_policy::ENFORCE_NEW_DEFAULTS;
    "enforce-scope" "VOLUME_TRANSFER_ENFORCE_SCOPE" "BOOL" => oslo_policy::ENFORCE_SCOPE;
    "lease-ms" "VOLUME_TRANSFER_LEASE_MS" "MS" => volume_transfer::LEASE_MS;
    "patience-ms" "VOLUME_TRANSFER_PATIENCE_MS" "MS" => volume_transfer::PATIENCE_MS;
    "call-timeout-ms" "VOLUME_TRANSFER_CALL_TIMEOUT_MS" "MS" => volume_transfer::CALL_TIMEOUT_MS;
    "recovery-period-ms" "VOLUME_TRANSFER_RECOVERY_PERIOD_MS" "MS" =>
        volume_transfer::RECOVERY_PERIOD_MS;
    "grace-ms" "VOLUME_TRANSFER_GRACE_MS" "MS" => volume_transfer::GRACE_MS;
};

/// What was said of the settings on the command line and in the environment.
#[derive(Clone)]
pub struct SettingsArgs {
    paths: Vec<ConfigPath>,
    environment: Vec<Assignment>,
    flags: Vec<Assignment>,
}

impl SettingsArgs {
    /// The settings, with Cinder's own files at the bottom where none is named.
    ///
    /// # Errors
    /// What cannot be read, or is wrong.
    pub fn settings(mut self) -> anyhow::Result<Settings> {
        if self.paths.is_empty() {
            self.paths = default_paths();
        }
        self.settings_alone()
    }

    /// The settings, of named files alone.
    ///
    /// # Errors
    /// As [`SettingsArgs::settings`].
    pub fn settings_alone(self) -> anyhow::Result<Settings> {
        let mut conf = Conf::read(&self.paths)?;
        conf.add(self.environment);
        conf.add(self.flags);
        Settings::new(conf)
    }
}

impl Flag {
    fn id(&self) -> &'static str {
        self.name.trim_start_matches('-')
    }

    fn arg(&self) -> Arg {
        let help = match self.option.default {
            Some(default) if self.value.is_some() => {
                format!("{} [default: {default}]", self.option.help)
            }
            Some(_) | None => self.option.help.to_owned(),
        };
        let arg = Arg::new(self.id()).long(self.id()).env(self.variable).help(help);
        let arg = arg.hide_env_values(self.option.secret != Secret::Nothing);
        match self.value {
            Some(name) => arg.value_name(name),
            None => arg.action(ArgAction::SetTrue),
        }
    }

    /// What it says of its options, if it was given.
    fn assignments(&self, matches: &ArgMatches, origin: &Origin) -> Vec<Assignment> {
        let given = match self.value {
            Some(_) => matches.get_one::<String>(self.id()).cloned(),
            None => matches.get_flag(self.id()).then(|| "true".to_owned()),
        };
        let Some(given) = given else {
            return Vec::new();
        };
        let also = self.also.iter().map(|(option, text)| match text {
            Text::Same => Assignment::of(option, given.as_str(), origin.clone()),
            Text::Fixed(text) => Assignment::of(option, *text, origin.clone()),
        });
        std::iter::once(Assignment::of(self.option, given.as_str(), origin.clone()))
            .chain(also)
            .collect()
    }
}

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let path = |id: &'static str, name: &'static str, help: &'static str| {
            let arg = Arg::new(id).long(id).value_name(name).help(help);
            arg.action(ArgAction::Append).value_parser(value_parser!(PathBuf))
        };
        let file = "cinder.conf; again for more, of which a later one wins \
                    [default: /etc/cinder/cinder.conf, if it is there]";
        command
            .arg(path(FILE, "FILE", file))
            .arg(path(DIR, "DIR", "A folder whose *.conf files are read by name"))
            .args(FLAGS.iter().map(Flag::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (mut environment, mut flags) = (Vec::new(), Vec::new());
        for flag in FLAGS {
            let source = matches.value_source(flag.id());
            if source == Some(ValueSource::CommandLine) {
                flags.extend(flag.assignments(matches, &Origin::Flag(flag.name)));
            } else if source == Some(ValueSource::EnvVariable) {
                let origin = Origin::Environment(flag.variable);
                environment.extend(flag.assignments(matches, &origin));
            }
        }
        for (variable, option) in VARIABLES {
            if let Ok(text) = std::env::var(variable) {
                environment.push(Assignment::of(option, text, Origin::Environment(variable)));
            }
        }
        Ok(Self { paths: paths(matches), environment, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Files and folders in the order in which they are named.
fn paths(matches: &ArgMatches) -> Vec<ConfigPath> {
    let of = |id: &str, kind: fn(PathBuf) -> ConfigPath| {
        let places = matches.indices_of(id).into_iter().flatten();
        let paths = matches.get_many::<PathBuf>(id).into_iter().flatten();
        places.zip(paths).map(|(place, path)| (place, kind(path.clone()))).collect::<Vec<_>>()
    };
    let mut paths = [of(FILE, ConfigPath::File), of(DIR, ConfigPath::Dir)].concat();
    paths.sort_by_key(|(place, _)| *place);
    paths.into_iter().map(|(_, path)| path).collect()
}
