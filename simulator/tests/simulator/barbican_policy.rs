//! Who may do what under which of Barbican's policies.
//!
//! `barbican_policy.txt` was recorded from two real services. Its columns: the policy; the access
//! list of what is asked about (the project's, private, or private and shared with the caller; `-`
//! where there is none); the method; who is let in with a role on the project that owns it, and
//! with the same role on another one; the path. A letter stands for a role, in the order of
//! [`ROLES`].

use serde_json::json;
use simulator::BarbicanPolicy;

use crate::cloud::{Cloud, path_of};

const ROLES: &[(char, &str)] = &[
    ('a', "admin"),
    ('m', "member"),
    ('r', "reader"),
    ('c', "creator"),
    ('o', "observer"),
    ('u', "audit"),
    ('s', "key-manager:service-admin"),
];

/// What x makes for the caller to ask about.
async fn target(cloud: &Cloud, x: &str, path: &str, access: &str) -> Option<String> {
    let (collection, body) = match path.split("/{id}").next().unwrap() {
        _ if !path.contains("{id}") => return None,
        "/v1/secrets" => {
            ("/v1/secrets", json!({"payload": "p", "payload_content_type": "text/plain"}))
        }
        "/v1/containers" => ("/v1/containers", json!({"type": "generic"})),
        "/v1/orders" => {
            ("/v1/orders", json!({"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}))
        }
        other => panic!("what is {other}?"),
    };
    let made = cloud.barbican("POST", collection).with("x-auth-token", x).json(body).await;
    let reference = made.header("location").unwrap().to_owned();
    let made = path_of(&reference);
    if matches!(access, "private" | "shared") {
        let users = if access == "shared" { vec![cloud.simulator.user_id("z")] } else { vec![] };
        let acl = json!({"read": {"project-access": false, "users": users}});
        let list = cloud.barbican("PUT", &format!("{made}/acl")).with("x-auth-token", x);
        assert_eq!(list.json(acl).await.status, 200);
    }
    Some(made)
}

/// Those of the first roles that are let in, by their letters.
async fn let_in(
    cloud: &Cloud,
    (x, z): (&str, &str),
    (project, roles): (&str, &[(char, &str)]),
    (access, method, path): (&str, &str, &str),
) -> String {
    let mut letters = String::new();
    for (letter, role) in roles {
        assert!(cloud.simulator.set_roles("z", project, &[role]).unwrap());
        let path = match target(cloud, x, path, access).await {
            Some(target) => format!("{target}{}", path.split_once("{id}").unwrap().1),
            None => path.to_owned(),
        };
        let ask = cloud.barbican(method, &path).with("x-auth-token", z);
        let reply = if method == "GET" {
            ask.empty().await
        } else {
            ask.with("content-type", "application/json").body("{").await
        };
        letters.push(if reply.status == 403 { '-' } else { *letter });
    }
    letters
}

#[tokio::test]
async fn everybody_may_do_what_the_real_service_lets_them_do() {
    for (policy, name) in [(BarbicanPolicy::New, "new"), (BarbicanPolicy::Legacy, "legacy")] {
        let cloud = Cloud::under(policy);
        let x = cloud.own_token("x").await;
        for project in ["donor", "recipient"] {
            assert!(cloud.simulator.set_roles("z", project, &["member"]).unwrap());
        }
        let z = [cloud.token("z", "donor").await, cloud.token("z", "recipient").await];
        let mut lines = 0;
        for line in include_str!("barbican_policy.txt").lines() {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let [under, access, method, own, other, path] = columns[..] else { panic!("{line}") };
            if under != name {
                continue;
            }
            for (z, project, expected) in [(&z[0], "donor", own), (&z[1], "recipient", other)] {
                let roles = (project, &ROLES[..expected.len()]);
                let found = let_in(&cloud, (&x, z), roles, (access, method, path)).await;
                assert_eq!(found, expected, "{line}: on {project}");
            }
            lines += 1;
        }
        assert_eq!(lines, 101);
    }
}
