//! The list of secrets: its filters and its order.
//!
//! Source: barbican 23, `api/controllers/secrets.py`, `model/repositories.py` get_secret_list.

use std::cmp::Ordering;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use time::OffsetDateTime;

use super::asked::Asked;
use super::error::Refusal;
use super::instant::instant;
use super::like::{like, unquote};
use super::page::{Page, number};
use super::{policy, secrets};
use crate::Simulator;
use crate::key_manager::Secret;
use crate::query::Query;

/// What a list can be narrowed and ordered by.
const PARAMETERS: &[&str] = &[
    "limit",
    "offset",
    "name",
    "alg",
    "mode",
    "bits",
    "secret_type",
    "acl_only",
    "created",
    "updated",
    "expiration",
    "sort",
];

pub(super) async fn secrets(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::SECRETS_GET)?;
    asked.once(PARAMETERS)?;
    let filter = Filter::of(&asked.query, simulator.clock().now())?;
    let (user_id, project_id) = (&asked.caller.bearer.user.id, &asked.caller.project.id);
    // What was shared with the caller, of whatever project, or what is the project's.
    let is_within = |secret: &Secret| {
        if filter.shared_only {
            secret.acl.as_ref().is_some_and(|acl| acl.names(user_id))
        } else {
            secret.project_id == *project_id
        }
    };
    let rest = asked.query.without(&["limit", "offset"]);
    simulator.read(|state| {
        let all = state.key_manager.secrets.values();
        let mut found: Vec<&Secret> =
            all.filter(|secret| is_within(secret) && filter.fits(secret)).collect();
        found.sort_by(|one, other| filter.order(one, other));
        let shown = found.iter().map(|secret| secrets::document(&simulator, secret, &asked.caller));
        let page = Page::of(&asked.query);
        Ok(Json(page.body(&simulator, "secrets", "secrets", shown.collect(), &rest)))
    })
}

/// What `GET /v1/secrets` can be narrowed by.
struct Filter {
    name: Option<String>,
    algorithm: Option<String>,
    mode: Option<String>,
    secret_type: Option<String>,
    bits: i128,
    created: Vec<Bound>,
    updated: Vec<Bound>,
    expiration: Vec<Bound>,
    shared_only: bool,
    sort: Vec<(SortKey, bool)>,
    now: OffsetDateTime,
}

type SortKey = fn(&Secret, &Secret) -> Ordering;

impl Filter {
    fn of(query: &Query, now: OffsetDateTime) -> Result<Self, Refusal> {
        let text = |name: &str| query.get(name).map(str::to_owned);
        let bounds = |name: &str| query.get(name).map_or(Ok(Vec::new()), bounds);
        Ok(Self {
            name: query.get("name").map(unquote),
            algorithm: text("alg"),
            mode: text("mode"),
            secret_type: text("secret_type"),
            bits: query.get("bits").and_then(number).unwrap_or(0),
            created: bounds("created")?,
            updated: bounds("updated")?,
            expiration: bounds("expiration")?,
            shared_only: query
                .get("acl_only")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
            sort: query.get("sort").map_or(Ok(Vec::new()), sort_keys)?,
            now,
        })
    }

    fn fits(&self, secret: &Secret) -> bool {
        let attributes = &secret.attributes;
        let is_like = |pattern: &Option<String>, value: &Option<String>| match (pattern, value) {
            (None, _) => true,
            (Some(pattern), Some(value)) => like(pattern, value),
            (Some(_), None) => false,
        };
        let within = |bounds: &[Bound], at: Option<OffsetDateTime>| {
            bounds.iter().all(|bound| at.is_some_and(|at| bound.holds(at)))
        };
        secret.is_live(self.now)
            && is_like(&self.name, &attributes.name)
            && is_like(&self.algorithm, &attributes.algorithm)
            && is_like(&self.mode, &attributes.mode)
            && self.secret_type.as_ref().is_none_or(|kind| *kind == attributes.secret_type)
            && (self.bits <= 0 || attributes.bit_length.map(i128::from) == Some(self.bits))
            && within(&self.created, Some(secret.created))
            && within(&self.updated, Some(secret.updated))
            && within(&self.expiration, attributes.expiration)
    }

    fn order(&self, one: &Secret, other: &Secret) -> Ordering {
        let keys = self.sort.iter().map(|(key, descending)| {
            let order = key(one, other);
            if *descending { order.reverse() } else { order }
        });
        keys.fold(Ordering::Equal, Ordering::then).then(one.seq.cmp(&other.seq))
    }
}

/// A limit of a time, such as `gt:2026-01-01T00:00:00`.
struct Bound {
    accepted: &'static [Ordering],
    at: OffsetDateTime,
}

impl Bound {
    fn holds(&self, at: OffsetDateTime) -> bool {
        self.accepted.contains(&at.cmp(&self.at))
    }

    /// Whether both speak of the same side, or one of the moment that the other includes.
    fn collides(&self, other: &Self) -> bool {
        let is_moment = self.accepted.len() == 1 || other.accepted.len() == 1;
        let shared = |side: &&Ordering| other.accepted.contains(side);
        self.accepted.iter().filter(shared).any(|side| side.is_ne() || is_moment)
    }
}

fn bounds(text: &str) -> Result<Vec<Bound>, Refusal> {
    use Ordering::{Equal, Greater, Less};
    let kinds: [(&str, &'static [Ordering]); 5] = [
        ("gte:", &[Greater, Equal]),
        ("gt:", &[Greater]),
        ("lte:", &[Less, Equal]),
        ("lt:", &[Less]),
        ("", &[Equal]),
    ];
    let mut bounds: Vec<Bound> = Vec::new();
    for part in text.split(',') {
        let known = kinds
            .iter()
            .find_map(|(prefix, accepted)| part.strip_prefix(prefix).map(|rest| (rest, *accepted)));
        let (rest, accepted) = known.ok_or(Refusal::BadQuery)?;
        let bound = Bound { accepted, at: instant(rest).ok_or(Refusal::BadQuery)? };
        if bounds.iter().any(|known| known.collides(&bound)) {
            return Err(Refusal::BadQuery);
        }
        bounds.push(bound);
    }
    Ok(bounds)
}

fn sort_keys(text: &str) -> Result<Vec<(SortKey, bool)>, Refusal> {
    let mut keys: Vec<(SortKey, bool)> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for part in text.split(',') {
        let (name, direction) = part.split_once(':').unwrap_or((part, "asc"));
        let key: SortKey = match name {
            "algorithm" => |a, b| nulls_last(&a.attributes.algorithm, &b.attributes.algorithm),
            "bit_length" => |a, b| nulls_last(&a.attributes.bit_length, &b.attributes.bit_length),
            "created" => |a, b| a.created.cmp(&b.created),
            "expiration" => |a, b| nulls_last(&a.attributes.expiration, &b.attributes.expiration),
            "mode" => |a, b| nulls_last(&a.attributes.mode, &b.attributes.mode),
            "name" => |a, b| nulls_last(&a.attributes.name, &b.attributes.name),
            "secret_type" => |a, b| a.attributes.secret_type.cmp(&b.attributes.secret_type),
            // Every secret is ACTIVE.
            "status" => |_, _| Ordering::Equal,
            "updated" => |a, b| a.updated.cmp(&b.updated),
            _ => return Err(Refusal::BadQuery),
        };
        if names.contains(&name) || !matches!(direction, "asc" | "desc") {
            return Err(Refusal::BadQuery);
        }
        names.push(name);
        keys.push((key, direction == "desc"));
    }
    Ok(keys)
}

/// As PostgreSQL sorts.
fn nulls_last<T: Ord>(one: &Option<T>, other: &Option<T>) -> Ordering {
    one.is_none().cmp(&other.is_none()).then_with(|| one.cmp(other))
}
