//! What ends a token, for how long, and what is said of it then. That is what Keystone 30 says.

use http::StatusCode;
use serde_json::{Value, json};
use time::Duration;

use crate::cloud::{Cloud, Reply};

const REVOKED: &str = "Failed to validate token";

/// A user with a token of a project, in a domain of their own.
struct Scene {
    cloud: Cloud,
    admin: String,
    domain: String,
    project: String,
    user: String,
    role: String,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let cloud = Cloud::new();
        let admin = cloud.own_token("admin").await;
        let mut scene = Self {
            cloud,
            admin,
            domain: String::new(),
            project: String::new(),
            user: String::new(),
            role: String::new(),
            token: String::new(),
        };
        scene.domain = scene.make("domain", json!({"name": "d"})).await;
        let domain = scene.domain.clone();
        scene.project = scene.make("project", json!({"name": "p", "domain_id": domain})).await;
        let user = json!({"name": "u", "domain_id": domain, "password": "own"});
        scene.user = scene.make("user", user).await;
        scene.role = scene.make("role", json!({"name": "r"})).await;
        let grant = format!("projects/{}/users/{}/roles/{}", scene.project, scene.user, scene.role);
        assert_eq!(scene.ask("PUT", &grant, None).await.status, 204);
        scene.token = scene.login("own").await.header("x-subject-token").unwrap().to_owned();
        scene
    }

    /// As the administrator.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let ask = self.cloud.keystone(method, &format!("/v3/{path}"));
        let ask = ask.with("x-auth-token", &self.admin);
        match body {
            Some(body) => ask.json(body).await,
            None => ask.empty().await,
        }
    }

    async fn make(&self, kind: &str, body: Value) -> String {
        let reply = self.ask("POST", &format!("{kind}s"), Some(json!({kind: body}))).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()[kind]["id"].as_str().unwrap().to_owned()
    }

    async fn login(&self, password: &str) -> Reply {
        let user = json!({"id": self.user, "password": password});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": self.project}},
        }});
        self.cloud.keystone("POST", "/v3/auth/tokens").json(body).await
    }

    /// What is said of the token, and the status of a request that is made with it.
    async fn fate(&self) -> (StatusCode, String, StatusCode) {
        let ask = self.cloud.keystone("GET", "/v3/auth/tokens?nocatalog");
        let ask = ask.with("x-auth-token", &self.admin).with("x-subject-token", &self.token);
        let seen = ask.empty().await;
        let ask = self.cloud.keystone("GET", "/v3/auth/projects");
        let used = ask.with("x-auth-token", &self.token).empty().await;
        (seen.status, seen.said().replace(&self.token, "TOKEN"), used.status)
    }
}

#[tokio::test]
async fn a_token_ends_with_what_it_stands_on() {
    let disabled =
        |kind: &str, id: &str| format!("Unable to validate token because {kind} {id} is disabled");
    for (case, (method, path, body), (undo, last)) in [
        (
            "password",
            ("PATCH", "users/{user}", json!({"user": {"password": "new"}})),
            (json!(null), 404),
        ),
        (
            "user disabled",
            ("PATCH", "users/{user}", json!({"user": {"enabled": false}})),
            (json!({"user": {"enabled": true}}), 404),
        ),
        (
            "project disabled",
            ("PATCH", "projects/{project}", json!({"project": {"enabled": false}})),
            (json!({"project": {"enabled": true}}), 200),
        ),
        (
            "domain disabled",
            ("PATCH", "domains/{domain}", json!({"domain": {"enabled": false}})),
            (json!({"domain": {"enabled": true}}), 200),
        ),
        (
            "role revoked",
            ("DELETE", "projects/{project}/users/{user}/roles/{role}", json!(null)),
            (json!(null), 404),
        ),
        ("role deleted", ("DELETE", "roles/{role}", json!(null)), (json!(null), 404)),
        ("project deleted", ("DELETE", "projects/{project}", json!(null)), (json!(null), 404)),
        ("user deleted", ("DELETE", "users/{user}", json!(null)), (json!(null), 404)),
    ] {
        let scene = Scene::new().await;
        assert_eq!(scene.fate().await.0, 200, "{case}");
        let path = path
            .replace("{user}", &scene.user)
            .replace("{project}", &scene.project)
            .replace("{domain}", &scene.domain)
            .replace("{role}", &scene.role);
        let done = scene.ask(method, &path, Some(body).filter(|body| !body.is_null())).await;
        assert!(done.status.is_success(), "{case}: {}", done.text());
        let (seen, said, used) = scene.fate().await;
        let (expected, used_expected) = match case {
            "project disabled" => (disabled("project", &scene.project), 404),
            "domain disabled" => (disabled("domain", &scene.domain), 404),
            "role revoked" | "role deleted" => ("Could not find token: TOKEN.".to_owned(), 401),
            _ => (REVOKED.to_owned(), 401),
        };
        assert_eq!((seen.as_u16(), said.as_str()), (404, expected.as_str()), "{case}");
        assert_eq!(used, used_expected, "{case}");
        if !undo.is_null() {
            assert_eq!(scene.ask(method, &path, Some(undo)).await.status, 200, "{case}");
            assert_eq!(scene.fate().await.0, last, "{case}");
        }
    }
}

#[tokio::test]
async fn a_user_who_changes_the_password_ends_the_tokens_and_needs_the_new_one() {
    let scene = Scene::new().await;
    let path = format!("/v3/users/{}/password", scene.user);
    let change = |old: &str| {
        let body = json!({"user": {"original_password": old, "password": "new"}});
        scene.cloud.keystone("POST", &path).json(body)
    };
    assert_eq!(change("wrong").await.status, 401);
    assert_eq!(scene.fate().await.0, 200);
    assert_eq!(change("own").await.status, 204);
    assert_eq!(scene.fate().await.1, REVOKED);
    assert_eq!(scene.login("own").await.status, 401);
    assert_eq!(scene.login("new").await.status, 201);
}

#[tokio::test]
async fn an_application_credential_ends_its_tokens_by_its_end_and_by_being_deleted() {
    for deleted in [false, true] {
        let mut scene = Scene::new().await;
        let path = format!("/v3/users/{}/application_credentials", scene.user);
        let body = json!({"application_credential": {
            "name": "c", "secret": "s", "expires_at": "2026-11-24T04:05:05",
        }});
        let made = scene.cloud.keystone("POST", &path).with("x-auth-token", &scene.token);
        let made = made.json(body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["application_credential"]["id"].as_str().unwrap().to_owned();
        let login = json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": "s"},
        }}});
        let granted = scene.cloud.keystone("POST", "/v3/auth/tokens").json(login.clone()).await;
        assert_eq!(granted.json()["token"]["expires_at"], "2026-11-24T04:05:05.000000Z");
        let by_user = std::mem::replace(
            &mut scene.token,
            granted.header("x-subject-token").unwrap().to_owned(),
        );
        let expected = if deleted {
            let ask = scene.cloud.keystone("DELETE", &format!("{path}/{id}"));
            assert_eq!(ask.with("x-auth-token", &by_user).empty().await.status, 204);
            (format!("Could not find Application Credential: {id}."), 404)
        } else {
            scene.cloud.simulator.clock().advance(Duration::minutes(10));
            (REVOKED.to_owned(), 401)
        };
        let (seen, said, used) = scene.fate().await;
        assert_eq!((seen.as_u16(), said, used.as_u16()), (404, expected.0, expected.1));
        let again = scene.cloud.keystone("POST", "/v3/auth/tokens").json(login).await;
        assert_eq!(again.status, if deleted { 404 } else { 401 });
    }
}

#[tokio::test]
async fn the_end_of_a_token_is_that_of_those_made_with_it_unless_it_is_asked_otherwise() {
    for (query, child) in [("", 404), ("?cascade=false", 200)] {
        let mut scene = Scene::new().await;
        let parent = scene.token.clone();
        let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": parent}}}});
        let granted = scene.cloud.keystone("POST", "/v3/auth/tokens").json(body).await;
        scene.token = granted.header("x-subject-token").unwrap().to_owned();
        let ask = scene.cloud.keystone("DELETE", &format!("/v3/auth/tokens{query}"));
        let ask = ask.with("x-auth-token", &scene.admin).with("x-subject-token", &parent);
        assert_eq!(ask.empty().await.status, 204);
        assert_eq!(scene.fate().await.0, child, "{query}");
    }
}
