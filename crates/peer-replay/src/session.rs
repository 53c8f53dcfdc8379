//! Sending a case file's requests to one side, whichever it is.
//!
//! A session logs in whoever its steps need and keeps those tokens. What a script has made is
//! deleted again when the script ends, by whoever made it. Where there is a block storage, a script
//! finds its database empty, and what it leaves there is part of the recording.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::Body;
use crate::case::{CaseFile, Script, Service, Step};
use crate::names;
use crate::recording::{Answer, Outcome, Recording, ScriptRecording};
use crate::variables::{Unknown, Variables};
use crate::wire::{self, Received, WireError};

/// The users of every side, with the project that is their own.
const SEEDED: &[&str] = &["admin/admin", "x/donor", "y/recipient", "z/third", "cinder/service"];

/// What a script leaves in the database stands in the recording under this name.
const AFTERWARDS: &str = "rows afterwards";

/// One side: where it is, and the password of its users.
#[derive(Clone)]
pub struct Endpoints {
    /// Keystone, without a version.
    pub keystone: String,
    /// Barbican, without a version.
    pub barbican: String,
    /// The password of every user.
    pub password: String,
    /// Cinder, if there is one.
    pub block_storage: Option<BlockStorage>,
}

/// Block storages on one database.
#[derive(Clone, Deserialize)]
pub struct BlockStorage {
    /// The one that is judged.
    pub cinder: String,
    /// Another one on the same database.
    pub neighbour: String,
    /// What puts rows into that database (`POST /TABLE`, `PUT /TABLE/ID`), shows what is there
    /// (`GET /`), empties it (`DELETE /`), and answers once nobody is at work on it any more
    /// (`GET /rest`).
    pub rows: String,
}

/// Why a side could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no reply to a step.
    #[error("{step}: {source}")]
    Wire {
        /// Script and step, or whose log-in.
        step: String,
        /// Why not.
        source: WireError,
    },
    /// Keystone gives a user no token.
    #[error("no token for {who}: status {status}")]
    NoToken {
        /// `user/project`.
        who: String,
        /// What Keystone answered.
        status: u16,
    },
}

/// A request as it goes out.
struct Ready {
    service: Service,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

/// One side, with the tokens of its users.
pub struct Session {
    endpoints: Endpoints,
    variables: Variables,
    tokens: BTreeMap<String, String>,
}

impl Session {
    /// Logs the users in.
    ///
    /// # Errors
    /// [`ReplayError`] when there is no Keystone, or one that does not know them.
    pub async fn open(endpoints: Endpoints) -> Result<Self, ReplayError> {
        let mut variables = Variables::default();
        variables.set("keystone", &endpoints.keystone);
        variables.set("barbican", &endpoints.barbican);
        variables.set("password", &endpoints.password);
        if let Some(storage) = &endpoints.block_storage {
            variables.set("cinder", &storage.cinder);
            variables.set("neighbour", &storage.neighbour);
        }
        variables.set("run", format!("run-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]));
        let mut session = Self { endpoints, variables, tokens: BTreeMap::new() };
        for who in SEEDED {
            session.log_in(who).await?;
        }
        Ok(session)
    }

    /// Sends every request of the file, in order.
    ///
    /// # Errors
    /// [`ReplayError`] when a step gets no reply.
    pub async fn replay(&mut self, file: &CaseFile) -> Result<Recording, ReplayError> {
        let mut scripts = Vec::new();
        for script in &file.scripts {
            let answers = self.run(script).await?;
            scripts.push(ScriptRecording { name: script.name.clone(), answers });
        }
        Ok(Recording { scripts })
    }

    async fn run(&mut self, script: &Script) -> Result<Vec<Answer>, ReplayError> {
        for who in script.steps.iter().filter_map(|step| script.who_of(step)) {
            if !self.tokens.contains_key(who) {
                self.log_in(who).await?;
            }
        }
        self.rows(script, "DELETE", "/").await?;
        let spelled_out = format!("{script:?}");
        let mut variables = self.variables.clone();
        let (mut answers, mut made) = (Vec::new(), Vec::new());
        for step in &script.steps {
            let outcome = match self.prepare(script, step, &variables) {
                Ok(ready) => {
                    let mut received = self
                        .send(&ready)
                        .await
                        .map_err(|source| wire_error(&script.name, &step.name, source))?;
                    // What a block storage does after its reply must not meet the next request:
                    // upstream forgets a change of quotas when SQLite is locked (its
                    // `QUOTAS.commit` logs the error and goes on).
                    if matches!(ready.service, Service::Cinder | Service::Neighbour) {
                        self.rows(script, "GET", "/rest").await?;
                    }
                    save(&received, step, &mut variables);
                    if matches!(received.status, 201 | 202)
                        && let (Some(place), Some(who)) =
                            (received.header("location"), script.who_of(step))
                    {
                        made.push((who.to_owned(), place));
                    }
                    if step.random {
                        let length = received.body.len();
                        received.body = Bytes::from(format!("{length} random bytes"));
                    }
                    Outcome::Reply(names::name(&spelled_out, &variables, &received))
                }
                Err(Unknown(lacks)) => Outcome::Unsent { lacks },
            };
            answers.push(Answer { name: step.name.clone(), outcome });
        }
        if let Some(received) = self.rows(script, "GET", "/").await? {
            let reply = names::name(&spelled_out, &variables, &received);
            let outcome = Outcome::Reply(reply);
            answers.push(Answer { name: AFTERWARDS.to_owned(), outcome });
        }
        self.clean_up(&script.name, made).await?;
        Ok(answers)
    }

    fn prepare(
        &self,
        script: &Script,
        step: &Step,
        variables: &Variables,
    ) -> Result<Ready, Unknown> {
        // a case file is checked for both when it is read
        let (method, path) = script.request_of(step).unwrap_or_default();
        let service = script.service_of(step).unwrap_or(Service::Keystone);
        let path = variables.fill(path)?;
        let path = path.strip_prefix(self.base(service)).unwrap_or(&path).to_owned();
        let mut headers = BTreeMap::new();
        if let Some(token) = script.who_of(step).and_then(|who| self.tokens.get(who)) {
            headers.insert("x-auth-token".to_owned(), token.clone());
        }
        let body = match &step.body {
            Some(body) => variables.fill_body(body)?,
            None => Body::Text(String::new()),
        };
        let body = match body {
            Body::Json(json) => {
                headers.insert("content-type".to_owned(), "application/json".to_owned());
                Bytes::from(json.to_string())
            }
            Body::Text(text) => Bytes::from(text),
            Body::Base64(text) => Bytes::from(STANDARD.decode(text).unwrap_or_default()),
        };
        for (name, value) in script.headers_of(step) {
            headers.insert(name, variables.fill(value)?);
        }
        Ok(Ready { service, method: method.to_owned(), path, headers, body })
    }

    async fn send(&self, ready: &Ready) -> Result<Received, WireError> {
        let Ready { service, method, path, headers, body } = ready;
        wire::send(self.base(*service), method, path, headers, body.clone()).await
    }

    fn base(&self, service: Service) -> &str {
        let storage = self.endpoints.block_storage.as_ref();
        match service {
            Service::Keystone => &self.endpoints.keystone,
            Service::Barbican => &self.endpoints.barbican,
            Service::Cinder => storage.map_or("", |storage| &storage.cinder),
            Service::Neighbour => storage.map_or("", |storage| &storage.neighbour),
            Service::Rows => storage.map_or("", |storage| &storage.rows),
        }
    }

    /// One request to whatever has the rows; nothing where there are none.
    async fn rows(
        &self,
        script: &Script,
        method: &str,
        path: &str,
    ) -> Result<Option<Received>, ReplayError> {
        if self.endpoints.block_storage.is_none() {
            return Ok(None);
        }
        let ready = Ready {
            service: Service::Rows,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: BTreeMap::new(),
            body: Bytes::new(),
        };
        let received = self.send(&ready).await;
        received.map(Some).map_err(|source| wire_error(&script.name, AFTERWARDS, source))
    }

    /// Gets `user/project` a token, and learns the ids of both.
    async fn log_in(&mut self, who: &str) -> Result<(), ReplayError> {
        let (user, project) = match who.split_once('/') {
            Some((user, project)) => (user, Some(project)),
            None => (who, None),
        };
        let domain = json!({"id": "default"});
        let scope = match project {
            Some(project) => json!({"project": {"name": project, "domain": domain}}),
            None => json!("unscoped"),
        };
        let password = &self.endpoints.password;
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": domain, "password": password,
            }}},
            "scope": scope,
        }});
        let ready = Ready {
            service: Service::Keystone,
            method: "POST".to_owned(),
            path: "/v3/auth/tokens".to_owned(),
            headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
            body: Bytes::from(body.to_string()),
        };
        let received =
            self.send(&ready).await.map_err(|source| wire_error("log in", who, source))?;
        let (Some(token), Some(json)) = (received.header("x-subject-token"), json_of(&received))
        else {
            return Err(ReplayError::NoToken { who: who.to_owned(), status: received.status });
        };
        for (name, pointer) in [("user", "/token/user"), ("project", "/token/project")] {
            if let Some(known) = json.pointer(pointer)
                && let (Some(of), Some(id)) = (known["name"].as_str(), known["id"].as_str())
            {
                self.variables.set(format!("{name} {of}"), id);
            }
        }
        self.variables.set(format!("token {who}"), &token);
        self.tokens.insert(who.to_owned(), token);
        Ok(())
    }

    /// Deletes what a script has made, last things first; an order's secret goes with the order.
    /// What is gone, or not to be deleted, stays as it is.
    async fn clean_up(&self, script: &str, made: Vec<(String, String)>) -> Result<(), ReplayError> {
        for (who, place) in made.into_iter().rev() {
            let mut places = vec![place];
            if places[0].contains("/orders/") {
                let order = self.ask(script, &who, "GET", &places[0]).await?;
                let secret = json_of(&order)
                    .and_then(|json| json["secret_ref"].as_str().map(ToOwned::to_owned));
                places.extend(secret);
            }
            for place in places {
                self.ask(script, &who, "DELETE", &place).await?;
            }
        }
        Ok(())
    }

    async fn ask(
        &self,
        script: &str,
        who: &str,
        method: &str,
        place: &str,
    ) -> Result<Received, ReplayError> {
        let service = match place.starts_with(&self.endpoints.barbican) {
            true => Service::Barbican,
            false => Service::Keystone,
        };
        let token = self.tokens.get(who).cloned().unwrap_or_default();
        let ready = Ready {
            service,
            method: method.to_owned(),
            path: place.strip_prefix(self.base(service)).unwrap_or(place).to_owned(),
            headers: [("x-auth-token".to_owned(), token)].into(),
            body: Bytes::new(),
        };
        self.send(&ready).await.map_err(|source| wire_error(script, "clean up", source))
    }
}

fn wire_error(script: &str, step: &str, source: WireError) -> ReplayError {
    ReplayError::Wire { step: format!("{script} / {step}"), source }
}

fn json_of(received: &Received) -> Option<Value> {
    serde_json::from_slice(&received.body).ok()
}

/// Keeps what the step asks for; what the reply does not have stays unknown.
fn save(received: &Received, step: &Step, variables: &mut Variables) {
    for (name, place) in &step.save {
        let value = match place.split_once(' ') {
            Some(("header", header)) => received.header(header),
            Some((kind, pointer)) => json_of(received)
                .and_then(|json| Some(json.pointer(pointer)?.as_str()?.to_owned()))
                .map(|text| match text.rsplit_once('/') {
                    Some((_, id)) if kind == "id" => id.to_owned(),
                    Some(_) | None => text,
                }),
            None => None,
        };
        if let Some(value) = value {
            variables.set(name, value);
        }
    }
}
