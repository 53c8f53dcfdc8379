//! All role assignments, as they were made or, when asked for, as what they effect.

use serde_json::{Value, json};

use super::call::{Answer, Call, Methods, ok, show};
use super::collection::{check_query, own_domain};
use super::error::Refusal;
use super::policy::Target;
use super::schema::{ID, Schema, TEXT, object};
use crate::identity::{Actor, Directory, Effect, Kind, Record, Scope};
use crate::pyrepr::repr;
use crate::state::State as Memory;

const QUERY: Schema = object(&[
    ("group.id", ID),
    ("role.id", ID),
    ("scope.domain.id", ID),
    ("scope.project.id", ID),
    ("user.id", TEXT),
]);

/// Pairs of filters that leave nothing, and what is said of them.
const APART: &[(&str, &str, &str)] = &[
    ("scope.domain.id", "scope.project.id", "Specify a domain or project, not both"),
    ("scope.domain.id", "scope.system", "Specify system or domain, not both"),
    ("scope.project.id", "scope.system", "Specify system or project, not both"),
];

pub(super) fn all() -> Methods {
    show(list)
}

fn list(call: &Call<'_>, state: &Memory) -> Answer {
    check_shape(call)?;
    let directory = state.identity.directory();
    let has_subtree = call.is_asked("include_subtree");
    let project_id = call.asked("scope.project.id");
    let project = project_id.and_then(|id| directory.find(Kind::Project, id));
    let lost = || Refusal::not_found(Kind::Project, project_id.unwrap_or_default());
    if has_subtree {
        let domain = project.ok_or_else(lost)?.domain_id();
        call.allow("identity:list_role_assignments_for_tree", &Target::in_domain(domain))?;
    } else {
        let target = Target::in_domain(own_domain(call));
        call.allow("identity:list_role_assignments", &target)?;
    }
    check_filters(call)?;
    let is_effective = call.is_asked("effective");
    if is_effective && project_id.is_some() {
        project.ok_or_else(lost)?;
    }
    let asks_system = call.asked("scope.system") == Some("all");
    let all = directory.assignments.iter().flat_map(|one| {
        if is_effective && one.scope == Scope::System && !asks_system {
            // What the system's roles effect is not told beside that of others.
            return Vec::new();
        }
        if is_effective {
            return directory.effects(one).into_iter().map(Entry::Effect).collect();
        }
        vec![Entry::Made(&one.actor, &one.scope, &one.role_id)]
    });
    let shown = all.filter(|entry| is_wanted(call, directory, entry, has_subtree));
    let shown: Vec<Value> = shown.map(|entry| entry.shown(call, directory)).collect();
    let links = json!({"next": null, "self": call.self_link(), "previous": null});
    Ok(ok(json!({"role_assignments": shown, "links": links})))
}

fn check_shape(call: &Call<'_>) -> Result<(), Refusal> {
    let is_given = |name: &str| call.query.iter().any(|(key, _)| key == name);
    check_query(&QUERY, call)?;
    if is_given("include_subtree") && !is_given("scope.project.id") {
        let text = "'scope.project.id' is a dependency of 'include_subtree'";
        return Err(Refusal::Malformed(text.to_owned()));
    }
    if is_given("user.id") && is_given("group.id") {
        let text = |text: &str| repr(&Value::from(text));
        let pairs =
            call.query.iter().map(|(key, value)| format!("({}, {})", text(key), text(value)));
        return Err(Refusal::Malformed(format!(
            "ImmutableMultiDict([{}]) is valid under each of {{'required': ['group.id']}}, \
             {{'required': ['user.id']}}",
            pairs.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(())
}

fn check_filters(call: &Call<'_>) -> Result<(), Refusal> {
    let is_set = |name: &str| call.asked(name).is_some();
    let clash = APART.iter().find(|(one, other, _)| is_set(one) && is_set(other));
    if let Some((_, _, text)) = clash {
        return Err(Refusal::Malformed((*text).to_owned()));
    }
    if call.is_asked("effective") && is_set("group.id") {
        let text = "Combining effective and group filter will always result in an empty list.";
        return Err(Refusal::Malformed(text.to_owned()));
    }
    Ok(())
}

/// One line of the list.
enum Entry<'a> {
    Made(&'a Actor, &'a Scope, &'a str),
    Effect(Effect),
}

impl Entry<'_> {
    fn scope(&self) -> &Scope {
        match self {
            Self::Made(_, scope, _) => scope,
            Self::Effect(effect) => &effect.scope,
        }
    }

    fn role_id(&self) -> &str {
        match self {
            Self::Made(_, _, role_id) => role_id,
            Self::Effect(effect) => &effect.role_id,
        }
    }

    /// The user and the group that it is for.
    fn actors(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Made(Actor::User(id), _, _) => (Some(id), None),
            Self::Made(Actor::Group(id), _, _) => (None, Some(id)),
            Self::Effect(effect) => (Some(&effect.user_id), None),
        }
    }

    fn shown(&self, call: &Call<'_>, directory: &Directory) -> Value {
        let named = |kind, id: &str| naming(call, directory, kind, id);
        let scope = match self.scope() {
            Scope::Project(id) => json!({"project": named(Kind::Project, id)}),
            Scope::Domain(id) => json!({"domain": named(Kind::Domain, id)}),
            Scope::System | Scope::Unscoped => json!({"system": {"all": true}}),
        };
        let mut links = json!({"assignment": call.link(&self.path())});
        let mut shown = json!({"scope": scope, "role": named(Kind::Role, self.role_id())});
        match self.actors() {
            (Some(id), _) => shown["user"] = named(Kind::User, id),
            (None, id) => shown["group"] = named(Kind::Group, id.unwrap_or_default()),
        }
        if let Self::Effect(effect) = self {
            if let Some(group) = &effect.group_id {
                let path = format!("groups/{group}/users/{}", effect.user_id);
                links["membership"] = Value::from(call.link(&path));
            }
            if let Some(prior) = &effect.prior_id {
                let path = format!("prior_role/{}/implies/{prior}", effect.role_id);
                links["prior_role"] = Value::from(call.link(&path));
            }
        }
        shown["links"] = links;
        shown
    }

    /// Where the assignment was made.
    fn path(&self) -> String {
        let scope = match self.scope() {
            Scope::Project(id) => format!("projects/{id}"),
            Scope::Domain(id) => format!("domains/{id}"),
            Scope::System | Scope::Unscoped => "system".to_owned(),
        };
        let (actor, role) = match self {
            Self::Made(Actor::User(id), _, role) => (format!("users/{id}"), *role),
            Self::Made(Actor::Group(id), _, role) => (format!("groups/{id}"), *role),
            Self::Effect(effect) => {
                let user = || format!("users/{}", effect.user_id);
                let actor = effect.group_id.as_ref().map(|id| format!("groups/{id}"));
                let role = effect.prior_id.as_ref().unwrap_or(&effect.role_id);
                (actor.unwrap_or_else(user), role.as_str())
            }
        };
        format!("{scope}/{actor}/roles/{role}")
    }
}

fn is_wanted(call: &Call<'_>, directory: &Directory, entry: &Entry<'_>, has_subtree: bool) -> bool {
    let is = |name: &str, found: Option<&str>| call.asked(name).is_none_or(|id| Some(id) == found);
    let (user, group) = entry.actors();
    let (project, domain) = match entry.scope() {
        Scope::Project(id) => (Some(id.as_str()), None),
        Scope::Domain(id) => (None, Some(id.as_str())),
        Scope::System | Scope::Unscoped => (None, None),
    };
    let is_system = *entry.scope() == Scope::System;
    let home = domain.or_else(|| directory.find(Kind::Project, project?)?.domain_id());
    let asks_inherited = call.asked("scope.OS-INHERIT:inherited_to") == Some("projects");
    let is_below = |top: &str| {
        let up = |id: &str| directory.find(Kind::Project, id)?.text("parent_id");
        let mut chain = std::iter::successors(project, |id| up(id));
        chain.any(|id| id == top)
    };
    is("user.id", user)
        && is("group.id", group)
        && is("role.id", Some(entry.role_id()))
        && is("scope.domain.id", domain)
        && match call.asked("scope.project.id") {
            Some(id) if has_subtree => is_below(id),
            Some(id) => project == Some(id),
            None => true,
        }
        && (call.asked("scope.system") != Some("all") || is_system)
        && (!asks_inherited || is_system)
        && own_domain(call).is_none_or(|own| home == Some(own))
}

/// The id and, when asked for, the name and the domain.
fn naming(call: &Call<'_>, directory: &Directory, kind: Kind, id: &str) -> Value {
    let mut shown = json!({"id": id});
    let record = directory.find(kind, id).filter(|_| call.is_asked("include_names"));
    if let Some(record) = record {
        shown["name"] = Value::from(record.name());
        if let Some(domain) = record.domain_id() {
            let name = directory.find(Kind::Domain, domain).map(Record::name);
            shown["domain"] = json!({"id": domain, "name": name});
        }
    }
    shown
}
