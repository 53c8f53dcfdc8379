//! Lists: who sees which offers, in which order and portions.

use crate::stack::{Stack, volume_id};
use transfer_api::ApiConfig;

/// Three offers of project donor, named t0 to t2 by their place in the order of creation.
async fn three_offers(stack: &Stack) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..3 {
        let volume = stack.volume(&volume_id(n)).await;
        let token = stack.token("x", "donor").await;
        let body = serde_json::json!({
            "transfer": {"volume_id": volume.as_str(), "name": format!("t{n}")},
        });
        let ask = stack.ask("POST", "/v3/volume-transfers").token(&token).json(&body);
        ids.push(ask.send().await.json()["transfer"]["id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_cut_as_cinder_does() {
    let config = ApiConfig { page_limit: 3, ..ApiConfig::default() };
    let stack = Stack::with_config(config).await;
    let ids = three_offers(&stack).await;
    let token = stack.token("x", "donor").await;
    let (second, first_volume) = (format!("marker={}", ids[1]), volume_id(0));
    let second_cut = format!("{second}&limit=1");
    let of_volume = format!("volume_id={first_volume}");
    let current = "volume-transfers";
    let legacy = "os-volume-transfer";
    for (collection, version, query, names, next) in [
        (current, "3.59", "", vec!["t2", "t1", "t0"], true),
        (current, "3.59", "limit=1", vec!["t2"], true),
        (current, "3.59", "limit=2&offset=1", vec!["t1", "t0"], true),
        (current, "3.59", "limit=2&offset=2", vec!["t0"], false),
        (current, "3.59", "limit=0", vec![], false),
        (current, "3.59", "sort=display_name:asc", vec!["t0", "t1", "t2"], true),
        (current, "3.59", "sort_dir=asc", vec!["t0", "t1", "t2"], true),
        (current, "3.59", second.as_str(), vec!["t0"], false),
        (current, "3.59", second_cut.as_str(), vec!["t0"], true),
        (current, "3.59", "name=t1", vec!["t1"], false),
        (current, "3.59", "name=t1&name=t2", vec![], false),
        (current, "3.59", of_volume.as_str(), vec!["t0"], false),
        (current, "3.59", "accepted=false&limit=2", vec!["t2", "t1"], true),
        (current, "3.59", "project_id=x", vec!["t2", "t1", "t0"], true),
        (current, "3.59", "all_tenants=1", vec!["t2", "t1", "t0"], true),
        (current, "3.59", "foo=bar", vec![], false),
        (current, "3.59", "salt=x", vec![], false),
        (current, "3.58", "", vec!["t0", "t1", "t2"], true),
        (current, "3.58", "limit=1", vec![], false),
        (legacy, "3.71", "", vec!["t0", "t1", "t2"], true),
        (legacy, "3.71", "marker=x", vec![], false),
        (legacy, "3.71", "name=t1", vec!["t1"], false),
    ] {
        let path = format!("/v3/{collection}?{query}");
        let reply = stack.ask("GET", &path).version(version).token(&token).send().await;
        assert_eq!(reply.status, 200, "{path} {reply:?}");
        let body = reply.json();
        let shown = body["transfers"].as_array().unwrap();
        let shown: Vec<&str> = shown.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(shown, names, "{version} {path}");
        assert_eq!(body.get("transfers_links").is_some(), next, "{version} {path}: {body}");
    }
}

#[tokio::test]
async fn the_next_link_leads_through_all_pages() {
    let stack = Stack::new().await;
    three_offers(&stack).await;
    let token = stack.token("x", "donor").await;
    let project = stack.project("donor");
    let mut path = Some(format!("/v3/{project}/volume-transfers/detail?limit=2"));
    let mut seen = Vec::new();
    while let Some(next) = path {
        let reply = stack.ask("GET", &next).version("3.59").token(&token).send().await;
        let body = reply.json();
        for transfer in body["transfers"].as_array().unwrap() {
            assert!(transfer["created_at"].is_string());
            seen.push(transfer["name"].as_str().unwrap().to_owned());
        }
        path = body["transfers_links"][0]["href"].as_str().map(|href| {
            let at = format!("http://volume.test/v3/{project}/os-volume-transfer?");
            let query = href.strip_prefix(&at).unwrap_or_else(|| panic!("{href}"));
            // Cinder's links name the collection that knows no pages.
            format!("/v3/{project}/volume-transfers/detail?{query}")
        });
    }
    assert_eq!(seen, ["t2", "t1", "t0"]);
}

#[tokio::test]
async fn a_project_sees_its_own_offers_and_an_admin_may_see_all() {
    let stack = Stack::new().await;
    three_offers(&stack).await;
    let donor = stack.project("donor");
    for (user, project, query, count) in [
        ("x", "donor", String::new(), 3),
        ("y", "recipient", String::new(), 0),
        ("y", "recipient", "all_tenants=1".to_owned(), 0),
        ("y", "recipient", format!("all_tenants=1&project_id={donor}"), 0),
        ("admin", "admin", String::new(), 0),
        ("admin", "admin", "all_tenants=true".to_owned(), 3),
        ("admin", "admin", format!("all_tenants=1&project_id={donor}"), 3),
        ("admin", "admin", "all_tenants=1&project_id=x".to_owned(), 0),
    ] {
        let token = stack.token(user, project).await;
        let path = format!("/v3/volume-transfers?{query}");
        let reply = stack.ask("GET", &path).version("3.71").token(&token).send().await;
        let shown = reply.json()["transfers"].as_array().unwrap().len();
        assert_eq!(shown, count, "{user} {query}");
    }
}
