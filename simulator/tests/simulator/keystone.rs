//! Tokens: who gets one, what it says, who may look at it and until when.

use serde_json::{Value, json};
use time::Duration;

use crate::cloud::{Cloud, PASSWORD, login};

const OPAQUE: &str = "The request you have made requires authentication.";
const CLIENT_ERROR: &str = " The server could not comply with the request since it is either \
    malformed or otherwise incorrect. The client is assumed to be in error.";

#[tokio::test]
async fn a_token_shows_its_user_project_roles_and_catalogue() {
    let cloud = Cloud::new();
    let reply = cloud.keystone("POST", "/v3/auth/tokens").json(login("x", "donor")).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("vary"), Some("X-Auth-Token"));
    let token = &reply.json()["token"];
    let domain = json!({"id": "default", "name": "Default"});
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["expires_at"], "2026-11-24T04:55:05.000000Z");
    assert_eq!(token["issued_at"], "2026-11-24T03:55:05.000000Z");
    assert_eq!(token["is_domain"], false);
    let donor = cloud.simulator.project_id("donor").unwrap();
    assert_eq!(token["project"], json!({"domain": domain, "id": donor, "name": "donor"}));
    assert_eq!(
        token["user"],
        json!({
            "domain": domain,
            "id": cloud.simulator.user_id("x").unwrap(),
            "name": "x",
            "password_expires_at": null,
        })
    );
    assert_eq!(names(&token["roles"]), ["creator", "member", "reader"]);
    let services: Vec<(&str, &str)> = token["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let endpoints = entry["endpoints"].as_array().unwrap();
            let of = |key: &str| endpoints.iter().map(|one| one[key].clone()).collect::<Vec<_>>();
            assert_eq!(of("interface"), ["public", "internal", "admin"]);
            assert_eq!(of("region_id"), ["RegionOne"; 3]);
            (entry["type"].as_str().unwrap(), endpoints[0]["url"].as_str().unwrap())
        })
        .collect();
    let volume = format!("http://127.0.0.1:8776/v3/{donor}");
    assert_eq!(
        services,
        [
            ("identity", "http://127.0.0.1:5000/v3"),
            ("key-manager", "http://127.0.0.1:9311"),
            ("volumev3", volume.as_str()),
            ("block-storage", volume.as_str()),
        ]
    );
}

#[tokio::test]
async fn roles_imply_roles() {
    let cloud = Cloud::new();
    for (user, project, expected) in [
        ("admin", "admin", vec!["admin", "manager", "member", "reader"]),
        ("cinder", "service", vec!["admin", "creator", "manager", "member", "reader", "service"]),
        ("y", "recipient", vec!["creator", "member", "reader"]),
    ] {
        let reply =
            cloud.keystone("POST", "/v3/auth/tokens?nocatalog").json(login(user, project)).await;
        assert_eq!(names(&reply.json()["token"]["roles"]), expected, "{user}");
        assert_eq!(reply.json()["token"].get("catalog"), None);
    }
}

#[tokio::test]
async fn who_may_not_have_a_token_is_told_nothing_else() {
    let cloud = Cloud::new();
    for (change, value) in [
        ("/auth/identity/password/user/password", json!("wrong")),
        ("/auth/identity/password/user/name", json!("nobody")),
        ("/auth/identity/password/user/domain", json!({"id": "other"})),
        ("/auth/identity/methods", json!([])),
        ("/auth/scope/project/name", json!("recipient")),
        ("/auth/scope/project/name", json!("nowhere")),
        ("/auth/scope/project", json!({"id": "nowhere"})),
        ("/auth/scope", json!({"domain": {"id": "default"}})),
        ("/auth/scope", json!({"system": {"all": true}})),
    ] {
        let mut body = login("x", "donor");
        *body.pointer_mut(change).unwrap() = value.clone();
        let reply = cloud.keystone("POST", "/v3/auth/tokens").json(body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.said().as_str()),
            (401, OPAQUE),
            "{change} {value}"
        );
        let challenge = "Keystone uri=\"http://127.0.0.1:5000/v3\"";
        assert_eq!(reply.header("www-authenticate"), Some(challenge));
    }
}

#[tokio::test]
async fn a_malformed_request_for_a_token_is_told_what_is_wrong() {
    let cloud = Cloud::new();
    let expecting = |what: &str| format!("Expecting to find {what}.{CLIENT_ERROR}");
    let scopes = expecting("system, project, domain, OS-TRUST:trust or unscoped in scope");
    for (change, value, expected) in [
        ("/auth/identity/methods", json!(["other"]), expecting("other in identity")),
        ("/auth/identity", json!({"methods": ["password"]}), expecting("password in identity")),
        ("/auth/identity/password", json!({}), expecting("user in None")),
        ("/auth/identity/password/user", json!({"name": "x"}), expecting("domain in user")),
        (
            "/auth/identity/password/user/domain",
            json!({}),
            "Invalid input for field identity/password/user/domain: id or name must be present."
                .into(),
        ),
        ("/auth", json!(null), expecting("auth in request body")),
        ("", json!({}), expecting("auth in request body")),
        ("", json!([]), expecting("valid JSON in request body")),
        ("/auth/scope", json!({}), scopes.clone()),
        ("/auth/scope", json!("other"), scopes.clone()),
        ("/auth/scope", json!({"project": {"id": "a"}, "domain": {"id": "b"}}), scopes),
        ("/auth/scope/project", json!({"name": "donor"}), expecting("domain in project")),
        (
            "/auth/scope/project",
            json!({}),
            "Invalid input for field scope/project: id or name must be present.".into(),
        ),
    ] {
        let mut body = login("x", "donor");
        *body.pointer_mut(change).unwrap() = value.clone();
        let reply = cloud.keystone("POST", "/v3/auth/tokens").json(body).await;
        assert_eq!((reply.status.as_u16(), reply.said()), (400, expected), "{change} {value}");
    }
    for (content_type, body, expected) in [
        ("application/json", "{", expecting("valid JSON in request body")),
        ("application/json", "", expecting("auth in request body")),
        ("text/plain", "{}", expecting("application/json in Content-Type header")),
    ] {
        let ask = cloud.keystone("POST", "/v3/auth/tokens").with("content-type", content_type);
        let reply = ask.body(body).await;
        assert_eq!((reply.status.as_u16(), reply.said()), (400, expected), "{body}");
    }
    let large = cloud.keystone("POST", "/v3/auth/tokens").body(" ".repeat(114_689)).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_told_in_full() {
    let cloud = Cloud::new();
    let password = "Invalid input for field 'identity/password/user/password': 5 is not of type \
        'string'\n\nFailed validating 'type' in schema['properties']['identity']['properties']\
        ['password']['properties']['user']['properties']['password']:\n    {'type': 'string'}\n\n\
        On instance['identity']['password']['user']['password']:\n    5";
    let methods = "Invalid input for field 'identity/methods': 'password' is not of type \
        'array'\n\nFailed validating 'type' in schema['properties']['identity']['properties']\
        ['methods']:\n    {'type': 'array', 'items': {'type': 'string'}}\n\n\
        On instance['identity']['methods']:\n    'password'";
    let token = "Invalid input for field 'identity/token': 'id' is a required property\n\n\
        Failed validating 'required' in schema['properties']['identity']['properties']\
        ['token']:\n    {'type': 'object',\n     'properties': {'id': {'type': 'string'}},\n     \
        'required': ['id']}\n\nOn instance['identity']['token']:\n    {}";
    let no_identity = include_str!("no_identity.txt").trim_end();
    for (change, value, expected) in [
        ("/auth/identity/password/user/password", json!(5), password),
        ("/auth/identity/methods", json!("password"), methods),
        ("/auth/identity", json!({"methods": ["token"], "token": {}}), token),
        ("/auth", json!({}), no_identity),
    ] {
        let mut body = login("x", "donor");
        *body.pointer_mut(change).unwrap() = value;
        let reply = cloud.keystone("POST", "/v3/auth/tokens").json(body).await;
        assert_eq!((reply.status.as_u16(), reply.said().as_str()), (400, expected));
    }
}

#[tokio::test]
async fn a_token_is_shown_to_its_user_to_administrators_and_to_services() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let issued = cloud.keystone("POST", "/v3/auth/tokens").json(login("y", "recipient")).await;
    let y = issued.header("x-subject-token").unwrap();
    let forbidden =
        "You are not authorized to perform the requested action: identity:validate_token.";
    for (caller, subject, status, said) in [
        (cloud.own_token("cinder").await.as_str(), y, 200, ""),
        (cloud.own_token("admin").await.as_str(), y, 200, ""),
        (y, y, 200, ""),
        (&x, y, 403, forbidden),
        (&x, "unknown", 404, "Could not recognize Fernet token"),
        ("unknown", y, 401, OPAQUE),
    ] {
        for method in ["GET", "HEAD"] {
            let ask = cloud.keystone(method, "/v3/auth/tokens").with("x-auth-token", caller);
            let reply = ask.with("x-subject-token", subject).empty().await;
            assert_eq!(reply.status, status, "{said}");
            match (method, status) {
                ("HEAD", _) => assert!(reply.body.is_empty()),
                (_, 200) => {
                    assert_eq!(reply.json(), issued.json());
                    assert_eq!(reply.header("x-subject-token"), Some(subject));
                }
                _ => assert_eq!(reply.said(), said),
            }
        }
    }
    let reply = cloud.keystone("GET", "/v3/auth/tokens").with("x-auth-token", y).empty().await;
    assert_eq!((reply.status.as_u16(), reply.said().as_str()), (403, forbidden));
}

#[tokio::test]
async fn a_revoked_token_is_good_for_nothing_at_either_service() {
    let cloud = Cloud::new();
    let (x, y) = (cloud.own_token("x").await, cloud.own_token("y").await);
    let cinder = cloud.own_token("cinder").await;
    let revoke = |caller: String| {
        let ask = cloud.keystone("DELETE", "/v3/auth/tokens").with("x-auth-token", &caller);
        ask.with("x-subject-token", &x).empty()
    };
    assert_eq!(revoke(y).await.status, 403);
    assert_eq!(revoke(x.clone()).await.status, 204);
    let gone = revoke(cinder.clone()).await;
    assert_eq!((gone.status.as_u16(), gone.said().as_str()), (404, "Failed to validate token"));
    let ask = cloud.keystone("GET", "/v3/auth/tokens").with("x-auth-token", &cinder);
    let shown = ask.with("x-subject-token", &x).empty().await;
    assert_eq!((shown.status.as_u16(), shown.said().as_str()), (404, "Failed to validate token"));
    let used = cloud.barbican("GET", "/v1/secrets").with("x-auth-token", &x).empty().await;
    assert_eq!((used.status.as_u16(), used.said().as_str()), (401, OPAQUE));
}

#[tokio::test]
async fn a_token_ends_at_its_time_unless_a_service_vouches_for_it() {
    let cloud = Cloud::new();
    let x = cloud.own_token("x").await;
    let list = || cloud.barbican("GET", "/v1/secrets").with("x-auth-token", &x);
    cloud.simulator.clock().advance(Duration::seconds(3599));
    assert_eq!(list().empty().await.status, 200);
    cloud.simulator.clock().advance(Duration::seconds(1));
    assert_eq!(list().empty().await.status, 401);
    let (cinder, y) = (cloud.own_token("cinder").await, cloud.own_token("y").await);
    assert_eq!(list().with("x-service-token", &cinder).empty().await.status, 200);
    assert_eq!(list().with("x-service-token", &y).empty().await.status, 401);
    for (wait, query, status) in [
        (Duration::ZERO, "", 404),
        (Duration::ZERO, "?allow_expired=1", 200),
        (Duration::seconds(48 * 3600 - 1), "?allow_expired=1", 200),
        (Duration::seconds(1), "?allow_expired=1", 404),
    ] {
        cloud.simulator.clock().advance(wait);
        let cinder = cloud.own_token("cinder").await;
        let ask = cloud.keystone("GET", &format!("/v3/auth/tokens{query}"));
        let ask = ask.with("x-auth-token", &cinder).with("x-subject-token", &x);
        assert_eq!(ask.empty().await.status, status, "{wait} {query}");
    }
}

#[tokio::test]
async fn a_token_begets_tokens_that_end_when_it_does() {
    let cloud = Cloud::new();
    let first = cloud.keystone("POST", "/v3/auth/tokens").json(login("x", "donor")).await;
    cloud.simulator.clock().advance(Duration::minutes(10));
    let by_token =
        |id: &str| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": id}}}});
    let body = by_token(first.header("x-subject-token").unwrap());
    let next = cloud.keystone("POST", "/v3/auth/tokens").json(body).await;
    assert_eq!(next.status, 201);
    let (old, new) = (&first.json()["token"], &next.json()["token"]);
    assert_eq!(new["expires_at"], old["expires_at"]);
    assert_eq!(new["methods"], json!(["token", "password"]));
    assert_eq!(new["audit_ids"][1], old["audit_ids"][0]);
    assert_eq!(new.get("project"), None);
    let lost = cloud.keystone("POST", "/v3/auth/tokens").json(by_token("unknown")).await;
    assert_eq!(
        (lost.status.as_u16(), lost.said().as_str()),
        (404, "Could not recognize Fernet token")
    );
}

#[tokio::test]
async fn an_unscoped_token_reaches_only_keystone() {
    let cloud = Cloud::new();
    let mut body = login("x", "donor");
    body["auth"]["scope"] = json!("unscoped");
    let reply = cloud.keystone("POST", "/v3/auth/tokens").json(body).await;
    let token = reply.header("x-subject-token").unwrap();
    let mut fields: Vec<_> = reply.json()["token"].as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["audit_ids", "expires_at", "issued_at", "methods", "user"]);
    let projects =
        cloud.keystone("GET", "/v3/auth/projects").with("x-auth-token", token).empty().await;
    assert_eq!(names(&projects.json()["projects"]), ["donor"]);
    let catalogue =
        cloud.keystone("GET", "/v3/auth/catalog").with("x-auth-token", token).empty().await;
    assert_eq!(catalogue.status, 403);
    let refused = cloud.barbican("GET", "/v1/secrets").with("x-auth-token", token).empty().await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().starts_with("401 Unauthorized\n\nThis server could not verify"));
}

#[tokio::test]
async fn projects_and_users_are_read_by_administrators_and_by_themselves() {
    let cloud = Cloud::new();
    let (x, admin) = (cloud.own_token("x").await, cloud.own_token("admin").await);
    let id = cloud.simulator.user_id("x").unwrap();
    let donor = cloud.simulator.project_id("donor").unwrap();
    let recipient = cloud.simulator.project_id("recipient").unwrap();
    for (path, as_x, as_admin) in [
        ("/v3/projects".to_owned(), 403, 200),
        ("/v3/projects?name=donor".to_owned(), 403, 200),
        (format!("/v3/projects/{donor}"), 200, 200),
        (format!("/v3/projects/{recipient}"), 403, 200),
        ("/v3/projects/donor".to_owned(), 403, 404),
        ("/v3/users".to_owned(), 403, 200),
        (format!("/v3/users/{id}"), 200, 200),
        ("/v3/users/x".to_owned(), 403, 404),
        (format!("/v3/users/{id}/projects"), 200, 200),
    ] {
        for (token, status) in [(&x, as_x), (&admin, as_admin)] {
            let reply = cloud.keystone("GET", &path).with("x-auth-token", token).empty().await;
            assert_eq!(reply.status, status, "{path}");
        }
    }
    let reply =
        cloud.keystone("GET", "/v3/users?name=x").with("x-auth-token", &admin).empty().await;
    assert_eq!(names(&reply.json()["users"]), ["x"]);
    assert_eq!(reply.json()["links"]["self"], "http://127.0.0.1:5000/v3/users?name=x");
}

#[tokio::test]
async fn ids_follow_from_the_seed() {
    let (one, other) = (Cloud::new(), Cloud::new());
    assert_eq!(one.simulator.project_id("donor"), other.simulator.project_id("donor"));
    assert_eq!(one.own_token("x").await, other.own_token("x").await);
    assert_ne!(one.own_token("x").await, one.own_token("x").await);
    assert_eq!(one.simulator.project_id("donor").unwrap().len(), 32);
    assert_eq!(one.simulator.project_id("nowhere"), None);
    assert!(!format!("{:?}", one.simulator).contains(PASSWORD));
}

fn names(listed: &Value) -> Vec<&str> {
    let listed = listed.as_array().unwrap();
    let mut names: Vec<&str> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}
