//! Every way to fail, each with what the caller sees, what has happened, and what the log says.

use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use simulator::Service::{Barbican, Keystone};
use simulator::events::Event;
use simulator::faults::{Action, Broken, Early, Rule};

use simulator::{Config, Simulator};

use crate::cloud::{Cloud, PASSWORD, Reply, key, login};

const FIRST: Action = Action::Answer { status: 500, retry_after: None };

async fn create(cloud: &Cloud, token: &str, name: &str) -> Result<Reply, Broken> {
    let ask = cloud.barbican("POST", "/v1/secrets").with("x-auth-token", token);
    ask.with("content-type", "application/json").attempt(key(name).to_string()).await
}

/// Status and effect of the last request.
fn last(cloud: &Cloud) -> (Option<u16>, bool) {
    let event: Event = cloud.simulator.events().pop().unwrap();
    (event.status, event.effect)
}

fn stored(cloud: &Cloud) -> usize {
    cloud.simulator.secrets().len()
}

#[tokio::test]
async fn an_answer_looks_like_the_services_own_and_has_no_effect() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let secret = cloud.store(&x, key("one")).await;
    for (service, method, path, status, said) in [
        (
            Barbican,
            "DELETE",
            secret.as_str(),
            401,
            "The request you have made requires authentication.",
        ),
        (
            Barbican,
            "DELETE",
            secret.as_str(),
            403,
            "Secret deletion attempt not allowed - please review your user/project privileges",
        ),
        (Barbican, "DELETE", secret.as_str(), 404, "Secret not found."),
        (Barbican, "GET", "/v1/containers/c", 404, "Secrets container not found."),
        (
            Barbican,
            "PUT",
            "/v1/containers/c/acl",
            500,
            "ContainerACL(s) Update failure seen - please contact site administrator.",
        ),
        (Barbican, "PUT", secret.as_str(), 409, "Secret already has data, cannot modify it."),
        (
            Barbican,
            "PUT",
            secret.as_str(),
            413,
            "Secret update issue seen - Provided information too large to process.",
        ),
        (Barbican, "DELETE", secret.as_str(), 429, "Too Many Requests"),
        (
            Barbican,
            "DELETE",
            secret.as_str(),
            500,
            "Secret deletion failure seen - please contact site administrator.",
        ),
        (Barbican, "DELETE", secret.as_str(), 502, "Bad Gateway"),
        (Barbican, "DELETE", secret.as_str(), 503, "Service Unavailable"),
        (
            Keystone,
            "POST",
            "/v3/auth/tokens",
            401,
            "The request you have made requires authentication.",
        ),
        (
            Keystone,
            "POST",
            "/v3/auth/tokens",
            500,
            "An unexpected error prevented the server from fulfilling your request.",
        ),
    ] {
        let answer = Action::Answer { status, retry_after: (status == 429).then_some(7) };
        let fault = cloud.simulator.faults().add(Rule::on(service, answer));
        let ask = if service == Keystone {
            cloud.keystone(method, path)
        } else {
            cloud.barbican(method, path).with("x-auth-token", &x)
        };
        let reply = ask.empty().await;
        fault.reached().await;
        assert_eq!((reply.status.as_u16(), reply.said().as_str()), (status, said));
        assert_eq!(reply.header("retry-after"), (status == 429).then_some("7"));
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
        assert!(reply.header("x-openstack-request-id").unwrap().starts_with("req-"));
        assert_eq!(last(&cloud), (Some(status), false));
        assert_eq!(stored(&cloud), 1);
    }
}

#[tokio::test]
async fn a_rule_strikes_what_it_fits_and_nothing_else() {
    let cloud = Cloud::new();
    let (x, y) = (cloud.own_token("x").await, cloud.own_token("y").await);
    let on = |service| Rule::on(service, FIRST);
    for (rule, strikes) in [
        (on(Barbican), true),
        (on(Keystone), false),
        (on(Barbican).method("POST"), true),
        (on(Barbican).method("GET"), false),
        (on(Barbican).template("/v1/secrets"), true),
        (on(Barbican).template("/v1/secrets/{id}"), false),
        (on(Barbican).project("donor"), true),
        (on(Barbican).project("recipient"), false),
        (on(Barbican).user("x"), true),
        (on(Barbican).user("y"), false),
        (on(Barbican).nth(2), false),
        (
            on(Barbican).method("POST").template("/v1/secrets").project("donor").user("x").nth(1),
            true,
        ),
    ] {
        cloud.simulator.faults().clear();
        cloud.simulator.faults().add(rule.clone());
        let status = create(&cloud, &x, "one").await.unwrap().status;
        assert_eq!(status, if strikes { 500 } else { 201 }, "{rule:?}");
    }
    cloud.simulator.faults().clear();
    cloud.simulator.faults().add(on(Barbican).project("donor"));
    assert_eq!(create(&cloud, &y, "one").await.unwrap().status, 201);
    assert_eq!(create(&cloud, &x, "one").await.unwrap().status, 500);
}

#[tokio::test]
async fn at_keystone_a_rule_fits_whoever_asks_for_a_token() {
    let cloud = Cloud::new();
    cloud.simulator.faults().add(Rule::on(Keystone, FIRST).user("cinder").project("service"));
    for (user, project, status) in
        [("x", "donor", 201), ("cinder", "service", 500), ("cinder", "service", 201)]
    {
        let reply = cloud.keystone("POST", "/v3/auth/tokens").json(login(user, project)).await;
        assert_eq!(reply.status, status, "{user}");
    }
}

#[tokio::test]
async fn rules_count_in_order_until_their_turn_comes() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let answer = |status| Action::Answer { status, retry_after: None };
    let faults = cloud.simulator.faults();
    faults.add(Rule::on(Barbican, answer(500)).nth(2));
    faults.add(Rule::on(Barbican, answer(502)).nth(2));
    faults.add(Rule::on(Barbican, answer(503)).nth(4).standing());
    for expected in [201, 500, 502, 503, 503] {
        assert_eq!(create(&cloud, &x, "one").await.unwrap().status, expected);
    }
    faults.clear();
    assert_eq!(create(&cloud, &x, "one").await.unwrap().status, 201);
}

#[tokio::test]
async fn a_request_held_before_its_effect_has_none_until_it_is_released() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let fault = cloud.simulator.faults().add(Rule::on(Barbican, Action::HoldBefore));
    let caller = create(&cloud, &x, "one");
    let test = async {
        fault.reached().await;
        assert_eq!(stored(&cloud), 0);
        assert_eq!(last(&cloud), (None, false));
        fault.release();
    };
    let (reply, ()) = tokio::join!(caller, test);
    assert_eq!(reply.unwrap().status, 201);
    assert_eq!(last(&cloud), (Some(201), true));
    assert_eq!(stored(&cloud), 1);
}

#[tokio::test]
async fn a_reply_held_after_the_effect_is_late_but_right() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let fault = cloud.simulator.faults().add(Rule::on(Barbican, Action::HoldAfter));
    let caller = create(&cloud, &x, "one");
    let test = async {
        fault.reached().await;
        assert_eq!(stored(&cloud), 1);
        assert_eq!(last(&cloud), (None, true));
        fault.release();
    };
    let (reply, ()) = tokio::join!(caller, test);
    assert_eq!(reply.unwrap().status, 201);
    assert_eq!(last(&cloud), (Some(201), true));
}

#[tokio::test]
async fn a_request_takes_effect_although_its_caller_went_away() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let rule = Rule::on(Barbican, Action::HoldBefore);
    let before = cloud.simulator.faults().add(rule);
    let after = cloud.simulator.faults().add(Rule::on(Barbican, Action::HoldAfter).nth(2));
    tokio::select! {
        _ = create(&cloud, &x, "abandoned") => panic!("it is held"),
        () = before.reached() => {}
    }
    before.release();
    // Another request, whose effect comes after the first one's.
    let mut second = pin!(create(&cloud, &x, "second"));
    tokio::select! {
        reply = &mut second => panic!("not held, as if it were the first: {:?}", reply.map(|_| ())),
        () = after.reached() => after.release(),
    }
    assert_eq!(second.await.unwrap().status, 201);
    let names: Vec<_> = cloud.simulator.secrets().into_iter().filter_map(|one| one.name).collect();
    assert_eq!(names, ["abandoned", "second"]);
}

#[tokio::test]
async fn clearing_the_rules_lets_everything_go_that_is_held() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let fault = cloud.simulator.faults().add(Rule::on(Barbican, Action::HoldBefore).standing());
    let test = async {
        fault.reached().await;
        fault.reached().await;
        cloud.simulator.faults().clear();
    };
    let (one, other, ()) = tokio::join!(create(&cloud, &x, "1"), create(&cloud, &x, "2"), test);
    assert_eq!((one.unwrap().status.as_u16(), other.unwrap().status.as_u16()), (201, 201));
}

#[tokio::test]
async fn a_connection_breaks_before_the_effect_or_after_it() {
    for (action, effect) in [(Action::DropBefore, false), (Action::DropAfter, true)] {
        let cloud = Cloud::new();
        let x = cloud.own_token("x").await;
        let fault = cloud.simulator.faults().add(Rule::on(Barbican, action));
        assert_eq!(create(&cloud, &x, "one").await.err(), Some(Broken));
        fault.reached().await;
        assert_eq!(last(&cloud), (None, effect));
        assert_eq!(stored(&cloud), usize::from(effect));
    }
}

#[tokio::test]
async fn a_spoilt_reply_comes_after_the_effect() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    cloud.simulator.faults().add(Rule::on(Barbican, Action::Garbage));
    let garbage = create(&cloud, &x, "garbage").await.unwrap();
    assert_eq!(garbage.status, 201);
    assert!(serde_json::from_slice::<serde_json::Value>(&garbage.body).is_err());
    cloud.simulator.faults().add(Rule::on(Barbican, Action::Cut));
    assert_eq!(create(&cloud, &x, "cut").await.err(), Some(Broken));
    assert_eq!(last(&cloud), (Some(201), true));
    // A reply without a body has nothing to cut: it is lost.
    cloud.simulator.faults().add(Rule::on(Barbican, Action::Cut));
    let id = cloud.simulator.secrets()[0].id.clone();
    let ask = cloud.barbican("DELETE", &format!("/v1/secrets/{id}")).with("x-auth-token", &x);
    assert_eq!(ask.attempt("").await.err(), Some(Broken));
    assert_eq!(last(&cloud), (None, true));
    assert_eq!(stored(&cloud), 1);
}

#[tokio::test]
async fn a_late_effect_lands_when_it_is_released() {
    for (early, told) in [(Early::Unavailable, Some(503)), (Early::Drop, None)] {
        let cloud = Cloud::new();
        let x = cloud.own_token("x").await;
        let faults = cloud.simulator.faults();
        let late = faults.add(Rule::on(Barbican, Action::Late(early)).method("POST"));
        let reply = create(&cloud, &x, "late").await;
        assert_eq!(reply.ok().map(|reply| reply.status.as_u16()), told);
        late.reached().await;
        assert_eq!(stored(&cloud), 0);
        assert_eq!(last(&cloud), (told, false));
        late.release();
        landed(&cloud).await;
        assert_eq!(stored(&cloud), 1);
        assert_eq!(last(&cloud), (told, true));
    }
}

/// Lets the task that a release has woken run to its end.
async fn landed(cloud: &Cloud) {
    while !last(cloud).1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_as_long_as_it_says_or_follows_from_the_seed() {
    let second = Duration::from_secs(1);
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let cloud = Cloud::new();
        let x = cloud.own_token("x").await;
        let faults = cloud.simulator.faults();
        faults.add(Rule::on(Barbican, Action::Delay { from: second, to: second }));
        let start = tokio::time::Instant::now();
        assert_eq!(create(&cloud, &x, "one").await.unwrap().status, 201);
        assert_eq!(start.elapsed(), second);
        faults.add(Rule::on(Barbican, Action::Delay { from: second, to: 3 * second }));
        let start = tokio::time::Instant::now();
        assert_eq!(create(&cloud, &x, "two").await.unwrap().status, 201);
        assert!((second..=3 * second).contains(&start.elapsed()));
        drawn.push(start.elapsed());
    }
    assert_eq!(drawn[0], drawn[1]);
}

#[tokio::test]
async fn the_log_tells_who_asked_for_what_and_what_came_of_it() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let secret = cloud.store(&x, key("one")).await;
    cloud.barbican("GET", &format!("{secret}/payload?a=b")).with("x-auth-token", &x).empty().await;
    cloud.barbican("DELETE", &secret).with("x-auth-token", "bad").empty().await;
    cloud.barbican("GET", "/v9").empty().await;
    let seen: Vec<_> = cloud
        .simulator
        .events()
        .into_iter()
        .map(|one| {
            (one.seq, one.method.to_string(), one.template, one.user, one.status, one.effect)
        })
        .collect();
    let x = || Some("x".to_owned());
    let row = |seq, method: &str, template: &str, user, status, effect| {
        (seq, method.to_owned(), template.to_owned(), user, Some(status), effect)
    };
    assert_eq!(
        seen,
        [
            row(1, "POST", "/v3/auth/tokens", x(), 201, true),
            row(2, "POST", "/v1/secrets", x(), 201, true),
            row(3, "GET", "/v1/secrets/{id}/payload", x(), 200, false),
            row(4, "DELETE", "/v1/secrets/{id}", None, 401, false),
            row(5, "GET", "/v9", None, 404, false),
        ]
    );
    let events = cloud.simulator.events();
    assert_eq!(events[1].project.as_deref(), Some("donor"));
    assert_eq!(events[2].path, format!("{secret}/payload"));
    assert_eq!(cloud.simulator.count(|one| one.service == Barbican && one.effect), 1);
    let text = json!(events).to_string();
    assert!(!text.contains("S0tL") && !text.contains("gAAAA"));
}

#[tokio::test]
async fn a_probability_strikes_as_often_as_it_says_and_follows_from_the_seed() {
    let strikes = async |seed, probability, other: bool| {
        let config = Config { seed, ..Config::new(PASSWORD) };
        let cloud = Cloud::from(Simulator::new(config).unwrap());
        let rule = Rule::on(Barbican, FIRST).standing().probability(probability);
        cloud.simulator.faults().add(rule.method("GET"));
        if other {
            let last = Rule::on(Barbican, FIRST).standing().probability(0.5);
            cloud.simulator.faults().add(last.method("POST"));
        }
        let mut struck = Vec::new();
        for _ in 0..400 {
            if other {
                cloud.barbican("POST", "/").empty().await;
            }
            struck.push(cloud.barbican("GET", "/").empty().await.status == 500);
        }
        struck
    };
    let often = async |probability| {
        strikes(1, probability, false).await.into_iter().filter(|struck| *struck).count()
    };
    assert_eq!(often(0.0).await, 0);
    assert_eq!(often(1.0).await, 400);
    let quarter = often(0.25).await;
    assert!((70..130).contains(&quarter), "{quarter} of 400");
    let run = strikes(7, 0.3, false).await;
    assert_eq!(run, strikes(7, 0.3, true).await, "another rule changes nothing");
    assert_ne!(run, strikes(8, 0.3, false).await);
}
