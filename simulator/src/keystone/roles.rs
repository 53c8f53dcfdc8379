//! Roles, and which role implies which.

use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Answer, Call, Methods, change, created, no_content, ok, show};
use super::collection::{Fields, Resource, fresh_id};
use super::domains::{apply, check_mutable, options};
use super::error::Refusal;
use super::policy::Target;
use super::schema::{ID, ID_OR_NULL, IMMUTABLE, NAME, Schema, TEXT_OR_NULL, object};
use super::users::check_unique;
use crate::draws::Draws;
use crate::identity::{Directory, Identity, Kind, Record, fields};
use crate::state::State as Memory;

/// The role that none implies (keystone: `[assignment] prohibited_implied_role`).
const NEVER_IMPLIED: &str = "admin";

const ROLE: Schema = object(&[
    ("name", NAME),
    ("description", TEXT_OR_NULL),
    ("domain_id", ID_OR_NULL),
    ("options", IMMUTABLE),
]);

pub(super) struct Roles;

impl Resource for Roles {
    const KIND: Kind = Kind::Role;
    const ONE: &'static str = "role";
    const MANY: &'static str = "roles";
    const CREATE: &'static Schema = &Schema {
        required: Some(&["role"]),
        is_closed: true,
        ..object(&[("role", Schema { required: Some(&["name"]), ..ROLE })])
    };
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["role"]),
        is_closed: true,
        ..object(&[("role", Schema { min_properties: Some(1), ..ROLE })])
    };
    const QUERY: &'static Schema = &object(&[("name", NAME), ("domain_id", ID)]);
    const FILTERS: &'static [&'static str] = &["name", "domain_id"];
    const UNKNOWN_FIRST: &'static [&'static str] = &["get", "update", "delete"];

    fn rule(verb: &str, fields: &Fields) -> String {
        let domain = fields.get("domain_id").and_then(Value::as_str).unwrap_or_default();
        let prefix = if domain.is_empty() { "" } else { "domain_" };
        format!("identity:{verb}_{prefix}{}", if verb == "list" { Self::MANY } else { Self::ONE })
    }

    fn target<'a>(_: &'a str, fields: &'a Fields) -> Target<'a> {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let role = Some((text("name").unwrap_or_default(), text("domain_id")));
        Target { role, ..Target::default() }
    }

    /// Without a filter, the roles of no domain.
    fn is_listed(call: &Call<'_>, record: &Record) -> bool {
        call.asked("domain_id").is_some() || record.domain_id().is_none()
    }

    fn draft(
        _: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        let mut all = fields(json!({"description": null, "domain_id": null}));
        all.append(&mut given);
        let options = options(all.get("options"));
        all.insert("options".to_owned(), options);
        let record = Record::new(fresh_id(draws), all);
        check_unique(identity, Self::KIND, &record, false)?;
        Ok(record)
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        check_mutable(record, "update", Self::ONE, Some(&changes))?;
        let domain = changes.get("domain_id");
        if domain.is_some_and(|domain| record.fields.get("domain_id") != Some(domain)) {
            return Err(Refusal::Malformed("Update of `domain_id` is not allowed.".to_owned()));
        }
        changes.remove("id");
        apply(record, changes);
        check_unique(identity, Self::KIND, record, false)
    }

    fn check_removal(_: &Directory, record: &Record) -> Result<(), Refusal> {
        check_mutable(record, "delete", Self::ONE, None)
    }
}

/// All that a role implies.
pub(super) fn implied() -> Methods {
    show(|call, state| {
        let directory = state.identity.directory();
        let prior = role(call, directory, "id");
        let prior = pass(call, "identity:list_implied_roles", prior)?;
        let implied = directory.implications.iter().filter(|(id, _)| *id == prior.id);
        let implied = implied.filter_map(|(_, id)| directory.find(Kind::Role, id));
        let implied: Vec<Value> = implied.map(|one| brief(call, one)).collect();
        let link = call.link(&format!("roles/{}/implies", prior.id));
        Ok(ok(inference(call, prior, implied.into(), &link)))
    })
}

/// The methods of one implication.
pub(super) fn implication() -> Methods {
    show(|call, state| {
        let pair = pair(call, state.identity.directory(), "identity:get_implied_role")?;
        Ok(ok(one_inference(call, state.identity.directory(), pair)?))
    })
    .merge(change("HEAD", |call, state: &mut Memory| {
        let pair = pair(call, state.identity.directory(), "identity:check_implied_role")?;
        one_inference(call, state.identity.directory(), pair).map(|_| no_content())
    }))
    .merge(change("PUT", imply))
    .merge(change("DELETE", |call, state: &mut Memory| {
        let pair = pair(call, state.identity.directory(), "identity:delete_implied_role")?;
        one_inference(call, state.identity.directory(), pair)?;
        let ids = (pair.0.id.clone(), pair.1.id.clone());
        state.identity.directory_mut().implications.retain(|one| *one != ids);
        Ok(no_content())
    }))
}

fn imply(call: &Call<'_>, state: &mut Memory) -> Answer {
    let directory = state.identity.directory();
    let pair = pair(call, directory, "identity:create_implied_role")?;
    let (prior, implied) = pair;
    let is_narrower = prior.domain_id().is_none() && implied.domain_id().is_some();
    if implied.name() == NEVER_IMPLIED || is_narrower {
        return Err(Refusal::Denied(format!("{} cannot be an implied roles.", implied.id)));
    }
    let ids = (prior.id.clone(), implied.id.clone());
    if directory.implications.contains(&ids) {
        let details = "Duplicate entry".to_owned();
        return Err(Refusal::Conflict { kind: "implied_role", details });
    }
    let link = link_of(call, pair);
    let shown = inference(call, prior, brief(call, implied), &link);
    state.identity.directory_mut().implications.push(ids);
    Ok(created(shown))
}

/// All implications, by the role that implies.
pub(super) fn inferences() -> Methods {
    show(|call, state| -> Result<Response, Refusal> {
        call.allow("identity:list_role_inference_rules", &Target::default())?;
        let directory = state.identity.directory();
        let rules = directory.all(Kind::Role).iter().filter_map(|prior| {
            let ids = directory.implications.iter().filter(|(id, _)| *id == prior.id);
            let found = ids.filter_map(|(_, id)| directory.find(Kind::Role, id));
            let implies: Vec<Value> = found.map(|one| brief(call, one)).collect();
            let rule = json!({"prior_role": brief(call, prior), "implies": implies});
            (!implies.is_empty()).then_some(rule)
        });
        Ok(ok(json!({"role_inferences": rules.collect::<Vec<_>>()})))
    })
}

type Pair<'a> = (&'a Record, &'a Record);

fn role<'a>(call: &Call<'_>, directory: &'a Directory, param: &str) -> Result<&'a Record, Refusal> {
    let id = call.param(param);
    directory.find(Kind::Role, id).ok_or_else(|| Refusal::not_found(Kind::Role, id))
}

/// An unknown role is told before the policy, to callers that have a token.
fn pass<T>(call: &Call<'_>, action: &str, found: Result<T, Refusal>) -> Result<T, Refusal> {
    if call.caller.is_none() {
        return Err(Refusal::Unauthorized);
    }
    let found = found?;
    call.allow(action, &Target::default())?;
    Ok(found)
}

fn pair<'a>(call: &Call<'_>, directory: &'a Directory, action: &str) -> Result<Pair<'a>, Refusal> {
    let prior = role(call, directory, "id");
    let both = prior.and_then(|prior| Ok((prior, role(call, directory, "implied_id")?)));
    pass(call, action, both)
}

fn one_inference(call: &Call<'_>, directory: &Directory, pair: Pair<'_>) -> Result<Value, Refusal> {
    let (prior, implied) = pair;
    let mut known = directory.implications.iter();
    if !known.any(|(one, other)| *one == prior.id && *other == implied.id) {
        return Err(Refusal::Absent(format!("{} does not imply {}.", prior.id, implied.id)));
    }
    Ok(inference(call, prior, brief(call, implied), &link_of(call, pair)))
}

fn link_of(call: &Call<'_>, (prior, implied): Pair<'_>) -> String {
    call.link(&format!("roles/{}/implies/{}", prior.id, implied.id))
}

fn inference(call: &Call<'_>, prior: &Record, implies: Value, link: &str) -> Value {
    let inference = json!({"prior_role": brief(call, prior), "implies": implies});
    json!({"role_inference": inference, "links": {"self": link}})
}

fn brief(call: &Call<'_>, role: &Record) -> Value {
    let link = call.link(&format!("roles/{}", role.id));
    json!({"id": role.id, "name": role.name(), "links": {"self": link}})
}
