//! Barbican's paths, what is done at each, and what each operation is called.

use axum::extract::{Extension, RawPathParams, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use http::Method;
use http::header::ALLOW;
use time::OffsetDateTime;

use super::error::Refusal;
use super::{Caller, acls, backends, consumers, containers, discovery, list, metadata, orders};
use super::{quotas, secrets};
use crate::Simulator;
use crate::key_manager::{Container, KeyManager, Secret};
use crate::routes::Routes;

pub(super) fn v1() -> Routes {
    let routes = Routes::new()
        .at("/v1", allowing("GET", get(discovery::version)))
        .at("/v1/quotas", allowing("GET", get(quotas::effective)))
        .at("/v1/project-quotas", allowing("GET", get(quotas::list)))
        .at(
            "/v1/project-quotas/{project_id}",
            allowing("DELETE, GET, PUT", get(quotas::show).put(quotas::set).delete(quotas::delete)),
        )
        .at("/v1/secret-stores", allowing("GET", get(backends::stores)))
        .at("/v1/secret-stores/global-default", any(backends::stores))
        .at("/v1/secret-stores/preferred", any(backends::stores))
        .at("/v1/secret-stores/{id}", any(backends::store))
        .at("/v1/secret-stores/{id}/preferred", any(backends::store))
        .at(
            "/v1/transport_keys",
            allowing("GET, POST", get(backends::list_keys).post(backends::add_key)),
        )
        .at(
            "/v1/transport_keys/{id}",
            allowing("DELETE, GET", get(backends::show_key).delete(backends::delete_key)),
        );
    routes.merge(of_secrets()).merge(of_containers()).merge(of_orders())
}

fn of_secrets() -> Routes {
    let secret = get(secrets::show).put(secrets::fill).delete(secrets::delete);
    let metadata = get(metadata::list).put(metadata::replace).post(metadata::add);
    let metadatum = get(metadata::show_one).put(metadata::replace_one).delete(metadata::delete_one);
    let acl = get(acls::show::<Secret>)
        .put(acls::replace::<Secret>)
        .patch(acls::merge::<Secret>)
        .delete(acls::delete::<Secret>);
    let consumers = get(consumers::list::<Secret>)
        .post(consumers::add::<Secret>)
        .delete(consumers::remove::<Secret>);
    Routes::new()
        .at("/v1/secrets", allowing("GET, POST", get(list::secrets).post(secrets::create)))
        .at("/v1/secrets/{id}", below(SECRET, "DELETE, GET, PUT", secret))
        .at("/v1/secrets/{id}/{other}", below(SECRET, NOTHING, MethodRouter::new()))
        .at("/v1/secrets/{id}/payload", any(secrets::payload))
        .at("/v1/secrets/{id}/metadata", below(SECRET, "GET, POST, PUT", metadata))
        .at("/v1/secrets/{id}/metadata/{key}", below(SECRET, "", metadatum))
        .at("/v1/secrets/{id}/acl", below(SECRET, "DELETE, GET, PATCH, PUT", acl))
        .at("/v1/secrets/{id}/consumers", below(SECRET, "DELETE, GET, POST", consumers))
        .at("/v1/secrets/{id}/consumers/{consumer_id}", any(consumers::of_secret))
}

fn of_containers() -> Routes {
    let container = get(containers::show).delete(containers::delete);
    let entries = || post(containers::add_secret).delete(containers::remove_secret);
    let acl = get(acls::show::<Container>)
        .put(acls::replace::<Container>)
        .patch(acls::merge::<Container>)
        .delete(acls::delete::<Container>);
    let consumers = get(consumers::list::<Container>)
        .post(consumers::add::<Container>)
        .delete(consumers::remove::<Container>);
    Routes::new()
        .at("/v1/containers", allowing("GET, POST", get(containers::list).post(containers::create)))
        .at("/v1/containers/{id}", below(CONTAINER, "DELETE, GET", container))
        .at("/v1/containers/{id}/{other}", below(CONTAINER, NOTHING, MethodRouter::new()))
        .at("/v1/containers/{id}/secrets", below(CONTAINER, "DELETE, POST", entries()))
        .at("/v1/containers/{id}/secrets/{secret_id}", below(CONTAINER, "DELETE, POST", entries()))
        .at("/v1/containers/{id}/acl", below(CONTAINER, "DELETE, GET, PATCH, PUT", acl))
        .at("/v1/containers/{id}/consumers", below(CONTAINER, "DELETE, GET, POST", consumers))
        .at("/v1/containers/{id}/consumers/{consumer_id}", any(consumers::of_container))
}

fn of_orders() -> Routes {
    let orders = get(orders::list).post(orders::create).put(orders::update);
    let order = get(orders::show).delete(orders::delete);
    Routes::new()
        .at("/v1/orders", allowing("GET, POST, PUT", orders))
        .at("/v1/orders/{id}", below(ORDER, "DELETE, GET", order))
        .at("/v1/orders/{id}/{other}", below(ORDER, NOTHING, MethodRouter::new()))
}

/// What an operation is called in Barbican's error texts.
pub(crate) fn operation(method: &Method, template: &str) -> &'static str {
    match (method.as_str(), template) {
        ("GET", "/v1") => "Version retrieval",
        ("POST", "/v1/secrets") => "Secret creation",
        ("GET", "/v1/secrets") => "Secret(s) retrieval",
        ("PUT", "/v1/secrets/{id}") => "Secret update",
        ("DELETE", "/v1/secrets/{id}") => "Secret deletion",
        ("GET", "/v1/secrets/{id}") => "Secret retrieval",
        (_, "/v1/secrets/{id}/payload") => "Secret payload retrieval",
        ("GET", "/v1/secrets/{id}/metadata") => "Secret metadata retrieval",
        ("PUT", "/v1/secrets/{id}/metadata") => "Secret metadata creation",
        ("POST", "/v1/secrets/{id}/metadata") => "Secret metadatum creation",
        ("GET", "/v1/secrets/{id}/metadata/{key}") => "Secret metadatum retrieval",
        ("PUT", "/v1/secrets/{id}/metadata/{key}") => "Secret metadatum update",
        ("DELETE", "/v1/secrets/{id}/metadata/{key}") => "Secret metadatum removal",
        ("GET", "/v1/secrets/{id}/acl") => "SecretACL(s) retrieval",
        ("PUT" | "PATCH", "/v1/secrets/{id}/acl") => "SecretACL(s) Update",
        ("DELETE", "/v1/secrets/{id}/acl") => "SecretACL(s) deletion",
        ("GET", "/v1/secrets/{id}/consumers") => "SecretConsumers(s) retrieval",
        ("POST", "/v1/secrets/{id}/consumers") => "SecretConsumer creation",
        ("DELETE", "/v1/secrets/{id}/consumers") => "SecretConsumer deletion",
        ("GET", "/v1/secrets/{id}/consumers/{consumer_id}") => "SecretConsumer retrieval",
        ("POST", "/v1/containers") => "Container creation",
        ("GET", "/v1/containers") => "Containers(s) retrieval",
        ("GET", "/v1/containers/{id}") => "Container retrieval",
        ("DELETE", "/v1/containers/{id}") => "Container deletion",
        ("POST", "/v1/containers/{id}/secrets" | "/v1/containers/{id}/secrets/{secret_id}") => {
            "Container Secret creation"
        }
        ("DELETE", "/v1/containers/{id}/secrets" | "/v1/containers/{id}/secrets/{secret_id}") => {
            "Container Secret deletion"
        }
        ("GET", "/v1/containers/{id}/acl") => "ContainerACL(s) retrieval",
        ("PUT" | "PATCH", "/v1/containers/{id}/acl") => "ContainerACL(s) Update",
        ("DELETE", "/v1/containers/{id}/acl") => "ContainerACL(s) deletion",
        ("GET", "/v1/containers/{id}/consumers") => "ContainerConsumers(s) retrieval",
        ("POST", "/v1/containers/{id}/consumers") => "ContainerConsumer creation",
        ("DELETE", "/v1/containers/{id}/consumers") => "ContainerConsumer deletion",
        ("GET", "/v1/containers/{id}/consumers/{consumer_id}") => "ContainerConsumer retrieval",
        ("POST", "/v1/orders") => "Order creation",
        ("GET", "/v1/orders") => "Order(s) retrieval",
        ("PUT", "/v1/orders") => "Order update",
        ("GET", "/v1/orders/{id}") => "Order retrieval",
        ("DELETE", "/v1/orders/{id}") => "Order deletion",
        ("GET", "/v1/quotas") => "Quotas",
        (_, "/v1/project-quotas" | "/v1/project-quotas/{project_id}") => "Project Quotas",
        ("GET", "/v1/secret-stores") => "List available secret stores",
        (_, "/v1/secret-stores/global-default") => "Retrieve global default secret store",
        (_, "/v1/secret-stores/preferred") => "Retrieve project preferred store",
        ("GET", "/v1/transport_keys") => "Transport Key(s) retrieval",
        ("POST", "/v1/transport_keys") => "Transport Key Creation",
        ("GET", "/v1/transport_keys/{id}") => "Transport Key retrieval",
        ("DELETE", "/v1/transport_keys/{id}") => "Transport Key deletion",
        _ => "System",
    }
}

/// What a handler does for the methods it has, and a 405 that names them for all others; HEAD is
/// one of those.
fn allowing(methods: &'static str, router: MethodRouter<Simulator>) -> MethodRouter<Simulator> {
    let refuse = async move || refusal(methods);
    router.head(refuse).fallback(refuse)
}

/// Whether there is something of that id below which a path leads.
type Lookup = fn(&KeyManager, &Caller, &str, OffsetDateTime) -> Result<(), Refusal>;

const SECRET: Lookup = |all, _, id, now| secrets::find(all, id, now).map(|_| ());
const CONTAINER: Lookup = |all, _, id, _| containers::find(all, id).map(|_| ());
const ORDER: Lookup = |all, caller, id, _| orders::find(all, caller, id).map(|_| ());

/// The same where something is looked up before the method.
fn below(
    lookup: Lookup,
    methods: &'static str,
    router: MethodRouter<Simulator>,
) -> MethodRouter<Simulator> {
    let refuse = async move |State(simulator): State<Simulator>,
                             Extension(caller): Extension<Caller>,
                             path: RawPathParams| {
        let id = path.iter().find(|(name, _)| *name == "id").map_or("", |(_, id)| id);
        let now = simulator.clock().now();
        let found = simulator.read(|state| lookup(&state.key_manager, &caller, id, now));
        found.map_or_else(IntoResponse::into_response, |()| refusal(methods))
    };
    // In this way nobody else names methods.
    any(refuse).head(refuse).merge(router)
}

/// What stands for the methods of a path at which there is nothing.
const NOTHING: &str = "nothing";

/// A 405; upstream names no methods for one key of a secret's metadata.
fn refusal(methods: &'static str) -> Response {
    match methods {
        NOTHING => Refusal::not_found("").into_response(),
        "" => Refusal::Method.into_response(),
        _ => ([(ALLOW, methods)], Refusal::Method).into_response(),
    }
}
