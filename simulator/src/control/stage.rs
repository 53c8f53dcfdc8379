//! What a visitor of the console does without a client at hand: makes a volume, offers it, accepts.
//!
//! Each is a request of a user of the project to the real API of the running stack, over HTTP like
//! anybody's: rules strike it, and the log tells of it. The answer is the API's own.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Control, Refusal, Shared, read};
use crate::identity::{Actor, Kind, Scope};

const MICROVERSION: &str = "volume 3.70";
/// The type of the volumes that are made here.
const TYPE: &str = "encrypted";
/// More than any answer has.
const ANSWER_LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct In {
    project: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    volume: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    auth_key: String,
    project: String,
}

pub(super) type Answered = Result<(StatusCode, Json<Value>), Refusal>;

/// An encrypted volume of one GiB.
pub(super) async fn make(State(control): Shared, body: String) -> Answered {
    let In { project } = read(&body)?;
    let user = control.user(&project).await?;
    if !user.has_type().await? {
        let admin = control.simulator.project_id("admin").unwrap_or_default();
        control.user(&admin).await?.make_type().await?;
    }
    let number = control.kept().next_id();
    let volume = json!({"size": 1, "name": format!("disk {number}"), "volume_type": TYPE});
    user.post("/volumes", &json!({ "volume": volume })).await
}

pub(super) async fn offer(State(control): Shared, body: String) -> Answered {
    let Of { volume } = read(&body)?;
    let store = control.simulator.store().ok_or_else(nowhere)?;
    let id = transfer_core::VolumeId::new(volume);
    let found = store.volume(&cinder_db::Scope::All, &id).await;
    let found = found.map_err(|error| failed(&error))?;
    let owner =
        found.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("there is no volume {id}")))?;
    let user = control.user(owner.project.as_str()).await?;
    user.post("/volume-transfers", &json!({"transfer": {"volume_id": id}})).await
}

pub(super) async fn accept(
    State(control): Shared,
    Path(id): Path<String>,
    body: String,
) -> Answered {
    let Accept { auth_key, project } = read(&body)?;
    if !id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
        return Err(Refusal(StatusCode::BAD_REQUEST, format!("{id} is no id of an offer")));
    }
    let user = control.user(&project).await?;
    let accept = json!({"accept": {"auth_key": auth_key}});
    user.post(&format!("/volume-transfers/{id}/accept"), &accept).await
}

/// Somebody who has a role on a project.
struct User {
    token: String,
    /// The block storage's URL with the project.
    block_storage: String,
}

impl Control {
    /// Logs in as the first user of the project.
    async fn user(&self, project: &str) -> Result<User, Refusal> {
        let urls = self.simulator.urls();
        self.simulator.store().ok_or_else(nowhere)?;
        let scope = Scope::Project(project.to_owned());
        let user = self.simulator.read(|state| {
            let directory = state.identity.directory();
            let assigned = directory.assignments.iter().filter(|one| one.scope == scope);
            let mut users = assigned.filter_map(|one| match &one.actor {
                Actor::User(id) => directory.find(Kind::User, id),
                Actor::Group(_) => None,
            });
            users.next().map(|user| user.id.clone())
        });
        let user = user.ok_or_else(|| {
            Refusal(StatusCode::CONFLICT, format!("nobody has a role on the project {project}"))
        })?;
        let password = json!({"user": {"id": user, "password": self.simulator.config().password}});
        let login = json!({"auth": {
            "identity": {"methods": ["password"], "password": password},
            "scope": {"project": {"id": project}},
        }});
        let url = format!("{}/v3/auth/tokens", urls.identity);
        let reply = ask(Method::POST, &url, "", &login).await?;
        let token = reply.headers.get("x-subject-token").and_then(|value| value.to_str().ok());
        let token = token.map(str::to_owned).ok_or_else(|| reply.refusal())?;
        Ok(User { token, block_storage: format!("{}/v3/{project}", urls.block_storage) })
    }
}

impl User {
    async fn post(&self, path: &str, body: &Value) -> Answered {
        let url = format!("{}{path}", self.block_storage);
        let reply = ask(Method::POST, &url, &self.token, body).await?;
        if reply.status.is_success() {
            Ok((reply.status, Json(reply.body)))
        } else {
            Err(reply.refusal())
        }
    }

    async fn has_type(&self) -> Result<bool, Refusal> {
        let url = format!("{}/types", self.block_storage);
        let reply = ask(Method::GET, &url, &self.token, &Value::Null).await?;
        let types = reply.body["volume_types"].as_array().ok_or_else(|| reply.refusal())?;
        Ok(types.iter().any(|one| one["name"] == TYPE))
    }

    async fn make_type(&self) -> Result<(), Refusal> {
        let (_, Json(made)) = self.post("/types", &json!({"volume_type": {"name": TYPE}})).await?;
        let id = made["volume_type"]["id"].as_str().unwrap_or_default();
        let encryption = json!({"encryption": {"provider": "luks", "cipher": "aes-xts-plain64",
            "key_size": 256, "control_location": "front-end"}});
        drop(self.post(&format!("/types/{id}/encryption"), &encryption).await?);
        Ok(())
    }
}

struct Reply {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

impl Reply {
    /// What the API said against it.
    fn refusal(&self) -> Refusal {
        let said = ["/error/message", "/message"].iter().find_map(|at| self.body.pointer(at));
        let faults = self.body.as_object().into_iter().flat_map(|faults| faults.values());
        let said = said.or_else(|| faults.filter_map(|fault| fault.get("message")).next());
        let words = said.and_then(Value::as_str).unwrap_or("no more is said");
        Refusal(StatusCode::BAD_GATEWAY, format!("answered {}: {words}", self.status))
    }
}

/// One request on a connection of its own.
async fn ask(method: Method, url: &str, token: &str, body: &Value) -> Result<Reply, Refusal> {
    let uri: http::Uri = url.parse().map_err(|error| failed(&error))?;
    let address = uri.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(uri.path())
        .header("host", &address)
        .header("connection", "close")
        .header("content-type", "application/json")
        .header("openstack-api-version", MICROVERSION)
        .header("x-auth-token", token)
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) });
    let mut request = request.map_err(|error| failed(&error))?;
    if token.is_empty() {
        request.headers_mut().remove("x-auth-token");
    }
    let stream = TcpStream::connect(&address).await.map_err(|error| failed(&error))?;
    let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let reply = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let (parts, body) = reply.into_parts();
    let body = Limited::new(body, ANSWER_LIMIT).collect().await;
    let body = body.map_err(|error| failed(&error))?.to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Reply { status: parts.status, headers: parts.headers, body })
}

fn failed(error: &impl ToString) -> Refusal {
    Refusal(StatusCode::BAD_GATEWAY, error.to_string())
}

fn nowhere() -> Refusal {
    let why = "there is no block storage here: volume-transfer serve --dev has one";
    Refusal(StatusCode::CONFLICT, why.to_owned())
}
