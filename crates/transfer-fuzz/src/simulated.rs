//! Any requests to the simulator, one after the other: nothing panics, no connection breaks, and no
//! server error is answered but where the real service has the same.
//!
//! An input is a list of texts as of HTTP. What was drawn for the world stands in it in braces,
//! `{token_x}` for one; `{made}` is where the last reply says that something is.

use crate::message::{Message, filled, parts};
use crate::runtime::block_on;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use simulator::faults::{Broken, Rule, Scenario};
use simulator::{Clock, Config, Control, Simulator};
use std::collections::BTreeSet;
use time::macros::datetime;
use tower::{Service, ServiceExt as _};
use url::form_urlencoded;

/// Messages that one input may have: a longer one tells nothing more.
const MOST: usize = 8;

/// Where the real Barbican answers 500 to what is asked in a wrong way.
const BARBICAN_STUMBLES: &[(Method, &str, &str)] = &[
    (Method::PUT, "/v1/", "/acl"),
    (Method::PATCH, "/v1/", "/acl"),
    (Method::PUT, "/v1/secrets/", "/metadata"),
    (Method::POST, "/v1/secrets/", "/metadata"),
    (Method::GET, "/v1/secret-stores", ""),
    (Method::POST, "/v1/secret-stores", ""),
    (Method::PUT, "/v1/project-quotas/", ""),
    (Method::POST, "/v1/containers", ""),
    (Method::DELETE, "/v1/containers/", "/secrets"),
];
/// The same of the real Keystone.
const KEYSTONE_STUMBLES: &[(Method, &str, &str)] = &[
    (Method::POST, "/v3/projects", ""),
    (Method::PATCH, "/v3/projects/", ""),
    (Method::POST, "/v3/services", ""),
    (Method::POST, "/v3/domains", ""),
    (Method::PATCH, "/v3/domains/", ""),
];

/// A rule of faults as a line and in JSON, and a scenario.
pub(crate) fn rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let line = text.parse::<Rule>();
    let document = serde_json::from_str::<Rule>(text);
    for rule in line.ok().into_iter().chain(document.ok()) {
        let written = serde_json::to_string(&rule).expect("a rule can be written");
        let read = serde_json::from_str::<Rule>(&written).expect("what is written can be read");
        assert_eq!(rule, read, "{written}");
    }
    if let Ok(scenario) = text.parse::<Scenario>() {
        drop(Simulator::new(Config::new("secret").playing(scenario)));
    }
}

/// Requests to Barbican.
pub(crate) fn barbican(input: &[u8]) {
    let simulator = world();
    play(&simulator, simulator.barbican_service(), input, BARBICAN_STUMBLES);
}

/// Requests to Keystone.
pub(crate) fn keystone(input: &[u8]) {
    let simulator = world();
    play(&simulator, simulator.keystone_service(), input, KEYSTONE_STUMBLES);
}

/// Requests to `/_simulator`.
pub(crate) fn control(input: &[u8]) {
    let simulator = world();
    let router = simulator.control_service();
    let service = tower::service_fn(move |request: Request<Body>| {
        let router = router.clone();
        async move { router.oneshot(request).await.map_err(|never| match never {}) }
    });
    play(&simulator, service, input, &[]);
}

/// A cloud whose time stands still.
fn world() -> Simulator {
    let mut config = Config::new("secret");
    config.clock = Clock::frozen(datetime!(2026-11-24 03:55:05 UTC));
    config.control = Control::OnLoopback;
    Simulator::new(config).expect("it has no state file")
}

/// Sends every message of the input.
fn play<S>(simulator: &Simulator, service: S, input: &[u8], stumbles: &[(Method, &str, &str)])
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error = Broken> + Clone,
{
    block_on(async {
        let mut words = drawn(simulator).await;
        for part in parts(input).into_iter().take(MOST) {
            let known: Vec<_> =
                words.iter().map(|(word, meaning)| (*word, meaning.as_bytes())).collect();
            let message = Message::read(&filled(part, &known));
            let Some(request) = message.request() else { continue };
            let stumbles = stumbles_at(&request, stumbles);
            let reply = service.clone().oneshot(request).await.expect("no connection breaks");
            let status = reply.status();
            assert!(
                !status.is_server_error() || (status == 500 && stumbles),
                "{status} where no rule says so: {}",
                message.first
            );
            if let Some(place) = reply.headers().get("location").and_then(|at| at.to_str().ok()) {
                words.retain(|(word, _)| *word != "{made}");
                words.push(("{made}", path_of(place).to_owned()));
            }
            let text = reply.headers().get("content-type").is_some_and(|kind| {
                kind.to_str().is_ok_and(|kind| !kind.contains("stream") && !kind.contains("ndjson"))
            });
            if text {
                drop(reply.into_body().collect().await.expect("a body"));
            }
        }
    });
}

/// Whether the real service answers 500 to some requests like this one.
fn stumbles_at(request: &Request<Body>, stumbles: &[(Method, &str, &str)]) -> bool {
    let path = request.uri().path();
    let listed = |(method, start, end): &(Method, &str, &str)| {
        request.method() == method && path.starts_with(start) && path.contains(end)
    };
    let query = request.uri().query().unwrap_or_default();
    let mut names = BTreeSet::new();
    let repeats = !form_urlencoded::parse(query.as_bytes()).all(|(name, _)| names.insert(name));
    stumbles.iter().any(listed) || (repeats && path.starts_with("/v1/"))
}

/// What inputs name without knowing it.
async fn drawn(simulator: &Simulator) -> Vec<(&'static str, String)> {
    let id = |found: Option<String>| found.expect("it is there from the start");
    let mut words =
        vec![("{donor}", id(simulator.project_id("donor"))), ("{x}", id(simulator.user_id("x")))];
    for (word, user, project) in [("{token_x}", "x", "donor"), ("{token_admin}", "admin", "admin")]
    {
        words.push((word, token(simulator, user, project).await));
    }
    words
}

/// A token of the user.
async fn token(simulator: &Simulator, user: &str, project: &str) -> String {
    let domain = json!({"id": "default"});
    let user = json!({"name": user, "domain": domain, "password": "secret"});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": project, "domain": domain}},
    }});
    let request = Request::post("/v3/auth/tokens")
        .header("content-type", "application/json")
        .body(Body::from(Value::to_string(&body)))
        .expect("a request");
    let reply = simulator.keystone_service().oneshot(request).await.expect("a reply");
    let token = reply.headers().get("x-subject-token").expect("a token");
    token.to_str().expect("a token is text").to_owned()
}

/// The path of an address.
fn path_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::{BARBICAN_STUMBLES, Body, Request, control, path_of, play, stumbles_at, world};
    use crate::objection::objection;
    use http::{Method, Uri};
    use simulator::faults::Rule;

    #[test]
    fn a_server_error_that_nobody_asked_for_is_objected_to() {
        let simulator = world();
        for (rule, words) in [
            ("barbican status=503", "503 Service Unavailable where no rule says so"),
            ("barbican drop_before", "no connection breaks"),
        ] {
            simulator.faults().add(rule.parse::<Rule>().unwrap());
            let said = objection(|| {
                play(&simulator, simulator.barbican_service(), b"GET /v1/secrets\n", &[]);
            });
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn only_where_the_real_service_stumbles_may_this_one() {
        for (method, path, stumbles) in [
            (Method::PUT, "/v1/secrets/s/acl", true),
            (Method::GET, "/v1/secrets/s/acl", false),
            (Method::GET, "/v1/secrets?a=1&a=2", true),
            (Method::GET, "/v1/secrets?a=1&b=2", false),
        ] {
            let mut request = Request::new(Body::empty());
            (*request.method_mut(), *request.uri_mut()) = (method, Uri::from_static(path));
            assert_eq!(stumbles_at(&request, BARBICAN_STUMBLES), stumbles, "{path}");
        }
    }

    #[test]
    fn what_is_made_is_named_by_its_path() {
        for (address, path) in [("http://h:1/v1/s", "/v1/s"), ("/v1/s", "/v1/s"), ("h", "/")] {
            assert_eq!(path_of(address), path);
        }
        control(b"POST /_simulator/checkpoints\nhost: localhost\n\n");
    }
}
