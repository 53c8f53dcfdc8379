//! Roles of users and groups on projects, on domains and on the system.

use std::borrow::Cow;

use super::call::{Answer, Call, change, no_content, show};
use super::collection::{Resource as _, listed};
use super::error::Refusal;
use super::policy::Target;
use super::roles::Roles;
use crate::identity::{Actor, Assignment, Directory, Kind, Record, Scope};
use crate::routes::Routes;
use crate::state::State as Memory;

/// What the paths of one kind of grants are about.
#[derive(Clone, Copy)]
struct Place {
    /// Projects or domains; none for the system.
    on: Option<Kind>,
    /// Users or groups.
    to: Kind,
}

/// Adds the paths of all grants.
pub(super) fn routes(routes: Routes) -> Routes {
    let paths = [
        (Some(Kind::Project), Kind::User, "/v3/projects/{id}/users/{actor_id}/roles"),
        (Some(Kind::Project), Kind::Group, "/v3/projects/{id}/groups/{actor_id}/roles"),
        (Some(Kind::Domain), Kind::User, "/v3/domains/{id}/users/{actor_id}/roles"),
        (Some(Kind::Domain), Kind::Group, "/v3/domains/{id}/groups/{actor_id}/roles"),
        (None, Kind::User, "/v3/system/users/{actor_id}/roles"),
        (None, Kind::Group, "/v3/system/groups/{actor_id}/roles"),
    ];
    let members = [
        "/v3/projects/{id}/users/{actor_id}/roles/{role_id}",
        "/v3/projects/{id}/groups/{actor_id}/roles/{role_id}",
        "/v3/domains/{id}/users/{actor_id}/roles/{role_id}",
        "/v3/domains/{id}/groups/{actor_id}/roles/{role_id}",
        "/v3/system/users/{actor_id}/roles/{role_id}",
        "/v3/system/groups/{actor_id}/roles/{role_id}",
    ];
    paths.into_iter().zip(members).fold(routes, |routes, ((on, to, path), member)| {
        let place = Place { on, to };
        let all = show(move |call, state| list(call, state, place));
        let one = show(move |call, state| has(call, state, place))
            .merge(change("PUT", move |call, state: &mut Memory| grant(call, state, place)))
            .merge(change("DELETE", move |call, state: &mut Memory| revoke(call, state, place)));
        routes.at(path, all.finish()).at(member, one.finish())
    })
}

impl Place {
    fn action(self, verb: &str) -> String {
        let plural = if verb == "list" { "s" } else { "" };
        match (self.on, self.to) {
            (Some(_), _) => format!("identity:{verb}_grant{plural}"),
            (None, Kind::Group) => format!("identity:{verb}_system_grant{plural}_for_group"),
            (None, _) => format!("identity:{verb}_system_grant{plural}_for_user"),
        }
    }

    fn actor(self, call: &Call<'_>) -> Actor {
        let id = call.param("actor_id").to_owned();
        if self.to == Kind::Group { Actor::Group(id) } else { Actor::User(id) }
    }

    fn scope(self, call: &Call<'_>) -> Scope {
        let id = call.param("id").to_owned();
        match self.on {
            None => Scope::System,
            Some(Kind::Domain) => Scope::Domain(id),
            Some(_) => Scope::Project(id),
        }
    }
}

/// Looks up all that the path names, then asks the policy. An unknown name is told first; a
/// grant to somebody who is gone can still be revoked.
fn sought<'a>(
    call: &Call<'_>,
    directory: &'a Directory,
    place: Place,
    verb: &str,
) -> Result<(Assignment, Option<&'a Record>), Refusal> {
    if call.caller.is_none() {
        return Err(Refusal::Unauthorized);
    }
    let find = |kind, param| {
        let id = call.param(param);
        directory.find(kind, id).ok_or_else(|| Refusal::not_found(kind, id))
    };
    let on = |kind: Kind| find(kind, "id").map(|one| (kind, one));
    // A domain is looked up first, a project last.
    let domain = place.on.filter(|kind| *kind == Kind::Domain).map(on).transpose()?;
    let role = (verb != "list").then(|| find(Kind::Role, "role_id")).transpose()?;
    let actor = match find(place.to, "actor_id") {
        Ok(actor) => Some(actor),
        Err(_) if verb == "revoke" => None,
        Err(refusal) => return Err(refusal),
    };
    let project = place.on.filter(|kind| *kind == Kind::Project).map(on).transpose()?;
    let mut domain_ids = vec![actor.and_then(Record::domain_id)];
    domain_ids.extend(domain.map(|(_, one)| Some(one.id.as_str())));
    domain_ids.extend(project.map(|(_, one)| one.domain_id()));
    let target = Target {
        domain_ids,
        role: role.map(|role| (role.name(), role.domain_id())),
        ..Target::default()
    };
    call.allow(&place.action(verb), &target)?;
    let role_id = role.map(|role| role.id.clone()).unwrap_or_default();
    Ok((Assignment { actor: place.actor(call), scope: place.scope(call), role_id }, role))
}

fn list(call: &Call<'_>, state: &Memory, place: Place) -> Answer {
    let directory = state.identity.directory();
    let (sought, _) = sought(call, directory, place, "list")?;
    let found = directory
        .assignments
        .iter()
        .filter(|one| one.actor == sought.actor && one.scope == sought.scope);
    let roles = found.filter_map(|one| directory.find(Kind::Role, &one.role_id));
    listed(call, Roles::MANY, &[], roles.map(Cow::Borrowed).collect(), |one| {
        Roles::document(call, directory, one)
    })
}

fn check_held(directory: &Directory, sought: &Assignment) -> Result<(), Refusal> {
    if directory.assignments.contains(sought) {
        return Ok(());
    }
    Err(Refusal::Absent(format!(
        "Could not find role assignment with role: {}, user or group: {}, project, domain, or \
         system: {}.",
        sought.role_id,
        sought.actor.id(),
        sought.scope.target()
    )))
}

fn has(call: &Call<'_>, state: &Memory, place: Place) -> Answer {
    let directory = state.identity.directory();
    let (sought, _) = sought(call, directory, place, "check")?;
    check_held(directory, &sought).map(|()| no_content())
}

fn grant(call: &Call<'_>, state: &mut Memory, place: Place) -> Answer {
    let directory = state.identity.directory();
    let (sought, role) = sought(call, directory, place, "create")?;
    if let Some(domain_id) = role.and_then(Record::domain_id) {
        check_domain_role(directory, &sought, domain_id)?;
    }
    if !directory.assignments.contains(&sought) {
        state.identity.directory_mut().assignments.push(sought);
    }
    Ok(no_content())
}

/// A role of a domain is for what is in that domain.
fn check_domain_role(
    directory: &Directory,
    sought: &Assignment,
    domain_id: &str,
) -> Result<(), Refusal> {
    match &sought.scope {
        Scope::System => Err(Refusal::Malformed(format!(
            "Role {} is a domain-specific role. Unable to use a domain-specific role in a system \
             assignment.",
            sought.role_id
        ))),
        Scope::Project(id) => {
            let project = directory.find(Kind::Project, id);
            if project.is_some_and(|project| project.domain_id() == Some(domain_id)) {
                return Ok(());
            }
            Err(Refusal::Denied(format!(
                "Project {id} must be in the same domain as the role {} being assigned.",
                sought.role_id
            )))
        }
        Scope::Unscoped | Scope::Domain(_) => Ok(()),
    }
}

fn revoke(call: &Call<'_>, state: &mut Memory, place: Place) -> Answer {
    let directory = state.identity.directory();
    let (sought, _) = sought(call, directory, place, "revoke")?;
    check_held(directory, &sought)?;
    state.identity.directory_mut().assignments.retain(|one| *one != sought);
    Ok(no_content())
}
