//! Transfers as replies show them.
//!
//! cinder: `api/views/transfers.py`.

use crate::links::Links;
use crate::microversion::Microversion;
use cinder_db::Transfer;
use serde_json::{Value, json};
use time::PrimitiveDateTime;
use time::macros::format_description;

/// `{"transfer": …}` without details.
pub(crate) fn summary(transfer: &Transfer, links: &Links) -> Value {
    json!({"transfer": summary_fields(transfer, links)})
}

/// `{"transfer": …}` with the details of the microversion.
pub(crate) fn detail(transfer: &Transfer, links: &Links, version: Microversion) -> Value {
    json!({"transfer": detail_fields(transfer, links, version)})
}

/// The reply to a new offer: its details, and the auth key, this once.
pub(crate) fn created(
    transfer: &Transfer,
    auth_key: &str,
    links: &Links,
    version: Microversion,
) -> Value {
    let mut fields = detail_fields(transfer, links, version);
    fields["auth_key"] = auth_key.into();
    json!({"transfer": fields})
}

/// `{"transfers": […]}`, with `transfers_links` where there may be more.
pub(crate) fn list(
    transfers: &[Transfer],
    links: &Links,
    details: Option<Microversion>,
    next: Option<Value>,
) -> Value {
    let fields = |transfer| match details {
        Some(version) => detail_fields(transfer, links, version),
        None => summary_fields(transfer, links),
    };
    let transfers: Vec<Value> = transfers.iter().map(fields).collect();
    match next {
        Some(next) => json!({"transfers": transfers, "transfers_links": next}),
        None => json!({"transfers": transfers}),
    }
}

fn summary_fields(transfer: &Transfer, links: &Links) -> Value {
    json!({
        "id": transfer.id.as_str(),
        "volume_id": transfer.volume.as_str(),
        "name": transfer.name,
        "links": links.transfer(transfer.id.as_str()),
    })
}

fn detail_fields(transfer: &Transfer, links: &Links, version: Microversion) -> Value {
    let mut fields = summary_fields(transfer, links);
    fields["created_at"] = json!(transfer.created_at.and_then(naive_iso));
    if version >= Microversion::SNAPSHOTS {
        fields["no_snapshots"] = json!(transfer.no_snapshots);
    }
    if version >= Microversion::HISTORY {
        fields["source_project_id"] = json!(transfer.source_project);
        fields["destination_project_id"] = json!(transfer.destination_project);
        fields["accepted"] = json!(transfer.accepted);
    }
    fields
}

/// UTC without saying so, with microseconds.
fn naive_iso(at: PrimitiveDateTime) -> Option<String> {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");
    at.format(format).ok()
}

#[cfg(test)]
mod tests {
    use super::{created, detail, list, summary};
    use crate::links::Links;
    use crate::microversion::Microversion;
    use cinder_db::Transfer;
    use http::HeaderMap;
    use serde_json::Value;
    use time::macros::datetime;

    fn transfer() -> Transfer {
        Transfer {
            id: "t".into(),
            volume: "v".into(),
            name: None,
            created_at: Some(datetime!(2026-11-24 09:06:19.2)),
            no_snapshots: Some(false),
            source_project: Some("p".into()),
            destination_project: None,
            accepted: false,
        }
    }

    fn links() -> Links {
        Links::new(None, &HeaderMap::new(), None)
    }

    fn keys(view: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = view.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn fields_come_with_their_microversion() {
        let base = vec!["created_at", "id", "links", "name", "volume_id"];
        let with = |more: &[&'static str]| {
            let mut keys = [&base, more].concat();
            keys.sort_unstable();
            keys
        };
        let history = ["no_snapshots", "source_project_id", "destination_project_id", "accepted"];
        for (version, expected) in [
            (Microversion::MIN, with(&[])),
            (Microversion::SNAPSHOTS, with(&["no_snapshots"])),
            (Microversion::HISTORY, with(&history)),
            (Microversion::MAX, with(&history)),
        ] {
            let view = detail(&transfer(), &links(), version);
            assert_eq!(keys(&view["transfer"]), expected, "{version:?}");
            let view = created(&transfer(), "k", &links(), version);
            assert_eq!(view["transfer"]["auth_key"], "k");
        }
        let view = summary(&transfer(), &links());
        assert_eq!(keys(&view["transfer"]), ["id", "links", "name", "volume_id"]);
    }

    #[test]
    fn times_are_naive_with_microseconds() {
        let view = detail(&transfer(), &links(), Microversion::MIN);
        assert_eq!(view["transfer"]["created_at"], "2026-11-24T09:06:19.200000");
    }

    #[test]
    fn a_list_without_a_next_page_has_no_links() {
        assert_eq!(keys(&list(&[transfer()], &links(), None, None)), ["transfers"]);
        let more = list(&[], &links(), None, Some(Value::Null));
        assert_eq!(keys(&more), ["transfers", "transfers_links"]);
    }
}
