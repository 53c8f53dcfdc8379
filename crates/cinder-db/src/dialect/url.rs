//! Database URLs as `[database] connection` of `cinder.conf` has them, read as SQLAlchemy reads
//! them.
//!
//! An option that this program does not carry out is refused rather than passed over: it may be
//! what makes the connection safe. Nothing of a URL but its scheme and the names of its options is
//! in an error.

use super::{Dialect, SqliteFile};
use crate::ConnectError;
use percent_encoding::percent_decode_str;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The databases, each by the names that it has in URLs, with the drivers that may be named.
const SCHEMES: [(&[&str], &[&str], Dialect); 3] = [
    (&["sqlite"], &["pysqlite", "aiosqlite"], Dialect::Sqlite),
    (
        &["postgresql", "postgres"],
        &["psycopg2", "psycopg2cffi", "psycopg", "asyncpg", "pg8000"],
        Dialect::Postgres,
    ),
    (
        &["mysql", "mariadb"],
        &["pymysql", "mysqldb", "mysqlconnector", "aiomysql", "asyncmy"],
        Dialect::MySql,
    ),
];

/// Options that tell Python's drivers what goes without saying here.
const UNNEEDED: [&str; 7] = [
    "charset",
    "use_unicode",
    "binary_prefix",
    "client_encoding",
    "connect_timeout",
    "read_timeout",
    "write_timeout",
];

/// How to connect.
pub(crate) enum Options {
    Sqlite(SqliteFile),
    Server(Box<Address>),
}

/// Where a server is, and how one comes to it.
pub(crate) enum Address {
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

/// The parts of a URL of a server.
#[derive(Default)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    options: Vec<(String, String)>,
}

impl From<Address> for Options {
    fn from(address: Address) -> Self {
        Self::Server(Box::new(address))
    }
}

impl Options {
    pub(crate) fn read(url: &str) -> Result<Self, ConnectError> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (name, driver) = scheme.split_once('+').unwrap_or((scheme, ""));
        let found = SCHEMES.iter().find(|(names, drivers, _)| {
            names.contains(&name) && (driver.is_empty() || drivers.contains(&driver))
        });
        match found {
            None => Err(ConnectError::UnsupportedScheme { scheme: scheme.to_owned() }),
            // One slash more than the path has: what stands before that would be a host.
            Some((_, _, Dialect::Sqlite)) => match rest.strip_prefix('/') {
                Some(path) => SqliteFile::read(path).map(Self::Sqlite),
                None => Err(ConnectError::Url("path: write sqlite:////folder/file")),
            },
            Some((_, _, Dialect::Postgres)) => {
                Ok(Address::Postgres(Parts::read(rest)?.postgres()?).into())
            }
            Some((_, _, Dialect::MySql)) => Ok(Address::MySql(Parts::read(rest)?.mysql()?).into()),
        }
    }

    /// What does not open. Of a server no more than its kind: with a sign that should have been
    /// escaped, the rest of a password is taken for a host.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Sqlite(of) => of.path.clone(),
            Self::Server(_) if self.dialect() == Dialect::Postgres => "PostgreSQL".to_owned(),
            Self::Server(_) => "MySQL".to_owned(),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Server(address) => match **address {
                Address::Postgres(_) => Dialect::Postgres,
                Address::MySql(_) => Dialect::MySql,
            },
        }
    }
}

impl Parts {
    /// Reads `user:password@host:port/database?options`. Every part may be missing.
    fn read(rest: &str) -> Result<Self, ConnectError> {
        let mut parts = Self::default();
        let mut address = rest;
        if let Some((credentials, behind)) = rest.split_once('@') {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            // Else the sign stands in a path or in an option.
            if !user.contains(['/', '?']) {
                parts.user = Some(unquote(user)?);
                parts.password = password.map(unquote).transpose()?;
                address = behind;
            }
        }
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        parts.options = query_pairs(query);
        let (host, database) = address.split_once('/').unwrap_or((address, ""));
        let (host, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or_default()),
            None => host.split_once(':').unwrap_or((host, "")),
        };
        parts.host = (!host.is_empty()).then(|| host.to_owned());
        if !port.is_empty() {
            parts.port = Some(port.parse().map_err(|_error| ConnectError::Url("port"))?);
        }
        parts.database = (!database.is_empty()).then(|| unquote(database)).transpose()?;
        Ok(parts)
    }

    fn postgres(self) -> Result<PgConnectOptions, ConnectError> {
        let mut options = PgConnectOptions::new().options([("lock_timeout", "10s")]);
        let mut mode = PgSslMode::Prefer;
        let mut trusts = false;
        let address = [("host", self.host), ("user", self.user), ("password", self.password)];
        let address =
            address.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        for (name, value) in address.chain(self.options) {
            options = match name.as_str() {
                // As libpq: a path is the directory of a socket.
                "host" if value.starts_with('/') => options.socket(value),
                "host" => options.host(&value),
                "user" => options.username(&value),
                "password" => options.password(&value),
                "application_name" => options.application_name(&value),
                "sslmode" => {
                    mode = value.parse().map_err(|_error| ConnectError::Url("sslmode"))?;
                    options
                }
                "sslrootcert" => {
                    trusts = true;
                    options.ssl_root_cert(value)
                }
                "sslcert" => options.ssl_client_cert(value),
                "sslkey" => options.ssl_client_key(value),
                unneeded if UNNEEDED.contains(&unneeded) => options,
                _unknown => return Err(ConnectError::UnsupportedOption { name }),
            };
        }
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        let mode = match mode {
            // As libpq: who names the authority wants it to be asked.
            PgSslMode::Require if trusts => PgSslMode::VerifyCa,
            // Libpq comes by TLS where the server wants it; here that would never be tried.
            PgSslMode::Allow => PgSslMode::Prefer,
            PgSslMode::Disable
            | PgSslMode::Prefer
            | PgSslMode::Require
            | PgSslMode::VerifyCa
            | PgSslMode::VerifyFull => mode,
        };
        Ok(options.ssl_mode(mode))
    }

    fn mysql(self) -> Result<MySqlConnectOptions, ConnectError> {
        let mut options = MySqlConnectOptions::new();
        let mut tls = MySqlTls::default();
        let address = [("host", self.host), ("user", self.user), ("password", self.password)];
        let address =
            address.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        for (name, value) in address.chain(self.options) {
            options = match name.as_str() {
                "host" => options.host(&value),
                "user" => options.username(&value),
                "password" => options.password(&value),
                "unix_socket" => options.socket(value),
                "ssl_ca" => {
                    tls.authority = true;
                    options.ssl_ca(value)
                }
                "ssl_cert" => {
                    tls.certificate = true;
                    options.ssl_client_cert(value)
                }
                "ssl_key" => options.ssl_client_key(value),
                "ssl_check_hostname" | "ssl_verify_identity" => {
                    tls.verify_identity = Some(boolean(&value, "ssl_verify_identity")?);
                    options
                }
                "ssl_verify_cert" => {
                    tls.verify_certificate = Some(boolean(&value, "ssl_verify_cert")?);
                    options
                }
                "ssl_mode" => {
                    let mode = value.parse().map_err(|_error| ConnectError::Url("ssl_mode"))?;
                    tls.mode = Some(mode);
                    options
                }
                unneeded if UNNEEDED.contains(&unneeded) => options,
                _unknown => return Err(ConnectError::UnsupportedOption { name }),
            };
        }
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        Ok(options.ssl_mode(tls.mode()))
    }
}

/// What a URL says about TLS to MySQL.
#[derive(Default)]
struct MySqlTls {
    authority: bool,
    certificate: bool,
    verify_certificate: Option<bool>,
    verify_identity: Option<bool>,
    mode: Option<MySqlSslMode>,
}

impl MySqlTls {
    /// Who names an authority means the server to be known by it, name and all, unless it is said
    /// otherwise.
    fn mode(self) -> MySqlSslMode {
        if let Some(mode) = self.mode {
            return mode;
        }
        let certificate = self.verify_certificate.unwrap_or(self.authority);
        let identity = self.verify_identity.unwrap_or(self.authority && certificate);
        match (identity, certificate) {
            (true, _) => MySqlSslMode::VerifyIdentity,
            (false, true) => MySqlSslMode::VerifyCa,
            (false, false) if self.authority || self.certificate => MySqlSslMode::Required,
            (false, false) => MySqlSslMode::Preferred,
        }
    }
}

pub(super) fn query_pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

pub(super) fn unquote(text: &str) -> Result<String, ConnectError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_error| ConnectError::Url("encoding"))
}

fn boolean(text: &str, option: &'static str) -> Result<bool, ConnectError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _neither => Err(ConnectError::Url(option)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> ConnectError {
        match Options::read(url) {
            Ok(_options) => panic!("accepted: {url}"),
            Err(error) => error,
        }
    }

    fn server(url: &str) -> Address {
        match Options::read(url) {
            Ok(Options::Server(address)) => *address,
            Ok(Options::Sqlite(_)) => panic!("another database: {url}"),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    fn postgres(url: &str) -> PgConnectOptions {
        match server(url) {
            Address::Postgres(options) => options,
            Address::MySql(_) => panic!("another database: {url}"),
        }
    }

    fn mysql(url: &str) -> MySqlConnectOptions {
        match server(url) {
            Address::MySql(options) => options,
            Address::Postgres(_) => panic!("another database: {url}"),
        }
    }

    fn sqlite(url: &str) -> String {
        match Options::read(url) {
            Ok(Options::Sqlite(file)) => file.path,
            Ok(_other) => panic!("another database: {url}"),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    #[test]
    fn a_path_of_sqlite_has_one_slash_less_than_its_url() {
        for (url, path) in [
            ("sqlite:///c.sqlite", "c.sqlite"),
            ("sqlite:///lib/c.sqlite", "lib/c.sqlite"),
            ("sqlite:////var/lib/c.sqlite", "/var/lib/c.sqlite"),
            ("sqlite+pysqlite:///c.sqlite", "c.sqlite"),
            ("sqlite+pysqlite:////var/lib/c.sqlite", "/var/lib/c.sqlite"),
            ("sqlite:////with%20space?mode=ro", "/with space"),
        ] {
            assert_eq!(sqlite(url), path, "{url}");
        }
    }

    #[test]
    fn the_address_of_a_server_is_read_as_sqlalchemy_reads_it() {
        for (rest, user, host, port, database) in [
            ("cinder:p@db/cinder", "cinder", "db", None, Some("cinder")),
            (
                "cinder:p@db:6432/cinder?connect_timeout=5",
                "cinder",
                "db",
                Some(6432),
                Some("cinder"),
            ),
            ("c%40x:p%2Fw%3A%25@10.0.0.1/c%20d", "c@x", "10.0.0.1", None, Some("c d")),
            ("cinder:a/b?c:d@[::1]:7/cinder", "cinder", "::1", Some(7), Some("cinder")),
            ("cinder@db", "cinder", "db", None, None),
        ] {
            for scheme in ["postgresql", "postgresql+psycopg2", "postgres"] {
                let options = postgres(&format!("{scheme}://{rest}"));
                assert_eq!(options.get_username(), user, "{rest}");
                assert_eq!(options.get_host(), host, "{rest}");
                assert_eq!(options.get_port(), port.unwrap_or(5432), "{rest}");
                assert_eq!(options.get_database(), database, "{rest}");
            }
            for scheme in ["mysql", "mysql+pymysql", "mariadb+pymysql"] {
                let options = mysql(&format!("{scheme}://{rest}"));
                assert_eq!(options.get_username(), user, "{rest}");
                assert_eq!(options.get_host(), host, "{rest}");
                assert_eq!(options.get_port(), port.unwrap_or(3306), "{rest}");
                assert_eq!(options.get_database(), database, "{rest}");
            }
        }
        let options = postgres("postgresql:///cinder?host=/var/run/postgresql&user=c@x");
        assert_eq!(options.get_username(), "c@x");
        assert_eq!(options.get_socket().unwrap().to_str(), Some("/var/run/postgresql"));
        let options = mysql("mysql://c@/cinder?unix_socket=/run/s&charset=utf8");
        assert_eq!(options.get_socket().unwrap().to_str(), Some("/run/s"));
    }

    #[test]
    fn what_a_url_says_about_tls_is_done() {
        for (options, mode) in [
            ("", "Preferred"),
            ("ssl_ca=/ca.pem", "VerifyIdentity"),
            ("ssl_ca=/ca.pem&ssl_check_hostname=false", "VerifyCa"),
            ("ssl_ca=/ca.pem&ssl_verify_cert=true&ssl_verify_identity=0", "VerifyCa"),
            ("ssl_ca=/ca.pem&ssl_verify_cert=false", "Required"),
            ("ssl_verify_identity=true", "VerifyIdentity"),
            ("ssl_verify_cert=true", "VerifyCa"),
            ("ssl_cert=/c.pem&ssl_key=/k.pem", "Required"),
            ("ssl_mode=DISABLED", "Disabled"),
        ] {
            let found = mysql(&format!("mysql://db/c?{options}")).get_ssl_mode();
            assert_eq!(format!("{found:?}"), mode, "{options}");
        }
        for (options, mode) in [
            ("", "Prefer"),
            ("sslmode=disable", "Disable"),
            ("sslmode=allow", "Prefer"),
            ("sslmode=require", "Require"),
            ("sslmode=require&sslrootcert=/ca.pem", "VerifyCa"),
            ("sslmode=verify-full&sslrootcert=/ca.pem", "VerifyFull"),
        ] {
            let found = postgres(&format!("postgresql://db/c?{options}")).get_ssl_mode();
            assert_eq!(format!("{found:?}"), mode, "{options}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name_and_without_the_password() {
        for (url, words) in [
            ("sqlite:///c?mode=secret", "a wrong mode"),
            ("sqlite:///c?immutable=secret", "option \"immutable\""),
            ("oracle+cx_oracle://c:secret@db/c", "\"oracle+cx_oracle\" is not supported"),
            ("mysql+odd://c:secret@db/c", "\"mysql+odd\" is not supported"),
            ("postgresql+pymysql://c:secret@db/c", "\"postgresql+pymysql\" is not supported"),
            ("mysql:c:secret@db/c", "\"\" is not supported"),
            ("sqlite://secret.sqlite", "write sqlite:////folder/file"),
            ("mysql://c:secret@db:many/c", "a wrong port"),
            ("mysql://c:secret%FF@db/c", "a wrong encoding"),
            ("mysql://c:secret@db/c?ssl_cipher=secret", "option \"ssl_cipher\""),
            ("mysql://c:secret@db/c?ssl_verify_cert=secret", "a wrong ssl_verify_cert"),
            ("mysql://c:secret@db/c?ssl_mode=secret", "a wrong ssl_mode"),
            ("postgresql://c:secret@db/c?sslmode=secret", "a wrong sslmode"),
            ("postgresql://c:secret@db/c?options=secret", "option \"options\""),
        ] {
            let error = error(url);
            assert!(error.to_string().contains(words), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error:?}");
        }
    }
}
