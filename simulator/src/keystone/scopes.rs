//! What a token could be exchanged for: the projects, domains and the system of its user.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::call::{Answer, Call, ok};
use super::collection::{Resource, listed};
use super::domains::Domains;
use super::policy::Target;
use super::projects::Projects;
use crate::identity::{Kind, Scope};
use crate::state::State as Memory;

pub(super) fn projects(call: &Call<'_>, state: &Memory) -> Answer {
    reachable::<Projects>(call, state, "identity:get_auth_projects", Kind::Project)
}

pub(super) fn domains(call: &Call<'_>, state: &Memory) -> Answer {
    reachable::<Domains>(call, state, "identity:get_auth_domains", Kind::Domain)
}

fn reachable<R: Resource>(call: &Call<'_>, state: &Memory, action: &str, kind: Kind) -> Answer {
    let user_id = &call.allow(action, &Target::default())?.bearer.user.id;
    let directory = state.identity.directory();
    let found = directory.reachable(user_id, kind).into_iter();
    let found = found.filter(|one| directory.is_enabled(one)).map(Cow::Borrowed).collect();
    listed(call, R::MANY, &[], found, |one| R::document(call, directory, one))
}

pub(super) fn system(call: &Call<'_>, state: &Memory) -> Answer {
    let caller = call.allow("identity:get_auth_system", &Target::default())?;
    let roles = state.identity.directory().roles_of(&caller.bearer.user.id, &Scope::System);
    let system: Vec<Value> = if roles.is_empty() { Vec::new() } else { vec![json!({"all": true})] };
    Ok(ok(json!({"system": system, "links": {"self": call.link("auth/system")}})))
}
