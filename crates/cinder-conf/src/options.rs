//! The options that are read, each declared once, in a module for its group.
//!
//! Names, types and defaults are those of Cinder 29 and its libraries, where they have the option.
//! An option of theirs that is not here is not read. `[volume_transfer]` is the service's own.

use crate::option::Secret::{All, Password};
use crate::option::{Declared, Opt};
use crate::types::Multi;
use std::net::SocketAddr;
use url::Url;

/// Every option, group by group.
pub static TABLES: &[&[&Declared]] = &[
    default_group::TABLE,
    database::TABLE,
    keystone_authtoken::TABLE,
    barbican::TABLE,
    barbican_service_user::TABLE,
    key_manager::TABLE,
    oslo_policy::TABLE,
    oslo_middleware::TABLE,
    healthcheck::TABLE,
    volume_transfer::TABLE,
];

/// Every option.
pub fn all() -> impl Iterator<Item = &'static Declared> {
    TABLES.iter().flat_map(|table| table.iter().copied())
}

/// How one group says who the service is, and where Keystone is.
pub struct AuthOptions {
    /// `auth_type`
    pub auth_type: &'static Opt<String>,
    /// `auth_url`
    pub auth_url: &'static Opt<Url>,
    /// `username`
    pub username: &'static Opt<String>,
    /// `password`
    pub password: &'static Opt<String>,
    /// `user_domain_id` and `user_domain_name`
    pub user_domain: (&'static Opt<String>, &'static Opt<String>),
    /// `project_name`
    pub project_name: &'static Opt<String>,
    /// `project_domain_id` and `project_domain_name`
    pub project_domain: (&'static Opt<String>, &'static Opt<String>),
    /// `application_credential_id`
    pub application_credential_id: &'static Opt<String>,
    /// `application_credential_secret`
    pub application_credential_secret: &'static Opt<String>,
    /// `cafile`
    pub cafile: &'static Opt<String>,
    /// `insecure`
    pub insecure: &'static Opt<bool>,
}

macro_rules! options {
    ($(#[$doc:meta])* $module:ident = $group:literal {
        $($id:ident: $type:ty = $name:literal, $help:literal $(, .$how:ident($($with:expr),*))*;)*
    }) => {
        $(#[$doc])*
        pub mod $module {
            use super::*;
            /// The group's options.
            pub static TABLE: &[&Declared] = &[$(&$id.declared),*];
            $(
                #[doc = $help]
                pub static $id: Opt<$type> = Opt::new($group, $name, $help)$(.$how($($with),*))*;
            )*
        }
    };
}

/// The options of keystoneauth's plugins, and after them those that only this group has.
macro_rules! auth_options {
    ($(#[$doc:meta])* $module:ident = $group:literal { $($rest:tt)* }) => {
        options! { $(#[$doc])* $module = $group {
            AUTH_SECTION: String = "auth_section", "Another section that holds the auth options";
            AUTH_TYPE: String = "auth_type", "How to authenticate",
                .was(&["auth_plugin"]), .in_auth_section();
            AUTH_URL: Url = "auth_url", "Keystone, with or without /v3", .in_auth_section();
            USERNAME: String = "username", "The service's user",
                .was(&["user-name", "user_name"]), .or("cinder"),
                .in_auth_section();
            PASSWORD: String = "password", "The password of that user",
                .secret(All), .in_auth_section();
            USER_DOMAIN_NAME: String = "user_domain_name", "The domain of that user",
                .or("Default"), .in_auth_section();
            USER_DOMAIN_ID: String = "user_domain_id", "The id of the domain of that user",
                .in_auth_section();
            PROJECT_NAME: String = "project_name", "The service's project",
                .was(&["tenant-name", "tenant_name"]), .or("service"),
                .in_auth_section();
            PROJECT_DOMAIN_NAME: String = "project_domain_name", "The domain of that project",
                .or("Default"), .in_auth_section();
            PROJECT_DOMAIN_ID: String = "project_domain_id",
                "The id of the domain of that project",
                .in_auth_section();
            APPLICATION_CREDENTIAL_ID: String = "application_credential_id",
                "An application credential instead of user and password",
                .in_auth_section();
            APPLICATION_CREDENTIAL_SECRET: String = "application_credential_secret",
                "The secret of that credential",
                .secret(All), .in_auth_section();
            CAFILE: String = "cafile", "Certificates to trust besides the system's, as PEM";
            INSECURE: bool = "insecure", "Do not verify Keystone's certificate", .or("false");
            $($rest)*
        } }

        impl AuthOptions {
            #[doc = concat!("Those of `[", $group, "]`.")]
            pub const fn $module() -> Self {
                use $module as of;
                Self {
                    auth_type: &of::AUTH_TYPE,
                    auth_url: &of::AUTH_URL,
                    username: &of::USERNAME,
                    password: &of::PASSWORD,
                    user_domain: (&of::USER_DOMAIN_ID, &of::USER_DOMAIN_NAME),
                    project_name: &of::PROJECT_NAME,
                    project_domain: (&of::PROJECT_DOMAIN_ID, &of::PROJECT_DOMAIN_NAME),
                    application_credential_id: &of::APPLICATION_CREDENTIAL_ID,
                    application_credential_secret: &of::APPLICATION_CREDENTIAL_SECRET,
                    cafile: &of::CAFILE,
                    insecure: &of::INSECURE,
                }
            }
        }
    };
}

options! {
    /// `[DEFAULT]`
    default_group = "DEFAULT" {
        DEBUG: bool = "debug", "Log more", .or("false");
        LOG_FILE: String = "log_file", "Where logs go instead of standard error",
            .was(&["logfile"]);
        LOG_DIR: String = "log_dir", "The folder of a log_file without one", .was(&["logdir"]);
        OSAPI_VOLUME_LISTEN: String = "osapi_volume_listen", "The address to listen on",
            .or("0.0.0.0");
        OSAPI_VOLUME_LISTEN_PORT: u16 = "osapi_volume_listen_port", "The port to listen on",
            .or("8776");
        OSAPI_MAX_LIMIT: i64 = "osapi_max_limit", "Most transfers in one reply",
            .or("1000"), .least(1), .most(0x7fff_ffff);
        PUBLIC_ENDPOINT: Url = "public_endpoint",
            "What links in replies begin with, instead of the request's own host";
        QUOTA_VOLUMES: i64 = "quota_volumes", "Volumes of a project; negative is unlimited",
            .or("10");
        QUOTA_SNAPSHOTS: i64 = "quota_snapshots", "Snapshots of a project", .or("10");
        QUOTA_GIGABYTES: i64 = "quota_gigabytes", "GiB of a project", .or("1000");
        PER_VOLUME_SIZE_LIMIT: i64 = "per_volume_size_limit", "GiB of one volume", .or("-1");
        NO_SNAPSHOT_GB_QUOTA: bool = "no_snapshot_gb_quota", "Snapshots do not count as gigabytes",
            .or("false");
        USE_DEFAULT_QUOTA_CLASS: bool = "use_default_quota_class",
            "The quota class `default` goes before the quotas above", .or("true");
        RESERVATION_EXPIRE: i64 = "reservation_expire", "Seconds until a reservation lapses",
            .or("86400"), .least(0), .most(0x7fff_ffff);
        UNTIL_REFRESH: i64 = "until_refresh",
            "Reservations after which a project's usage is counted anew; 0 is never",
            .or("0"), .least(0), .most(0x7fff_ffff);
        MAX_AGE: i64 = "max_age",
            "Seconds after which a project's usage is counted anew; 0 is never",
            .or("0"), .least(0), .most(0x7fff_ffff);
        VOLUME_TRANSFER_SALT_LENGTH: i64 = "volume_transfer_salt_length",
            "Characters of an auth key's salt", .or("8"), .least(1), .most(255);
        VOLUME_TRANSFER_KEY_LENGTH: i64 = "volume_transfer_key_length",
            "Characters of an auth key", .or("16"), .least(1), .most(255);
        TRANSPORT_URL: String = "transport_url", "The message queue",
            .or("rabbit://"), .secret(Password), .unused("no messages are sent");
    }
}

options! {
    /// `[database]`
    database = "database" {
        CONNECTION: String = "connection",
            "Cinder's database, as mysql+pymysql://cinder:…@db.example/cinder", .secret(Password);
        MAX_POOL_SIZE: i64 = "max_pool_size", "Most connections that are kept; 0 is no limit",
            .or("5"), .least(0);
        MAX_OVERFLOW: i64 = "max_overflow", "Most connections besides those; -1 is no limit",
            .or("50"), .least(-1);
        POOL_TIMEOUT: i64 = "pool_timeout", "Seconds to wait for a connection",
            .unused("a connection is waited for 30 seconds");
        MAX_RETRIES: i64 = "max_retries", "Attempts to connect at the start",
            .or("10"), .unused("the database has to be there at the start");
    }
}

auth_options! {
    /// `[keystone_authtoken]`
    keystone_authtoken = "keystone_authtoken" {
        WWW_AUTHENTICATE_URI: Url = "www_authenticate_uri", "Where a 401 sends its caller";
        REGION_NAME: String = "region_name", "The region, where [barbican] names none";
        INTERFACE: String = "interface", "The interface of Keystone in the catalogue",
            .or("internal"), .unused("Keystone is asked at auth_url");
        SERVICE_TOKEN_ROLES: Vec<String> = "service_token_roles", "Roles of service tokens",
            .or("service");
        SERVICE_TOKEN_ROLES_REQUIRED: bool = "service_token_roles_required",
            "Whether service tokens need one of those roles",
            .or("true");
    }
}

options! {
    /// `[barbican]`
    barbican = "barbican" {
        BARBICAN_ENDPOINT: Url = "barbican_endpoint",
            "Barbican, instead of the one in the catalogue";
        BARBICAN_ENDPOINT_TYPE: String = "barbican_endpoint_type",
            "The interface of Barbican in the catalogue",
            .or("public"), .one_of(&["public", "internal", "admin"]);
        BARBICAN_REGION_NAME: String = "barbican_region_name",
            "The region of Barbican in the catalogue";
        BARBICAN_API_VERSION: String = "barbican_api_version", "The version of Barbican's API",
            .one_of(&["v1"]);
        VERIFY_SSL: bool = "verify_ssl", "Verify Barbican's certificate", .or("true");
        VERIFY_SSL_PATH: String = "verify_ssl_path",
            "Certificates to trust besides the system's, as PEM";
        NUMBER_OF_RETRIES: i64 = "number_of_retries", "How often to ask for a key that was ordered",
            .or("60"), .unused("keys are copied, not ordered");
        SEND_SERVICE_USER_TOKEN: bool = "send_service_user_token",
            "Send the token of [barbican_service_user] beside a user's",
            .or("false");
    }
}

auth_options! {
    /// `[barbican_service_user]`
    barbican_service_user = "barbican_service_user" {}
}

options! {
    /// `[key_manager]`
    key_manager = "key_manager" {
        BACKEND: String = "backend", "Where keys are kept", .or("barbican"), .was(&["api_class"]);
    }
}

options! {
    /// `[oslo_policy]`
    oslo_policy = "oslo_policy" {
        ENFORCE_SCOPE: bool = "enforce_scope", "Refuse tokens of another scope",
            .or("true");
        ENFORCE_NEW_DEFAULTS: bool = "enforce_new_defaults", "Forget the deprecated rules",
            .or("true");
        POLICY_FILE: String = "policy_file", "Rules that differ from the defaults",
            .or("policy.yaml");
        POLICY_DIRS: Multi = "policy_dirs", "Folders with more of them",
            .or("policy.d");
    }
}

options! {
    /// `[oslo_middleware]`
    oslo_middleware = "oslo_middleware" {
        ENABLE_PROXY_HEADERS_PARSING: bool = "enable_proxy_headers_parsing",
            "Believe what a proxy says of the request",
            .or("false"), .unused("links begin with public_endpoint");
        MAX_REQUEST_BODY_SIZE: i64 = "max_request_body_size", "Most bytes of a request's body",
            .or("114688"), .least(0), .most(0x7fff_ffff);
    }
}

options! {
    /// `[healthcheck]`
    healthcheck = "healthcheck" {
        DISABLE_BY_FILE_PATH: String = "disable_by_file_path",
            "While this file exists, /healthcheck says 503";
    }
}

options! {
    /// `[volume_transfer]`, which Cinder does not have
    volume_transfer = "volume_transfer" {
        LISTEN: SocketAddr = "listen",
            "Address to listen on, instead of osapi_volume_listen and its port";
        METRICS_LISTEN: SocketAddr = "metrics_listen",
            "Address to serve /metrics on, for Prometheus; without it there are none";
        OTLP_ENDPOINT: Url = "otlp_endpoint",
            "Where traces go, as OTLP over HTTP; without it there are none";
        CREATE_TABLES: bool = "create_tables",
            "Make Cinder's own tables, too, where the database has none (for development)",
            .or("false");
        PASSWORD_FILE: String = "password_file", "A file that holds the password and nothing else";
        APPLICATION_CREDENTIAL_SECRET_FILE: String = "application_credential_secret_file",
            "A file that holds the application credential's secret and nothing else";
        EXPIRE_AFTER: i64 = "expire_after",
            "Seconds in which an offer can be accepted; 0 is no limit",
            .or("0"), .least(0), .most(0x7fff_ffff);
        LEASE_MS: i64 = "lease_ms",
            "How long a claim lasts without a sign of life, in milliseconds",
            .or("60000"), .least(0);
        PATIENCE_MS: i64 = "patience_ms",
            "How long an operation tries again after unknown outcomes, in milliseconds",
            .or("15000"), .least(0);
        CALL_TIMEOUT_MS: i64 = "call_timeout_ms",
            "Time limit of one call to Keystone or Barbican, in milliseconds",
            .or("20000"), .least(0);
        RECOVERY_PERIOD_MS: i64 = "recovery_period_ms",
            "Time between two passes of recovery, in milliseconds", .or("5000"), .least(1);
        GRACE_MS: i64 = "grace_ms",
            "How long a stop waits for operations in progress, in milliseconds",
            .or("20000"), .least(0);
    }
}
