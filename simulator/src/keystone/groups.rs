//! Groups and who is in them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::call::{Answer, Call, Methods, change, no_content, show};
use super::collection::{Fields, Resource, fresh_id, listed, own_domain, settle_domain};
use super::error::Refusal;
use super::policy::Target;
use super::schema::{Choice, ID, NAME, Schema, TEXT_OR_NULL, choice, object};
use super::users::{Users, check_domain, check_unique, keep_domain};
use crate::draws::Draws;
use crate::identity::{Directory, Identity, Kind, Record, fields};
use crate::state::State as Memory;

pub(super) struct Groups;

impl Resource for Groups {
    const KIND: Kind = Kind::Group;
    const ONE: &'static str = "group";
    const MANY: &'static str = "groups";
    const CREATE: &'static Schema = &Schema {
        required: Some(&["group"]),
        is_closed: true,
        ..object(&[(
            "group",
            Schema {
                required: Some(&["name"]),
                ..object(&[("domain_id", ID), ("description", TEXT_OR_NULL), ("name", NAME)])
            },
        )])
    };
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["group"]),
        is_closed: true,
        ..object(&[(
            "group",
            Schema {
                min_properties: Some(1),
                ..object(&[("description", TEXT_OR_NULL), ("name", NAME)])
            },
        )])
    };
    const QUERY: &'static Schema = &object(&[
        ("domain_id", ID),
        ("name", NAME),
        ("sort_dir", choice(&[Choice::Text("asc"), Choice::Text("desc")])),
    ]);
    const FILTERS: &'static [&'static str] = &["domain_id", "name"];
    const UNKNOWN_FIRST: &'static [&'static str] = &["delete"];

    fn home<'a>(_: &'a str, fields: &'a Fields) -> Option<&'a str> {
        fields.get("domain_id").and_then(Value::as_str)
    }

    fn draft(
        call: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        settle_domain(call, &mut given);
        check_domain(identity, &given)?;
        let mut all = fields(json!({"description": ""}));
        all.append(&mut given);
        let record = Record::new(fresh_id(draws), all);
        check_unique(identity, Self::KIND, &record, true)?;
        Ok(record)
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        keep_domain(record, &changes)?;
        changes.remove("id");
        record.fields.append(&mut changes);
        check_unique(identity, Self::KIND, record, false)
    }
}

/// The users in a group.
pub(super) fn users() -> Methods {
    show(|call, state| {
        let (directory, id) = (state.identity.directory(), call.param("id"));
        let group = directory.find(Kind::Group, id);
        let target = group.map(|group| Target::in_domain(group.domain_id()));
        call.allow("identity:list_users_in_group", &target.unwrap_or_default())?;
        group.ok_or_else(|| Refusal::not_found(Kind::Group, id))?;
        let found = directory.all(Kind::User).iter().filter(|user| {
            directory.is_member(&user.id, id)
                && own_domain(call).is_none_or(|own| user.domain_id() == Some(own))
        });
        let filters = ["domain_id", "enabled", "name"];
        listed(call, Users::MANY, &filters, found.map(Cow::Borrowed).collect(), |one| {
            Users::document(call, directory, one)
        })
    })
}

/// The methods of one membership.
pub(super) fn membership() -> Methods {
    show(|call, state| {
        let (group, user) = pair(call, state.identity.directory(), "identity:check_user_in_group")?;
        in_group(state.identity.directory(), &group, &user)
    })
    .merge(change("PUT", |call, state: &mut Memory| {
        let (group, user) = pair(call, state.identity.directory(), "identity:add_user_to_group")?;
        if !state.identity.directory().is_member(&user, &group) {
            state.identity.directory_mut().memberships.push((group, user));
        }
        Ok(no_content())
    }))
    .merge(change("DELETE", |call, state: &mut Memory| {
        let action = "identity:remove_user_from_group";
        let (group, user) = pair(call, state.identity.directory(), action)?;
        in_group(state.identity.directory(), &group, &user)?;
        let memberships = &mut state.identity.directory_mut().memberships;
        memberships.retain(|one| (&one.0, &one.1) != (&group, &user));
        Ok(no_content())
    }))
}

fn in_group(directory: &Directory, group: &str, user: &str) -> Answer {
    if directory.is_member(user, group) {
        return Ok(no_content());
    }
    Err(Refusal::Absent(format!("User '{user}' not found in group '{group}'")))
}

/// The ids of the group and the user of the path.
fn pair(call: &Call<'_>, directory: &Directory, action: &str) -> Result<(String, String), Refusal> {
    let (group_id, user_id) = (call.param("id"), call.param("user_id"));
    let group = directory.find(Kind::Group, group_id);
    let user = directory.find(Kind::User, user_id);
    let domain_ids = [group, user].into_iter().map(|one| one.and_then(Record::domain_id));
    let target = Target { domain_ids: domain_ids.collect(), ..Target::default() };
    call.allow(action, &target)?;
    user.ok_or_else(|| Refusal::not_found(Kind::User, user_id))?;
    group.ok_or_else(|| Refusal::not_found(Kind::Group, group_id))?;
    Ok((group_id.to_owned(), user_id.to_owned()))
}
