//! A cloud as a test says it is: its Keystone lets everybody in, the rest is yet to be said.

use bulk_transfer::{BlockStorage, Clouds};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(crate) fn reply(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// A Keystone that lets everybody in, and the block storage of one project.
pub(crate) async fn cloud(project: &str) -> (MockServer, BlockStorage) {
    let server = MockServer::start().await;
    let url = format!("{}/v3", server.uri());
    let domain = json!({"id": "d", "name": "D"});
    let token = json!({"token": {
        "methods": ["password"],
        "user": {"id": "u", "name": "u", "domain": domain},
        "project": {"id": project, "name": project, "domain": domain},
        "roles": [{"id": "r", "name": "member"}],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "catalog": [{"id": "c", "type": "block-storage", "name": "cinder", "endpoints": [
            {"id": "e", "interface": "public", "region": "R", "region_id": "R", "url": url},
        ]}],
    }});
    let issued = reply(201, &token).insert_header("x-subject-token", "t0ken");
    Mock::given(path("/v3/auth/tokens")).respond_with(issued).mount(&server).await;
    let folder = tempfile::tempdir().expect("a folder");
    let clouds = folder.path().join("clouds.yaml");
    let text = json!({"clouds": {project: {"auth": {
        "auth_url": url, "username": "u", "password": "p", "project_name": project,
        "user_domain_id": "d", "project_domain_id": "d",
    }}}});
    std::fs::write(&clouds, text.to_string()).expect("written");
    let settings = Clouds::read(Some(&clouds)).expect("clouds").cloud(project).expect("a cloud");
    (server, BlockStorage::connect(settings).await.expect("connects"))
}

/// How many such requests there were.
pub(crate) async fn asked(server: &MockServer, method: &str, ending: &str) -> usize {
    let is_one = |one: &&Request| one.method.as_str() == method && one.url.path().ends_with(ending);
    server.received_requests().await.expect("recorded").iter().filter(is_one).count()
}
