//! The service catalogue, as DevStack registers it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};

use super::error::Refusal;
use super::{Denied, caller};
use crate::{Simulator, draws};

pub(super) async fn show(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let project = caller(&simulator, &headers)
        .and_then(|caller| caller.project.ok_or(Refusal::OutOfScope))
        .map_err(Denied::by(&simulator))?;
    let link = format!("{}/v3/auth/catalog", simulator.urls().identity);
    let catalog = of(&simulator, Some(&project.id));
    Ok(Json(json!({"catalog": catalog, "links": {"self": link}})).into_response())
}

/// The catalogue of a project's token; without a project, the services whose URL needs none.
pub(super) fn of(simulator: &Simulator, project_id: Option<&str>) -> Value {
    let urls = simulator.urls();
    let seed = simulator.config().seed;
    let volume = project_id.map(|id| format!("{}/v3/{id}", urls.block_storage));
    let services = [
        ("identity", "keystone", Some(format!("{}/v3", urls.identity))),
        ("key-manager", "barbican", Some(urls.key_manager)),
        ("volumev3", "cinderv3", volume.clone()),
        ("block-storage", "cinder", volume),
    ];
    let id = |kind: &str, name: &str| draws::named(seed, kind, name).simple().to_string();
    let entries = services.into_iter().map(|(kind, name, url)| {
        let endpoints = url.iter().flat_map(|url| {
            ["public", "internal", "admin"].map(|interface| {
                json!({
                    "id": id("endpoint", &format!("{kind}/{interface}")),
                    "interface": interface,
                    "region_id": simulator.config().region,
                    "url": url,
                    "region": simulator.config().region,
                })
            })
        });
        json!({
            "endpoints": endpoints.collect::<Vec<_>>(),
            "id": id("service", kind),
            "type": kind,
            "name": name,
        })
    });
    entries.collect()
}
