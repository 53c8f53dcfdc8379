//! Who may do what, end to end: the personas of Cinder's own policy tests, on each operation, under
//! the new defaults and with the older ones beside them.
//!
//! cinder: `tests/unit/policies/test_volume_transfers.py`. There "not authorized" is a refusal by
//! policy as well as not to see the row.

use crate::cloud::Reply;
use crate::stack::{Stack, volume_id};
use oslo_policy::{Enforcer, Options};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use transfer_api::{ApiConfig, default_rules};

/// A persona: a user, a project and roles in it. The volume is of project donor.
const PERSONAS: [(&str, &str, &str, &[&str]); 9] = [
    ("legacy_admin", "admin", "admin", &["admin"]),
    ("legacy_owner", "x", "donor", &["creator"]),
    ("system_admin", "admin", "service", &["admin"]),
    ("project_admin", "x", "donor", &["admin"]),
    ("project_member", "x", "donor", &["member"]),
    ("project_reader", "x", "donor", &["reader"]),
    ("project_foo", "x", "donor", &["service"]),
    ("other_project_member", "y", "recipient", &["member"]),
    ("other_project_reader", "y", "recipient", &["reader"]),
];

const ADMINS: [&str; 3] = ["legacy_admin", "system_admin", "project_admin"];

/// An operation, and who may do it beside admins: under the new defaults, and otherwise.
const OPERATIONS: [(&str, &[&str], &[&str]); 5] = [
    ("list", &["project_member", "project_reader", OTHER_MEMBER, OTHER_READER], EVERYBODY),
    ("show", &["project_member", "project_reader"], OWNERS),
    ("create", &["project_member"], OWNERS),
    ("accept", &["project_member", OTHER_MEMBER], EVERYBODY),
    ("delete", &["project_member"], OWNERS),
];

const OTHER_MEMBER: &str = "other_project_member";
const OTHER_READER: &str = "other_project_reader";
const OWNERS: &[&str] = &["legacy_owner", "project_member", "project_reader", "project_foo"];
const EVERYBODY: &[&str] = &[
    "legacy_owner",
    "project_member",
    "project_reader",
    "project_foo",
    OTHER_MEMBER,
    OTHER_READER,
];

#[tokio::test]
async fn personas_do_what_cinders_own_tests_expect() {
    for enforce_new_defaults in [true, false] {
        let options = Options { enforce_new_defaults, ..Options::default() };
        let policy = Enforcer::new(default_rules(), options, Arc::new(Instant::now)).unwrap();
        let config = ApiConfig { policy: Arc::new(policy), ..ApiConfig::default() };
        let stack = Stack::with_config(config).await;
        let mut volumes = 0..;
        for (name, user, project, roles) in PERSONAS {
            let mut prepared = Vec::new();
            assert!(stack.simulator.set_roles("x", "donor", &["member"]).unwrap());
            for operation in OPERATIONS {
                let volume = stack.volume(&volume_id(volumes.next().unwrap())).await;
                let needs_offer = ["show", "accept", "delete"].contains(&operation.0);
                let offer = if needs_offer { Some(stack.offer(&volume).await) } else { None };
                prepared.push((operation, volume, offer.unwrap_or_default()));
            }
            assert!(stack.simulator.set_roles(user, project, roles).unwrap(), "{name}");
            let token = stack.token(user, project).await;
            for ((operation, new, older), volume, offer) in prepared {
                let reply = attempt(&stack, operation, volume.as_str(), &offer, &token).await;
                let others = if enforce_new_defaults { new } else { older };
                let expected = ADMINS.contains(&name) || others.contains(&name);
                let what = format!("{name} {operation} new: {enforce_new_defaults} {reply:?}");
                assert_eq!(reply.status < 300, expected, "{what}");
                assert!(expected || [403, 404].contains(&reply.status), "{what}");
            }
        }
    }
}

/// One operation, on the volume or on its offer: an id and an auth key.
async fn attempt(
    stack: &Stack,
    operation: &str,
    volume: &str,
    (id, auth_key): &(String, String),
    token: &str,
) -> Reply {
    let ask = |method: &str, path: &str| {
        stack.ask(method, &format!("/v3/volume-transfers{path}")).version("3.71").token(token)
    };
    let creation = json!({"transfer": {"volume_id": volume}});
    let acceptance = json!({"accept": {"auth_key": auth_key}});
    let asked = match operation {
        "list" => ask("GET", ""),
        "show" => ask("GET", &format!("/{id}")),
        "create" => ask("POST", "").json(&creation),
        "accept" => ask("POST", &format!("/{id}/accept")).json(&acceptance),
        _ => ask("DELETE", &format!("/{id}")),
    };
    asked.send().await
}
