//! A service that this one depends on is down, or says no: a clear answer, and nothing changed.

use crate::cloud::Reply;
use crate::stack::{Ask, Stack, volume_id};
use serde_json::json;
use simulator::Service;
use simulator::faults::{Action, Rule};
use transfer_core::VolumeId;

/// The three operations that touch a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Initiate,
    Accept,
    Cancel,
}

const OPERATIONS: [Operation; 3] = [Operation::Initiate, Operation::Accept, Operation::Cancel];

/// A stack with an operation that can be tried.
struct Ready {
    stack: Stack,
    operation: Operation,
    volume: VolumeId,
    id: String,
    auth_key: String,
    token: String,
}

impl Ready {
    async fn to(operation: Operation) -> Self {
        let stack = Stack::new().await;
        let volume = stack.encrypted_volume(&volume_id(1)).await;
        let (id, auth_key) = match operation {
            Operation::Initiate => (String::new(), String::new()),
            Operation::Accept | Operation::Cancel => stack.offer(&volume).await,
        };
        let token = match operation {
            Operation::Accept => stack.token("y", "recipient").await,
            Operation::Initiate | Operation::Cancel => stack.token("x", "donor").await,
        };
        Self { stack, operation, volume, id, auth_key, token }
    }

    fn ask(&self) -> Ask<'_> {
        let root = "/v3/volume-transfers";
        let id = &self.id;
        match self.operation {
            Operation::Initiate => self
                .stack
                .ask("POST", root)
                .json(&json!({"transfer": {"volume_id": self.volume.as_str()}})),
            Operation::Accept => self
                .stack
                .ask("POST", &format!("{root}/{id}/accept"))
                .json(&json!({"accept": {"auth_key": self.auth_key}})),
            Operation::Cancel => self.stack.ask("DELETE", &format!("{root}/{id}")),
        }
    }

    /// Tries the operation under a fault, which must leave volumes, offers, quotas and the key as
    /// they were.
    async fn fails(&self, fault: Rule) -> Reply {
        let before = self.stack.everything().await;
        self.stack.simulator.faults().add(fault);
        let reply = self.ask().version("3.70").token(&self.token).send().await;
        self.stack.simulator.faults().clear();
        self.stack.come_to_rest().await;
        let after = self.stack.everything().await;
        let what = format!("{:?}: {reply:?}", self.operation);
        assert_eq!(after.0.volumes, before.0.volumes, "{what}");
        assert_eq!(after.0.offers, before.0.offers, "{what}");
        assert_eq!(after.0.usages, before.0.usages, "{what}");
        for secret in &before.1 {
            assert!(after.1.contains(secret), "{what}");
        }
        assert!(!reply.text.contains(&self.token), "{what}");
        reply
    }
}

#[tokio::test]
async fn without_keystone_no_token_can_be_judged() {
    for (action, path) in [
        (Action::Answer { status: 503, retry_after: None }, "/v3/volume-transfers"),
        (Action::Answer { status: 500, retry_after: None }, "/v3/os-volume-transfer/nope"),
        (Action::DropBefore, "/v3/"),
        (Action::Garbage, "/v3/volume-transfers/detail"),
        // The service's own token is refused: an outage, not the caller's mistake.
        (Action::Answer { status: 401, retry_after: None }, "/v3/volume-transfers"),
    ] {
        let stack = Stack::new().await;
        let token = stack.token("x", "donor").await;
        stack.simulator.faults().add(Rule::on(Service::Keystone, action).standing());
        let reply = stack.ask("GET", path).token(&token).send().await;
        assert_eq!(
            reply.fault("serviceUnavailable"),
            "The Keystone service is temporarily unavailable. Nothing has changed; try again \
             later.",
            "{action:?}"
        );
    }
}

#[tokio::test]
async fn without_keystone_no_operation_begins() {
    for operation in OPERATIONS {
        let ready = Ready::to(operation).await;
        let reply = ready.fails(Rule::on(Service::Keystone, Action::DropBefore).standing()).await;
        let message = reply.fault("serviceUnavailable");
        assert!(message.starts_with("The Keystone service is"), "{operation:?}: {message}");
    }
}

#[tokio::test]
async fn without_the_key_manager_nothing_changes() {
    for operation in OPERATIONS {
        for action in [
            Action::Answer { status: 503, retry_after: Some(1) },
            Action::Answer { status: 500, retry_after: None },
            Action::DropBefore,
            Action::DropAfter,
            Action::Garbage,
        ] {
            let ready = Ready::to(operation).await;
            let reply = ready.fails(Rule::on(Service::Barbican, action).standing()).await;
            assert_eq!(
                reply.fault("serviceUnavailable"),
                "The key manager gave no usable answer. Nothing has changed; try again later.",
                "{operation:?} {action:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_key_manager_is_told_and_nothing_changes() {
    for operation in OPERATIONS {
        for (method, template, status, answer, words) in [
            ("POST", "/v1/secrets", 403, 403, "a role such as"),
            ("POST", "/v1/secrets", 403, 403, "Nothing has changed"),
            ("GET", "/v1/secrets/{id}/payload", 403, 403, "refused to copy the encryption key"),
            ("GET", "/v1/secrets/{id}", 404, 400, "encryption key is not in the key manager"),
            ("PUT", "/v1/secrets/{id}", 413, 500, "The server has either erred"),
        ] {
            let ready = Ready::to(operation).await;
            let action = Action::Answer { status, retry_after: None };
            let rule = Rule::on(Service::Barbican, action).method(method).template(template);
            let reply = ready.fails(rule.standing()).await;
            assert_eq!(reply.status, answer, "{operation:?} {template}: {reply:?}");
            assert!(reply.text.contains(words), "{operation:?} {template}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_recipient_without_the_role_to_store_secrets_is_told_so() {
    let ready = Ready::to(Operation::Accept).await;
    // Validated before, so that Cinder's own rules still see a member.
    let looked = ready.stack.ask("GET", "/v3/volume-transfers").token(&ready.token).send().await;
    assert_eq!(looked.status, 200);
    assert!(ready.stack.simulator.set_roles("y", "recipient", &["reader"]).unwrap());
    let never = Rule::on(Service::BlockStorage, Action::DropBefore);
    let reply = ready.fails(never).await;
    let message = reply.fault("forbidden");
    assert!(message.contains("Nothing has changed"), "{message}");
    assert!(message.contains("member or creator"), "{message}");
}

#[tokio::test]
async fn a_token_that_the_key_manager_no_longer_takes_is_a_401() {
    for operation in [Operation::Accept, Operation::Cancel] {
        let ready = Ready::to(operation).await;
        let action = Action::Answer { status: 401, retry_after: None };
        let user = if operation == Operation::Accept { "y" } else { "x" };
        let reply = ready.fails(Rule::on(Service::Barbican, action).user(user).standing()).await;
        assert_eq!(reply.status, 401, "{operation:?}: {reply:?}");
        let challenge = reply.header("www-authenticate");
        assert_eq!(challenge, Some("Keystone uri=\"http://127.0.0.1:5000/v3\""));
        let message = reply.fault("unauthorized");
        assert!(message.contains("Nothing has changed"), "{message}");
    }
}

#[tokio::test]
async fn a_service_that_shuts_down_begins_nothing() {
    for operation in OPERATIONS {
        let ready = Ready::to(operation).await;
        ready.stack.come_to_rest().await;
        let never = Rule::on(Service::BlockStorage, Action::DropBefore);
        let reply = ready.fails(never).await;
        let message = reply.fault("serviceUnavailable");
        assert!(message.contains("shutting down"), "{message}");
    }
}

#[tokio::test]
async fn without_the_database_nothing_changes() {
    let stack = Stack::new().await;
    let volume = stack.encrypted_volume(&volume_id(1)).await;
    let token = stack.token("x", "donor").await;
    let secrets = stack.simulator.secrets();
    stack.store.close().await;
    let root = "/v3/volume-transfers";
    let offer = json!({"transfer": {"volume_id": volume.as_str()}});
    let accept = json!({"accept": {"auth_key": "k"}});
    for ask in [
        stack.ask("GET", root),
        stack.ask("GET", &format!("{root}/nope")),
        stack.ask("DELETE", &format!("{root}/nope")),
        stack.ask("POST", root).json(&offer),
        stack.ask("POST", &format!("{root}/nope/accept")).json(&accept),
    ] {
        let reply = ask.version("3.70").token(&token).send().await;
        let message = reply.fault("serviceUnavailable");
        assert_eq!(message, "The database failed. Nothing has changed; try again later.");
    }
    assert_eq!(stack.simulator.secrets(), secrets);
}

#[tokio::test]
async fn the_next_request_of_a_project_pays_what_it_owes() {
    let stack = Stack::new().await;
    let volume = stack.encrypted_volume(&volume_id(1)).await;
    let token = stack.token("x", "donor").await;
    let old = stack.everything().await.0.volumes[0].row.key.clone().unwrap();
    let action = Action::Answer { status: 403, retry_after: None };
    let refuse = Rule::on(Service::Barbican, action).method("DELETE").user("x");
    stack.simulator.faults().add(refuse.standing());
    // The key cannot be deleted for its owner: that is a debt, and the offer stands.
    stack.offer(&volume).await;
    stack.simulator.faults().clear();
    assert_eq!(stack.store.counts().await.unwrap().project_debts, 1);
    let still_there = |secrets: Vec<simulator::SecretView>| {
        secrets.iter().any(|secret| secret.id == old.as_str())
    };
    assert!(still_there(stack.simulator.secrets()));
    assert_eq!(stack.ask("GET", "/v3/volume-transfers").token(&token).send().await.status, 200);
    stack.come_to_rest().await;
    assert_eq!(stack.store.counts().await.unwrap().project_debts, 0);
    assert!(!still_there(stack.simulator.secrets()));
}
