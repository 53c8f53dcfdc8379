//! The routes, and the handler of each.
//!
//! cinder: `api/v3/router.py`, `api/v3/volume_transfer.py`, `api/contrib/volume_transfer.py`.
//! Both collections exist with and without the project in the path, at every microversion. A
//! method that Cinder does not route is 404, never 405.

use crate::Api;
use crate::call::Call;
use crate::fault::{self, Fault};
use crate::layers;
use crate::listing::Listing;
use crate::microversion::Microversion;
use crate::policy::Rule;
use crate::{schema, versions, views};
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use axum::{Json, Router};
use cinder_db::{ClaimError, Transfer, Volume};
use http::{StatusCode, header};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use transfer_core::{TransferId, VolumeId};
use transfer_engine::Offer;

type Shared = State<Arc<Api>>;

/// The whole API.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let mut router = Router::new()
        .route("/", any(versions::all).layer(from_fn(layers::negotiate)))
        .route("/v3", any(versions::redirect))
        .route("/v3/", any(versions::index).layer(from_fn(layers::negotiate)));
    for collection in ["volume-transfers", "os-volume-transfer"] {
        for prefix in ["/v3/{project_id}", "/v3"] {
            let root = format!("{prefix}/{collection}");
            router = router
                .route(&root, resource(get(index).post(create)))
                .route(&format!("{root}/detail"), resource(get(detail).put(nowhere)))
                .route(&format!("{root}/{{id}}"), resource(get(show).delete(delete).put(nowhere)))
                .route(&format!("{root}/{{id}}/accept"), resource(post(accept)));
        }
    }
    router
        .fallback(unrouted)
        .layer(from_fn_with_state(api.clone(), layers::authenticate))
        .layer(from_fn_with_state(api.clone(), layers::limit))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn(layers::identify))
        .with_state(api)
}

/// A resource of Cinder's: with a microversion where it answers, and webob's 404 where it does not.
fn resource(methods: MethodRouter<Arc<Api>>) -> MethodRouter<Arc<Api>> {
    methods.route_layer(from_fn(layers::negotiate)).head(unrouted).fallback(unrouted)
}

async fn unrouted() -> Response {
    fault::plain(StatusCode::NOT_FOUND, fault::NO_RESOURCE)
}

/// A method that Cinder routes to an action that does not exist.
async fn nowhere(_call: Call) -> Fault {
    Fault::not_found(fault::NO_RESOURCE)
}

async fn index(State(api): Shared, call: Call) -> Result<Response, Fault> {
    list(&api, &call, None).await
}

async fn detail(State(api): Shared, call: Call) -> Result<Response, Fault> {
    list(&api, &call, Some(call.version)).await
}

async fn list(api: &Api, call: &Call, details: Option<Microversion>) -> Result<Response, Fault> {
    call.without_body()?;
    let query = call.query()?;
    let paged = call.reaches(Microversion::PAGING);
    let listing = Listing::read(&query, paged, api.config.page_limit)?;
    Rule::GetAll.check(&call.context)?;
    let transfers = listing.find(api.engine.store(), &call.context).await?;
    let next = listing.next_marker(&transfers);
    let next = next.map(|marker| call.links.next(&query, marker.as_str()));
    Ok(Json(views::list(&transfers, &call.links, details, next)).into_response())
}

async fn show(State(api): Shared, call: Call) -> Result<Response, Fault> {
    call.without_body()?;
    Rule::Get.check(&call.context)?;
    let transfer = visible(&api, &call).await?;
    Ok(Json(views::detail(&transfer, &call.links, call.version)).into_response())
}

async fn create(State(api): Shared, call: Call) -> Result<Response, Fault> {
    let creation = schema::creation(call.body()?, call.reaches(Microversion::SNAPSHOTS))?;
    let caller = call.context.project_caller()?;
    let store = api.engine.store();
    let volume = visible_volume(&api, &call, &creation.volume).await?;
    Rule::Create.check_on(&call.context, &volume.project, &volume.user)?;
    let offer = Offer {
        volume: creation.volume.clone(),
        name: creation.name.clone(),
        no_snapshots: creation.no_snapshots,
        encrypted_allowed: call.reaches(Microversion::ENCRYPTED),
    };
    let offered = api.engine.initiate(caller, offer).await?;
    tracing::Span::current().record("transfer", offered.transfer.as_str());
    let row = store.transfer(&cinder_db::Scope::All, &offered.transfer).await;
    // The offer stands and this is the only reply with its key, whatever became of the row since.
    let transfer = row.ok().flatten().unwrap_or(Transfer {
        id: offered.transfer,
        volume: creation.volume,
        name: creation.name,
        created_at: None,
        no_snapshots: Some(creation.no_snapshots),
        source_project: call.context.project().cloned(),
        destination_project: None,
        accepted: false,
    });
    let key = offered.auth_key.reveal();
    let view = views::created(&transfer, key, &call.links, call.version);
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

async fn accept(State(api): Shared, call: Call) -> Result<Response, Fault> {
    let auth_key = schema::auth_key(call.body()?)?;
    Rule::Accept.check(&call.context)?;
    let caller = call.context.project_caller()?;
    let id = call.transfer();
    // Read before: afterwards it is closed, and nobody sees it any more.
    let transfer = api.engine.store().transfer(&cinder_db::Scope::All, &id).await?;
    let transfer = transfer.ok_or_else(|| not_found(id.clone()))?;
    api.engine.accept(caller, id, auth_key).await?;
    let view = views::summary(&transfer, &call.links);
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

async fn delete(State(api): Shared, call: Call) -> Result<Response, Fault> {
    call.without_body()?;
    let caller = call.context.project_caller()?;
    let transfer = visible(&api, &call).await?;
    let volume = visible_volume(&api, &call, &transfer.volume).await?;
    Rule::Delete.check_on(&call.context, &volume.project, &volume.user)?;
    api.engine.cancel(caller, call.transfer()).await?;
    // webob names a type even where there is no body
    Ok((StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "text/html; charset=UTF-8")]).into_response())
}

/// The transfer that the path names, as far as the caller may see it.
async fn visible(api: &Api, call: &Call) -> Result<Transfer, Fault> {
    let id = call.transfer();
    let transfer = api.engine.store().transfer(&call.context.scope()?, &id).await?;
    transfer.ok_or_else(|| not_found(id))
}

/// A volume, as far as the caller may see it.
async fn visible_volume(api: &Api, call: &Call, id: &VolumeId) -> Result<Volume, Fault> {
    let volume = api.engine.store().volume(&call.context.scope()?, id).await?;
    volume.ok_or_else(|| ClaimError::VolumeNotFound(id.clone()).into())
}

fn not_found(id: TransferId) -> Fault {
    ClaimError::TransferNotFound(id).into()
}
