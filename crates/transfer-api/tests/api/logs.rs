//! What is logged of a request: enough to find it, and nothing that lets somebody in.

use crate::stack::{Stack, volume_id};
use serde_json::json;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_request_is_logged_without_its_token_and_its_auth_key() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // For the whole process, hence for the other tests, too: a subscriber of one thread does not
    // reliably see events that another thread came across first.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let stack = Stack::new().await;
    let volume = stack.encrypted_volume(&volume_id(1)).await;
    let (id, auth_key) = stack.offer(&volume).await;
    let token = stack.token("y", "recipient").await;
    let mut request_ids = Vec::new();
    let global = "req-0f8fad5b-d9cb-469f-a165-70867728950e";
    let versions = stack.ask("GET", "/v3/").token(&token).send().await;
    for auth_key in ["not-the-auth-key", auth_key.as_str()] {
        for more in [true, false] {
            let mut body = json!({"accept": {"auth_key": auth_key}});
            if more {
                body["accept"]["unknown"] = json!(1);
            }
            let ask = stack.ask("POST", &format!("/v3/volume-transfers/{id}/accept"));
            let ask = ask.header("x-openstack-request-id", global);
            let reply = ask.token(&token).json(&body).send().await;
            request_ids.push(reply.header("x-openstack-request-id").unwrap().to_owned());
        }
    }
    stack.come_to_rest().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let (user, project) = (stack.simulator.user_id("y").unwrap(), stack.project("recipient"));
    for request in &request_ids {
        let line = log.lines().find(|line| line.contains(request) && line.contains("answered"));
        let line = line.unwrap_or_else(|| panic!("{request} is not in the log"));
        for word in [
            "method=POST",
            "route=\"/v3/volume-transfers/{id}/accept\"",
            "status=",
            &format!("transfer=\"{id}\""),
            &format!("global_request_id=\"{global}\""),
            &format!("user=\"{user}\""),
            &format!("project=\"{project}\""),
        ] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
    let versions = versions.header("x-openstack-request-id").unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(versions)).collect();
    assert!(lines.iter().any(|line| line.contains("answered")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("INFO")), "versions are no news: {lines:?}");
    for secret in [token.as_str(), auth_key.as_str(), "not-the-auth-key"] {
        assert!(!log.contains(secret), "a secret of {} letters is in the log", secret.len());
    }
}

#[tokio::test]
async fn services_are_asked_under_the_callers_request_id_or_else_the_requests_own() {
    let global = "req-0f8fad5b-d9cb-469f-a165-70867728950e";
    for (sent, forwarded) in [(Some(global), Some(global)), (Some("req-bogus"), None), (None, None)]
    {
        let stack = Stack::new().await;
        let volume = stack.encrypted_volume(&volume_id(1)).await;
        let token = stack.token("x", "donor").await;
        // the service's own token is everybody's: it is asked for under no request's id
        let other = stack.token("y", "recipient").await;
        stack.ask("GET", "/v3/volume-transfers").token(&other).send().await;
        stack.take_request_ids();
        let body = json!({"transfer": {"volume_id": volume.as_str()}});
        let mut ask = stack.ask("POST", "/v3/volume-transfers").token(&token).version("3.70");
        if let Some(id) = sent {
            ask = ask.header("x-openstack-request-id", id);
        }
        let offered = ask.json(&body).send().await;
        assert_eq!(offered.status, 202, "{}", offered.text);
        stack.come_to_rest().await;
        let own = offered.header("x-openstack-request-id").unwrap();
        assert_eq!(offered.header("x-compute-request-id"), Some(own));
        assert_ne!(Some(own), sent);
        let told = stack.take_request_ids();
        assert!(told.len() > 3, "too few calls to judge by: {told:?}");
        let expected = forwarded.unwrap_or(own);
        assert!(told.iter().all(|id| id == expected), "{expected}: {told:?}");
    }
}
