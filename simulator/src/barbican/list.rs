//! Lists: paging, filters and order.

use std::cmp::Ordering;

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use http::HeaderMap;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use url::form_urlencoded;

use super::error::Refusal;
use super::{Caller, content, orders, secrets, validate};
use crate::Simulator;
use crate::key_manager::Secret;
use crate::query::Query;

/// `[DEFAULT] default_limit_paging` and `max_limit_paging`.
const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

pub(super) async fn secrets(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    content::accept_json(&headers)?;
    if !caller.is_member() {
        return Err(Refusal::NotAllowed("Secret(s) retrieval"));
    }
    let query = Query::parse(query.as_deref());
    if query.repeats() {
        return Err(Refusal::Failure("Secret(s) retrieval"));
    }
    let filter = Filter::of(&query, simulator.clock().now())?;
    let page = Page::of(&query);
    let rest = query.without(&["limit", "offset"]);
    simulator.read(|state| {
        let all = state.key_manager.secrets.values();
        let mut found: Vec<&Secret> = all
            .filter(|secret| secret.project_id == caller.project.id && filter.fits(secret))
            .collect();
        found.sort_by(|one, other| filter.order(one, other));
        let shown = found.iter().map(|secret| secrets::document(&simulator, secret, &caller));
        Ok(Json(page.body(&simulator, "secrets", "secrets", shown.collect(), &rest)))
    })
}

pub(super) async fn orders(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    content::accept_json(&headers)?;
    if !caller.is_member() {
        return Err(Refusal::NotAllowed("Order(s) retrieval"));
    }
    let page = Page::of(&Query::parse(query.as_deref()));
    simulator.read(|state| {
        let all = state.key_manager.orders.values();
        let mut found: Vec<_> = all.filter(|order| order.project_id == caller.project.id).collect();
        found.sort_by_key(|order| order.seq);
        let shown = found.iter().map(|order| orders::document(&simulator, order));
        Ok(Json(page.body(&simulator, "orders", "orders", shown.collect(), "")))
    })
}

/// A window on a list. What cannot be read is taken for the default.
pub(super) struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    pub(super) fn of(query: &Query) -> Self {
        let number = |name: &str| query.get(name).and_then(|text| text.trim().parse::<i64>().ok());
        let limit = number("limit").unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let offset = number("offset").unwrap_or(0).max(0);
        Self {
            limit: usize::try_from(limit).unwrap_or(1),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
        }
    }

    /// The window, with links to its neighbours that keep the other parameters in `rest`.
    pub(super) fn body(
        &self,
        simulator: &Simulator,
        name: &str,
        path: &str,
        all: Vec<Value>,
        rest: &str,
    ) -> Value {
        let total = all.len();
        let shown: Vec<Value> = all.into_iter().skip(self.offset).take(self.limit).collect();
        let link = |offset: usize| {
            let host = simulator.urls().key_manager;
            let separator = if rest.is_empty() { "" } else { "&" };
            Value::from(format!(
                "{host}/v1/{path}?limit={}&offset={offset}{separator}{rest}",
                self.limit,
            ))
        };
        let mut body = Map::new();
        if !shown.is_empty() {
            if self.offset > 0 {
                body.insert("previous".to_owned(), link(self.offset.saturating_sub(self.limit)));
            }
            if total > self.offset + self.limit {
                body.insert("next".to_owned(), link(self.offset + self.limit));
            }
        }
        body.insert(name.to_owned(), shown.into());
        body.insert("total".to_owned(), total.into());
        Value::Object(body)
    }
}

/// What `GET /v1/secrets` can be narrowed by.
struct Filter {
    name: Option<String>,
    algorithm: Option<String>,
    mode: Option<String>,
    secret_type: Option<String>,
    bits: i64,
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
            bits: query.get("bits").and_then(|text| text.trim().parse().ok()).unwrap_or(0),
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
        // A filter on the expiration lets expired secrets be seen.
        let is_visible = !self.expiration.is_empty() || secret.is_live(self.now);
        is_visible
            // There are no access lists, so nothing is shared.
            && !self.shared_only
            && is_like(&self.name, &attributes.name)
            && is_like(&self.algorithm, &attributes.algorithm)
            && is_like(&self.mode, &attributes.mode)
            && self.secret_type.as_ref().is_none_or(|kind| *kind == attributes.secret_type)
            && (self.bits <= 0 || attributes.bit_length == Some(self.bits))
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
    let bound = |part: &str| {
        let known = kinds
            .iter()
            .find_map(|(prefix, accepted)| part.strip_prefix(prefix).map(|rest| (rest, *accepted)));
        let (rest, accepted) = known?;
        validate::instant(rest).map(|at| Bound { accepted, at })
    };
    text.split(',').map(|part| bound(part).ok_or(Refusal::BadQuery)).collect()
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

/// The name filter is decoded once more than the rest of the query.
fn unquote(text: &str) -> String {
    // A name with `&` or `=` in it must not fall apart.
    let text = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes())
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

/// SQL's LIKE with `\` as its escape, case-sensitive as in PostgreSQL.
fn like(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    // Which beginnings of the value the pattern so far can stand for.
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    let mut letters = pattern.into_iter();
    while let Some(letter) = letters.next() {
        let mut next = vec![false; value.len() + 1];
        if letter == '%' {
            let first = reached.iter().position(|reached| *reached).unwrap_or(next.len());
            next[first..].fill(true);
        } else {
            let any = letter == '_';
            let letter = if letter == '\\' { letters.next().unwrap_or('\\') } else { letter };
            for (place, found) in value.iter().enumerate() {
                next[place + 1] = reached[place] && (any || *found == letter);
            }
        }
        reached = next;
    }
    reached[value.len()]
}

#[cfg(test)]
mod tests {
    use super::{like, unquote};

    #[test]
    fn names_are_matched_as_sql_does() {
        for (pattern, value, expected) in [
            ("shell", "shell", true),
            ("sh%", "shell", true),
            ("%ell", "shell", true),
            ("s_ell", "shell", true),
            ("%", "", true),
            ("a%b%c", "a-b-b-c", true),
            ("SHELL", "shell", false),
            ("sh", "shell", false),
            ("s\\_ell", "shell", false),
            ("s\\_ell", "s_ell", true),
            ("\\%", "%", true),
            ("", "x", false),
        ] {
            assert_eq!(like(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn the_name_filter_is_decoded_once_more() {
        for (given, expected) in
            [("a+b", "a b"), ("%73hell", "shell"), ("a&b=c", "a&b=c"), ("%", "%")]
        {
            assert_eq!(unquote(given), expected);
        }
    }
}
