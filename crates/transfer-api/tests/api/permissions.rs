//! Who may do what, and who sees what.

use crate::cloud::Reply;
use crate::stack::{Stack, volume_id};
use serde_json::json;

async fn try_all(stack: &Stack, token: &str, volume: &str, id: &str) -> [Reply; 5] {
    let ask = |method: &str, path: &str| {
        stack.ask(method, &format!("/v3/volume-transfers{path}")).version("3.71").token(token)
    };
    let offer = json!({"transfer": {"volume_id": volume}});
    let accept = json!({"accept": {"auth_key": "wrong"}});
    [
        ask("GET", "").send().await,
        ask("GET", &format!("/{id}")).send().await,
        ask("POST", "").json(&offer).send().await,
        ask("POST", &format!("/{id}/accept")).json(&accept).send().await,
        ask("DELETE", &format!("/{id}")).send().await,
    ]
}

#[tokio::test]
async fn roles_decide_after_visibility() {
    let no = |rule: &str| format!("Policy doesn't allow volume:{rule} to be performed.");
    let stack = Stack::new().await;
    let volume = stack.volume(&volume_id(1)).await;
    let (id, _auth_key) = stack.offer(&volume).await;
    let unseen = [
        format!("Transfer {id} could not be found."),
        format!("Volume {volume} could not be found."),
    ];
    let taken = "Invalid volume: status must be available".to_owned();
    let bad_key = format!("Invalid auth key: Attempt to transfer {id} with invalid auth key.");
    let [list, show, create, accept, delete] = [
        "get_all_transfers",
        "get_transfer",
        "create_transfer",
        "accept_transfer",
        "delete_transfer",
    ]
    .map(no);
    let unscoped = || "Not authorized.".to_owned();
    let before = stack.everything().await;
    for (user, project, roles, expected) in [
        (
            "x",
            Some("donor"),
            vec!["reader"],
            [None, None, Some(create.clone()), Some(accept.clone()), Some(delete.clone())],
        ),
        (
            "x",
            Some("donor"),
            vec!["creator"],
            [
                Some(list.clone()),
                Some(show.clone()),
                Some(create),
                Some(accept.clone()),
                Some(delete),
            ],
        ),
        (
            "y",
            Some("recipient"),
            vec!["reader"],
            [
                None,
                Some(unseen[0].clone()),
                Some(unseen[1].clone()),
                Some(accept.clone()),
                Some(unseen[0].clone()),
            ],
        ),
        (
            "y",
            Some("recipient"),
            vec!["member"],
            [
                None,
                Some(unseen[0].clone()),
                Some(unseen[1].clone()),
                Some(bad_key),
                Some(unseen[0].clone()),
            ],
        ),
        (
            "x",
            None,
            vec![],
            [Some(list), Some(show), Some(unscoped()), Some(accept), Some(unscoped())],
        ),
        ("x", Some("donor"), vec!["member"], [None, None, Some(taken), None, None]),
    ] {
        let token = match project {
            Some(project) => {
                assert!(stack.simulator.set_roles(user, project, &roles).unwrap());
                stack.token(user, project).await
            }
            None => stack.issue(user, json!("unscoped")).await,
        };
        let last = roles == ["member"] && user == "x";
        if last {
            // Nothing was changed by all those before; this one may delete.
            assert_eq!(stack.everything().await, before);
        }
        let replies = try_all(&stack, &token, volume.as_str(), &id).await;
        for (number, (reply, expected)) in replies.iter().zip(&expected).enumerate() {
            let what = format!("{user} {project:?} {roles:?} {number}: {reply:?}");
            match expected {
                Some(message) => assert!(reply.text.contains(message.as_str()), "{what}"),
                None if last => {}
                None => assert_eq!(reply.status, 200, "{what}"),
            }
        }
        if last {
            assert_eq!(replies[4].status, 202);
        }
    }
}

#[tokio::test]
async fn an_admin_of_another_project_sees_an_encrypted_offer_and_cannot_end_it() {
    let stack = Stack::new().await;
    let volume = stack.encrypted_volume(&volume_id(1)).await;
    let other = stack.encrypted_volume(&volume_id(2)).await;
    let (id, _auth_key) = stack.offer(&volume).await;
    let token = stack.token("admin", "admin").await;
    let path = format!("/v3/volume-transfers/{id}");
    let shown = stack.ask("GET", &path).token(&token).send().await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let before = stack.everything().await;
    let deleted = stack.ask("DELETE", &path).token(&token).send().await;
    assert!(deleted.fault("forbidden").contains("only its own project"), "{deleted:?}");
    let body = json!({"transfer": {"volume_id": other.as_str()}});
    let ask = stack.ask("POST", "/v3/volume-transfers").version("3.70").token(&token);
    let offered = ask.json(&body).send().await;
    assert!(offered.fault("forbidden").contains("only its own project"), "{offered:?}");
    assert_eq!(stack.everything().await, before);
}

#[tokio::test]
async fn an_admin_of_another_project_may_end_an_offer_without_a_key() {
    let stack = Stack::new().await;
    let (id, _auth_key) = stack.offer(&stack.volume(&volume_id(1)).await).await;
    let token = stack.token("admin", "admin").await;
    let ask = stack.ask("DELETE", &format!("/v3/volume-transfers/{id}")).token(&token);
    assert_eq!(ask.send().await.status, 202);
}
