//! Scripts of faults and time, and that a seed makes a run.

use serde_json::json;
use simulator::Service::Barbican;
use simulator::faults::{Action, Rule, Scenario};
use simulator::{Config, Simulator};

use crate::cloud::{Cloud, PASSWORD, key};

const SCRIPT: &str = r#"
seed = 7
time = "2026-01-01T00:00:00Z"

[[steps]]
faults = ["barbican GET / standing status=503"]

[[steps]]
when = "barbican POST /v1/secrets project=donor nth=2"
clear_faults = true
advance_seconds = 3600

[[steps]]
when = "barbican POST /v1/secrets"
faults = ["barbican POST drop_after"]
"#;

fn playing(script: &str) -> Cloud {
    let scenario: Scenario = script.parse().unwrap();
    Simulator::new(Config::new(PASSWORD).playing(scenario)).unwrap().into()
}

#[tokio::test]
async fn the_steps_of_a_script_are_taken_as_their_requests_come() {
    let cloud = playing(SCRIPT);
    let root = async || cloud.barbican("GET", "/").empty().await.status.as_u16();
    let create = async |token: &str| {
        let ask = cloud.barbican("POST", "/v1/secrets").with("x-auth-token", token);
        let ask = ask.with("content-type", "application/json");
        ask.attempt(key("one").to_string()).await.map(|reply| reply.status.as_u16())
    };
    for _ in 0..2 {
        let (x, y) = (cloud.own_token("x").await, cloud.own_token("y").await);
        assert_eq!((root().await, create(&x).await, create(&y).await), (503, Ok(201), Ok(201)));
        assert_eq!(root().await, 503);
        let begun = cloud.simulator.clock().now();
        assert_eq!(create(&x).await, Ok(401), "an hour has gone by as it came");
        assert_eq!((cloud.simulator.clock().now() - begun).whole_seconds(), 3600);
        assert_eq!(root().await, 300);
        let z = cloud.own_token("z").await;
        assert!(create(&z).await.is_err(), "one request for one step");
        assert_eq!(create(&z).await, Ok(201));
        cloud.simulator.faults().restart();
    }
}

#[tokio::test]
async fn the_same_seed_and_script_make_the_same_run() {
    let run = async |script: &str| {
        let cloud = playing(script);
        let x = cloud.own_token("x").await;
        for name in ["one", "two", "three"] {
            let ask = cloud.barbican("POST", "/v1/secrets").with("x-auth-token", &x);
            let ask = ask.with("content-type", "application/json");
            drop(ask.attempt(key(name).to_string()).await);
        }
        (x, json!([cloud.simulator.events(), cloud.simulator.secrets()]).to_string())
    };
    let first = run(SCRIPT).await;
    assert_eq!(run(SCRIPT).await, first);
    assert_ne!(run(&SCRIPT.replace("seed = 7", "seed = 8")).await, first);
}

#[tokio::test]
async fn a_token_that_a_rule_ends_is_an_expired_one_from_then_on() {
    let cloud = Cloud::new();
    let (x, y) = (cloud.own_token("x").await, cloud.own_token("y").await);
    let (secret, service) = (cloud.store(&x, key("one")).await, cloud.own_token("cinder").await);
    cloud.simulator.faults().add(Rule::on(Barbican, Action::ExpireToken).project("donor"));
    let read = async |token: &str, service: &str| {
        let ask = cloud.barbican("GET", &secret).with("x-auth-token", token);
        ask.with("x-service-token", service).empty().await.status.as_u16()
    };
    assert_eq!((read(&y, "").await, read(&x, "").await, read(&x, "").await), (403, 401, 401));
    assert_eq!(read(&x, &service).await, 200, "expired, which a service may take");
    let events = cloud.simulator.events();
    assert_eq!(events.iter().filter(|one| one.fault == Some("expire_token")).count(), 1);
}
