//! Whatever is sent to whatever path of Keystone, the answer is one of Keystone's.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::cloud::Cloud;

const PATHS: &[&str] = &[
    "auth/tokens",
    "auth/catalog",
    "auth/projects",
    "auth/domains",
    "auth/system",
    "domains",
    "domains/default",
    "projects",
    "projects/{donor}",
    "projects/{donor}/tags",
    "projects/{donor}/tags/a",
    "projects/{donor}/users/{x}/roles",
    "projects/{donor}/users/{x}/roles/nope",
    "domains/default/groups/nope/roles/nope",
    "system/users/{x}/roles/nope",
    "users",
    "users/{x}",
    "users/{x}/password",
    "users/{x}/projects",
    "users/{x}/groups",
    "users/{x}/application_credentials",
    "users/{x}/application_credentials/nope",
    "users/{x}/access_rules",
    "users/{x}/access_rules/nope",
    "groups",
    "groups/nope",
    "groups/nope/users",
    "groups/nope/users/{x}",
    "roles",
    "roles/nope",
    "roles/nope/implies",
    "roles/nope/implies/nope",
    "role_assignments",
    "role_inferences",
    "regions",
    "regions/RegionOne",
    "services",
    "services/nope",
    "endpoints",
    "endpoints/nope",
    "OS-TRUST/trusts",
    "OS-TRUST/trusts/nope",
    "OS-TRUST/trusts/nope/roles",
    "OS-TRUST/trusts/nope/roles/nope",
];

/// Whether the real Keystone stumbles over this, too: a body without the member that is to be made.
fn stumbles(method: &str, path: &str, body: &Value) -> bool {
    match (method, path) {
        ("POST", "projects") => *body == json!({}),
        ("POST", "services") => body.get("service").is_none(),
        _ => false,
    }
}

#[tokio::test]
async fn no_request_breaks_keystone() {
    let odd = [
        json!({}),
        json!({"auth": {"identity": {"methods": ["password", "token"]}, "scope": []}}),
        json!({"auth": []}),
        json!({"user": {"name": [], "enabled": {}}, "project": [], "role": 1, "trust": "x"}),
        json!({"tags": [[], {}, 1], "region": {"id": {}}, "service": {"type": null}}),
        json!({"user": {}, "application_credential": {"name": "n", "roles": [{"id": 5}, null]}}),
    ];
    let cloud = Cloud::new();
    let service = cloud.simulator.keystone_service();
    let (admin, x) = (cloud.own_token("admin").await, cloud.own_token("x").await);
    let donor = cloud.simulator.project_id("donor").unwrap();
    let user = cloud.simulator.user_id("x").unwrap();
    for path in PATHS {
        let full = format!("/v3/{}", path.replace("{donor}", &donor).replace("{x}", &user));
        for method in ["GET", "POST", "PUT", "PATCH", "OPTIONS"] {
            for (token, body) in odd.iter().flat_map(|body| [(&admin, body), (&x, body)]) {
                let checkpoint = cloud.simulator.checkpoint();
                let query = "?limit=-1&marker=&enabled=&name__icontains=%00&user.id=a&group.id=b";
                let request = Request::builder()
                    .method(method)
                    .uri(format!("{full}{query}"))
                    .header("x-auth-token", token)
                    .body(Body::from(body.to_string()))
                    .unwrap();
                let reply = service.clone().oneshot(request).await.expect("nothing panics");
                let is_error = reply.status().is_server_error();
                let expected = token == &admin && stumbles(method, path, body);
                assert_eq!(is_error, expected, "{method} {path} {body}");
                cloud.simulator.restore(&checkpoint);
            }
        }
    }
}
