//! `clouds.yaml`, as openstacksdk reads it, for what a volume client needs of it.
//!
//! Follows openstacksdk: `config/loader.py` (which files, in which order; `secure.yaml` beside
//! them). Vendor profiles are refused, since they are not at hand. Nothing secret is in an error.

use keystone_client::{ApplicationCredential, Credentials, DomainRef, ProjectRef, UserRef};
use openstack_http::{Password, Tls, Token};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use url::Url;

/// The environment variable that names the file.
const FILE: &str = "OS_CLIENT_CONFIG_FILE";
const SECURE_FILE: &str = "OS_CLIENT_SECURE_FILE";

/// Why a cloud is not known.
#[derive(Debug, thiserror::Error)]
pub enum CloudsError {
    /// There is no file.
    #[error("no clouds.yaml: looked for {0}; name it with --clouds FILE or {FILE}")]
    NoFile(String),
    /// A file cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says; a parser's words name a place and quote nothing.
        why: String,
    },
    /// The file has no such cloud.
    #[error("no cloud {name:?} in {path}; there are: {known}")]
    NoCloud {
        /// The name that was asked for.
        name: String,
        /// The file.
        path: PathBuf,
        /// The names in it.
        known: String,
    },
    /// A setting is missing or of no use.
    #[error("cloud {cloud:?} in {path}: {why}")]
    Setting {
        /// The cloud.
        cloud: String,
        /// The file.
        path: PathBuf,
        /// What is wrong, without values.
        why: String,
    },
}

/// The clouds of one file.
pub struct Clouds {
    path: PathBuf,
    clouds: Map<String, Value>,
}

/// How to reach a cloud, and as whom.
#[derive(Debug)]
pub struct CloudSettings {
    /// Its name in the file.
    pub name: String,
    /// Keystone.
    pub auth_url: Url,
    /// As whom.
    pub credentials: Credentials,
    /// The region of the endpoints, if one is named.
    pub region: Option<String>,
    /// Which of the endpoints.
    pub interface: String,
    /// The block storage, where it is not to be looked up.
    pub endpoint: Option<Url>,
    /// Whom to believe.
    pub tls: Tls,
}

impl Clouds {
    /// Reads the named file, else the first that there is.
    ///
    /// # Errors
    /// [`CloudsError`].
    pub fn read(named: Option<&Path>) -> Result<Self, CloudsError> {
        let named = named.map(Path::to_owned).or_else(|| variable(FILE));
        let (path, beside) = match named {
            Some(path) => (path, variable(SECURE_FILE)),
            None => found("clouds")?,
        };
        let mut clouds = clouds_of(&path)?;
        let secure = beside.unwrap_or_else(|| path.with_file_name("secure.yaml"));
        if secure.exists() {
            for (name, more) in clouds_of(&secure)? {
                merge(clouds.entry(name).or_insert_with(|| Value::Object(Map::new())), more);
            }
        }
        Ok(Self { path, clouds })
    }

    /// One of them.
    ///
    /// # Errors
    /// [`CloudsError`] when there is none, or it lacks something.
    pub fn cloud(&self, name: &str) -> Result<CloudSettings, CloudsError> {
        let Some(entry) = self.clouds.get(name) else {
            let known: Vec<_> = self.clouds.keys().map(String::as_str).collect();
            return Err(CloudsError::NoCloud {
                name: name.to_owned(),
                path: self.path.clone(),
                known: known.join(", "),
            });
        };
        Entry { entry, auth: entry.get("auth").unwrap_or(&Value::Null) }.settings(name).map_err(
            |why| CloudsError::Setting { cloud: name.to_owned(), path: self.path.clone(), why },
        )
    }
}

/// One cloud's entry, and the `auth` in it.
struct Entry<'a> {
    entry: &'a Value,
    auth: &'a Value,
}

impl Entry<'_> {
    fn settings(&self, name: &str) -> Result<CloudSettings, String> {
        if self.entry.get("profile").is_some() {
            return Err("vendor profiles are not supported: write auth_url out".to_owned());
        }
        let url = |key: &str, text: String| {
            Url::parse(&text).map_err(|error| format!("{key} is no URL: {error}"))
        };
        let endpoint = ["block_storage_endpoint_override", "volume_endpoint_override"];
        let endpoint = endpoint.into_iter().find_map(|key| Some((key, text(self.entry, key)?)));
        Ok(CloudSettings {
            name: name.to_owned(),
            auth_url: url("auth_url", self.needed("auth_url")?)?,
            credentials: self.credentials()?,
            region: text(self.entry, "region_name"),
            interface: text(self.entry, "interface")
                .map_or("public".to_owned(), |name| name.trim_end_matches("URL").to_owned()),
            endpoint: endpoint.map(|(key, text)| url(key, text)).transpose()?,
            tls: self.tls(),
        })
    }

    fn credentials(&self) -> Result<Credentials, String> {
        let kind = text(self.entry, "auth_type").unwrap_or_else(|| "password".to_owned());
        match kind.as_str() {
            "password" | "v3password" => Ok(Credentials::Password {
                user: self.user()?,
                password: Password::new(self.needed("password")?),
                project: self.project()?,
            }),
            "v3applicationcredential" => Ok(Credentials::ApplicationCredential {
                credential: match text(self.auth, "application_credential_id") {
                    Some(id) => ApplicationCredential::Id(id),
                    None => ApplicationCredential::Name {
                        name: self.needed("application_credential_name")?,
                        user: self.user()?,
                    },
                },
                secret: Password::new(self.needed("application_credential_secret")?),
            }),
            "token" | "v3token" => Ok(Credentials::Token {
                token: Token::new(self.needed("token")?),
                project: self.project()?,
            }),
            other => Err(format!(
                "auth_type {other} is not supported; use password, v3applicationcredential or \
                 v3token"
            )),
        }
    }

    fn user(&self) -> Result<UserRef, String> {
        Ok(match text(self.auth, "user_id") {
            Some(id) => UserRef::Id(id.as_str().into()),
            None => {
                UserRef::Name { name: self.needed("username")?, domain: self.domain("user_domain") }
            }
        })
    }

    fn project(&self) -> Result<ProjectRef, String> {
        let id = ["project_id", "tenant_id"].into_iter().find_map(|key| text(self.auth, key));
        if let Some(id) = id {
            return Ok(ProjectRef::Id(id.as_str().into()));
        }
        let name = text(self.auth, "project_name").or_else(|| text(self.auth, "tenant_name"));
        let name = name.ok_or("auth.project_name is missing")?;
        Ok(ProjectRef::Name { name, domain: self.domain("project_domain") })
    }

    fn domain(&self, which: &str) -> DomainRef {
        for prefix in [which, "default_domain", "domain"] {
            if let Some(id) = text(self.auth, &format!("{prefix}_id")) {
                return DomainRef::Id(id);
            }
            if let Some(name) = text(self.auth, &format!("{prefix}_name")) {
                return DomainRef::Name(name);
            }
        }
        DomainRef::Id("default".to_owned())
    }

    fn needed(&self, key: &str) -> Result<String, String> {
        text(self.auth, key).ok_or_else(|| format!("auth.{key} is missing"))
    }

    fn tls(&self) -> Tls {
        if self.entry.get("verify") == Some(&Value::Bool(false)) {
            return Tls::Insecure;
        }
        text(self.entry, "cacert").map_or(Tls::System, |path| Tls::SystemAnd(path.into()))
    }
}

/// A text, or a number that somebody wrote without quotes.
fn text(entry: &Value, key: &str) -> Option<String> {
    match entry.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The first clouds.yaml that there is.
fn found(stem: &str) -> Result<(PathBuf, Option<PathBuf>), CloudsError> {
    let home = variable("XDG_CONFIG_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("openstack"));
    let folders = [Some(PathBuf::from(".")), home, Some(PathBuf::from("/etc/openstack"))];
    let mut looked_for = Vec::new();
    for folder in folders.into_iter().flatten() {
        for ending in ["yaml", "yml", "json"] {
            let path = folder.join(format!("{stem}.{ending}"));
            if path.exists() {
                return Ok((path, variable(SECURE_FILE)));
            }
            looked_for.push(path.display().to_string());
        }
    }
    Err(CloudsError::NoFile(looked_for.join(", ")))
}

fn clouds_of(path: &Path) -> Result<Map<String, Value>, CloudsError> {
    let unreadable = |why: String| CloudsError::Unreadable { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let document: Value = serde_yaml_ng::from_str(&text).map_err(|error| {
        let place = error
            .location()
            .map_or(String::new(), |at| format!(" (line {}, column {})", at.line(), at.column()));
        unreadable(format!("is not YAML{place}"))
    })?;
    match document.get("clouds") {
        Some(Value::Object(clouds)) => Ok(clouds.clone()),
        Some(_) | None => Err(unreadable("has no mapping `clouds`".to_owned())),
    }
}

/// `more` over `base`, mapping by mapping.
fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clouds(yaml: &str, secure: &str) -> (tempfile::TempDir, Result<Clouds, CloudsError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clouds.yaml");
        std::fs::write(&path, yaml).unwrap();
        if !secure.is_empty() {
            std::fs::write(folder.path().join("secure.yaml"), secure).unwrap();
        }
        let read = Clouds::read(Some(&path));
        (folder, read)
    }

    #[test]
    fn a_cloud_is_read_with_its_secrets_beside_it() {
        let (_folder, read) = clouds(
            "clouds:\n  donor:\n    region_name: R\n    verify: false\n    interface: internalURL\n\
             \x20   auth: {auth_url: 'http://k:5000/v3', username: x, project_name: p, \
             user_domain_id: d}\n",
            "clouds: {donor: {auth: {password: hush}}}",
        );
        let cloud = read.unwrap().cloud("donor").unwrap();
        assert_eq!(cloud.auth_url.as_str(), "http://k:5000/v3");
        assert_eq!(cloud.region.as_deref(), Some("R"));
        assert_eq!((cloud.interface.as_str(), &cloud.tls), ("internal", &Tls::Insecure));
        let Credentials::Password { user, password, project } = &cloud.credentials else {
            panic!("{:?}", cloud.credentials)
        };
        let domain = DomainRef::Id("d".to_owned());
        assert_eq!(*user, UserRef::Name { name: "x".to_owned(), domain });
        assert_eq!(password.expose(), "hush");
        let domain = DomainRef::Id("default".to_owned());
        assert_eq!(*project, ProjectRef::Name { name: "p".to_owned(), domain });
        assert!(!format!("{cloud:?}").contains("hush"));
    }

    #[test]
    fn what_is_wrong_is_said_without_values() {
        let auth = "auth_url: 'http://k', username: x, password: hush";
        for (yaml, name, words) in [
            ("clouds: {a: {}}", "b", "no cloud \"b\""),
            ("clouds: {a: {auth: {username: x}}}", "a", "auth.auth_url is missing"),
            ("clouds: [", "a", "is not YAML"),
            ("cloud: {}", "a", "has no mapping `clouds`"),
            (&format!("clouds: {{a: {{auth: {{{auth}}}}}}}"), "a", "auth.project_name is missing"),
            (
                &format!("clouds: {{a: {{auth_type: v3kerberos, auth: {{{auth}}}}}}}"),
                "a",
                "auth_type v3kerberos is not supported",
            ),
            ("clouds: {a: {profile: vexxhost}}", "a", "vendor profiles"),
        ] {
            let (_folder, read) = clouds(yaml, "");
            let error = read.and_then(|clouds| clouds.cloud(name)).unwrap_err().to_string();
            assert!(error.contains(words), "{yaml}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn application_credentials_and_tokens_are_taken() {
        for (auth, kind) in [
            ("application_credential_id: i, application_credential_secret: s", "application"),
            ("token: t, project_id: p", "token"),
        ] {
            let auth_type = if kind == "token" { "v3token" } else { "v3applicationcredential" };
            let yaml = format!(
                "clouds: {{a: {{auth_type: {auth_type}, auth: {{auth_url: 'http://k', {auth}}}}}}}"
            );
            let (_folder, read) = clouds(&yaml, "");
            let credentials = read.unwrap().cloud("a").unwrap().credentials;
            let is_token = matches!(credentials, Credentials::Token { .. });
            assert_eq!(is_token, kind == "token");
        }
    }
}
