//! Cases as they stand in their files: scripts of requests.
//!
//! A file is checked when it is read: every step knows its request and its service, and names are
//! unique, because differences are told by them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::body::Body;

/// One file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// What the file covers, for its reader.
    pub about: String,
    /// The policy of the Barbican that it is for.
    #[serde(default)]
    pub policy: Policy,
    /// The scripts, in the order in which they are sent.
    pub scripts: Vec<Script>,
}

/// Which of its two default policies Barbican enforces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The one that it enforces out of the box.
    #[default]
    New,
    /// The one of the roles creator, observer and audit.
    Legacy,
}

/// A sequence of requests that stand on each other; scripts of one file do not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Unique in the file.
    pub name: String,
    /// The service of the steps that name none.
    pub service: Option<Service>,
    /// Who sends the steps that do not say so.
    pub who: Option<String>,
    /// The request line of the steps that have none.
    pub request: Option<String>,
    /// Headers of every step; a step's own header of the same name goes before.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The requests.
    pub steps: Vec<Step>,
}

/// One request, and what to keep of its reply.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Unique in the script.
    pub name: String,
    /// Whom it is sent to.
    pub service: Option<Service>,
    /// `user/project`, `user` for a token without a scope, or `nobody`.
    pub who: Option<String>,
    /// Method and path, as in `GET /v1/secrets?limit=2`.
    pub request: Option<String>,
    /// Names to values; no header is sent beyond these but Host, the body's and the token.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<Body>,
    /// Variable to the place of its value: `body POINTER`, `id POINTER` or `header NAME`.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
    /// Whether the reply's body is random, so that only its length says anything.
    #[serde(default)]
    pub random: bool,
    /// What else is known of the request.
    pub tag: Option<Tag>,
}

/// A mark on a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tag {
    /// The transfer service itself sends requests of this kind: both sides have to agree.
    Service,
}

/// Whom a request is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Identity.
    Keystone,
    /// Key manager.
    Barbican,
    /// Block storage.
    Cinder,
    /// The other block storage on the same database.
    Neighbour,
    /// What puts rows into that database and shows them.
    Rows,
}

/// Why a file of cases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It, or its directory, cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// It is not JSON of the right form.
    #[error("{path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped, and why.
        source: serde_json::Error,
    },
    /// Two steps of a script, or two scripts, have one name.
    #[error("{file}: two are called {name:?}")]
    Twice {
        /// The file's name.
        file: String,
        /// The name.
        name: String,
    },
    /// A step has no request or no service, and its script has none for it either.
    #[error("{file} / {script} / {step}: names no {lacking}")]
    Incomplete {
        /// The file's name.
        file: String,
        /// The script's name.
        script: String,
        /// The step's name.
        step: String,
        /// What it lacks.
        lacking: &'static str,
    },
}

impl CaseFile {
    /// Every `*.json` of the directory, by name.
    ///
    /// # Errors
    /// [`CaseError`] for the first file that cannot be used.
    pub fn read_all(directory: &Path) -> Result<Vec<Self>, CaseError> {
        let unreadable = |source| CaseError::Unreadable { path: directory.to_owned(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// One file.
    ///
    /// # Errors
    /// [`CaseError`] when it cannot be used.
    pub fn read(path: &Path) -> Result<Self, CaseError> {
        let text = std::fs::read(path)
            .map_err(|source| CaseError::Unreadable { path: path.to_owned(), source })?;
        let mut file: Self = serde_json::from_slice(&text)
            .map_err(|source| CaseError::Malformed { path: path.to_owned(), source })?;
        file.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        file.check()?;
        Ok(file)
    }

    /// How many requests to that service the file holds.
    pub fn requests_to(&self, service: Service) -> usize {
        let to = |script: &Script| {
            script.steps.iter().filter(|step| script.service_of(step) == Some(service)).count()
        };
        self.scripts.iter().map(to).sum()
    }

    /// How many requests the file holds.
    pub fn requests(&self) -> usize {
        self.scripts.iter().map(|script| script.steps.len()).sum()
    }

    fn check(&self) -> Result<(), CaseError> {
        self.unique(self.scripts.iter().map(|script| &script.name))?;
        for script in &self.scripts {
            self.unique(script.steps.iter().map(|step| &step.name))?;
            for step in &script.steps {
                let lacking = match (script.request_of(step), script.service_of(step)) {
                    (Some(_), Some(_)) => continue,
                    (None, _) => "request",
                    (_, None) => "service",
                };
                let (script, step) = (script.name.clone(), step.name.clone());
                return Err(CaseError::Incomplete {
                    file: self.name.clone(),
                    script,
                    step,
                    lacking,
                });
            }
        }
        Ok(())
    }

    fn unique<'a>(&self, names: impl Iterator<Item = &'a String>) -> Result<(), CaseError> {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                return Err(CaseError::Twice { file: self.name.clone(), name: name.clone() });
            }
        }
        Ok(())
    }
}

impl Policy {
    /// The name that cases and commands have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Legacy => "legacy",
        }
    }
}

impl Script {
    /// Method and path of a step.
    pub(crate) fn request_of<'a>(&'a self, step: &'a Step) -> Option<(&'a str, &'a str)> {
        step.request.as_ref().or(self.request.as_ref())?.split_once(' ')
    }

    /// Whom a step is sent to.
    pub(crate) fn service_of(&self, step: &Step) -> Option<Service> {
        step.service.or(self.service)
    }

    /// Who sends a step; `None` for nobody.
    pub(crate) fn who_of<'a>(&'a self, step: &'a Step) -> Option<&'a str> {
        step.who.as_ref().or(self.who.as_ref()).map(String::as_str).filter(|who| *who != "nobody")
    }

    /// The headers that a step names, its own and its script's.
    pub(crate) fn headers_of<'a>(&'a self, step: &'a Step) -> BTreeMap<String, &'a str> {
        let both = self.headers.iter().chain(&step.headers);
        both.map(|(name, value)| (name.to_lowercase(), value.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(scripts: Value, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("some.json");
        let text = json!({"about": "", "scripts": scripts}).to_string();
        std::fs::write(&path, text).expect("a file");
        let found = CaseFile::read_all(folder.path()).map(|files| files[0].requests().to_string());
        let found = found.unwrap_or_else(|error| error.to_string());
        assert!(found.ends_with(expected), "{found}");
    }

    #[test]
    fn a_file_is_checked_when_it_is_read() {
        let step = json!({"name": "a"});
        let whole = json!({"name": "a", "service": "keystone", "request": "GET /"});
        let short = json!({"name": "b", "service": "barbican"});
        for (scripts, expected) in [
            (json!([{"name": "s", "steps": [whole]}]), "1"),
            (
                json!([{"name": "s", "service": "keystone", "request": "GET /", "steps": [step]}]),
                "1",
            ),
            (json!([{"name": "s", "steps": []}, {"name": "s", "steps": []}]), "called \"s\""),
            (json!([{"name": "s", "steps": [whole, whole]}]), "some: two are called \"a\""),
            (json!([{"name": "s", "service": "keystone", "steps": [step]}]), "names no request"),
            (json!([{"name": "s", "request": "GET /", "steps": [step]}]), "a: names no service"),
            (json!([{"name": "s", "request": "GET", "steps": [whole, short]}]), "no request"),
            (json!([{"name": "s", "wh0": "x", "steps": []}]), "column 51"),
        ] {
            check(scripts, expected);
        }
    }

    #[test]
    fn a_step_goes_before_its_script() {
        let script: Script = serde_json::from_value(json!({
            "name": "s", "service": "keystone", "who": "x", "request": "GET /",
            "headers": {"A": "1", "B": "1"},
            "steps": [
                {"name": "a"},
                {"name": "b", "who": "nobody", "service": "barbican", "request": "PUT /a b",
                 "headers": {"a": "2"}},
            ],
        }))
        .expect("a script");
        let of = |step: &Step| {
            let headers = script.headers_of(step).into_values().collect::<String>();
            let request = script.request_of(step).map(|(method, path)| format!("{method} {path}"));
            (script.service_of(step), script.who_of(step).map(ToOwned::to_owned), request, headers)
        };
        let (keystone, barbican) = (Some(Service::Keystone), Some(Service::Barbican));
        let [plain, own] = [&script.steps[0], &script.steps[1]].map(of);
        assert_eq!(plain, (keystone, Some("x".into()), Some("GET /".into()), "11".into()));
        assert_eq!(own, (barbican, None, Some("PUT /a b".into()), "21".into()));
    }
}
