//! Any requests to the simulator, one after the other: nothing panics, no connection breaks, and no
//! server error is answered but where the real service has the same.
//!
//! An input is a list of texts as of HTTP. What was drawn for the world stands in it in braces,
//! `{token_x}` for one; `{made}` is where the last reply says that something is.

use crate::message::{Message, filled, parts};
use crate::runtime::block_on;
use crate::stumbles::{self, Asked, Stumble, stumbles};
use axum::body::{Body, Bytes};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use simulator::faults::{Broken, FaultyService, Rule, Scenario};
use simulator::{Checkpoint, Clock, Config, Control, Simulator};
use time::macros::datetime;
use tower::{Service, ServiceExt as _};

/// Messages that one input may have: a longer one tells nothing more.
const MOST: usize = 8;

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
    WORLD.with(|world| world.play(Simulator::barbican_service, input, stumbles::BARBICAN));
}

/// Requests to Keystone.
pub(crate) fn keystone(input: &[u8]) {
    WORLD.with(|world| world.play(Simulator::keystone_service, input, stumbles::KEYSTONE));
}

/// Requests to `/_simulator`.
pub(crate) fn control(input: &[u8]) {
    // What this changes is more than a checkpoint takes back.
    let simulator = cloud();
    let router = simulator.control_service();
    let service = tower::service_fn(move |request: Request<Body>| {
        let router = router.clone();
        async move { router.oneshot(request).await.map_err(|never| match never {}) }
    });
    play(service, block_on(drawn(&simulator)), input, &[]);
}

/// A cloud that begins anew with each input: to make one takes longer than what it is asked.
struct World {
    simulator: Simulator,
    start: Checkpoint,
    words: Words,
}

thread_local! {
    static WORLD: World = World::new();
}

impl World {
    fn new() -> Self {
        let simulator = cloud();
        let words = block_on(drawn(&simulator));
        Self { start: simulator.checkpoint(), simulator, words }
    }

    fn play(
        &self,
        service: impl Fn(&Simulator) -> FaultyService,
        input: &[u8],
        excused: &[Stumble],
    ) {
        self.simulator.restore(&self.start);
        play(service(&self.simulator), self.words.clone(), input, excused);
    }
}

/// A cloud whose time stands still.
fn cloud() -> Simulator {
    let mut config = Config::new("secret");
    config.clock = Clock::frozen(datetime!(2026-11-24 03:55:05 UTC));
    config.control = Control::OnLoopback;
    Simulator::new(config).expect("it has no state file")
}

/// Sends every message of the input.
fn play<S>(service: S, mut words: Words, input: &[u8], excused: &[Stumble])
where
    S: Service<Request<Body>, Response = http::Response<Body>, Error = Broken> + Clone,
{
    block_on(async {
        for part in parts(input).into_iter().take(MOST) {
            let known: Vec<_> =
                words.iter().map(|(word, meaning)| (*word, meaning.as_bytes())).collect();
            let message = Message::read(&filled(part, &known));
            let Some(request) = message.request() else { continue };
            let body = Bytes::from(message.body.clone());
            let asked = Asked::new(request.method(), request.uri(), &body);
            let reply = service.clone().oneshot(request).await.expect("no connection breaks");
            let status = reply.status();
            assert!(
                !status.is_server_error() || (status == 500 && stumbles(&asked, excused)),
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

/// What inputs name without knowing it, and what that is.
type Words = Vec<(&'static str, String)>;

/// The words of a cloud.
async fn drawn(simulator: &Simulator) -> Words {
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
    use super::{WORLD, World, barbican, control, path_of};
    use crate::objection::objection;
    use simulator::Simulator;
    use simulator::faults::Rule;

    #[test]
    fn a_server_error_that_nobody_asked_for_is_objected_to() {
        for (rule, words) in [
            ("barbican status=503", "503 Service Unavailable where no rule says so"),
            ("barbican drop_before", "no connection breaks"),
        ] {
            let world = World::new();
            world.simulator.faults().add(rule.parse::<Rule>().unwrap());
            let said = objection(|| {
                world.play(Simulator::barbican_service, b"GET /v1/secrets\n", &[]);
            });
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn an_input_finds_nothing_of_the_last_one() {
        for _input in 0..2 {
            barbican(
                b"POST /v1/secrets\nx-auth-token: {token_x}\ncontent-type: application/json\n\n{}",
            );
            WORLD.with(|world| assert_eq!(world.simulator.secrets().len(), 1));
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
