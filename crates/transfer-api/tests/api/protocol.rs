//! What every request goes through: routes, methods, versions, tokens, request ids.

use crate::stack::{Stack, volume_id};
use serde_json::json;
use transfer_api::ApiConfig;

const NOT_FOUND: &str = "404 Not Found\n\nThe resource could not be found.\n\n   ";

#[tokio::test]
async fn routes_lead_where_cinders_lead() {
    let stack = Stack::new().await;
    let token = stack.token("x", "donor").await;
    let own = format!("/v3/{}", stack.project("donor"));
    let [list, id] = [format!("{own}/volume-transfers"), format!("{own}/volume-transfers/nope")];
    let (accept, detail) = (format!("{id}/accept"), format!("{list}/detail"));
    for (method, path, status, text) in [
        ("GET", "/", 300, "\"v3.0\""),
        ("HEAD", "/", 300, ""),
        ("DELETE", "/", 300, "\"v3.0\""),
        ("GET", "/v3", 302, ""),
        ("GET", "/v3/", 200, "\"v3.0\""),
        ("POST", "/v3/", 200, "\"v3.0\""),
        ("GET", "/foo", 404, NOT_FOUND),
        ("GET", "/v2/", 404, NOT_FOUND),
        ("GET", "/v3/nope", 404, NOT_FOUND),
        ("GET", own.as_str(), 404, NOT_FOUND),
        ("GET", "/v3/xyz/volume-transfers", 404, NOT_FOUND),
        ("GET", "/v3/volume-transfers/", 404, NOT_FOUND),
        ("GET", "/v3/volume-transfers", 200, "{\"transfers\":[]}"),
        ("GET", "/v3/os-volume-transfer", 200, "{\"transfers\":[]}"),
        ("GET", list.as_str(), 200, "{\"transfers\":[]}"),
        ("GET", detail.as_str(), 200, "{\"transfers\":[]}"),
        ("GET", id.as_str(), 404, "Transfer nope could not be found."),
        ("GET", "/v3/volume-transfers/a%20b", 404, "Transfer a b could not be found."),
        ("GET", "/v3/volume-transfers/%ff", 400, "could not be decoded"),
        ("GET", "/v3/volume-transfers/%00", 400, "could not be decoded"),
        ("GET", accept.as_str(), 404, NOT_FOUND),
        ("PUT", id.as_str(), 404, "\"itemNotFound\""),
        ("PUT", detail.as_str(), 404, "\"itemNotFound\""),
        ("PUT", list.as_str(), 404, NOT_FOUND),
        ("PATCH", id.as_str(), 404, NOT_FOUND),
        ("POST", id.as_str(), 404, NOT_FOUND),
        ("DELETE", list.as_str(), 404, NOT_FOUND),
        ("DELETE", id.as_str(), 404, "Transfer nope could not be found."),
        ("HEAD", list.as_str(), 404, ""),
        ("HEAD", id.as_str(), 404, ""),
        ("OPTIONS", list.as_str(), 200, ""),
    ] {
        let reply = stack.ask(method, path).token(&token).send().await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.text.contains(text), "{method} {path}: {reply:?}");
        for header in ["x-openstack-request-id", "x-compute-request-id"] {
            assert!(reply.header(header).is_some_and(|id| id.starts_with("req-")), "{path}");
        }
    }
}

#[tokio::test]
async fn versions_are_described_as_cinder_describes_them() {
    let endpoint = Some("https://cloud.test/volume".parse().unwrap());
    let config = ApiConfig { public_endpoint: endpoint, ..ApiConfig::default() };
    let stack = Stack::with_config(config).await;
    let reply = stack.ask("GET", "/").send().await;
    let version = json!({
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.71",
        "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": "https://cloud.test/volume/v3/"},
        ],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.volume+json;version=3",
        }],
    });
    assert_eq!(reply.json(), json!({"versions": [version]}));
    let token = stack.token("x", "donor").await;
    let moved = stack.ask("GET", "/v3").token(&token).send().await;
    assert_eq!(moved.header("location"), Some("https://cloud.test/volume/v3/"));
}

#[tokio::test]
async fn microversions_are_negotiated() {
    let stack = Stack::new().await;
    let token = stack.token("x", "donor").await;
    for (header, status, answered) in [
        (None, 200, Some("volume 3.0")),
        (Some("volume 3.59"), 200, Some("volume 3.59")),
        (Some("volume latest"), 200, Some("volume 3.71")),
        (Some("compute 2.1, volume 3.70"), 200, Some("volume 3.70")),
        (Some("volume 3.72"), 406, Some("volume 3.72")),
        (Some("volume 3.01"), 400, None),
        (Some("volume"), 400, None),
        (Some("compute 2.1"), 400, None),
    ] {
        let mut ask = stack.ask("GET", "/v3/volume-transfers").token(&token);
        if let Some(header) = header {
            ask = ask.header("openstack-api-version", header);
        }
        let reply = ask.send().await;
        assert_eq!(reply.status, status, "{header:?}: {reply:?}");
        assert_eq!(reply.header("openstack-api-version"), answered, "{header:?}");
        assert_eq!(reply.header("vary"), answered.map(|_| "OpenStack-API-Version"), "{header:?}");
        match status {
            406 => assert_eq!(
                reply.fault("computeFault"),
                "Version 3.72 is not supported by the API. Minimum is 3.0 and maximum is 3.71."
            ),
            400 => drop(reply.fault("badRequest")),
            _ => {}
        }
    }
}

#[tokio::test]
async fn without_a_valid_token_there_is_nothing_below_v3() {
    let stack = Stack::new().await;
    let expired = stack.token("x", "donor").await;
    let accepted = stack.ask("GET", "/v3/volume-transfers").token(&expired).send().await;
    assert_eq!(accepted.status, 200);
    stack.simulator.clock().advance(time::Duration::hours(2));
    let id = volume_id(0);
    for (method, path) in [
        ("GET", "/v3".to_owned()),
        ("GET", "/v3/".to_owned()),
        ("GET", "/v3/nope".to_owned()),
        ("GET", "/v3/volume-transfers".to_owned()),
        ("POST", "/v3/volume-transfers".to_owned()),
        ("GET", "/v3/volume-transfers/detail".to_owned()),
        ("GET", format!("/v3/os-volume-transfer/{id}")),
        ("DELETE", format!("/v3/os-volume-transfer/{id}")),
        ("POST", format!("/v3/volume-transfers/{id}/accept")),
    ] {
        for token in [None, Some(""), Some("nonsense"), Some(expired.as_str())] {
            // An unsupported microversion does not matter before the token does.
            let mut ask = stack.ask(method, &path).version("3.99");
            if let Some(token) = token {
                ask = ask.token(token);
            }
            let reply = ask.send().await;
            let message = "The request you have made requires authentication.";
            assert_eq!(reply.status, 401, "{method} {path}: {reply:?}");
            assert_eq!(
                reply.json(),
                json!({"error": {"code": 401, "title": "Unauthorized", "message": message}})
            );
            let challenge = reply.header("www-authenticate");
            assert_eq!(challenge, Some("Keystone uri=\"http://127.0.0.1:5000/v3\""));
        }
    }
}
