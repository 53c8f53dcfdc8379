//! Every path of Barbican, asked for in every way: none of them breaks it.

use serde_json::{Value, json};

use crate::cloud::{Cloud, key};

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "NONSENSE"];

/// Bodies that are wrong in as many ways as possible, whatever they are for.
fn bodies() -> Vec<Vec<u8>> {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut bodies: Vec<Vec<u8>> =
        ["", "{", "null", "5", "[]", "{}", "\"text\"", "NaN", "{\"a\":1}{", &deep]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
    bodies.push(vec![0xff, 0xfe, 0]);
    bodies.push(vec![b' '; 30_000]);
    let odd = [json!(null), json!(1e300), json!("a/b"), json!([{"name": null, "secret_ref": "/"}])];
    for value in odd {
        for fields in [
            &["name", "type", "secret_refs", "algorithm", "bit_length", "expiration"][..],
            &["payload", "payload_content_type", "payload_content_encoding"],
            &["meta", "type"],
            &["metadata"],
            &["key", "value"],
            &["read"],
            &["name", "URL", "secret_ref"],
            &["service", "resource_type", "resource_id"],
            &["project_quotas"],
            &["plugin_name", "transport_key"],
        ] {
            let body = fields.iter().map(|name| ((*name).to_owned(), value.clone()));
            bodies.push(Value::Object(body.collect()).to_string().into_bytes());
        }
    }
    bodies
}

#[tokio::test]
async fn no_request_breaks_barbican() {
    let cloud = Cloud::new();
    // Who has every role may go everywhere.
    assert!(cloud.simulator.set_roles("admin", "donor", &["admin", "creator"]).unwrap());
    let admin = cloud.token("admin", "donor").await;
    let secret = cloud.store(&admin, key("one")).await;
    let container = cloud.make(&admin, "/v1/containers", json!({"type": "generic"})).await;
    let (nowhere, all) = ("793c3ca7-b3a7-4e2d-9083-7262207e1cfd", bodies());
    let mut paths = Vec::new();
    for holder in [&secret, &container] {
        for rest in [
            "",
            "/payload",
            "/acl",
            "/metadata",
            "/metadata/k",
            "/secrets",
            "/secrets/s",
            "/consumers",
            "/consumers/c",
            &format!("/consumers/{nowhere}"),
            "/other",
            "/a/b/c",
        ] {
            paths.push(format!("{holder}{rest}"));
        }
    }
    for collection in [
        "secrets",
        "containers",
        "orders",
        "quotas",
        "project-quotas",
        "secret-stores",
        "transport_keys",
        "other",
    ] {
        for rest in [
            "",
            "/",
            "/xyz",
            "/xyz/other",
            "/%00",
            "/%ff",
            "/preferred",
            "?limit=-1&offset=-1&sort=&name=%25%5C&created=&bits=_&meta=%5C",
        ] {
            paths.push(format!("/v1/{collection}{rest}"));
        }
    }
    let mut asked = 0;
    for path in paths {
        for method in METHODS {
            // What is deleted cannot be asked any more.
            if *method == "DELETE" && (path == secret || path == container) {
                continue;
            }
            let bodies = if matches!(*method, "GET" | "HEAD" | "OPTIONS" | "NONSENSE") {
                &all[..1]
            } else {
                &all[..]
            };
            for body in bodies {
                let ask = cloud.barbican(method, &path).with("x-auth-token", &admin);
                let ask = ask.with("content-type", "application/json");
                let reply = ask.attempt(body.clone()).await;
                let reply = reply.unwrap_or_else(|_| panic!("{method} {path} {body:?}"));
                let is_upstreams = reply.body.windows(12).any(|words| words == b"failure seen");
                assert!(
                    reply.status.as_u16() < 500 || is_upstreams,
                    "{method} {path}: {} {:?}",
                    reply.status,
                    reply.body
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 10_000, "{asked}");
}
