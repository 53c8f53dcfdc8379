//! The console: who gets it, what it shows, and that what it shows is text.

use serde_json::json;
use simulator::server::Running;
use simulator::{Config, Control, Simulator};

use crate::cloud::{Cloud, PASSWORD, key};
use crate::control::{ask, whole};

async fn start(control: Control) -> (Cloud, Running) {
    let simulator = Simulator::new(Config { control, ..Config::new(PASSWORD) }).unwrap();
    let running = Running::on_loopback(&simulator).await.unwrap();
    (simulator.into(), running)
}

#[tokio::test]
async fn a_browser_gets_the_page_and_a_client_gets_keystone() {
    let browser = "accept: text/html,application/xhtml+xml";
    for (control, accept, expected) in [
        (Control::OnLoopback, browser, "<title>Simulated cloud</title>"),
        (Control::OnLoopback, "accept: application/json", "\"v3.14\""),
        (Control::OnLoopback, "x: y", "\"v3.14\""),
        (Control::Off, browser, "\"v3.14\""),
    ] {
        let (_cloud, running) = start(control).await;
        let reply = whole(&running.urls().identity, &format!("GET / HTTP/1.1\r\n{accept}")).await;
        assert!(reply.contains(expected), "{control:?} {accept}: {reply}");
        running.stop().await;
    }
}

#[tokio::test]
async fn the_page_is_of_this_simulator_alone_and_loads_what_it_names() {
    let (_cloud, running) = start(Control::OnLoopback).await;
    let identity = &running.urls().identity;
    let page = whole(identity, "GET /_simulator/console HTTP/1.1\r\nx: y").await;
    assert!(page.contains("content-security-policy: default-src 'none'; script-src 'self'"));
    for asset in ["style.css", "script.js"] {
        let path = format!("/_simulator/console/{asset}");
        assert!(page.contains(&format!("\"{path}\"")), "{page}");
        let reply = whole(identity, &format!("GET {path} HTTP/1.1\r\nx: y")).await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    }
    running.stop().await;
}

#[tokio::test]
async fn names_are_text_and_bytes_are_nowhere() {
    let (cloud, running) = start(Control::OnLoopback).await;
    let identity = &running.urls().identity;
    let hostile = "<img src=x onerror=alert(1)>\"'&";
    let shown = "&lt;img src=x onerror=alert(1)&gt;&quot;'&amp;";
    let x = cloud.own_token("x").await;
    let mut secret = key("one");
    secret["name"] = json!(hostile);
    assert_eq!(cloud.tell(&x, "POST", "/v1/secrets", secret).await.status, 201);
    let admin = cloud.own_token("admin").await;
    let project = json!({"project": {"name": hostile}});
    let ask_keystone = cloud.keystone("POST", "/v3/projects").with("x-auth-token", &admin);
    assert_eq!(ask_keystone.json(project).await.status, 201);
    cloud.barbican("GET", "/v1/&lt;b").with("x-auth-token", &x).empty().await;
    let rule = json!({"line": "barbican GET /<script> user=<i> cut"}).to_string();
    let (status, told) = ask(identity, "POST /_simulator/faults", &rule).await.unwrap();
    assert_eq!(status, 201, "{told}");

    let page = whole(identity, "GET / HTTP/1.1\r\naccept: text/html").await;
    assert_eq!(page.matches(&format!("</span> {shown}</h4>")).count(), 1, "{page}");
    assert!(page.contains("<h3 id=\"project-") && page.contains(&format!("{shown}</h3>")));
    assert!(page.contains("&lt;script&gt;"), "{page}");
    let bytes = secret_text();
    for forbidden in ["<img", "<script>", "<i>", &bytes, PASSWORD] {
        assert!(!page.contains(forbidden), "{forbidden}: {page}");
    }
    let rows = rows(identity, 4).await;
    assert!(rows.contains("<code>/v1/&amp;lt;b</code>"), "{rows}");
    running.stop().await;
}

/// The payload as it was sent.
fn secret_text() -> String {
    key("one")["payload"].as_str().unwrap().to_owned()
}

/// The stream of rows until this one has come.
async fn rows(url: &str, last: u64) -> String {
    let head = "GET /_simulator/console/events HTTP/1.1\r\naccept: text/event-stream";
    crate::control::until(url, head, &[&format!("id: {last}\nevent: row\ndata: <tr"), "\n\n"]).await
}

#[tokio::test]
async fn without_a_block_storage_there_is_nothing_to_offer() {
    let (cloud, running) = start(Control::OnLoopback).await;
    let identity = &running.urls().identity;
    let page = whole(identity, "GET / HTTP/1.1\r\naccept: text/html").await;
    assert!(page.contains("serve --dev --control") && !page.contains("New volume"), "{page}");
    let donor = cloud.simulator.project_id("donor").unwrap();
    for (line, body) in [
        ("POST /_simulator/volumes", json!({"project": donor})),
        ("POST /_simulator/offers", json!({"volume": "v"})),
        ("POST /_simulator/offers/o/accept", json!({"auth_key": "k", "project": donor})),
    ] {
        let (status, said) = ask(identity, line, &body.to_string()).await.unwrap();
        let said = said["error"].as_str().unwrap_or_default();
        assert_eq!(status, 409, "{line}: {said}");
        assert!(said.contains("no block storage"), "{line}: {said}");
    }
    assert_eq!(cloud.simulator.events(), [], "nobody was asked");
    running.stop().await;
}
