//! The requests of a history, and what their replies have to say.

use crate::cloud::Reply;
use crate::life::volume_id;
use crate::machine::Machine;
use crate::operation::{Ask, Door, Person, Shown, What};
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use transfer_core::TransferId;

/// The name of an offer that has one.
const NAME: &str = "a gift";

/// The id of no offer.
const NOBODYS: &str = "33333333-3333-4333-8333-333333333333";

/// An offer that was made; without its auth key when the reply was lost.
pub(crate) struct Made {
    pub(crate) id: TransferId,
    pub(crate) auth_key: Option<String>,
}

/// The request that somebody makes.
pub(crate) fn of(machine: &Machine, by: Person, ask: &Ask, token: &str) -> Request<Body> {
    let id = |place: usize| {
        let number = machine.reference.offer(place);
        number.map_or(NOBODYS, |number| machine.offers[number].id.as_str())
    };
    let (method, path, body) = match ask.what {
        What::Offer { volume, no_snapshots, named } => {
            let mut transfer = json!({"volume_id": volume_id(volume)});
            if let Some(no_snapshots) = no_snapshots {
                transfer["no_snapshots"] = no_snapshots.into();
            }
            if named {
                transfer["name"] = NAME.into();
            }
            ("POST", String::new(), Some(json!({"transfer": transfer})))
        }
        What::Accept { offer, shown } => {
            let body = json!({"accept": {"auth_key": auth_key(machine, offer, shown)}});
            ("POST", format!("/{}/accept", id(offer)), Some(body))
        }
        What::Withdraw { offer } => ("DELETE", format!("/{}", id(offer)), None),
        What::Show { offer } => ("GET", format!("/{}", id(offer)), None),
        What::List { all_tenants } => {
            let all = if all_tenants { "?all_tenants=1" } else { "" };
            ("GET", format!("/detail{all}"), None)
        }
    };
    let Door { legacy, project_in_path, minor } = ask.door;
    let project = machine.project(by);
    let project = if project_in_path { format!("/{project}") } else { String::new() };
    let collection = if legacy { "os-volume-transfer" } else { "volume-transfers" };
    let request = Request::builder()
        .method(method)
        .uri(format!("/v3{project}/{collection}{path}"))
        .header("x-auth-token", token)
        .header("openstack-api-version", format!("volume 3.{minor}"));
    match body {
        None => request.body(Body::empty()),
        Some(body) => {
            request.header("content-type", "application/json").body(Body::from(body.to_string()))
        }
    }
    .unwrap()
}

/// What anybody may ask at any time.
pub(crate) fn list(token: &str) -> Request<Body> {
    let request = Request::get("/v3/volume-transfers").header("x-auth-token", token);
    request.body(Body::empty()).unwrap()
}

/// The offer that a reply tells of.
pub(crate) fn made(ask: &Ask, reply: &Reply) -> Option<Made> {
    let What::Offer { .. } = ask.what else { return None };
    if reply.status != 202 {
        return None;
    }
    let transfer = &reply.json()["transfer"];
    let id = TransferId::new(transfer["id"].as_str().unwrap());
    Some(Made { id, auth_key: Some(transfer["auth_key"].as_str().unwrap().to_owned()) })
}

/// The body of a reply with the expected status is about what was asked for.
pub(crate) fn check(machine: &Machine, by: Person, ask: &Ask, reply: &Reply) -> Result<(), String> {
    let (found, expected) = match ask.what {
        _any if reply.status >= 400 => {
            let over_quota = reply.status == 413;
            if over_quota != reply.headers.contains_key("retry-after") {
                return Err(format!("retry-after is for 413 only: {reply:?}"));
            }
            let body = reply.json();
            let fault = body.as_object().and_then(|body| body.values().next());
            (fault.map_or(Value::Null, |fault| fault["code"].clone()), json!(reply.status))
        }
        What::Offer { volume, named, no_snapshots } => {
            let transfer = &reply.json()["transfer"];
            let name = named.then_some(NAME);
            let snapshots = (ask.door.minor >= 55).then_some(no_snapshots.unwrap_or(false));
            (
                json!([transfer["volume_id"], transfer["name"], transfer["no_snapshots"]]),
                json!([volume_id(volume), name, snapshots]),
            )
        }
        What::Accept { offer, .. } | What::Show { offer } => {
            let number = machine.reference.offer(offer).ok_or("there is no such offer")?;
            let known = &machine.reference.offers[number];
            let transfer = &reply.json()["transfer"];
            let name = known.named.then_some(NAME);
            (
                json!([transfer["id"], transfer["volume_id"], transfer["name"]]),
                json!([machine.offers[number].id, volume_id(known.volume), name]),
            )
        }
        What::List { all_tenants } => {
            let body = reply.json();
            let found = body["transfers"].as_array().into_iter().flatten();
            let found: BTreeSet<_> = found.filter_map(|transfer| transfer["id"].as_str()).collect();
            let numbers = machine.reference.listed(by, all_tenants).into_iter();
            let expected: BTreeSet<_> =
                numbers.map(|number| machine.offers[number].id.as_str()).collect();
            (json!(found), json!(expected))
        }
        What::Withdraw { .. } => return Ok(()),
    };
    if found == expected { Ok(()) } else { Err(format!("says {found} instead of {expected}")) }
}

fn auth_key(machine: &Machine, place: usize, shown: Shown) -> &str {
    let number = machine.reference.offer(place);
    let number = match shown {
        Shown::Right => number,
        Shown::OfAnotherOffer => number.and_then(|number| {
            let other = (number + 1) % machine.offers.len();
            (other != number).then_some(other)
        }),
        Shown::Wrong => None,
    };
    let key = number.and_then(|number| machine.offers[number].auth_key.as_deref());
    key.unwrap_or("0123456789abcdef")
}
